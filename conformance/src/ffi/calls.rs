//! Safe calls to the loaded functions.
//!
//! A call to a function the library lacks ends the test as skipped: absence is never a pass.

use super::callbacks::{self, Answer, Slot};
use super::catalogue::{ById, Getter, Packetizer, Predicate};
use super::table::Library;
use super::types::*;
use crate::outcome::skip;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};

macro_rules! call {
    ($library:expr, $name:ident ( $($arg:expr),* $(,)? )) => {{
        let Some(function) = $library.table.$name else {
            skip(concat!(stringify!($name), " is not in the library"))
        };
        // SAFETY: the arguments are what rtc.h asks for and outlive the call.
        unsafe { function($($arg),*) }
    }};
}

fn chars(text: Option<&CStr>) -> *const c_char {
    text.map_or(null(), CStr::as_ptr)
}

fn bytes(buffer: Option<&mut [u8]>, size: c_int) -> *mut c_char {
    buffer.map_or(null_mut(), |slice| {
        assert!(size < 0 || size as usize <= slice.len(), "a size beyond the buffer");
        slice.as_mut_ptr().cast()
    })
}

/// The configuration of a peer connection. Everything unset is zero, as `memset` leaves it.
#[derive(Clone, Default)]
pub(crate) struct Config {
    /// `None` is a NULL entry.
    pub(crate) ice_servers: Vec<Option<CString>>,
    /// Announces so many servers with a NULL array.
    pub(crate) null_servers: Option<c_int>,
    pub(crate) proxy: Option<CString>,
    pub(crate) bind: Option<CString>,
    pub(crate) certificate: c_int,
    pub(crate) policy: c_int,
    pub(crate) ice_tcp: bool,
    pub(crate) udp_mux: bool,
    pub(crate) manual: bool,
    pub(crate) force_media: bool,
    pub(crate) ports: (u16, u16),
    pub(crate) mtu: c_int,
    pub(crate) max_message_size: c_int,
}

impl Config {
    /// Bound to 127.0.0.1, if the libraries can do that: upstream leaves loopback out unless it is
    /// named.
    pub(crate) fn loopback() -> Self {
        let bind = crate::lab::on_loopback().then(|| c"127.0.0.1".to_owned());
        Self { bind, ..Self::default() }
    }
}

/// The settings of a data channel.
#[derive(Clone, Default)]
pub(crate) struct Init {
    pub(crate) reliability: Reliability,
    pub(crate) protocol: Option<CString>,
    pub(crate) negotiated: bool,
    pub(crate) stream: Option<u16>,
}

/// The settings of a WebSocket client.
#[derive(Clone, Default)]
pub(crate) struct WsConfig {
    pub(crate) insecure: bool,
    pub(crate) proxy: Option<CString>,
    /// `None` is a NULL entry.
    pub(crate) protocols: Vec<Option<CString>>,
    /// Announces so many subprotocols with a NULL array.
    pub(crate) null_protocols: Option<c_int>,
    pub(crate) timeout_ms: c_int,
    pub(crate) ping_ms: c_int,
    pub(crate) max_pings: c_int,
    pub(crate) max_message_size: c_int,
}

/// The settings of a WebSocket server.
#[derive(Clone, Default)]
pub(crate) struct WsServerConfig {
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) certificate: Option<CString>,
    pub(crate) key: Option<CString>,
    pub(crate) passphrase: Option<CString>,
    pub(crate) bind: Option<CString>,
    pub(crate) timeout_ms: c_int,
    pub(crate) max_message_size: c_int,
}

/// What [`Library::receive`] left behind: the code and `*size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received(pub(crate) c_int, pub(crate) c_int);

impl Library {
    pub(crate) fn by_id(&self, function: ById, id: c_int) -> c_int {
        let pointer = function.of(self);
        // SAFETY: any int may be passed.
        unsafe { pointer(id) }
    }

    pub(crate) fn test(&self, function: Predicate, id: c_int) -> bool {
        let pointer = function.of(self);
        // SAFETY: any int may be passed.
        unsafe { pointer(id) }
    }

