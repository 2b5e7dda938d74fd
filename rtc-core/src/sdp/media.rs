//! The m-section of audio, video, and of what we do not know.

use std::collections::HashSet;

use super::{Common, Direction, quoted};
use crate::error::{Error, Result};

/// Attributes of an offer that are not repeated in its answer: they describe the offerer's own
/// streams and transport, or accept what this library does not do.
const NOT_RECIPROCATED: [&str; 16] = [
    "bundle-only",
    "crypto",
    "cryptex",
    "identity",
    "msid",
    "msid-semantic",
    "remote-candidates",
    "rid",
    "rtcp",
    "rtcp-mux-only",
    "rtcp-rsize",
    "simulcast",
    "ssrc",
    "ssrc-group",
    "tls-id",
    "ts-refclk",
];

/// The m-section of audio, video, and of what we do not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// What all sections have. `ssrc`, `msid`, `rid` and the like are among its attributes.
    pub common: Common,
    /// `audio`, `video` or another word.
    pub kind: String,
    /// `UDP/TLS/RTP/SAVPF` or another one.
    pub protocol: String,
    /// The payload types of an RTP protocol, in the order of the m-line.
    pub payloads: Vec<Payload>,
    /// What the m-line lists when the protocol is not RTP.
    pub other_formats: String,
    /// `b=AS`, in kilobits per second.
    pub bandwidth: Option<u64>,
    /// `a=rtcp-fb:*`: feedback that goes for every payload type (RFC 4585 §4.2).
    pub feedback: Vec<String>,
}

/// A payload type and what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// 0 to 127.
    pub payload_type: u8,
    /// `a=rtpmap`; static payload types may do without.
    pub rtp_map: Option<RtpMap>,
    /// `a=rtcp-fb`, one item each.
    pub feedback: Vec<String>,
    /// `a=fmtp`, one item each.
    pub fmtp: Vec<String>,
}

/// `a=rtpmap` without its payload type (RFC 8866 §6.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpMap {
    /// The codec, for example `opus`.
    pub name: String,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// What follows the clock, for audio the number of channels; mostly absent.
    pub parameters: Option<String>,
}

impl Media {
    /// A section of ours without payload types. `kind` and `mid` must be words.
    pub fn new(kind: &str, mid: &str, direction: Direction) -> Result<Self> {
        for (what, word) in [("media type", kind), ("mid", mid)] {
            if word.contains(|c: char| c.is_whitespace() || c.is_control()) {
                let word = quoted(word);
                return Err(Error::invalid(format!("The {what} {word} is not a single word")));
            }
        }
        Ok(Self {
            common: Common { mid: mid.into(), direction, ..Common::default() },
            kind: kind.into(),
            protocol: "UDP/TLS/RTP/SAVPF".into(),
            ..Self::default()
        })
    }

    /// Adds a payload type, or replaces the one of that number. `rtp_map` is what follows the
    /// number in `a=rtpmap`.
    pub fn set_payload(
        &mut self,
        payload_type: u8,
        rtp_map: &str,
        feedback: &[&str],
        fmtp: Option<&str>,
    ) -> Result<()> {
        if payload_type > 127 {
            return Err(Error::invalid(format!("The payload type {payload_type} is above 127")));
        }
        for text in feedback.iter().chain(fmtp.iter()) {
            single_line(text)?;
        }
        let payload = Payload {
            payload_type,
            rtp_map: Some(RtpMap::parse(rtp_map)?),
            feedback: feedback.iter().map(ToString::to_string).collect(),
            fmtp: fmtp.map(str::to_owned).into_iter().collect(),
        };
        match self.payloads.iter_mut().find(|known| known.payload_type == payload_type) {
            Some(known) => *known = payload,
            None => self.payloads.push(payload),
        }
        Ok(())
    }

