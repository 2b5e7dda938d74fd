//! Feedback (RFC 4585, RFC 5104) and REMB (draft-alvestrand-rmcat-remb).

use bytes::{BufMut, BytesMut};

use super::{Packet, kind, put, word};
use crate::Malformed;

const NACK: u8 = 1;
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION: u8 = 15;
const REMB: &[u8; 4] = b"REMB";

/// Packets that did not arrive (RFC 4585 §6.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nack {
    /// Who asks.
    pub sender: u32,
    /// The stream.
    pub media: u32,
    /// What is missing.
    pub pairs: Vec<NackPair>,
}

/// A missing packet, and which of the next 16 are missing as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NackPair {
    /// The first sequence number.
    pub first: u16,
    /// Bit *i* stands for `first + i + 1`.
    pub following: u16,
}

/// The picture cannot be decoded: a key frame is wanted (RFC 4585 §6.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pli {
    /// Who asks.
    pub sender: u32,
    /// The stream.
    pub media: u32,
}

/// A key frame is wanted (RFC 5104 §4.3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fir {
    /// Who asks.
    pub sender: u32,
    /// The streams.
    pub entries: Vec<FirEntry>,
}

/// A stream whose key frame is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirEntry {
    /// The stream.
    pub ssrc: u32,
    /// The number of the request; a repeated one has the same.
    pub sequence: u8,
}

/// What a receiver believes to get through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remb {
    /// Who estimates.
    pub sender: u32,
    /// Bits per second; 18 significant bits are sent.
    pub bitrate: u64,
    /// The streams that share it, at most 255.
    pub sources: Vec<u32>,
}

/// Reads feedback of either type.
pub(super) fn read(kind: u8, format: u8, mut body: &[u8]) -> Result<Packet, Malformed> {
    const MALFORMED: Malformed = Malformed::new("feedback");
    let sender = word(&mut body).ok_or(MALFORMED)?;
    let media = word(&mut body).ok_or(MALFORMED)?;
    Ok(match (kind, format) {
        (kind::TRANSPORT_FEEDBACK, NACK) => {
            let (pairs, rest) = body.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(Malformed::new("NACK"));
            }
            let pair = |&[a, b, c, d]: &[u8; 4]| NackPair {
                first: u16::from_be_bytes([a, b]),
                following: u16::from_be_bytes([c, d]),
            };
            Packet::Nack(Nack { sender, media, pairs: pairs.iter().map(pair).collect() })
        }
        (kind::PAYLOAD_FEEDBACK, PLI) => Packet::Pli(Pli { sender, media }),
        (kind::PAYLOAD_FEEDBACK, FIR) => {
            let (entries, rest) = body.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(Malformed::new("FIR"));
            }
            let entry = |&[a, b, c, d, sequence, ..]: &[u8; 8]| FirEntry {
                ssrc: u32::from_be_bytes([a, b, c, d]),
                sequence,
            };
            Packet::Fir(Fir { sender, entries: entries.iter().map(entry).collect() })
        }
        (kind::PAYLOAD_FEEDBACK, APPLICATION) if body.starts_with(REMB) => {
            Packet::Remb(Remb::read(sender, &body[REMB.len()..])?)
        }
        _ => Packet::Other { kind, count: format },
    })
}

impl Nack {
    /// Asks for these sequence numbers, which are sorted with wrapping in mind.
    pub fn new(sender: u32, media: u32, sequences: impl IntoIterator<Item = u16>) -> Self {
        let mut pairs: Vec<NackPair> = Vec::new();
        for sequence in sequences {
            if let Some(last) = pairs.last_mut() {
                let step = sequence.wrapping_sub(last.first);
                if (1..=16).contains(&step) {
                    last.following |= 1 << (step - 1);
                    continue;
                }
            }
            pairs.push(NackPair { first: sequence, following: 0 });
        }
        Self { sender, media, pairs }
    }

    /// The sequence numbers that are asked for.
    pub fn sequences(&self) -> impl Iterator<Item = u16> + '_ {
        self.pairs.iter().flat_map(|pair| {
            let others = (0..16).filter(|bit| pair.following & (1 << bit) != 0);
            std::iter::once(pair.first).chain(others.map(|bit| pair.first.wrapping_add(bit + 1)))
        })
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        put(out, kind::TRANSPORT_FEEDBACK, NACK.into(), |out| {
            out.put_u32(self.sender);
            out.put_u32(self.media);
            for pair in &self.pairs {
                out.put_u16(pair.first);
                out.put_u16(pair.following);
            }
        });
    }
}

impl Pli {
    pub(super) fn write(&self, out: &mut BytesMut) {
        put(out, kind::PAYLOAD_FEEDBACK, PLI.into(), |out| {
            out.put_u32(self.sender);
            out.put_u32(self.media);
        });
    }
}

impl Fir {
    /// Reads the form of RFC 2032, which has nothing but the stream.
    pub(super) fn read_old(mut body: &[u8]) -> Result<Self, Malformed> {
        let ssrc = word(&mut body).ok_or(Malformed::new("FIR"))?;
        Ok(Self { sender: 0, entries: vec![FirEntry { ssrc, sequence: 0 }] })
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        put(out, kind::PAYLOAD_FEEDBACK, FIR.into(), |out| {
            out.put_u32(self.sender);
            out.put_u32(0);
            for entry in &self.entries {
                out.put_u32(entry.ssrc);
                out.put_slice(&[entry.sequence, 0, 0, 0]);
            }
        });
    }
}

impl Remb {
    fn read(sender: u32, body: &[u8]) -> Result<Self, Malformed> {
        const MALFORMED: Malformed = Malformed::new("REMB");
        let (&[count, a, b, c], sources) = body.split_first_chunk().ok_or(MALFORMED)?;
        let mantissa = u64::from(u32::from_be_bytes([0, a & 3, b, c]));
        // The exponent has six bits: the product may not fit.
        let shift = u32::from(a >> 2);
        let bitrate = if mantissa.leading_zeros() >= shift { mantissa << shift } else { u64::MAX };
        let (sources, _) = sources.as_chunks::<4>();
        let sources = sources.get(..usize::from(count)).ok_or(MALFORMED)?;
        let sources = sources.iter().map(|source| u32::from_be_bytes(*source)).collect();
        Ok(Self { sender, bitrate, sources })
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        let exponent = (64 - self.bitrate.leading_zeros()).saturating_sub(18);
        let [_, a, b, c] = ((self.bitrate >> exponent) as u32).to_be_bytes();
        let sources = self.sources.get(..255).unwrap_or(&self.sources);
        put(out, kind::PAYLOAD_FEEDBACK, APPLICATION.into(), |out| {
            out.put_u32(self.sender);
            out.put_u32(0);
            out.put_slice(REMB);
            out.put_slice(&[sources.len() as u8, ((exponent as u8) << 2) | a, b, c]);
            for source in sources {
                out.put_u32(*source);
            }
        });
    }
}
