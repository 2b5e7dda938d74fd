//! Every function that takes an identifier, with otherwise harmless arguments: whom it is for and
//! what it may answer.

use crate::ffi::*;
use crate::outcome::{Skipped, skip};
use crate::peer::{Channel, Peer};
use crate::websocket::{Server, connect};

/// What an identifier stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Peer,
    DataChannel,
    Track,
    WebSocket,
    Server,
}

const PEER: &[Kind] = &[Kind::Peer];
const CHANNEL: &[Kind] = &[Kind::DataChannel, Kind::Track, Kind::WebSocket];
const DATA_CHANNEL: &[Kind] = &[Kind::DataChannel];
const TRACK: &[Kind] = &[Kind::Track];
const WEBSOCKET: &[Kind] = &[Kind::WebSocket];
const SERVER: &[Kind] = &[Kind::Server];

/// What else a function may answer than success.
const NOTHING: &[i32] = &[];
/// In the wrong state.
const STATE: &[i32] = &[FAILURE];
/// What a function that tells something answers where there is nothing, or too little room.
const TOLD: &[i32] = &[NOT_AVAIL, TOO_SMALL];

type Run = Box<dyn Fn(&Library, i32) -> i32 + Send + Sync>;

/// A function under its C name, called with an identifier.
pub(super) struct Call {
    pub(super) name: &'static str,
    /// What it is for; everything else is invalid.
    pub(super) on: &'static [Kind],
    /// What it may answer, besides success, to what it is for.
    pub(super) besides: &'static [i32],
    /// It ends an object.
    pub(super) ends: bool,
    /// It changes what an object in use does: takes its messages or callbacks away, for instance.
    pub(super) unsettles: bool,
    run: Run,
}

