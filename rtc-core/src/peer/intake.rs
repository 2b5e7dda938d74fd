//! How many data channels the peer may make that the application has not been handed yet.
//!
//! Further ones are not lost: what opens them stays in the association until the application has
//! taken some, and keeps the peer's window shut meanwhile.

use std::collections::BTreeMap;

use crate::channel::DataChannel;

/// Most channels that wait for the application.
pub(super) const MAX_CHANNELS: usize = 1024;

/// Bytes of labels and protocols from which on no further channel is made.
pub(super) const MAX_NAMES: usize = 4 * 1024 * 1024;

/// The channels that wait to be handed to the application.
#[derive(Debug, Default)]
pub(super) struct Intake {
    channels: usize,
    /// Bytes of their labels and protocols.
    names: usize,
    /// Streams without a channel that have something to read, and whether the peer has reset them.
    held_back: BTreeMap<u16, bool>,
}

impl Intake {
    pub(super) fn is_full(&self) -> bool {
        self.channels >= MAX_CHANNELS || self.names >= MAX_NAMES
    }

    pub(super) fn add(&mut self, channel: &DataChannel) {
        self.channels += 1;
        self.names += names_of(channel);
    }

    pub(super) fn remove(&mut self, channel: &DataChannel) {
        self.channels = self.channels.saturating_sub(1);
        self.names = self.names.saturating_sub(names_of(channel));
    }

    /// Remembers a stream that is not read because of this.
    pub(super) fn hold_back(&mut self, stream: u16) {
        self.held_back.entry(stream).or_insert(false);
    }

    /// Notes that the peer has reset a stream, in case it is held back.
    pub(super) fn note_reset(&mut self, stream: u16) {
        if let Some(reset) = self.held_back.get_mut(&stream) {
            *reset = true;
        }
    }

    /// The next stream that can be read now, and whether the peer has reset it.
    pub(super) fn next_ready(&mut self) -> Option<(u16, bool)> {
        if self.is_full() { None } else { self.held_back.pop_first() }
    }
}

fn names_of(channel: &DataChannel) -> usize {
    channel.label().len() + channel.protocol().len()
}
