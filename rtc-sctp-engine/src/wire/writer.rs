//! Writing packets into a buffer of the caller.

use super::init::{EDMID_DTLS, parameter};
use super::parameter::Parameter;
use super::{
    COMMON_HEADER, Capabilities, Data, ResetResult, kind, padded,
    reconfig::{OUTGOING_RESET, RESPONSE},
};

/// A packet being written. Chunks that do not fit are refused whole.
#[derive(Debug)]
pub(crate) struct PacketWriter<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

/// An outgoing SSN reset request (RFC 6525 §4.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReconfigRequest<'a> {
    pub(crate) request: u32,
    /// The request of the peer this one answers, else the last one it made.
    pub(crate) response: u32,
    pub(crate) last_tsn: u32,
    pub(crate) streams: &'a [u16],
}

/// What INIT and INIT-ACK say about us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InitFields {
    pub(crate) initiate_tag: u32,
    pub(crate) window: u32,
    pub(crate) outbound_streams: u16,
    pub(crate) inbound_streams: u16,
    pub(crate) initial_tsn: u32,
    pub(crate) capabilities: Capabilities,
}

impl<'a> PacketWriter<'a> {
    /// Starts a packet in `buffer`; `None` when it cannot hold even a common header.
    pub(crate) fn new(buffer: &'a mut [u8], ports: (u16, u16), tag: u32) -> Option<Self> {
        let header = buffer.first_chunk_mut::<COMMON_HEADER>()?;
        let ([s0, s1], [d0, d1]) = (ports.0.to_be_bytes(), ports.1.to_be_bytes());
        let [t0, t1, t2, t3] = tag.to_be_bytes();
        *header = [s0, s1, d0, d1, t0, t1, t2, t3, 0, 0, 0, 0];
        Some(Self { buffer, length: COMMON_HEADER })
    }

    /// Bytes left, a multiple of four.
    pub(crate) fn remaining(&self) -> usize {
        self.buffer.len().saturating_sub(self.length) & !3
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == COMMON_HEADER
    }

    /// Writes the checksum unless it is to stay zero, and returns the packet's length.
    pub(crate) fn finish(self, zero_checksum: bool) -> usize {
        if !zero_checksum {
            let crc = crc32c::crc32c(self.buffer.get(..self.length).unwrap_or_default());
            if let Some(field) = self.buffer.get_mut(8..COMMON_HEADER) {
                field.copy_from_slice(&crc.to_le_bytes());
            }
        }
        self.length
    }

    /// Appends a chunk whose value is the concatenation of `parts`.
    pub(crate) fn put(&mut self, kind: u8, flags: u8, parts: &[&[u8]]) -> bool {
        let value = parts.iter().fold(4_usize, |sum, part| sum.saturating_add(part.len()));
        let Ok(length) = u16::try_from(value) else { return false };
        let [l0, l1] = length.to_be_bytes();
        let Some(mut rest) = self.claim(padded(value)) else { return false };
        copy_prefix(&mut rest, &[kind, flags, l0, l1]);
        for part in parts {
            copy_prefix(&mut rest, part);
        }
        rest.fill(0);
        true
    }

    /// Appends a DATA or I-DATA chunk with its payload.
    #[inline]
    pub(crate) fn put_data(&mut self, data: &Data<'_>) -> bool {
        let flags = u8::from(data.ending)
            | u8::from(data.beginning) << 1
            | u8::from(data.unordered) << 2
            | u8::from(data.immediate) << 3;
        let [t0, t1, t2, t3] = data.tsn.to_be_bytes();
        let [s0, s1] = data.stream.to_be_bytes();
        let [m0, m1, m2, m3] = data.message.to_be_bytes();
        let [p0, p1, p2, p3] = data.ppid.to_be_bytes();
        if data.interleaved {
            let shared = if data.beginning { data.ppid } else { data.fragment };
            let fixed = [t0, t1, t2, t3, s0, s1, 0, 0, m0, m1, m2, m3];
            return self.put(kind::I_DATA, flags, &[&fixed, &shared.to_be_bytes(), data.payload]);
        }
        let fixed = [t0, t1, t2, t3, s0, s1, m2, m3, p0, p1, p2, p3];
        self.put(kind::DATA, flags, &[&fixed, data.payload])
    }