impl Call {
    /// The result; nothing where the library lacks the function.
    pub(super) fn attempt(&self, lib: &Library, id: i32) -> Option<i32> {
        let run = std::panic::AssertUnwindSafe(|| (self.run)(lib, id));
        match std::panic::catch_unwind(run) {
            Ok(code) => Some(code),
            Err(panic) if panic.is::<Skipped>() => None,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// The result is one of those documented for a kind of object.
    pub(super) fn is_documented(&self, kind: Kind, code: i32) -> bool {
        match self.on.contains(&kind) {
            true => code >= OK || self.besides.contains(&code),
            false => code == INVALID,
        }
    }

    fn ending(self) -> Self {
        Self { ends: true, ..self }
    }

    fn unsettling(self) -> Self {
        Self { unsettles: true, ..self }
    }
}

fn call(
    name: &'static str,
    on: &'static [Kind],
    besides: &'static [i32],
    run: impl Fn(&Library, i32) -> i32 + Send + Sync + 'static,
) -> Call {
    Call { name, on, besides, ends: false, unsettles: false, run: Box::new(run) }
}

/// All of them.
pub(super) fn every_call() -> Vec<Call> {
    let mut calls = on_peers();
    calls.extend(on_channels());
    calls.extend(on_tracks());
    calls.extend(callbacks());
    calls.extend(by_id());
    calls.extend(getters());
    calls
}

/// What an identifier that stands for nothing is answered. The real library may have been built
/// without tracks, and then says so first.
pub(super) fn refusals(lib: Lib) -> &'static [i32] {
    match lib.is_real() && lib.add_track(0, None) == NOT_AVAIL {
        true => &[INVALID, NOT_AVAIL],
        false => &[INVALID],
    }
}

fn on_peers() -> Vec<Call> {
    let candidate = c"candidate:1 1 UDP 1 127.0.0.1 9 typ host";
    let line = c"audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:made";
    vec![
        call("rtcSetLocalDescription", PEER, STATE, |lib, id| lib.set_local_description(id, None)),
        call("rtcSetLocalDescriptionEx", PEER, STATE, |lib, id| {
            lib.set_local_description_ex(id, c"", None)
        }),
        // It has no content, and is refused for that.
        call("rtcSetRemoteDescription", PEER, &[INVALID], |lib, id| {
            lib.set_remote_description(id, Some(c"v=0\r\n"), None)
        }),
        call("rtcAddRemoteCandidate", PEER, STATE, move |lib, id| {
            lib.add_remote_candidate(id, Some(candidate), None)
        }),
        call("rtcGetSelectedCandidatePair", PEER, TOLD, |lib, id| {
            lib.selected_pair(id, None, 0, None, 0)
        }),
        call("rtcGetSelectedCandidatePair (small)", PEER, TOLD, |lib, id| {
            lib.selected_pair(id, Some(&mut [0; 8]), 8, Some(&mut [0; 8]), -8)
        }),
        call("rtcCreateDataChannel", PEER, STATE, |lib, id| lib.create_dc(id, Some(c"made"))),
        call("rtcCreateDataChannelEx", PEER, STATE, |lib, id| {
            lib.create_dc_ex(id, Some(c"made"), None)
        }),
        call("rtcAddTrack", PEER, STATE, move |lib, id| lib.add_track(id, Some(line))),
        call("rtcAddTrackEx (NULL)", PEER, &[INVALID], |lib, id| lib.add_track_ex_null(id)),
        call("rtcSetMediaInterceptorCallback (NULL)", PEER, NOTHING, |lib, id| {
            lib.set_interceptor_null(id)
        })
        .unsettling(),
        call("rtcGetPeerConnectionBackend", PEER, NOTHING, |lib, id| {
            lib.peer_backend(id, 0, None, 0)
        }),
        // Some ICE backends cannot.
        call("rtcRestartIce", PEER, &[FAILURE, INVALID], |lib, id| lib.restart_ice(id))
            .unsettling(),
        call("rtcSetIceRecoveryTimeout", PEER, NOTHING, |lib, id| lib.set_ice_recovery(id, 0)),
        call("rtcSetMaxMtu", PEER, NOTHING, |lib, id| lib.set_max_mtu(id, 0)),
    ]
}

fn on_channels() -> Vec<Call> {
    // A track takes whole packets only.
    const SENDING: &[i32] = &[FAILURE, INVALID];
    vec![
        call("rtcSendMessage", CHANNEL, SENDING, |lib, id| lib.send_binary(id, b"x")),
        call("rtcSendMessage (text)", CHANNEL, SENDING, |lib, id| lib.send_text(id, c"x")),
        call("rtcSendMessage (NULL)", CHANNEL, &[INVALID], |lib, id| lib.send_raw(id, None, -1)),
        call("rtcReceiveMessage", CHANNEL, TOLD, |lib, id| lib.receive(id, Some(&mut [0; 8]), 8).0)
            .unsettling(),
        call("rtcReceiveMessage (NULL)", CHANNEL, TOLD, |lib, id| lib.receive(id, None, -8).0),
        call("rtcReceiveMessage (no size)", CHANNEL, &[INVALID], |lib, id| {
            lib.receive_without_size(id)
        }),
        call("rtcSetBufferedAmountLowThreshold", CHANNEL, NOTHING, |lib, id| {
            lib.set_low_threshold(id, 1)
        }),
        call("rtcGetDataChannelReliability", DATA_CHANNEL, NOTHING, |lib, id| {
            lib.reliability(id, Some(&mut Reliability::default()))
        }),
        call("rtcGetDataChannelReliability (NULL)", DATA_CHANNEL, &[INVALID], |lib, id| {
            lib.reliability(id, None)
        }),
    ]
}

fn on_tracks() -> Vec<Call> {
    // Timestamps are those of a packetizer, and there may be none.
    const REFUSED: &[i32] = &[INVALID];
    let error = |result: Result<(), i32>| result.err().unwrap_or(OK);
    let mut calls = vec![
        call("rtcGetTrackDirection", TRACK, NOTHING, |lib, id| lib.track_direction(id, false)),
        call("rtcGetTrackDirection (NULL)", TRACK, REFUSED, |lib, id| {
            lib.track_direction(id, true)
        }),
        call("rtcRequestBitrate", TRACK, STATE, |lib, id| lib.request_bitrate(id)),
        call("rtcChainRtcpNackResponder", TRACK, NOTHING, |lib, id| lib.chain_nack_responder(id))
            .unsettling(),
        call("rtcChainPliHandler", TRACK, NOTHING, |lib, id| lib.chain_pli_handler(id))
            .unsettling(),
        call("rtcChainRembHandler", TRACK, NOTHING, |lib, id| lib.chain_remb_handler(id))
            .unsettling(),
        call("rtcChainPacingHandler", TRACK, NOTHING, |lib, id| lib.chain_pacing(id, 1e6, 5))
            .unsettling(),
        call("rtcTransformSecondsToTimestamp", TRACK, REFUSED, |lib, id| {
            lib.seconds_to_timestamp(id)
        }),
        call("rtcTransformTimestampToSeconds", TRACK, REFUSED, |lib, id| {
            lib.timestamp_to_seconds(id)
        }),
        call("rtcGetCurrentTrackTimestamp", TRACK, REFUSED, |lib, id| lib.track_timestamp(id)),
        call("rtcSetTrackRtpTimestamp", TRACK, REFUSED, |lib, id| lib.set_track_timestamp(id)),
        call("rtcGetLastTrackSenderReportTimestamp", TRACK, REFUSED, |lib, id| {
            lib.sender_report_timestamp(id)
        }),
        call("rtcGetTrackRtcpSyncTimestamps", TRACK, &[INVALID, NOT_AVAIL], move |lib, id| {
            error(lib.sync_timestamps(id).map(drop))
        }),
        call("rtcGetTrackPayloadTypesForCodec", TRACK, TOLD, |lib, id| lib.payload_types(id)),
        call("rtcGetSsrcsForTrack", TRACK, TOLD, |lib, id| lib.track_ssrcs(id)),
        call("rtcGetCNameForSsrc", TRACK, TOLD, |lib, id| lib.cname(id)),
        call("rtcSetFrameCallback", TRACK, NOTHING, |lib, id| lib.on_frame(id)).unsettling(),
        call("rtcSetH264Depacketizer", TRACK, NOTHING, |lib, id| lib.depacketize_nal(false, id, 0))
            .unsettling(),
        call("rtcSetH265Depacketizer", TRACK, NOTHING, |lib, id| lib.depacketize_nal(true, id, 0))
            .unsettling(),
        call("rtcSetAV1Depacketizer", TRACK, NOTHING, |lib, id| lib.depacketize_av1(id, 1))
            .unsettling(),
    ];
    for packetizer in Packetizer::ALL {
        let run = |lib: &Library, id| lib.packetize(*packetizer, id);
        calls.push(call(packetizer.name, TRACK, REFUSED, run));
    }
    calls
}

/// Callbacks are set, taken away and set again.
fn callbacks() -> Vec<Call> {
    let of = |slot: &'static Slot| {
        let on = if Slot::PEER.contains(slot) { PEER } else { CHANNEL };
        let set = |on: bool| move |lib: &Library, id| lib.listen(*slot, id, on);
        [
            call(slot.function(), on, NOTHING, set(true)),
            call(slot.function(), on, NOTHING, set(false)).unsettling(),
            call(slot.function(), on, NOTHING, set(true)),
        ]
    };
    Slot::PEER.iter().chain(Slot::CHANNEL).flat_map(of).collect()
}

