//! Written by `cargo xtask bindings` from rtc/rtc.h.

use std::os::raw::{c_char, c_int, c_uint, c_void};

pub const RTC_ENABLE_WEBSOCKET: u32 = 1;
pub const RTC_ENABLE_MEDIA: u32 = 1;
pub const RTC_DEFAULT_MTU: u32 = 1280;
pub const RTC_DEFAULT_MAX_STORED_PACKET_COUNT: u32 = 512;
pub const RTC_ERR_SUCCESS: u32 = 0;
pub const RTC_ERR_INVALID: i32 = -1;
pub const RTC_ERR_FAILURE: i32 = -2;
pub const RTC_ERR_NOT_AVAIL: i32 = -3;
pub const RTC_ERR_TOO_SMALL: i32 = -4;

pub type rtcState = c_uint;
pub const rtcState_RTC_NEW: rtcState = 0;
pub const rtcState_RTC_CONNECTING: rtcState = 1;
pub const rtcState_RTC_CONNECTED: rtcState = 2;
pub const rtcState_RTC_DISCONNECTED: rtcState = 3;
pub const rtcState_RTC_FAILED: rtcState = 4;
pub const rtcState_RTC_CLOSED: rtcState = 5;

pub type rtcIceState = c_uint;
pub const rtcIceState_RTC_ICE_NEW: rtcIceState = 0;
pub const rtcIceState_RTC_ICE_CHECKING: rtcIceState = 1;
pub const rtcIceState_RTC_ICE_CONNECTED: rtcIceState = 2;
pub const rtcIceState_RTC_ICE_COMPLETED: rtcIceState = 3;
pub const rtcIceState_RTC_ICE_FAILED: rtcIceState = 4;
pub const rtcIceState_RTC_ICE_DISCONNECTED: rtcIceState = 5;
pub const rtcIceState_RTC_ICE_CLOSED: rtcIceState = 6;

pub type rtcGatheringState = c_uint;
pub const rtcGatheringState_RTC_GATHERING_NEW: rtcGatheringState = 0;
pub const rtcGatheringState_RTC_GATHERING_INPROGRESS: rtcGatheringState = 1;
pub const rtcGatheringState_RTC_GATHERING_COMPLETE: rtcGatheringState = 2;

pub type rtcSignalingState = c_uint;
pub const rtcSignalingState_RTC_SIGNALING_STABLE: rtcSignalingState = 0;
pub const rtcSignalingState_RTC_SIGNALING_HAVE_LOCAL_OFFER: rtcSignalingState = 1;
pub const rtcSignalingState_RTC_SIGNALING_HAVE_REMOTE_OFFER: rtcSignalingState = 2;
pub const rtcSignalingState_RTC_SIGNALING_HAVE_LOCAL_PRANSWER: rtcSignalingState = 3;
pub const rtcSignalingState_RTC_SIGNALING_HAVE_REMOTE_PRANSWER: rtcSignalingState = 4;

pub type rtcLogLevel = c_uint;
pub const rtcLogLevel_RTC_LOG_NONE: rtcLogLevel = 0;
pub const rtcLogLevel_RTC_LOG_FATAL: rtcLogLevel = 1;
pub const rtcLogLevel_RTC_LOG_ERROR: rtcLogLevel = 2;
pub const rtcLogLevel_RTC_LOG_WARNING: rtcLogLevel = 3;
pub const rtcLogLevel_RTC_LOG_INFO: rtcLogLevel = 4;
pub const rtcLogLevel_RTC_LOG_DEBUG: rtcLogLevel = 5;
pub const rtcLogLevel_RTC_LOG_VERBOSE: rtcLogLevel = 6;

pub type rtcCertificateType = c_uint;
pub const rtcCertificateType_RTC_CERTIFICATE_DEFAULT: rtcCertificateType = 0;
pub const rtcCertificateType_RTC_CERTIFICATE_ECDSA: rtcCertificateType = 1;
pub const rtcCertificateType_RTC_CERTIFICATE_RSA: rtcCertificateType = 2;

