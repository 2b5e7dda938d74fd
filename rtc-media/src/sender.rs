//! The stream that a packetizer makes.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::clock;
use crate::packetizer::Payloads;
use crate::rtp::Header;
use crate::rtp::extension::{Block, ColorSpace, PlayoutDelay};

/// The stream that the handlers of a chain make and report on.
#[derive(Clone, Debug, PartialEq)]
pub struct RtpConfig {
    /// The synchronization source.
    pub ssrc: u32,
    /// The name of the source in its reports.
    pub cname: String,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// Units of the timestamp per second.
    pub clock_rate: u32,
    /// The sequence number of the next packet.
    pub sequence: u16,
    /// The timestamp of the next frame. The user moves it on.
    pub timestamp: u32,
    /// The timestamp of a frame whose [`FrameInfo::seconds`](crate::FrameInfo::seconds) are 0.
    pub start_timestamp: u32,
    /// The header extensions of every packet.
    pub extensions: SenderExtensions,
    /// The RTP timestamp in the last sender report, 0 before the first one.
    pub last_report_timestamp: u32,
    /// The timestamp of the last frame, and when it came from the user.
    pub(crate) last_frame: Option<(u32, Instant)>,
}

/// Header extensions to send, each with its negotiated identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderExtensions {
    /// The media identification.
    pub mid: Option<(u8, String)>,
    /// The stream within the media section.
    pub rid: Option<(u8, String)>,
    /// Bounds of the playout delay.
    pub playout_delay: Option<(u8, PlayoutDelay)>,
    /// The colour space.
    pub color_space: Option<(u8, ColorSpace)>,
}

impl RtpConfig {
    /// A stream that starts at sequence number and timestamp 0.
    pub fn new(ssrc: u32, cname: &str, payload_type: u8, clock_rate: u32) -> Self {
        Self {
            ssrc,
            cname: cname.to_owned(),
            payload_type,
            clock_rate,
            sequence: 0,
            timestamp: 0,
            start_timestamp: 0,
            extensions: SenderExtensions::default(),
            last_report_timestamp: 0,
            last_frame: None,
        }
    }

    /// Goes on with a stream whose next sequence number is `next`: a number asked for that lies
    /// behind it may have been used, and would protect two packets alike (RFC 3711 §9.1).
    pub fn continue_at(&mut self, next: u16) {
        if self.sequence.wrapping_sub(next) >= 1 << 15 {
            self.sequence = next;
        }
    }

    /// [`clock::seconds_to_timestamp`] at the clock rate of the stream.
    pub fn seconds_to_timestamp(&self, seconds: f64) -> u32 {
        clock::seconds_to_timestamp(seconds, self.clock_rate)
    }

    /// [`clock::timestamp_to_seconds`] at the clock rate of the stream.
    pub fn timestamp_to_seconds(&self, timestamp: u32) -> f64 {
        clock::timestamp_to_seconds(timestamp, self.clock_rate)
    }

    /// Makes one packet of each payload, which has a header's bytes and room for `extensions`
    /// before it; the last one is marked.
    pub(crate) fn packets(
        &mut self,
        extensions: &[u8],
        payloads: Payloads,
        packets: &mut Vec<Bytes>,
    ) {
        let (mut buffer, ends) = payloads.into_parts();
        let count = ends.len();
        packets.reserve(count);
        let mut start = 0;
        for (position, end) in ends.into_iter().enumerate() {
            let mut packet = buffer.split_to(end - start);
            start = end;
            let header = Header {
                marker: position + 1 == count,
                payload_type: self.payload_type,
                sequence: self.sequence,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
            };
            write_head(&mut packet, &header, extensions);
            self.sequence = self.sequence.wrapping_add(1);
            packets.push(packet.freeze());
        }
    }
}

fn write_head(packet: &mut BytesMut, header: &Header, extensions: &[u8]) {
    let mut head = packet.as_mut();
    header.write(&[], extensions, &mut head);
}

impl SenderExtensions {
    /// The extensions as they stand in every packet; empty without any.
    pub(crate) fn block(&self) -> Bytes {
        let mut block = Block::default();
        if let Some((id, mid)) = &self.mid {
            block.push(*id, mid.as_bytes());
        }
        if let Some((id, rid)) = &self.rid {
            block.push(*id, rid.as_bytes());
        }
        if let Some((id, delay)) = &self.playout_delay {
            block.push(*id, &delay.encode());
        }
        if let Some((id, space)) = &self.color_space {
            block.push(*id, &space.encode());
        }
        block.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{HEADER, Packet};

    #[test]
    fn a_stream_goes_on_where_it_was_or_further_on() {
        for (asked, next, expected) in [
            (100, 100, 100),
            (100, 101, 101),
            (100, 32_000, 32_000),
            (105, 101, 105),
            (2, 65_530, 2),
            (65_530, 2, 2),
        ] {
            let mut config = RtpConfig::new(42, "cname", 96, 90_000);
            config.sequence = asked;
            config.continue_at(next);
            assert_eq!(config.sequence, expected, "{asked} {next}");
        }
    }

    #[test]
    fn packets_are_numbered_marked_and_extended() {
        let mut config = RtpConfig::new(42, "cname", 96, 90_000);
        config.sequence = 65_535;
        config.timestamp = 7;
        config.extensions.mid = Some((1, "video".into()));
        config.extensions.rid = Some((2, "hi".into()));
        let extensions = config.extensions.block();
        let mut payloads = Payloads::new(HEADER + extensions.len());
        payloads.push(&[b"one"]);
        payloads.push(&[b"t", b"wo"]);
        let mut packets = Vec::new();
        config.packets(&extensions, payloads, &mut packets);
        let packets: Vec<_> = packets.iter().map(|packet| Packet::parse(packet).unwrap()).collect();
        let [one, two] = packets[..] else { panic!("{packets:?}") };
        let header =
            Header { marker: false, payload_type: 96, sequence: 65_535, timestamp: 7, ssrc: 42 };
        assert_eq!(one.header(), header);
        assert_eq!(two.header(), Header { marker: true, sequence: 0, ..header });
        assert_eq!((one.payload(), two.payload()), (&b"one"[..], &b"two"[..]));
        assert_eq!((one.extension(1), two.extension(2)), (Some(&b"video"[..]), Some(&b"hi"[..])));
        assert_eq!(config.sequence, 1);
    }
}
