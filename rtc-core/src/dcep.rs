//! The Data Channel Establishment Protocol (RFC 8832): the messages OPEN and ACK.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

use crate::config::{Reliability, ReliabilityLimit};
use crate::error::{Error, Result};

const ACK: u8 = 0x02;
const OPEN: u8 = 0x03;
const UNORDERED: u8 = 0x80;
/// Bytes of an OPEN before label and protocol.
const OPEN_HEADER: usize = 12;

/// Longest label and longest protocol, in bytes.
pub const MAX_TEXT: usize = u16::MAX as usize;

/// A message of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Opens a channel on the stream on which it is sent (§5.1).
    Open(Open),
    /// Accepts it (§5.2).
    Ack,
}

/// DATA_CHANNEL_OPEN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// How hard the channel tries to deliver, and whether in order.
    pub reliability: Reliability,
    /// Weight against other channels (RFC 8831 §6.4); libdatachannel sends 0.
    pub priority: u16,
    /// The name of the channel, at most [`MAX_TEXT`] bytes. UTF-8 by the RFC, but unchecked.
    pub label: Vec<u8>,
    /// The subprotocol, at most [`MAX_TEXT`] bytes. UTF-8 by the RFC, but unchecked.
    pub protocol: Vec<u8>,
}

impl Message {
    /// Reads one message. Fails on an unknown message or channel type and when label and protocol
    /// are longer than what there is. Bytes after the message are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        match bytes.split_first() {
            Some((&ACK, _)) => Ok(Self::Ack),
            Some((&OPEN, _)) => Open::decode(bytes).map(Self::Open),
            Some((other, _)) => {
                Err(Error::invalid(format!("Unknown data channel control message {other:#04x}")))
            }
            None => Err(Error::invalid("Empty data channel control message")),
        }
    }

    /// Writes the message. Fails when label or protocol are longer than [`MAX_TEXT`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        match self {
            Self::Ack => Ok(vec![ACK]),
            Self::Open(open) => open.encode(),
        }
    }
}

