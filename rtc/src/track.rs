//! Tracks as Rust users see them.

use std::sync::Arc;

use rtc_core::Result;
use rtc_core::channel::{Channel as _, Message, Track as Inner};
use rtc_core::sdp::{Direction, Media};

use crate::channel::{channel_methods, handler};

/// A track: the RTP and RTCP of one media section. Clones are handles to the same track; dropping
/// them does not close it. A message is one RTP or RTCP packet, whole.
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
