//! The channel model: what data channels, tracks and WebSockets have in common for applications.
//!
//! A channel carries messages both ways, queues them, and tells of itself by callbacks. Its
//! [`Port`] is the application's side of it; the rest is its transport's.

use crate::error::Result;

mod backlog;
mod budget;
pub(crate) mod buffers;
mod data_channel;
mod media;
mod message;
mod port;
mod slots;
mod track;

pub(crate) use backlog::Backlog;
pub(crate) use budget::Budget;
pub use data_channel::DataChannel;
pub(crate) use data_channel::Phase;
pub use media::{BitrateHandler, FrameHandler};
pub use message::{Message, MessageKind};
pub(crate) use message::{ppid, to_wire};
pub(crate) use port::news;
pub use port::{Port, Source};
use slots::{AVAILABLE, CLOSED, LOW};
pub use slots::{ErrorHandler, Handler, MessageHandler};
pub use track::Track;

/// A data channel, track or WebSocket: messages both ways.
pub trait Channel: Source + Send + Sync {
    /// The application's side of the channel.
    #[doc(hidden)]
    fn port(&self) -> &Port;

    /// Sends a message, or queues it when the transport is busy. Fails when the channel is not
    /// open or the message larger than [`Self::max_message_size`].
    fn send(&self, message: Message) -> Result<()>;

    /// Closes the channel once everything queued has been sent. Idempotent.
    fn close(&self);

    /// True while messages can be sent.
    fn is_open(&self) -> bool;

    /// True once closed, by either side.
    fn is_closed(&self) -> bool;

    /// Largest message that can be sent, in bytes.
    fn max_message_size(&self) -> usize;

    /// Bytes of messages that wait before the transport, which holds some more.
    fn buffered_amount(&self) -> usize {
        self.port().buffered_amount()
    }

    /// Sets the amount at or below which the low callback runs; 0 at first.
    fn set_buffered_amount_low_threshold(&self, bytes: usize) {
        self.port().set_low_threshold(bytes);
    }

    /// Bytes that wait to be received.
    fn available_amount(&self) -> usize {
        self.port().available_amount()
    }

    /// Takes the next message that waits. While a message callback is set there is none.
    fn receive(&self) -> Option<Message> {
        self.receive_if(&mut |_| true)
    }

    /// Takes the next message if `wanted` says so, atomically.
    fn receive_if(&self, wanted: &mut dyn FnMut(&Message) -> bool) -> Option<Message> {
        self.port().receive_if(self, wanted)
    }

    /// Closes the channel, waits for callbacks that run on other threads, and lets none begin
    /// afterwards. From inside a callback of this channel it does not wait for that one. What a
    /// data channel has received and nobody took is dropped.
    fn delete(&self) {
        self.close();
        self.port().close_gate();
    }

    /// Sets or clears the callback for the channel having opened.
    fn on_open(&self, handler: Option<Handler>) {
        self.port().on_open(self, handler);
    }

    /// Sets or clears the callback for the channel having closed.
    fn on_closed(&self, handler: Option<Handler>) {
        self.port().set_signal(CLOSED, handler);
    }

    /// Sets or clears the callback for the buffered amount having fallen to the threshold.
    fn on_buffered_amount_low(&self, handler: Option<Handler>) {
        self.port().set_signal(LOW, handler);
    }

    /// Sets or clears the callback for messages being available again.
    fn on_available(&self, handler: Option<Handler>) {
        self.port().set_signal(AVAILABLE, handler);
    }

    /// Sets or clears the callback for errors.
    fn on_error(&self, handler: Option<ErrorHandler>) {
        self.port().on_error(handler);
    }

    /// Sets or clears the callback for messages. Messages that wait are delivered before this
    /// returns.
    fn on_message(&self, handler: Option<MessageHandler>) {
        self.port().on_message(self, handler);
    }
}
