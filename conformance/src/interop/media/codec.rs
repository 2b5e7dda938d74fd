//! The codecs of tracks: how they are described, and what a library is told about them.

use crate::ffi::*;
use std::ffi::c_int;

/// `RTC_NAL_SEPARATOR_LONG_START_SEQUENCE` and `RTC_NAL_SEPARATOR_START_SEQUENCE` of rtc.h.
const LONG_START: c_int = 1;
const ANY_START: c_int = 3;

/// `RTC_OBU_PACKETIZED_TEMPORAL_UNIT` of rtc.h.
const TEMPORAL_UNIT: c_int = 1;

enum Depacketizer {
    Plain(ById),
    H264,
    H265,
    Av1,
}

pub(super) struct Codec {
    /// As in `a=rtpmap`.
    pub(super) name: &'static str,
    pub(super) is_video: bool,
    /// Of the timestamps, in Hz.
    pub(super) clock_rate: u32,
    /// What follows the clock rate in `a=rtpmap`.
    channels: &'static str,
    /// What `a=fmtp` says.
    parameters: &'static str,
    /// How much a timestamp grows from one frame to the next.
    pub(super) ticks: u32,
    pub(super) payload_type: u8,
    packetizer: Packetizer,
    depacketizer: Depacketizer,
}

const VIDEO: Codec = Codec {
    name: "VP8",
    is_video: true,
    clock_rate: 90_000,
    channels: "",
    parameters: "",
    ticks: 3000,
    payload_type: 96,
    packetizer: Packetizer::VP8,
    depacketizer: Depacketizer::Plain(ById::DEPACKETIZE_VP8),
};

const AUDIO: Codec = Codec {
    name: "PCMU",
    is_video: false,
    clock_rate: 8000,
    ticks: 160,
    payload_type: 0,
    packetizer: Packetizer::PCMU,
    depacketizer: Depacketizer::Plain(ById::DEPACKETIZE_PCMU),
    ..VIDEO
};

static CODECS: [Codec; 10] = [
    VIDEO,
    Codec {
        name: "VP9",
        parameters: "profile-id=0",
        packetizer: Packetizer::VP9,
        depacketizer: Depacketizer::Plain(ById::DEPACKETIZE_VP9),
        ..VIDEO
    },
    Codec {
        name: "H264",
        parameters: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        packetizer: Packetizer::H264,
        depacketizer: Depacketizer::H264,
        ..VIDEO
    },
    Codec { name: "H265", packetizer: Packetizer::H265, depacketizer: Depacketizer::H265, ..VIDEO },
    Codec { name: "AV1", packetizer: Packetizer::AV1, depacketizer: Depacketizer::Av1, ..VIDEO },
    Codec {
        name: "opus",
        clock_rate: 48_000,
        channels: "/2",
        parameters: "minptime=10;useinbandfec=1",
        ticks: 960,
        payload_type: 111,
        packetizer: Packetizer::OPUS,
        depacketizer: Depacketizer::Plain(ById::DEPACKETIZE_OPUS),
        ..AUDIO
    },
    Codec {
        name: "MP4A-LATM",
        clock_rate: 48_000,
        channels: "/1",
        parameters: "cpresent=0;config=40002310",
        ticks: 1024,
        payload_type: 97,
        packetizer: Packetizer::AAC,
        depacketizer: Depacketizer::Plain(ById::DEPACKETIZE_AAC),
        ..AUDIO
    },
    AUDIO,
    Codec {
        name: "PCMA",
        payload_type: 8,
        packetizer: Packetizer::PCMA,
        depacketizer: Depacketizer::Plain(ById::DEPACKETIZE_PCMA),
        ..AUDIO
    },
    Codec {
        name: "G722",
        payload_type: 9,
        packetizer: Packetizer::G722,
        depacketizer: Depacketizer::Plain(ById::DEPACKETIZE_G722),
        ..AUDIO
    },
];

impl Codec {
    #[cfg(test)]
    pub(super) fn all() -> &'static [Self] {
        &CODECS
    }

    pub(super) fn named(name: &str) -> Result<&'static Self, String> {
        CODECS.iter().find(|codec| codec.name == name).ok_or(format!("no codec is called {name}"))
    }

    /// What the kind of its section is called, which names the section, too.
    pub(super) fn kind(&self) -> &'static str {
        if self.is_video { "video" } else { "audio" }
    }

    /// The section of an offer.
    pub(super) fn section(&self, ssrc: u32) -> String {
        let Self { name, clock_rate, channels, parameters, payload_type: pt, .. } = self;
        let kind = self.kind();
        let mut text = format!(
            "{kind} 9 UDP/TLS/RTP/SAVPF {pt}\r\na=mid:{kind}\r\na=sendrecv\r\n\
             a=rtpmap:{pt} {name}/{clock_rate}{channels}\r\n"
        );
        if self.is_video {
            text += &format!("a=rtcp-fb:{pt} nack\r\na=rtcp-fb:{pt} nack pli\r\n");
        }
        if !parameters.is_empty() {
            text += &format!("a=fmtp:{pt} {parameters}\r\n");
        }
        text + &self.stream(ssrc)
    }

    /// The lines telling of our stream.
    pub(super) fn stream(&self, ssrc: u32) -> String {
        let kind = self.kind();
        format!("a=ssrc:{ssrc} cname:ours\r\na=ssrc:{ssrc} msid:ours {kind}\r\n")
    }

    /// Has a track send frames.
    pub(super) fn packetize(&self, lib: Lib, track: c_int, payload_type: u8, ssrc: u32) -> c_int {
        let with = Packetizing {
            ssrc,
            payload_type,
            clock_rate: self.clock_rate,
            sequence: 65_500,
            timestamp: 0,
            separator: ANY_START,
            ..Packetizing::default()
        };
        lib.set_packetizer(self.packetizer, track, Some(c"ours"), &with)
    }

    /// Has a track receive frames.
    pub(super) fn depacketize(&self, lib: Lib, track: c_int) -> c_int {
        match self.depacketizer {
            Depacketizer::Plain(function) => lib.by_id(function, track),
            Depacketizer::H264 => lib.depacketize_nal(false, track, LONG_START),
            Depacketizer::H265 => lib.depacketize_nal(true, track, LONG_START),
            Depacketizer::Av1 => lib.depacketize_av1(track, TEMPORAL_UNIT),
        }
    }
}
