//! Messages to frames and back (RFC 6455 §5), without I/O.
//!
//! The wire format of frame headers is tungstenite's. What is kept between frames is ours, so that
//! a violation is noticed with the first byte that proves it, memory grows only with what has
//! arrived, and an idle connection holds no buffer.

use std::io::Cursor;

use bytes::Bytes;
use tungstenite::error::Error as WireError;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::utf8::Utf8Check;
use crate::channel::{Message, MessageKind};

/// The longest frame header: two bytes, a length of eight and a mask of four.
const MAX_HEADER: usize = 14;

/// The longest payload of a control frame (RFC 6455 §5.5).
const MAX_CONTROL: usize = 125;

/// Room made for a message before its bytes have arrived.
const EARLY_ROOM: usize = 128 * 1024;

/// Which end of the connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends masked frames and receives unmasked ones.
    Client,
    /// The other way round.
    Server,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// To be answered with the same payload, up to 125 bytes.
    Ping(Vec<u8>),
    /// The answer to a ping of ours.
    Pong,
    /// The peer closes, with a code unless it gave none. Nothing may follow.
    Close(Option<u16>),
}

/// What the peer did wrong: the connection fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The protocol, for example reserved bits.
    Protocol(&'static str),
    /// Text that is not UTF-8.
    Utf8,
    /// A message larger than allowed.
    TooLarge,
}

impl Violation {
    /// The code to close with (RFC 6455 §7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::Protocol(_) => 1002,
            Self::Utf8 => 1007,
            Self::TooLarge => 1009,
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Protocol(what) => what,
            Self::Utf8 => "a text is not UTF-8",
            Self::TooLarge => "a message is larger than allowed",
        })
    }
}

/// Reads frames.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    max_message_size: usize,
    /// The beginning of a header whose rest has not arrived.
    partial: Vec<u8>,
    frame: Option<Frame>,
    /// The message that data frames are putting together.
    message: Option<Assembly>,
    control: Vec<u8>,
}

/// The frame whose payload is arriving.
#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: Option<[u8; 4]>,
    /// Bytes of payload that have arrived.
    arrived: usize,
    /// Bytes still to come.
    missing: usize,
}

#[derive(Debug)]
struct Assembly {
    kind: MessageKind,
    data: Vec<u8>,
    text: Utf8Check,
}

impl Decoder {
    /// A decoder for one end; messages from the other may have `max_message_size` bytes.
    pub fn new(role: Role, max_message_size: usize) -> Self {
        Self {
            role,
            max_message_size,
            partial: Vec::new(),
            frame: None,
            message: None,
            control: Vec::new(),
        }
    }

    /// True while a frame or message has begun and not ended.
    pub fn is_amid(&self) -> bool {
        self.frame.is_some() || self.message.is_some() || !self.partial.is_empty()
    }

