//! The types and constants of `rtc/rtc.h` as Rust sees them.
//!
//! Layouts and values are those of libdatachannel 0.24.5. Each is stated once, in a table that is
//! checked against the Rust types when this crate compiles and against the C header by its tests.
//!
//! Nothing here trusts the caller: an enumeration is a plain [`c_int`], a boolean a [`CBool`], so
//! that every bit pattern C may leave in a structure is a valid value of the Rust type.

use std::ffi::{c_char, c_int, c_uint, c_void};

/// A C `bool` read from or written to memory that C owns: any value but 0 is true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct CBool(u8);

impl CBool {
    /// The truth value.
    pub const fn is_true(self) -> bool {
        self.0 != 0
    }
}

impl From<bool> for CBool {
    fn from(value: bool) -> Self {
        CBool(value.into())
    }
}

/// States each constant of the header once: as an item here and as a row of the tests' table.
macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$doc])* pub const $name: c_int = $value;)*

        #[cfg(test)]
        const CONSTANTS: &[(&str, c_int)] = &[$((stringify!($name), $name)),*];
    };
}

/// States the layout of each structure once: as compile-time assertions (64-bit targets, the only
/// ones whose layout was measured) and as a row of the tests' table.
macro_rules! layouts {
    ($($rust:ident as $c:ident: size $size:literal, align $align:literal {
        $($field:ident as $c_field:ident @ $offset:literal,)*
    })*) => {
        #[cfg(target_pointer_width = "64")]
        const _: () = {
            $(
                assert!(size_of::<$rust>() == $size);
                assert!(align_of::<$rust>() == $align);
                $(assert!(std::mem::offset_of!($rust, $field) == $offset);)*
            )*
        };

        #[cfg(test)]
        const LAYOUTS: &[Layout] = &[$(Layout {
            name: stringify!($c),
            size: $size,
            align: $align,
            offsets: &[$((stringify!($c_field), $offset)),*],
        }),*];
    };
}

