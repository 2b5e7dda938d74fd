//! Writing packets into a buffer of the caller.

use super::init::{EDMID_DTLS, parameter};
use super::parameter::Parameter;
use super::{
    CHUNK_HEADER, COMMON_HEADER, Capabilities, Data, ResetResult, kind, padded,
    reconfig::{OUTGOING_RESET, RESPONSE},
};

/// A packet being written. Chunks that do not fit are refused whole.
#[derive(Debug)]
pub(crate) struct PacketWriter<'a> {
    buffer: &'a mut [u8],
    length: usize,
    /// Bytes that the packet may grow to.
    limit: usize,
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
        let limit = buffer.len();
        Some(Self { buffer, length: COMMON_HEADER, limit })
    }

    /// Lets the packet grow to so many bytes, as far as the buffer has them; returns what it might
    /// grow to before.
    pub(crate) fn set_limit(&mut self, limit: usize) -> usize {
        std::mem::replace(&mut self.limit, limit.min(self.buffer.len()))
    }

    /// Bytes left, a multiple of four.
    pub(crate) fn remaining(&self) -> usize {
        self.limit.saturating_sub(self.length) & !3
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

    /// Bytes written.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Fills the packet up with a PAD chunk (RFC 4820 §3).
    pub(crate) fn put_padding(&mut self) -> bool {
        let size = self.remaining();
        let Ok(length) = u16::try_from(size) else { return false };
        let Some(mut rest) = self.claim(size).filter(|rest| rest.len() >= CHUNK_HEADER) else {
            return false;
        };
        copy_prefix(&mut rest, &[kind::PAD, 0]);
        copy_prefix(&mut rest, &length.to_be_bytes());
        rest.fill(0);
        true
    }

    /// Takes `size` bytes off the buffer, or none when they do not fit.
    fn claim(&mut self, size: usize) -> Option<&mut [u8]> {
        let end = self.length.checked_add(size).filter(|end| *end <= self.limit)?;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use crate::wire::{Chunk, Packet, Reconfig, cause, checksum_matches, unrecognized_parameters};

    /// Writes a packet, reads it back and hands its only chunk to `check`.
    fn round_trip(write: impl FnOnce(&mut PacketWriter<'_>), check: impl FnOnce(Chunk<'_>)) {
        let mut buffer = [0xAA; 1172];
        let mut writer = PacketWriter::new(&mut buffer, (5000, 5001), 77).unwrap();
        write(&mut writer);
        let length = writer.finish(false);
        let bytes = &buffer[..length];
        assert_eq!(length % 4, 0);
        let packet = Packet::parse(bytes).unwrap();
        assert_eq!((packet.source_port, packet.destination_port), (5000, 5001));
        assert_eq!(packet.verification_tag, 77);
        assert!(checksum_matches(bytes, packet.checksum));
        let chunks: Vec<_> = packet.chunks().collect();
        assert_eq!(chunks.len(), 1);
        check(Chunk::parse(&chunks[0]).unwrap());
    }

    #[test]
    fn data_chunks_keep_every_field() {
        for number in 0..64_u32 {
            let bit = |n: u32| number >> n & 1 == 1;
            let (interleaved, beginning) = (bit(0), bit(1));
            let data = Data {
                interleaved,
                tsn: 0xFFFF_FFFE,
                stream: 513,
                message: if interleaved { 70_000 } else { 40_000 },
                fragment: if interleaved && !beginning { 9 } else { 0 },
                ppid: if interleaved && !beginning { 0 } else { 53 },
                beginning,
                ending: bit(2),
                unordered: bit(3),
                immediate: bit(4),
                payload: if bit(5) { b"odd length!" } else { b"even" },
            };
            let same = |got: Data<'_>| format!("{got:?}") == format!("{data:?}");
            round_trip(
                |w| assert!(w.put_data(&data)),
                |chunk| assert!(matches!(chunk, Chunk::Data(got) if same(got)), "{chunk:?}"),
            );
        }
    }

    #[test]
    fn init_and_init_ack_keep_every_field_and_report_unknown_parameters() {
        let fields = InitFields {
            initiate_tag: 1,
            window: 2,
            outbound_streams: 3,
            inbound_streams: 4,
            initial_tsn: 5,
            capabilities: Capabilities {
                forward_tsn: true,
                reconfig: true,
                interleaving: true,
                zero_checksum: true,
            },
        };
        let unknown = Parameter { kind: 0xC123, value: &[], whole: &[0xC1, 0x23, 0, 4] };
        round_trip(
            |w| assert!(w.put_init(&fields, Some(b"cookie"), std::iter::once(unknown))),
            |chunk| {
                let Chunk::InitAck(init) = chunk else { panic!("{chunk:?}") };
                assert!(init.is_valid());
                assert_eq!((init.initiate_tag, init.window, init.initial_tsn), (1, 2, 5));
                assert_eq!((init.outbound_streams, init.inbound_streams), (3, 4));
                assert_eq!(init.cookie(), Some(&b"cookie"[..]));
                assert_eq!(init.capabilities(), fields.capabilities);
                assert_eq!(unrecognized_parameters(&init).count(), 0);
            },
        );
        round_trip(
            |w| assert!(w.put_init(&fields, None, std::iter::empty())),
            |chunk| assert!(matches!(chunk, Chunk::Init(init) if init.cookie().is_none())),
        );
    }

    #[test]
    fn a_sack_is_cut_to_what_fits() {
        let gaps: Vec<(u16, u16)> = (0..1000).map(|n| (3 * n + 2, 3 * n + 3)).collect();
        let duplicates: Vec<u32> = (0..1000).collect();
        for (gap_count, duplicate_count) in [(0, 0), (3, 2), (1000, 1000), (100, 1000)] {
            round_trip(
                |w| assert!(w.put_sack(8, 9, &gaps[..gap_count], &duplicates[..duplicate_count])),
                |chunk| {
                    let Chunk::Sack(sack) = chunk else { panic!("{chunk:?}") };
                    assert_eq!((sack.cumulative, sack.window), (8, 9));
                    let room = (1172 - 12 - 16) / 4;
                    let fit = gap_count.min(room);
                    assert!(sack.gaps().eq(gaps[..fit].iter().copied()));
                    assert_eq!(sack.duplicates().count(), duplicate_count.min(room - fit));
                },
            );
        }
    }

    #[test]
    fn forward_tsn_and_reconfig_keep_their_lists() {
        round_trip(
            |w| assert!(w.put_forward_tsn(7, &[(1, 2), (3, 4)])),
            |chunk| {
                let Chunk::ForwardTsn(forward) = chunk else { panic!("{chunk:?}") };
                let skips: Vec<_> = forward.skips().map(|s| (s.stream, s.message)).collect();
                assert_eq!((forward.new_cumulative, skips), (7, vec![(1, 2), (3, 4)]));
            },
        );
        round_trip(
            |w| assert!(w.put_i_forward_tsn(7, &[(1, true, 70_000)])),
            |chunk| {
                let Chunk::ForwardTsn(forward) = chunk else { panic!("{chunk:?}") };
                let skip = forward.skips().next().unwrap();
                assert_eq!((skip.stream, skip.unordered, skip.message), (1, true, 70_000));
            },
        );
        let request = ReconfigRequest { request: 1, response: 2, last_tsn: 3, streams: &[4, 5, 6] };
        round_trip(
            |w| assert!(w.put_reset_request(&request)),
            |chunk| {
                let Chunk::Reconfig(value) = chunk else { panic!("{chunk:?}") };
                let Some(Reconfig::OutgoingReset { request: 1, last_tsn: 3, streams }) =
                    Reconfig::parse_all(value).next()
                else {
                    panic!("{value:?}")
                };
                assert!(streams.iter().eq([4, 5, 6]));
            },
        );
        round_trip(
            |w| assert!(w.put_reconfig_response(9, ResetResult::InProgress)),
            |chunk| {
                let Chunk::Reconfig(value) = chunk else { panic!("{chunk:?}") };
                let answer = Reconfig::parse_all(value).next();
                let right = matches!(answer, Some(Reconfig::Response { request: 9, result: 6 }));
                assert!(right, "{answer:?}");
            },
        );
    }

    #[test]
    fn causes_and_plain_chunks_are_read_back() {
        round_trip(
            |w| assert!(w.put_cause(kind::ABORT, 1, cause::USER_INITIATED_ABORT, b"bye")),
            |chunk| {
                let right = matches!(chunk, Chunk::Abort { reflected: true, causes }
                    if causes == b"\0\x0c\0\x07bye");
                assert!(right, "{chunk:?}");
            },
        );
        round_trip(
            |w| assert!(w.put(kind::SHUTDOWN, 0, &[&[0, 0, 1, 0]])),
            |chunk| assert!(matches!(chunk, Chunk::Shutdown { cumulative: 256 })),
        );
        round_trip(
            |w| assert!(w.put(kind::HEARTBEAT, 0, &[b"info"])),
            |chunk| assert!(matches!(chunk, Chunk::Heartbeat(b"info"))),
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut buffer = [0; 40];
        let mut writer = PacketWriter::new(&mut buffer, (1, 2), 3).unwrap();
        assert!(!writer.put(kind::ERROR, 0, &[&[0; 25]]));
        assert!(writer.is_empty());
        assert!(writer.put(kind::ERROR, 0, &[&[0; 24]]));
        assert_eq!(writer.remaining(), 0);
        assert!(!writer.put(kind::COOKIE_ACK, 0, &[]));
        assert_eq!(writer.finish(true), 40);
        assert!(PacketWriter::new(&mut [0; 11], (1, 2), 3).is_none());
    }
}
