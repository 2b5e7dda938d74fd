//! An association against a peer that says what a test wants: corners of setting up, of what comes
//! after the end (RFC 9260 §5.2, §8.4) and of acknowledging.
#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use rtc_sctp_engine::{Association, Config, Event, FailureReason, State};
use support::{Link, Pair, chunk, chunk_kinds, chunks, packet};

const PORTS: (u16, u16) = (5000, 5000);
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const ABORT: u8 = 6;
const SHUTDOWN_ACK: u8 = 8;
const ERROR: u8 = 9;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;
const STALE: [u8; 8] = [0, 3, 0, 8, 0, 0, 0, 1];

/// An association and the time it believes it is.
struct Alone {
    association: Association,
    now: Instant,
}

impl Alone {
    fn new() -> Self {
        Self { association: Association::new(Config::default(), [3; 32]), now: Instant::now() }
    }

    fn connecting() -> Self {
        let mut alone = Self::new();
        alone.association.connect(alone.now);
        alone
    }

    fn hear(&mut self, tag: u32, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        self.association.handle_packet(self.now, &packet(PORTS, tag, chunks));
        self.said()
    }

    fn said(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 1500];
        let next = || {
            let length = self.association.poll_transmit(self.now, &mut buffer)?;
            Some(buffer[..length].to_vec())
        };
        std::iter::from_fn(next).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.association.poll_event()).collect()
    }

    /// Lets the next timer expire; false when there is none.
    fn wait(&mut self) -> bool {
        let Some(at) = self.association.poll_timeout() else { return false };
        self.now = self.now.max(at);
        self.association.handle_timeout(self.now);
        true
    }
}

/// An INIT, or an INIT-ACK with parameters, of a peer with this tag.
fn init(kind: u8, tag: u8, parameters: &[u8]) -> Vec<u8> {
    let fixed = [0, 0, 0, tag, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1];
    chunk(kind, 0, &[&fixed, parameters].concat())
}

/// The verification tag of a packet.
fn tag_of(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[4..8].try_into().unwrap())
}

/// The initiate tag of a packet with INIT or INIT-ACK.
fn initiate_tag(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[16..20].try_into().unwrap())
}

/// The COOKIE-ECHO that answers an INIT-ACK of ours, whose first parameter is the cookie.
fn echo_of(packet: &[u8]) -> Vec<u8> {
    let init_ack = chunks(packet)[0];
    let length = usize::from(u16::from_be_bytes([init_ack[22], init_ack[23]]));
    chunk(COOKIE_ECHO, 0, &init_ack[24..20 + length])
}

#[test]
fn a_handshake_that_is_not_answered_ends_with_its_failure() {
    let limit = Config::default().max_retransmits as usize;
    for answers_init in [false, true] {
        let mut alone = Alone::connecting();
        let mut sent = alone.said();
        if answers_init {
            let tag = initiate_tag(&sent[0]);
            sent = alone.hear(tag, &[&init(INIT_ACK, 9, b"\0\x07\0\x08cook")]);
        }
        while alone.wait() {
            sent.extend(alone.said());
        }
        let kind = if answers_init { COOKIE_ECHO } else { INIT };
        assert_eq!(sent.len(), 1 + limit, "{answers_init}");
        assert!(sent.iter().all(|packet| chunk_kinds(packet) == [kind]));
        assert_eq!(alone.events(), [Event::Failed(FailureReason::HandshakeTimeout)]);
        assert_eq!(alone.association.state(), State::Closed);
    }
}

#[test]
fn a_stale_cookie_begins_a_new_handshake_but_not_for_ever() {
    let limit = Config::default().max_retransmits as usize;
    for stale in [1, limit, limit + 1] {
        let mut alone = Alone::connecting();
        let mut sent = alone.said();
        for _ in 0..stale {
            assert_eq!(chunk_kinds(&sent[0]), [INIT]);
            let tag = initiate_tag(&sent[0]);
            sent = alone.hear(tag, &[&init(INIT_ACK, 9, b"\0\x07\0\x08cook")]);
            assert_eq!(chunk_kinds(&sent[0]), [COOKIE_ECHO]);
            sent = alone.hear(tag, &[&chunk(ERROR, 0, &STALE)]);
        }
        if stale > limit {
            assert_eq!(alone.events(), [Event::Failed(FailureReason::HandshakeTimeout)]);
            assert!(sent.is_empty());
            continue;
        }
        let tag = initiate_tag(&sent[0]);
        alone.hear(tag, &[&init(INIT_ACK, 9, b"\0\x07\0\x08cook")]);
        alone.hear(tag, &[&chunk(COOKIE_ACK, 0, &[])]);
        assert_eq!(alone.association.state(), State::Established, "after {stale}");
        // Later it means nothing.
        alone.hear(tag, &[&chunk(ERROR, 0, &STALE)]);
        assert_eq!(alone.association.state(), State::Established);
    }
}

#[test]
fn an_init_with_anything_beside_it_is_not_answered() {
    let data = chunk(0, 3, &[1; 20]);
    let whole = init(INIT, 9, &[]);
    let refused: [(u32, &[&[u8]]); 5] = [
        (0, &[&whole, &data]),
        (0, &[&whole, &whole]),
        (0, &[&data, &whole]),
        (5, &[&whole]),
        (0, &[&chunk(INIT, 0, &[0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 0, 10, 0, 0, 0, 1])]),
    ];
    for (number, (tag, chunks)) in refused.into_iter().enumerate() {
        let mut alone = Alone::new();
        assert!(alone.hear(tag, chunks).is_empty(), "case {number}");
        assert_eq!(alone.association.metrics().packets_dropped, 1, "case {number}");
    }
    assert_eq!(chunk_kinds(&Alone::new().hear(0, &[&whole])[0]), [INIT_ACK]);
}

