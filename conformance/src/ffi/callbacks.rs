//! The C functions handed to the library. Each turns its call into an event of the inbox whose
//! key the user pointer carries.

use super::table::Lib;
use super::types::*;
use crate::inbox::{self, Event, Message, lock};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{Arc, Mutex};

/// A callback slot of a peer connection or a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    LocalDescription,
    LocalCandidate,
    State,
    IceState,
    Gathering,
    Signaling,
    DataChannel,
    Track,
    Open,
    Closed,
    Error,
    Message,
    BufferedAmountLow,
    Available,
}

impl Slot {
    /// The slots of a peer connection.
    pub(crate) const PEER: &'static [Slot] = &[
        Slot::LocalDescription,
        Slot::LocalCandidate,
        Slot::State,
        Slot::IceState,
        Slot::Gathering,
        Slot::Signaling,
        Slot::DataChannel,
        Slot::Track,
    ];
    /// The slots of a channel; the message slot last, as setting it may deliver at once.
    pub(crate) const CHANNEL: &'static [Slot] = &[
        Slot::Open,
        // Both may have happened before they are asked for, and then come in the order of asking.
        Slot::Error,
        Slot::Closed,
        Slot::BufferedAmountLow,
        Slot::Available,
        Slot::Message,
    ];

    /// The C function setting this slot.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Slot::LocalDescription => "rtcSetLocalDescriptionCallback",
            Slot::LocalCandidate => "rtcSetLocalCandidateCallback",
            Slot::State => "rtcSetStateChangeCallback",
            Slot::IceState => "rtcSetIceStateChangeCallback",
            Slot::Gathering => "rtcSetGatheringStateChangeCallback",
            Slot::Signaling => "rtcSetSignalingStateChangeCallback",
            Slot::DataChannel => "rtcSetDataChannelCallback",
            Slot::Track => "rtcSetTrackCallback",
            Slot::Open => "rtcSetOpenCallback",
            Slot::Closed => "rtcSetClosedCallback",
            Slot::Error => "rtcSetErrorCallback",
            Slot::Message => "rtcSetMessageCallback",
            Slot::BufferedAmountLow => "rtcSetBufferedAmountLowCallback",
            Slot::Available => "rtcSetAvailableCallback",
        }
    }
}

fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return "(NULL)".into();
    }
    // SAFETY: rtc.h promises a terminated string valid during the callback.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

fn message(pointer: *const c_char, size: c_int) -> Message {
    let length = if size >= 0 { size as usize } else { (-i64::from(size) - 1) as usize };
    let total = if size >= 0 { length } else { length + 1 };
    let bytes = if total == 0 || pointer.is_null() {
        Vec::new()
    } else {
        // SAFETY: rtc.h promises so many bytes, and one NUL more for text.
        unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), total) }.to_vec()
    };
    Message::from_wire(bytes, size)
}

fn deliver(owner: c_int, user: *mut c_void, event: Event) {
    inbox::dispatch(user as usize, owner, event);
}

pub(super) extern "C" fn on_description(
    pc: c_int,
    sdp: *const c_char,
    kind: *const c_char,
    user: *mut c_void,
) {
    deliver(pc, user, Event::LocalDescription { sdp: text(sdp), kind: text(kind) });
}

pub(super) extern "C" fn on_candidate(
    pc: c_int,
    candidate: *const c_char,
    mid: *const c_char,
    user: *mut c_void,
) {
    deliver(pc, user, Event::LocalCandidate { candidate: text(candidate), mid: text(mid) });
}

pub(super) extern "C" fn on_state(pc: c_int, state: c_int, user: *mut c_void) {
    deliver(pc, user, Event::State(State::from(state)));
}

pub(super) extern "C" fn on_ice_state(pc: c_int, state: c_int, user: *mut c_void) {
    deliver(pc, user, Event::IceState(IceState::from(state)));
}

pub(super) extern "C" fn on_gathering(pc: c_int, state: c_int, user: *mut c_void) {
    deliver(pc, user, Event::Gathering(Gathering::from(state)));
}

pub(super) extern "C" fn on_signaling(pc: c_int, state: c_int, user: *mut c_void) {
    deliver(pc, user, Event::Signaling(Signaling::from(state)));
}

pub(super) extern "C" fn on_data_channel(pc: c_int, dc: c_int, user: *mut c_void) {
    deliver(pc, user, Event::DataChannel(dc));
}