    /// Announces a stream of ours: `a=ssrc` with its `cname` where there is a name, and with
    /// `msid` (the stream) also `a=msid`, naming `track` or, without one, the stream again.
    pub fn add_ssrc(
        &mut self,
        ssrc: u32,
        cname: Option<&str>,
        msid: Option<&str>,
        track: Option<&str>,
    ) -> Result<()> {
        for text in [cname, msid, track].into_iter().flatten() {
            single_line(text)?;
        }
        let attributes = &mut self.common.attributes;
        attributes.push(match cname {
            Some(cname) => format!("ssrc:{ssrc} cname:{cname}"),
            None => format!("ssrc:{ssrc}"),
        });
        if let Some(msid) = msid {
            let track = track.unwrap_or(msid);
            attributes.push(format!("ssrc:{ssrc} msid:{msid} {track}"));
            attributes.push(format!("msid:{msid} {track}"));
        }
        Ok(())
    }

    /// The SSRCs announced by `a=ssrc`, each once, in order.
    pub fn ssrcs(&self) -> Vec<u32> {
        let mut seen = HashSet::new();
        self.ssrc_attributes().map(|(ssrc, _)| ssrc).filter(|ssrc| seen.insert(*ssrc)).collect()
    }

    /// The `cname` announced for an SSRC.
    pub fn cname(&self, ssrc: u32) -> Option<&str> {
        self.ssrc_attributes()
            .filter(|(number, _)| *number == ssrc)
            .find_map(|(_, attribute)| attribute.strip_prefix("cname:"))
    }

    /// Takes all announced streams back.
    pub fn clear_ssrcs(&mut self) {
        self.common.attributes.retain(|attribute| !attribute.starts_with("ssrc:"));
    }

    fn ssrc_attributes(&self) -> impl Iterator<Item = (u32, &str)> {
        self.common.attribute_values("ssrc").filter_map(|value| {
            let (ssrc, attribute) = value.split_once(' ').unwrap_or((value, ""));
            Some((ssrc.parse().ok()?, attribute))
        })
    }

    /// The names of the streams announced by `a=rid` (RFC 8851), whoever sends them.
    pub fn rids(&self) -> impl Iterator<Item = &str> {
        self.common.attribute_values("rid").filter_map(|value| value.split(' ').next())
    }

    /// The payload types whose codec is `name`, in any case, in the order of the m-line.
    pub fn payload_types_of(&self, name: &str) -> Vec<u8> {
        let is_named = |payload: &&Payload| {
            payload.rtp_map.as_ref().is_some_and(|map| map.name.eq_ignore_ascii_case(name))
        };
        self.payloads.iter().filter(is_named).map(|payload| payload.payload_type).collect()
    }

    /// Our section that answers this one: directions reversed, every format accepted, and none of
    /// the attributes that describe the offerer's own streams.
    #[must_use]
    pub fn reciprocate(&self) -> Self {
        let keep = |name: &str| !NOT_RECIPROCATED.contains(&name);
        Self { common: self.common.reciprocate(keep), ..self.clone() }
    }

    /// True when the m-line lists payload types rather than other formats.
    pub(super) fn is_rtp(&self) -> bool {
        self.protocol.split('/').any(|part| part == "RTP")
    }
}

impl RtpMap {
    /// Parses `name/clock[/parameters]`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.trim_start().splitn(3, '/');
        let (name, clock) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        match clock.parse() {
            Ok(clock_rate) if !name.is_empty() => {
                single_line(text)?;
                let parameters = parts.next().filter(|parameters| !parameters.is_empty());
                Ok(Self {
                    name: name.into(),
                    clock_rate,
                    parameters: parameters.map(str::to_owned),
                })
            }
            _ => Err(Error::invalid(format!("Not a codec name and clock rate: {}", quoted(text)))),
        }
    }
}

/// Refuses text that would end the line into which it is put.
fn single_line(text: &str) -> Result<()> {
    if text.contains(['\r', '\n', '\0']) {
        let text = quoted(text);
        return Err(Error::invalid(format!("{text} does not fit on a line of a description")));
    }
    Ok(())
}
