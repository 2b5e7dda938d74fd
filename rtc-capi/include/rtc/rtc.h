/*
 * WebRTC peer connections, data channels and media tracks, and WebSockets, from C.
 *
 * The names, types, values and memory layouts below are those of the C API of libdatachannel
 * 0.24.5: a program compiled against either header runs on either library.
 *
 * Conventions
 *
 * - Objects are named by positive `int` identifiers, never reused within a process. `pc` names a
 *   peer connection, `dc` a data channel, `tr` a track, `ws` a WebSocket, `wsserver` a WebSocket
 *   server. `id` in the channel section names a data channel, a track or a WebSocket.
 * - Functions returning `int` give a value >= 0 on success and an RTC_ERR_* code otherwise.
 * - Functions filling a caller's buffer with text return the size needed, counting the terminating
 *   NUL. With a NULL buffer nothing is copied. A buffer that is too small is left untouched and
 *   RTC_ERR_TOO_SMALL is returned. Functions filling arrays count elements, with the same rules.
 * - Every pointer passed in is read before the call returns and may be freed afterwards, user
 *   pointers excepted.
 * - Callbacks run on threads of the library. Setting one to NULL unsets it. Text and data given to
 *   a callback are valid until it returns. The last argument is the object's user pointer.
 * - Every function may be called from every thread, callbacks included.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef RTC_C_API
#define RTC_C_API

#include "version.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Configuration of this header ------------------------------------------------------------ */

/* Define RTC_STATIC when linking the static library; RTC_EXPORTS is for building a Windows DLL. */
#if defined(_WIN32) && !defined(RTC_STATIC)
#ifdef RTC_EXPORTS
#define RTC_C_EXPORT __declspec(dllexport)
#else
#define RTC_C_EXPORT __declspec(dllimport)
#endif
#else
#define RTC_C_EXPORT
#endif

/* Calling convention of callbacks. */
#if defined(_WIN32) && defined(CAPI_STDCALL)
#define RTC_API __stdcall
#else
#define RTC_API
#endif

/* Define these to 0 to hide what a library built without WebSockets or media lacks. */
#ifndef RTC_ENABLE_WEBSOCKET
#define RTC_ENABLE_WEBSOCKET 1
#endif
#ifndef RTC_ENABLE_MEDIA
#define RTC_ENABLE_MEDIA 1
#endif

#if defined(__GNUC__) || defined(__clang__)
#define RTC_DEPRECATED __attribute__((deprecated))
#elif defined(_MSC_VER)
#define RTC_DEPRECATED __declspec(deprecated)
#else
#define RTC_DEPRECATED
#endif

/* Every IPv6 path carries packets of this many bytes. */
#define RTC_DEFAULT_MTU 1280

#if RTC_ENABLE_MEDIA
/* RTP payload bytes left in a packet of the default MTU below the RTP (12), UDP (8) and IPv6 (40)
 * headers. */
#define RTC_DEFAULT_MAX_FRAGMENT_SIZE ((uint16_t)(RTC_DEFAULT_MTU - 12 - 8 - 40))
/* Packets kept for answering NACKs. */
#define RTC_DEFAULT_MAX_STORED_PACKET_COUNT 512
/* Former names of the two above. */
#define RTC_DEFAULT_MAXIMUM_FRAGMENT_SIZE RTC_DEFAULT_MAX_FRAGMENT_SIZE
#define RTC_DEFAULT_MAXIMUM_PACKET_COUNT_FOR_NACK_CACHE RTC_DEFAULT_MAX_STORED_PACKET_COUNT
#endif

/* ---- Result codes ---------------------------------------------------------------------------- */

#define RTC_ERR_SUCCESS 0
#define RTC_ERR_INVALID -1   /* an argument is wrong, or names no such object */
#define RTC_ERR_FAILURE -2   /* the operation failed, or does not fit the object's state */
#define RTC_ERR_NOT_AVAIL -3 /* what was asked for does not exist at the moment */
#define RTC_ERR_TOO_SMALL -4 /* the buffer cannot hold the result */

/* ---- Enumerations ---------------------------------------------------------------------------- */

/* Connection state of a peer connection: ICE and DTLS taken together. */
typedef enum {
	RTC_NEW = 0,
	RTC_CONNECTING = 1,
	RTC_CONNECTED = 2,
	RTC_DISCONNECTED = 3, /* the peer has ended it or acknowledges nothing; RTC_CLOSED follows */
	RTC_FAILED = 4,       /* RTC_CLOSED follows, unless rtcSetIceRecoveryTimeout lets it wait */
	RTC_CLOSED = 5
} rtcState;

