//! The types of rtc.h 0.24.5, written out by hand: the suite must not trust the code it tests.

use std::ffi::{c_char, c_double, c_int, c_uint, c_void};

pub(crate) const OK: c_int = 0;
pub(crate) const INVALID: c_int = -1;
pub(crate) const FAILURE: c_int = -2;
pub(crate) const NOT_AVAIL: c_int = -3;
pub(crate) const TOO_SMALL: c_int = -4;

/// The name of a result code, or the number when it is a count, a size or an identifier.
pub(crate) fn code_name(code: c_int) -> String {
    match code {
        OK => "RTC_ERR_SUCCESS".into(),
        INVALID => "RTC_ERR_INVALID".into(),
        FAILURE => "RTC_ERR_FAILURE".into(),
        NOT_AVAIL => "RTC_ERR_NOT_AVAIL".into(),
        TOO_SMALL => "RTC_ERR_TOO_SMALL".into(),
        other => other.to_string(),
    }
}

macro_rules! c_enum {
    ($name:ident { $($value:ident = $number:literal),* $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($value),* , Unknown(c_int) }
        impl From<c_int> for $name {
            fn from(number: c_int) -> Self {
                match number { $($number => Self::$value,)* other => Self::Unknown(other) }
            }
        }
    };
}

c_enum!(State { New = 0, Connecting = 1, Connected = 2, Disconnected = 3, Failed = 4, Closed = 5 });
c_enum!(IceState {
    New = 0, Checking = 1, Connected = 2, Completed = 3, Failed = 4, Disconnected = 5, Closed = 6
});
c_enum!(Gathering { New = 0, InProgress = 1, Complete = 2 });
c_enum!(Signaling {
    Stable = 0, HaveLocalOffer = 1, HaveRemoteOffer = 2, HaveLocalPranswer = 3,
    HaveRemotePranswer = 4
});

