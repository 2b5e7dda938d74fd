//! Chunks (RFC 9260 §3.3 and the extensions).

use super::packet::RawChunk;
use super::{Init, Sack, be16, be32};

/// Chunk types.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const INIT: u8 = 1;
    pub(crate) const INIT_ACK: u8 = 2;
    pub(crate) const SACK: u8 = 3;
    pub(crate) const HEARTBEAT: u8 = 4;
    pub(crate) const HEARTBEAT_ACK: u8 = 5;
    pub(crate) const ABORT: u8 = 6;
    pub(crate) const SHUTDOWN: u8 = 7;
    pub(crate) const SHUTDOWN_ACK: u8 = 8;
    pub(crate) const ERROR: u8 = 9;
    pub(crate) const COOKIE_ECHO: u8 = 10;
    pub(crate) const COOKIE_ACK: u8 = 11;
    pub(crate) const SHUTDOWN_COMPLETE: u8 = 14;
    pub(crate) const I_DATA: u8 = 64;
    pub(crate) const RECONFIG: u8 = 130;
    /// RFC 4820.
    pub(crate) const PAD: u8 = 132;
    pub(crate) const FORWARD_TSN: u8 = 192;
    pub(crate) const I_FORWARD_TSN: u8 = 194;
}

/// The T bit of ABORT and SHUTDOWN-COMPLETE: the tag is the receiver's own, reflected.
const FLAG_T: u8 = 1;

/// A DATA or I-DATA chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data<'a> {
    /// Whether it is an I-DATA chunk (RFC 8260).
    pub(crate) interleaved: bool,
    pub(crate) tsn: u32,
    pub(crate) stream: u16,
    /// Stream sequence number or message identifier.
    pub(crate) message: u32,
    /// Fragment sequence number; 0 in DATA chunks.
    pub(crate) fragment: u32,
    /// Payload protocol identifier; 0 in I-DATA chunks other than the first of a message.
    pub(crate) ppid: u32,
    pub(crate) beginning: bool,
    pub(crate) ending: bool,
    pub(crate) unordered: bool,
    /// The I bit: acknowledge at once (RFC 7053).
    pub(crate) immediate: bool,
    pub(crate) payload: &'a [u8],
}

/// A FORWARD-TSN (RFC 3758 §3.2) or I-FORWARD-TSN chunk (RFC 8260 §2.3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardTsn<'a> {
    pub(crate) interleaved: bool,
    pub(crate) new_cumulative: u32,
    entries: &'a [u8],
}

/// A message that the peer skipped: everything up to it in its stream will not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) stream: u16,
    pub(crate) unordered: bool,
    pub(crate) message: u32,
}

impl<'a> ForwardTsn<'a> {
    pub(crate) fn skips(&self) -> impl Iterator<Item = Skip> + use<'a> {
        let interleaved = self.interleaved;
        self.entries.chunks_exact(if interleaved { 8 } else { 4 }).filter_map(move |entry| {
            Some(Skip {
                stream: be16(entry, 0)?,
                unordered: interleaved && be16(entry, 2)? & 1 == 1,
                message: if interleaved { be32(entry, 4)? } else { u32::from(be16(entry, 2)?) },
            })
        })
    }
}

/// A chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chunk<'a> {
    Data(Data<'a>),
    Init(Init<'a>),
    InitAck(Init<'a>),
    Sack(Sack<'a>),
    Heartbeat(&'a [u8]),
    HeartbeatAck(&'a [u8]),
    Abort { reflected: bool, causes: &'a [u8] },
    Shutdown { cumulative: u32 },
    ShutdownAck,
    Error(&'a [u8]),
    CookieEcho(&'a [u8]),
    CookieAck,
    ShutdownComplete { reflected: bool },
    ForwardTsn(ForwardTsn<'a>),
    Reconfig(&'a [u8]),
    Unknown { kind: u8, whole: &'a [u8] },
}

impl<'a> Chunk<'a> {
    /// Reads the fixed fields; `None` when the value is too short for them.
    #[inline]
    pub(crate) fn parse(raw: &RawChunk<'a>) -> Option<Self> {
        let value = raw.value;
        Some(match raw.kind {
            kind::DATA => Chunk::Data(parse_data(raw)?),
            kind::I_DATA => Chunk::Data(parse_i_data(raw)?),
            kind::SACK => Chunk::Sack(Sack::parse(value)?),
            kind::INIT => Chunk::Init(Init::parse(value)?),
            kind::INIT_ACK => Chunk::InitAck(Init::parse(value)?),
            kind::HEARTBEAT => Chunk::Heartbeat(value),
            kind::HEARTBEAT_ACK => Chunk::HeartbeatAck(value),
            kind::ABORT => Chunk::Abort { reflected: raw.flags & FLAG_T != 0, causes: value },
            kind::SHUTDOWN => Chunk::Shutdown { cumulative: be32(value, 0)? },
            kind::SHUTDOWN_ACK => Chunk::ShutdownAck,
            kind::ERROR => Chunk::Error(value),
            kind::COOKIE_ECHO => Chunk::CookieEcho(value),
            kind::COOKIE_ACK => Chunk::CookieAck,
            kind::SHUTDOWN_COMPLETE => {
                Chunk::ShutdownComplete { reflected: raw.flags & FLAG_T != 0 }
            }
            kind::FORWARD_TSN | kind::I_FORWARD_TSN => Chunk::ForwardTsn(ForwardTsn {
                interleaved: raw.kind == kind::I_FORWARD_TSN,
                new_cumulative: be32(value, 0)?,
                entries: value.get(4..)?,
            }),
            kind::RECONFIG => Chunk::Reconfig(value),
            kind => Chunk::Unknown { kind, whole: raw.whole },
        })
    }
}

fn parse_data<'a>(raw: &RawChunk<'a>) -> Option<Data<'a>> {
    let fixed = raw.value.first_chunk::<12>()?;
    let [t0, t1, t2, t3, s0, s1, n0, n1, p0, p1, p2, p3] = *fixed;
    Some(Data {
        interleaved: false,
        tsn: u32::from_be_bytes([t0, t1, t2, t3]),
        stream: u16::from_be_bytes([s0, s1]),
        message: u32::from(u16::from_be_bytes([n0, n1])),
        fragment: 0,
        ppid: u32::from_be_bytes([p0, p1, p2, p3]),
        beginning: raw.flags & 2 != 0,
        ending: raw.flags & 1 != 0,
        unordered: raw.flags & 4 != 0,
        immediate: raw.flags & 8 != 0,
        payload: raw.value.get(12..)?,
    })
}

fn parse_i_data<'a>(raw: &RawChunk<'a>) -> Option<Data<'a>> {
    let beginning = raw.flags & 2 != 0;
    let shared = be32(raw.value, 12)?;
    Some(Data {
        interleaved: true,
        tsn: be32(raw.value, 0)?,
        stream: be16(raw.value, 4)?,
        message: be32(raw.value, 8)?,
        fragment: if beginning { 0 } else { shared },
        ppid: if beginning { shared } else { 0 },
        beginning,
        ending: raw.flags & 1 != 0,
        unordered: raw.flags & 4 != 0,
        immediate: raw.flags & 8 != 0,
        payload: raw.value.get(16..)?,
    })
}
