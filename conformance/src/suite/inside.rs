//! Every function inside every callback: `hostile: every function may be called inside every
//! callback`.

use super::calls::{Call, Kind, every_call};
use super::tracks::rtp;
use crate::ffi::*;
use crate::inbox::{Event, Inbox, Recorded, lock, violation};
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Pair, Peer, Signalling, eventually_or};
use crate::websocket::{Server, bare_connect};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock};

/// The callbacks that have to come, each with what it is of.
const WANTED: [&str; 29] = [
    "LocalDescription of Peer",
    "LocalCandidate of Peer",
    "State of Peer",
    "IceState of Peer",
    "Gathering of Peer",
    "Signaling of Peer",
    "DataChannel of Peer",
    "Track of Peer",
    "Interceptor of Peer",
    "Open of DataChannel",
    "Message of DataChannel",
    "Available of DataChannel",
    "BufferedAmountLow of DataChannel",
    "Closed of DataChannel",
    "Open of Track",
    "Message of Track",
    "Available of Track",
    "Keyframe of Track",
    "Bitrate of Track",
    "Frame of Track",
    "Closed of Track",
    "Open of WebSocket",
    "Message of WebSocket",
    "Available of WebSocket",
    "BufferedAmountLow of WebSocket",
    "Error of WebSocket",
    "Closed of WebSocket",
    "Client of Server",
    "Log",
];

/// The SSRCs of the two tracks.
const PLAIN: u32 = 42;
const FRAMES: u32 = 44;

/// What callbacks without a user pointer have to know as well.
struct Scene {
    lib: Lib,
    calls: Vec<Call>,
    /// The objects that take part.
    objects: Mutex<Vec<(Kind, i32)>>,
    /// The callbacks inside of which everything has been called.
    seen: Mutex<BTreeSet<String>>,
}

static SCENE: OnceLock<Scene> = OnceLock::new();

impl Scene {
    fn add(&self, kind: Kind, id: i32) {
        lock(&self.objects).push((kind, id));
    }

    fn kind(&self, id: i32) -> Option<Kind> {
        lock(&self.objects).iter().find(|object| object.1 == id).map(|object| object.0)
    }

    /// Whether all of [`WANTED`] has come, or, without `ends`, all but what ends something; the
    /// error tells what has not.
    fn complete(&self, ends: bool) -> Result<(), String> {
        let seen = lock(&self.seen);
        let open = |name: &&str| !seen.contains(*name) && (ends || !name.starts_with("Closed"));
        let missing: Vec<_> = WANTED.into_iter().filter(open).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("of {missing:?}")) }
    }

    /// To be called inside a callback: the first of its kind calls everything.
    fn enter(&self, callback: String) {
        if !lock(&self.seen).insert(callback.clone()) {
            return;
        }
        let run = || {
            let mut rows = Rows::new();
            self.use_objects(&mut rows);
            self.use_new_ones(&mut rows);
            self.use_the_rest(&mut rows);
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            violation(format!("inside {callback}: {}", crate::runner::panic_text(&*panic)));
        }
    }

    /// Calls everything with the objects that take part, except what would keep other callbacks
    /// from coming.
    fn use_objects(&self, rows: &mut Rows) {
        let objects = lock(&self.objects).clone();
        for (kind, id) in objects {
            let harmless = |call: &&Call| !call.on.contains(&kind) || !call.ends && !call.unsettles;
            for call in self.calls.iter().filter(harmless) {
                self.use_one(rows, call, kind, id);
            }
            for predicate in Predicate::ALL {
                self.lib.test(*predicate, id);
            }
            self.lib.set_user_pointer(id, self.lib.user_pointer(id));
        }
        for call in &self.calls {
            if let Some(code) = call.attempt(self.lib, 999_999) {
                rows.code(format!("{}(999999)", call.name), code, INVALID);
            }
        }
    }

    fn use_one(&self, rows: &mut Rows, call: &Call, kind: Kind, id: i32) {
        if let Some(code) = call.attempt(self.lib, id) {
            let row = format!("{}({kind:?}): {}", call.name, code_name(code));
            rows.holds(row, call.is_documented(kind, code));
        }
    }

    /// Creates objects, calls everything with them, and ends them.
    fn use_new_ones(&self, rows: &mut Rows) {
        let lib = self.lib;
        let peer = Peer::manual(lib);
        let channel = peer.channel("new");
        let track = peer.track("audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:new\r\na=sendrecv\r\n");
        let objects =
            [(Kind::Peer, peer.id), (Kind::DataChannel, channel.id), (Kind::Track, track.id)];
        for (kind, id) in objects {
            let own = |call: &&Call| call.on.contains(&kind) && !call.ends;
            for call in self.calls.iter().filter(own) {
                self.use_one(rows, call, kind, id);
            }
        }
        rows.code("rtcClose(data channel)", channel.by_id(ById::CLOSE), OK);
        rows.code("rtcClose(track)", track.by_id(ById::CLOSE), OK);
        rows.code("rtcDeleteTrack", track.delete(), OK);
        rows.code("rtcClosePeerConnection", lib.by_id(ById::CLOSE_PC, peer.id), OK);
        rows.code("rtcDeletePeerConnection", peer.delete(), OK);
        rows.code("rtcDeleteDataChannel", channel.delete(), OK);
        peer.inbox.retire();
        let server = lib.create_ws_server(&WsServerConfig::loopback(), true);
        rows.holds("rtcCreateWebSocketServer", server > 0);
        let client = lib.create_ws(Some(c"ws://127.0.0.1:9/"));
        rows.holds("rtcCreateWebSocket", client > 0);
        rows.code("rtcDeleteWebSocket", lib.by_id(ById::DELETE_WS, client), OK);
        rows.code("rtcDeleteWebSocketServer", lib.by_id(ById::DELETE_WS_SERVER, server), OK);
    }

    /// What concerns no object. `rtcCleanup` is not to be called inside a callback.
    fn use_the_rest(&self, rows: &mut Rows) {
        let lib = self.lib;
        lib.preload();
        rows.code("rtcSetSctpSettings", lib.set_sctp_settings(Some(&SctpSettings::default())), OK);
        rows.code("rtcSetThreadPoolSize", lib.set_thread_pool_size(4), OK);
        let sdp = c"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=ssrc:7 cname:x\r\n";
        rows.holds("rtcGetSsrcsForType", lib.ssrcs_of_type(Some(c"audio"), Some(sdp)).0 >= 0);
        rows.holds("rtcCreateOpaqueMessage", lib.opaque_round(&mut [1, 2, 3]));
    }
}

