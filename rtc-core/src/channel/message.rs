//! Messages and the payload protocol identifiers that carry them.

use bytes::Bytes;

use super::buffers;

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Text, UTF-8 by convention; what the peer sent is passed on unchecked.
    Text,
    /// Bytes.
    Binary,
}

/// One message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Text or bytes.
    pub kind: MessageKind,
    /// The content, without a terminator.
    pub data: Bytes,
}

impl Message {
    /// A binary message.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self { kind: MessageKind::Binary, data: data.into() }
    }

    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: MessageKind::Text, data: text.into().into() }
    }

    /// The text, when this is a text message in valid UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match self.kind {
            MessageKind::Text => std::str::from_utf8(&self.data).ok(),
            MessageKind::Binary => None,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::binary(data)
    }
}

impl From<&[u8]> for Message {
    fn from(data: &[u8]) -> Self {
        Self::binary(buffers::copy(data))
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::binary(data)
    }
}

/// Payload protocol identifiers (RFC 8831 §8).
pub(crate) mod ppid {
    pub(crate) const CONTROL: u32 = 50;
    pub(crate) const STRING: u32 = 51;
    pub(crate) const BINARY_PARTIAL: u32 = 52;
    pub(crate) const BINARY: u32 = 53;
    pub(crate) const STRING_PARTIAL: u32 = 54;
    pub(crate) const STRING_EMPTY: u32 = 56;
    pub(crate) const BINARY_EMPTY: u32 = 57;
}

/// What goes into SCTP for a message: an empty one travels as one zero byte under an identifier of
/// its own (RFC 8831 §6.6), because SCTP has no empty messages.
pub(crate) fn to_wire(message: Message) -> (u32, Bytes) {
    match (message.kind, message.data.is_empty()) {
        (MessageKind::Text, false) => (ppid::STRING, message.data),
        (MessageKind::Binary, false) => (ppid::BINARY, message.data),
        (MessageKind::Text, true) => (ppid::STRING_EMPTY, Bytes::from_static(&[0])),
        (MessageKind::Binary, true) => (ppid::BINARY_EMPTY, Bytes::from_static(&[0])),
    }
}
