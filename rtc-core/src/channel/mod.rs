//! The channel model: what a data channel holds on our side, and the calls on it.
//!
//! A channel has three parts with a lock each, none held while user code runs: the *state* (stream,
//! queues, amounts), which the peer core changes under its own lock first; the *slots* (callbacks);
//! and the *gate*, which lets callbacks in and waits for them when the channel is deleted.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::config::{
    DEFAULT_REMOTE_MAX_MESSAGE_SIZE, RECEIVE_QUEUE_BYTES, RECEIVE_QUEUE_MESSAGES, Reliability,
};
use crate::error::{Error, Result};
use crate::peer::Peer;
use crate::runtime::gate::{Gate, Slot};
use crate::runtime::lane::Bell;

mod message;
mod slots;

pub use message::{Message, MessageKind};
pub(crate) use message::{ppid, to_wire};
use slots::{AVAILABLE, CLOSED, ERROR, LOW, MESSAGE, OPEN, Slots};
pub use slots::{ErrorHandler, Handler, MessageHandler};

/// How many messages of a channel are delivered before other channels have their turn.
const TURN: usize = 256;

/// Which life phase a channel is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No stream, or no association yet.
    Connecting,
    /// The OPEN message is on its way; messages may follow it.
    Opening,
    Open,
    Closed,
}

/// What waits to be told to the application, as bits of [`DataChannel::news`].
pub(crate) mod news {
    pub(crate) const INCOMING: u8 = 1;
    pub(crate) const OPEN: u8 = 2;
    pub(crate) const AVAILABLE: u8 = 4;
    pub(crate) const MESSAGES: u8 = 8;
    pub(crate) const LOW: u8 = 16;
    pub(crate) const ERROR: u8 = 32;
    pub(crate) const CLOSED: u8 = 64;
}

/// The part of a channel that the peer core changes.
pub(crate) struct ChannelState {
    pub(crate) phase: Phase,
    /// Assigned once the DTLS roles are known, or by the user.
    pub(crate) stream: Option<u16>,
    /// The peer has confirmed an in-band channel, or there is nothing to confirm. Until then
    /// messages go out ordered and reliably, so that none overtakes the OPEN (RFC 8832 §6).
    pub(crate) confirmed: bool,
    /// The open event has gone to its slot; messages may follow.
    announced: bool,
    received: VecDeque<Message>,
    received_bytes: usize,
    /// Messages stay in SCTP because the queue is full.
    pub(crate) throttled: bool,
    /// Messages that SCTP has not taken yet.
    pub(crate) outgoing: VecDeque<(u32, Bytes)>,
    /// User bytes in `outgoing`.
    pub(crate) buffered: usize,
    low_threshold: usize,
    errors: Vec<String>,
}

/// One data channel. It outlives its peer connection: what was received can still be read.
pub struct DataChannel {
    me: Weak<DataChannel>,
    peer: Weak<Peer>,
    label: Box<[u8]>,
    protocol: Box<[u8]>,
    pub(crate) reliability: Reliability,
    pub(crate) negotiated: bool,
    pub(crate) state: Mutex<ChannelState>,
    slots: Mutex<Slots>,
    gate: Gate,
    news: AtomicU8,
    rung: AtomicBool,
}

