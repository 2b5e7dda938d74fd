//! Data channels as Rust users see them.

use std::sync::Arc;

use rtc_core::Result;
use rtc_core::channel::{Channel as _, DataChannel as Inner, Message};
use rtc_core::config::Reliability;

use crate::channel::{channel_methods, handler};

/// A data channel. Clones are handles to the same channel; dropping them does not close it.
#[derive(Clone)]
pub struct DataChannel {
    inner: Arc<Inner>,
}

impl DataChannel {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The label, which need not be UTF-8 if the peer chose it.
    pub fn label(&self) -> &[u8] {
        self.inner.label()
    }

    /// The protocol, empty when there is none, which need not be UTF-8 if the peer chose it.
    pub fn protocol(&self) -> &[u8] {
        self.inner.protocol()
    }

    /// How hard the channel tries to deliver.
    pub fn reliability(&self) -> Reliability {
        self.inner.reliability()
    }

    /// The SCTP stream; `None` until it is known.
    pub fn stream(&self) -> Option<u16> {
        self.inner.stream()
    }

    /// Payload that is on its way, in bytes: handed to SCTP, and neither acknowledged by the peer
    /// nor given up. What [`Self::buffered_amount`] tells comes before that.
    pub fn unacknowledged_amount(&self) -> usize {
        self.inner.unacknowledged_amount()
    }
}

channel_methods!(DataChannel);