pub type rtcCodec = c_uint;
pub const rtcCodec_RTC_CODEC_H264: rtcCodec = 0;
pub const rtcCodec_RTC_CODEC_VP8: rtcCodec = 1;
pub const rtcCodec_RTC_CODEC_VP9: rtcCodec = 2;
pub const rtcCodec_RTC_CODEC_H265: rtcCodec = 3;
pub const rtcCodec_RTC_CODEC_AV1: rtcCodec = 4;
pub const rtcCodec_RTC_CODEC_OPUS: rtcCodec = 128;
pub const rtcCodec_RTC_CODEC_PCMU: rtcCodec = 129;
pub const rtcCodec_RTC_CODEC_PCMA: rtcCodec = 130;
pub const rtcCodec_RTC_CODEC_AAC: rtcCodec = 131;
pub const rtcCodec_RTC_CODEC_G722: rtcCodec = 132;

pub type rtcDirection = c_uint;
pub const rtcDirection_RTC_DIRECTION_UNKNOWN: rtcDirection = 0;
pub const rtcDirection_RTC_DIRECTION_SENDONLY: rtcDirection = 1;
pub const rtcDirection_RTC_DIRECTION_RECVONLY: rtcDirection = 2;
pub const rtcDirection_RTC_DIRECTION_SENDRECV: rtcDirection = 3;
pub const rtcDirection_RTC_DIRECTION_INACTIVE: rtcDirection = 4;

pub type rtcTransportPolicy = c_uint;
pub const rtcTransportPolicy_RTC_TRANSPORT_POLICY_ALL: rtcTransportPolicy = 0;
pub const rtcTransportPolicy_RTC_TRANSPORT_POLICY_RELAY: rtcTransportPolicy = 1;

pub type rtcLogCallbackFunc =
    Option<unsafe extern "C" fn(level: rtcLogLevel, message: *const c_char)>;

pub type rtcDescriptionCallbackFunc = Option<
    unsafe extern "C" fn(pc: c_int, sdp: *const c_char, type_: *const c_char, ptr: *mut c_void),
>;

pub type rtcCandidateCallbackFunc = Option<
    unsafe extern "C" fn(pc: c_int, cand: *const c_char, mid: *const c_char, ptr: *mut c_void),
>;

pub type rtcStateChangeCallbackFunc =
    Option<unsafe extern "C" fn(pc: c_int, state: rtcState, ptr: *mut c_void)>;

pub type rtcIceStateChangeCallbackFunc =
    Option<unsafe extern "C" fn(pc: c_int, state: rtcIceState, ptr: *mut c_void)>;

pub type rtcGatheringStateCallbackFunc =
    Option<unsafe extern "C" fn(pc: c_int, state: rtcGatheringState, ptr: *mut c_void)>;

pub type rtcSignalingStateCallbackFunc =
    Option<unsafe extern "C" fn(pc: c_int, state: rtcSignalingState, ptr: *mut c_void)>;

pub type rtcDataChannelCallbackFunc =
    Option<unsafe extern "C" fn(pc: c_int, dc: c_int, ptr: *mut c_void)>;

pub type rtcTrackCallbackFunc =
    Option<unsafe extern "C" fn(pc: c_int, tr: c_int, ptr: *mut c_void)>;

pub type rtcOpenCallbackFunc = Option<unsafe extern "C" fn(id: c_int, ptr: *mut c_void)>;

pub type rtcClosedCallbackFunc = Option<unsafe extern "C" fn(id: c_int, ptr: *mut c_void)>;

pub type rtcErrorCallbackFunc =
    Option<unsafe extern "C" fn(id: c_int, error: *const c_char, ptr: *mut c_void)>;

pub type rtcMessageCallbackFunc =
    Option<unsafe extern "C" fn(id: c_int, message: *const c_char, size: c_int, ptr: *mut c_void)>;

pub type rtcBufferedAmountLowCallbackFunc =
    Option<unsafe extern "C" fn(id: c_int, ptr: *mut c_void)>;

pub type rtcAvailableCallbackFunc = Option<unsafe extern "C" fn(id: c_int, ptr: *mut c_void)>;

pub type rtcInterceptorCallbackFunc = Option<
    unsafe extern "C" fn(
        pc: c_int,
        message: *const c_char,
        size: c_int,
        ptr: *mut c_void,
    ) -> *mut c_void,
>;