#[repr(C)]
pub(crate) struct RawConfiguration {
    pub(crate) ice_servers: *const *const c_char,
    pub(crate) ice_servers_count: c_int,
    pub(crate) proxy_server: *const c_char,
    pub(crate) bind_address: *const c_char,
    pub(crate) certificate_type: c_int,
    pub(crate) ice_transport_policy: c_int,
    pub(crate) enable_ice_tcp: bool,
    pub(crate) enable_ice_udp_mux: bool,
    pub(crate) disable_auto_negotiation: bool,
    pub(crate) force_media_transport: bool,
    pub(crate) port_range_begin: u16,
    pub(crate) port_range_end: u16,
    pub(crate) mtu: c_int,
    pub(crate) max_message_size: c_int,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reliability {
    pub(crate) unordered: bool,
    pub(crate) unreliable: bool,
    pub(crate) max_packet_life_time: c_uint,
    pub(crate) max_retransmits: c_uint,
}

#[repr(C)]
pub(crate) struct RawDataChannelInit {
    pub(crate) reliability: Reliability,
    pub(crate) protocol: *const c_char,
    pub(crate) negotiated: bool,
    pub(crate) manual_stream: bool,
    pub(crate) stream: u16,
}

#[repr(C)]
pub(crate) struct RawTrackInit {
    pub(crate) direction: c_int,
    pub(crate) codec: c_int,
    pub(crate) payload_type: c_int,
    pub(crate) ssrc: u32,
    pub(crate) mid: *const c_char,
    pub(crate) name: *const c_char,
    pub(crate) msid: *const c_char,
    pub(crate) track_id: *const c_char,
    pub(crate) profile: *const c_char,
}

#[repr(C)]
pub(crate) struct RawPacketizerInit {
    pub(crate) ssrc: u32,
    pub(crate) cname: *const c_char,
    pub(crate) payload_type: u8,
    pub(crate) clock_rate: u32,
    pub(crate) sequence_number: u16,
    pub(crate) timestamp: u32,
    pub(crate) max_fragment_size: u16,
    pub(crate) nal_separator: c_int,
    pub(crate) obu_packetization: c_int,
    pub(crate) playout_delay_id: u8,
    pub(crate) playout_delay_min: u16,
    pub(crate) playout_delay_max: u16,
    pub(crate) color_space_id: u8,
    pub(crate) color_chroma_siting_horz: u8,
    pub(crate) color_chroma_siting_vert: u8,
    pub(crate) color_range: u8,
    pub(crate) color_primaries: u8,
    pub(crate) color_transfer: u8,
    pub(crate) color_matrix: u8,
}

/// Of the release after 0.24.5.
#[repr(C)]
pub(crate) struct RawLocalDescriptionInit {
    pub(crate) ice_ufrag: *const c_char,
    pub(crate) ice_pwd: *const c_char,
}

#[repr(C)]
pub(crate) struct RawFrameInfo {
    pub(crate) timestamp: u32,
    pub(crate) payload_type: u8,
    pub(crate) timestamp_seconds: c_double,
}

#[repr(C)]
pub(crate) struct RawSsrcForTypeInit {
    pub(crate) ssrc: u32,
    pub(crate) name: *const c_char,
    pub(crate) msid: *const c_char,
    pub(crate) track_id: *const c_char,
}

#[repr(C)]
pub(crate) struct RawWsConfiguration {
    pub(crate) disable_tls_verification: bool,
    pub(crate) proxy_server: *const c_char,
    pub(crate) protocols: *const *const c_char,
    pub(crate) protocols_count: c_int,
    pub(crate) connection_timeout_ms: c_int,
    pub(crate) ping_interval_ms: c_int,
    pub(crate) max_outstanding_pings: c_int,
    pub(crate) max_message_size: c_int,
}

#[repr(C)]
pub(crate) struct RawWsServerConfiguration {
    pub(crate) port: u16,
    pub(crate) enable_tls: bool,
    pub(crate) certificate_pem_file: *const c_char,
    pub(crate) key_pem_file: *const c_char,
    pub(crate) key_pem_pass: *const c_char,
    pub(crate) bind_address: *const c_char,
    pub(crate) connection_timeout_ms: c_int,
    pub(crate) max_message_size: c_int,
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SctpSettings {
    pub(crate) recv_buffer_size: c_int,
    pub(crate) send_buffer_size: c_int,
    pub(crate) max_chunks_on_queue: c_int,
    pub(crate) initial_congestion_window: c_int,
    pub(crate) max_burst: c_int,
    pub(crate) congestion_control_module: c_int,
    pub(crate) delayed_sack_time_ms: c_int,
    pub(crate) min_retransmit_timeout_ms: c_int,
    pub(crate) max_retransmit_timeout_ms: c_int,
    pub(crate) initial_retransmit_timeout_ms: c_int,
    pub(crate) max_retransmit_attempts: c_int,
    pub(crate) heartbeat_interval_ms: c_int,
}

pub(crate) type LogCallback = Option<extern "C" fn(c_int, *const c_char)>;
pub(crate) type TextPairCallback =
    Option<extern "C" fn(c_int, *const c_char, *const c_char, *mut c_void)>;
pub(crate) type NumberCallback = Option<extern "C" fn(c_int, c_int, *mut c_void)>;
pub(crate) type PlainCallback = Option<extern "C" fn(c_int, *mut c_void)>;
pub(crate) type TextCallback = Option<extern "C" fn(c_int, *const c_char, *mut c_void)>;
pub(crate) type MessageCallback = Option<extern "C" fn(c_int, *const c_char, c_int, *mut c_void)>;
pub(crate) type InterceptorCallback =
    Option<extern "C" fn(c_int, *const c_char, c_int, *mut c_void) -> *mut c_void>;
pub(crate) type FrameCallback =
    Option<extern "C" fn(c_int, *const c_char, c_int, *const RawFrameInfo, *mut c_void)>;
pub(crate) type UnsignedCallback = Option<extern "C" fn(c_int, c_uint, *mut c_void)>;

pub(crate) type Seconds = c_double;