impl DataChannel {
    pub(crate) fn new(
        peer: Weak<Peer>,
        label: Vec<u8>,
        protocol: Vec<u8>,
        reliability: Reliability,
        negotiated: bool,
        stream: Option<u16>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            peer,
            label: label.into(),
            protocol: protocol.into(),
            reliability,
            negotiated,
            state: Mutex::new(ChannelState {
                phase: Phase::Connecting,
                stream,
                confirmed: false,
                announced: false,
                received: VecDeque::new(),
                received_bytes: 0,
                throttled: false,
                outgoing: VecDeque::new(),
                buffered: 0,
                low_threshold: 0,
                errors: Vec::new(),
            }),
            slots: Mutex::default(),
            gate: Gate::new(),
            news: AtomicU8::new(0),
            rung: AtomicBool::new(false),
        })
    }

    // Queries.

    /// The label, up to 65535 bytes: UTF-8 by convention, but a peer may send anything.
    pub fn label(&self) -> &[u8] {
        &self.label
    }

    /// The protocol, up to 65535 bytes like the label; empty when there is none.
    pub fn protocol(&self) -> &[u8] {
        &self.protocol
    }

    /// How hard the channel tries to deliver.
    pub fn reliability(&self) -> Reliability {
        self.reliability
    }

    /// The SCTP stream; `None` until it is known.
    pub fn stream(&self) -> Option<u16> {
        self.state.lock().stream
    }

    /// True while messages can be sent.
    pub fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    /// True once closed, by either side.
    pub fn is_closed(&self) -> bool {
        self.state.lock().phase == Phase::Closed
    }

    /// Largest message that can be sent, in bytes.
    pub fn max_message_size(&self) -> usize {
        self.peer
            .upgrade()
            .map_or(DEFAULT_REMOTE_MAX_MESSAGE_SIZE, |peer| peer.remote_max_message_size())
    }

    /// Bytes of messages that wait before the transport, which holds some more.
    pub fn buffered_amount(&self) -> usize {
        self.state.lock().buffered
    }

    /// Sets the amount at or below which the low callback fires; 0 at first.
    pub fn set_buffered_amount_low_threshold(&self, bytes: usize) {
        self.state.lock().low_threshold = bytes;
    }

    /// Bytes that wait to be received.
    pub fn available_amount(&self) -> usize {
        self.state.lock().received_bytes
    }

    // Commands.

    /// Sends a message, or queues it when the transport is busy. Fails when the channel is not
    /// open or the message larger than [`Self::max_message_size`].
    pub fn send(self: &Arc<Self>, message: impl Into<Message>) -> Result<()> {
        match self.peer.upgrade() {
            Some(peer) => peer.send_message(self, message.into()),
            None => Err(Error::failure("cannot send: the peer connection is gone")),
        }
    }

    /// Takes the next message that waits. While a message callback is set there is none.
    pub fn receive(&self) -> Option<Message> {
        self.receive_if(|_| true)
    }

    /// Takes the next message if `wanted` says so, atomically.
    pub fn receive_if(&self, wanted: impl FnOnce(&Message) -> bool) -> Option<Message> {
        let mut state = self.state.lock();
        if !wanted(state.received.front()?) {
            return None;
        }
        let message = state.received.pop_front()?;
        state.received_bytes -= message.data.len();
        self.resume_if_drained(state);
        Some(message)
    }

    /// Closes the channel once everything queued has been sent. The closed callback runs before
    /// this returns. Idempotent.
    pub fn close(self: &Arc<Self>) {
        let closed_now = match self.peer.upgrade() {
            Some(peer) => peer.close_channel(self),
            None => self.mark_closed(),
        };
        if closed_now {
            self.signal(CLOSED);
            self.clear_handlers();
        }
    }

    /// Closes the channel, waits for callbacks that run on other threads, and lets none begin
    /// afterwards. From inside a callback of this channel it does not wait for that one.
    pub fn delete(self: &Arc<Self>) {
        self.close();
        self.gate.close();
        self.clear_handlers();
    }

    // Callbacks.

    /// Sets or clears the callback for the channel having opened.
    pub fn on_open(self: &Arc<Self>, handler: Option<Handler>) {
        let set = handler.is_some();
        self.set_signal(OPEN, handler);
        if set {
            self.deliver_messages(usize::MAX);
        }
    }

    /// Sets or clears the callback for the channel having closed.
    pub fn on_closed(self: &Arc<Self>, handler: Option<Handler>) {
        self.set_signal(CLOSED, handler);
    }

    /// Sets or clears the callback for the buffered amount having fallen to the threshold.
    pub fn on_buffered_amount_low(self: &Arc<Self>, handler: Option<Handler>) {
        self.set_signal(LOW, handler);
    }

    /// Sets or clears the callback for messages being available again.
    pub fn on_available(self: &Arc<Self>, handler: Option<Handler>) {
        self.set_signal(AVAILABLE, handler);
    }

    /// Sets or clears the callback for errors.
    pub fn on_error(self: &Arc<Self>, handler: Option<ErrorHandler>) {
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

    /// Sets or clears the callback for messages. Messages that wait are delivered before this
    /// returns.
    pub fn on_message(self: &Arc<Self>, handler: Option<MessageHandler>) {
        let set = handler.is_some();
        // What the old handler captured is dropped without the lock.
        let old = std::mem::replace(&mut self.slots.lock().message, handler);
        self.gate.wait_idle(MESSAGE);
        drop(old);
        if set {
            self.deliver_messages(usize::MAX);
        }
    }

    fn set_signal(self: &Arc<Self>, slot: Slot, handler: Option<Handler>) {
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

    fn clear_handlers(&self) {
        let old = std::mem::take(&mut *self.slots.lock());
        // What handlers captured is dropped without the lock: it may be anything.
        drop(old);
    }

    /// Runs the handler of a slot, or remembers that it was missing.
    fn signal(self: &Arc<Self>, slot: Slot) {
        let Some(_pass) = self.gate.enter(slot) else { return };
        let handler = {
            let mut slots = self.slots.lock();
            let signal = slots.signal(slot);
            signal.missed = signal.handler.is_none();
            signal.handler.clone()
        };
        if let Some(handler) = handler {
            handler(self);
        }
    }

    fn report_error(self: &Arc<Self>, text: &str) {
        let Some(_pass) = self.gate.enter(ERROR) else { return };
        let handler = {
            let mut slots = self.slots.lock();
            if slots.error.is_none() {
                slots.missed_error = Some(text.to_owned());
            }
            slots.error.clone()
        };
        if let Some(handler) = handler {
            handler(self, text);
        }
    }

    /// Delivers up to `limit` messages; true when it stopped because of that.
    fn deliver_messages(self: &Arc<Self>, limit: usize) -> bool {
        for _ in 0..limit {
            let Some(_pass) = self.gate.enter(MESSAGE) else { return false };
            let Some(handler) = self.slots.lock().message.clone() else { return false };
            if !self.state.lock().announced {
                return false;
            }
            let Some(message) = self.receive() else { return false };
            handler(self, message);
        }
        true
    }

    /// Waits until no other thread runs a callback of this channel.
    pub(crate) fn wait_idle(&self) {
        for slot in [OPEN, CLOSED, ERROR, MESSAGE, LOW, AVAILABLE] {
            self.gate.wait_idle(slot);
        }
    }

    // For the peer core.

    /// Adds news for the application; the caller rings the bell.
    pub(crate) fn add_news(&self, news: u8) {
        self.news.fetch_or(news, Ordering::AcqRel);
    }

    /// True while another received message can be queued; otherwise the caller is told to resume
    /// once the application has taken some.
    pub(crate) fn has_room(&self) -> bool {
        let mut state = self.state.lock();
        // Nobody takes messages of a closed channel from the network: they are dropped, not queued.
        let full = state.phase != Phase::Closed
            && (state.received.len() >= RECEIVE_QUEUE_MESSAGES
                || state.received_bytes >= RECEIVE_QUEUE_BYTES);
        state.throttled = full;
        !full
    }

    /// Queues a received message.
    pub(crate) fn push_received(&self, message: Message) {
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

    /// Marks the channel open; false when it was open or closed already.
    pub(crate) fn mark_open(&self) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Connecting | Phase::Opening) {
            return false;
        }
        state.phase = Phase::Open;
        drop(state);
        self.add_news(news::OPEN);
        true
    }

    /// Marks the channel closed; false when it was closed already.
    pub(crate) fn mark_closed(&self) -> bool {
        let mut state = self.state.lock();
        std::mem::replace(&mut state.phase, Phase::Closed) != Phase::Closed
    }

    /// Notes that `bytes` of the outgoing queue went to the transport; true when that is news.
    pub(crate) fn sub_buffered(&self, state: &mut ChannelState, bytes: usize) -> bool {
        let before = state.buffered;
        state.buffered = before.saturating_sub(bytes);
        let low = before > state.low_threshold && state.buffered <= state.low_threshold;
        if low {
            self.add_news(news::LOW);
        }
        low
    }

    fn resume_if_drained(&self, mut state: parking_lot::MutexGuard<'_, ChannelState>) {
        if !state.throttled
            || state.received.len() > RECEIVE_QUEUE_MESSAGES / 2
            || state.received_bytes > RECEIVE_QUEUE_BYTES / 2
        {
            return;
        }
        state.throttled = false;
        let stream = state.stream;
        drop(state);
        if let (Some(peer), Some(stream)) = (self.peer.upgrade(), stream) {
            peer.resume_stream(stream);
        }
    }
}