    pub(crate) fn packetize(&self, function: Packetizer, id: c_int) -> c_int {
        let pointer = function.of(self);
        // SAFETY: NULL is a case rtc.h has to refuse.
        unsafe { pointer(id, null()) }
    }

    /// A string getter as C sees it.
    pub(crate) fn fill(
        &self,
        getter: Getter,
        id: c_int,
        buffer: Option<&mut [u8]>,
        size: c_int,
    ) -> c_int {
        let pointer = getter.of(self);
        // SAFETY: `bytes` checked the size against the buffer.
        unsafe { pointer(id, bytes(buffer, size), size) }
    }

    /// A string getter as a Rust user would like it.
    pub(crate) fn string(&self, getter: Getter, id: c_int) -> Result<String, c_int> {
        let mut buffer = vec![0u8; 1 << 17];
        let size = buffer.len() as c_int;
        let code = self.fill(getter, id, Some(&mut buffer), size);
        if code < 0 {
            return Err(code);
        }
        assert!(code > 0, "{} returned 0: no room for the terminator", getter.name);
        let text = CStr::from_bytes_until_nul(&buffer).expect("a terminated string");
        assert_eq!(text.count_bytes() + 1, code as usize, "{} miscounted", getter.name);
        Ok(text.to_string_lossy().into_owned())
    }

    pub(crate) fn listen(&self, slot: Slot, id: c_int, on: bool) -> c_int {
        let number = |callback: extern "C" fn(c_int, c_int, *mut c_void)| on.then_some(callback);
        let plain = |callback: extern "C" fn(c_int, *mut c_void)| on.then_some(callback);
        let pair = |callback: extern "C" fn(c_int, *const c_char, *const c_char, *mut c_void)| {
            on.then_some(callback)
        };
        use callbacks as cb;
        match slot {
            Slot::LocalDescription => {
                call!(self, rtcSetLocalDescriptionCallback(id, pair(cb::on_description)))
            }
            Slot::LocalCandidate => {
                call!(self, rtcSetLocalCandidateCallback(id, pair(cb::on_candidate)))
            }
            Slot::State => call!(self, rtcSetStateChangeCallback(id, number(cb::on_state))),
            Slot::IceState => {
                call!(self, rtcSetIceStateChangeCallback(id, number(cb::on_ice_state)))
            }
            Slot::Gathering => {
                call!(self, rtcSetGatheringStateChangeCallback(id, number(cb::on_gathering)))
            }
            Slot::Signaling => {
                call!(self, rtcSetSignalingStateChangeCallback(id, number(cb::on_signaling)))
            }
            Slot::DataChannel => {
                call!(self, rtcSetDataChannelCallback(id, number(cb::on_data_channel)))
            }
            Slot::Track => call!(self, rtcSetTrackCallback(id, number(cb::on_track))),
            Slot::Open => call!(self, rtcSetOpenCallback(id, plain(cb::on_open))),
            Slot::Closed => call!(self, rtcSetClosedCallback(id, plain(cb::on_closed))),
            Slot::Error => {
                let callback: TextCallback = if on { Some(cb::on_error) } else { None };
                call!(self, rtcSetErrorCallback(id, callback))
            }
            Slot::Message => {
                let callback: MessageCallback = if on { Some(cb::on_message) } else { None };
                call!(self, rtcSetMessageCallback(id, callback))
            }
            Slot::BufferedAmountLow => {
                call!(self, rtcSetBufferedAmountLowCallback(id, plain(cb::on_low)))
            }
            Slot::Available => call!(self, rtcSetAvailableCallback(id, plain(cb::on_available))),
        }
    }

    pub(crate) fn set_user_pointer(&self, id: c_int, pointer: usize) {
        call!(self, rtcSetUserPointer(id, pointer as *mut c_void));
    }

    pub(crate) fn user_pointer(&self, id: c_int) -> usize {
        call!(self, rtcGetUserPointer(id)) as usize
    }