/* State of the ICE agent alone. */
typedef enum {
	RTC_ICE_NEW = 0,
	RTC_ICE_CHECKING = 1,
	RTC_ICE_CONNECTED = 2,
	RTC_ICE_COMPLETED = 3,
	RTC_ICE_FAILED = 4,
	RTC_ICE_DISCONNECTED = 5,
	RTC_ICE_CLOSED = 6
} rtcIceState;

/* Gathering of local candidates. */
typedef enum {
	RTC_GATHERING_NEW = 0,
	RTC_GATHERING_INPROGRESS = 1,
	RTC_GATHERING_COMPLETE = 2
} rtcGatheringState;

/* Offer/answer exchange, RFC 9429 section 3.2. */
typedef enum {
	RTC_SIGNALING_STABLE = 0,
	RTC_SIGNALING_HAVE_LOCAL_OFFER = 1,
	RTC_SIGNALING_HAVE_REMOTE_OFFER = 2,
	RTC_SIGNALING_HAVE_LOCAL_PRANSWER = 3,
	RTC_SIGNALING_HAVE_REMOTE_PRANSWER = 4
} rtcSignalingState;

/* Severity of a log line; as a limit, lines of this value and below are logged. */
typedef enum {
	RTC_LOG_NONE = 0,
	RTC_LOG_FATAL = 1,
	RTC_LOG_ERROR = 2,
	RTC_LOG_WARNING = 3,
	RTC_LOG_INFO = 4,
	RTC_LOG_DEBUG = 5,
	RTC_LOG_VERBOSE = 6
} rtcLogLevel;

/* Key type of the certificate a peer connection generates. */
typedef enum {
	RTC_CERTIFICATE_DEFAULT = 0, /* same as RTC_CERTIFICATE_ECDSA */
	RTC_CERTIFICATE_ECDSA = 1,
	RTC_CERTIFICATE_RSA = 2
} rtcCertificateType;

/* Codec of a track: video below 128, audio from 128. */
typedef enum {
	RTC_CODEC_H264 = 0,
	RTC_CODEC_VP8 = 1,
	RTC_CODEC_VP9 = 2,
	RTC_CODEC_H265 = 3,
	RTC_CODEC_AV1 = 4,
	RTC_CODEC_OPUS = 128,
	RTC_CODEC_PCMU = 129,
	RTC_CODEC_PCMA = 130,
	RTC_CODEC_AAC = 131,
	RTC_CODEC_G722 = 132
} rtcCodec;

/* Direction of a track, seen from this side. */
typedef enum {
	RTC_DIRECTION_UNKNOWN = 0,
	RTC_DIRECTION_SENDONLY = 1,
	RTC_DIRECTION_RECVONLY = 2,
	RTC_DIRECTION_SENDRECV = 3,
	RTC_DIRECTION_INACTIVE = 4
} rtcDirection;

/* Which candidates ICE may use. */
typedef enum {
	RTC_TRANSPORT_POLICY_ALL = 0,
	RTC_TRANSPORT_POLICY_RELAY = 1 /* relayed candidates only */
} rtcTransportPolicy;

/* ---- Callbacks ------------------------------------------------------------------------------- */

typedef void(RTC_API *rtcLogCallbackFunc)(rtcLogLevel level, const char *message);

typedef void(RTC_API *rtcDescriptionCallbackFunc)(int pc, const char *sdp, const char *type,
                                                  void *ptr);
typedef void(RTC_API *rtcCandidateCallbackFunc)(int pc, const char *cand, const char *mid,
                                                void *ptr);
typedef void(RTC_API *rtcStateChangeCallbackFunc)(int pc, rtcState state, void *ptr);
typedef void(RTC_API *rtcIceStateChangeCallbackFunc)(int pc, rtcIceState state, void *ptr);
typedef void(RTC_API *rtcGatheringStateCallbackFunc)(int pc, rtcGatheringState state, void *ptr);
typedef void(RTC_API *rtcSignalingStateCallbackFunc)(int pc, rtcSignalingState state, void *ptr);
typedef void(RTC_API *rtcDataChannelCallbackFunc)(int pc, int dc, void *ptr);
typedef void(RTC_API *rtcTrackCallbackFunc)(int pc, int tr, void *ptr);

typedef void(RTC_API *rtcOpenCallbackFunc)(int id, void *ptr);
typedef void(RTC_API *rtcClosedCallbackFunc)(int id, void *ptr);
typedef void(RTC_API *rtcErrorCallbackFunc)(int id, const char *error, void *ptr);
/* `size` >= 0: a binary message of `size` bytes. `size` < 0: NUL-terminated text of `-size` bytes,
 * the NUL counted. */