constants! {
    /// The call did what was asked.
    RTC_ERR_SUCCESS = 0;
    /// An argument is wrong, or names no such object.
    RTC_ERR_INVALID = -1;
    /// The operation failed, or does not fit the object's state.
    RTC_ERR_FAILURE = -2;
    /// What was asked for does not exist at the moment.
    RTC_ERR_NOT_AVAIL = -3;
    /// The buffer cannot hold the result.
    RTC_ERR_TOO_SMALL = -4;

    /// `rtcState`.
    RTC_NEW = 0;
    /// `rtcState`.
    RTC_CONNECTING = 1;
    /// `rtcState`.
    RTC_CONNECTED = 2;
    /// `rtcState`.
    RTC_DISCONNECTED = 3;
    /// `rtcState`.
    RTC_FAILED = 4;
    /// `rtcState`.
    RTC_CLOSED = 5;

    /// `rtcIceState`.
    RTC_ICE_NEW = 0;
    /// `rtcIceState`.
    RTC_ICE_CHECKING = 1;
    /// `rtcIceState`.
    RTC_ICE_CONNECTED = 2;
    /// `rtcIceState`.
    RTC_ICE_COMPLETED = 3;
    /// `rtcIceState`.
    RTC_ICE_FAILED = 4;
    /// `rtcIceState`.
    RTC_ICE_DISCONNECTED = 5;
    /// `rtcIceState`.
    RTC_ICE_CLOSED = 6;

    /// `rtcGatheringState`.
    RTC_GATHERING_NEW = 0;
    /// `rtcGatheringState`.
    RTC_GATHERING_INPROGRESS = 1;
    /// `rtcGatheringState`.
    RTC_GATHERING_COMPLETE = 2;

    /// `rtcSignalingState`.
    RTC_SIGNALING_STABLE = 0;
    /// `rtcSignalingState`.
    RTC_SIGNALING_HAVE_LOCAL_OFFER = 1;
    /// `rtcSignalingState`.
    RTC_SIGNALING_HAVE_REMOTE_OFFER = 2;
    /// `rtcSignalingState`.
    RTC_SIGNALING_HAVE_LOCAL_PRANSWER = 3;
    /// `rtcSignalingState`.
    RTC_SIGNALING_HAVE_REMOTE_PRANSWER = 4;

    /// For `congestion_control_module` of [`SctpSettings`], of `rtc_ext.h`.
    RTC_CONGESTION_RFC9260 = 9260;

    /// `rtcLogLevel`.
    RTC_LOG_NONE = 0;
    /// `rtcLogLevel`.
    RTC_LOG_FATAL = 1;
    /// `rtcLogLevel`.
    RTC_LOG_ERROR = 2;
    /// `rtcLogLevel`.
    RTC_LOG_WARNING = 3;
    /// `rtcLogLevel`.
    RTC_LOG_INFO = 4;
    /// `rtcLogLevel`.
    RTC_LOG_DEBUG = 5;
    /// `rtcLogLevel`.
    RTC_LOG_VERBOSE = 6;

    /// `rtcCertificateType`.
    RTC_CERTIFICATE_DEFAULT = 0;
    /// `rtcCertificateType`.
    RTC_CERTIFICATE_ECDSA = 1;
    /// `rtcCertificateType`.
    RTC_CERTIFICATE_RSA = 2;

    /// `rtcCodec`.
    RTC_CODEC_H264 = 0;
    /// `rtcCodec`.
    RTC_CODEC_VP8 = 1;
    /// `rtcCodec`.
    RTC_CODEC_VP9 = 2;
    /// `rtcCodec`.
    RTC_CODEC_H265 = 3;
    /// `rtcCodec`.
    RTC_CODEC_AV1 = 4;
    /// `rtcCodec`.
    RTC_CODEC_OPUS = 128;
    /// `rtcCodec`.
    RTC_CODEC_PCMU = 129;
    /// `rtcCodec`.
    RTC_CODEC_PCMA = 130;
    /// `rtcCodec`.
    RTC_CODEC_AAC = 131;
    /// `rtcCodec`.
    RTC_CODEC_G722 = 132;

    /// `rtcDirection`.
    RTC_DIRECTION_UNKNOWN = 0;
    /// `rtcDirection`.
    RTC_DIRECTION_SENDONLY = 1;
    /// `rtcDirection`.
    RTC_DIRECTION_RECVONLY = 2;
    /// `rtcDirection`.
    RTC_DIRECTION_SENDRECV = 3;
    /// `rtcDirection`.
    RTC_DIRECTION_INACTIVE = 4;

    /// `rtcTransportPolicy`.
    RTC_TRANSPORT_POLICY_ALL = 0;
    /// `rtcTransportPolicy`.
    RTC_TRANSPORT_POLICY_RELAY = 1;

    /// `rtcObuPacketization`.
    RTC_OBU_PACKETIZED_OBU = 0;
    /// `rtcObuPacketization`.
    RTC_OBU_PACKETIZED_TEMPORAL_UNIT = 1;

    /// `rtcNalUnitSeparator`.
    RTC_NAL_SEPARATOR_LENGTH = 0;
    /// `rtcNalUnitSeparator`.
    RTC_NAL_SEPARATOR_LONG_START_SEQUENCE = 1;
    /// `rtcNalUnitSeparator`.
    RTC_NAL_SEPARATOR_SHORT_START_SEQUENCE = 2;
    /// `rtcNalUnitSeparator`.
    RTC_NAL_SEPARATOR_START_SEQUENCE = 3;
}

/// `rtcLogCallbackFunc`.
pub type LogCallback = Option<unsafe extern "C" fn(level: c_int, message: *const c_char)>;
/// `rtcDescriptionCallbackFunc`.
pub type DescriptionCallback = Option<
    unsafe extern "C" fn(pc: c_int, sdp: *const c_char, kind: *const c_char, ptr: *mut c_void),
>;
/// `rtcCandidateCallbackFunc`.
pub type CandidateCallback = Option<
    unsafe extern "C" fn(pc: c_int, cand: *const c_char, mid: *const c_char, ptr: *mut c_void),
>;
/// `rtcStateChangeCallbackFunc`.
pub type StateChangeCallback =
    Option<unsafe extern "C" fn(pc: c_int, state: c_int, ptr: *mut c_void)>;
/// `rtcIceStateChangeCallbackFunc`.
pub type IceStateChangeCallback =
    Option<unsafe extern "C" fn(pc: c_int, state: c_int, ptr: *mut c_void)>;
/// `rtcGatheringStateCallbackFunc`.
pub type GatheringStateCallback =
    Option<unsafe extern "C" fn(pc: c_int, state: c_int, ptr: *mut c_void)>;
