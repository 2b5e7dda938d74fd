//! The codecs by name.

use crate::depacketizer::{self, Depacketizer};
use crate::packetizer::{self, Packetizer};

/// The codecs that frames are packetized for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they are known by their names")]
pub enum Codec {
    H264,
    H265,
    Vp8,
    Vp9,
    Av1,
    Opus,
    Aac,
    Pcmu,
    Pcma,
    G722,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::H264,
        Self::H265,
        Self::Vp8,
        Self::Vp9,
        Self::Av1,
        Self::Opus,
        Self::Aac,
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
    ];

    /// The codec of this encoding name in `a=rtpmap`, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let is_named = |codec: &Self| codec.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(is_named)
    }

    /// The encoding name in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::Opus => "opus",
            Self::Aac => "MP4A-LATM",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }

    /// The usual clock rate. That of G.722 is 8000 although it has 16000 samples a second
    /// (RFC 3551 §4.5.2).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::H264 | Self::H265 | Self::Vp8 | Self::Vp9 | Self::Av1 => 90_000,
            Self::Opus | Self::Aac => 48_000,
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
        }
    }

    /// Whether it is a video codec.
    pub const fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::H265 | Self::Vp8 | Self::Vp9 | Self::Av1)
    }

    /// A packetizer; what is not about this codec in `options` is left aside.
    pub fn packetizer(self, options: &packetizer::Options) -> Box<dyn Packetizer> {
        let limit = options.max_fragment_size;
        match self {
            Self::H264 => Box::new(packetizer::H264::new(options.nal_separator, limit)),
            Self::H265 => Box::new(packetizer::H265::new(options.nal_separator, limit)),
            Self::Av1 => Box::new(packetizer::Av1::new(options.obu_packetization, limit)),
            Self::Vp8 => Box::new(packetizer::Vp8::new(limit)),
            Self::Vp9 => Box::new(packetizer::Vp9::new(limit)),
            Self::Opus | Self::Aac | Self::Pcmu | Self::Pcma | Self::G722 => {
                Box::new(packetizer::Audio)
            }
        }
    }

    /// A depacketizer; `options` as for [`Self::packetizer`].
    pub fn depacketizer(self, options: &packetizer::Options) -> Box<dyn Depacketizer> {
        match self {
            Self::H264 => Box::new(depacketizer::H264::new(options.nal_separator)),
            Self::H265 => Box::new(depacketizer::H265::new(options.nal_separator)),
            Self::Av1 => Box::new(depacketizer::Av1),
            Self::Vp8 => Box::new(depacketizer::Vp8),
            Self::Vp9 => Box::new(depacketizer::Vp9),
            Self::Opus | Self::Aac | Self::Pcmu | Self::Pcma | Self::G722 => {
                Box::new(depacketizer::Audio)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_found_by_name() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_name(&codec.name().to_lowercase()), Some(codec));
        }
        assert_eq!(Codec::from_name("H263"), None);
    }
}