typedef void(RTC_API *rtcMessageCallbackFunc)(int id, const char *message, int size, void *ptr);
typedef void(RTC_API *rtcBufferedAmountLowCallbackFunc)(int id, void *ptr);
typedef void(RTC_API *rtcAvailableCallbackFunc)(int id, void *ptr);

/* Sees each incoming RTP or RTCP packet of `pc`. Returning NULL drops the packet, returning
 * `message` passes it on, returning an rtcMessage passes that on instead and takes it over. */
typedef void *(RTC_API *rtcInterceptorCallbackFunc)(int pc, const char *message, int size,
                                                    void *ptr);
typedef void(RTC_API *rtcPliHandlerCallbackFunc)(int tr, void *ptr);
typedef void(RTC_API *rtcRembHandlerCallbackFunc)(int tr, unsigned int bitrate, void *ptr);

/* ---- Log and user pointers ------------------------------------------------------------------- */

/* Sets the log level and where lines go. With a NULL `cb` lines go to the standard output if no
 * callback was ever set; otherwise the callback is unset. */
RTC_C_EXPORT void rtcInitLogger(rtcLogLevel level, rtcLogCallbackFunc cb);

/* The pointer handed to the callbacks of an object. It starts as NULL for peer connections,
 * WebSockets and servers, and as the peer connection's for data channels and tracks. */
RTC_C_EXPORT void rtcSetUserPointer(int id, void *ptr);
RTC_C_EXPORT void *rtcGetUserPointer(int i);

/* ---- Peer connection ------------------------------------------------------------------------- */

/* All zero is a usable configuration. */
typedef struct {
	/* STUN and TURN servers: [("stun"|"turn"|"turns") ":"][user ":" password "@"]host[":" port]
	 * ["?transport=" ("udp"|"tcp"|"tls")] */
	const char **iceServers;
	int iceServersCount;
	const char *proxyServer; /* for TURN over TCP; only with the libnice backend */
	const char *bindAddress; /* local address to use, NULL for all; not with libnice */
	rtcCertificateType certificateType;
	rtcTransportPolicy iceTransportPolicy;
	bool enableIceTcp;           /* also gather TCP candidates, where the backend can */
	bool enableIceUdpMux;        /* share one UDP port between connections; not with libnice */
	bool disableAutoNegotiation; /* the application calls rtcSetLocalDescription itself */
	bool forceMediaTransport;    /* set up SRTP even without a track */
	uint16_t portRangeBegin;     /* first and last local port allowed, both 0 for any */
	uint16_t portRangeEnd;
	int mtu;            /* bytes, <= 0 for automatic */
	int maxMessageSize; /* largest message accepted in bytes, <= 0 for the default */
} rtcConfiguration;

/* Returns the identifier of a new peer connection; free it with rtcDeletePeerConnection. */
RTC_C_EXPORT int rtcCreatePeerConnection(const rtcConfiguration *config);
/* Starts closing; rtcState becomes RTC_CLOSED. The identifier stays valid. */
RTC_C_EXPORT int rtcClosePeerConnection(int pc);
/* Closes and forgets. Blocks until callbacks of `pc` in other threads have returned. */
RTC_C_EXPORT int rtcDeletePeerConnection(int pc);

RTC_C_EXPORT int rtcSetLocalDescriptionCallback(int pc, rtcDescriptionCallbackFunc cb);
RTC_C_EXPORT int rtcSetLocalCandidateCallback(int pc, rtcCandidateCallbackFunc cb);
RTC_C_EXPORT int rtcSetStateChangeCallback(int pc, rtcStateChangeCallbackFunc cb);
RTC_C_EXPORT int rtcSetIceStateChangeCallback(int pc, rtcIceStateChangeCallbackFunc cb);
RTC_C_EXPORT int rtcSetGatheringStateChangeCallback(int pc, rtcGatheringStateCallbackFunc cb);
RTC_C_EXPORT int rtcSetSignalingStateChangeCallback(int pc, rtcSignalingStateCallbackFunc cb);

/* `type` is "offer", "answer", "pranswer", "rollback", or NULL for whichever fits. */
RTC_C_EXPORT int rtcSetLocalDescription(int pc, const char *type);
RTC_C_EXPORT int rtcSetRemoteDescription(int pc, const char *sdp, const char *type);
/* `cand` with or without "a=". `mid` may be NULL. Needs a remote description. */
RTC_C_EXPORT int rtcAddRemoteCandidate(int pc, const char *cand, const char *mid);

