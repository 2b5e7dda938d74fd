//! RTCP packets (RFC 3550 §6, RFC 4585, RFC 5104, REMB).
//!
//! A datagram holds a compound: packets one after the other, also just one (RFC 5506).
//! [`compound`] reads it, [`write`] makes one.

mod feedback;
mod report;
mod source;

#[cfg(test)]
mod tests;

pub use feedback::{Fir, FirEntry, Nack, NackPair, Pli, Remb};
pub use report::{ReceiverReport, ReportBlock, SenderReport};
pub use source::{CNAME, Chunk, Goodbye, Item, SourceDescription};

use bytes::{BufMut, Bytes, BytesMut};

use crate::Malformed;

/// Packet types.
mod kind {
    /// Full intra request of RFC 2032, and the number libdatachannel takes for it.
    pub(super) const OLD_FIR: [u8; 2] = [192, 196];
    pub(super) const SENDER_REPORT: u8 = 200;
    pub(super) const RECEIVER_REPORT: u8 = 201;
    pub(super) const SOURCE_DESCRIPTION: u8 = 202;
    pub(super) const GOODBYE: u8 = 203;
    pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
}

/// Reports in a packet, and sources in a goodbye: the count has five bits.
const MAX_COUNT: usize = 31;

/// One packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// SR.
    SenderReport(SenderReport),
    /// RR.
    ReceiverReport(ReceiverReport),
    /// SDES.
    SourceDescription(SourceDescription),
    /// BYE.
    Goodbye(Goodbye),
    /// Generic NACK.
    Nack(Nack),
    /// Picture loss indication.
    Pli(Pli),
    /// Full intra request.
    Fir(Fir),
    /// Receiver estimated maximum bitrate.
    Remb(Remb),
    /// Anything else: its type and the count or format beside it.
    Other {
        /// The packet type.
        kind: u8,
        /// The five bits behind the version.
        count: u8,
    },
}

/// The packets of a compound. A malformed one is an `Err` and the end.
pub fn compound(data: &[u8]) -> Compound<'_> {
    Compound { rest: data }
}

/// The iterator that [`compound`] returns.
#[derive(Clone, Debug)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl Iterator for Compound<'_> {
    type Item = Result<Packet, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (packet, rest) = split(self.rest).unzip();
        self.rest = rest.unwrap_or_default();
        let packet = packet.ok_or(Malformed::new("RTCP length")).and_then(read);
        if packet.is_err() {
            self.rest = &[];
        }
        Some(packet)
    }
}

/// A packet cut out of a compound, its padding removed.
struct Raw<'a> {
    kind: u8,
    count: u8,
    body: &'a [u8],
}

/// Cuts off the first packet (RFC 3550 §6.4.1: the length counts words and leaves one out).
fn split(data: &[u8]) -> Option<(Raw<'_>, &[u8])> {
    let &[first, kind, high, low] = data.first_chunk()?;
    let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
    let (packet, rest) = data.split_at_checked(length)?;
    let mut body = packet.get(4..)?;
    if first >> 6 != 2 {
        return None;
    }
    if first & 0x20 != 0 {
        let padding = usize::from(*body.last()?);
        let end = body.len().checked_sub(padding).filter(|_| padding > 0)?;
        body = body.get(..end)?;
    }
    Some((Raw { kind, count: first & 0x1f, body }, rest))
}

fn read(raw: Raw<'_>) -> Result<Packet, Malformed> {
    let Raw { kind, count, body } = raw;
    Ok(match kind {
        kind::SENDER_REPORT => Packet::SenderReport(SenderReport::read(count, body)?),
        kind::RECEIVER_REPORT => Packet::ReceiverReport(ReceiverReport::read(count, body)?),
        kind::SOURCE_DESCRIPTION => {
            Packet::SourceDescription(SourceDescription::read(count, body)?)
        }
        kind::GOODBYE => Packet::Goodbye(Goodbye::read(count, body)?),
        kind::TRANSPORT_FEEDBACK | kind::PAYLOAD_FEEDBACK => feedback::read(kind, count, body)?,
        kind if kind::OLD_FIR.contains(&kind) => Packet::Fir(Fir::read_old(body)?),
        _ => Packet::Other { kind, count },
    })
}

/// Puts packets into one compound. [`Packet::Other`] is left out.
pub fn write(packets: &[Packet]) -> Bytes {
    let mut out = BytesMut::new();
    for packet in packets {
        packet.write(&mut out);
    }
    out.freeze()
}

/// The SSRCs that a compound is about, those of its sender included: who it is to be given to.
/// A malformed rest is left aside.
pub fn ssrcs(data: &[u8]) -> Vec<u32> {
    let mut found = Vec::new();
    for packet in compound(data).map_while(Result::ok) {
        packet.ssrcs(&mut found);
    }
    found.sort_unstable();
    found.dedup();
    found
}

impl Packet {
    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::SenderReport(report) => report.write(out),
            Self::ReceiverReport(report) => report.write(out),
            Self::SourceDescription(description) => description.write(out),
            Self::Goodbye(goodbye) => goodbye.write(out),
            Self::Nack(nack) => nack.write(out),
            Self::Pli(pli) => pli.write(out),
            Self::Fir(fir) => fir.write(out),
            Self::Remb(remb) => remb.write(out),
            Self::Other { .. } => {}
        }
    }

    fn ssrcs(&self, found: &mut Vec<u32>) {
        match self {
            Self::SenderReport(report) => {
                found.push(report.ssrc);
                found.extend(report.blocks.iter().map(|block| block.ssrc));
            }
            Self::ReceiverReport(report) => {
                found.push(report.ssrc);
                found.extend(report.blocks.iter().map(|block| block.ssrc));
            }
            Self::SourceDescription(description) => {
                found.extend(description.chunks.iter().map(|chunk| chunk.ssrc));
            }
            Self::Goodbye(goodbye) => found.extend(&goodbye.sources),
            Self::Nack(nack) => found.extend([nack.sender, nack.media]),
            Self::Pli(pli) => found.extend([pli.sender, pli.media]),
            Self::Fir(fir) => {
                found.push(fir.sender);
                found.extend(fir.entries.iter().map(|entry| entry.ssrc));
            }
            Self::Remb(remb) => {
                found.push(remb.sender);
                found.extend(&remb.sources);
            }
            Self::Other { .. } => {}
        }
    }
}

/// Writes a packet whose body `write` appends; pads it with zeros to whole words.
fn put(out: &mut BytesMut, kind: u8, count: usize, write: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_slice(&[0x80 | count as u8, kind, 0, 0]);
    write(out);
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    let words = ((out.len() - start) / 4 - 1) as u16;
    out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
}

/// Takes one word off the front.
fn word(data: &mut &[u8]) -> Option<u32> {
    let (word, rest) = data.split_first_chunk()?;
    *data = rest;
    Some(u32::from_be_bytes(*word))
}
