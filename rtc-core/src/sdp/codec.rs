//! The codecs that a track can be made for by name.

use super::{Direction, Media};
use crate::error::Result;

/// A codec. The numbers are those of `rtcCodec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 (RFC 6184).
    H264 = 0,
    /// VP8 (RFC 7741).
    Vp8 = 1,
    /// VP9 (RFC 9628).
    Vp9 = 2,
    /// H.265 (RFC 7798).
    H265 = 3,
    /// AV1 (the RTP payload format of the Alliance for Open Media).
    Av1 = 4,
    /// Opus in stereo (RFC 7587).
    Opus = 128,
    /// G.711 µ-law (RFC 3551 §4.5.14).
    Pcmu = 129,
    /// G.711 A-law (RFC 3551 §4.5.14).
    Pcma = 130,
    /// AAC in LATM (RFC 6416).
    Aac = 131,
    /// G.722, whose clock is 8000 Hz by mistake and tradition (RFC 3551 §4.5.2).
    G722 = 132,
}

/// Feedback asked for from the receivers of our video.
const VIDEO_FEEDBACK: [&str; 3] = ["nack", "nack pli", "goog-remb"];

impl Codec {
    const ALL: [Self; 10] = [
        Self::H264,
        Self::Vp8,
        Self::Vp9,
        Self::H265,
        Self::Av1,
        Self::Opus,
        Self::Pcmu,
        Self::Pcma,
        Self::Aac,
        Self::G722,
    ];

    /// The codec of this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| *codec as i32 == number)
    }

    /// True for video, false for audio.
    pub fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::Vp8 | Self::Vp9 | Self::H265 | Self::Av1)
    }

    /// The media type, which is also the mid of a track that names none.
    pub fn media_kind(self) -> &'static str {
        if self.is_video() { "video" } else { "audio" }
    }

    /// What follows the payload type in `a=rtpmap`.
    fn rtp_map(self) -> &'static str {
        match self {
            Self::H264 => "H264/90000",
            Self::Vp8 => "VP8/90000",
            Self::Vp9 => "VP9/90000",
            Self::H265 => "H265/90000",
            Self::Av1 => "AV1/90000",
            Self::Opus => "opus/48000/2",
            Self::Pcmu => "PCMU/8000/1",
            Self::Pcma => "PCMA/8000/1",
            Self::Aac => "MP4A-LATM/48000/2",
            Self::G722 => "G722/8000/1",
        }
    }

    /// `a=fmtp` of a track that names no profile.
    fn default_profile(self) -> Option<&'static str> {
        matches!(self, Self::Aac).then_some("cpresent=1")
    }
}

impl Media {
    /// The section of a track for one codec. `profile` is what follows the payload type in
    /// `a=fmtp`. Fails when the mid or the profile does not fit on a line, or the payload type is
    /// above 127.
    pub fn for_codec(
        codec: Codec,
        payload_type: u8,
        mid: Option<&str>,
        direction: Direction,
        profile: Option<&str>,
    ) -> Result<Self> {
        let kind = codec.media_kind();
        let mut media = Self::new(kind, mid.unwrap_or(kind), direction)?;
        let feedback: &[&str] = if codec.is_video() { &VIDEO_FEEDBACK } else { &[] };
        let profile = profile.or(codec.default_profile());
        media.set_payload(payload_type, codec.rtp_map(), feedback, profile)?;
        Ok(media)
    }
}