RTC_C_EXPORT int rtcGetLocalDescription(int pc, char *buffer, int size);
RTC_C_EXPORT int rtcGetRemoteDescription(int pc, char *buffer, int size);
RTC_C_EXPORT int rtcGetLocalDescriptionType(int pc, char *buffer, int size);
RTC_C_EXPORT int rtcGetRemoteDescriptionType(int pc, char *buffer, int size);

/* Write a description without making it the local one. */
RTC_C_EXPORT int rtcCreateOffer(int pc, char *buffer, int size);
RTC_C_EXPORT int rtcCreateAnswer(int pc, char *buffer, int size);

/* "ADDRESS:PORT" of the selected candidates. */
RTC_C_EXPORT int rtcGetLocalAddress(int pc, char *buffer, int size);
RTC_C_EXPORT int rtcGetRemoteAddress(int pc, char *buffer, int size);
/* Returns the larger of both sizes. */
RTC_C_EXPORT int rtcGetSelectedCandidatePair(int pc, char *local, int localSize, char *remote,
                                             int remoteSize);

/* Whether a local change waits to be negotiated. */
RTC_C_EXPORT bool rtcIsNegotiationNeeded(int pc);

/* Highest stream identifier a data channel may have. */
RTC_C_EXPORT int rtcGetMaxDataChannelStream(int pc);
/* Largest message in bytes that the remote side accepts. */
RTC_C_EXPORT int rtcGetRemoteMaxMessageSize(int pc);

/* ---- Channels: data channels, tracks and WebSockets ------------------------------------------ */

RTC_C_EXPORT int rtcSetOpenCallback(int id, rtcOpenCallbackFunc cb);
RTC_C_EXPORT int rtcSetClosedCallback(int id, rtcClosedCallbackFunc cb);
RTC_C_EXPORT int rtcSetErrorCallback(int id, rtcErrorCallbackFunc cb);
/* While it is set, rtcReceiveMessage gives nothing. */
RTC_C_EXPORT int rtcSetMessageCallback(int id, rtcMessageCallbackFunc cb);

/* `size` >= 0: sends `size` bytes as a binary message. `size` < 0: sends the NUL-terminated UTF-8
 * text at `data`. What cannot leave at once is buffered; a track never buffers. */
RTC_C_EXPORT int rtcSendMessage(int id, const char *data, int size);

/* Starts closing; the identifier stays valid. */
RTC_C_EXPORT int rtcClose(int id);
/* Closes and forgets. Blocks until callbacks of `id` in other threads have returned. */
RTC_C_EXPORT int rtcDelete(int id);
RTC_C_EXPORT bool rtcIsOpen(int id);
RTC_C_EXPORT bool rtcIsClosed(int id);

/* Largest message in bytes that can be sent. */
RTC_C_EXPORT int rtcMaxMessageSize(int id);
/* Bytes accepted by rtcSendMessage and not yet handed to the transport. */
RTC_C_EXPORT int rtcGetBufferedAmount(int id);
/* The callback comes when the buffered amount falls from above `amount` bytes (at first 0) to it
 * or below. */
RTC_C_EXPORT int rtcSetBufferedAmountLowThreshold(int id, int amount);
RTC_C_EXPORT int rtcSetBufferedAmountLowCallback(int id, rtcBufferedAmountLowCallbackFunc cb);

/* Bytes waiting for rtcReceiveMessage. */
RTC_C_EXPORT int rtcGetAvailableAmount(int id);
RTC_C_EXPORT int rtcSetAvailableCallback(int id, rtcAvailableCallbackFunc cb);
/* Takes the next message: `*size` is the capacity of `buffer` on entry, on return the size of the
 * message, counted as for the message callback. With a NULL `buffer` the message is kept and only
 * its size told. */
RTC_C_EXPORT int rtcReceiveMessage(int id, char *buffer, int *size);

/* ---- Data channel ---------------------------------------------------------------------------- */

typedef struct {
	bool unordered;
	bool unreliable;
	unsigned int maxPacketLifeTime; /* milliseconds; only if unreliable */
	unsigned int maxRetransmits;    /* only if unreliable and maxPacketLifeTime is 0 */
} rtcReliability;

typedef struct {
	rtcReliability reliability;
	const char *protocol; /* NULL for none */
	bool negotiated;      /* both sides create the channel themselves */
	bool manualStream;    /* use `stream` instead of the next free identifier */
	uint16_t stream;      /* 0 to 65534 */
} rtcDataChannelInit;