/// `rtcSignalingStateCallbackFunc`.
pub type SignalingStateCallback =
    Option<unsafe extern "C" fn(pc: c_int, state: c_int, ptr: *mut c_void)>;
/// `rtcDataChannelCallbackFunc`.
pub type DataChannelCallback = Option<unsafe extern "C" fn(pc: c_int, dc: c_int, ptr: *mut c_void)>;
/// `rtcTrackCallbackFunc`.
pub type TrackCallback = Option<unsafe extern "C" fn(pc: c_int, tr: c_int, ptr: *mut c_void)>;
/// `rtcOpenCallbackFunc`.
pub type OpenCallback = Option<unsafe extern "C" fn(id: c_int, ptr: *mut c_void)>;
/// `rtcClosedCallbackFunc`.
pub type ClosedCallback = Option<unsafe extern "C" fn(id: c_int, ptr: *mut c_void)>;
/// `rtcErrorCallbackFunc`.
pub type ErrorCallback =
    Option<unsafe extern "C" fn(id: c_int, error: *const c_char, ptr: *mut c_void)>;
/// `rtcMessageCallbackFunc`.
pub type MessageCallback =
    Option<unsafe extern "C" fn(id: c_int, message: *const c_char, size: c_int, ptr: *mut c_void)>;
/// `rtcBufferedAmountLowCallbackFunc`.
pub type BufferedAmountLowCallback = Option<unsafe extern "C" fn(id: c_int, ptr: *mut c_void)>;
/// `rtcAvailableCallbackFunc`.
pub type AvailableCallback = Option<unsafe extern "C" fn(id: c_int, ptr: *mut c_void)>;
/// `rtcInterceptorCallbackFunc`.
pub type InterceptorCallback = Option<
    unsafe extern "C" fn(
        pc: c_int,
        message: *const c_char,
        size: c_int,
        ptr: *mut c_void,
    ) -> *mut c_void,
>;
/// `rtcPliHandlerCallbackFunc`.
pub type PliHandlerCallback = Option<unsafe extern "C" fn(tr: c_int, ptr: *mut c_void)>;
/// `rtcRembHandlerCallbackFunc`.
pub type RembHandlerCallback =
    Option<unsafe extern "C" fn(tr: c_int, bitrate: c_uint, ptr: *mut c_void)>;
/// `rtcFrameCallbackFunc`.
pub type FrameCallback = Option<
    unsafe extern "C" fn(
        tr: c_int,
        data: *const c_char,
        size: c_int,
        info: *const FrameInfo,
        ptr: *mut c_void,
    ),
>;
/// `rtcWebSocketClientCallbackFunc`.
pub type WebSocketClientCallback =
    Option<unsafe extern "C" fn(wsserver: c_int, ws: c_int, ptr: *mut c_void)>;

/// `rtcConfiguration`: settings of a peer connection.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Configuration {
    /// Array of server URLs, or null.
    pub ice_servers: *const *const c_char,
    /// Elements of `ice_servers`; zero or less for none.
    pub ice_servers_count: c_int,
    /// Proxy URL for TURN over TCP, or null.
    pub proxy_server: *const c_char,
    /// Local address to use, or null for all.
    pub bind_address: *const c_char,
    /// An `rtcCertificateType`.
    pub certificate_type: c_int,
    /// An `rtcTransportPolicy`.
    pub ice_transport_policy: c_int,
    /// Whether to gather TCP candidates.
    pub enable_ice_tcp: CBool,
    /// Whether to share one UDP port.
    pub enable_ice_udp_mux: CBool,
    /// Whether the application negotiates itself.
    pub disable_auto_negotiation: CBool,
    /// Whether to set up SRTP without a track.
    pub force_media_transport: CBool,
    /// First local port allowed; both 0 for any.
    pub port_range_begin: u16,
    /// Last local port allowed.
    pub port_range_end: u16,
    /// Bytes; zero or less for automatic.
    pub mtu: c_int,
    /// Bytes; zero or less for the default.
    pub max_message_size: c_int,
}

/// `rtcReliability`: delivery guarantees of a data channel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Reliability {
    /// Whether messages may overtake each other.
    pub unordered: CBool,
    /// Whether messages may be given up.
    pub unreliable: CBool,
    /// Milliseconds before giving up; 0 for no limit.
    pub max_packet_life_time: c_uint,
    /// Retransmissions before giving up, without a lifetime.
    pub max_retransmits: c_uint,
}

