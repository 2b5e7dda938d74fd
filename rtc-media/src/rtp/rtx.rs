//! Retransmissions in a stream of their own (RFC 4588).

use bytes::{BufMut, Bytes, BytesMut};

use super::{HEADER, Packet};

/// How a stream and the stream of its retransmissions belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtx {
    /// The SSRC of the stream.
    pub ssrc: u32,
    /// The payload type of the stream.
    pub payload_type: u8,
    /// The SSRC of the retransmissions.
    pub rtx_ssrc: u32,
    /// The payload type of the retransmissions (`apt` in their `fmtp` is `payload_type`).
    pub rtx_payload_type: u8,
}

impl Rtx {
    /// Puts a packet of the stream into a retransmission with this sequence number.
    pub fn wrap(&self, packet: &[u8], sequence: u16) -> Option<Bytes> {
        let parsed = Packet::parse(packet).ok()?;
        let payload = parsed.payload_range();
        let mut header = parsed.header();
        let original = header.sequence;
        header.ssrc = self.rtx_ssrc;
        header.payload_type = self.rtx_payload_type;
        header.sequence = sequence;
        let mut out = BytesMut::with_capacity(payload.end + 2);
        header.write(&[], &[], &mut out);
        // Contributors and extensions stay; padding does not.
        out[0] = packet[0] & !0x20;
        out.put_slice(&packet[HEADER..payload.start]);
        out.put_u16(original);
        out.put_slice(&packet[payload]);
        Some(out.freeze())
    }

    /// The packet that a retransmission repeats; `None` for other packets, and for padding that
    /// only probes the path.
    pub fn unwrap(&self, packet: &[u8]) -> Option<Bytes> {
        let parsed = Packet::parse(packet).ok()?;
        let mut header = parsed.header();
        if header.ssrc != self.rtx_ssrc || header.payload_type != self.rtx_payload_type {
            return None;
        }
        let payload = parsed.payload_range();
        let (original, content) = parsed.payload().split_first_chunk()?;
        header.ssrc = self.ssrc;
        header.payload_type = self.payload_type;
        header.sequence = u16::from_be_bytes(*original);
        let mut out = BytesMut::with_capacity(payload.end);
        header.write(&[], &[], &mut out);
        out[0] = packet[0] & !0x20;
        out.put_slice(&packet[HEADER..payload.start]);
        out.put_slice(content);
        Some(out.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Header, extension::Block};
    use super::*;

    const RTX: Rtx = Rtx { ssrc: 1, payload_type: 96, rtx_ssrc: 2, rtx_payload_type: 97 };

    #[test]
    fn a_retransmission_restores_the_packet() {
        let mut block = Block::default();
        block.push(4, b"x");
        let header =
            Header { marker: true, payload_type: 96, sequence: 500, timestamp: 9, ssrc: 1 };
        let mut packet = Vec::new();
        header.write(&[7], block.finish().as_ref(), &mut packet);
        packet.extend(b"payload");
        let wrapped = RTX.wrap(&packet, 3).unwrap();
        let parsed = Packet::parse(&wrapped).unwrap();
        assert_eq!((parsed.header().ssrc, parsed.header().sequence), (2, 3));
        assert_eq!(parsed.payload(), b"\x01\xf4payload");
        assert_eq!(RTX.unwrap(&wrapped).unwrap(), packet);
        assert_eq!(RTX.unwrap(&packet), None);
    }

    #[test]
    fn padding_alone_restores_nothing() {
        let mut packet = Vec::new();
        Header { payload_type: 97, ssrc: 2, ..Header::default() }.write(&[], &[], &mut packet);
        assert_eq!(RTX.unwrap(&packet), None);
        packet[0] |= 0x20;
        packet.extend([0, 0, 0, 4]);
        assert_eq!(RTX.unwrap(&packet), None);
    }
}
