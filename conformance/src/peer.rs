//! Peers, channels and the signalling between them.

use crate::ffi::*;
use crate::inbox::{Event, Inbox, Message, PATIENCE, note};
use std::ffi::{CStr, CString, c_int};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Owned C text from Rust text.
pub(crate) fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL inside")
}

/// A peer connection whose callbacks all go to an inbox. Deleted when dropped.
pub(crate) struct Peer {
    pub(crate) lib: Lib,
    pub(crate) id: c_int,
    pub(crate) inbox: Arc<Inbox>,
    deleted: AtomicBool,
}

impl Peer {
    /// With a loopback configuration.
    pub(crate) fn new(lib: Lib) -> Self {
        Self::with(lib, &Config::loopback())
    }

    /// With negotiation left to the test.
    pub(crate) fn manual(lib: Lib) -> Self {
        Self::with(lib, &Config { manual: true, ..Config::loopback() })
    }

    pub(crate) fn with(lib: Lib, config: &Config) -> Self {
        let peer = Self::silent(lib, config);
        for slot in Slot::PEER {
            let code = lib.listen(*slot, peer.id, true);
            let optional = *slot == Slot::Track && code == NOT_AVAIL;
            assert!(code == OK || optional, "setting {slot:?}: {}", code_name(code));
        }
        peer
    }

    /// Without any callback set.
    pub(crate) fn silent(lib: Lib, config: &Config) -> Self {
        let id = lib.create_pc(Some(config));
        assert!(id > 0, "rtcCreatePeerConnection returned {}", code_name(id));
        let inbox = Inbox::new(lib);
        lib.set_user_pointer(id, inbox.key);
        Self { lib, id, inbox, deleted: AtomicBool::new(false) }
    }

    /// Creates a channel with all callbacks set.
    pub(crate) fn channel(&self, label: &str) -> Channel {
        self.channel_with(label, &Init::default())
    }

    pub(crate) fn channel_with(&self, label: &str, init: &Init) -> Channel {
        let channel = self.bare_channel(label, init);
        channel.listen(Slot::CHANNEL);
        channel
    }

    /// Creates a channel with no callback set.
    pub(crate) fn bare_channel(&self, label: &str, init: &Init) -> Channel {
        let id = self.lib.create_dc_ex(self.id, Some(&c(label)), Some(init));
        assert!(id > 0, "rtcCreateDataChannelEx({label:?}) returned {}", code_name(id));
        Channel::attach(self.lib, id, &self.inbox)
    }

    /// Adds a track with all callbacks set.
    pub(crate) fn track(&self, description: &str) -> Channel {
        let id = self.lib.add_track(self.id, Some(&c(description)));
        assert!(id > 0, "rtcAddTrack({description:?}) returned {}", code_name(id));
        let track = Channel::attach_as(self.lib, id, &self.inbox, ById::DELETE_TRACK);
        track.listen(Slot::CHANNEL);
        track
    }

    /// Waits for the `n`th track (from 0) the remote side added.
    pub(crate) fn incoming_track(&self, n: usize) -> Channel {
        let id = self.inbox.wait_list(&format!("incoming track {n}"), PATIENCE, |events| {
            let mut ids = events.iter().filter_map(|r| match r.event {
                Event::Track(tr) => Some(tr),
                _ => None,
            });
            ids.nth(n)
        });
        Channel::attach_as(self.lib, id, &self.inbox, ById::DELETE_TRACK)
    }

    /// Waits for the `n`th channel (from 0) the remote side opened.
    pub(crate) fn incoming(&self, n: usize) -> Channel {
        let id = self.inbox.wait_list(&format!("incoming channel {n}"), PATIENCE, |events| {
            let mut ids = events.iter().filter_map(|r| match r.event {
                Event::DataChannel(dc) => Some(dc),
                _ => None,
            });
            ids.nth(n)
        });
        Channel::attach(self.lib, id, &self.inbox)
    }

    /// Waits for the incoming channel of that label.
    pub(crate) fn incoming_named(&self, label: &str) -> Channel {
        let id = self.inbox.wait(&format!("incoming channel {label:?}"), |r| match r.event {
            Event::DataChannel(dc) => {
                (self.lib.string(Getter::LABEL, dc).as_deref() == Ok(label)).then_some(dc)
            }
            _ => None,
        });
        Channel::attach(self.lib, id, &self.inbox)
    }