/// `rtcDataChannelInit`: settings of a data channel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DataChannelInit {
    /// Delivery guarantees.
    pub reliability: Reliability,
    /// Subprotocol, or null for none.
    pub protocol: *const c_char,
    /// Whether both sides create the channel themselves.
    pub negotiated: CBool,
    /// Whether `stream` is used.
    pub manual_stream: CBool,
    /// Stream identifier, 0 to 65534.
    pub stream: u16,
}

/// `rtcTrackInit`: description of a track.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TrackInit {
    /// An `rtcDirection`.
    pub direction: c_int,
    /// An `rtcCodec`.
    pub codec: c_int,
    /// RTP payload type.
    pub payload_type: c_int,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Identifier of the media section, or null.
    pub mid: *const c_char,
    /// CNAME, or null.
    pub name: *const c_char,
    /// Media stream identifier, or null.
    pub msid: *const c_char,
    /// Track identifier in the stream, or null.
    pub track_id: *const c_char,
    /// Format parameters of the codec, or null.
    pub profile: *const c_char,
}

/// `rtcPacketizerInit`: settings of a packetizer.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PacketizerInit {
    /// Synchronisation source.
    pub ssrc: u32,
    /// CNAME.
    pub cname: *const c_char,
    /// RTP payload type.
    pub payload_type: u8,
    /// RTP clock ticks per second.
    pub clock_rate: u32,
    /// Sequence number of the first packet.
    pub sequence_number: u16,
    /// RTP timestamp of the first sample.
    pub timestamp: u32,
    /// Bytes of payload in a packet; 0 for the default.
    pub max_fragment_size: u16,
    /// An `rtcNalUnitSeparator` (H.264, H.265).
    pub nal_separator: c_int,
    /// An `rtcObuPacketization` (AV1).
    pub obu_packetization: c_int,
    /// Identifier of the playout delay extension; 0 for none.
    pub playout_delay_id: u8,
    /// Least delay in units of 10 ms.
    pub playout_delay_min: u16,
    /// Greatest delay in units of 10 ms.
    pub playout_delay_max: u16,
    /// Identifier of the color space extension; 0 for none.
    pub color_space_id: u8,
    /// Horizontal chroma siting.
    pub color_chroma_siting_horz: u8,
    /// Vertical chroma siting.
    pub color_chroma_siting_vert: u8,
    /// Range.
    pub color_range: u8,
    /// Primaries.
    pub color_primaries: u8,
    /// Transfer function.
    pub color_transfer: u8,
    /// Matrix coefficients.
    pub color_matrix: u8,
}

/// `rtcLocalDescriptionInit`: what a local description is to contain.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LocalDescriptionInit {
    /// ICE user name fragment.
    pub ice_ufrag: *const c_char,
    /// ICE password.
    pub ice_pwd: *const c_char,
}

/// `rtcFrameInfo`: what is known of a frame.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FrameInfo {
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP payload type.
    pub payload_type: u8,
    /// The timestamp in seconds.
    pub timestamp_seconds: f64,
}

/// `rtcSsrcForTypeInit`: a synchronisation source to put into an SDP.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SsrcForTypeInit {
    /// Synchronisation source.
    pub ssrc: u32,
    /// CNAME, or null.
    pub name: *const c_char,
    /// Media stream identifier, or null.
    pub msid: *const c_char,
    /// Track identifier in the stream, or null.
    pub track_id: *const c_char,
}

/// `rtcWsConfiguration`: settings of a WebSocket client.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WsConfiguration {
    /// Whether to accept any certificate.
    pub disable_tls_verification: CBool,
    /// HTTP proxy, or null.
    pub proxy_server: *const c_char,
    /// Array of subprotocols, or null.
    pub protocols: *const *const c_char,
    /// Elements of `protocols`.
    pub protocols_count: c_int,
    /// Milliseconds; 0 default, negative none.
    pub connection_timeout_ms: c_int,
    /// Milliseconds; 0 default, negative none.
    pub ping_interval_ms: c_int,
    /// Unanswered pings; 0 default, negative no limit.
    pub max_outstanding_pings: c_int,
    /// Bytes; zero or less for the default.
    pub max_message_size: c_int,
}

