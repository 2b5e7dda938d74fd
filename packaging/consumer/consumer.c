/* The smallest program that shows an installed library to be found, linked and working. */
#include <rtc/rtc.h>

#include <stdio.h>
#include <string.h>

static int failures;

static void expect(int holds, const char *what) {
	if (!holds) {
		fprintf(stderr, "consumer: %s\n", what);
		failures++;
	}
}

int main(void) {
	rtcConfiguration config;
	int pc, dc;

	expect(strncmp(RTC_VERSION, "0.24.", 5) == 0, "the header is of another version");
	rtcInitLogger(RTC_LOG_NONE, NULL);
	memset(&config, 0, sizeof config);
	config.bindAddress = "127.0.0.1";
	config.disableAutoNegotiation = true;
	pc = rtcCreatePeerConnection(&config);
	expect(pc > 0, "no peer connection");
	dc = rtcCreateDataChannel(pc, "consumer");
	expect(dc > 0, "no data channel");
	expect(rtcGetDataChannelLabel(dc, NULL, 0) == (int)sizeof "consumer", "no label");
	expect(!rtcIsOpen(dc), "open without a peer");
	expect(rtcClosePeerConnection(-1) == RTC_ERR_INVALID, "an unknown identifier was accepted");
	expect(rtcDeleteDataChannel(dc) == RTC_ERR_SUCCESS, "cannot delete the data channel");
	expect(rtcDeletePeerConnection(pc) == RTC_ERR_SUCCESS, "cannot delete the peer connection");
	rtcCleanup();
	if (failures == 0)
		puts("consumer: ok");
	return failures != 0;
}