    pub(crate) fn wait_state(&self, state: State) {
        self.inbox.wait_event(self.id, &Event::State(state));
    }

    pub(crate) fn wait_signaling(&self, state: Signaling) {
        self.inbox.wait_event(self.id, &Event::Signaling(state));
    }

    pub(crate) fn wait_gathered(&self) {
        self.inbox.wait_event(self.id, &Event::Gathering(Gathering::Complete));
    }

    /// Every state reported so far.
    pub(crate) fn states(&self) -> Vec<State> {
        let state = |event: &Event| match event {
            Event::State(state) => Some(*state),
            _ => None,
        };
        self.inbox.all().iter().filter_map(|r| state(&r.event)).collect()
    }

    /// Every description announced so far: type and text.
    pub(crate) fn descriptions(&self) -> Vec<(String, String)> {
        let description = |event: &Event| match event {
            Event::LocalDescription { sdp, kind } => Some((kind.clone(), sdp.clone())),
            _ => None,
        };
        self.inbox.all().iter().filter_map(|r| description(&r.event)).collect()
    }

    /// Every candidate announced so far: text and mid.
    pub(crate) fn candidates(&self) -> Vec<(String, String)> {
        let candidate = |event: &Event| match event {
            Event::LocalCandidate { candidate, mid } => Some((candidate.clone(), mid.clone())),
            _ => None,
        };
        self.inbox.all().iter().filter_map(|r| candidate(&r.event)).collect()
    }

    /// Starts an offer or answer and returns the description announced for it.
    pub(crate) fn describe(&self, kind: &str) -> String {
        let before = self.descriptions().len();
        let code = self.set_local(kind);
        assert_eq!(code, OK, "rtcSetLocalDescription({kind:?}): {}", code_name(code));
        self.wait_description(before).1
    }

    /// Waits for the `n`th description (from 0): type and text.
    pub(crate) fn wait_description(&self, n: usize) -> (String, String) {
        self.inbox.wait_list(&format!("local description {n}"), PATIENCE, |events| {
            let mut found = events.iter().filter_map(|r| match &r.event {
                Event::LocalDescription { sdp, kind } => Some((kind.clone(), sdp.clone())),
                _ => None,
            });
            found.nth(n)
        })
    }

    pub(crate) fn set_local(&self, kind: &str) -> c_int {
        self.lib.set_local_description(self.id, Some(&c(kind)))
    }

    pub(crate) fn set_remote(&self, sdp: &str, kind: &str) -> c_int {
        self.lib.set_remote_description(self.id, Some(&c(sdp)), Some(&c(kind)))
    }

    pub(crate) fn add_candidate(&self, candidate: &str) -> c_int {
        self.lib.add_remote_candidate(self.id, Some(&c(candidate)), None)
    }

    pub(crate) fn string(&self, getter: Getter) -> Result<String, c_int> {
        self.lib.string(getter, self.id)
    }

    pub(crate) fn close(&self) {
        let code = self.lib.by_id(ById::CLOSE_PC, self.id);
        assert_eq!(code, OK, "rtcClosePeerConnection: {}", code_name(code));
    }

    /// Deletes now and holds the library to "no callback afterwards".
    pub(crate) fn delete(&self) -> c_int {
        self.deleted.store(true, Ordering::SeqCst);
        let code = self.lib.by_id(ById::DELETE_PC, self.id);
        self.inbox.forbid(self.id, false);
        code
    }

    /// The test takes care of the deletion.
    pub(crate) fn disown(&self) {
        self.deleted.store(true, Ordering::SeqCst);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.deleted.load(Ordering::SeqCst) {
            self.delete();
        }
    }
}

/// A data channel, track or WebSocket, its events in the inbox of its peer. Deleted when dropped.
pub(crate) struct Channel {
    pub(crate) lib: Lib,
    pub(crate) id: c_int,
    pub(crate) inbox: Arc<Inbox>,
    delete: ById,
    deleted: AtomicBool,
}

impl Channel {
    pub(crate) fn attach(lib: Lib, id: c_int, inbox: &Arc<Inbox>) -> Self {
        Self::attach_as(lib, id, inbox, ById::DELETE_DC)
    }

