//! The functions of rtc.h as loaded from a library: every one may be absent.

use super::types::*;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};

macro_rules! functions {
    ($( $name:ident ( $($arg:ty),* ) $(-> $ret:ty)? ; )*) => {
        /// One optional function pointer per name.
        /// A test of the exports finds even those the suite never calls.
        #[allow(non_snake_case, dead_code)]
        pub(crate) struct Table {
            $( pub(crate) $name: Option<unsafe extern "C" fn($($arg),*) $(-> $ret)?>, )*
        }

        impl Table {
            fn load(library: &libloading::Library) -> Self {
                Self {
                    $( $name: {
                        type Function = unsafe extern "C" fn($($arg),*) $(-> $ret)?;
                        // SAFETY: the type is the one rtc.h declares for this name.
                        unsafe { library.get::<Function>(stringify!($name)) }
                            .ok()
                            .map(|symbol| *symbol)
                    }, )*
                }
            }
        }

        /// Every name the suite knows, the extensions last.
        pub(crate) const NAMES: &[&str] = &[ $( stringify!($name) ),* ];
    };
}

type Chars = *const c_char;
type Buffer = *mut c_char;

functions! {
    rtcInitLogger(c_int, LogCallback);
    rtcSetUserPointer(c_int, *mut c_void);
    rtcGetUserPointer(c_int) -> *mut c_void;
    rtcCreatePeerConnection(*const RawConfiguration) -> c_int;
    rtcClosePeerConnection(c_int) -> c_int;
    rtcDeletePeerConnection(c_int) -> c_int;
    rtcSetLocalDescriptionCallback(c_int, TextPairCallback) -> c_int;
    rtcSetLocalCandidateCallback(c_int, TextPairCallback) -> c_int;
    rtcSetStateChangeCallback(c_int, NumberCallback) -> c_int;
    rtcSetIceStateChangeCallback(c_int, NumberCallback) -> c_int;
    rtcSetGatheringStateChangeCallback(c_int, NumberCallback) -> c_int;
    rtcSetSignalingStateChangeCallback(c_int, NumberCallback) -> c_int;
    rtcSetLocalDescription(c_int, Chars) -> c_int;
    rtcSetRemoteDescription(c_int, Chars, Chars) -> c_int;
    rtcAddRemoteCandidate(c_int, Chars, Chars) -> c_int;
    rtcGetLocalDescription(c_int, Buffer, c_int) -> c_int;
    rtcGetRemoteDescription(c_int, Buffer, c_int) -> c_int;
    rtcGetLocalDescriptionType(c_int, Buffer, c_int) -> c_int;
    rtcGetRemoteDescriptionType(c_int, Buffer, c_int) -> c_int;
    rtcCreateOffer(c_int, Buffer, c_int) -> c_int;
    rtcCreateAnswer(c_int, Buffer, c_int) -> c_int;
    rtcGetLocalAddress(c_int, Buffer, c_int) -> c_int;
    rtcGetRemoteAddress(c_int, Buffer, c_int) -> c_int;
    rtcGetSelectedCandidatePair(c_int, Buffer, c_int, Buffer, c_int) -> c_int;
    rtcIsNegotiationNeeded(c_int) -> bool;
    rtcGetMaxDataChannelStream(c_int) -> c_int;
    rtcGetRemoteMaxMessageSize(c_int) -> c_int;
    rtcSetDataChannelCallback(c_int, NumberCallback) -> c_int;
    rtcSetTrackCallback(c_int, NumberCallback) -> c_int;
    rtcSetOpenCallback(c_int, PlainCallback) -> c_int;
    rtcSetClosedCallback(c_int, PlainCallback) -> c_int;
    rtcSetErrorCallback(c_int, TextCallback) -> c_int;
    rtcSetMessageCallback(c_int, MessageCallback) -> c_int;
    rtcSendMessage(c_int, Chars, c_int) -> c_int;
    rtcClose(c_int) -> c_int;
    rtcDelete(c_int) -> c_int;
    rtcIsOpen(c_int) -> bool;
    rtcIsClosed(c_int) -> bool;
    rtcMaxMessageSize(c_int) -> c_int;
    rtcGetBufferedAmount(c_int) -> c_int;
    rtcSetBufferedAmountLowThreshold(c_int, c_int) -> c_int;
    rtcSetBufferedAmountLowCallback(c_int, PlainCallback) -> c_int;
    rtcGetAvailableAmount(c_int) -> c_int;
    rtcSetAvailableCallback(c_int, PlainCallback) -> c_int;
    rtcReceiveMessage(c_int, Buffer, *mut c_int) -> c_int;
    rtcCreateDataChannel(c_int, Chars) -> c_int;
    rtcCreateDataChannelEx(c_int, Chars, *const RawDataChannelInit) -> c_int;
    rtcDeleteDataChannel(c_int) -> c_int;
    rtcGetDataChannelStream(c_int) -> c_int;
    rtcGetDataChannelLabel(c_int, Buffer, c_int) -> c_int;
    rtcGetDataChannelProtocol(c_int, Buffer, c_int) -> c_int;
    rtcGetDataChannelReliability(c_int, *mut Reliability) -> c_int;
    rtcAddTrack(c_int, Chars) -> c_int;
    rtcAddTrackEx(c_int, *const RawTrackInit) -> c_int;
    rtcDeleteTrack(c_int) -> c_int;
    rtcGetTrackDescription(c_int, Buffer, c_int) -> c_int;
    rtcGetTrackMid(c_int, Buffer, c_int) -> c_int;
    rtcGetTrackDirection(c_int, *mut c_int) -> c_int;
    rtcRequestKeyframe(c_int) -> c_int;
    rtcRequestBitrate(c_int, c_uint) -> c_int;
    rtcCreateOpaqueMessage(*mut c_void, c_int) -> *mut *mut c_void;
    rtcDeleteOpaqueMessage(*mut *mut c_void);
    rtcSetMediaInterceptorCallback(c_int, InterceptorCallback) -> c_int;
    rtcSetH264Packetizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetH265Packetizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetAV1Packetizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetOpusPacketizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetAACPacketizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetPCMUPacketizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetPCMAPacketizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetG722Packetizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcChainRtcpReceivingSession(c_int) -> c_int;
    rtcChainRtcpSrReporter(c_int) -> c_int;
    rtcChainRtcpNackResponder(c_int, c_uint) -> c_int;
    rtcChainPliHandler(c_int, PlainCallback) -> c_int;
    rtcChainRembHandler(c_int, UnsignedCallback) -> c_int;
    rtcTransformSecondsToTimestamp(c_int, Seconds, *mut u32) -> c_int;
    rtcTransformTimestampToSeconds(c_int, u32, *mut Seconds) -> c_int;
    rtcGetCurrentTrackTimestamp(c_int, *mut u32) -> c_int;
    rtcSetTrackRtpTimestamp(c_int, u32) -> c_int;
    rtcGetLastTrackSenderReportTimestamp(c_int, *mut u32) -> c_int;
    rtcGetTrackPayloadTypesForCodec(c_int, Chars, *mut c_int, c_int) -> c_int;
    rtcGetSsrcsForTrack(c_int, *mut u32, c_int) -> c_int;
    rtcGetCNameForSsrc(c_int, u32, Buffer, c_int) -> c_int;
    rtcGetSsrcsForType(Chars, Chars, *mut u32, c_int) -> c_int;
    rtcSetSsrcForType(Chars, Chars, Buffer, c_int, *mut RawSsrcForTypeInit) -> c_int;
    rtcSetNeedsToSendRtcpSr(c_int) -> c_int;
    rtcCreateWebSocket(Chars) -> c_int;
    rtcCreateWebSocketEx(Chars, *const RawWsConfiguration) -> c_int;
    rtcDeleteWebSocket(c_int) -> c_int;
    rtcGetWebSocketRemoteAddress(c_int, Buffer, c_int) -> c_int;
    rtcGetWebSocketPath(c_int, Buffer, c_int) -> c_int;
    rtcCreateWebSocketServer(*const RawWsServerConfiguration, NumberCallback) -> c_int;
    rtcDeleteWebSocketServer(c_int) -> c_int;
    rtcGetWebSocketServerPort(c_int) -> c_int;
    rtcSetThreadPoolSize(c_uint) -> c_int;
    rtcSetSctpSettings(*const SctpSettings) -> c_int;
    rtcPreload();
    rtcCleanup();
    rtcSetLocalDescriptionEx(c_int, Chars, *const RawLocalDescriptionInit) -> c_int;
    rtcSetFrameCallback(c_int, FrameCallback) -> c_int;
    rtcSetVP8Packetizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetVP9Packetizer(c_int, *const RawPacketizerInit) -> c_int;
    rtcSetH264Depacketizer(c_int, c_int) -> c_int;
    rtcSetH265Depacketizer(c_int, c_int) -> c_int;
    rtcSetAV1Depacketizer(c_int, c_int) -> c_int;
    rtcSetVP8Depacketizer(c_int) -> c_int;
    rtcSetVP9Depacketizer(c_int) -> c_int;
    rtcSetOpusDepacketizer(c_int) -> c_int;
    rtcSetAACDepacketizer(c_int) -> c_int;
    rtcSetPCMUDepacketizer(c_int) -> c_int;
    rtcSetPCMADepacketizer(c_int) -> c_int;
    rtcSetG722Depacketizer(c_int) -> c_int;
    rtcChainPacingHandler(c_int, Seconds, c_int) -> c_int;
    rtcGetTrackRtcpSyncTimestamps(c_int, *mut u64, *mut u64) -> c_int;
    rtcGetPayloadTypesForCodec(Chars, Chars, *mut c_int, c_int) -> c_int;
    rtcCleanupNow(c_int) -> c_int;
    rtcGetBackendNames(c_int, Buffer, c_int) -> c_int;
    rtcGetPeerConnectionBackend(c_int, c_int, Buffer, c_int) -> c_int;
    rtcRestartIce(c_int) -> c_int;
    rtcSetIceRecoveryTimeout(c_int, c_int) -> c_int;
    rtcSetMaxMtu(c_int, c_int) -> c_int;
}

