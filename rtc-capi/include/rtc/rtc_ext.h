/*
 * Functions that librtc offers beyond the C API of libdatachannel.
 *
 * A program that calls one of these no longer runs on libdatachannel itself; everything in rtc.h
 * keeps working on both.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef RTC_EXT_H
#define RTC_EXT_H

#include "rtc.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Destroys every object of this process (connections, channels, tracks, WebSockets, servers) and
 * unloads the library's global resources, waiting at most `timeoutMs` milliseconds for callbacks
 * that are running to return; a negative value waits as long as it takes.
 *
 * Unlike rtcCleanup, which unloads only once the last connection has been deleted, this invalidates
 * all identifiers at once. It may not be called from a callback (RTC_ERR_INVALID).
 *
 * Returns RTC_ERR_SUCCESS when everything is gone, or RTC_ERR_FAILURE when a callback was still
 * running at the deadline: no further callback starts then, and the rest is unloaded when it
 * returns.
 */
RTC_C_EXPORT int rtcCleanupNow(int timeoutMs);

#ifdef __cplusplus
}
#endif

#endif /* RTC_EXT_H */
