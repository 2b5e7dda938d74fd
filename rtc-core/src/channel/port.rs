//! The application's side of a channel: what was received, the callbacks, and what they wait for.
//!
//! A port has three parts, none locked while user code runs: the *state* (queue and amounts), the
//! *slots* (callbacks), and the *gate*, which lets callbacks in and waits for them when the channel
//! is deleted. *News* is what the transport leaves for the callbacks: bits, told on the lane of the
//! channel in an order that suits applications.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use parking_lot::Mutex;

use super::budget::Budget;
use super::message::Message;
use super::slots::{AVAILABLE, CLOSED, ERROR, LOW, MESSAGE, OPEN, Slots};
use super::{ErrorHandler, Handler, MessageHandler};
use crate::config::{RECEIVE_QUEUE_BYTES, RECEIVE_QUEUE_MESSAGES};
use crate::runtime::gate::{Gate, Slot};

/// How many messages of a channel are delivered before other channels have their turn.
const TURN: usize = 256;

/// What a message that waits costs besides its payload, in bytes: its place in the queue, and what
/// an allocation takes at least.
const MESSAGE_OVERHEAD: usize = 128;

/// What waits to be told to the application, as bits.
pub(crate) mod news {
    pub(crate) const INCOMING: u8 = 1;
    pub(crate) const OPEN: u8 = 2;
    pub(crate) const AVAILABLE: u8 = 4;
    pub(crate) const MESSAGES: u8 = 8;
    pub(crate) const LOW: u8 = 16;
    pub(crate) const ERROR: u8 = 32;
    pub(crate) const CLOSED: u8 = 64;
}

/// What a port asks of the channel it belongs to.
pub trait Source {
    /// The application has taken enough of the messages that had filled the queue, or some that
    /// other channels, too, may have waited for.
    fn resume(&self);

    /// Hands the channel over to the application, which did not make it.
    fn announce(&self);

    /// Asks the lane to tell the news once more, after the others in it; false when there is no
    /// lane any longer.
    fn ring_again(&self) -> bool;
}

/// The application's side of a channel.
pub struct Port {
    state: Mutex<State>,
    slots: Mutex<Slots>,
    gate: Gate,
    news: AtomicU8,
    rung: AtomicBool,
    /// Shared with other channels; without one the queue's own bounds are all.
    budget: Option<Arc<Budget>>,
    /// The callbacks stay when the channel has closed, and what they missed as well.
    lasting: bool,
}

#[derive(Default)]
struct State {
    /// The open event has gone to its slot; messages may follow.
    announced: bool,
    received: VecDeque<Message>,
    received_bytes: usize,
    /// Messages stay in the transport because the queue is full.
    throttled: bool,
    /// Bytes of messages that the transport has not taken yet.
    buffered: usize,
    low_threshold: usize,
    errors: Vec<String>,
}

impl State {
    /// Memory that the messages take, in bytes.
    fn held(&self) -> usize {
        cost(self.received.len(), self.received_bytes)
    }
}

/// Memory that so many messages of so many bytes in all take, in bytes.
fn cost(messages: usize, bytes: usize) -> usize {
    bytes + messages * MESSAGE_OVERHEAD
}