/// `rtcWsServerConfiguration`: settings of a WebSocket server.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WsServerConfiguration {
    /// TCP port; 0 for any free one.
    pub port: u16,
    /// Whether to speak TLS.
    pub enable_tls: CBool,
    /// Path, or null for a self-made certificate.
    pub certificate_pem_file: *const c_char,
    /// Path, or null for a self-made certificate.
    pub key_pem_file: *const c_char,
    /// Passphrase of the key, or null.
    pub key_pem_pass: *const c_char,
    /// Local address, or null for all.
    pub bind_address: *const c_char,
    /// Milliseconds; 0 default, negative none.
    pub connection_timeout_ms: c_int,
    /// Bytes; zero or less for the default.
    pub max_message_size: c_int,
}

/// `rtcSctpSettings`: settings of SCTP; 0 in a field means its default.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SctpSettings {
    /// Bytes.
    pub recv_buffer_size: c_int,
    /// Bytes.
    pub send_buffer_size: c_int,
    /// Chunks.
    pub max_chunks_on_queue: c_int,
    /// MTUs.
    pub initial_congestion_window: c_int,
    /// MTUs; negative for no limit.
    pub max_burst: c_int,
    /// 0 the default, 1 HSTCP, 2 H-TCP, 3 RTCC, or [`RTC_CONGESTION_RFC9260`].
    pub congestion_control_module: c_int,
    /// Milliseconds; negative for no delay.
    pub delayed_sack_time_ms: c_int,
    /// Milliseconds.
    pub min_retransmit_timeout_ms: c_int,
    /// Milliseconds.
    pub max_retransmit_timeout_ms: c_int,
    /// Milliseconds.
    pub initial_retransmit_timeout_ms: c_int,
    /// Retransmissions.
    pub max_retransmit_attempts: c_int,
    /// Milliseconds.
    pub heartbeat_interval_ms: c_int,
}

layouts! {
    Configuration as rtcConfiguration: size 56, align 8 {
        ice_servers as iceServers @ 0,
        ice_servers_count as iceServersCount @ 8,
        proxy_server as proxyServer @ 16,
        bind_address as bindAddress @ 24,
        certificate_type as certificateType @ 32,
        ice_transport_policy as iceTransportPolicy @ 36,
        enable_ice_tcp as enableIceTcp @ 40,
        enable_ice_udp_mux as enableIceUdpMux @ 41,
        disable_auto_negotiation as disableAutoNegotiation @ 42,
        force_media_transport as forceMediaTransport @ 43,
        port_range_begin as portRangeBegin @ 44,
        port_range_end as portRangeEnd @ 46,
        mtu as mtu @ 48,
        max_message_size as maxMessageSize @ 52,
    }
    Reliability as rtcReliability: size 12, align 4 {
        unordered as unordered @ 0,
        unreliable as unreliable @ 1,
        max_packet_life_time as maxPacketLifeTime @ 4,
        max_retransmits as maxRetransmits @ 8,
    }
    DataChannelInit as rtcDataChannelInit: size 32, align 8 {
        reliability as reliability @ 0,
        protocol as protocol @ 16,
        negotiated as negotiated @ 24,
        manual_stream as manualStream @ 25,
        stream as stream @ 26,
    }
    TrackInit as rtcTrackInit: size 56, align 8 {
        direction as direction @ 0,
        codec as codec @ 4,
        payload_type as payloadType @ 8,
        ssrc as ssrc @ 12,
        mid as mid @ 16,
        name as name @ 24,
        msid as msid @ 32,
        track_id as trackId @ 40,
        profile as profile @ 48,
    }
    PacketizerInit as rtcPacketizerInit: size 64, align 8 {
        ssrc as ssrc @ 0,
        cname as cname @ 8,
        payload_type as payloadType @ 16,
        clock_rate as clockRate @ 20,
        sequence_number as sequenceNumber @ 24,
        timestamp as timestamp @ 28,
        max_fragment_size as maxFragmentSize @ 32,
        nal_separator as nalSeparator @ 36,
        obu_packetization as obuPacketization @ 40,
        playout_delay_id as playoutDelayId @ 44,
        playout_delay_min as playoutDelayMin @ 46,
        playout_delay_max as playoutDelayMax @ 48,
        color_space_id as colorSpaceId @ 50,
        color_chroma_siting_horz as colorChromaSitingHorz @ 51,
        color_chroma_siting_vert as colorChromaSitingVert @ 52,
        color_range as colorRange @ 53,
        color_primaries as colorPrimaries @ 54,
        color_transfer as colorTransfer @ 55,
        color_matrix as colorMatrix @ 56,
    }
    LocalDescriptionInit as rtcLocalDescriptionInit: size 16, align 8 {
        ice_ufrag as iceUfrag @ 0,
        ice_pwd as icePwd @ 8,
    }
    FrameInfo as rtcFrameInfo: size 16, align 8 {
        timestamp as timestamp @ 0,
        payload_type as payloadType @ 4,
        timestamp_seconds as timestampSeconds @ 8,
    }
    SsrcForTypeInit as rtcSsrcForTypeInit: size 32, align 8 {
        ssrc as ssrc @ 0,
        name as name @ 8,
        msid as msid @ 16,
        track_id as trackId @ 24,
    }
    WsConfiguration as rtcWsConfiguration: size 48, align 8 {
        disable_tls_verification as disableTlsVerification @ 0,
        proxy_server as proxyServer @ 8,
        protocols as protocols @ 16,
        protocols_count as protocolsCount @ 24,
        connection_timeout_ms as connectionTimeoutMs @ 28,
        ping_interval_ms as pingIntervalMs @ 32,
        max_outstanding_pings as maxOutstandingPings @ 36,
        max_message_size as maxMessageSize @ 40,
    }
    WsServerConfiguration as rtcWsServerConfiguration: size 48, align 8 {
        port as port @ 0,
        enable_tls as enableTls @ 2,
        certificate_pem_file as certificatePemFile @ 8,
        key_pem_file as keyPemFile @ 16,
        key_pem_pass as keyPemPass @ 24,
        bind_address as bindAddress @ 32,
        connection_timeout_ms as connectionTimeoutMs @ 40,
        max_message_size as maxMessageSize @ 44,
    }
    SctpSettings as rtcSctpSettings: size 48, align 4 {
        recv_buffer_size as recvBufferSize @ 0,
        send_buffer_size as sendBufferSize @ 4,
        max_chunks_on_queue as maxChunksOnQueue @ 8,
        initial_congestion_window as initialCongestionWindow @ 12,
        max_burst as maxBurst @ 16,
        congestion_control_module as congestionControlModule @ 20,
        delayed_sack_time_ms as delayedSackTimeMs @ 24,
        min_retransmit_timeout_ms as minRetransmitTimeoutMs @ 28,
        max_retransmit_timeout_ms as maxRetransmitTimeoutMs @ 32,
        initial_retransmit_timeout_ms as initialRetransmitTimeoutMs @ 36,
        max_retransmit_attempts as maxRetransmitAttempts @ 40,
        heartbeat_interval_ms as heartbeatIntervalMs @ 44,
    }
}