    /// Creates a peer connection; `None` passes a NULL configuration.
    pub(crate) fn create_pc(&self, config: Option<&Config>) -> c_int {
        let Some(config) = config else { return call!(self, rtcCreatePeerConnection(null())) };
        let entries: Vec<*const c_char> =
            config.ice_servers.iter().map(|server| chars(server.as_deref())).collect();
        let null_array = entries.is_empty() || config.null_servers.is_some();
        let raw = RawConfiguration {
            ice_servers: if null_array { null() } else { entries.as_ptr() },
            ice_servers_count: config.null_servers.unwrap_or(entries.len() as c_int),
            proxy_server: chars(config.proxy.as_deref()),
            bind_address: chars(config.bind.as_deref()),
            certificate_type: config.certificate,
            ice_transport_policy: config.policy,
            enable_ice_tcp: config.ice_tcp,
            enable_ice_udp_mux: config.udp_mux,
            disable_auto_negotiation: config.manual,
            force_media_transport: config.force_media,
            port_range_begin: config.ports.0,
            port_range_end: config.ports.1,
            mtu: config.mtu,
            max_message_size: config.max_message_size,
        };
        call!(self, rtcCreatePeerConnection(&raw))
    }

    pub(crate) fn set_local_description(&self, pc: c_int, kind: Option<&CStr>) -> c_int {
        call!(self, rtcSetLocalDescription(pc, chars(kind)))
    }

    /// With ICE credentials; `None` for no structure at all.
    pub(crate) fn set_local_description_ex(
        &self,
        pc: c_int,
        kind: &CStr,
        credentials: Option<[Option<&CStr>; 2]>,
    ) -> c_int {
        let raw = credentials.map(|[ufrag, pwd]| RawLocalDescriptionInit {
            ice_ufrag: chars(ufrag),
            ice_pwd: chars(pwd),
        });
        let raw = raw.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        call!(self, rtcSetLocalDescriptionEx(pc, kind.as_ptr(), raw))
    }

    pub(crate) fn set_remote_description(
        &self,
        pc: c_int,
        sdp: Option<&CStr>,
        kind: Option<&CStr>,
    ) -> c_int {
        call!(self, rtcSetRemoteDescription(pc, chars(sdp), chars(kind)))
    }

    pub(crate) fn add_remote_candidate(
        &self,
        pc: c_int,
        candidate: Option<&CStr>,
        mid: Option<&CStr>,
    ) -> c_int {
        call!(self, rtcAddRemoteCandidate(pc, chars(candidate), chars(mid)))
    }

    /// The pair with whatever buffers; their lengths are the sizes unless overridden.
    pub(crate) fn selected_pair(
        &self,
        pc: c_int,
        local: Option<&mut [u8]>,
        local_size: c_int,
        remote: Option<&mut [u8]>,
        remote_size: c_int,
    ) -> c_int {
        let local = bytes(local, local_size);
        let remote = bytes(remote, remote_size);
        call!(self, rtcGetSelectedCandidatePair(pc, local, local_size, remote, remote_size))
    }

    pub(crate) fn backend_names(
        &self,
        role: c_int,
        buffer: Option<&mut [u8]>,
        size: c_int,
    ) -> c_int {
        call!(self, rtcGetBackendNames(role, bytes(buffer, size), size))
    }

    pub(crate) fn restart_ice(&self, pc: c_int) -> c_int {
        call!(self, rtcRestartIce(pc))
    }

    pub(crate) fn set_max_mtu(&self, pc: c_int, max_mtu: c_int) -> c_int {
        call!(self, rtcSetMaxMtu(pc, max_mtu))
    }

    pub(crate) fn set_ice_recovery(&self, pc: c_int, timeout_ms: c_int) -> c_int {
        call!(self, rtcSetIceRecoveryTimeout(pc, timeout_ms))
    }

