//! What passes a chain, and what comes out of it.

use bytes::Bytes;

/// A packet or a frame on its way through a chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// An RTP or RTCP packet, or an encoded frame, depending on where in the chain it is.
    pub data: Bytes,
    /// What is known about a frame: by the sender where it says so, behind a depacketizer always.
    pub frame: Option<FrameInfo>,
}

impl<T: Into<Bytes>> From<T> for Message {
    fn from(data: T) -> Self {
        Self { data: data.into(), frame: None }
    }
}

/// What is known about a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameInfo {
    /// The RTP timestamp of its packets.
    pub timestamp: u32,
    /// The payload type of its packets; 0 for a frame to be sent means the configured one.
    pub payload_type: u8,
    /// The time in seconds. Of a frame to be sent it counts from the start of the stream and goes
    /// before `timestamp`; of a received one it is `timestamp` divided by the clock rate.
    pub seconds: Option<f64>,
}

/// What a call of a chain leads to.
#[derive(Debug, Default)]
pub struct Output {
    /// RTP and RTCP packets to send, in this order, not yet protected.
    pub packets: Vec<Bytes>,
    /// What the user is to be told.
    pub events: Vec<Event>,
    /// Malformed packets and frames, and frames with lost packets, that were dropped.
    pub dropped: u64,
}

/// What the user of a track is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer wants a key frame (PLI, FIR).
    KeyframeRequested,
    /// The peer estimates that this many bits per second reach it (REMB).
    BitrateEstimated(u64),
}

/// What the user of a track asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// The peer should send a key frame.
    Keyframe,
    /// The peer should send at most this many bits per second.
    Bitrate(u64),
}