pub type rtcPliHandlerCallbackFunc = Option<unsafe extern "C" fn(tr: c_int, ptr: *mut c_void)>;

pub type rtcRembHandlerCallbackFunc =
    Option<unsafe extern "C" fn(tr: c_int, bitrate: c_uint, ptr: *mut c_void)>;

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcConfiguration {
    pub iceServers: *mut *const c_char,
    pub iceServersCount: c_int,
    pub proxyServer: *const c_char,
    pub bindAddress: *const c_char,
    pub certificateType: rtcCertificateType,
    pub iceTransportPolicy: rtcTransportPolicy,
    pub enableIceTcp: bool,
    pub enableIceUdpMux: bool,
    pub disableAutoNegotiation: bool,
    pub forceMediaTransport: bool,
    pub portRangeBegin: u16,
    pub portRangeEnd: u16,
    pub mtu: c_int,
    pub maxMessageSize: c_int,
}

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcReliability {
    pub unordered: bool,
    pub unreliable: bool,
    pub maxPacketLifeTime: c_uint,
    pub maxRetransmits: c_uint,
}

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcDataChannelInit {
    pub reliability: rtcReliability,
    pub protocol: *const c_char,
    pub negotiated: bool,
    pub manualStream: bool,
    pub stream: u16,
}

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcTrackInit {
    pub direction: rtcDirection,
    pub codec: rtcCodec,
    pub payloadType: c_int,
    pub ssrc: u32,
    pub mid: *const c_char,
    pub name: *const c_char,
    pub msid: *const c_char,
    pub trackId: *const c_char,
    pub profile: *const c_char,
}

pub type rtcObuPacketization = c_uint;
pub const rtcObuPacketization_RTC_OBU_PACKETIZED_OBU: rtcObuPacketization = 0;
pub const rtcObuPacketization_RTC_OBU_PACKETIZED_TEMPORAL_UNIT: rtcObuPacketization = 1;

pub type rtcNalUnitSeparator = c_uint;
pub const rtcNalUnitSeparator_RTC_NAL_SEPARATOR_LENGTH: rtcNalUnitSeparator = 0;
pub const rtcNalUnitSeparator_RTC_NAL_SEPARATOR_LONG_START_SEQUENCE: rtcNalUnitSeparator = 1;
pub const rtcNalUnitSeparator_RTC_NAL_SEPARATOR_SHORT_START_SEQUENCE: rtcNalUnitSeparator = 2;
pub const rtcNalUnitSeparator_RTC_NAL_SEPARATOR_START_SEQUENCE: rtcNalUnitSeparator = 3;

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcPacketizerInit {
    pub ssrc: u32,
    pub cname: *const c_char,
    pub payloadType: u8,
    pub clockRate: u32,
    pub sequenceNumber: u16,
    pub timestamp: u32,
    pub maxFragmentSize: u16,
    pub nalSeparator: rtcNalUnitSeparator,
    pub obuPacketization: rtcObuPacketization,
    pub playoutDelayId: u8,
    pub playoutDelayMin: u16,
    pub playoutDelayMax: u16,
    pub colorSpaceId: u8,
    pub colorChromaSitingHorz: u8,
    pub colorChromaSitingVert: u8,
    pub colorRange: u8,
    pub colorPrimaries: u8,
    pub colorTransfer: u8,
    pub colorMatrix: u8,
}

pub type rtcPacketizationHandlerInit = rtcPacketizerInit;

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcSsrcForTypeInit {
    pub ssrc: u32,
    pub name: *const c_char,
    pub msid: *const c_char,
    pub trackId: *const c_char,
}

pub type rtcMessage = *mut c_void;

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcFrameInfo {
    pub timestamp: u32,
    pub payloadType: u8,
    pub timestampSeconds: f64,
}

pub type rtcFrameCallbackFunc = Option<
    unsafe extern "C" fn(
        tr: c_int,
        data: *const c_char,
        size: c_int,
        info: *const rtcFrameInfo,
        ptr: *mut c_void,
    ),
>;

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcWsConfiguration {
    pub disableTlsVerification: bool,
    pub proxyServer: *const c_char,
    pub protocols: *mut *const c_char,
    pub protocolsCount: c_int,
    pub connectionTimeoutMs: c_int,
    pub pingIntervalMs: c_int,
    pub maxOutstandingPings: c_int,
    pub maxMessageSize: c_int,
}

