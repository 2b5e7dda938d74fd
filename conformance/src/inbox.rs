//! What callbacks told us: every call is an event with its time and thread, in one list per
//! peer, and tests wait on that list instead of sleeping.

use crate::ffi::{Gathering, IceState, Lib, Signaling, Slot, State};
use std::collections::{HashMap, HashSet};
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a test watches that something does not happen.
pub(crate) const QUIET: Duration = Duration::from_millis(400);

/// A received message with the size the callback was given.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    /// Text whose terminator was missing.
    Unterminated(Vec<u8>),
}

impl Message {
    pub(crate) fn from_wire(mut bytes: Vec<u8>, size: c_int) -> Self {
        if size >= 0 {
            return Message::Binary(bytes);
        }
        match bytes.pop() {
            Some(0) => Message::Text(bytes),
            _ => Message::Unterminated(bytes),
        }
    }

    pub(crate) fn text(text: &str) -> Self {
        Message::Text(text.as_bytes().to_vec())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Message::Text(bytes) | Message::Binary(bytes) | Message::Unterminated(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Message::Text(_) => "text",
            Message::Binary(_) => "binary",
            Message::Unterminated(_) => "unterminated text",
        };
        let bytes = self.bytes();
        let head = &bytes[..bytes.len().min(24)];
        write!(f, "{kind} of {} bytes {:?}", bytes.len(), String::from_utf8_lossy(head))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    LocalDescription {
        sdp: String,
        kind: String,
    },
    LocalCandidate {
        candidate: String,
        mid: String,
    },
    State(State),
    IceState(IceState),
    Gathering(Gathering),
    Signaling(Signaling),
    DataChannel(c_int),
    Track(c_int),
    /// A server accepted a WebSocket.
    Client(c_int),
    Open,
    Closed,
    Error(String),
    Message(Message),
    BufferedAmountLow,
    Available,
    Keyframe,
    Bitrate(u32),
    Frame {
        timestamp: u32,
        payload_type: u8,
        data: Vec<u8>,
    },
}

impl Event {
    /// The event is one of a peer connection, not of a channel.
    fn concerns_peer(&self) -> bool {
        !matches!(
            self,
            Event::Open
                | Event::Closed
                | Event::Error(_)
                | Event::Message(_)
                | Event::BufferedAmountLow
                | Event::Available
                | Event::Keyframe
                | Event::Bitrate(_)
                | Event::Frame { .. }
        )
    }
}

/// An event with its circumstances.
pub(crate) struct Recorded {
    /// The first argument of the callback.
    pub(crate) owner: c_int,
    pub(crate) event: Event,
    pub(crate) at: Instant,
    pub(crate) thread: ThreadId,
    /// Set when the callback has returned to the library.
    pub(crate) returned: AtomicBool,
}

type Hook = Arc<dyn Fn(&Inbox, &Recorded) + Send + Sync>;

/// The events of one peer and its channels, in the order of their arrival.
pub(crate) struct Inbox {
    pub(crate) key: usize,
    pub(crate) lib: Lib,
    events: Mutex<Vec<Arc<Recorded>>>,
    arrived: Condvar,
    hooks: Mutex<Vec<Hook>>,
    /// The slots filled in on channels and tracks the remote side opens.
    adopted: Mutex<Vec<Slot>>,
    /// Identifiers for which no callback may come any more.
    forbidden: Mutex<HashSet<c_int>>,
}

static INBOXES: LazyLock<Mutex<HashMap<usize, Arc<Inbox>>>> = LazyLock::new(Mutex::default);
static NEXT_KEY: AtomicUsize = AtomicUsize::new(0x1000);
static VIOLATIONS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Locks, also after a test has failed inside.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// Notes a broken promise seen outside the test's own thread; it fails the test.
pub(crate) fn violation(text: String) {
    lock(&VIOLATIONS).push(text);
}

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notes something that explains a later failure but is none by itself.
pub(crate) fn note(text: String) {
    lock(&NOTES).push(text);
}

/// The promises broken so far.
pub(crate) fn violations() -> Vec<String> {
    lock(&VIOLATIONS).clone()
}

/// Called by every callback.
pub(crate) fn dispatch(key: usize, owner: c_int, event: Event) {
    let inbox = lock(&INBOXES).get(&key).cloned();
    match inbox {
        Some(inbox) => inbox.accept(owner, event),
        None => violation(format!("{event:?} for id {owner} came with user pointer {key:#x}")),
    }
}

impl Inbox {
    pub(crate) fn new(lib: Lib) -> Arc<Self> {
        let key = NEXT_KEY.fetch_add(0x10, Ordering::Relaxed);
        let inbox = Arc::new(Self {
            key,
            lib,
            events: Mutex::default(),
            arrived: Condvar::new(),
            hooks: Mutex::default(),
            adopted: Mutex::new(Slot::CHANNEL.to_vec()),
            forbidden: Mutex::default(),
        });
        lock(&INBOXES).insert(key, inbox.clone());
        inbox
    }

