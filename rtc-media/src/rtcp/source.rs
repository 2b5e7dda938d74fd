//! Source descriptions and goodbyes (RFC 3550 §6.5, §6.6).

use bytes::{BufMut, Bytes, BytesMut};

use super::{MAX_COUNT, kind, put, word};
use crate::Malformed;

/// The item that names a source, the same one in all its sessions.
pub const CNAME: u8 = 1;

/// Descriptions of sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceDescription {
    /// One for each source, at most 31.
    pub chunks: Vec<Chunk>,
}

/// The description of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The source.
    pub ssrc: u32,
    /// What is said about it.
    pub items: Vec<Item>,
}

/// One thing said about a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What it is: [`CNAME`] or another number, never 0.
    pub kind: u8,
    /// Text, at most 255 bytes.
    pub text: Bytes,
}

impl SourceDescription {
    /// The description that a report goes with: just a name, of which at most 255 bytes are sent.
    pub fn cname(ssrc: u32, cname: &str) -> Self {
        let text = Bytes::copy_from_slice(cname.as_bytes());
        Self { chunks: vec![Chunk { ssrc, items: vec![Item { kind: CNAME, text }] }] }
    }

    pub(super) fn read(count: u8, mut body: &[u8]) -> Result<Self, Malformed> {
        const MALFORMED: Malformed = Malformed::new("source description");
        let mut chunks = Vec::with_capacity(count.into());
        for _ in 0..count {
            let ssrc = word(&mut body).ok_or(MALFORMED)?;
            let length = body.len();
            let mut items = Vec::new();
            loop {
                match body {
                    [0, rest @ ..] => {
                        body = rest;
                        break;
                    }
                    [kind, size, rest @ ..] => {
                        let (text, rest) =
                            rest.split_at_checked((*size).into()).ok_or(MALFORMED)?;
                        items.push(Item { kind: *kind, text: Bytes::copy_from_slice(text) });
                        body = rest;
                    }
                    _ => return Err(MALFORMED),
                }
            }
            // A chunk ends at a word; the last one of a padded packet may not.
            let used = length - body.len();
            body = body.get(used.next_multiple_of(4) - used..).unwrap_or_default();
            chunks.push(Chunk { ssrc, items });
        }
        Ok(Self { chunks })
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        let chunks = self.chunks.get(..MAX_COUNT).unwrap_or(&self.chunks);
        put(out, kind::SOURCE_DESCRIPTION, chunks.len(), |out| {
            for chunk in chunks {
                let start = out.len();
                out.put_u32(chunk.ssrc);
                for item in &chunk.items {
                    let text = item.text.get(..255).unwrap_or(&item.text);
                    out.put_slice(&[item.kind, text.len() as u8]);
                    out.put_slice(text);
                }
                out.put_u8(0);
                out.resize(start + (out.len() - start).next_multiple_of(4), 0);
            }
        });
    }
}

/// Sources that leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goodbye {
    /// The sources, at most 31.
    pub sources: Vec<u32>,
    /// Why, at most 255 bytes; empty for no reason.
    pub reason: Bytes,
}

impl Goodbye {
    pub(super) fn read(count: u8, mut body: &[u8]) -> Result<Self, Malformed> {
        const MALFORMED: Malformed = Malformed::new("goodbye");
        let sources = (0..count).map(|_| word(&mut body).ok_or(MALFORMED));
        let sources = sources.collect::<Result<_, _>>()?;
        let reason = match body {
            [length, text @ ..] => text.get(..usize::from(*length)).ok_or(MALFORMED)?,
            [] => &[],
        };
        Ok(Self { sources, reason: Bytes::copy_from_slice(reason) })
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        let sources = self.sources.get(..MAX_COUNT).unwrap_or(&self.sources);
        put(out, kind::GOODBYE, sources.len(), |out| {
            for source in sources {
                out.put_u32(*source);
            }
            let reason = self.reason.get(..255).unwrap_or(&self.reason);
            if !reason.is_empty() {
                out.put_u8(reason.len() as u8);
                out.put_slice(reason);
            }
        });
    }
}