/* A channel opened by the remote side. */
RTC_C_EXPORT int rtcSetDataChannelCallback(int pc, rtcDataChannelCallbackFunc cb);

/* Return the identifier of a new data channel, ordered and reliable unless `init` differs. */
RTC_C_EXPORT int rtcCreateDataChannel(int pc, const char *label);
RTC_C_EXPORT int rtcCreateDataChannelEx(int pc, const char *label, const rtcDataChannelInit *init);
RTC_C_EXPORT int rtcDeleteDataChannel(int dc);

RTC_C_EXPORT int rtcGetDataChannelStream(int dc);
RTC_C_EXPORT int rtcGetDataChannelLabel(int dc, char *buffer, int size);
RTC_C_EXPORT int rtcGetDataChannelProtocol(int dc, char *buffer, int size);
RTC_C_EXPORT int rtcGetDataChannelReliability(int dc, rtcReliability *reliability);

/* ---- Track ----------------------------------------------------------------------------------- */

typedef struct {
	rtcDirection direction;
	rtcCodec codec;
	int payloadType;
	uint32_t ssrc;
	const char *mid;
	const char *name;    /* the SSRC's CNAME, or NULL */
	const char *msid;    /* media stream identifier, or NULL */
	const char *trackId; /* track identifier within the stream, or NULL */
	const char *profile; /* format parameters (a=fmtp); NULL for none, for AAC "cpresent=1" */
} rtcTrackInit;

/* A track added by the remote side. */
RTC_C_EXPORT int rtcSetTrackCallback(int pc, rtcTrackCallbackFunc cb);

/* Return the identifier of a new track, described by an SDP media section or by `init`. It is
 * negotiated by the next rtcSetLocalDescription. */
RTC_C_EXPORT int rtcAddTrack(int pc, const char *mediaDescriptionSdp);
RTC_C_EXPORT int rtcAddTrackEx(int pc, const rtcTrackInit *init);
RTC_C_EXPORT int rtcDeleteTrack(int tr);

RTC_C_EXPORT int rtcGetTrackDescription(int tr, char *buffer, int size);
RTC_C_EXPORT int rtcGetTrackMid(int tr, char *buffer, int size);
RTC_C_EXPORT int rtcGetTrackDirection(int tr, rtcDirection *direction);

/* Ask the sending side for a key frame, or for at most `bitrate` bits per second. */
RTC_C_EXPORT int rtcRequestKeyframe(int tr);
RTC_C_EXPORT int rtcRequestBitrate(int tr, unsigned int bitrate);

/* ---- Media ----------------------------------------------------------------------------------- */

#if RTC_ENABLE_MEDIA

/* What one AV1 sample given to rtcSendMessage holds. */
typedef enum {
	RTC_OBU_PACKETIZED_OBU = 0,
	RTC_OBU_PACKETIZED_TEMPORAL_UNIT = 1
} rtcObuPacketization;

/* How the NAL units in an H.264 or H.265 sample are told apart. */
typedef enum {
	RTC_NAL_SEPARATOR_LENGTH = 0,               /* length of each in 4 bytes, big-endian */
	RTC_NAL_SEPARATOR_LONG_START_SEQUENCE = 1,  /* 00 00 00 01 */
	RTC_NAL_SEPARATOR_SHORT_START_SEQUENCE = 2, /* 00 00 01 */
	RTC_NAL_SEPARATOR_START_SEQUENCE = 3        /* either start sequence */
} rtcNalUnitSeparator;

typedef struct {
	uint32_t ssrc;
	const char *cname;
	uint8_t payloadType;
	uint32_t clockRate;      /* ticks per second */
	uint16_t sequenceNumber; /* of the first packet */
	uint32_t timestamp;      /* of the first sample, in ticks */

	uint16_t maxFragmentSize;              /* video; bytes, 0 for the default */
	rtcNalUnitSeparator nalSeparator;      /* H.264 and H.265 */
	rtcObuPacketization obuPacketization;  /* AV1 */

	/* Playout delay header extension: its identifier (0 for none), limits in units of 10 ms. */
	uint8_t playoutDelayId;
	uint16_t playoutDelayMin;
	uint16_t playoutDelayMax;

	/* Color space header extension: its identifier (0 for none) and fields. */
	uint8_t colorSpaceId;
	uint8_t colorChromaSitingHorz;
	uint8_t colorChromaSitingVert;
	uint8_t colorRange;
	uint8_t colorPrimaries;
	uint8_t colorTransfer;
	uint8_t colorMatrix;
} rtcPacketizerInit;