    /// Appends a SACK with as many gap blocks and duplicates as fit. `gaps` are first and last
    /// offset from `cumulative`.
    pub(crate) fn put_sack(
        &mut self,
        cumulative: u32,
        window: u32,
        gaps: &[(u16, u16)],
        duplicates: &[u32],
    ) -> bool {
        let Some(room) = self.remaining().checked_sub(16) else { return false };
        let gap_count = gaps.len().min(room / 4);
        let duplicate_count =
            duplicates.len().min((room / 4).saturating_sub(gap_count)).min(usize::from(u16::MAX));
        let words = gap_count.saturating_add(duplicate_count);
        let length = words.saturating_mul(4).saturating_add(16);
        let (Ok(wire_length), Ok(wire_gaps), Ok(wire_duplicates)) =
            (u16::try_from(length), u16::try_from(gap_count), u16::try_from(duplicate_count))
        else {
            return false;
        };
        let Some(mut rest) = self.claim(length) else { return false };
        copy_prefix(&mut rest, &[kind::SACK, 0]);
        copy_prefix(&mut rest, &wire_length.to_be_bytes());
        copy_prefix(&mut rest, &cumulative.to_be_bytes());
        copy_prefix(&mut rest, &window.to_be_bytes());
        copy_prefix(&mut rest, &wire_gaps.to_be_bytes());
        copy_prefix(&mut rest, &wire_duplicates.to_be_bytes());
        for (first, last) in gaps.iter().take(gap_count) {
            copy_prefix(&mut rest, &first.to_be_bytes());
            copy_prefix(&mut rest, &last.to_be_bytes());
        }
        for tsn in duplicates.iter().take(duplicate_count) {
            copy_prefix(&mut rest, &tsn.to_be_bytes());
        }
        true
    }