#[cfg(test)]
struct Layout {
    name: &'static str,
    size: usize,
    align: usize,
    offsets: &'static [(&'static str, usize)],
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;

    /// A C program that compiles only if the header says what the tables above say.
    fn assertions() -> String {
        let mut c = String::from("#include <stddef.h>\n#include <rtc/rtc_ext.h>\n");
        let mut assert = |expression: String| {
            c += &format!("_Static_assert({expression}, \"{expression}\");\n");
        };
        for (name, value) in CONSTANTS {
            assert(format!("{name} == {value}"));
        }
        for Layout { name, size, align, offsets } in LAYOUTS {
            assert(format!("sizeof({name}) == {size}"));
            assert(format!("_Alignof({name}) == {align}"));
            for (field, offset) in *offsets {
                assert(format!("offsetof({name}, {field}) == {offset}"));
            }
        }
        c
    }

    fn compile(include: &Path, source: &str) -> Result<(), String> {
        let mut cc = Command::new("cc")
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c"])
            .arg("-I")
            .arg(include)
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cannot run cc: {e}"))?;
        let mut stdin = cc.stdin.take().ok_or("cc has no standard input")?;
        stdin.write_all(source.as_bytes()).map_err(|e| format!("cannot write to cc: {e}"))?;
        drop(stdin);
        let output = cc.wait_with_output().map_err(|e| format!("cannot wait for cc: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn include() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
    }

    #[test]
    fn the_header_has_the_layouts_and_values_of_this_module() {
        compile(&include(), &assertions()).unwrap();
    }

    #[test]
    fn a_wrong_value_is_noticed() {
        let wrong = assertions() + "_Static_assert(RTC_CODEC_OPUS == 127, \"a wrong value\");\n";
        let error = compile(&include(), &wrong).unwrap_err();
        assert!(error.contains("a wrong value"), "{error}");
    }
}