/* Former name of rtcPacketizerInit. */
typedef rtcPacketizerInit rtcPacketizationHandlerInit;

typedef struct {
	uint32_t ssrc;
	const char *name;    /* CNAME, or NULL */
	const char *msid;    /* media stream identifier, or NULL */
	const char *trackId; /* track identifier within the stream, or NULL */
} rtcSsrcForTypeInit;

/* A packet held by the library, only ever handled as rtcMessage *. */
typedef void *rtcMessage;

/* Copies `size` bytes. Free it unless an interceptor callback returned it. */
RTC_C_EXPORT rtcMessage *rtcCreateOpaqueMessage(void *data, int size);
RTC_C_EXPORT void rtcDeleteOpaqueMessage(rtcMessage *msg);

/* `id` names a peer connection. */
RTC_C_EXPORT int rtcSetMediaInterceptorCallback(int id, rtcInterceptorCallbackFunc cb);

/* Make the track accept encoded samples and cut them into RTP packets. */
RTC_C_EXPORT int rtcSetH264Packetizer(int tr, const rtcPacketizerInit *init);
RTC_C_EXPORT int rtcSetH265Packetizer(int tr, const rtcPacketizerInit *init);
RTC_C_EXPORT int rtcSetAV1Packetizer(int tr, const rtcPacketizerInit *init);
RTC_C_EXPORT int rtcSetOpusPacketizer(int tr, const rtcPacketizerInit *init);
RTC_C_EXPORT int rtcSetAACPacketizer(int tr, const rtcPacketizerInit *init);
RTC_C_EXPORT int rtcSetPCMUPacketizer(int tr, const rtcPacketizerInit *init);
RTC_C_EXPORT int rtcSetPCMAPacketizer(int tr, const rtcPacketizerInit *init);
RTC_C_EXPORT int rtcSetG722Packetizer(int tr, const rtcPacketizerInit *init);

/* Add a stage to what the packets of a track pass through. */
/* Receiver reports, and RTCP feedback requested by this side. */
RTC_C_EXPORT int rtcChainRtcpReceivingSession(int tr);
/* Sender reports. */
RTC_C_EXPORT int rtcChainRtcpSrReporter(int tr);
/* Retransmission of packets the receiver misses. */
RTC_C_EXPORT int rtcChainRtcpNackResponder(int tr, unsigned int maxStoredPacketsCount);
/* Picture loss indications from the receiver. */
RTC_C_EXPORT int rtcChainPliHandler(int tr, rtcPliHandlerCallbackFunc cb);
/* Bitrate estimates of the receiver, in bits per second. */
RTC_C_EXPORT int rtcChainRembHandler(int tr, rtcRembHandlerCallbackFunc cb);

/* RTP timestamps of a track that has a packetizer. */
RTC_C_EXPORT int rtcTransformSecondsToTimestamp(int id, double seconds, uint32_t *timestamp);
RTC_C_EXPORT int rtcTransformTimestampToSeconds(int id, uint32_t timestamp, double *seconds);
RTC_C_EXPORT int rtcGetCurrentTrackTimestamp(int id, uint32_t *timestamp);
RTC_C_EXPORT int rtcSetTrackRtpTimestamp(int id, uint32_t timestamp);
RTC_C_EXPORT int rtcGetLastTrackSenderReportTimestamp(int id, uint32_t *timestamp);

/* What the track's SDP holds. `ccodec` is the codec's name, such as "H264". */
RTC_C_EXPORT int rtcGetTrackPayloadTypesForCodec(int tr, const char *ccodec, int *buffer, int size);
RTC_C_EXPORT int rtcGetSsrcsForTrack(int tr, uint32_t *buffer, int count);
/* Returns 0 when the SSRC has no CNAME. */
RTC_C_EXPORT int rtcGetCNameForSsrc(int tr, uint32_t ssrc, char *cname, int cnameSize);

/* Read the SSRCs of the first media section of a type such as "video", or write a copy of the
 * description with one more SSRC in that section. */
RTC_C_EXPORT int rtcGetSsrcsForType(const char *mediaType, const char *sdp, uint32_t *buffer,
                                    int bufferSize);
RTC_C_EXPORT int rtcSetSsrcForType(const char *mediaType, const char *sdp, char *buffer,
                                   const int bufferSize, rtcSsrcForTypeInit *init);

/* Does nothing: sender reports go out on their own. */
RTC_C_EXPORT RTC_DEPRECATED int rtcSetNeedsToSendRtcpSr(int id);