    pub(crate) fn websocket(lib: Lib, id: c_int, inbox: &Arc<Inbox>) -> Self {
        Self::attach_as(lib, id, inbox, ById::DELETE_WS)
    }

    fn attach_as(lib: Lib, id: c_int, inbox: &Arc<Inbox>, delete: ById) -> Self {
        Self { lib, id, inbox: inbox.clone(), delete, deleted: AtomicBool::new(false) }
    }

    pub(crate) fn listen(&self, slots: &[Slot]) {
        for slot in slots {
            let code = self.lib.listen(*slot, self.id, true);
            assert_eq!(code, OK, "setting {slot:?}: {}", code_name(code));
        }
    }

    pub(crate) fn wait_open(&self) {
        self.inbox.wait_event(self.id, &Event::Open);
    }

    pub(crate) fn wait_closed(&self) {
        self.inbox.wait_event(self.id, &Event::Closed);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lib.test(Predicate::IS_OPEN, self.id)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lib.test(Predicate::IS_CLOSED, self.id)
    }

    /// Waits until a predicate on state without a callback holds.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        eventually(what, || holds(self));
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        let message = |event: &Event| match event {
            Event::Message(message) => Some(message.clone()),
            _ => None,
        };
        let all = self.inbox.all();
        all.iter().filter(|r| r.owner == self.id).filter_map(|r| message(&r.event)).collect()
    }

    /// Waits for `n` messages and returns all there are.
    pub(crate) fn wait_messages(&self, n: usize) -> Vec<Message> {
        self.wait_messages_for(n, PATIENCE)
    }

    pub(crate) fn wait_messages_for(&self, n: usize, patience: Duration) -> Vec<Message> {
        self.inbox.wait_list(&format!("{n} messages on id {}", self.id), patience, |events| {
            let own = |r: &&Arc<crate::inbox::Recorded>| {
                r.owner == self.id && matches!(r.event, Event::Message(_))
            };
            (events.iter().filter(own).count() >= n).then_some(())
        });
        self.messages()
    }

    pub(crate) fn send_text(&self, text: &CStr) {
        let code = self.lib.send_text(self.id, text);
        assert_eq!(code, OK, "rtcSendMessage(text): {}", code_name(code));
    }

    pub(crate) fn send_binary(&self, data: &[u8]) {
        let code = self.lib.send_binary(self.id, data);
        assert_eq!(code, OK, "rtcSendMessage({} bytes): {}", data.len(), code_name(code));
    }

    pub(crate) fn stream(&self) -> c_int {
        self.lib.by_id(ById::STREAM, self.id)
    }

    pub(crate) fn by_id(&self, function: ById) -> c_int {
        self.lib.by_id(function, self.id)
    }

    pub(crate) fn count(&self, event: &Event) -> usize {
        self.inbox.count(self.id, event)
    }

    /// Deletes now and holds the library to "no callback afterwards".
    pub(crate) fn delete(&self) -> c_int {
        self.deleted.store(true, Ordering::SeqCst);
        let code = self.lib.by_id(self.delete, self.id);
        self.inbox.forbid(self.id, false);
        code
    }

    /// The test takes care of the deletion.
    pub(crate) fn disown(&self) {
        self.deleted.store(true, Ordering::SeqCst);
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.deleted.load(Ordering::SeqCst) {
            self.delete();
        }
    }
}

/// Waits for a condition no callback announces.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    eventually_or(what, || if holds() { Ok(()) } else { Err("") });
}