/// The name of the callback that made an event.
fn name(event: &Event) -> &'static str {
    match event {
        Event::LocalDescription { .. } => "LocalDescription",
        Event::LocalCandidate { .. } => "LocalCandidate",
        Event::State(_) => "State",
        Event::IceState(_) => "IceState",
        Event::Gathering(_) => "Gathering",
        Event::Signaling(_) => "Signaling",
        Event::DataChannel(_) => "DataChannel",
        Event::Track(_) => "Track",
        Event::Client(_) => "Client",
        Event::Open => "Open",
        Event::Closed => "Closed",
        Event::Error(_) => "Error",
        Event::Message(_) => "Message",
        Event::BufferedAmountLow => "BufferedAmountLow",
        Event::Available => "Available",
        Event::Keyframe => "Keyframe",
        Event::Bitrate(_) => "Bitrate",
        Event::Frame { .. } => "Frame",
    }
}

fn hook(_: &Inbox, recorded: &Recorded) {
    let Some(scene) = SCENE.get() else { return };
    match recorded.event {
        Event::DataChannel(id) => scene.add(Kind::DataChannel, id),
        Event::Track(id) => scene.add(Kind::Track, id),
        Event::Client(id) => scene.add(Kind::WebSocket, id),
        _ => {}
    }
    if let Some(kind) = scene.kind(recorded.owner) {
        scene.enter(format!("{} of {kind:?}", name(&recorded.event)));
    }
}

fn log_hook() {
    if let Some(scene) = SCENE.get() {
        scene.enter("Log".to_owned());
    }
}

fn intercept(_: &[u8]) -> Answer {
    if let Some(scene) = SCENE.get() {
        scene.enter("Interceptor of Peer".to_owned());
    }
    Answer::Forward
}

/// The connections that make callbacks come: the peer `a` is watched, `b` provokes.
struct Stage {
    pair: Pair,
    server: Server,
    client: Channel,
    /// Ends at `b`.
    far: Channel,
    plain: Channel,
    frames: Channel,
}