    /// Takes bytes off `input` until there is an event; `None` when all are taken before.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Event>, Violation> {
        loop {
            if self.frame.is_none() {
                match self.take_header(input)? {
                    Some(frame) => self.frame = Some(frame),
                    None => return Ok(None),
                }
            }
            let Some(frame) = &mut self.frame else { return Ok(None) };
            let take = frame.missing.min(input.len());
            let (payload, rest) = input.split_at(take);
            *input = rest;
            let target = match (frame.opcode, &mut self.message) {
                (OpCode::Data(_), Some(message)) => &mut message.data,
                _ => &mut self.control,
            };
            let begin = target.len();
            target.extend_from_slice(payload);
            if let (Some(mask), Some(fresh)) = (frame.mask, target.get_mut(begin..)) {
                apply_mask(fresh, mask, frame.arrived);
            }
            frame.arrived += take;
            frame.missing -= take;
            let is_whole = frame.missing == 0;
            if let (OpCode::Data(_), Some(message)) = (frame.opcode, &mut self.message)
                && message.kind == MessageKind::Text
            {
                let fresh = message.data.get(begin..).unwrap_or_default();
                message.text.check(fresh).map_err(|_| Violation::Utf8)?;
            }
            if !is_whole {
                return Ok(None);
            }
            if let Some(frame) = self.frame.take()
                && let Some(event) = self.end_frame(&frame)?
            {
                return Ok(Some(event));
            }
        }
    }

    /// Takes a whole header, or keeps what there is of it.
    fn take_header(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        let (header, length) = if self.partial.is_empty() {
            let mut cursor = Cursor::new(*input);
            let parsed = FrameHeader::parse(&mut cursor).map_err(wire_violation)?;
            let used = usize::try_from(cursor.position()).unwrap_or(0);
            let Some(parsed) = parsed else {
                self.partial.extend_from_slice(input);
                *input = &[];
                return self.check_partial().map(|()| None);
            };
            *input = input.get(used..).unwrap_or_default();
            parsed
        } else {
            let before = self.partial.len();
            let add = input.len().min(MAX_HEADER.saturating_sub(before));
            self.partial.extend_from_slice(input.get(..add).unwrap_or_default());
            let mut cursor = Cursor::new(self.partial.as_slice());
            let parsed = FrameHeader::parse(&mut cursor).map_err(wire_violation)?;
            let used = usize::try_from(cursor.position()).unwrap_or(0);
            let Some(parsed) = parsed else {
                *input = input.get(add..).unwrap_or_default();
                return self.check_partial().map(|()| None);
            };
            *input = input.get(used.saturating_sub(before)..).unwrap_or_default();
            self.partial.clear();
            parsed
        };
        self.begin_frame(&header, length).map(Some)
    }

    /// What two bytes of a header already say may be wrong.
    fn check_partial(&self) -> Result<(), Violation> {
        match self.partial.first() {
            Some(first) if first & 0x70 != 0 => Err(Violation::Protocol("reserved bits are set")),
            _ => Ok(()),
        }
    }

    fn begin_frame(&mut self, header: &FrameHeader, length: u64) -> Result<Frame, Violation> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::Protocol("reserved bits are set"));
        }
        match (self.role, header.mask.is_some()) {
            (Role::Client, true) => return Err(Violation::Protocol("a server's frame is masked")),
            (Role::Server, false) => {
                return Err(Violation::Protocol("a client's frame is not masked"));
            }
            _ => {}
        }
        if length > i64::MAX.cast_unsigned() {
            return Err(Violation::Protocol("a length has its first bit set"));
        }
        let length = usize::try_from(length).map_err(|_| Violation::TooLarge)?;
        match header.opcode {
            OpCode::Control(_) if !header.is_final => {
                return Err(Violation::Protocol("a control frame is fragmented"));
            }
            OpCode::Control(_) if length > MAX_CONTROL => {
                return Err(Violation::Protocol("a control frame is too long"));
            }
            OpCode::Control(_) => self.control.clear(),
            OpCode::Data(data) => self.begin_data(data, length)?,
        }
        Ok(Frame {
            opcode: header.opcode,
            is_final: header.is_final,
            mask: header.mask,
            arrived: 0,
            missing: length,
        })
    }

    fn begin_data(&mut self, data: Data, length: usize) -> Result<(), Violation> {
        let kind = match (data, &self.message) {
            (Data::Continue, Some(_)) => None,
            (Data::Continue, None) => {
                return Err(Violation::Protocol("there is no message to continue"));
            }
            (Data::Text, None) => Some(MessageKind::Text),
            (Data::Binary, None) => Some(MessageKind::Binary),
            (Data::Text | Data::Binary, Some(_)) => {
                return Err(Violation::Protocol("a message begins inside another"));
            }
            (Data::Reserved(_), _) => return Err(Violation::Protocol("an opcode is reserved")),
        };
        if let Some(kind) = kind {
            self.message = Some(Assembly { kind, data: Vec::new(), text: Utf8Check::default() });
        }
        let Some(message) = &mut self.message else { return Ok(()) };
        if length > self.max_message_size.saturating_sub(message.data.len()) {
            return Err(Violation::TooLarge);
        }
        if message.data.is_empty() {
            message.data.reserve_exact(length.min(EARLY_ROOM));
        }
        Ok(())
    }

    fn end_frame(&mut self, frame: &Frame) -> Result<Option<Event>, Violation> {
        match frame.opcode {
            OpCode::Data(_) if !frame.is_final => Ok(None),
            OpCode::Data(_) => {
                let Some(message) = self.message.take() else { return Ok(None) };
                if !message.text.is_complete() {
                    return Err(Violation::Utf8);
                }
                let data = Bytes::from(message.data);
                Ok(Some(Event::Message(Message { kind: message.kind, data })))
            }
            OpCode::Control(Control::Ping) => {
                Ok(Some(Event::Ping(std::mem::take(&mut self.control))))
            }
            OpCode::Control(Control::Pong) => Ok(Some(Event::Pong)),
            OpCode::Control(Control::Close) => {
                close_code(&self.control).map(Event::Close).map(Some)
            }
            OpCode::Control(Control::Reserved(_)) => {
                Err(Violation::Protocol("an opcode is reserved"))
            }
        }
    }
}

