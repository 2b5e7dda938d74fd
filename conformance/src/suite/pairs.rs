//! Two libraries on one wire: every test is run with the library under test on either side.
//! Without a second library (`RTC_PEER_LIB`) it talks to itself, once.

use super::Case;
use crate::ffi::*;
use crate::inbox::{Event, Message};
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Connected, Pair, Peer, Signalling, c};

/// The case with the library offering, and the case with it answering.
macro_rules! both_ways {
    ($($name:literal => $test:path),* $(,)?) => {
        vec![$(
            Case::new(concat!($name, ", the library offering"), |lab: &Lab| {
                $test(lab.lib, lab.partner())
            }).limit(120),
            Case::new(concat!($name, ", the library answering"), |lab: &Lab| {
                $test(lab.other(), lab.lib)
            }).limit(120),
        )*]
    };
}

pub(super) fn cases() -> Vec<Case> {
    both_ways![
        "they connect trickling" => trickle,
        "they connect with whole descriptions" => whole,
        "every kind and size of message crosses" => messages,
        "both directions flow at once" => flood,
        "channels of every reliability carry messages" => reliabilities,
        "negotiated channels work" => negotiated,
        "a hundred channels work" => many_channels,
        "labels and protocols are told" => labels,
        "channels close from the offering side" => near_closes,
        "channels close from the answering side" => far_closes,
        "closed streams are used again" => churn,
        "the offering side closes the connection" => near_ends,
        "the answering side closes the connection" => far_ends,
        "the offering side is deleted" => near_deleted,
        "the answering side is deleted" => far_deleted,
        "they negotiate again" => renegotiation,
        "RSA certificates work" => rsa,
        "a small MTU works" => small_mtu,
        "the smaller message limit counts" => limits,
        "both sides know the highest stream" => highest_stream,
        "a stream beyond the other side's ends closed" => beyond_streams,
        "rtcCleanupNow tells the other side" => cleanup_tells,
        "an unread channel holds its sender back and loses nothing" => back_pressure,
    ]
}

fn pair(a: Lib, b: Lib) -> Pair {
    configured(a, b, &Config::loopback(), Signalling::Trickle)
}

fn configured(a: Lib, b: Lib, config: &Config, signalling: Signalling) -> Pair {
    Pair::of(Peer::with(a, config), Peer::with(b, config), signalling)
}

fn greet(near: &Channel, far: &Channel) {
    let (there, back) = (far.messages().len(), near.messages().len());
    near.send_text(c"there");
    assert_eq!(far.wait_messages(there + 1)[there], Message::text("there"));
    far.send_binary(b"back");
    assert_eq!(near.wait_messages(back + 1)[back], Message::Binary(b"back".to_vec()));
}

fn trickle(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    greet(&connected.near, &connected.far);
    for (one, other) in [(&connected.a, &connected.b), (&connected.b, &connected.a)] {
        let local = one.string(Getter::LOCAL_ADDRESS);
        assert_eq!(local, other.string(Getter::REMOTE_ADDRESS));
    }
}