    /// Appends an INIT, or with `cookie` an INIT-ACK that reports the parameters `unrecognized`.
    pub(crate) fn put_init<'p>(
        &mut self,
        fields: &InitFields,
        cookie: Option<&[u8]>,
        unrecognized: impl Iterator<Item = Parameter<'p>>,
    ) -> bool {
        let mut value = Vec::with_capacity(256);
        value.extend_from_slice(&fields.initiate_tag.to_be_bytes());
        value.extend_from_slice(&fields.window.to_be_bytes());
        value.extend_from_slice(&fields.outbound_streams.to_be_bytes());
        value.extend_from_slice(&fields.inbound_streams.to_be_bytes());
        value.extend_from_slice(&fields.initial_tsn.to_be_bytes());
        if let Some(cookie) = cookie {
            push_parameter(&mut value, parameter::STATE_COOKIE, cookie);
        }
        if fields.capabilities.forward_tsn {
            push_parameter(&mut value, parameter::FORWARD_TSN_SUPPORTED, &[]);
        }
        let mut extensions = vec![kind::RECONFIG, kind::FORWARD_TSN];
        if fields.capabilities.interleaving {
            extensions.extend_from_slice(&[kind::I_DATA, kind::I_FORWARD_TSN]);
        }
        push_parameter(&mut value, parameter::SUPPORTED_EXTENSIONS, &extensions);
        if fields.capabilities.zero_checksum {
            push_parameter(&mut value, parameter::ZERO_CHECKSUM, &EDMID_DTLS.to_be_bytes());
        }
        let kind = if cookie.is_some() { kind::INIT_ACK } else { kind::INIT };
        // Reports are dropped once the packet is full: they are for the peer's log only.
        for p in unrecognized {
            let size = padded(p.whole.len()).saturating_add(8);
            if value.len().saturating_add(size) <= self.remaining() {
                push_parameter(&mut value, parameter::UNRECOGNIZED, p.whole);
            }
        }
        self.put(kind, 0, &[&value])
    }

    /// Appends a FORWARD-TSN; entries are stream and last skipped sequence number.
    pub(crate) fn put_forward_tsn(&mut self, cumulative: u32, skips: &[(u16, u16)]) -> bool {
        let mut value = Vec::with_capacity(4_usize.saturating_add(skips.len().saturating_mul(4)));
        value.extend_from_slice(&cumulative.to_be_bytes());
        for (stream, sequence) in skips {
            value.extend_from_slice(&stream.to_be_bytes());
            value.extend_from_slice(&sequence.to_be_bytes());
        }
        self.put(kind::FORWARD_TSN, 0, &[&value])
    }

    /// Appends an I-FORWARD-TSN; entries are stream, unordered and last skipped message id.
    pub(crate) fn put_i_forward_tsn(
        &mut self,
        cumulative: u32,
        skips: &[(u16, bool, u32)],
    ) -> bool {
        let mut value = Vec::with_capacity(4_usize.saturating_add(skips.len().saturating_mul(8)));
        value.extend_from_slice(&cumulative.to_be_bytes());
        for (stream, unordered, message) in skips {
            value.extend_from_slice(&stream.to_be_bytes());
            value.extend_from_slice(&u16::from(*unordered).to_be_bytes());
            value.extend_from_slice(&message.to_be_bytes());
        }
        self.put(kind::I_FORWARD_TSN, 0, &[&value])
    }

    /// Appends an outgoing SSN reset request.
    pub(crate) fn put_reset_request(&mut self, request: &ReconfigRequest<'_>) -> bool {
        let mut body = Vec::with_capacity(64);
        body.extend_from_slice(&request.request.to_be_bytes());
        body.extend_from_slice(&request.response.to_be_bytes());
        body.extend_from_slice(&request.last_tsn.to_be_bytes());
        for stream in request.streams {
            body.extend_from_slice(&stream.to_be_bytes());
        }
        let mut value = Vec::with_capacity(64);
        push_parameter(&mut value, OUTGOING_RESET, &body);
        self.put(kind::RECONFIG, 0, &[&value])
    }

    /// Appends the answer to a request of the peer.
    pub(crate) fn put_reconfig_response(&mut self, request: u32, result: ResetResult) -> bool {
        let [r0, r1] = RESPONSE.to_be_bytes();
        let header = [r0, r1, 0, 12];
        let (request, result) = (request.to_be_bytes(), result.code().to_be_bytes());
        self.put(kind::RECONFIG, 0, &[&header, &request, &result])
    }

    /// Appends an ABORT or ERROR chunk with one cause.
    pub(crate) fn put_cause(&mut self, kind: u8, flags: u8, cause: u16, value: &[u8]) -> bool {
        let mut body = Vec::with_capacity(value.len().saturating_add(8));
        push_parameter(&mut body, cause, value);
        self.put(kind, flags, &[&body])
    }

    /// Takes `size` bytes off the buffer, or none when they do not fit.
    fn claim(&mut self, size: usize) -> Option<&mut [u8]> {
        let end = self.length.checked_add(size)?;
        let claimed = self.buffer.get_mut(self.length..end)?;
        self.length = end;
        Some(claimed)
    }
}

/// Copies `bytes` to the front of `rest` and moves `rest` past them.
#[inline]
fn copy_prefix(rest: &mut &mut [u8], bytes: &[u8]) {
    if let Some((head, tail)) = std::mem::take(rest).split_at_mut_checked(bytes.len()) {
        head.copy_from_slice(bytes);
        *rest = tail;
    }
}

fn push_parameter(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = value.len().saturating_add(4).min(usize::from(u16::MAX));
    // Pads the one before: a chunk's length does not count the padding of its last parameter.
    out.resize(padded(out.len()), 0);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(value.get(..length.saturating_sub(4)).unwrap_or_default());
}
