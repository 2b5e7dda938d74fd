//! Functions of one signature by name, so that tests can walk through all of them.

use super::table::{Library, Table};
use super::types::RawPacketizerInit;
use crate::outcome::skip;
use std::ffi::{c_char, c_int};

/// A function of type `F`.
#[derive(Clone, Copy)]
pub(crate) struct Function<F> {
    pub(crate) name: &'static str,
    pick: fn(&Table) -> Option<F>,
}

impl<F> Function<F> {
    /// The function of this library, or the end of the test as skipped.
    pub(super) fn of(self, library: &Library) -> F {
        (self.pick)(&library.table)
            .unwrap_or_else(|| skip(&format!("{} is not in the library", self.name)))
    }
}

/// A function taking an identifier and returning an `int`.
pub(crate) type ById = Function<unsafe extern "C" fn(c_int) -> c_int>;

/// A function filling a buffer with a string.
pub(crate) type Getter = Function<unsafe extern "C" fn(c_int, *mut c_char, c_int) -> c_int>;

/// A packetizer setter.
pub(crate) type Packetizer =
    Function<unsafe extern "C" fn(c_int, *const RawPacketizerInit) -> c_int>;

/// A predicate on an identifier.
pub(crate) type Predicate = Function<unsafe extern "C" fn(c_int) -> bool>;

macro_rules! catalogue {
    ($kind:ident { $($constant:ident = $name:ident),* $(,)? }) => {
        impl $kind {
            $( pub(crate) const $constant: Self =
                Self { name: stringify!($name), pick: |table| table.$name }; )*
            pub(crate) const ALL: &'static [Self] = &[ $( Self::$constant ),* ];
        }
    };
}

catalogue!(ById {
    CLOSE_PC = rtcClosePeerConnection,
    DELETE_PC = rtcDeletePeerConnection,
    MAX_STREAM = rtcGetMaxDataChannelStream,
    REMOTE_MAX_MESSAGE_SIZE = rtcGetRemoteMaxMessageSize,
    CLOSE = rtcClose,
    DELETE = rtcDelete,
    MAX_MESSAGE_SIZE = rtcMaxMessageSize,
    BUFFERED_AMOUNT = rtcGetBufferedAmount,
    AVAILABLE_AMOUNT = rtcGetAvailableAmount,
    DELETE_DC = rtcDeleteDataChannel,
    STREAM = rtcGetDataChannelStream,
    DELETE_TRACK = rtcDeleteTrack,
    REQUEST_KEYFRAME = rtcRequestKeyframe,
    CHAIN_RECEIVING_SESSION = rtcChainRtcpReceivingSession,
    CHAIN_SR_REPORTER = rtcChainRtcpSrReporter,
    DELETE_WS = rtcDeleteWebSocket,
    DELETE_WS_SERVER = rtcDeleteWebSocketServer,
    WS_SERVER_PORT = rtcGetWebSocketServerPort,
    DEPACKETIZE_VP8 = rtcSetVP8Depacketizer,
    DEPACKETIZE_VP9 = rtcSetVP9Depacketizer,
    DEPACKETIZE_OPUS = rtcSetOpusDepacketizer,
    DEPACKETIZE_AAC = rtcSetAACDepacketizer,
    DEPACKETIZE_PCMU = rtcSetPCMUDepacketizer,
    DEPACKETIZE_PCMA = rtcSetPCMADepacketizer,
    DEPACKETIZE_G722 = rtcSetG722Depacketizer,
});

catalogue!(Getter {
    LOCAL_DESCRIPTION = rtcGetLocalDescription,
    REMOTE_DESCRIPTION = rtcGetRemoteDescription,
    LOCAL_TYPE = rtcGetLocalDescriptionType,
    REMOTE_TYPE = rtcGetRemoteDescriptionType,
    OFFER = rtcCreateOffer,
    ANSWER = rtcCreateAnswer,
    LOCAL_ADDRESS = rtcGetLocalAddress,
    REMOTE_ADDRESS = rtcGetRemoteAddress,
    LABEL = rtcGetDataChannelLabel,
    PROTOCOL = rtcGetDataChannelProtocol,
    TRACK_DESCRIPTION = rtcGetTrackDescription,
    TRACK_MID = rtcGetTrackMid,
    WS_REMOTE_ADDRESS = rtcGetWebSocketRemoteAddress,
    WS_PATH = rtcGetWebSocketPath,
});

catalogue!(Packetizer {
    H264 = rtcSetH264Packetizer,
    H265 = rtcSetH265Packetizer,
    AV1 = rtcSetAV1Packetizer,
    OPUS = rtcSetOpusPacketizer,
    AAC = rtcSetAACPacketizer,
    PCMU = rtcSetPCMUPacketizer,
    PCMA = rtcSetPCMAPacketizer,
    G722 = rtcSetG722Packetizer,
    VP8 = rtcSetVP8Packetizer,
    VP9 = rtcSetVP9Packetizer,
});

catalogue!(Predicate {
    IS_OPEN = rtcIsOpen,
    IS_CLOSED = rtcIsClosed,
    NEGOTIATION_NEEDED = rtcIsNegotiationNeeded,
});