    /// Forgets the inbox: a later callback for it is a violation.
    pub(crate) fn retire(&self) {
        lock(&INBOXES).remove(&self.key);
        lock(&self.hooks).clear();
    }

    /// Which slots are filled in when the remote side opens a channel or track.
    pub(crate) fn adopt(&self, slots: &[Slot]) {
        *lock(&self.adopted) = slots.to_vec();
    }

    /// Runs `hook` inside every callback, after its event has been recorded.
    pub(crate) fn hook(&self, hook: impl Fn(&Inbox, &Recorded) + Send + Sync + 'static) {
        lock(&self.hooks).push(Arc::new(hook));
    }

    /// No callback for `id` may run or start from now on. `within` is true when the caller is
    /// itself inside a callback of `id`, which then may still be running.
    pub(crate) fn forbid(&self, id: c_int, within: bool) {
        lock(&self.forbidden).insert(id);
        let here = std::thread::current().id();
        for event in lock(&self.events).iter() {
            let running = event.owner == id && !event.returned.load(Ordering::SeqCst);
            if running && !self.excuses(&event.event) && !(within && event.thread == here) {
                violation(format!(
                    "a callback for id {id} ({:?}) was still running when its deletion returned, \
                     in {}",
                    event.event,
                    self.lib.path.display()
                ));
            }
        }
    }

    /// The rtcDeletePeerConnection of the real library does not wait for every callback of the
    /// connection, whichever library is under test.
    fn excuses(&self, event: &Event) -> bool {
        event.concerns_peer() && self.lib.is_real()
    }

