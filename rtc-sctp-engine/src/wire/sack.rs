//! SACK (RFC 9260 §3.3.4).

use super::{be16, be32};

/// A selective acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sack<'a> {
    pub(crate) cumulative: u32,
    /// The receive window the peer advertises, bytes.
    pub(crate) window: u32,
    gaps: &'a [u8],
    duplicates: &'a [u8],
}

impl<'a> Sack<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let gap_bytes = usize::from(be16(value, 8)?).checked_mul(4)?;
        let duplicate_bytes = usize::from(be16(value, 10)?).checked_mul(4)?;
        let (gaps, rest) = value.get(12..)?.split_at_checked(gap_bytes)?;
        Some(Self {
            cumulative: be32(value, 0)?,
            window: be32(value, 4)?,
            gaps,
            duplicates: rest.get(..duplicate_bytes)?,
        })
    }

    /// Gap blocks as first and last offset from the cumulative TSN, as the peer wrote them.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (u16, u16)> + use<'a> {
        self.gaps.chunks_exact(4).filter_map(|block| Some((be16(block, 0)?, be16(block, 2)?)))
    }

    pub(crate) fn duplicates(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.duplicates.chunks_exact(4).filter_map(|tsn| be32(tsn, 0))
    }
}