/* Former names of the packetizer functions. */
RTC_DEPRECATED static inline int
rtcSetH264PacketizationHandler(int tr, const rtcPacketizationHandlerInit *init) {
	return rtcSetH264Packetizer(tr, init);
}
RTC_DEPRECATED static inline int
rtcSetH265PacketizationHandler(int tr, const rtcPacketizationHandlerInit *init) {
	return rtcSetH265Packetizer(tr, init);
}
RTC_DEPRECATED static inline int
rtcSetAV1PacketizationHandler(int tr, const rtcPacketizationHandlerInit *init) {
	return rtcSetAV1Packetizer(tr, init);
}
RTC_DEPRECATED static inline int
rtcSetOpusPacketizationHandler(int tr, const rtcPacketizationHandlerInit *init) {
	return rtcSetOpusPacketizer(tr, init);
}
RTC_DEPRECATED static inline int
rtcSetAACPacketizationHandler(int tr, const rtcPacketizationHandlerInit *init) {
	return rtcSetAACPacketizer(tr, init);
}

/* ---- Media: of the release after 0.24.5 -------------------------------------------------------
 *
 * These are not in libdatachannel 0.24.5: a program that calls one needs librtc, or a later
 * libdatachannel. */

/* What is known of a frame. */
typedef struct {
	uint32_t timestamp;      /* RTP timestamp, in ticks */
	uint8_t payloadType;     /* RTP payload type */
	double timestampSeconds; /* the timestamp in seconds */
} rtcFrameInfo;

typedef void(RTC_API *rtcFrameCallbackFunc)(int tr, const char *data, int size,
                                            const rtcFrameInfo *info, void *ptr);

/* Frames of a track that has a depacketizer; without this callback they are messages. */
RTC_C_EXPORT int rtcSetFrameCallback(int tr, rtcFrameCallbackFunc cb);

RTC_C_EXPORT int rtcSetVP8Packetizer(int tr, const rtcPacketizerInit *init);
RTC_C_EXPORT int rtcSetVP9Packetizer(int tr, const rtcPacketizerInit *init);

/* Make the track deliver encoded samples, put together from RTP packets. */
RTC_C_EXPORT int rtcSetH264Depacketizer(int tr, rtcNalUnitSeparator separator);
RTC_C_EXPORT int rtcSetH265Depacketizer(int tr, rtcNalUnitSeparator separator);
/* Samples are temporal units, whatever the packetization. */
RTC_C_EXPORT int rtcSetAV1Depacketizer(int tr, rtcObuPacketization packetization);
RTC_C_EXPORT int rtcSetVP8Depacketizer(int tr);
RTC_C_EXPORT int rtcSetVP9Depacketizer(int tr);
RTC_C_EXPORT int rtcSetOpusDepacketizer(int tr);
RTC_C_EXPORT int rtcSetAACDepacketizer(int tr);
RTC_C_EXPORT int rtcSetPCMUDepacketizer(int tr);
RTC_C_EXPORT int rtcSetPCMADepacketizer(int tr);
RTC_C_EXPORT int rtcSetG722Depacketizer(int tr);

/* Adds a stage that spreads packets: so many bits per second, in bursts so many ms apart. */
RTC_C_EXPORT int rtcChainPacingHandler(int tr, double bitsPerSecond, int sendIntervalMs);

/* RTP and NTP time of the last sender report that came; RTC_ERR_NOT_AVAIL before the first. */
RTC_C_EXPORT int rtcGetTrackRtcpSyncTimestamps(int tr, uint64_t *rtpTimestamp,
                                               uint64_t *ntpTimestamp);

/* The payload types of a codec in a description. */
RTC_C_EXPORT int rtcGetPayloadTypesForCodec(const char *sdp, const char *ccodec, int *buffer,
                                            int size);

#endif /* RTC_ENABLE_MEDIA */

/* ---- WebSocket ------------------------------------------------------------------------------- */

#if RTC_ENABLE_WEBSOCKET

typedef struct {
	bool disableTlsVerification; /* accept any certificate of the server */
	const char *proxyServer;     /* HTTP proxy without authentication, or NULL */
	const char **protocols;      /* subprotocols to ask for */
	int protocolsCount;
	int connectionTimeoutMs; /* this and the next: 0 for the default, < 0 for none */
	int pingIntervalMs;
	int maxOutstandingPings; /* unanswered pings before giving up; 0 default, < 0 no limit */
	int maxMessageSize;      /* bytes, <= 0 for the default */
} rtcWsConfiguration;

