//! Data channels (RFC 8831): what one holds on our side, and the calls on it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::budget::Budget;
use super::{Channel, Message, Port, Source, news};
use crate::config::{DEFAULT_REMOTE_MAX_MESSAGE_SIZE, Reliability};
use crate::error::{Error, Result};
use crate::peer::Peer;
use crate::runtime::lane::Bell;

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

/// The part of a channel that the peer core changes, under its own lock first.
pub(crate) struct ChannelState {
    pub(crate) phase: Phase,
    /// Assigned once the DTLS roles are known, or by the user.
    pub(crate) stream: Option<u16>,
    /// The peer has confirmed an in-band channel, or there is nothing to confirm. Until then
    /// messages go out ordered and reliably, so that none overtakes the OPEN (RFC 8832 §6).
    pub(crate) confirmed: bool,
    /// Messages that SCTP has not taken yet.
    pub(crate) outgoing: VecDeque<(u32, Bytes)>,
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
    pub(crate) port: Port,
}

impl DataChannel {
    pub(crate) fn new(
        peer: Weak<Peer>,
        budget: Arc<Budget>,
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
                outgoing: VecDeque::new(),
            }),
            port: Port::within(budget),
        })
    }

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

    /// Payload that is on its way, in bytes: handed to SCTP, and neither acknowledged by the peer
    /// nor given up. What [`Channel::buffered_amount`] tells comes before that.
    pub fn unacknowledged_amount(&self) -> usize {
        match (self.peer.upgrade(), self.stream()) {
            (Some(peer), Some(stream)) => peer.stream_queued(stream),
            _ => 0,
        }
    }

    /// The peer connection, with what it knows the channel by; `None` once either is gone.
    fn alive(&self) -> Option<(Arc<Peer>, Arc<Self>)> {
        Some((self.peer.upgrade()?, self.me.upgrade()?))
    }

    // For the peer core.

    /// True while another received message can be queued; otherwise the core is told to resume
    /// once the application has taken some. Nobody takes messages of a closed channel from the
    /// network: they are dropped, not queued.
    pub(crate) fn has_room(&self, stream: u16) -> bool {
        self.is_closed() || self.port.has_room_on(stream)
    }

    /// Marks the channel open; false when it was open or closed already.
    pub(crate) fn mark_open(&self) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Connecting | Phase::Opening) {
            return false;
        }
        state.phase = Phase::Open;
        drop(state);
        self.port.add_news(news::OPEN);
        true
    }

    /// Marks the channel closed; false when it was closed already.
    pub(crate) fn mark_closed(&self) -> bool {
        let mut state = self.state.lock();
        std::mem::replace(&mut state.phase, Phase::Closed) != Phase::Closed
    }
}

impl Channel for DataChannel {
    fn port(&self) -> &Port {
        &self.port
    }

    fn send(&self, message: Message) -> Result<()> {
        match self.peer.upgrade() {
            Some(peer) => peer.send_message(self, message),
            None => Err(Error::failure("cannot send: the peer connection is gone")),
        }
    }

    /// The closed callback runs before this returns.
    fn close(&self) {
        let closed_now = match self.peer.upgrade() {
            Some(peer) => peer.close_channel(self),
            None => self.mark_closed(),
        };
        if closed_now {
            self.port.tell_closed();
        }
    }

    fn delete(&self) {
        self.close();
        self.port.close_gate();
        self.port.discard_received(self);
    }

    fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    fn is_closed(&self) -> bool {
        self.state.lock().phase == Phase::Closed
    }

    fn max_message_size(&self) -> usize {
        self.peer
            .upgrade()
            .map_or(DEFAULT_REMOTE_MAX_MESSAGE_SIZE, |peer| peer.remote_max_message_size())
    }
}

impl Source for DataChannel {
    fn resume(&self) {
        if let (Some(peer), Some(stream)) = (self.peer.upgrade(), self.stream()) {
            peer.resume_stream(stream);
        }
    }

    fn announce(&self) {
        if let Some((peer, me)) = self.alive() {
            peer.announce_channel(&me);
        }
    }

    fn ring_again(&self) -> bool {
        self.alive().map(|(peer, me)| peer.ring(me)).is_some()
    }
}

impl Bell for DataChannel {
    fn run(&self) {
        self.port.tell_news(self);
    }

    fn rung(&self) -> &AtomicBool {
        self.port.rung()
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
