//! Data channels as Rust users see them.

use std::fmt;
use std::sync::Arc;

use rtc_core::Result;
use rtc_core::channel::{DataChannel as Inner, Message};
use rtc_core::config::Reliability;

/// A data channel. Clones are handles to the same channel; dropping them does not close it.
#[derive(Clone, PartialEq, Eq)]
pub struct DataChannel {
    inner: Shared,
}

#[derive(Clone)]
struct Shared(Arc<Inner>);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Shared {}

/// Defines the setters for a callback that gets nothing but the channel.
macro_rules! handler {
    ($(#[$doc:meta])* $set:ident, $clear:ident) => {
        $(#[$doc])*
        pub fn $set(&self, handler: impl Fn(&DataChannel) + Send + Sync + 'static) {
            self.inner.0.$set(Some(Arc::new(move |inner| handler(&Self::new(inner.clone())))));
        }

        /// Takes that callback back; waits while it runs on another thread.
        pub fn $clear(&self) {
            self.inner.0.$set(None);
        }
    };
}

impl DataChannel {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner: Shared(inner) }
    }

    /// The label, which need not be UTF-8 if the peer chose it.
    pub fn label(&self) -> &[u8] {
        self.inner.0.label()
    }

    /// The protocol, empty when there is none, which need not be UTF-8 if the peer chose it.
    pub fn protocol(&self) -> &[u8] {
        self.inner.0.protocol()
    }

    /// How hard the channel tries to deliver.
    pub fn reliability(&self) -> Reliability {
        self.inner.0.reliability()
    }

    /// The SCTP stream; `None` until it is known.
    pub fn stream(&self) -> Option<u16> {
        self.inner.0.stream()
    }

    /// True while messages can be sent.
    pub fn is_open(&self) -> bool {
        self.inner.0.is_open()
    }

    /// True once closed, by either side.
    pub fn is_closed(&self) -> bool {
        self.inner.0.is_closed()
    }

    /// Largest message that can be sent, in bytes.
    pub fn max_message_size(&self) -> usize {
        self.inner.0.max_message_size()
    }

    /// Bytes of messages that wait before the transport, which holds some more.
    pub fn buffered_amount(&self) -> usize {
        self.inner.0.buffered_amount()
    }

    /// Sets the amount at or below which the callback of [`Self::on_buffered_amount_low`] runs;
    /// 0 at first.
    pub fn set_buffered_amount_low_threshold(&self, bytes: usize) {
        self.inner.0.set_buffered_amount_low_threshold(bytes);
    }

    /// Bytes that wait to be received.
    pub fn available_amount(&self) -> usize {
        self.inner.0.available_amount()
    }

    /// Sends a message, or queues it when the transport is busy. Fails when the channel is not
    /// open or the message larger than [`Self::max_message_size`].
    pub fn send(&self, message: impl Into<Message>) -> Result<()> {
        self.inner.0.send(message)
    }

    /// Takes the next message that waits. While a message callback is set there is none.
    pub fn receive(&self) -> Option<Message> {
        self.inner.0.receive()
    }

    /// Takes the next message if `wanted` says so after a look at it.
    pub fn receive_if(&self, wanted: impl FnOnce(&Message) -> bool) -> Option<Message> {
        self.inner.0.receive_if(wanted)
    }

    /// Closes the channel once everything queued has been sent. Its closed callback runs before
    /// this returns. Idempotent.
    pub fn close(&self) {
        self.inner.0.close();
    }

    /// Closes the channel, waits for callbacks of it that run on other threads, and lets none
    /// begin afterwards.
    pub fn delete(&self) {
        self.inner.0.delete();
    }

    handler!(
        /// Calls back when the channel has opened; at once if it has already and nobody was told.
        on_open, clear_on_open
    );
    handler!(
        /// Calls back when the channel has closed.
        on_closed, clear_on_closed
    );
    handler!(
        /// Calls back when the buffered amount has fallen to the threshold.
        on_buffered_amount_low, clear_on_buffered_amount_low
    );
    handler!(
        /// Calls back when messages are available after there were none.
        on_available, clear_on_available
    );

    /// Calls back for errors of the channel.
    pub fn on_error(&self, handler: impl Fn(&DataChannel, &str) + Send + Sync + 'static) {
        self.inner.0.on_error(Some(Arc::new(move |inner, text| {
            handler(&Self::new(inner.clone()), text);
        })));
    }

    /// Takes that callback back; waits while it runs on another thread.
    pub fn clear_on_error(&self) {
        self.inner.0.on_error(None);
    }

    /// Calls back for each message. Messages that wait already are delivered before this returns.
    pub fn on_message(&self, handler: impl Fn(&DataChannel, Message) + Send + Sync + 'static) {
        self.inner.0.on_message(Some(Arc::new(move |inner, message| {
            handler(&Self::new(inner.clone()), message);
        })));
    }

    /// Takes that callback back; waits while it runs on another thread. Messages queue up again.
    pub fn clear_on_message(&self) {
        self.inner.0.on_message(None);
    }
}

impl fmt::Debug for DataChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.0.fmt(f)
    }
}