impl Open {
    fn decode(bytes: &[u8]) -> Result<Self> {
        let cut = || Error::invalid("A data channel OPEN message is cut short");
        let (header, rest) = bytes.split_first_chunk::<OPEN_HEADER>().ok_or_else(cut)?;
        let [_, channel_type, priority @ .., p3, p2, p1, p0, l1, l0, q1, q0] = *header;
        let parameter = u32::from_be_bytes([p3, p2, p1, p0]);
        let limit = match channel_type & !UNORDERED {
            0x00 => ReliabilityLimit::Reliable,
            0x01 => ReliabilityLimit::Retransmits(parameter),
            0x02 => ReliabilityLimit::Lifetime(parameter),
            _ => {
                return Err(Error::invalid(format!(
                    "Unknown data channel type {channel_type:#04x}"
                )));
            }
        };
        let label_length = usize::from(u16::from_be_bytes([l1, l0]));
        let protocol_length = usize::from(u16::from_be_bytes([q1, q0]));
        let (label, rest) = rest.split_at_checked(label_length).ok_or_else(cut)?;
        let (protocol, _) = rest.split_at_checked(protocol_length).ok_or_else(cut)?;
        Ok(Self {
            reliability: Reliability { unordered: channel_type & UNORDERED != 0, limit },
            priority: u16::from_be_bytes(priority),
            label: label.to_vec(),
            protocol: protocol.to_vec(),
        })
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let length = |what: &str, text: &[u8]| {
            u16::try_from(text.len()).map_err(|_| {
                let length = text.len();
                Error::invalid(format!("A {what} of {length} bytes is longer than {MAX_TEXT}"))
            })
        };
        let label_length = length("data channel label", &self.label)?;
        let protocol_length = length("data channel protocol", &self.protocol)?;
        let (channel_type, parameter) = match self.reliability.limit {
            ReliabilityLimit::Reliable => (0x00, 0),
            ReliabilityLimit::Retransmits(count) => (0x01, count),
            ReliabilityLimit::Lifetime(milliseconds) => (0x02, milliseconds),
        };
        let channel_type =
            if self.reliability.unordered { channel_type | UNORDERED } else { channel_type };
        let capacity = OPEN_HEADER.saturating_add(self.label.len());
        let mut bytes = Vec::with_capacity(capacity.saturating_add(self.protocol.len()));
        bytes.extend([OPEN, channel_type]);
        bytes.extend(self.priority.to_be_bytes());
        bytes.extend(parameter.to_be_bytes());
        bytes.extend(label_length.to_be_bytes());
        bytes.extend(protocol_length.to_be_bytes());
        bytes.extend(&self.label);
        bytes.extend(&self.protocol);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn open_has_the_bytes_of_the_rfc() {
        let open = Open {
            reliability: Reliability {
                unordered: true,
                limit: ReliabilityLimit::Retransmits(0x0102_0304),
            },
            priority: 0x0506,
            label: b"ab".to_vec(),
            protocol: b"c".to_vec(),
        };
        let bytes = [3, 0x81, 5, 6, 1, 2, 3, 4, 0, 2, 0, 1, b'a', b'b', b'c'];
        assert_eq!(Message::Open(open.clone()).encode().unwrap(), bytes);
        assert_eq!(Message::decode(&bytes).unwrap(), Message::Open(open));
        assert_eq!(Message::Ack.encode().unwrap(), [2]);
        assert_eq!(Message::decode(&[2]).unwrap(), Message::Ack);
    }

    #[test]
    fn every_channel_type_has_its_meaning() {
        for (channel_type, expected) in [
            (0x00, Some((ReliabilityLimit::Reliable, false))),
            (0x80, Some((ReliabilityLimit::Reliable, true))),
            (0x01, Some((ReliabilityLimit::Retransmits(7), false))),
            (0x81, Some((ReliabilityLimit::Retransmits(7), true))),
            (0x02, Some((ReliabilityLimit::Lifetime(7), false))),
            (0x82, Some((ReliabilityLimit::Lifetime(7), true))),
            (0x03, None),
            (0x7f, None),
            (0xff, None),
        ] {
            let bytes = [3, channel_type, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0];
            let actual = match Message::decode(&bytes) {
                Ok(Message::Open(open)) => {
                    Some((open.reliability.limit, open.reliability.unordered))
                }
                Ok(Message::Ack) => unreachable!(),
                Err(_) => None,
            };
            assert_eq!(actual, expected, "{channel_type:#04x}");
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        let whole = [3, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, b'a', b'b', b'c'];
        for end in 0..whole.len() {
            assert!(Message::decode(&whole[..end]).is_err(), "{end} bytes");
        }
        for kind in [0, 1, 4, 0xff] {
            assert!(Message::decode(&[kind; 16]).is_err(), "type {kind}");
        }
        let mut longer = whole.to_vec();
        longer.push(0);
        assert_eq!(Message::decode(&longer).unwrap(), Message::decode(&whole).unwrap());
    }

    #[test]
    fn labels_and_protocols_end_at_65535_bytes() {
        let fits =
            Open { label: vec![b'a'; MAX_TEXT], protocol: vec![0; MAX_TEXT], ..Open::default() };
        let message = Message::Open(fits);
        assert_eq!(Message::decode(&message.encode().unwrap()).unwrap(), message);
        let label = Open { label: vec![0; MAX_TEXT + 1], ..Open::default() };
        let protocol = Open { protocol: vec![0; MAX_TEXT + 1], ..Open::default() };
        for open in [label, protocol] {
            let error = Message::Open(open).encode().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
        }
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_meaning(bytes: Vec<u8>) {
            if let Ok(message) = Message::decode(&bytes) {
                let again = Message::decode(&message.encode().unwrap()).unwrap();
                prop_assert_eq!(message, again);
            }
        }
    }
}
