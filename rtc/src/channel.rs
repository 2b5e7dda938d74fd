//! What data channels, tracks and WebSockets have in common, as Rust users see it.

/// Defines the setters for a callback that gets nothing but the channel.
macro_rules! handler {
    ($(#[$doc:meta])* $set:ident, $clear:ident) => {
        $(#[$doc])*
        pub fn $set(&self, handler: impl Fn(&Self) + Send + Sync + 'static) {
            let channel = Arc::downgrade(&self.inner);
            self.inner.$set(Some(Arc::new(move || {
                if let Some(inner) = channel.upgrade() {
                    handler(&Self { inner });
                }
            })));
        }

        /// Takes that callback back; waits while it runs on another thread.
        pub fn $clear(&self) {
            self.inner.$set(None);
        }
    };
}

/// Defines the common methods of a type whose `inner` is an `Arc` of a [`librtc::Channel`].
///
/// [`librtc::Channel`]: rtc_core::channel::Channel
macro_rules! channel_methods {
    ($type:ident) => {
        impl $type {
            /// The part that all kinds of channels have in common.
            pub fn as_channel(&self) -> Arc<dyn rtc_core::channel::Channel> {
                self.inner.clone()
            }

            /// True while messages can be sent.
            pub fn is_open(&self) -> bool {
                self.inner.is_open()
            }

            /// True once closed, by either side.
            pub fn is_closed(&self) -> bool {
                self.inner.is_closed()
            }

            /// Largest message that can be sent, in bytes.
            pub fn max_message_size(&self) -> usize {
                self.inner.max_message_size()
            }

            /// Bytes of messages that wait before the transport, which holds some more.
            pub fn buffered_amount(&self) -> usize {
                self.inner.buffered_amount()
            }

            /// Sets the amount at or below which the callback of
            /// [`Self::on_buffered_amount_low`] runs; 0 at first.
            pub fn set_buffered_amount_low_threshold(&self, bytes: usize) {
                self.inner.set_buffered_amount_low_threshold(bytes);
            }

            /// Bytes that wait to be received.
            pub fn available_amount(&self) -> usize {
                self.inner.available_amount()
            }

            /// Sends a message, or queues it when the transport is busy. Fails when the channel
            /// is not open or the message larger than [`Self::max_message_size`].
            pub fn send(&self, message: impl Into<Message>) -> Result<()> {
                self.inner.send(message.into())
            }

            /// Takes the next message that waits. While a message callback is set there is none.
            pub fn receive(&self) -> Option<Message> {
                self.inner.receive()
            }

            /// Takes the next message if `wanted` says so after a look at it.
            pub fn receive_if(&self, wanted: impl FnOnce(&Message) -> bool) -> Option<Message> {
                let mut wanted = Some(wanted);
                self.inner.receive_if(&mut |message| {
                    wanted.take().is_some_and(|wanted| wanted(message))
                })
            }

            /// Closes the channel once everything queued has been sent. Idempotent.
            pub fn close(&self) {
                self.inner.close();
            }

            /// Closes the channel, waits for callbacks of it that run on other threads, and lets
            /// none begin afterwards.
            pub fn delete(&self) {
                self.inner.delete();
            }

            handler!(
                /// Calls back when the channel has opened; at once if it has already and nobody
                /// was told.
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
            pub fn on_error(&self, handler: impl Fn(&Self, &str) + Send + Sync + 'static) {
                let channel = Arc::downgrade(&self.inner);
                self.inner.on_error(Some(Arc::new(move |text: &str| {
                    if let Some(inner) = channel.upgrade() {
                        handler(&Self { inner }, text);
                    }
                })));
            }

            /// Takes that callback back; waits while it runs on another thread.
            pub fn clear_on_error(&self) {
                self.inner.on_error(None);
            }

            /// Calls back for each message. Messages that wait already are delivered before this
            /// returns.
            pub fn on_message(&self, handler: impl Fn(&Self, Message) + Send + Sync + 'static) {
                let channel = Arc::downgrade(&self.inner);
                self.inner.on_message(Some(Arc::new(move |message| {
                    if let Some(inner) = channel.upgrade() {
                        handler(&Self { inner }, message);
                    }
                })));
            }

            /// Takes that callback back; waits while it runs on another thread. Messages queue up
            /// again.
            pub fn clear_on_message(&self) {
                self.inner.on_message(None);
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.inner, &other.inner)
            }
        }

        impl Eq for $type {}

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}

pub(crate) use {channel_methods, handler};