fn by_id() -> Vec<Call> {
    let of = |function: &'static ById| {
        let run = |lib: &Library, id| lib.by_id(*function, id);
        match function.name {
            "rtcClosePeerConnection" | "rtcDeletePeerConnection" => {
                call(function.name, PEER, NOTHING, run).ending()
            }
            "rtcGetMaxDataChannelStream" | "rtcGetRemoteMaxMessageSize" => {
                call(function.name, PEER, NOTHING, run)
            }
            "rtcClose" | "rtcDelete" => call(function.name, CHANNEL, NOTHING, run).ending(),
            "rtcMaxMessageSize" | "rtcGetBufferedAmount" | "rtcGetAvailableAmount" => {
                call(function.name, CHANNEL, NOTHING, run)
            }
            "rtcDeleteDataChannel" => call(function.name, DATA_CHANNEL, NOTHING, run).ending(),
            "rtcGetDataChannelStream" => call(function.name, DATA_CHANNEL, TOLD, run),
            "rtcDeleteTrack" => call(function.name, TRACK, NOTHING, run).ending(),
            "rtcRequestKeyframe" => call(function.name, TRACK, STATE, run),
            "rtcDeleteWebSocket" => call(function.name, WEBSOCKET, NOTHING, run).ending(),
            "rtcDeleteWebSocketServer" => call(function.name, SERVER, NOTHING, run).ending(),
            "rtcGetWebSocketServerPort" => call(function.name, SERVER, NOTHING, run),
            // A reporter wants a packetizer.
            "rtcChainRtcpSrReporter" => call(function.name, TRACK, &[INVALID], run).unsettling(),
            _ => call(function.name, TRACK, NOTHING, run).unsettling(),
        }
    };
    ById::ALL.iter().map(of).collect()
}

