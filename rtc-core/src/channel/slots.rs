//! The callbacks of a channel.
//!
//! A slot whose event fired while it was empty remembers that, and fires when it is filled. This
//! lets an application set the open callback after the channel has opened.

use std::sync::Arc;

use super::message::Message;
use crate::runtime::gate::Slot;

/// Slots of a channel.
pub(super) const OPEN: Slot = Slot(0);
pub(super) const CLOSED: Slot = Slot(1);
pub(super) const ERROR: Slot = Slot(2);
pub(super) const MESSAGE: Slot = Slot(3);
pub(super) const LOW: Slot = Slot(4);
pub(super) const AVAILABLE: Slot = Slot(5);

/// A callback without arguments.
pub type Handler = Arc<dyn Fn() + Send + Sync>;
/// A callback for an error text.
pub type ErrorHandler = Arc<dyn Fn(&str) + Send + Sync>;
/// A callback for a message.
pub type MessageHandler = Arc<dyn Fn(Message) + Send + Sync>;

#[derive(Default)]
pub(super) struct Slots {
    pub(super) open: Signal,
    pub(super) closed: Signal,
    pub(super) low: Signal,
    pub(super) available: Signal,
    pub(super) error: Option<ErrorHandler>,
    pub(super) missed_error: Option<String>,
    pub(super) message: Option<MessageHandler>,
}

/// A slot for a [`Handler`], with the memory of an event that found it empty.
#[derive(Default)]
pub(super) struct Signal {
    pub(super) handler: Option<Handler>,
    pub(super) missed: bool,
}

impl Slots {
    pub(super) fn signal(&mut self, slot: Slot) -> &mut Signal {
        match slot {
            OPEN => &mut self.open,
            CLOSED => &mut self.closed,
            LOW => &mut self.low,
            _ => &mut self.available,
        }
    }
}