#[test]
fn an_init_ack_is_larger_than_its_cause_by_the_cookie_and_our_own_parameters_at_most() {
    // The cookie with its header and padding; forward TSN, extensions, zero checksum.
    const OWN: usize = 64 + 4 + 8 + 8;
    let zero_checksum = [0x80, 0x01, 0, 8, 0, 0, 0, 1];
    for unknown in [&[0xC1, 0x23, 0, 4][..], &[0xC1, 0x23, 0, 7, 1, 2, 3, 0], &[0xC1; 4]] {
        for count in [0, 1, 2, 3, 10, 100, 200] {
            let parameters = [&zero_checksum[..], &unknown.repeat(count)].concat();
            let init = init(INIT, 9, &parameters);
            let answers = Alone::new().hear(0, &[&init]);
            assert_eq!(answers.len(), 1);
            let most = packet(PORTS, 0, &[&init]).len() + OWN;
            assert!(answers[0].len() <= most, "{count}: {} of {most}", answers[0].len());
            let reported = answers[0].windows(4).any(|bytes| bytes == &unknown[..4]);
            assert_eq!(reported, count > 0 && unknown[1] == 0x23, "{count}");
        }
    }
}

#[test]
fn a_peer_that_changed_its_tag_while_connecting_is_followed() {
    // RFC 9260 §5.2.4, action B.
    let mut alone = Alone::new();
    let echoes = [9, 10].map(|tag| {
        let answer = alone.hear(0, &[&init(INIT, tag, &[])]).remove(0);
        (initiate_tag(&answer), echo_of(&answer))
    });
    for (number, (tag, echo)) in echoes.iter().enumerate() {
        let said = alone.hear(*tag, &[echo]);
        assert_eq!(chunk_kinds(&said[0]), [COOKIE_ACK]);
        assert_eq!(tag_of(&said[0]), 9 + number as u32);
        assert_eq!(alone.association.state(), State::Established);
    }
    // The same association goes on: it connected once and nothing restarted.
    let connected = Event::Connected { inbound_streams: 10, outbound_streams: 10 };
    assert_eq!(alone.events(), [connected]);
    let said = alone.hear(echoes[0].0, &[&chunk(4, 0, b"\0\x01\0\x08beat")]);
    assert_eq!((chunk_kinds(&said[0]), tag_of(&said[0])), (vec![5], 10));
}

#[test]
fn a_peer_that_does_not_know_of_the_end_is_told_of_it() {
    let mut pair = Pair::connected(1, [Config::default(), Config::default()], Link::default());
    let tag = std::rc::Rc::new(std::cell::Cell::new(0));
    let seen = tag.clone();
    pair.tap = Some(Box::new(move |end, packet| {
        seen.set(if end == 1 { tag_of(packet) } else { seen.get() });
        end == 0
    }));
    let now = pair.instant();
    let data = bytes::Bytes::from_static(b"to learn the tag");
    assert_eq!(pair.ends[1].send(now, 0, 51, Default::default(), data), Ok(()));
    pair.run_for(Duration::from_millis(10));
    let [association, _] = pair.ends;
    let mut alone = Alone { association, now: pair.start + pair.now };
    alone.association.abort(alone.now, "gone");
    assert_eq!(chunk_kinds(&alone.said()[0]), [ABORT]);

    let tag = tag.get();
    for (kind, answer) in [
        (0, Some(ABORT)),
        (3, Some(ABORT)),
        (7, Some(ABORT)),
        (SHUTDOWN_ACK, Some(SHUTDOWN_COMPLETE)),
        (ABORT, None),
        (INIT_ACK, None),
        (COOKIE_ACK, None),
        (ERROR, None),
        (SHUTDOWN_COMPLETE, None),
    ] {
        let cause = chunk(kind, 3, &[0; 20]);
        assert!(alone.hear(tag ^ 1, &[&cause]).is_empty(), "kind {kind} with a wrong tag");
        let said = alone.hear(tag, &[&cause]);
        assert_eq!(said.len(), usize::from(answer.is_some()), "kind {kind}");
        if let (Some(answer), Some(said)) = (answer, said.first()) {
            // The tag is the cause's own, as the T bit says.
            assert_eq!((&said[12..14], tag_of(said)), (&[answer, 1][..], tag), "kind {kind}");
        }
        // Not when the packet has something of the kind elsewhere.
        let heartbeat = chunk(4, 0, b"\0\x01\0\x08beat");
        assert_eq!(alone.hear(tag, &[&heartbeat, &cause]).is_empty(), answer.is_none());
    }
}

#[test]
fn data_that_asks_for_it_is_acknowledged_at_once() {
    // RFC 7053.
    const I_BIT: u8 = 8;
    let mut alone = Alone::new();
    let answer = alone.hear(0, &[&init(INIT, 9, &[])]).remove(0);
    let tag = initiate_tag(&answer);
    alone.hear(tag, &[&echo_of(&answer)]);
    let mut tsn = 1_u32;
    let mut data = |flags: u8| {
        let mut value = tsn.to_be_bytes().to_vec();
        value.extend_from_slice(&[0, 0, 0, tsn as u8 - 1, 0, 0, 0, 53, 1]);
        tsn += 1;
        chunk(0, 3 | flags, &value)
    };
    for asks in [false, true, false, true] {
        let begun = alone.now;
        let said = alone.hear(tag, &[&data(if asks { I_BIT } else { 0 })]);
        assert_eq!(said.len(), usize::from(asks));
        if !asks {
            assert!(alone.wait() && alone.now - begun == Config::default().delayed_sack);
            assert_eq!(chunk_kinds(&alone.said()[0]), [3]);
        }
    }
}