/// How many of [`NAMES`] are not in rtc.h 0.24.5: those of the release after it, and extensions of
/// ours.
pub(crate) const EXTENSIONS: usize = 23;

/// A loaded library; never unloaded, since its threads may outlive any handle.
pub(crate) struct Library {
    pub(crate) path: PathBuf,
    pub(crate) table: Table,
}

/// Libraries live as long as the process.
pub(crate) type Lib = &'static Library;

impl Library {
    /// Loads a library into its own scope, so that two of them can be used side by side.
    /// A second one also prefers its own symbols over everything loaded before it.
    pub(crate) fn load(path: &Path, second: bool) -> Result<Lib, String> {
        use libloading::os::unix::{Library as Unix, RTLD_LOCAL, RTLD_NOW};
        let deep = if second { libc::RTLD_DEEPBIND } else { 0 };
        let flags = RTLD_NOW | RTLD_LOCAL | deep;
        // SAFETY: the library is the one under test; its constructors run here.
        let library = unsafe { Unix::open(Some(path), flags) }
            .map_err(|error| format!("cannot load {}: {error}", path.display()))?;
        let library: &'static libloading::Library =
            Box::leak(Box::new(libloading::Library::from(library)));
        let table = Table::load(library);
        Ok(Box::leak(Box::new(Library { path: path.to_owned(), table })))
    }

    /// Whether it is the real library, which does not tell its backends.
    pub(crate) fn is_real(&self) -> bool {
        self.table.rtcGetBackendNames.is_none()
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Library").field(&self.path).finish()
    }
}
