//! What every function answers to identifiers and pointers it cannot use.

use super::Case;
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::{Rows, Skipped};
use crate::peer::{Connected, Peer};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("an unknown id is invalid to every function", unknown_ids),
        Case::new(
            "an unknown id is false to every predicate and has no user pointer",
            unknown_false,
        ),
        Case::new("an id of another kind is invalid", wrong_kinds),
        Case::new("a data channel is no track and no WebSocket", channel_is_no_track),
        Case::new("a peer connection is no channel", peer_is_no_channel),
        Case::new("NULL where a string or a size is needed is invalid", null_arguments),
        Case::new("a NULL configuration is invalid", null_configuration).fixes("B-30"),
        Case::new("a NULL array of servers is invalid", null_servers).fixes("B-30"),
        Case::new("NULL SCTP settings are invalid", null_settings).fixes("B-30"),
        Case::new("NULL where media functions need a structure is invalid", null_media),
        Case::new("every failing call logs its reason as an error", reasons_are_logged),
    ]
}

/// A function under its C name, called with an identifier and otherwise harmless arguments.
pub(super) type Call = (&'static str, Box<dyn Fn(&Library, i32) -> i32>);

/// Calls the function unless the library lacks it.
pub(super) fn attempt(lib: &Library, function: &Call, id: i32) -> Option<i32> {
    let run = std::panic::AssertUnwindSafe(|| (function.1)(lib, id));
    match std::panic::catch_unwind(run) {
        Ok(code) => Some(code),
        Err(panic) if panic.is::<Skipped>() => None,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn call(name: &'static str, function: impl Fn(&Library, i32) -> i32 + 'static) -> Call {
    (name, Box::new(function))
}

/// Functions on data channels and peer connections.
pub(super) fn data_calls() -> Vec<Call> {
    let offer = c"v=0\r\n";
    let candidate = c"candidate:1 1 UDP 1 127.0.0.1 9 typ host";
    let mut calls = vec![
        call("rtcSetLocalDescription", |lib, id| lib.set_local_description(id, None)),
        call("rtcSetRemoteDescription", move |lib, id| {
            lib.set_remote_description(id, Some(offer), None)
        }),
        call("rtcAddRemoteCandidate", move |lib, id| {
            lib.add_remote_candidate(id, Some(candidate), None)
        }),
        call("rtcGetSelectedCandidatePair", |lib, id| lib.selected_pair(id, None, 0, None, 0)),
        call("rtcSendMessage", |lib, id| lib.send_binary(id, b"x")),
        call("rtcSendMessage (text)", |lib, id| lib.send_text(id, c"x")),
        call("rtcReceiveMessage", |lib, id| lib.receive(id, Some(&mut [0; 8]), 8).0),
        call("rtcSetBufferedAmountLowThreshold", |lib, id| lib.set_low_threshold(id, 1)),
        call("rtcCreateDataChannel", |lib, id| lib.create_dc(id, Some(c"x"))),
        call("rtcCreateDataChannelEx", |lib, id| lib.create_dc_ex(id, Some(c"x"), None)),
        call("rtcGetDataChannelReliability", |lib, id| {
            lib.reliability(id, Some(&mut Reliability::default()))
        }),
    ];
    for slot in Slot::PEER.iter().chain(Slot::CHANNEL).filter(|slot| **slot != Slot::Track) {
        calls.push(call(slot.function(), |lib, id| lib.listen(*slot, id, true)));
        calls.push(call(slot.function(), |lib, id| lib.listen(*slot, id, false)));
    }
    let media = [ById::DELETE_TRACK.name, ById::REQUEST_KEYFRAME.name];
    for function in ById::ALL {
        let is_media = media.contains(&function.name)
            || function.name.contains("Chain")
            || function.name.contains("Depacketizer")
            || function.name.contains("WebSocket");
        if !is_media {
            calls.push(call(function.name, |lib, id| lib.by_id(*function, id)));
        }
    }
    for getter in &Getter::ALL[..10] {
        calls.push(call(getter.name, |lib, id| lib.fill(*getter, id, None, 0)));
        calls.push(call(getter.name, |lib, id| lib.fill(*getter, id, Some(&mut [0; 8]), 8)));
        calls.push(call(getter.name, |lib, id| lib.fill(*getter, id, Some(&mut [0; 8]), -8)));
    }
    calls
}

/// Functions on tracks and WebSockets, and those of peer connections that concern tracks.
pub(super) fn media_calls() -> Vec<Call> {
    let mut calls = vec![
        call("rtcSetTrackCallback", |lib, id| lib.listen(Slot::Track, id, true)),
        call("rtcAddTrack", |lib, id| lib.add_track(id, Some(c"audio 9 UDP/TLS/RTP/SAVPF 0"))),
        call("rtcAddTrackEx", |lib, id| lib.add_track_ex_null(id)),
        call("rtcGetTrackDirection", |lib, id| lib.track_direction(id, false)),
        call("rtcRequestBitrate", |lib, id| lib.request_bitrate(id)),
        call("rtcSetMediaInterceptorCallback", |lib, id| lib.set_interceptor_null(id)),
        call("rtcChainRtcpNackResponder", |lib, id| lib.chain_nack_responder(id)),
        call("rtcChainPliHandler", |lib, id| lib.chain_pli_handler(id)),
        call("rtcChainRembHandler", |lib, id| lib.chain_remb_handler(id)),
        call("rtcTransformSecondsToTimestamp", |lib, id| lib.seconds_to_timestamp(id)),
        call("rtcTransformTimestampToSeconds", |lib, id| lib.timestamp_to_seconds(id)),
        call("rtcGetCurrentTrackTimestamp", |lib, id| lib.track_timestamp(id)),
        call("rtcSetTrackRtpTimestamp", |lib, id| lib.set_track_timestamp(id)),
        call("rtcGetLastTrackSenderReportTimestamp", |lib, id| lib.sender_report_timestamp(id)),
        call("rtcGetTrackPayloadTypesForCodec", |lib, id| lib.payload_types(id)),
        call("rtcGetSsrcsForTrack", |lib, id| lib.track_ssrcs(id)),
        call("rtcGetCNameForSsrc", |lib, id| lib.cname(id)),
    ];
    for packetizer in Packetizer::ALL {
        calls.push(call(packetizer.name, |lib, id| lib.packetize(*packetizer, id)));
    }
    let data: Vec<_> = data_calls().iter().map(|(name, _)| *name).collect();
    for function in ById::ALL.iter().filter(|function| !data.contains(&function.name)) {
        calls.push(call(function.name, |lib, id| lib.by_id(*function, id)));
    }
    for getter in &Getter::ALL[10..] {
        calls.push(call(getter.name, |lib, id| lib.fill(*getter, id, None, 0)));
    }
    calls
}

fn unknown_ids(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let channel = peer.channel("x");
    let mut rows = Rows::new();
    for id in [0, -1, 999, i32::MAX, i32::MIN] {
        for (name, function) in data_calls() {
            rows.code(format!("{name}({id})"), function(lab.lib, id), INVALID);
        }
        for (name, function) in media_calls() {
            // A group that is not implemented may say so instead.
            rows.codes(format!("{name}({id})"), function(lab.lib, id), &[INVALID, NOT_AVAIL]);
        }
        rows.codes(
            format!("rtcSetNeedsToSendRtcpSr({id})"),
            lab.lib.needs_sr(id),
            &[OK, NOT_AVAIL],
        );
    }
    assert!(!channel.is_closed());
}

fn unknown_false(lab: &Lab) {
    let mut rows = Rows::new();
    for id in [0, -1, 999, i32::MAX, i32::MIN] {
        for predicate in Predicate::ALL {
            rows.equal(format!("{}({id})", predicate.name), lab.lib.test(*predicate, id), false);
        }
        rows.equal(format!("rtcGetUserPointer({id})"), lab.lib.user_pointer(id), 0);
    }
}

/// Names of functions that take a peer connection.
const ON_PEERS: &[&str] = &[
    "rtcClosePeerConnection",
    "rtcDeletePeerConnection",
    "rtcGetMaxDataChannelStream",
    "rtcGetRemoteMaxMessageSize",
    "rtcSetLocalDescription",
    "rtcSetRemoteDescription",
    "rtcAddRemoteCandidate",
    "rtcGetSelectedCandidatePair",
    "rtcCreateDataChannel",
    "rtcCreateDataChannelEx",
    "rtcGetLocalDescription",
    "rtcGetRemoteDescription",
    "rtcGetLocalDescriptionType",
    "rtcGetRemoteDescriptionType",
    "rtcCreateOffer",
    "rtcCreateAnswer",
    "rtcGetLocalAddress",
    "rtcGetRemoteAddress",
    "rtcSetLocalDescriptionCallback",
    "rtcSetLocalCandidateCallback",
    "rtcSetStateChangeCallback",
    "rtcSetIceStateChangeCallback",
    "rtcSetGatheringStateChangeCallback",
    "rtcSetSignalingStateChangeCallback",
    "rtcSetDataChannelCallback",
];

fn wrong_kinds(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let channel = peer.channel("x");
    let mut rows = Rows::new();
    for (name, function) in data_calls() {
        let plain = name.split(' ').next().unwrap_or(name);
        let (kind, id) = if ON_PEERS.contains(&plain) {
            ("a data channel", channel.id)
        } else {
            ("a peer connection", peer.id)
        };
        rows.code(format!("{name}({kind})"), function(lab.lib, id), INVALID);
    }
    rows.holds("the channel survived", lab.lib.string(Getter::LABEL, channel.id).is_ok());
}

fn channel_is_no_track(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let channel = peer.channel("x");
    let mut rows = Rows::new();
    for function in media_calls() {
        if let Some(code) = attempt(lab.lib, &function, channel.id) {
            let allowed = [INVALID, NOT_AVAIL];
            rows.codes(format!("{}(data channel)", function.0), code, &allowed);
        }
    }
    rows.holds("the channel survived", lab.lib.string(Getter::LABEL, channel.id).is_ok());
}

fn peer_is_no_channel(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let id = connected.a.id;
    let mut rows = Rows::new();
    rows.code("rtcClose(pc)", lab.lib.by_id(ById::CLOSE, id), INVALID);
    rows.code("rtcDelete(pc)", lab.lib.by_id(ById::DELETE, id), INVALID);
    rows.code("rtcSendMessage(pc)", lab.lib.send_binary(id, b"x"), INVALID);
    rows.equal("rtcIsOpen(pc)", lab.lib.test(Predicate::IS_OPEN, id), false);
    rows.equal("rtcIsClosed(pc)", lab.lib.test(Predicate::IS_CLOSED, id), false);
    rows.code(
        "rtcDeletePeerConnection(dc)",
        lab.lib.by_id(ById::DELETE_PC, connected.near.id),
        INVALID,
    );
    connected.near.send_text(c"still here");
    connected.far.wait_messages(1);
}

fn null_arguments(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let channel = peer.channel("x");
    let (lib, pc, dc) = (lab.lib, peer.id, channel.id);
    let mut rows = Rows::new();
    let type_only = lib.set_remote_description(pc, None, Some(c"offer"));
    rows.code("rtcSetRemoteDescription(NULL, offer)", type_only, INVALID);
    rows.code(
        "rtcSetRemoteDescription(NULL, NULL)",
        lib.set_remote_description(pc, None, None),
        INVALID,
    );
    rows.code("rtcAddRemoteCandidate(NULL)", lib.add_remote_candidate(pc, None, None), INVALID);
    rows.code("rtcSendMessage(NULL, 1)", lib.send_raw(dc, None, 1), INVALID);
    rows.code("rtcSendMessage(NULL, -1)", lib.send_raw(dc, None, -1), INVALID);
    rows.code("rtcReceiveMessage(size NULL)", lib.receive_without_size(dc), INVALID);
    rows.code("rtcGetDataChannelReliability(NULL)", lib.reliability(dc, None), INVALID);
    let label = lib.create_dc(pc, None);
    rows.holds("rtcCreateDataChannel(NULL label) creates", label > 0);
    rows.equal("its label", lib.string(Getter::LABEL, label), Ok(String::new()));
}

fn null_configuration(lab: &Lab) {
    Rows::new().code("rtcCreatePeerConnection(NULL)", lab.lib.create_pc(None), INVALID);
}

fn null_servers(lab: &Lab) {
    let mut rows = Rows::new();
    for count in [1, 5, i32::MAX] {
        let config = Config { null_servers: Some(count), ..Config::loopback() };
        rows.code(format!("{count} servers in NULL"), lab.lib.create_pc(Some(&config)), INVALID);
    }
}

fn null_settings(lab: &Lab) {
    Rows::new().code("rtcSetSctpSettings(NULL)", lab.lib.set_sctp_settings(None), INVALID);
}

fn null_media(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let lib = lab.lib;
    let mut rows = Rows::new();
    let allowed = [INVALID, NOT_AVAIL];
    rows.codes("rtcAddTrack(NULL)", lib.add_track(peer.id, None), &allowed);
    rows.codes("rtcAddTrackEx(NULL)", lib.add_track_ex_null(peer.id), &allowed);
    let url = Some(c"ws://127.0.0.1:1/");
    rows.codes("rtcCreateWebSocketEx(url, NULL)", lib.create_ws_ex_null(url), &allowed);
    rows.codes("rtcCreateWebSocketEx(NULL, NULL)", lib.create_ws_ex_null(None), &allowed);
    rows.codes("rtcCreateWebSocket(NULL)", lib.create_ws(None), &[FAILURE, INVALID, NOT_AVAIL]);
    rows.codes("rtcCreateWebSocketServer(NULL, NULL)", lib.create_ws_server_null(), &allowed);
    lib.delete_null_opaque();
    lib.opaque_round(&mut [1, 2, 3]);
}

fn reasons_are_logged(lab: &Lab) {
    lab.lib.init_logger(2, true);
    let lines = || log_lines().len();
    let peer = Peer::new(lab.lib);
    let failing: &[(&str, &dyn Fn() -> i32)] = &[
        ("unknown id", &|| lab.lib.by_id(ById::CLOSE_PC, 999)),
        ("bad candidate", &|| lab.lib.add_remote_candidate(peer.id, Some(c"junk"), None)),
        ("nothing to offer", &|| lab.lib.set_local_description(peer.id, None)),
        ("empty description", &|| lab.lib.set_remote_description(peer.id, Some(c""), None)),
    ];
    let mut rows = Rows::new();
    for (name, function) in failing {
        let before = lines();
        rows.holds(format!("{name} fails"), function() < 0);
        let logged = &log_lines()[before..];
        rows.holds(format!("{name} is logged at ERROR"), logged.iter().any(|line| line.0 == 2));
    }
}
