//! The common header and the walk over the chunks of a packet.

use super::{CHUNK_HEADER, COMMON_HEADER, be16, be32, padded};

/// A received packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) verification_tag: u32,
    pub(crate) checksum: u32,
    chunks: &'a [u8],
}

/// A chunk whose value has not been looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawChunk<'a> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) value: &'a [u8],
    /// The chunk with its header, without padding.
    pub(crate) whole: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the common header; `None` when the packet has no room for a chunk.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let chunks = bytes.get(COMMON_HEADER..).filter(|rest| rest.len() >= CHUNK_HEADER)?;
        Some(Self {
            source_port: be16(bytes, 0)?,
            destination_port: be16(bytes, 2)?,
            verification_tag: be32(bytes, 4)?,
            checksum: u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?),
            chunks,
        })
    }

    /// The chunks, up to the first whose length field cannot be true.
    pub(crate) fn chunks(&self) -> Chunks<'a> {
        Chunks { rest: self.chunks }
    }
}

/// Iterator over the chunks of a packet.
#[derive(Clone, Debug)]
pub(crate) struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = RawChunk<'a>;

    #[inline]
    fn next(&mut self) -> Option<RawChunk<'a>> {
        let rest = std::mem::take(&mut self.rest);
        let (kind, flags) = (*rest.first()?, *rest.get(1)?);
        let length = usize::from(be16(rest, 2)?);
        let whole = rest.get(..length)?;
        let value = whole.get(CHUNK_HEADER..)?;
        // The padding of the last chunk may be missing.
        self.rest = rest.get(padded(length)..).unwrap_or_default();
        Some(RawChunk { kind, flags, value, whole })
    }
}

/// Whether `bytes` carry the CRC32c of themselves (RFC 9260 §6.8).
pub(crate) fn checksum_matches(bytes: &[u8], checksum: u32) -> bool {
    let (Some(head), Some(tail)) = (bytes.get(..8), bytes.get(COMMON_HEADER..)) else {
        return false;
    };
    let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(head), &[0; 4]), tail);
    crc == checksum
}
