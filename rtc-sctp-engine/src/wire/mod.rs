//! The wire format: packets, chunks and parameters (RFC 9260 §3, RFC 3758, RFC 6525, RFC 8260).
//!
//! Everything a peer sends is read here, by functions that can neither panic nor allocate: chunks
//! borrow from the packet.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::arithmetic_side_effects)]

mod chunk;
mod init;
mod packet;
mod parameter;
mod reconfig;
mod sack;
mod writer;

pub(crate) use chunk::{Chunk, Data, ForwardTsn, kind};
pub(crate) use init::{Capabilities, Init, unrecognized_parameters};
pub(crate) use packet::{Packet, RawChunk, checksum_matches};
pub(crate) use parameter::Parameters;
pub(crate) use reconfig::{Reconfig, ResetResult, StreamList};
pub(crate) use sack::Sack;
pub(crate) use writer::{InitFields, PacketWriter, ReconfigRequest};

/// Bytes of the common header (RFC 9260 §3.1).
pub(crate) const COMMON_HEADER: usize = 12;
/// Bytes of a chunk header (RFC 9260 §3.2).
pub(crate) const CHUNK_HEADER: usize = 4;
/// Bytes of a DATA chunk before its payload (RFC 9260 §3.3.1).
pub(crate) const DATA_HEADER: usize = 16;
/// Bytes of an I-DATA chunk before its payload (RFC 8260 §2.1).
pub(crate) const I_DATA_HEADER: usize = 20;

/// Error causes (RFC 9260 §3.3.10).
pub(crate) mod cause {
    pub(crate) const INVALID_STREAM: u16 = 1;
    pub(crate) const STALE_COOKIE: u16 = 3;
    pub(crate) const OUT_OF_RESOURCE: u16 = 4;
    pub(crate) const UNRECOGNIZED_CHUNK: u16 = 6;
    pub(crate) const NO_USER_DATA: u16 = 9;
    pub(crate) const USER_INITIATED_ABORT: u16 = 12;
    pub(crate) const PROTOCOL_VIOLATION: u16 = 13;
}

/// `length` rounded up to the four bytes that chunks and parameters are padded to.
pub(crate) const fn padded(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    bytes.get(at..end)?.try_into().ok().map(u16::from_be_bytes)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    bytes.get(at..end)?.try_into().ok().map(u32::from_be_bytes)
}

/// Reads a packet down to its last parameter and returns the number of well-formed chunks, or
/// `None` when it is no SCTP packet. The checksum is not looked at. The fuzz target `sctp_packet`
/// gives it whatever it likes.
pub fn inspect_packet(bytes: &[u8]) -> Option<usize> {
    let packet = Packet::parse(bytes)?;
    let mut chunks = 0_usize;
    for raw in packet.chunks() {
        let Some(chunk) = Chunk::parse(&raw) else { break };
        match chunk {
            Chunk::Init(init) | Chunk::InitAck(init) => {
                let _ = init.capabilities();
                let _ = unrecognized_parameters(&init).count();
            }
            Chunk::Sack(sack) => {
                let _ = (sack.gaps().count(), sack.duplicates().count());
            }
            Chunk::ForwardTsn(forward) => {
                let _ = forward.skips().count();
            }
            Chunk::Reconfig(value) => {
                for parameter in Reconfig::parse_all(value) {
                    if let Reconfig::OutgoingReset { streams, .. }
                    | Reconfig::IncomingReset { streams, .. } = parameter
                    {
                        let _ = streams.iter().count();
                    }
                }
            }
            _ => {}
        }
        chunks = chunks.saturating_add(1);
    }
    Some(chunks)
}
