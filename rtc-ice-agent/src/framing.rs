//! Datagrams on a stream: RFC 4571 between peers (as RFC 6544 §8 asks), and STUN messages and
//! ChannelData towards a TURN server (RFC 8656 §12.5).

use std::ops::Range;

/// Bytes that are read from a stream at one time.
const READ_SIZE: usize = 16 * 1024;
/// A STUN message without attributes (RFC 8489 §5), and what stands before the data of ChannelData.
const STUN_HEADER: usize = 20;
const CHANNEL_HEADER: usize = 4;
/// Longest content of one frame, for every kind of framing.
pub const MAX_FRAME: usize = 65_535;

/// How datagrams are told apart on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each comes after its length in two bytes (RFC 4571 §2).
    LengthPrefixed,
    /// Each says itself how long it is; ChannelData is padded to four bytes (RFC 8656 §12.5).
    Turn,
}

/// What the next frame takes of a stream: bytes before it, its own, bytes after it.
struct Extent {
    before: usize,
    length: usize,
    after: usize,
}

impl Framing {
    /// Appends a datagram to `stream`. One that is too long is left out, as by a network.
    pub fn encode(self, datagram: &[u8], stream: &mut Vec<u8>) {
        match (self, u16::try_from(datagram.len())) {
            (Self::LengthPrefixed, Ok(length)) => {
                stream.extend(length.to_be_bytes());
                stream.extend(datagram);
            }
            (Self::Turn, Ok(_)) => {
                stream.extend(datagram);
                let padding = datagram.len().next_multiple_of(4) - datagram.len();
                stream.extend([0; 3].iter().take(padding));
            }
            (_, Err(_)) => {}
        }
    }

    /// The frame at the start of `stream`: `Ok(None)` while its length is not known yet.
    fn extent(self, stream: &[u8]) -> Result<Option<Extent>, BadFrame> {
        let (Some(first), Some(length)) = (number_at(stream, 0), number_at(stream, 2)) else {
            let known = self == Self::LengthPrefixed;
            let length = number_at(stream, 0).filter(|_| known);
            return Ok(length.map(|length| Extent { before: 2, length, after: 0 }));
        };
        match self {
            Self::LengthPrefixed => Ok(Some(Extent { before: 2, length: first, after: 0 })),
            // RFC 8656 §12.5 and RFC 7983 §7 tell the two apart by their first bits.
            // STUN's lengths are multiples of four (RFC 8489 §5).
            Self::Turn if first < 0x4000 && length.is_multiple_of(4) => {
                Ok(Some(Extent { before: 0, length: STUN_HEADER + length, after: 0 }))
            }
            Self::Turn if (0x4000..0x8000).contains(&first) => {
                let after = length.next_multiple_of(4) - length;
                Ok(Some(Extent { before: 0, length: CHANNEL_HEADER + length, after }))
            }
            Self::Turn => Err(BadFrame),
        }
    }
}

fn number_at(stream: &[u8], index: usize) -> Option<usize> {
    let bytes = stream.get(index..)?.first_chunk()?;
    Some(usize::from(u16::from_be_bytes(*bytes)))
}

/// What came is neither STUN nor ChannelData: the stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame;

/// Cuts a stream into the datagrams that were put into it.
#[derive(Debug)]
pub struct Deframer {
    framing: Framing,
    buffer: Vec<u8>,
    /// What is kept lies between these.
    start: usize,
    end: usize,
}

impl Deframer {
    /// One for the start of a stream.
    pub fn new(framing: Framing) -> Self {
        Self { framing, buffer: Vec::new(), start: 0, end: 0 }
    }