impl Bell for DataChannel {
    fn run(&self) {
        let Some(me) = self.me.upgrade() else { return };
        let news = self.news.swap(0, Ordering::AcqRel);
        if news & news::INCOMING != 0
            && let Some(peer) = self.peer.upgrade()
        {
            peer.announce_channel(&me);
        }
        if news & news::OPEN != 0 {
            me.signal(OPEN);
            self.state.lock().announced = true;
        }
        if news & news::AVAILABLE != 0 {
            me.signal(AVAILABLE);
        }
        if news & (news::MESSAGES | news::OPEN) != 0 && me.deliver_messages(TURN) {
            if let Some(peer) = self.peer.upgrade() {
                // The other channels of the connection have their turn, then the rest follows.
                self.add_news(news::MESSAGES | (news & (news::LOW | news::ERROR | news::CLOSED)));
                peer.ring(&me);
                return;
            }
            // Without the connection nobody rings again.
            me.deliver_messages(usize::MAX);
        }
        if news & news::LOW != 0 {
            me.signal(LOW);
        }
        if news & news::ERROR != 0 {
            let errors = std::mem::take(&mut self.state.lock().errors);
            for text in errors {
                me.report_error(&text);
            }
        }
        if news & news::CLOSED != 0 {
            me.signal(CLOSED);
            let missed = self.slots.lock().closed.missed;
            self.clear_handlers();
            // The peer may have closed the channel before the application could set its callback.
            self.slots.lock().closed.missed = missed;
        }
    }

    fn rung(&self) -> &AtomicBool {
        &self.rung
    }
}

impl fmt::Debug for DataChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("DataChannel")
            .field("label", &String::from_utf8_lossy(&self.label))
            .field("stream", &state.stream)
            .field("phase", &state.phase)
            .finish_non_exhaustive()
    }
}
