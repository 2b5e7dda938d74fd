/* Shows that what goes beyond libdatachannel's C API is found as well. */
#include <rtc/rtc_ext.h>

#include <stdio.h>
#include <string.h>

int main(void) {
	const char *revision = rtcRevision();
	if (strncmp(revision, RTC_VERSION "-r", sizeof RTC_VERSION + 1) != 0) {
		fprintf(stderr, "revision: \"%s\" is not one of " RTC_VERSION "\n", revision);
		return 1;
	}
	rtcInitLogger(RTC_LOG_NONE, NULL);
	if (rtcCleanupNow(1000) != RTC_ERR_SUCCESS)
		return 1;
	puts("consumer: ok");
	return 0;
}