fn whole(a: Lib, b: Lib) {
    let pair = configured(a, b, &Config::loopback(), Signalling::Whole);
    let connected = Connected::over(pair);
    greet(&connected.near, &connected.far);
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

fn messages(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    let sizes = [0, 1, 2, 3, 100, 1171, 1172, 1200, 1300, 16_384, 65_535, 65_536, 200_000, 262_144];
    for (from, to) in [(&connected.near, &connected.far), (&connected.far, &connected.near)] {
        from.send_text(c"");
        from.send_text(c"text");
        from.send_text(&c(&"é".repeat(100_000)));
        for size in sizes {
            from.send_binary(&bytes(size));
        }
        let received = to.wait_messages(sizes.len() + 3);
        let mut rows = Rows::new();
        rows.equal("empty text", &received[0], &Message::text(""));
        rows.equal("text", &received[1], &Message::text("text"));
        rows.holds("long text", received[2] == Message::text(&"é".repeat(100_000)));
        for (message, size) in received[3..].iter().zip(sizes) {
            rows.holds(format!("{size} bytes"), *message == Message::Binary(bytes(size)));
        }
    }
}

fn flood(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    let (near, far) = (&connected.near, &connected.far);
    std::thread::scope(|scope| {
        for channel in [near, far] {
            scope.spawn(move || {
                for n in 0..1500u32 {
                    let mut data = bytes(1000 + n as usize);
                    data[..4].copy_from_slice(&n.to_be_bytes());
                    channel.send_binary(&data);
                }
            });
        }
    });
    for channel in [near, far] {
        let received = channel.wait_messages(1500);
        for (message, n) in received.iter().zip(0u32..) {
            assert_eq!(message.bytes()[..4], n.to_be_bytes(), "out of order");
            assert_eq!(message.bytes().len(), 1000 + n as usize);
        }
    }
}

fn reliabilities(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    let mut rows = Rows::new();
    for (unordered, unreliable, time, count) in [
        (false, false, 0, 0),
        (true, false, 0, 0),
        (false, true, 0, 0),
        (false, true, 0, 5),
        (false, true, 3000, 0),
        (true, true, 0, 5),
        (true, true, 3000, 0),
    ] {
        let reliability = Reliability {
            unordered,
            unreliable,
            max_packet_life_time: time,
            max_retransmits: count,
        };
        let name = format!("{unordered} {unreliable} {time} {count}");
        let (near, far) = connected.open_with(&name, &Init { reliability, ..Init::default() });
        let mut found = Reliability::default();
        rows.code(&name, far.lib.reliability(far.id, Some(&mut found)), OK);
        rows.equal(format!("{name} as the other side sees it"), found, reliability);
        for (from, to) in [(&near, &far), (&far, &near)] {
            for n in 0..40 {
                from.send_binary(&bytes(n * 100));
            }
            let least = if unreliable { 1 } else { 40 };
            rows.holds(&name, to.wait_messages(least).len() >= least);
        }
    }
}

fn negotiated(a: Lib, b: Lib) {
    let pair = pair(a, b);
    let agreed = |stream| Init { negotiated: true, stream: Some(stream), ..Init::default() };
    let near = pair.a.channel_with("n", &agreed(100));
    near.wait_open();
    let far = pair.b.channel_with("f", &agreed(100));
    far.wait_open();
    greet(&near, &far);
}

fn many_channels(a: Lib, b: Lib) {
    let pair = pair(a, b);
    let near: Vec<_> = (0..100).map(|n| pair.a.channel(&n.to_string())).collect();
    for channel in &near {
        channel.wait_open();
    }
    for (n, channel) in near.iter().enumerate() {
        let far = pair.b.incoming_named(&n.to_string());
        greet(channel, &far);
    }
}

fn labels(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    for label in ["", "plain", "日本語", &"x".repeat(5000)] {
        let init = Init { protocol: Some(c(label)), ..Init::default() };
        let (near, far) = connected.open_with(label, &init);
        assert_eq!(far.lib.string(Getter::LABEL, far.id).as_deref(), Ok(label));
        assert_eq!(far.lib.string(Getter::PROTOCOL, far.id).as_deref(), Ok(label));
        assert_eq!(near.stream(), far.stream());
        near.delete();
        far.wait_closed();
    }
}

fn close_channel(closing: &Channel, other: &Channel) {
    for n in 0..50 {
        closing.send_binary(&bytes(n * 1000));
    }
    assert_eq!(closing.by_id(ById::CLOSE), OK);
    other.wait_closed();
    assert_eq!(other.messages().len(), 50, "what was sent before closing");
    assert!(closing.is_closed() && other.is_closed());
}

fn near_closes(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    let (near, far) = connected.open("second");
    close_channel(&near, &far);
    greet(&connected.near, &connected.far);
}

fn far_closes(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    let (near, far) = connected.open("second");
    close_channel(&far, &near);
    greet(&connected.near, &connected.far);
}

fn churn(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    let mut highest = 0;
    for round in 0..60 {
        let (near, far) = connected.open(&round.to_string());
        highest = highest.max(near.stream());
        greet(&near, &far);
        let (closing, other) = if round % 2 == 0 { (near, far) } else { (far, near) };
        assert_eq!(closing.delete(), OK);
        other.wait_closed();
        assert_eq!(other.delete(), OK);
    }
    assert!(highest < 60, "streams are not used again: {highest}");
}

fn ended(connected: &Connected) {
    for peer in [&connected.a, &connected.b] {
        peer.wait_state(State::Closed);
        assert!(!peer.states().contains(&State::Failed), "{:?}", peer.states());
    }
    connected.near.wait_closed();
    connected.far.wait_closed();
}

fn near_ends(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    connected.near.send_binary(&bytes(200_000));
    connected.a.close();
    assert_eq!(connected.far.wait_messages(1)[0].bytes().len(), 200_000);
    ended(&connected);
}

fn far_ends(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    connected.far.send_binary(&bytes(200_000));
    connected.b.close();
    assert_eq!(connected.near.wait_messages(1)[0].bytes().len(), 200_000);
    ended(&connected);
}

fn near_deleted(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    assert_eq!(connected.a.delete(), OK);
    connected.far.wait_closed();
    connected.b.wait_state(State::Closed);
    assert!(!connected.b.states().contains(&State::Failed), "{:?}", connected.b.states());
}

fn far_deleted(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    assert_eq!(connected.b.delete(), OK);
    connected.near.wait_closed();
    connected.a.wait_state(State::Closed);
    assert!(!connected.a.states().contains(&State::Failed), "{:?}", connected.a.states());
}

fn renegotiation(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    let stable = |peer: &Peer, times: usize| {
        peer.inbox.wait_list("stability", crate::inbox::PATIENCE, |events| {
            let stable = Event::Signaling(Signaling::Stable);
            (events.iter().filter(|r| r.event == stable).count() >= times).then_some(())
        });
    };
    for (round, offering) in [(2, &connected.a), (3, &connected.b)] {
        stable(&connected.a, round - 1);
        stable(&connected.b, round - 1);
        assert_eq!(offering.set_local("offer"), OK);
        stable(&connected.a, round);
        stable(&connected.b, round);
        greet(&connected.near, &connected.far);
    }
}

fn rsa(a: Lib, b: Lib) {
    let config = Config { certificate: 2, ..Config::loopback() };
    let connected = Connected::over(configured(a, b, &config, Signalling::Trickle));
    greet(&connected.near, &connected.far);
}

fn small_mtu(a: Lib, b: Lib) {
    let config = Config { mtu: 1000, ..Config::loopback() };
    let connected = Connected::over(configured(a, b, &config, Signalling::Trickle));
    connected.near.send_binary(&bytes(200_000));
    assert!(connected.far.wait_messages(1)[0].bytes() == bytes(200_000));
    greet(&connected.near, &connected.far);
}

fn limits(a: Lib, b: Lib) {
    let small = Config { max_message_size: 5000, ..Config::loopback() };
    let connected =
        Connected::over(Pair::of(Peer::new(a), Peer::with(b, &small), Signalling::Trickle));
    for channel in [&connected.near, &connected.far] {
        assert_eq!(channel.by_id(ById::MAX_MESSAGE_SIZE), 5000);
        assert_eq!(channel.lib.send_binary(channel.id, &bytes(5001)), INVALID);
    }
    connected.near.send_binary(&bytes(5000));
    assert_eq!(connected.far.wait_messages(1)[0].bytes().len(), 5000);
}

fn back_pressure(a: Lib, b: Lib) {
    let pair = pair(a, b);
    pair.b.inbox.adopt(&[Slot::Open, Slot::Closed]);
    let connected = Connected::over(pair);
    let count = 4000u32;
    for n in 0..count {
        let mut data = bytes(1000);
        data[..4].copy_from_slice(&n.to_be_bytes());
        connected.near.send_binary(&data);
    }
    let mut buffer = vec![0; 2000];
    for n in 0..count {
        crate::peer::eventually("the next message", || {
            b.receive(connected.far.id, Some(&mut buffer), 2000) == Received(OK, 1000)
        });
        assert_eq!(buffer[..4], n.to_be_bytes());
    }
}

fn highest_stream(a: Lib, b: Lib) {
    let connected = Connected::over(pair(a, b));
    let highest = |peer: &Peer| peer.lib.by_id(ById::MAX_STREAM, peer.id);
    assert_eq!(highest(&connected.a), highest(&connected.b));
    assert!((1023..=65_534).contains(&highest(&connected.a)));
}

fn beyond_streams(a: Lib, b: Lib) {
    let pair = pair(a, b);
    let init = Init { negotiated: true, stream: Some(60_000), ..Init::default() };
    let id = a.create_dc_ex(pair.a.id, Some(c"beyond"), Some(&init));
    if id == INVALID {
        crate::outcome::skip("the offering library takes no such stream");
    }
    let beyond = Channel::attach(a, id, &pair.a.inbox);
    beyond.listen(Slot::CHANNEL);
    let connected = Connected::over(pair);
    let highest = a.by_id(ById::MAX_STREAM, connected.a.id);
    beyond.wait_until("a decision", |channel| channel.is_open() || channel.is_closed());
    assert_eq!(beyond.is_open(), highest >= 60_000, "the highest stream is {highest}");
    greet(&connected.near, &connected.far);
}

/// Only for two libraries: in one, both sides would be destroyed.
fn cleanup_tells(a: Lib, b: Lib) {
    if std::ptr::eq(a, b) {
        crate::outcome::skip("RTC_PEER_LIB names no second library");
    }
    let (cleaner, ending) = match (a.table.rtcCleanupNow, b.table.rtcCleanupNow) {
        (Some(_), _) => (a, true),
        (None, Some(_)) => (b, false),
        (None, None) => crate::outcome::skip("rtcCleanupNow is in neither library"),
    };
    let connected = Connected::over(pair(a, b));
    let (gone, gone_peer, left, left_peer) = if ending {
        (&connected.near, &connected.a, &connected.far, &connected.b)
    } else {
        (&connected.far, &connected.b, &connected.near, &connected.a)
    };
    gone.disown();
    gone_peer.disown();
    cleaner.cleanup_now(10_000);
    left.wait_closed();
    left_peer.wait_state(State::Closed);
    assert!(!left_peer.states().contains(&State::Failed), "{:?}", left_peer.states());
}
