//! Tracks: the RTP and RTCP of one media section (RFC 8834), as channels.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use rtc_media::packetizer::Packetizer;
use rtc_media::{Chain, Event, Request, RtpConfig};

use super::media::MediaPort;
use super::{BitrateHandler, Channel, FrameHandler, Handler, Message, Port, Source, news};
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
    is_video: bool,
    max_message_size: usize,
    state: Mutex<State>,
    /// What packets pass on their way to and from the user.
    chain: Mutex<Chain>,
    /// RTP and NTP time of the last sender report of the peer.
    reported: Mutex<Option<(u32, u64)>>,
    pub(crate) port: Port,
    media: MediaPort,
}

impl Track {
    /// A track that `media` describes; `mtu` is the size of the largest IP packet.
    pub(crate) fn new(peer: Weak<Peer>, media: Media, mtu: usize) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            peer,
            mid: media.common.mid.as_str().into(),
            is_audio: media.kind.eq_ignore_ascii_case("audio"),
            is_video: media.kind.eq_ignore_ascii_case("video"),
            max_message_size: mtu.saturating_sub(RTP_OVERHEAD),
            state: Mutex::new(State {
                phase: Phase::Connecting,
                media,
                changed: true,
                allowed: Direction::SendRecv,
                stranded: false,
            }),
            chain: Mutex::default(),
            reported: Mutex::default(),
            port: Port::new(),
            media: MediaPort::default(),
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

    /// Changes what packets pass on their way to and from the user: packetizers, reports and the
    /// like. Without any, messages are whole packets.
    pub fn with_chain<R>(&self, change: impl FnOnce(&mut Chain) -> R) -> R {
        change(&mut self.chain.lock())
    }

    /// Makes the track take frames, as [`Chain::set_packetizer`] does. Where the connection sent
    /// packets with this SSRC before, in whatever track, their sequence numbers go on: encryption
    /// takes none twice.
    pub fn set_packetizer(&self, mut config: RtpConfig, packetizer: Box<dyn Packetizer>) {
        let peer = self.peer.upgrade();
        if let Some(next) = peer.and_then(|peer| peer.next_sequence(config.ssrc)) {
            config.continue_at(next);
        }
        self.with_chain(|chain| chain.set_packetizer(config, packetizer));
    }

    /// Asks the peer for something, if a handler of the chain can.
    pub fn request(&self, request: Request) -> Result<()> {
        match self.alive() {
            Some((peer, me)) => peer.request_media(&me, request),
            None => Err(Error::failure("cannot ask the peer: the connection is gone")),
        }
    }

    /// RTP time and NTP time of the last sender report that the peer sent.
    pub fn peer_report(&self) -> Option<(u32, u64)> {
        *self.reported.lock()
    }

    /// Sets or clears the callback for the peer wanting a key frame. It needs a handler in the
    /// chain.
    pub fn on_keyframe_request(&self, handler: Option<Handler>) {
        self.media.on_keyframe_request(handler);
    }

    /// Sets or clears the callback for estimates of the peer, in bits per second. It needs a
    /// handler in the chain.
    pub fn on_bitrate_estimate(&self, handler: Option<BitrateHandler>) {
        self.media.on_bitrate_estimate(handler);
    }

    /// Sets or clears the callback for frames that a depacketizer put together; without one they
    /// are messages.
    pub fn on_frame(&self, handler: Option<FrameHandler>) {
        self.media.on_frame(handler);
    }

    /// The peer connection, with what it knows the track by; `None` once either is gone.
    fn alive(&self) -> Option<(Arc<Peer>, Arc<Self>)> {
        Some((self.peer.upgrade()?, self.me.upgrade()?))
    }

    // For the peer core.

    /// Notes a sender report of the peer.
    pub(crate) fn note_report(&self, rtp: u32, ntp: u64) {
        *self.reported.lock() = Some((rtp, ntp));
    }

    /// Queues what the chain tells the user; false when there is no room.
    pub(crate) fn push_event(&self, event: Event) -> bool {
        self.media.push_event(event)
    }

    /// Queues what is left of a packet behind the chain; false when it is dropped.
    pub(crate) fn push_message(&self, message: rtc_media::Message) -> bool {
        match message.frame {
            Some(info) if self.media.wants_frames() => self.media.push_frame(message.data, info),
            _ => self.push_received(message.data),
        }
    }

    /// Waits until no other thread runs a callback of this track.
    pub(crate) fn wait_idle(&self) {
        self.port.wait_idle();
        self.media.wait_idle();
    }

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

    /// True when it carries video, of which key frames can be asked for.
    pub(crate) fn is_video(&self) -> bool {
        self.is_video
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

    /// Queues a received packet or frame. When the queue is full the packet is lost, as on a
    /// network; so is feedback for a track that only sends, unless somebody listens.
    fn push_received(&self, data: Bytes) -> bool {
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
        self.chain.lock().clear();
        std::mem::replace(&mut self.state.lock().phase, Phase::Closed) != Phase::Closed
    }
}

impl Channel for Track {
    fn port(&self) -> &Port {
        &self.port
    }

    /// Sends a frame where there is a packetizer, otherwise one RTP or RTCP packet. Media that the
    /// direction does not allow is dropped. Nothing is ever queued behind the network.
    fn send(&self, message: Message) -> Result<()> {
        match self.alive() {
            Some((peer, me)) => peer.send_media(&me, message.data),
            None => Err(Error::failure("cannot send: the peer connection is gone")),
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

    fn delete(&self) {
        self.close();
        self.port.close_gate();
        self.media.close();
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
        if let Some((peer, me)) = self.alive() {
            peer.announce_track(&me);
        }
    }

    fn ring_again(&self) -> bool {
        self.alive().map(|(peer, me)| peer.ring(me)).is_some()
    }
}

impl Bell for Track {
    fn run(&self) {
        self.media.tell();
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