impl Port {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            slots: Mutex::default(),
            gate: Gate::new(),
            news: AtomicU8::new(0),
            rung: AtomicBool::new(false),
            budget: None,
            lasting: false,
        }
    }

    /// A port whose queue is bounded by a budget as well, which others share.
    pub(super) fn within(budget: Arc<Budget>) -> Self {
        let mut port = Self::new();
        port.budget = Some(budget);
        port
    }

    /// A port whose callbacks stay until the channel is deleted: they may be set after it closed.
    #[cfg(feature = "websocket")]
    pub(crate) fn lasting() -> Self {
        let mut port = Self::new();
        port.lasting = true;
        port
    }

    // For the application.

    pub(super) fn buffered_amount(&self) -> usize {
        self.state.lock().buffered
    }

    pub(super) fn set_low_threshold(&self, bytes: usize) {
        self.state.lock().low_threshold = bytes;
    }

    pub(super) fn available_amount(&self) -> usize {
        self.state.lock().received_bytes
    }

    /// Takes the next message if `wanted` says so, atomically.
    pub(super) fn receive_if(
        &self,
        source: &(impl Source + ?Sized),
        wanted: impl FnOnce(&Message) -> bool,
    ) -> Option<Message> {
        let mut state = self.state.lock();
        if !wanted(state.received.front()?) {
            return None;
        }
        let message = state.received.pop_front()?;
        state.received_bytes -= message.data.len();
        let drained = state.throttled
            && state.received.len() <= RECEIVE_QUEUE_MESSAGES / 2
            && state.received_bytes <= RECEIVE_QUEUE_BYTES / 2;
        state.throttled &= !drained;
        drop(state);
        if self.give_back(cost(1, message.data.len())) || drained {
            source.resume();
        }
        Some(message)
    }

    /// Drops the messages that wait.
    pub(super) fn discard_received(&self, source: &(impl Source + ?Sized)) {
        if self.drop_received() {
            source.resume();
        }
    }

    /// True when another channel may be waiting for what became free.
    fn drop_received(&self) -> bool {
        let mut state = self.state.lock();
        let dropped = state.held();
        let messages = std::mem::take(&mut state.received);
        state.received_bytes = 0;
        drop(state);
        drop(messages);
        self.give_back(dropped)
    }

    fn give_back(&self, bytes: usize) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.give_back(bytes))
    }

    pub(super) fn on_open(&self, source: &(impl Source + ?Sized), handler: Option<Handler>) {
        let set = handler.is_some();
        self.set_signal(OPEN, handler);
        if set {
            self.deliver_messages(source, usize::MAX);
        }
    }

    pub(super) fn on_error(&self, handler: Option<ErrorHandler>) {
        let (missed, old) = {
            let mut slots = self.slots.lock();
            let old = std::mem::replace(&mut slots.error, handler);
            let missed = if slots.error.is_some() { slots.missed_error.take() } else { None };
            (missed, old)
        };
        self.gate.wait_idle(ERROR);
        drop(old);
        if let Some(text) = missed {
            self.report_error(&text);
        }
    }

    pub(super) fn on_message(
        &self,
        source: &(impl Source + ?Sized),
        handler: Option<MessageHandler>,
    ) {
        let set = handler.is_some();
        // What the old handler captured is dropped without the lock.
        let old = std::mem::replace(&mut self.slots.lock().message, handler);
        self.gate.wait_idle(MESSAGE);
        drop(old);
        if set {
            self.deliver_messages(source, usize::MAX);
        }
    }

    pub(super) fn set_signal(&self, slot: Slot, handler: Option<Handler>) {
        let (missed, old) = {
            let mut slots = self.slots.lock();
            let signal = slots.signal(slot);
            let old = std::mem::replace(&mut signal.handler, handler);
            (signal.handler.is_some() && std::mem::take(&mut signal.missed), old)
        };
        self.gate.wait_idle(slot);
        drop(old);
        if missed {
            self.signal(slot);
        }
    }

    /// Waits for callbacks on other threads, and lets none begin afterwards.
    pub(crate) fn close_gate(&self) {
        self.gate.close();
        self.clear_handlers();
    }

    /// Runs the closed callback, the last of the channel: the application has closed it.
    pub(crate) fn tell_closed(&self) {
        self.signal(CLOSED);
        if !self.lasting {
            self.clear_handlers();
        }
    }

    /// Waits until no other thread runs a callback of this channel.
    pub(crate) fn wait_idle(&self) {
        for slot in [OPEN, CLOSED, ERROR, MESSAGE, LOW, AVAILABLE] {
            self.gate.wait_idle(slot);
        }
    }

    // For the transport.

    /// Whether there is anything to tell.
    #[cfg(feature = "websocket")]
    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::Acquire) != 0
    }

    /// Adds news for the application; the caller rings the bell.
    pub(crate) fn add_news(&self, news: u8) {
        self.news.fetch_or(news, Ordering::AcqRel);
    }

    /// Whether messages wait for the application.
    #[cfg(feature = "websocket")]
    pub(crate) fn has_received(&self) -> bool {
        !self.state.lock().received.is_empty()
    }

    /// True while somebody listens for messages.
    pub(crate) fn has_message_handler(&self) -> bool {
        self.slots.lock().message.is_some()
    }

    /// True while another received message can be queued; otherwise the source is told to resume
    /// once the application has taken some.
    pub(crate) fn has_room(&self) -> bool {
        let mut state = self.state.lock();
        state.throttled = state.received.len() >= RECEIVE_QUEUE_MESSAGES
            || state.received_bytes >= RECEIVE_QUEUE_BYTES;
        !state.throttled
    }

    /// The same for the channel of `stream`, which may also have to wait for others that share its
    /// budget: then the source is told to resume with whatever any of them gives back.
    pub(super) fn has_room_on(&self, stream: u16) -> bool {
        if !self.has_room() {
            return false;
        }
        let Some(budget) = &self.budget else { return true };
        // Locked meanwhile: what is taken afterwards is given back to a budget that awaits it.
        let state = self.state.lock();
        budget.admits(stream, state.held())
    }

    /// Queues a received message.
    pub(crate) fn push_received(&self, message: Message) {
        if let Some(budget) = &self.budget {
            budget.take(cost(1, message.data.len()));
        }
        let mut state = self.state.lock();
        state.received_bytes += message.data.len();
        state.received.push_back(message);
        let first = state.received.len() == 1;
        drop(state);
        self.add_news(if first { news::AVAILABLE | news::MESSAGES } else { news::MESSAGES });
    }

    pub(crate) fn add_error(&self, text: String) {
        self.state.lock().errors.push(text);
        self.add_news(news::ERROR);
    }

    /// Notes that `bytes` more wait for the transport.
    pub(crate) fn add_buffered(&self, bytes: usize) {
        self.state.lock().buffered += bytes;
    }

    /// Notes that `bytes` of what waited went to the transport; true when that is news.
    pub(crate) fn sub_buffered(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        let before = state.buffered;
        state.buffered = before.saturating_sub(bytes);
        let low = before > state.low_threshold && state.buffered <= state.low_threshold;
        if low {
            self.add_news(news::LOW);
        }
        low
    }

    /// Notes that what waited for the transport never reaches it.
    pub(crate) fn discard_buffered(&self) {
        self.state.lock().buffered = 0;
    }

    /// True while messages stay in the transport because the queue is full.
    #[cfg(test)]
    pub(crate) fn is_throttled(&self) -> bool {
        self.state.lock().throttled
    }

    /// Set while the channel waits in its lane.
    pub(crate) fn rung(&self) -> &AtomicBool {
        &self.rung
    }

    /// Tells the news; runs on the channel's lane.
    pub(crate) fn tell_news(&self, source: &(impl Source + ?Sized)) {
        let news = self.news.swap(0, Ordering::AcqRel);
        if news & news::INCOMING != 0 {
            source.announce();
        }
        if news & news::OPEN != 0 {
            self.signal(OPEN);
            self.state.lock().announced = true;
        }
        if news & news::AVAILABLE != 0 {
            self.signal(AVAILABLE);
        }
        if news & (news::MESSAGES | news::OPEN) != 0 && self.deliver_messages(source, TURN) {
            // Others have their turn, then the rest follows.
            self.add_news(news::MESSAGES | (news & (news::LOW | news::ERROR | news::CLOSED)));
            if source.ring_again() {
                return;
            }
            // Without a lane nobody rings again.
            self.deliver_messages(source, usize::MAX);
        }
        if news & news::LOW != 0 {
            self.signal(LOW);
        }
        if news & news::ERROR != 0 {
            let errors = std::mem::take(&mut self.state.lock().errors);
            for text in errors {
                self.report_error(&text);
            }
        }
        if news & news::CLOSED != 0 {
            self.signal(CLOSED);
            if self.lasting {
                return;
            }
            let missed = self.slots.lock().closed.missed;
            self.clear_handlers();
            // The peer may have closed the channel before the application could set its callback.
            self.slots.lock().closed.missed = missed;
        }
    }

    fn clear_handlers(&self) {
        let old = std::mem::take(&mut *self.slots.lock());
        // What handlers captured is dropped without the lock: it may be anything.
        drop(old);
    }

    /// Runs the handler of a slot, or remembers that it was missing.
    fn signal(&self, slot: Slot) {
        let Some(_pass) = self.gate.enter(slot) else { return };
        let handler = {
            let mut slots = self.slots.lock();
            let signal = slots.signal(slot);
            signal.missed = signal.handler.is_none();
            signal.handler.clone()
        };
        if let Some(handler) = handler {
            handler();
        }
    }

    fn report_error(&self, text: &str) {
        let Some(_pass) = self.gate.enter(ERROR) else { return };
        let handler = {
            let mut slots = self.slots.lock();
            if slots.error.is_none() {
                slots.missed_error = Some(text.to_owned());
            }
            slots.error.clone()
        };
        if let Some(handler) = handler {
            handler(text);
        }
    }

    /// Delivers up to `limit` messages; true when it stopped because of that.
    fn deliver_messages(&self, source: &(impl Source + ?Sized), limit: usize) -> bool {
        for _ in 0..limit {
            let Some(_pass) = self.gate.enter(MESSAGE) else { return false };
            let Some(handler) = self.slots.lock().message.clone() else { return false };
            if !self.state.lock().announced {
                return false;
            }
            let Some(message) = self.receive_if(source, |_| true) else { return false };
            handler(message);
        }
        true
    }
}

impl Drop for Port {
    /// Channels that wait for what this one held go on when the next packet comes.
    fn drop(&mut self) {
        self.drop_received();
    }
}