    pub(crate) fn peer_backend(
        &self,
        pc: c_int,
        role: c_int,
        buffer: Option<&mut [u8]>,
        size: c_int,
    ) -> c_int {
        call!(self, rtcGetPeerConnectionBackend(pc, role, bytes(buffer, size), size))
    }

    /// `size` as C sees it: negative asks for a NUL-terminated string.
    pub(crate) fn send_raw(&self, id: c_int, data: Option<&[u8]>, size: c_int) -> c_int {
        if let Some(data) = data {
            let fits = if size < 0 { data.contains(&0) } else { size as usize <= data.len() };
            assert!(fits, "the message ends beyond its buffer");
        }
        let pointer = data.map_or(null(), |data| data.as_ptr().cast());
        call!(self, rtcSendMessage(id, pointer, size))
    }

    pub(crate) fn send_binary(&self, id: c_int, data: &[u8]) -> c_int {
        self.send_raw(id, Some(data), data.len() as c_int)
    }

    pub(crate) fn send_text(&self, id: c_int, text: &CStr) -> c_int {
        self.send_raw(id, Some(text.to_bytes_with_nul()), -1)
    }

    /// Peeks (`None`) or takes a message; `size` is what `*size` holds before the call.
    pub(crate) fn receive(&self, id: c_int, buffer: Option<&mut [u8]>, size: c_int) -> Received {
        let mut left = size;
        let capacity = size.checked_abs().expect("a size with an absolute value");
        let code = call!(self, rtcReceiveMessage(id, bytes(buffer, capacity), &mut left));
        Received(code, left)
    }

    /// `rtcReceiveMessage` with a NULL size.
    pub(crate) fn receive_without_size(&self, id: c_int) -> c_int {
        call!(self, rtcReceiveMessage(id, null_mut(), null_mut()))
    }

    pub(crate) fn set_low_threshold(&self, id: c_int, amount: c_int) -> c_int {
        call!(self, rtcSetBufferedAmountLowThreshold(id, amount))
    }

    pub(crate) fn create_dc(&self, pc: c_int, label: Option<&CStr>) -> c_int {
        call!(self, rtcCreateDataChannel(pc, chars(label)))
    }

    pub(crate) fn create_dc_ex(
        &self,
        pc: c_int,
        label: Option<&CStr>,
        init: Option<&Init>,
    ) -> c_int {
        let raw = init.map(|init| RawDataChannelInit {
            reliability: init.reliability,
            protocol: chars(init.protocol.as_deref()),
            negotiated: init.negotiated,
            manual_stream: init.stream.is_some(),
            stream: init.stream.unwrap_or(0),
        });
        let pointer = raw.as_ref().map_or(null(), std::ptr::from_ref);
        call!(self, rtcCreateDataChannelEx(pc, chars(label), pointer))
    }

    pub(crate) fn reliability(&self, dc: c_int, into: Option<&mut Reliability>) -> c_int {
        let pointer = into.map_or(null_mut(), std::ptr::from_mut);
        call!(self, rtcGetDataChannelReliability(dc, pointer))
    }

    pub(crate) fn init_logger(&self, level: c_int, callback: bool) {
        let callback: LogCallback = if callback { Some(callbacks::on_log) } else { None };
        call!(self, rtcInitLogger(level, callback));
    }

    pub(crate) fn preload(&self) {
        call!(self, rtcPreload());
    }

    pub(crate) fn cleanup(&self) {
        call!(self, rtcCleanup());
    }

    pub(crate) fn cleanup_now(&self, timeout_ms: c_int) -> c_int {
        call!(self, rtcCleanupNow(timeout_ms))
    }

    pub(crate) fn set_thread_pool_size(&self, count: c_uint) -> c_int {
        call!(self, rtcSetThreadPoolSize(count))
    }

    pub(crate) fn set_sctp_settings(&self, settings: Option<&SctpSettings>) -> c_int {
        call!(self, rtcSetSctpSettings(settings.map_or(null(), std::ptr::from_ref)))
    }

