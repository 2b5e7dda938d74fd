//! What every function answers to identifiers and pointers it cannot use.

use super::Case;
use super::calls::{Objects, every_call, refusals};
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Connected, Peer};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("an unknown id is invalid to every function", unknown_ids),
        Case::new(
            "an unknown id is false to every predicate and has no user pointer",
            unknown_false,
        ),
        Case::new("an id of another kind is invalid to every function", wrong_kinds),
        Case::new("a peer connection is no channel", peer_is_no_channel),
        Case::new("NULL where a string or a size is needed is invalid", null_arguments),
        Case::new("a NULL configuration is invalid", null_configuration).fixes("B-30"),
        Case::new("a NULL array of servers is invalid", null_servers).fixes("B-30"),
        Case::new("NULL SCTP settings are invalid", null_settings).fixes("B-30"),
        Case::new("NULL where media functions need a structure is invalid", null_media),
        Case::new("every failing call logs its reason as an error", reasons_are_logged),
    ]
}

/// Identifiers that nothing has.
const UNKNOWN: [i32; 5] = [0, -1, 999, i32::MAX, i32::MIN];

fn unknown_ids(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let channel = peer.channel("x");
    let refused = refusals(lab.lib);
    let mut rows = Rows::new();
    for id in UNKNOWN {
        for call in every_call() {
            if let Some(code) = call.attempt(lab.lib, id) {
                rows.codes(format!("{}({id})", call.name), code, refused);
            }
        }
        // An obsolete function that does nothing.
        rows.code(format!("rtcSetNeedsToSendRtcpSr({id})"), lab.lib.needs_sr(id), OK);
    }
    assert!(!channel.is_closed());
}

fn unknown_false(lab: &Lab) {
    let mut rows = Rows::new();
    for id in UNKNOWN {
        for predicate in Predicate::ALL {
            rows.equal(format!("{}({id})", predicate.name), lab.lib.test(*predicate, id), false);
        }
        rows.equal(format!("rtcGetUserPointer({id})"), lab.lib.user_pointer(id), 0);
    }
}

fn wrong_kinds(lab: &Lab) {
    let objects = Objects::new(lab.lib);
    let mut rows = Rows::new();
    for (kind, id) in objects.ids() {
        for call in every_call().iter().filter(|call| !call.on.contains(&kind)) {
            if let Some(code) = call.attempt(lab.lib, id) {
                rows.code(format!("{}({kind:?})", call.name), code, INVALID);
            }
        }
    }
    // None of them has suffered.
    let told = |getter: Getter, id| lab.lib.string(getter, id).is_ok();
    rows.holds("the data channel's label", told(Getter::LABEL, objects.channel.id));
    rows.holds("the track's mid", told(Getter::TRACK_MID, objects.track.id));
    rows.holds("the peer connection negotiates", objects.peer.set_local("offer") == OK);
    let port = lab.lib.by_id(ById::WS_SERVER_PORT, objects.server.id);
    rows.equal("the server's port", port, i32::from(objects.server.port));
    objects.client.send_text(c"to");
    objects.accepted.wait_messages(1);
    objects.accepted.send_text(c"fro");
    objects.client.wait_messages(1);
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
    let allowed = refusals(lib);
    rows.codes("rtcAddTrack(NULL)", lib.add_track(peer.id, None), allowed);
    rows.codes("rtcAddTrackEx(NULL)", lib.add_track_ex_null(peer.id), allowed);
    let url = Some(c"ws://127.0.0.1:1/");
    rows.codes("rtcCreateWebSocketEx(url, NULL)", lib.create_ws_ex_null(url), allowed);
    rows.codes("rtcCreateWebSocketEx(NULL, NULL)", lib.create_ws_ex_null(None), allowed);
    rows.codes("rtcCreateWebSocket(NULL)", lib.create_ws(None), &[FAILURE, INVALID, NOT_AVAIL]);
    rows.codes("rtcCreateWebSocketServer(NULL, NULL)", lib.create_ws_server_null(), allowed);
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