    /// Room for what comes next; [`Self::filled`] says how much of it was used. What
    /// [`Self::next_frame`] has returned is no longer there.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.buffer.len() < self.end + READ_SIZE {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            // An incomplete frame is all that is kept, which bounds the buffer.
            self.buffer.resize(self.end + READ_SIZE, 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes so many bytes of the room.
    pub fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// Where the next datagram is in [`Self::buffer`], each later than the one before. `Ok(None)`
    /// when more has to be read first.
    pub fn next_frame(&mut self) -> Result<Option<Range<usize>>, BadFrame> {
        let kept = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some(Extent { before, length, after }) = self.framing.extent(kept)? else {
            return Ok(None);
        };
        if kept.len() < before + length + after {
            return Ok(None);
        }
        let start = self.start + before;
        self.start = start + length + after;
        Ok(Some(start..start + length))
    }

    /// What has been read, to look frames up in.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a stream in pieces of these sizes.
    fn deframe(
        framing: Framing,
        stream: &[u8],
        pieces: &[usize],
    ) -> Result<Vec<Vec<u8>>, BadFrame> {
        let mut deframer = Deframer::new(framing);
        let mut frames = Vec::new();
        let mut rest = stream;
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let room = deframer.room();
            let size = (*pieces.next().unwrap()).clamp(1, room.len()).min(rest.len());
            let (now, later) = rest.split_at(size);
            room[..size].copy_from_slice(now);
            deframer.filled(size);
            rest = later;
            while let Some(range) = deframer.next_frame()? {
                frames.push(deframer.buffer()[range].to_vec());
            }
        }
        Ok(frames)
    }

    fn channel_data(data: &[u8]) -> Vec<u8> {
        let mut message = vec![0x40, 0x01];
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
        message
    }

    fn stun(words: usize) -> Vec<u8> {
        let mut message = vec![0; STUN_HEADER + 4 * words];
        message[2..4].copy_from_slice(&u16::try_from(4 * words).unwrap().to_be_bytes());
        message
    }

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in_however_the_stream_is_cut(
            datagrams in proptest::collection::vec((any::<bool>(), 0_usize..3000), 1..20),
            pieces in proptest::collection::vec(1_usize..5000, 1..8),
        ) {
            let direct: Vec<_> = datagrams.iter().map(|(_, size)| vec![7; *size]).collect();
            let turn = |(is_stun, size): &(bool, usize)| match is_stun {
                true => stun(size / 4),
                false => channel_data(&vec![9; *size]),
            };
            let to_server: Vec<_> = datagrams.iter().map(turn).collect();
            for (framing, sent) in [(Framing::LengthPrefixed, direct), (Framing::Turn, to_server)] {
                let mut stream = Vec::new();
                sent.iter().for_each(|datagram| framing.encode(datagram, &mut stream));
                prop_assert_eq!(deframe(framing, &stream, &pieces), Ok(sent));
            }
        }

        #[test]
        fn any_stream_is_read_or_refused_with_bounded_memory(
            stream in proptest::collection::vec(any::<u8>(), 0..4000),
            piece in 1_usize..600,
        ) {
            for framing in [Framing::LengthPrefixed, Framing::Turn] {
                let _ = deframe(framing, &stream, &[piece]);
            }
        }
    }

    #[test]
    fn the_longest_frame_fits_and_a_longer_datagram_is_left_out() {
        let mut stream = Vec::new();
        Framing::LengthPrefixed.encode(&[1; MAX_FRAME], &mut stream);
        Framing::LengthPrefixed.encode(&[2; MAX_FRAME + 1], &mut stream);
        let frames = deframe(Framing::LengthPrefixed, &stream, &[READ_SIZE]).unwrap();
        assert_eq!(frames, [vec![1; MAX_FRAME]]);
    }

    #[test]
    fn what_is_neither_stun_nor_channel_data_ends_the_stream() {
        for bad in [[0x80, 0, 0, 0], [0, 1, 0, 3]] {
            assert_eq!(deframe(Framing::Turn, &bad, &[4]), Err(BadFrame));
        }
        assert_eq!(deframe(Framing::Turn, b"HTTP/1.1 400", &[1]), Ok(Vec::new()));
    }
}