/// The code in a close frame: none, or two bytes and a reason in UTF-8 (RFC 6455 §5.5.1).
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::Protocol("a close frame has half a code")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !CloseCode::from(code).is_allowed() {
                return Err(Violation::Protocol("a close frame has a code that must not be sent"));
            }
            std::str::from_utf8(reason).map_err(|_| Violation::Utf8)?;
            Ok(Some(code))
        }
    }
}

fn wire_violation(_: WireError) -> Violation {
    Violation::Protocol("an opcode is reserved")
}

/// What kind of frame to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A whole text message.
    Text,
    /// A whole binary message.
    Binary,
    /// A ping.
    Ping,
    /// The answer to one.
    Pong,
    /// The last frame.
    Close,
}

/// Appends one frame to `output`. A client gives a `mask`, fresh and unpredictable for each frame
/// (RFC 6455 §10.3).
pub fn encode(output: &mut Vec<u8>, what: Outgoing, payload: &[u8], mask: Option<[u8; 4]>) {
    let opcode = match what {
        Outgoing::Text => OpCode::Data(Data::Text),
        Outgoing::Binary => OpCode::Data(Data::Binary),
        Outgoing::Ping => OpCode::Control(Control::Ping),
        Outgoing::Pong => OpCode::Control(Control::Pong),
        Outgoing::Close => OpCode::Control(Control::Close),
    };
    let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
    output.reserve(MAX_HEADER + payload.len());
    // Writing into a vector does not fail.
    let _ = header.format(payload.len() as u64, output);
    let begin = output.len();
    output.extend_from_slice(payload);
    if let (Some(mask), Some(fresh)) = (mask, output.get_mut(begin..)) {
        apply_mask(fresh, mask, 0);
    }
}

/// Masks or unmasks what lies `offset` bytes into a payload (RFC 6455 §5.3).
fn apply_mask(data: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut key = mask;
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: Option<[u8; 4]> = Some([0xde, 0xad, 0xbe, 0xef]);

    fn decode_in_pieces(bytes: &[u8], piece: usize) -> Result<Vec<Event>, Violation> {
        let mut decoder = Decoder::new(Role::Server, 1 << 20);
        let mut events = Vec::new();
        for mut input in bytes.chunks(piece) {
            while let Some(event) = decoder.decode(&mut input)? {
                events.push(event);
            }
        }
        assert!(!decoder.is_amid());
        Ok(events)
    }

    #[test]
    fn what_is_encoded_is_decoded_wherever_the_network_cuts_it() {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for size in [0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536] {
            let data: Vec<u8> = (0..size).map(|i: usize| (i % 251) as u8).collect();
            encode(&mut bytes, Outgoing::Binary, &data, MASK);
            expected.push(Event::Message(Message::binary(data)));
        }
        encode(&mut bytes, Outgoing::Text, "ä€😀".as_bytes(), MASK);
        encode(&mut bytes, Outgoing::Ping, b"ping", MASK);
        encode(&mut bytes, Outgoing::Pong, b"", MASK);
        encode(&mut bytes, Outgoing::Close, &1000u16.to_be_bytes(), MASK);
        expected.push(Event::Message(Message::text("ä€😀")));
        expected.extend([Event::Ping(b"ping".to_vec()), Event::Pong, Event::Close(Some(1000))]);
        for piece in [1, 2, 3, 5, 13, 1000, bytes.len()] {
            assert!(decode_in_pieces(&bytes, piece).unwrap() == expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_violation_is_noticed_before_the_payload_has_arrived() {
        for (begin, violation) in [
            (&[0xc1][..], Violation::Protocol("reserved bits are set")),
            (&[0x81, 0x05], Violation::Protocol("a client's frame is not masked")),
            (&[0x09, 0x81, 1, 2, 3, 4], Violation::Protocol("a control frame is fragmented")),
            (&[0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4], Violation::TooLarge),
            (&[0x81, 0x85, 0, 0, 0, 0, 0xff], Violation::Utf8),
        ] {
            assert_eq!(decode_in_pieces(begin, 1), Err(violation), "{begin:x?}");
        }
    }
}
