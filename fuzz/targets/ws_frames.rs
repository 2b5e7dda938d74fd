//! Frames of a WebSocket peer: in pieces they mean what they mean as a whole.
//!
//! The first byte chooses the role and the size of the pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_core::websocket::codec::{Decoder, Event, Outgoing, Role, Violation, encode};

const LARGEST: usize = 4096;

fn decode(role: Role, pieces: impl Iterator<Item = Vec<u8>>) -> (Vec<Event>, Option<Violation>) {
    let mut decoder = Decoder::new(role, LARGEST);
    let mut events = Vec::new();
    for piece in pieces {
        let mut input = piece.as_slice();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => {
                    let is_last = matches!(event, Event::Close(_));
                    events.push(event);
                    if is_last {
                        return (events, None);
                    }
                }
                Ok(None) => break,
                Err(violation) => return (events, Some(violation)),
            }
        }
        assert!(input.is_empty());
    }
    (events, None)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client };
    let size = usize::from(choice >> 1) % 16 + 1;
    let whole = decode(role, std::iter::once(bytes.to_vec()));
    let pieces = decode(role, bytes.chunks(size).map(<[u8]>::to_vec));
    assert_eq!(whole.0, pieces.0);
    assert_eq!(whole.1.is_some(), pieces.1.is_some());

    // What we send, the other end understands.
    let mask = (role == Role::Client).then_some([1, 2, 3, *choice]);
    let mut sent = Vec::new();
    let bytes = &bytes[..bytes.len().min(LARGEST)];
    encode(&mut sent, Outgoing::Binary, bytes, mask);
    encode(&mut sent, Outgoing::Ping, &bytes[..bytes.len().min(125)], mask);
    let other = if role == Role::Client { Role::Server } else { Role::Client };
    let (events, violation) = decode(other, sent.chunks(size).map(<[u8]>::to_vec));
    assert_eq!((events.len(), violation), (2, None));
    let Some(Event::Message(message)) = events.first() else { panic!("{events:?}") };
    assert_eq!(message.data, bytes);
});