pub type rtcWebSocketClientCallbackFunc =
    Option<unsafe extern "C" fn(wsserver: c_int, ws: c_int, ptr: *mut c_void)>;

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcWsServerConfiguration {
    pub port: u16,
    pub enableTls: bool,
    pub certificatePemFile: *const c_char,
    pub keyPemFile: *const c_char,
    pub keyPemPass: *const c_char,
    pub bindAddress: *const c_char,
    pub connectionTimeoutMs: c_int,
    pub maxMessageSize: c_int,
}

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcSctpSettings {
    pub recvBufferSize: c_int,
    pub sendBufferSize: c_int,
    pub maxChunksOnQueue: c_int,
    pub initialCongestionWindow: c_int,
    pub maxBurst: c_int,
    pub congestionControlModule: c_int,
    pub delayedSackTimeMs: c_int,
    pub minRetransmitTimeoutMs: c_int,
    pub maxRetransmitTimeoutMs: c_int,
    pub initialRetransmitTimeoutMs: c_int,
    pub maxRetransmitAttempts: c_int,
    pub heartbeatIntervalMs: c_int,
}

#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtcLocalDescriptionInit {
    pub iceUfrag: *const c_char,
    pub icePwd: *const c_char,
}

unsafe extern "C" {
    pub fn rtcInitLogger(level: rtcLogLevel, cb: rtcLogCallbackFunc);
    pub fn rtcSetUserPointer(id: c_int, ptr: *mut c_void);
    pub fn rtcGetUserPointer(i: c_int) -> *mut c_void;
    pub fn rtcCreatePeerConnection(config: *const rtcConfiguration) -> c_int;
    pub fn rtcClosePeerConnection(pc: c_int) -> c_int;
    pub fn rtcDeletePeerConnection(pc: c_int) -> c_int;
    pub fn rtcSetLocalDescriptionCallback(pc: c_int, cb: rtcDescriptionCallbackFunc) -> c_int;
    pub fn rtcSetLocalCandidateCallback(pc: c_int, cb: rtcCandidateCallbackFunc) -> c_int;
    pub fn rtcSetStateChangeCallback(pc: c_int, cb: rtcStateChangeCallbackFunc) -> c_int;
    pub fn rtcSetIceStateChangeCallback(pc: c_int, cb: rtcIceStateChangeCallbackFunc) -> c_int;
    pub fn rtcSetGatheringStateChangeCallback(
        pc: c_int,
        cb: rtcGatheringStateCallbackFunc,
    ) -> c_int;
    pub fn rtcSetSignalingStateChangeCallback(
        pc: c_int,
        cb: rtcSignalingStateCallbackFunc,
    ) -> c_int;
    pub fn rtcSetLocalDescription(pc: c_int, type_: *const c_char) -> c_int;
    pub fn rtcSetRemoteDescription(pc: c_int, sdp: *const c_char, type_: *const c_char) -> c_int;
    pub fn rtcAddRemoteCandidate(pc: c_int, cand: *const c_char, mid: *const c_char) -> c_int;
    pub fn rtcGetLocalDescription(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetRemoteDescription(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetLocalDescriptionType(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetRemoteDescriptionType(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcCreateOffer(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcCreateAnswer(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetLocalAddress(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetRemoteAddress(pc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetSelectedCandidatePair(
        pc: c_int,
        local: *mut c_char,
        localSize: c_int,
        remote: *mut c_char,
        remoteSize: c_int,
    ) -> c_int;
    pub fn rtcIsNegotiationNeeded(pc: c_int) -> bool;
    pub fn rtcGetMaxDataChannelStream(pc: c_int) -> c_int;
    pub fn rtcGetRemoteMaxMessageSize(pc: c_int) -> c_int;
    pub fn rtcSetOpenCallback(id: c_int, cb: rtcOpenCallbackFunc) -> c_int;
    pub fn rtcSetClosedCallback(id: c_int, cb: rtcClosedCallbackFunc) -> c_int;
    pub fn rtcSetErrorCallback(id: c_int, cb: rtcErrorCallbackFunc) -> c_int;
    pub fn rtcSetMessageCallback(id: c_int, cb: rtcMessageCallbackFunc) -> c_int;
    pub fn rtcSendMessage(id: c_int, data: *const c_char, size: c_int) -> c_int;
    pub fn rtcClose(id: c_int) -> c_int;
    pub fn rtcDelete(id: c_int) -> c_int;
    pub fn rtcIsOpen(id: c_int) -> bool;
    pub fn rtcIsClosed(id: c_int) -> bool;
    pub fn rtcMaxMessageSize(id: c_int) -> c_int;
    pub fn rtcGetBufferedAmount(id: c_int) -> c_int;
    pub fn rtcSetBufferedAmountLowThreshold(id: c_int, amount: c_int) -> c_int;
    pub fn rtcSetBufferedAmountLowCallback(
        id: c_int,
        cb: rtcBufferedAmountLowCallbackFunc,
    ) -> c_int;
    pub fn rtcGetAvailableAmount(id: c_int) -> c_int;
    pub fn rtcSetAvailableCallback(id: c_int, cb: rtcAvailableCallbackFunc) -> c_int;
    pub fn rtcReceiveMessage(id: c_int, buffer: *mut c_char, size: *mut c_int) -> c_int;
    pub fn rtcSetDataChannelCallback(pc: c_int, cb: rtcDataChannelCallbackFunc) -> c_int;
    pub fn rtcCreateDataChannel(pc: c_int, label: *const c_char) -> c_int;
    pub fn rtcCreateDataChannelEx(
        pc: c_int,
        label: *const c_char,
        init: *const rtcDataChannelInit,
    ) -> c_int;
    pub fn rtcDeleteDataChannel(dc: c_int) -> c_int;
    pub fn rtcGetDataChannelStream(dc: c_int) -> c_int;
    pub fn rtcGetDataChannelLabel(dc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetDataChannelProtocol(dc: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetDataChannelReliability(dc: c_int, reliability: *mut rtcReliability) -> c_int;
    pub fn rtcSetTrackCallback(pc: c_int, cb: rtcTrackCallbackFunc) -> c_int;
    pub fn rtcAddTrack(pc: c_int, mediaDescriptionSdp: *const c_char) -> c_int;
    pub fn rtcAddTrackEx(pc: c_int, init: *const rtcTrackInit) -> c_int;
    pub fn rtcDeleteTrack(tr: c_int) -> c_int;
    pub fn rtcGetTrackDescription(tr: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetTrackMid(tr: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetTrackDirection(tr: c_int, direction: *mut rtcDirection) -> c_int;
    pub fn rtcRequestKeyframe(tr: c_int) -> c_int;
    pub fn rtcRequestBitrate(tr: c_int, bitrate: c_uint) -> c_int;
    pub fn rtcCreateOpaqueMessage(data: *mut c_void, size: c_int) -> *mut rtcMessage;
    pub fn rtcDeleteOpaqueMessage(msg: *mut rtcMessage);
    pub fn rtcSetMediaInterceptorCallback(id: c_int, cb: rtcInterceptorCallbackFunc) -> c_int;
    pub fn rtcSetH264Packetizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetH265Packetizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetAV1Packetizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetOpusPacketizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetAACPacketizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetPCMUPacketizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetPCMAPacketizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetG722Packetizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcChainRtcpReceivingSession(tr: c_int) -> c_int;
    pub fn rtcChainRtcpSrReporter(tr: c_int) -> c_int;
    pub fn rtcChainRtcpNackResponder(tr: c_int, maxStoredPacketsCount: c_uint) -> c_int;
    pub fn rtcChainPliHandler(tr: c_int, cb: rtcPliHandlerCallbackFunc) -> c_int;
    pub fn rtcChainRembHandler(tr: c_int, cb: rtcRembHandlerCallbackFunc) -> c_int;
    pub fn rtcTransformSecondsToTimestamp(id: c_int, seconds: f64, timestamp: *mut u32) -> c_int;
    pub fn rtcTransformTimestampToSeconds(id: c_int, timestamp: u32, seconds: *mut f64) -> c_int;
    pub fn rtcGetCurrentTrackTimestamp(id: c_int, timestamp: *mut u32) -> c_int;
    pub fn rtcSetTrackRtpTimestamp(id: c_int, timestamp: u32) -> c_int;
    pub fn rtcGetLastTrackSenderReportTimestamp(id: c_int, timestamp: *mut u32) -> c_int;
    pub fn rtcGetTrackPayloadTypesForCodec(
        tr: c_int,
        ccodec: *const c_char,
        buffer: *mut c_int,
        size: c_int,
    ) -> c_int;
    pub fn rtcGetSsrcsForTrack(tr: c_int, buffer: *mut u32, count: c_int) -> c_int;
    pub fn rtcGetCNameForSsrc(tr: c_int, ssrc: u32, cname: *mut c_char, cnameSize: c_int) -> c_int;
    pub fn rtcGetSsrcsForType(
        mediaType: *const c_char,
        sdp: *const c_char,
        buffer: *mut u32,
        bufferSize: c_int,
    ) -> c_int;
    pub fn rtcSetSsrcForType(
        mediaType: *const c_char,
        sdp: *const c_char,
        buffer: *mut c_char,
        bufferSize: c_int,
        init: *mut rtcSsrcForTypeInit,
    ) -> c_int;
    pub fn rtcSetNeedsToSendRtcpSr(id: c_int) -> c_int;
    pub fn rtcSetFrameCallback(tr: c_int, cb: rtcFrameCallbackFunc) -> c_int;
    pub fn rtcSetVP8Packetizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetVP9Packetizer(tr: c_int, init: *const rtcPacketizerInit) -> c_int;
    pub fn rtcSetH264Depacketizer(tr: c_int, separator: rtcNalUnitSeparator) -> c_int;
    pub fn rtcSetH265Depacketizer(tr: c_int, separator: rtcNalUnitSeparator) -> c_int;
    pub fn rtcSetAV1Depacketizer(tr: c_int, packetization: rtcObuPacketization) -> c_int;
    pub fn rtcSetVP8Depacketizer(tr: c_int) -> c_int;
    pub fn rtcSetVP9Depacketizer(tr: c_int) -> c_int;
    pub fn rtcSetOpusDepacketizer(tr: c_int) -> c_int;
    pub fn rtcSetAACDepacketizer(tr: c_int) -> c_int;
    pub fn rtcSetPCMUDepacketizer(tr: c_int) -> c_int;
    pub fn rtcSetPCMADepacketizer(tr: c_int) -> c_int;
    pub fn rtcSetG722Depacketizer(tr: c_int) -> c_int;
    pub fn rtcChainPacingHandler(tr: c_int, bitsPerSecond: f64, sendIntervalMs: c_int) -> c_int;
    pub fn rtcGetTrackRtcpSyncTimestamps(
        tr: c_int,
        rtpTimestamp: *mut u64,
        ntpTimestamp: *mut u64,
    ) -> c_int;
    pub fn rtcGetPayloadTypesForCodec(
        sdp: *const c_char,
        ccodec: *const c_char,
        buffer: *mut c_int,
        size: c_int,
    ) -> c_int;
    pub fn rtcCreateWebSocket(url: *const c_char) -> c_int;
    pub fn rtcCreateWebSocketEx(url: *const c_char, config: *const rtcWsConfiguration) -> c_int;
    pub fn rtcDeleteWebSocket(ws: c_int) -> c_int;
    pub fn rtcGetWebSocketRemoteAddress(ws: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcGetWebSocketPath(ws: c_int, buffer: *mut c_char, size: c_int) -> c_int;
    pub fn rtcCreateWebSocketServer(
        config: *const rtcWsServerConfiguration,
        cb: rtcWebSocketClientCallbackFunc,
    ) -> c_int;
    pub fn rtcDeleteWebSocketServer(wsserver: c_int) -> c_int;
    pub fn rtcGetWebSocketServerPort(wsserver: c_int) -> c_int;
    pub fn rtcSetThreadPoolSize(count: c_uint) -> c_int;
    pub fn rtcSetSctpSettings(settings: *const rtcSctpSettings) -> c_int;
    pub fn rtcPreload();
    pub fn rtcCleanup();
    pub fn rtcSetLocalDescriptionEx(
        pc: c_int,
        type_: *const c_char,
        init: *const rtcLocalDescriptionInit,
    ) -> c_int;
}