impl Stage {
    fn set(scene: &'static Scene) -> Self {
        let lib = scene.lib;
        let pair = Pair::of(Peer::new(lib), Peer::new(lib), Signalling::Trickle);
        scene.add(Kind::Peer, pair.a.id);
        pair.a.inbox.hook(hook);
        assert_eq!(lib.intercept(pair.a.id, intercept), OK);
        let plain = pair.b.track(&format!(
            "video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:plain\r\na=sendrecv\r\n\
             a=rtpmap:96 VP8/90000\r\na=ssrc:{PLAIN} cname:us\r\n"
        ));
        let frames = pair.b.track(&format!(
            "video 9 UDP/TLS/RTP/SAVPF 97\r\na=mid:frames\r\na=sendrecv\r\n\
             a=rtpmap:97 VP8/90000\r\na=ssrc:{FRAMES} cname:us\r\n"
        ));
        // This makes the offer.
        let far = pair.b.channel("x");
        pair.wait_connected();
        far.wait_open();
        Self::receive_media(lib, &pair);
        let with = Packetizing { ssrc: FRAMES, payload_type: 97, ..Packetizing::default() };
        assert_eq!(lib.set_packetizer(Packetizer::VP8, frames.id, Some(c"us"), &with), OK);
        plain.wait_open();
        frames.wait_open();
        let server = Server::new(lib);
        scene.add(Kind::Server, server.id);
        server.inbox.hook(hook);
        let client = Self::client(scene, &server.url());
        client.wait_open();
        Self { pair, server, client, far, plain, frames }
    }

    /// Has one track of `a` hear of requests, and the other put frames together.
    fn receive_media(lib: Lib, pair: &Pair) {
        for n in 0..2 {
            let track = pair.a.incoming_track(n);
            track.disown();
            match lib.string(Getter::TRACK_MID, track.id).as_deref() {
                Ok("plain") => {
                    assert_eq!(lib.chain_pli(track.id, true), OK);
                    assert_eq!(lib.chain_remb(track.id, true), OK);
                }
                _ => {
                    assert_eq!(lib.by_id(ById::DEPACKETIZE_VP8, track.id), OK);
                    assert_eq!(lib.on_frame(track.id), OK);
                }
            }
        }
    }

    fn client(scene: &'static Scene, url: &str) -> Channel {
        let client = bare_connect(scene.lib, url, &WsConfig::default());
        scene.add(Kind::WebSocket, client.id);
        client.inbox.hook(hook);
        client.listen(Slot::CHANNEL);
        client
    }

    /// Does what makes callbacks come while everything is open.
    fn provoke(&self, lib: Lib) {
        self.far.send_text(c"x");
        let sender = PLAIN.to_be_bytes();
        let picture_loss = [&[0x81, 206, 0, 2][..], &sender, &sender].concat();
        let estimate =
            [&[0x8f, 206, 0, 5][..], &sender, &[0; 4], b"REMB", &[1, 4, 0, 1], &sender].concat();
        for packet in [rtp(96, 1, PLAIN, 20), picture_loss, estimate] {
            self.plain.send_binary(&packet);
        }
        self.frames.send_binary(&[0x10; 100]);
        self.client.send_text(c"x");
        // More than fits into the buffers below.
        let near = self.pair.a.incoming(0);
        near.disown();
        for id in [near.id, self.client.id] {
            lib.set_low_threshold(id, 0);
            // What was sent before has to go first.
            let count = if lib.by_id(ById::BUFFERED_AMOUNT, id) == 0 { 40 } else { 0 };
            for _ in 0..count {
                lib.send_binary(id, &[7; 200_000]);
            }
        }
    }
}

pub(super) fn everything(lab: &Lab) {
    let scene = SCENE.get_or_init(|| Scene {
        lib: lab.lib,
        calls: every_call(),
        objects: Mutex::default(),
        seen: Mutex::default(),
    });
    let stage = Stage::set(scene);
    lab.lib.init_logger(6, true);
    hook_log(log_hook);
    let refused = Stage::client(scene, "ws://127.0.0.1:9/");
    refused.inbox.wait_event(refused.id, &Event::Closed);
    eventually_or("callbacks", || {
        stage.provoke(lab.lib);
        scene.complete(false)
    });
    lab.lib.init_logger(0, true);
    assert_eq!(stage.far.delete(), OK);
    stage.pair.b.close();
    eventually_or("callbacks", || scene.complete(true));
    for inbox in [&stage.pair.a.inbox, &stage.client.inbox, &stage.server.inbox] {
        inbox.settle();
    }
}
