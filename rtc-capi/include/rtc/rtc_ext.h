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

/*
 * For congestionControlModule of rtcSctpSettings: the congestion control of RFC 9260, section 7.2,
 * which halves its window with every loss. libdatachannel has it by default; librtc has not, since
 * it leaves most of a path unused that loses packets at random.
 */
#define RTC_CONGESTION_RFC9260 9260

/* What a backend does for a connection. */
typedef enum {
	RTC_BACKEND_ICE = 0, /* finds the path: "agent" (pure Rust), "juice", "nice" */
	RTC_BACKEND_TLS = 1  /* protects it: "rustls", "openssl" */
} rtcBackendRole;

/*
 * Writes the names of the backends that this library was built with for a role, separated by
 * commas. The first is the one that new connections use: the environment variables RTC_ICE_BACKEND
 * and RTC_TLS_BACKEND choose it for a whole process, which looks at them once.
 *
 * As everywhere in rtc.h, returns the number of bytes written with the terminating zero, or with
 * buffer NULL the number needed; RTC_ERR_TOO_SMALL when size is less than that.
 */
RTC_C_EXPORT int rtcGetBackendNames(rtcBackendRole role, char *buffer, int size);

/* Writes the name of the backend that a peer connection uses for a role; returns likewise. */
RTC_C_EXPORT int rtcGetPeerConnectionBackend(int pc, rtcBackendRole role, char *buffer, int size);

/*
 * Restarts ICE (RFC 8445, section 9), for instance because the network has changed: makes and
 * announces an offer with new credentials, as rtcSetLocalDescription would, which is to be sent to
 * the peer. Data goes on over the old path, if it still works, until a new one is found. Restarts
 * that the peer begins are followed without this.
 *
 * Returns RTC_ERR_SUCCESS; RTC_ERR_FAILURE before the peer's description is known, while another
 * description waits for its answer, or when the connection is closed; RTC_ERR_INVALID when the ICE
 * backend of the connection cannot restart.
 */
RTC_C_EXPORT int rtcRestartIce(int pc);

/*
 * Lets a connection wait for a restart when ICE has failed for it, for so many milliseconds: its
 * state is RTC_FAILED meanwhile and RTC_CONNECTED again once a restart, ours or the peer's, has
 * found a path. With 0 or less, as without this call, it is closed at once, as libdatachannel does.
 * To be called on both sides before they connect, since it also makes SCTP wait for so long.
 * Returns RTC_ERR_SUCCESS.
 */
RTC_C_EXPORT int rtcSetIceRecoveryTimeout(int pc, int timeoutMs);

/*
 * Probes the path for IP packets of up to maxMtu bytes (RFC 8899) and lets data channels use what it
 * proves to carry; when it carries less later, they go back. `mtu` of rtcConfiguration, which every
 * path must carry, is where that begins. Tracks, and maxMtu up to `mtu`, are not concerned.
 * To be called before the connection is made; each side decides for what it sends. Where the ICE
 * backend lets packets be fragmented (libnice), this is ignored and a warning is logged.
 *
 * Returns RTC_ERR_SUCCESS, or RTC_ERR_INVALID when maxMtu is negative or more than 16384.
 */
RTC_C_EXPORT int rtcSetMaxMtu(int pc, int maxMtu);

/*
 * Tells which release of librtc the program runs on, as in "0.24.5-r1": the version of the C API
 * (RTC_VERSION of the header it was built with), and the number of librtc's release of it. The text
 * lives as long as the library. A program that finds this function by dlsym learns from its absence
 * that it runs on libdatachannel itself.
 */
RTC_C_EXPORT const char *rtcRevision(void);

#ifdef __cplusplus
}
#endif

#endif /* RTC_EXT_H */
