//! Where Rust calls C: each function pointer becomes a closure that looks the user pointer up when
//! it runs, and does nothing once the object is deleted.
#![allow(unsafe_code)]

use std::cell::Cell;
#[cfg(feature = "media")]
use std::ffi::c_uint;
use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::Arc;

#[cfg(feature = "websocket")]
use librtc::WebSocket;
use librtc::{DataChannel, ErrorHandler, Handler, Message, MessageHandler, MessageKind, Track};
#[cfg(feature = "media")]
use librtc::{Verdict, media::FrameInfo};

#[cfg(feature = "websocket")]
use parking_lot::Mutex;

use crate::abi;
use crate::boundary::clamp;
use crate::handles;
#[cfg(feature = "websocket")]
use crate::handles::UserPointer;
#[cfg(feature = "media")]
use crate::opaque;

thread_local! {
    /// How many callbacks this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// True while this thread runs a callback.
pub(crate) fn is_inside() -> bool {
    DEPTH.get() > 0
}

struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Calls `function` with the user pointer of `id`, unless `id` is deleted.
fn call(id: c_int, function: impl FnOnce(*mut c_void)) {
    if let Some(pointer) = handles::pointer(id) {
        let _inside = Inside::enter();
        function(pointer.get());
    }
}

/// A C string. Text from the network may contain zeros: C sees it up to the first one.
fn c_string(text: &str) -> CString {
    let bytes = text.split('\0').next().unwrap_or_default();
    CString::new(bytes).unwrap_or_default()
}

/// The signature that most callbacks have.
type Plain = unsafe extern "C" fn(c_int, *mut c_void);
/// The signature of callbacks that get a state.
type WithState = unsafe extern "C" fn(c_int, c_int, *mut c_void);
/// The signature of callbacks that get two strings.
type WithTexts = unsafe extern "C" fn(c_int, *const c_char, *const c_char, *mut c_void);
/// The signature of callbacks that get one string.
type WithText = unsafe extern "C" fn(c_int, *const c_char, *mut c_void);
/// The signature of message callbacks.
type WithMessage = unsafe extern "C" fn(c_int, *const c_char, c_int, *mut c_void);

/// The signature of callbacks that get a number.
#[cfg(feature = "media")]
type WithUnsigned = unsafe extern "C" fn(c_int, c_uint, *mut c_void);
/// The signature of media interceptors.
#[cfg(feature = "media")]
type Interceptor = unsafe extern "C" fn(c_int, *const c_char, c_int, *mut c_void) -> *mut c_void;

/// The signature of frame callbacks.
#[cfg(feature = "media")]
type WithFrame =
    unsafe extern "C" fn(c_int, *const c_char, c_int, *const abi::FrameInfo, *mut c_void);

/// For open, closed, buffered amount low, available.
pub(crate) fn plain(id: c_int, callback: Plain) -> Handler {
    // SAFETY: a function of the type that the header asks for, called as the header says.
    Arc::new(move || call(id, |pointer| unsafe { callback(id, pointer) }))
}

/// For states, whose numbers are those of the header.
pub(crate) fn state<S>(
    id: c_int,
    callback: WithState,
    number: fn(S) -> c_int,
) -> impl Fn(S) + Send + Sync {
    // SAFETY: as in `plain`.
    move |state| call(id, |pointer| unsafe { callback(id, number(state), pointer) })
}

/// For descriptions and candidates.
pub(crate) fn texts(id: c_int, callback: WithTexts) -> impl Fn(&str, &str) + Send + Sync {
    move |first, second| {
        let (first, second) = (c_string(first), c_string(second));
        // SAFETY: as in `plain`; the strings live until the callback returns.
        call(id, |pointer| unsafe { callback(id, first.as_ptr(), second.as_ptr(), pointer) });
    }
}

/// For errors.
pub(crate) fn error(id: c_int, callback: WithText) -> ErrorHandler {
    Arc::new(move |text| {
        let text = c_string(text);
        // SAFETY: as in `plain`; the string lives until the callback returns.
        call(id, |pointer| unsafe { callback(id, text.as_ptr(), pointer) });
    })
}

/// For messages: a binary one with its length, a text one terminated and with the negative of its
/// length with terminator.
pub(crate) fn message(id: c_int, callback: WithMessage) -> MessageHandler {
    Arc::new(move |message: Message| {
        let length = clamp(message.data.len());
        match message.kind {
            MessageKind::Binary => call(id, |pointer| {
                // SAFETY: as in `plain`; the data lives until the callback returns.
                unsafe { callback(id, message.data.as_ptr().cast(), length, pointer) }
            }),
            MessageKind::Text => {
                let mut text = Vec::with_capacity(message.data.len() + 1);
                text.extend_from_slice(&message.data);
                text.push(0);
                let size = length.saturating_add(1).saturating_neg();
                // SAFETY: as in `plain`; the text lives until the callback returns.
                call(id, |pointer| unsafe { callback(id, text.as_ptr().cast(), size, pointer) });
            }
        }
    })
}

/// For data channels of the peer: they get an identifier at the moment they are handed over, and
/// begin with the user pointer of their connection.
pub(crate) fn data_channel(id: c_int, callback: WithState) -> impl Fn(DataChannel) + Send + Sync {
    move |channel| {
        let Some(inherited) = handles::pointer(id) else { return };
        let channel = handles::insert(handles::Object::DataChannel(channel), inherited);
        // SAFETY: as in `plain`.
        call(id, |pointer| unsafe { callback(id, channel, pointer) });
    }
}

/// For WebSockets that a server accepts: they get an identifier at the moment they are handed
/// over, and begin without a user pointer. One that comes after the server's deletion is refused.
#[cfg(feature = "websocket")]
pub(crate) fn websocket(
    server: Arc<Mutex<c_int>>,
    callback: WithState,
) -> impl Fn(WebSocket) + Send + Sync {
    move |socket| {
        let id = *server.lock();
        let Some(pointer) = handles::pointer(id) else { return };
        let socket = handles::insert(handles::Object::WebSocket(socket), UserPointer::NULL);
        let _inside = Inside::enter();
        // SAFETY: as in `plain`.
        unsafe { callback(id, socket, pointer.get()) };
    }
}

/// For tracks of the peer, as [`data_channel`].
pub(crate) fn track(id: c_int, callback: WithState) -> impl Fn(Track) + Send + Sync {
    move |track| {
        let Some(inherited) = handles::pointer(id) else { return };
        let track = handles::insert(handles::Object::Track(track), inherited);
        // SAFETY: as in `plain`.
        call(id, |pointer| unsafe { callback(id, track, pointer) });
    }
}

/// For media interceptors: NULL drops the packet, the packet itself lets it pass, and an opaque
/// message goes on in its place. Anything else is no answer; the packet passes.
#[cfg(feature = "media")]
pub(crate) fn interceptor(id: c_int, callback: Interceptor) -> impl Fn(&[u8]) -> Verdict {
    move |packet| {
        let mut verdict = Verdict::Forward;
        call(id, |pointer| {
            let (data, size) = (packet.as_ptr().cast::<c_char>(), clamp(packet.len()));
            // SAFETY: as in `plain`; the packet lives until the callback returns.
            let answer = unsafe { callback(id, data, size, pointer) };
            if answer.is_null() {
                verdict = Verdict::Drop;
            } else if answer.addr() != data.addr()
                && let Some(other) = opaque::take(answer.cast())
            {
                verdict = Verdict::Replace(other.into());
            }
        });
        verdict
    }
}

/// For estimates of the peer, in bits per second.
#[cfg(feature = "media")]
pub(crate) fn bitrate(id: c_int, callback: WithUnsigned) -> impl Fn(u64) + Send + Sync {
    move |bits| {
        let bits = c_uint::try_from(bits).unwrap_or(c_uint::MAX);
        // SAFETY: as in `plain`.
        call(id, |pointer| unsafe { callback(id, bits, pointer) });
    }
}

/// For frames.
#[cfg(feature = "media")]
pub(crate) fn frame(id: c_int, callback: WithFrame) -> impl Fn(&[u8], FrameInfo) + Send + Sync {
    move |data, info| {
        let info = abi::FrameInfo {
            timestamp: info.timestamp,
            payload_type: info.payload_type,
            timestamp_seconds: info.seconds.unwrap_or_default(),
        };
        let (data, size) = (data.as_ptr().cast(), clamp(data.len()));
        // SAFETY: as in `plain`; data and info live until the callback returns.
        call(id, |pointer| unsafe { callback(id, data, size, &raw const info, pointer) });
    }
}

/// Calls the log callback.
pub(crate) fn log(
    callback: unsafe extern "C" fn(c_int, *const c_char),
    level: c_int,
    message: &str,
) {
    let message = c_string(message);
    // SAFETY: a function of the type that the header asks for; the string outlives the call.
    unsafe { callback(level, message.as_ptr()) };
}

const _: () = {
    // The callback types of the header are options of the ones above.
    const fn same(_: abi::OpenCallback, _: abi::MessageCallback, _: abi::DescriptionCallback) {}
    const PLAIN: Option<Plain> = None;
    const MESSAGE: Option<WithMessage> = None;
    const TEXTS: Option<WithTexts> = None;
    same(PLAIN, MESSAGE, TEXTS);
};