/// As [`eventually`], and tells what it was last that stood in the way.
pub(crate) fn eventually_or<E: std::fmt::Display>(
    what: &str,
    mut attempt: impl FnMut() -> Result<(), E>,
) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while let Err(obstacle) = attempt() {
        let now = std::time::Instant::now();
        assert!(now < deadline, "waited {PATIENCE:?} for {what} {obstacle}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits while a condition holds, but no longer than `limit`: inside callbacks nothing may fail.
pub(crate) fn wait_while(limit: Duration, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + limit;
    while holds() && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How descriptions and candidates travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signalling {
    /// At once, candidates one by one.
    Trickle,
    /// Descriptions only, once gathering is complete.
    Whole,
}

/// A thread forwarding what one peer announces to another, until dropped.
pub(crate) struct Wire {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    pub(crate) fn lay(from: &Peer, to: &Peer, signalling: Signalling) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let source = (from.lib, from.id, from.inbox.clone());
        let target = (to.lib, to.id);
        let thread = std::thread::spawn(move || {
            let (lib, id, inbox) = source;
            let mut seen = 0;
            while !stopped.load(Ordering::SeqCst) {
                for recorded in inbox.wait_more(seen, Duration::from_millis(20)) {
                    seen += 1;
                    if recorded.owner == id && !stopped.load(Ordering::SeqCst) {
                        forward(lib, id, &recorded.event, target, signalling);
                    }
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

fn forward(lib: Lib, id: c_int, event: &Event, target: (Lib, c_int), signalling: Signalling) {
    let (to, to_id) = target;
    let describe = |sdp: &str, kind: &str| {
        let code = to.set_remote_description(to_id, Some(&c(sdp)), Some(&c(kind)));
        if code != OK {
            note(format!("rtcSetRemoteDescription({kind}): {}\n{sdp}", code_name(code)));
        }
    };
    match (event, signalling) {
        (Event::LocalDescription { sdp, kind }, Signalling::Trickle) => describe(sdp, kind),
        (Event::LocalCandidate { candidate, mid }, Signalling::Trickle) => {
            to.add_remote_candidate(to_id, Some(&c(candidate)), Some(&c(mid)));
        }
        (Event::Gathering(Gathering::Complete), Signalling::Whole) => {
            let sdp = lib.string(Getter::LOCAL_DESCRIPTION, id);
            let kind = lib.string(Getter::LOCAL_TYPE, id);
            match (sdp, kind) {
                (Ok(sdp), Ok(kind)) => describe(&sdp, &kind),
                other => note(format!("no description after gathering: {other:?}")),
            }
        }
        _ => {}
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            let _ = thread.join();
        }
    }
}

/// Two peers wired to each other.
pub(crate) struct Pair {
    wires: Vec<Wire>,
    pub(crate) a: Peer,
    pub(crate) b: Peer,
}

impl Pair {
    pub(crate) fn new(lib: Lib) -> Self {
        Self::of(Peer::new(lib), Peer::new(lib), Signalling::Trickle)
    }

    pub(crate) fn configured(lib: Lib, config: &Config) -> Self {
        Self::of(Peer::with(lib, config), Peer::with(lib, config), Signalling::Trickle)
    }

    pub(crate) fn of(a: Peer, b: Peer, signalling: Signalling) -> Self {
        let mut pair = Self { wires: Vec::new(), a, b };
        pair.wire(signalling);
        pair
    }

    fn wire(&mut self, signalling: Signalling) {
        let (a, b) = (&self.a, &self.b);
        self.wires = vec![Wire::lay(a, b, signalling), Wire::lay(b, a, signalling)];
    }

    /// `a` opens a channel; both ends are returned open.
    pub(crate) fn open(&self, label: &str) -> (Channel, Channel) {
        self.open_with(label, &Init::default())
    }

    pub(crate) fn open_with(&self, label: &str, init: &Init) -> (Channel, Channel) {
        let near = self.a.channel_with(label, init);
        near.wait_open();
        let far = self.b.incoming_named(label);
        far.wait_open();
        (near, far)
    }

    /// Waits for both connections.
    pub(crate) fn wait_connected(&self) {
        self.a.wait_state(State::Connected);
        self.b.wait_state(State::Connected);
    }

    /// Stops forwarding.
    pub(crate) fn unwire(&mut self) {
        self.wires.clear();
    }

    /// Forwards again, beginning with the first event in each inbox.
    pub(crate) fn rewire(&mut self) {
        self.wire(Signalling::Trickle);
    }
}

/// A connected pair with one open channel: the setting of most tests.
pub(crate) struct Connected {
    pub(crate) near: Channel,
    pub(crate) far: Channel,
    pair: Pair,
}

impl Deref for Connected {
    type Target = Pair;
    fn deref(&self) -> &Pair {
        &self.pair
    }
}

impl Connected {
    pub(crate) fn new(lib: Lib) -> Self {
        Self::over(Pair::new(lib))
    }

    pub(crate) fn over(pair: Pair) -> Self {
        let (near, far) = pair.open("test");
        pair.wait_connected();
        Self { near, far, pair }
    }
}