    pub(crate) fn add_track(&self, pc: c_int, sdp: Option<&CStr>) -> c_int {
        call!(self, rtcAddTrack(pc, chars(sdp)))
    }

    pub(crate) fn create_ws(&self, url: Option<&CStr>) -> c_int {
        call!(self, rtcCreateWebSocket(chars(url)))
    }

    pub(crate) fn create_ws_ex(&self, url: Option<&CStr>, config: &WsConfig) -> c_int {
        let entries: Vec<*const c_char> =
            config.protocols.iter().map(|protocol| chars(protocol.as_deref())).collect();
        let null_array = entries.is_empty() || config.null_protocols.is_some();
        let raw = RawWsConfiguration {
            disable_tls_verification: config.insecure,
            proxy_server: chars(config.proxy.as_deref()),
            protocols: if null_array { null() } else { entries.as_ptr() },
            protocols_count: config.null_protocols.unwrap_or(entries.len() as c_int),
            connection_timeout_ms: config.timeout_ms,
            ping_interval_ms: config.ping_ms,
            max_outstanding_pings: config.max_pings,
            max_message_size: config.max_message_size,
        };
        call!(self, rtcCreateWebSocketEx(chars(url), &raw))
    }

    /// Starts a server whose clients go to the inbox of its user pointer, or to a NULL callback.
    pub(crate) fn create_ws_server(&self, config: &WsServerConfig, listening: bool) -> c_int {
        let raw = RawWsServerConfiguration {
            port: config.port,
            enable_tls: config.tls,
            certificate_pem_file: chars(config.certificate.as_deref()),
            key_pem_file: chars(config.key.as_deref()),
            key_pem_pass: chars(config.passphrase.as_deref()),
            bind_address: chars(config.bind.as_deref()),
            connection_timeout_ms: config.timeout_ms,
            max_message_size: config.max_message_size,
        };
        let callback: NumberCallback = if listening { Some(callbacks::on_client) } else { None };
        call!(self, rtcCreateWebSocketServer(&raw, callback))
    }
}

/// What a packetizer is set up with.
pub(crate) struct Packetizing {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    pub(crate) clock_rate: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) max_fragment: u16,
    pub(crate) separator: c_int,
    /// What a message of AV1 is.
    pub(crate) obu: c_int,
    /// Identifier, minimum and maximum.
    pub(crate) playout_delay: (u8, u16, u16),
    /// Identifier, then chroma siting (two), range, primaries, transfer, matrix.
    pub(crate) color: [u8; 7],
}

impl Default for Packetizing {
    fn default() -> Self {
        Self {
            ssrc: 42,
            payload_type: 96,
            clock_rate: 90_000,
            sequence: 100,
            timestamp: 1000,
            max_fragment: 0,
            separator: 0,
            obu: 1,
            playout_delay: (0, 0, 0),
            color: [0; 7],
        }
    }
}

/// Tracks and media.
impl Library {
    pub(crate) fn add_track_ex(
        &self,
        pc: c_int,
        numbers: (c_int, c_int, c_int, u32),
        texts: [Option<&CStr>; 5],
    ) -> c_int {
        let (direction, codec, payload_type, ssrc) = numbers;
        let [mid, name, msid, track_id, profile] = texts.map(chars);
        let init = RawTrackInit {
            direction,
            codec,
            payload_type,
            ssrc,
            mid,
            name,
            msid,
            track_id,
            profile,
        };
        call!(self, rtcAddTrackEx(pc, &init))
    }

    /// The direction of a track, or what went wrong.
    pub(crate) fn direction(&self, tr: c_int) -> c_int {
        let mut direction = -99;
        match call!(self, rtcGetTrackDirection(tr, &mut direction)) {
            OK => direction,
            code => code,
        }
    }

