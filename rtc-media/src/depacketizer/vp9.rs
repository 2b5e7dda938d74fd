//! VP9 (RFC 9628).

use bytes::Bytes;

use super::{Beginning, Depacketizer};
use crate::Malformed;

/// Makes frames of VP9, all spatial layers of a picture together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vp9;

const MALFORMED: Malformed = Malformed::new("VP9 payload");
const PICTURE: u8 = 0x80;
const PREDICTED: u8 = 0x40;
const LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGIN: u8 = 0x08;
const STRUCTURE: u8 = 0x02;
/// In the byte of layers: the spatial one, and that it depends on the one below.
const SPATIAL: u8 = 0x0e;
const LAYER_DEPENDS: u8 = 0x01;

/// The first byte of the descriptor, and what stands behind the picture's number (§4.2).
fn behind_picture(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, rest) = payload.split_first()?;
    let number = match first & PICTURE != 0 {
        true if rest.first()? & 0x80 != 0 => 2,
        true => 1,
        false => 0,
    };
    Some((first, rest.get(number..)?))
}

/// What stands behind the descriptor (§4.2).
fn content(payload: &[u8]) -> Option<&[u8]> {
    let (first, mut rest) = behind_picture(payload)?;
    let has = |flag| first & flag != 0;
    if has(LAYERS) {
        // In non-flexible mode TL0PICIDX follows.
        rest = rest.get(if has(FLEXIBLE) { 1 } else { 2 }..)?;
    }
    if has(FLEXIBLE) && has(PREDICTED) {
        // Up to three references, each saying whether another one follows.
        for _ in 0..3 {
            let (&reference, behind) = rest.split_first()?;
            rest = behind;
            if reference & 1 == 0 {
                break;
            }
        }
    }
    if has(STRUCTURE) {
        rest = behind_structure(rest)?;
    }
    Some(rest)
}

/// The layers that the descriptor names, if it does: TID, U, SID, D.
fn layer(payload: &[u8]) -> Option<u8> {
    let (first, rest) = behind_picture(payload)?;
    if first & LAYERS == 0 { None } else { rest.first().copied() }
}

/// What stands behind the scalability structure (§4.2.1).
fn behind_structure(data: &[u8]) -> Option<&[u8]> {
    let (&first, mut rest) = data.split_first()?;
    if first & 0x10 != 0 {
        // Width and height of each spatial layer.
        rest = rest.get(4 * (usize::from(first >> 5) + 1)..)?;
    }
    if first & 0x08 != 0 {
        let (&pictures, behind) = rest.split_first()?;
        rest = behind;
        for _ in 0..pictures {
            let (&picture, behind) = rest.split_first()?;
            rest = behind.get(usize::from((picture >> 2) & 3)..)?;
        }
    }
    Some(rest)
}

impl Depacketizer for Vp9 {
    fn depacketize(&mut self, payloads: &[Bytes], frame: &mut Vec<u8>) -> Result<(), Malformed> {
        if payloads.first().is_some_and(|payload| self.beginning(payload) == Beginning::No) {
            return Err(Malformed::new("VP9 frame: its beginning is missing"));
        }
        for payload in payloads {
            frame.extend_from_slice(content(payload).ok_or(MALFORMED)?);
        }
        Ok(())
    }

    /// The start of the lowest layer's frame; of another one's if it needs no lower layer, which
    /// may then have been left out on the way.
    fn beginning(&self, payload: &[u8]) -> Beginning {
        if payload.first().is_none_or(|first| first & BEGIN == 0) {
            return Beginning::No;
        }
        match layer(payload) {
            Some(layer) if layer & LAYER_DEPENDS != 0 => Beginning::No,
            layer => Beginning::certain_if(layer.is_none_or(|layer| layer & SPATIAL == 0)),
        }
    }
}
