//! Tracks: the RTP and RTCP of one media section (RFC 8834), as channels.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Channel, Message, Port, Source, news};
use crate::error::{Error, Result};
use crate::peer::Peer;
use crate::runtime::lane::Bell;
use crate::sdp::{Direction, Media};

/// Bytes around an RTP packet: IPv6, UDP and RTP headers.
const RTP_OVERHEAD: usize = 60;

/// Which life phase a track is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not negotiated, or no media transport yet.
    Connecting,
    Open,
    Closed,
}

/// What changes about a track. The peer core locks it under its own lock.
struct State {
    phase: Phase,
    /// What we say of the track in descriptions.
    media: Media,
    /// `media` changed since it was last put into a description.
    changed: bool,
    /// What the peer's description allows us.
    allowed: Direction,
    /// The user was told that there is no media transport.
    stranded: bool,
}

/// One track: the media section of one mid. It outlives its peer connection.
pub struct Track {
    me: Weak<Track>,
    peer: Weak<Peer>,
    mid: Box<str>,
    is_audio: bool,
    max_message_size: usize,
    state: Mutex<State>,
    pub(crate) port: Port,
}

impl Track {
    /// A track that `media` describes; `mtu` is the size of the largest IP packet.
    pub(crate) fn new(peer: Weak<Peer>, media: Media, mtu: usize) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            peer,
            mid: media.common.mid.as_str().into(),
            is_audio: media.kind == "audio",
            max_message_size: mtu.saturating_sub(RTP_OVERHEAD),
            state: Mutex::new(State {
                phase: Phase::Connecting,
                media,
                changed: true,
                allowed: Direction::SendRecv,
                stranded: false,
            }),
            port: Port::new(),
        })
    }

    /// The media identification, which the track shares with its section.
    pub fn mid(&self) -> &str {
        &self.mid
    }

    /// Our description of the track.
    pub fn description(&self) -> Media {
        self.state.lock().media.clone()
    }

    /// The direction in our description of the track.
    pub fn direction(&self) -> Direction {
        self.state.lock().media.common.direction
    }

    // For the peer core.

    /// True when it carries audio, so that its packets are marked as such (RFC 8837 §5).
    pub(crate) fn is_audio(&self) -> bool {
        self.is_audio
    }

    /// The section for a description: removed once the track is closed.
    pub(crate) fn section(&self) -> Media {
        let state = self.state.lock();
        let mut media = state.media.clone();
        if state.phase == Phase::Closed {
            media.common.remove();
        }
        media
    }

    /// Describes the track anew.
    pub(crate) fn describe(&self, media: Media) {
        let mut state = self.state.lock();
        state.media = media;
        state.changed = true;
    }

    /// True when our description has changed since it was last negotiated.
    pub(crate) fn is_changed(&self) -> bool {
        self.state.lock().changed
    }

    /// Notes that our description went into a local description.
    pub(crate) fn mark_described(&self) {
        self.state.lock().changed = false;
    }

    /// Limits the track to what the peer's description, seen from our side, lets us do.
    pub(crate) fn limit_to(&self, allowed: Direction) {
        self.state.lock().allowed = allowed;
    }

    /// True when both descriptions let us send media.
    pub(crate) fn may_send(&self) -> bool {
        let state = self.state.lock();
        state.media.common.direction.sends() && state.allowed.sends()
    }

    /// True when both descriptions let the peer send media.
    pub(crate) fn may_receive(&self) -> bool {
        let state = self.state.lock();
        state.media.common.direction.receives() && state.allowed.receives()
    }

    /// The SSRCs that our description announces.
    pub(crate) fn ssrcs(&self) -> Vec<u32> {
        self.state.lock().media.ssrcs()
    }

    /// Queues a received packet. When the queue is full the packet is lost, as on a network; so
    /// is feedback for a track that only sends, unless somebody listens.
    pub(crate) fn push_received(&self, data: Bytes) -> bool {
        let one_way = self.state.lock().media.common.direction == Direction::SendOnly;
        if (one_way && !self.port.has_message_handler()) || !self.port.has_room() {
            return false;
        }
        self.port.push_received(Message::binary(data));
        true
    }

    /// Marks the track open; false when it was open or closed already.
    pub(crate) fn mark_open(&self) -> bool {
        let mut state = self.state.lock();
        if state.phase != Phase::Connecting {
            return false;
        }
        state.phase = Phase::Open;
        drop(state);
        self.port.add_news(news::OPEN);
        true
    }

    /// Notes that the track cannot open; false when that was known.
    pub(crate) fn mark_stranded(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().stranded, true)
    }

    /// Marks the track closed; false when it was closed already.
    pub(crate) fn mark_closed(&self) -> bool {
        std::mem::replace(&mut self.state.lock().phase, Phase::Closed) != Phase::Closed
    }
}

impl Channel for Track {
    fn port(&self) -> &Port {
        &self.port
    }

    /// Sends one RTP or RTCP packet. Media that the direction does not allow is dropped. Nothing
    /// is ever queued behind the network.
    fn send(&self, message: Message) -> Result<()> {
        match (self.peer.upgrade(), self.me.upgrade()) {
            (Some(peer), Some(me)) => peer.send_media(&me, message.data),
            _ => Err(Error::failure("cannot send: the peer connection is gone")),
        }
    }

    /// The closed callback runs before this returns. The peer is told by the next description.
    fn close(&self) {
        let closed_now = match self.peer.upgrade() {
            Some(peer) => peer.close_track(self),
            None => self.mark_closed(),
        };
        if closed_now {
            self.port.tell_closed();
        }
    }

    fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    fn is_closed(&self) -> bool {
        self.state.lock().phase == Phase::Closed
    }

    /// What fits into one packet; larger packets are sent nevertheless.
    fn max_message_size(&self) -> usize {
        self.max_message_size
    }
}

impl Source for Track {
    /// Nothing waits in a media transport.
    fn resume(&self) {}

    fn announce(&self) {
        if let (Some(peer), Some(me)) = (self.peer.upgrade(), self.me.upgrade()) {
            peer.announce_track(&me);
        }
    }

    fn ring_again(&self) -> bool {
        match (self.peer.upgrade(), self.me.upgrade()) {
            (Some(peer), Some(me)) => {
                peer.ring(me);
                true
            }
            _ => false,
        }
    }
}

impl Bell for Track {
    fn run(&self) {
        self.port.tell_news(self);
    }

    fn rung(&self) -> &AtomicBool {
        self.port.rung()
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track")
            .field("mid", &self.mid)
            .field("phase", &self.state.lock().phase)
            .finish_non_exhaustive()
    }
}