    pub(crate) fn set_packetizer(
        &self,
        function: Packetizer,
        tr: c_int,
        cname: Option<&CStr>,
        with: &Packetizing,
    ) -> c_int {
        let pointer = function.of(self);
        let [id, horizontal, vertical, range, primaries, transfer, matrix] = with.color;
        let init = RawPacketizerInit {
            ssrc: with.ssrc,
            cname: chars(cname),
            payload_type: with.payload_type,
            clock_rate: with.clock_rate,
            sequence_number: with.sequence,
            timestamp: with.timestamp,
            max_fragment_size: with.max_fragment,
            nal_separator: with.separator,
            obu_packetization: with.obu,
            playout_delay_id: with.playout_delay.0,
            playout_delay_min: with.playout_delay.1,
            playout_delay_max: with.playout_delay.2,
            color_space_id: id,
            color_chroma_siting_horz: horizontal,
            color_chroma_siting_vert: vertical,
            color_range: range,
            color_primaries: primaries,
            color_transfer: transfer,
            color_matrix: matrix,
        };
        // SAFETY: the structure and its text outlive the call.
        unsafe { pointer(tr, &init) }
    }

    pub(crate) fn depacketize_nal(&self, h265: bool, tr: c_int, separator: c_int) -> c_int {
        match h265 {
            true => call!(self, rtcSetH265Depacketizer(tr, separator)),
            false => call!(self, rtcSetH264Depacketizer(tr, separator)),
        }
    }

    pub(crate) fn depacketize_av1(&self, tr: c_int, packetization: c_int) -> c_int {
        call!(self, rtcSetAV1Depacketizer(tr, packetization))
    }

    pub(crate) fn chain_pacing(&self, tr: c_int, bits_per_second: f64, interval: c_int) -> c_int {
        call!(self, rtcChainPacingHandler(tr, bits_per_second, interval))
    }

    pub(crate) fn on_frame(&self, tr: c_int) -> c_int {
        call!(self, rtcSetFrameCallback(tr, Some(callbacks::on_frame)))
    }

    pub(crate) fn chain_pli(&self, tr: c_int, listen: bool) -> c_int {
        let callback: PlainCallback = if listen { Some(callbacks::on_keyframe) } else { None };
        call!(self, rtcChainPliHandler(tr, callback))
    }

    pub(crate) fn chain_remb(&self, tr: c_int, listen: bool) -> c_int {
        let callback: UnsignedCallback = if listen { Some(callbacks::on_bitrate) } else { None };
        call!(self, rtcChainRembHandler(tr, callback))
    }

    pub(crate) fn ask_bitrate(&self, tr: c_int, bitrate: c_uint) -> c_int {
        call!(self, rtcRequestBitrate(tr, bitrate))
    }

    pub(crate) fn timestamp_of(&self, tr: c_int, seconds: f64) -> Result<u32, c_int> {
        let mut out = 0;
        let code = call!(self, rtcTransformSecondsToTimestamp(tr, seconds, &mut out));
        if code == OK { Ok(out) } else { Err(code) }
    }

    pub(crate) fn seconds_of(&self, tr: c_int, timestamp: u32) -> Result<f64, c_int> {
        let mut out = 0.0;
        let code = call!(self, rtcTransformTimestampToSeconds(tr, timestamp, &mut out));
        if code == OK { Ok(out) } else { Err(code) }
    }

    pub(crate) fn current_timestamp(&self, tr: c_int) -> Result<u32, c_int> {
        let mut out = 0;
        let code = call!(self, rtcGetCurrentTrackTimestamp(tr, &mut out));
        if code == OK { Ok(out) } else { Err(code) }
    }

    pub(crate) fn set_timestamp(&self, tr: c_int, timestamp: u32) -> c_int {
        call!(self, rtcSetTrackRtpTimestamp(tr, timestamp))
    }

    pub(crate) fn last_report(&self, tr: c_int) -> Result<u32, c_int> {
        let mut out = 0;
        let code = call!(self, rtcGetLastTrackSenderReportTimestamp(tr, &mut out));
        if code == OK { Ok(out) } else { Err(code) }
    }