pub(super) extern "C" fn on_track(pc: c_int, tr: c_int, user: *mut c_void) {
    deliver(pc, user, Event::Track(tr));
}

pub(super) extern "C" fn on_client(server: c_int, ws: c_int, user: *mut c_void) {
    deliver(server, user, Event::Client(ws));
}

pub(super) extern "C" fn on_open(id: c_int, user: *mut c_void) {
    deliver(id, user, Event::Open);
}

pub(super) extern "C" fn on_closed(id: c_int, user: *mut c_void) {
    deliver(id, user, Event::Closed);
}

pub(super) extern "C" fn on_error(id: c_int, error: *const c_char, user: *mut c_void) {
    deliver(id, user, Event::Error(text(error)));
}

pub(super) extern "C" fn on_message(
    id: c_int,
    pointer: *const c_char,
    size: c_int,
    user: *mut c_void,
) {
    deliver(id, user, Event::Message(message(pointer, size)));
}

pub(super) extern "C" fn on_low(id: c_int, user: *mut c_void) {
    deliver(id, user, Event::BufferedAmountLow);
}

pub(super) extern "C" fn on_available(id: c_int, user: *mut c_void) {
    deliver(id, user, Event::Available);
}

pub(super) extern "C" fn on_unsigned(_id: c_int, _value: c_uint, _user: *mut c_void) {}

pub(super) extern "C" fn on_keyframe(tr: c_int, user: *mut c_void) {
    deliver(tr, user, Event::Keyframe);
}

pub(super) extern "C" fn on_bitrate(tr: c_int, bitrate: c_uint, user: *mut c_void) {
    deliver(tr, user, Event::Bitrate(bitrate));
}

pub(super) extern "C" fn on_frame(
    tr: c_int,
    pointer: *const c_char,
    size: c_int,
    info: *const RawFrameInfo,
    user: *mut c_void,
) {
    // SAFETY: rtc.h promises a structure valid during the callback.
    let (timestamp, payload_type) = unsafe { ((*info).timestamp, (*info).payload_type) };
    let data = message(pointer, size).bytes().to_vec();
    deliver(tr, user, Event::Frame { timestamp, payload_type, data });
}

/// What an interceptor makes of a packet.
pub(crate) enum Answer {
    Drop,
    Forward,
    Replace(Vec<u8>),
}

type Interceptor = (Lib, fn(&[u8]) -> Answer);

static INTERCEPTOR: Mutex<Option<Interceptor>> = Mutex::new(None);

pub(super) fn set_interceptor(lib: Lib, answer: fn(&[u8]) -> Answer) {
    *lock(&INTERCEPTOR) = Some((lib, answer));
}

pub(super) extern "C" fn on_media(
    _pc: c_int,
    pointer: *const c_char,
    size: c_int,
    _user: *mut c_void,
) -> *mut c_void {
    let interceptor = *lock(&INTERCEPTOR);
    let packet = message(pointer, size);
    let Some((lib, answer)) = interceptor else { return pointer.cast_mut().cast() };
    match answer(packet.bytes()) {
        Answer::Drop => std::ptr::null_mut(),
        Answer::Forward => pointer.cast_mut().cast(),
        Answer::Replace(other) => lib.opaque(&other),
    }
}

static LOG: Mutex<Vec<(c_int, String)>> = Mutex::new(Vec::new());

type LogHook = Arc<dyn Fn() + Send + Sync>;

static LOG_HOOK: Mutex<Option<LogHook>> = Mutex::new(None);

thread_local! {
    /// This thread is inside the hook.
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

pub(super) extern "C" fn on_log(level: c_int, line: *const c_char) {
    lock(&LOG).push((level, text(line)));
    let hook = lock(&LOG_HOOK).clone();
    if let Some(hook) = hook
        && !HOOKED.replace(true)
    {
        hook();
        HOOKED.set(false);
    }
}

/// Runs `hook` inside the log callback, after its line has been recorded, but not for lines that
/// come of the hook itself.
pub(crate) fn hook_log(hook: impl Fn() + Send + Sync + 'static) {
    *lock(&LOG_HOOK) = Some(Arc::new(hook));
}

/// Every line the log callback has seen so far: level and text.
pub(crate) fn log_lines() -> Vec<(c_int, String)> {
    lock(&LOG).clone()
}