fn getters() -> Vec<Call> {
    let of = |getter: &'static Getter| {
        let (on, besides) = match getter.name {
            "rtcGetDataChannelLabel" | "rtcGetDataChannelProtocol" => (DATA_CHANNEL, TOLD),
            "rtcGetTrackDescription" | "rtcGetTrackMid" => (TRACK, TOLD),
            "rtcGetWebSocketRemoteAddress" | "rtcGetWebSocketPath" => (WEBSOCKET, TOLD),
            "rtcCreateOffer" | "rtcCreateAnswer" => {
                (PEER, [NOT_AVAIL, TOO_SMALL, FAILURE].as_slice())
            }
            _ => (PEER, TOLD),
        };
        [
            call(getter.name, on, besides, |lib, id| lib.fill(*getter, id, None, 0)),
            call(getter.name, on, besides, |lib, id| lib.fill(*getter, id, Some(&mut [0; 8]), 8)),
            call(getter.name, on, besides, |lib, id| lib.fill(*getter, id, Some(&mut [0; 8]), -8)),
        ]
    };
    Getter::ALL.iter().flat_map(of).collect()
}

/// Objects of every kind that nothing else uses, without connections except between the WebSockets.
/// Deleted when dropped.
pub(super) struct Objects {
    pub(super) peer: Peer,
    pub(super) channel: Channel,
    pub(super) track: Channel,
    pub(super) client: Channel,
    pub(super) accepted: Channel,
    pub(super) server: Server,
}

impl Objects {
    pub(super) fn new(lib: Lib) -> Self {
        if refusals(lib).contains(&NOT_AVAIL) {
            skip("the library has no tracks");
        }
        let peer = Peer::manual(lib);
        let channel = peer.channel("idle");
        let track = peer.track("audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:idle\r\na=sendrecv\r\n");
        let server = Server::new(lib);
        let client = connect(lib, &server.url());
        let accepted = server.client(0);
        client.wait_open();
        accepted.wait_open();
        Self { peer, channel, track, client, accepted, server }
    }

    /// Each identifier with what it stands for.
    pub(super) fn ids(&self) -> [(Kind, i32); 6] {
        [
            (Kind::Peer, self.peer.id),
            (Kind::DataChannel, self.channel.id),
            (Kind::Track, self.track.id),
            (Kind::WebSocket, self.client.id),
            (Kind::WebSocket, self.accepted.id),
            (Kind::Server, self.server.id),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those that take no identifier, and those whose answer is no code.
    const OTHERS: [&str; 22] = [
        "rtcInitLogger",
        "rtcSetUserPointer",
        "rtcGetUserPointer",
        "rtcCreatePeerConnection",
        "rtcIsNegotiationNeeded",
        "rtcIsOpen",
        "rtcIsClosed",
        "rtcCreateOpaqueMessage",
        "rtcDeleteOpaqueMessage",
        "rtcGetSsrcsForType",
        "rtcSetSsrcForType",
        "rtcSetNeedsToSendRtcpSr",
        "rtcCreateWebSocket",
        "rtcCreateWebSocketEx",
        "rtcCreateWebSocketServer",
        "rtcSetThreadPoolSize",
        "rtcSetSctpSettings",
        "rtcPreload",
        "rtcCleanup",
        "rtcCleanupNow",
        "rtcGetBackendNames",
        "rtcGetPayloadTypesForCodec",
    ];

    #[test]
    fn every_function_that_takes_an_identifier_is_among_the_calls() {
        let calls = every_call();
        let called = |name: &str| calls.iter().any(|c| c.name.split(' ').next() == Some(name));
        let missing: Vec<_> =
            NAMES.iter().filter(|name| !called(name) && !OTHERS.contains(name)).collect();
        assert_eq!(missing, [&""; 0]);
    }
}