    pub(crate) fn sync_timestamps(&self, tr: c_int) -> Result<(u64, u64), c_int> {
        let (mut rtp, mut ntp) = (0, 0);
        let code = call!(self, rtcGetTrackRtcpSyncTimestamps(tr, &mut rtp, &mut ntp));
        if code == OK { Ok((rtp, ntp)) } else { Err(code) }
    }

    pub(crate) fn ssrcs_of_track(&self, tr: c_int) -> Vec<u32> {
        let mut out = [0; 16];
        let count = call!(self, rtcGetSsrcsForTrack(tr, out.as_mut_ptr(), 16));
        out[..usize::try_from(count).unwrap_or(0)].to_vec()
    }

    pub(crate) fn payload_types_of(&self, tr: c_int, codec: &CStr) -> Vec<c_int> {
        let mut out = [0; 16];
        let codec = codec.as_ptr();
        let count = call!(self, rtcGetTrackPayloadTypesForCodec(tr, codec, out.as_mut_ptr(), 16));
        out[..usize::try_from(count).unwrap_or(0)].to_vec()
    }

    /// What the call returned, and the payload types; room for none asks for their number.
    pub(crate) fn payload_types_in(
        &self,
        sdp: Option<&CStr>,
        codec: Option<&CStr>,
        room: usize,
    ) -> (c_int, Vec<c_int>) {
        let mut out = vec![0; room];
        let buffer = if room == 0 { null_mut() } else { out.as_mut_ptr() };
        let (sdp, codec, size) = (chars(sdp), chars(codec), room as c_int);
        let count = call!(self, rtcGetPayloadTypesForCodec(sdp, codec, buffer, size));
        out.truncate(usize::try_from(count).unwrap_or(0));
        (count, out)
    }

    pub(crate) fn cname_of(&self, tr: c_int, ssrc: u32) -> Option<String> {
        let mut out = [0u8; 64];
        let count = call!(self, rtcGetCNameForSsrc(tr, ssrc, out.as_mut_ptr().cast(), 64));
        let text = CStr::from_bytes_until_nul(&out).expect("a terminated string");
        (count > 0).then(|| text.to_string_lossy().into_owned())
    }

    pub(crate) fn ssrcs_of_type(&self, kind: Option<&CStr>, sdp: Option<&CStr>) -> (c_int, u32) {
        let mut out = [0; 16];
        let pointer = out.as_mut_ptr();
        (call!(self, rtcGetSsrcsForType(chars(kind), chars(sdp), pointer, 16)), out[0])
    }

    pub(crate) fn set_ssrc_of_type(&self, kind: &CStr, sdp: &CStr, ssrc: Option<u32>) -> String {
        let mut out = vec![0u8; 1 << 14];
        let mut init = RawSsrcForTypeInit {
            ssrc: ssrc.unwrap_or(0),
            name: c"name".as_ptr(),
            msid: c"stream".as_ptr(),
            track_id: null(),
        };
        let init = if ssrc.is_some() { &raw mut init } else { null_mut() };
        let (kind, sdp, size) = (kind.as_ptr(), sdp.as_ptr(), out.len() as c_int);
        let code = call!(self, rtcSetSsrcForType(kind, sdp, out.as_mut_ptr().cast(), size, init));
        if code < 0 {
            return code_name(code);
        }
        let text = CStr::from_bytes_until_nul(&out).expect("a terminated string");
        text.to_string_lossy().into_owned()
    }

    /// Has every incoming packet of a connection pass `answer`; one interceptor at a time.
    pub(crate) fn intercept(&'static self, pc: c_int, answer: fn(&[u8]) -> Answer) -> c_int {
        callbacks::set_interceptor(self, answer);
        call!(self, rtcSetMediaInterceptorCallback(pc, Some(callbacks::on_media)))
    }

    /// An opaque message of `data`.
    pub(super) fn opaque(&self, data: &[u8]) -> *mut c_void {
        let pointer = data.as_ptr().cast_mut().cast();
        call!(self, rtcCreateOpaqueMessage(pointer, data.len() as c_int)).cast()
    }
}

