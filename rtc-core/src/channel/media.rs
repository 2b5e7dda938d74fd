//! What the handlers of a track tell its user: requests for key frames, estimates, frames.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rtc_media::{Event, FrameInfo};

use super::{Backlog, Handler};
use crate::runtime::gate::{Gate, Slot};

const KEYFRAME: Slot = Slot(0);
const BITRATE: Slot = Slot(1);
const FRAME: Slot = Slot(2);

/// A callback for the bits per second that the peer says reach it.
pub type BitrateHandler = Arc<dyn Fn(u64) + Send + Sync>;
/// A callback for a frame that a depacketizer put together.
pub type FrameHandler = Arc<dyn Fn(Bytes, FrameInfo) + Send + Sync>;

enum News {
    Keyframe,
    Bitrate(u64),
    Frame(Bytes, FrameInfo),
}

#[derive(Default)]
struct Handlers {
    keyframe: Option<Handler>,
    bitrate: Option<BitrateHandler>,
    frame: Option<FrameHandler>,
}

/// The callbacks of a track that other channels do not have, and what waits for them.
#[derive(Default)]
pub(super) struct MediaPort {
    handlers: Mutex<Handlers>,
    waiting: Backlog<News>,
    gate: Gate,
}

/// Defines the setter of one handler: it replaces the handler, then waits until no other thread is
/// inside the old one.
macro_rules! setter {
    ($name:ident, $field:ident, $slot:expr, $handler:ty) => {
        pub(super) fn $name(&self, handler: Option<$handler>) {
            let old = std::mem::replace(&mut self.handlers.lock().$field, handler);
            self.gate.wait_idle($slot);
            drop(old);
        }
    };
}

impl MediaPort {
    setter!(on_keyframe_request, keyframe, KEYFRAME, Handler);
    setter!(on_bitrate_estimate, bitrate, BITRATE, BitrateHandler);
    setter!(on_frame, frame, FRAME, FrameHandler);

    /// True while frames go to a callback of their own rather than to that of messages.
    pub(super) fn wants_frames(&self) -> bool {
        self.handlers.lock().frame.is_some()
    }

    /// Queues what happened in the chain; false when there is no room.
    pub(super) fn push_event(&self, event: Event) -> bool {
        match event {
            Event::KeyframeRequested => self.waiting.push(News::Keyframe, 0),
            Event::BitrateEstimated(bits) => self.waiting.push(News::Bitrate(bits), 0),
            _ => true,
        }
    }

    /// Queues a frame; false when there is no room.
    pub(super) fn push_frame(&self, data: Bytes, info: FrameInfo) -> bool {
        let bytes = data.len();
        self.waiting.push(News::Frame(data, info), bytes)
    }

    /// Runs the callbacks for what waits.
    pub(super) fn tell(&self) {
        while let Some(news) = self.waiting.pop() {
            let slot = match news {
                News::Keyframe => KEYFRAME,
                News::Bitrate(_) => BITRATE,
                News::Frame(..) => FRAME,
            };
            let Some(_pass) = self.gate.enter(slot) else { return };
            match news {
                News::Keyframe => {
                    let handler = self.handlers.lock().keyframe.clone();
                    if let Some(handler) = handler {
                        handler();
                    }
                }
                News::Bitrate(bits) => {
                    let handler = self.handlers.lock().bitrate.clone();
                    if let Some(handler) = handler {
                        handler(bits);
                    }
                }
                News::Frame(data, info) => {
                    let handler = self.handlers.lock().frame.clone();
                    if let Some(handler) = handler {
                        handler(data, info);
                    }
                }
            }
        }
    }

    /// Waits until no other thread runs one of the callbacks.
    pub(super) fn wait_idle(&self) {
        for slot in [KEYFRAME, BITRATE, FRAME] {
            self.gate.wait_idle(slot);
        }
    }

    /// Waits for callbacks on other threads, and lets none begin afterwards.
    pub(super) fn close(&self) {
        self.gate.close();
        let old = std::mem::take(&mut *self.handlers.lock());
        // What handlers captured is dropped without the lock: it may be anything.
        drop(old);
    }
}