/* Return the identifier of a new client connecting to a ws: or wss: URL. */
RTC_C_EXPORT int rtcCreateWebSocket(const char *url);
RTC_C_EXPORT int rtcCreateWebSocketEx(const char *url, const rtcWsConfiguration *config);
RTC_C_EXPORT int rtcDeleteWebSocket(int ws);

/* "ADDRESS:PORT" of the other end. */
RTC_C_EXPORT int rtcGetWebSocketRemoteAddress(int ws, char *buffer, int size);
/* The path requested by HTTP. The WebSocket must be open. */
RTC_C_EXPORT int rtcGetWebSocketPath(int ws, char *buffer, int size);

/* A client that connected to a server; free it with rtcDeleteWebSocket. */
typedef void(RTC_API *rtcWebSocketClientCallbackFunc)(int wsserver, int ws, void *ptr);

typedef struct {
	uint16_t port;                  /* 0 for any free one */
	bool enableTls;                 /* wss: instead of ws: */
	const char *certificatePemFile; /* paths; NULL for a self-made certificate */
	const char *keyPemFile;
	const char *keyPemPass;  /* NULL for none */
	const char *bindAddress; /* NULL for all */
	int connectionTimeoutMs; /* 0 for the default, < 0 for none */
	int maxMessageSize;      /* bytes, <= 0 for the default */
} rtcWsServerConfiguration;

/* Returns the identifier of a new listening server. */
RTC_C_EXPORT int rtcCreateWebSocketServer(const rtcWsServerConfiguration *config,
                                          rtcWebSocketClientCallbackFunc cb);
RTC_C_EXPORT int rtcDeleteWebSocketServer(int wsserver);
RTC_C_EXPORT int rtcGetWebSocketServerPort(int wsserver);

#endif /* RTC_ENABLE_WEBSOCKET */

/* ---- Process-wide settings ------------------------------------------------------------------- */

/* Threads that run callbacks, 0 for the default. Applies to threads not yet started. */
RTC_C_EXPORT int rtcSetThreadPoolSize(unsigned int count);

/* 0 means the default in every field, and so does a negative value unless noted.
 *
 * congestionControlModule: by default, and for 3 (RTCC of usrsctp), losses without a queue on the
 * path are taken for random ones and do not slow the sender down; 1 (HSTCP) and 2 (H-TCP) are
 * CUBIC, which does here what they are for; RTC_CONGESTION_RFC9260 of rtc_ext.h is the window of
 * the standard, which 0 means in libdatachannel. */
typedef struct {
	int recvBufferSize;             /* bytes, 4194304; at least the largest message is taken */
	int sendBufferSize;             /* bytes, 1048576 */
	int maxChunksOnQueue;           /* messages that are not acknowledged yet, 10240 */
	int initialCongestionWindow;    /* in MTUs, 10 */
	int maxBurst;                   /* in MTUs, 10; < 0 for no limit */
	int congestionControlModule;    /* see above; any other value is invalid */
	int delayedSackTimeMs;          /* 20; < 0 for no delay */
	int minRetransmitTimeoutMs;     /* 200; more than the maximum is invalid */
	int maxRetransmitTimeoutMs;     /* 10000 */
	int initialRetransmitTimeoutMs; /* 1000 */
	int maxRetransmitAttempts;      /* 5 */
	int heartbeatIntervalMs;        /* 10000 */
} rtcSctpSettings;

/* For peer connections created afterwards; those that exist keep what they were created with. With
 * invalid values (RTC_ERR_INVALID) nothing changes. */
RTC_C_EXPORT int rtcSetSctpSettings(const rtcSctpSettings *settings);

/* Loads global resources now instead of with the first object; returns when that is done. */
RTC_C_EXPORT void rtcPreload(void);
/* Unloads global resources: before returning when all peer connections, WebSockets and WebSocket
 * servers are deleted, otherwise when the last one is. */
RTC_C_EXPORT void rtcCleanup(void);

/* ---- Peer connections: of the release after 0.24.5 -------------------------------------------
 *
 * Not in libdatachannel 0.24.5, like the media functions of that release above. */

typedef struct {
	const char *iceUfrag; /* 4 to 256 letters, digits, + and /, or both NULL for random ones */
	const char *icePwd;   /* 22 to 256 of them */
} rtcLocalDescriptionInit;

/* As rtcSetLocalDescription, with the ICE credentials of this side. They stay as they are once a
 * description is set: other ones are then RTC_ERR_INVALID. `init` may be NULL. */
RTC_C_EXPORT int rtcSetLocalDescriptionEx(int pc, const char *type,
                                          const rtcLocalDescriptionInit *init);

#ifdef __cplusplus
}
#endif

#endif /* RTC_C_API */
