//! Tracks as Rust users see them.

use std::sync::Arc;

use rtc_core::Result;
use rtc_core::channel::{Channel as _, Message, Track as Inner};
use rtc_core::sdp::{Direction, Media};
use rtc_media::packetizer::Packetizer;
use rtc_media::{Chain, FrameInfo, Request, RtpConfig};

use crate::channel::{channel_methods, handler};

/// A track: the RTP and RTCP of one media section. Clones are handles to the same track; dropping
/// them does not close it. A message is one RTP or RTCP packet, whole, unless the chain of the
/// track makes packets of frames or frames of packets.
#[derive(Clone)]
pub struct Track {
    inner: Arc<Inner>,
}

impl Track {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The media identification, which the track shares with its section.
    pub fn mid(&self) -> &str {
        self.inner.mid()
    }

    /// Changes what packets pass on their way to and from the user: packetizers, reports and the
    /// like. Without any, messages are whole packets.
    pub fn with_chain<R>(&self, change: impl FnOnce(&mut Chain) -> R) -> R {
        self.inner.with_chain(change)
    }

    /// Makes the track take frames, as [`Chain::set_packetizer`] does. Where the connection sent
    /// packets with this SSRC before, in whatever track, their sequence numbers go on: encryption
    /// takes none twice.
    pub fn set_packetizer(&self, config: RtpConfig, packetizer: Box<dyn Packetizer>) {
        self.inner.set_packetizer(config, packetizer);
    }

    /// Asks the peer for something, if a handler of the chain can.
    pub fn request(&self, request: Request) -> Result<()> {
        self.inner.request(request)
    }

    /// RTP time and NTP time of the last sender report that the peer sent.
    pub fn peer_report(&self) -> Option<(u32, u64)> {
        self.inner.peer_report()
    }

    handler!(
        /// Calls back when the peer wants a key frame. It needs a handler in the chain.
        on_keyframe_request, clear_on_keyframe_request
    );

    /// Calls back with estimates of the peer, in bits per second. It needs a handler in the chain.
    pub fn on_bitrate_estimate(&self, handler: impl Fn(u64) + Send + Sync + 'static) {
        self.inner.on_bitrate_estimate(Some(Arc::new(handler)));
    }

    /// Takes that callback back; waits while it runs on another thread.
    pub fn clear_on_bitrate_estimate(&self) {
        self.inner.on_bitrate_estimate(None);
    }

    /// Calls back with the frames that a depacketizer put together, which otherwise are messages.
    pub fn on_frame(&self, handler: impl Fn(&[u8], FrameInfo) + Send + Sync + 'static) {
        self.inner.on_frame(Some(Arc::new(move |data, info| handler(&data, info))));
    }

    /// Takes that callback back; waits while it runs on another thread.
    pub fn clear_on_frame(&self) {
        self.inner.on_frame(None);
    }

    /// Our description of the track.
    pub fn description(&self) -> Media {
        self.inner.description()
    }

    /// The direction in our description of the track.
    pub fn direction(&self) -> Direction {
        self.inner.direction()
    }
}

channel_methods!(Track);