    fn accept(&self, owner: c_int, event: Event) {
        if lock(&self.forbidden).contains(&owner) && !self.excuses(&event) {
            violation(format!(
                "{event:?} came for id {owner} after its deletion had returned, from {}",
                self.lib.path.display()
            ));
        }
        if let Event::Client(ws) = event {
            // An accepted WebSocket begins without a user pointer.
            self.lib.set_user_pointer(ws, self.key);
        }
        if let Event::DataChannel(id) | Event::Track(id) | Event::Client(id) = event {
            let adopted = lock(&self.adopted).clone();
            for slot in adopted {
                self.lib.listen(slot, id, true);
            }
        }
        let recorded = Arc::new(Recorded {
            owner,
            event,
            at: Instant::now(),
            thread: std::thread::current().id(),
            returned: AtomicBool::new(false),
        });
        lock(&self.events).push(recorded.clone());
        self.arrived.notify_all();
        let hooks = lock(&self.hooks).clone();
        for hook in hooks {
            let run = std::panic::AssertUnwindSafe(|| hook(self, &recorded));
            if let Err(panic) = std::panic::catch_unwind(run) {
                violation(format!("inside a callback: {}", crate::runner::panic_text(&*panic)));
            }
        }
        recorded.returned.store(true, Ordering::SeqCst);
        self.arrived.notify_all();
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<Arc<Recorded>> {
        lock(&self.events).clone()
    }

    /// Waits until `find` finds something in the list of all events.
    pub(crate) fn wait_list<T>(
        &self,
        what: &str,
        patience: Duration,
        mut find: impl FnMut(&[Arc<Recorded>]) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + patience;
        let mut events = lock(&self.events);
        loop {
            if let Some(found) = find(&events) {
                return found;
            }
            let now = Instant::now();
            if now >= deadline {
                let seen = describe(&events);
                drop(events);
                let notes = lock(&NOTES).join("\n");
                panic!("waited {patience:?} for {what}; seen so far: {seen}\n{notes}");
            }
            let (guard, _) = self
                .arrived
                .wait_timeout(events, deadline - now)
                .unwrap_or_else(|poison| poison.into_inner());
            events = guard;
        }
    }

    /// Waits for the first event `pick` accepts.
    pub(crate) fn wait<T>(&self, what: &str, mut pick: impl FnMut(&Recorded) -> Option<T>) -> T {
        self.wait_list(what, PATIENCE, |events| events.iter().find_map(|event| pick(event)))
    }

    /// Waits for an event equal to `event` of `owner`.
    pub(crate) fn wait_event(&self, owner: c_int, event: &Event) -> Instant {
        self.wait(&format!("{event:?} of id {owner}"), |recorded| {
            (recorded.owner == owner && recorded.event == *event).then_some(recorded.at)
        })
    }

    /// Waits until one more event than `seen` is there, or `patience` has passed.
    pub(crate) fn wait_more(&self, seen: usize, patience: Duration) -> Vec<Arc<Recorded>> {
        let deadline = Instant::now() + patience;
        let mut events = lock(&self.events);
        while events.len() <= seen {
            let now = Instant::now();
            if now >= deadline {
                return Vec::new();
            }
            let (guard, _) = self
                .arrived
                .wait_timeout(events, deadline - now)
                .unwrap_or_else(|poison| poison.into_inner());
            events = guard;
        }
        events[seen..].to_vec()
    }

    /// Forgets what has happened so far. Wires must have been cut: they count events.
    pub(crate) fn clear(&self) {
        self.settle();
        lock(&self.events).clear();
        lock(&self.forbidden).clear();
    }

    /// How many events of `owner` equal `event`.
    pub(crate) fn count(&self, owner: c_int, event: &Event) -> usize {
        lock(&self.events).iter().filter(|r| r.owner == owner && r.event == *event).count()
    }

    /// Waits until no callback is running, so that everything begun has been seen through.
    pub(crate) fn settle(&self) {
        self.wait_list("running callbacks to return", PATIENCE, |events| {
            events.iter().all(|event| event.returned.load(Ordering::SeqCst)).then_some(())
        });
    }

    /// Waits until nothing has come for a while, so that what has happened is also told.
    pub(crate) fn fall_quiet(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = lock(&self.events).len();
        while let fresh @ 1.. = self.wait_more(seen, QUIET).len() {
            assert!(Instant::now() < deadline, "callbacks do not end");
            seen += fresh;
        }
    }

    /// Checks that `unwanted` has not come and watches for a while that it does not.
    pub(crate) fn never(&self, what: &str, unwanted: impl FnMut(&Recorded) -> bool) {
        self.never_from(0, what, unwanted);
    }

    /// Watches for a while that `unwanted` does not come from now on.
    pub(crate) fn never_again(&self, what: &str, unwanted: impl FnMut(&Recorded) -> bool) {
        let seen = lock(&self.events).len();
        self.never_from(seen, what, unwanted);
    }

    fn never_from(&self, mut seen: usize, what: &str, mut unwanted: impl FnMut(&Recorded) -> bool) {
        let deadline = Instant::now() + QUIET;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let fresh = self.wait_more(seen, left);
            if fresh.is_empty() {
                return;
            }
            seen += fresh.len();
            for event in fresh {
                assert!(!unwanted(&event), "{what}: {:?} came", event.event);
            }
        }
    }
}

fn describe(events: &[Arc<Recorded>]) -> String {
    let lines: Vec<String> = events
        .iter()
        .rev()
        .take(30)
        .rev()
        .map(|recorded| match &recorded.event {
            Event::LocalDescription { kind, .. } => {
                format!("{}:description({kind})", recorded.owner)
            }
            Event::LocalCandidate { candidate, .. } => {
                format!("{}:candidate({candidate})", recorded.owner)
            }
            event => format!("{}:{event:?}", recorded.owner),
        })
        .collect();
    format!("{} events, the last: {}", events.len(), lines.join(", "))
}