/// Functions that need no test of their own here but have to survive strange arguments.
impl Library {
    pub(crate) fn add_track_ex_null(&self, pc: c_int) -> c_int {
        call!(self, rtcAddTrackEx(pc, null()))
    }

    pub(crate) fn track_direction(&self, tr: c_int, null_pointer: bool) -> c_int {
        let mut direction: c_int = 0;
        let pointer = if null_pointer { null_mut() } else { &raw mut direction };
        call!(self, rtcGetTrackDirection(tr, pointer))
    }

    pub(crate) fn request_bitrate(&self, tr: c_int) -> c_int {
        call!(self, rtcRequestBitrate(tr, 1_000_000))
    }

    pub(crate) fn set_interceptor_null(&self, pc: c_int) -> c_int {
        call!(self, rtcSetMediaInterceptorCallback(pc, None))
    }

    pub(crate) fn chain_nack_responder(&self, tr: c_int) -> c_int {
        call!(self, rtcChainRtcpNackResponder(tr, 512))
    }

    pub(crate) fn chain_pli_handler(&self, tr: c_int) -> c_int {
        call!(self, rtcChainPliHandler(tr, Some(callbacks::on_open)))
    }

    pub(crate) fn chain_remb_handler(&self, tr: c_int) -> c_int {
        call!(self, rtcChainRembHandler(tr, Some(callbacks::on_unsigned)))
    }

    pub(crate) fn seconds_to_timestamp(&self, tr: c_int) -> c_int {
        let mut out = 0;
        call!(self, rtcTransformSecondsToTimestamp(tr, 1.0, &mut out))
    }

    pub(crate) fn timestamp_to_seconds(&self, tr: c_int) -> c_int {
        let mut out = 0.0;
        call!(self, rtcTransformTimestampToSeconds(tr, 1, &mut out))
    }

    pub(crate) fn track_timestamp(&self, tr: c_int) -> c_int {
        let mut out = 0;
        call!(self, rtcGetCurrentTrackTimestamp(tr, &mut out))
    }

    pub(crate) fn set_track_timestamp(&self, tr: c_int) -> c_int {
        call!(self, rtcSetTrackRtpTimestamp(tr, 1))
    }

    pub(crate) fn sender_report_timestamp(&self, tr: c_int) -> c_int {
        let mut out = 0;
        call!(self, rtcGetLastTrackSenderReportTimestamp(tr, &mut out))
    }

    pub(crate) fn payload_types(&self, tr: c_int) -> c_int {
        call!(self, rtcGetTrackPayloadTypesForCodec(tr, c"opus".as_ptr(), null_mut(), 0))
    }

    pub(crate) fn track_ssrcs(&self, tr: c_int) -> c_int {
        call!(self, rtcGetSsrcsForTrack(tr, null_mut(), 0))
    }

    pub(crate) fn cname(&self, tr: c_int) -> c_int {
        call!(self, rtcGetCNameForSsrc(tr, 1, null_mut(), 0))
    }

    pub(crate) fn needs_sr(&self, tr: c_int) -> c_int {
        call!(self, rtcSetNeedsToSendRtcpSr(tr))
    }

    pub(crate) fn create_ws_ex_null(&self, url: Option<&CStr>) -> c_int {
        call!(self, rtcCreateWebSocketEx(chars(url), null()))
    }

    pub(crate) fn create_ws_server_null(&self) -> c_int {
        call!(self, rtcCreateWebSocketServer(null(), None))
    }

    /// Creates an opaque message of `data` and deletes it again; false if none was made.
    pub(crate) fn opaque_round(&self, data: &mut [u8]) -> bool {
        let pointer = data.as_mut_ptr().cast();
        let message = call!(self, rtcCreateOpaqueMessage(pointer, data.len() as c_int));
        call!(self, rtcDeleteOpaqueMessage(message));
        !message.is_null()
    }

    pub(crate) fn delete_null_opaque(&self) {
        call!(self, rtcDeleteOpaqueMessage(null_mut()));
    }
}
