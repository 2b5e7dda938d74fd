//! Messages and channels: sizes, kinds, streams, reliability.

use super::Case;
use crate::ffi::*;
use crate::inbox::{Event, Message};
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Connected, Pair, Peer, c, eventually};
use crate::sdp;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("text, binary and empty messages arrive as they were sent", kinds),
        Case::new("any negative size means text and any text is terminated", negative_sizes),
        Case::new("messages of every magnitude arrive whole", magnitudes).limit(120),
        Case::new("a message above the limit is invalid and harms nothing", too_large),
        Case::new("the smaller of both limits counts", smaller_limit),
        Case::new("a message of five megabytes arrives whole", very_large).limit(180),
        Case::new("a large message keeps no small one of another channel waiting", overtaking)
            .fixes("large messages")
            .limit(180),
        Case::new("an oversized message is cut or ends the channel", oversized),
        Case::new("sending before the channel is open is a failure", send_too_early),
        Case::new("sending after closing is a failure", send_too_late),
        Case::new("an ordered channel keeps the order of thousands", keeps_order),
        Case::new("both directions flow at the same time", both_directions).limit(120),
        Case::new("reliability is read back in its normal form on both sides", reliability),
        Case::new("unordered and unreliable channels carry messages", loose_channels),
        Case::new("the active side takes even streams and the passive side odd ones", parity),
        Case::new("streams are given in order, the lowest first", lowest_first),
        Case::new("a stream chosen by hand is used", manual_stream),
        Case::new("a stream beyond 65534 is invalid", stream_range),
        Case::new("streams up to 65534 can be asked for", high_streams).fixes("streams to 65534"),
        Case::new("the same stream cannot be used twice", same_stream).fixes("B-17"),
        Case::new("negotiated channels open on both sides without being announced", negotiated),
        Case::new("a negotiated channel after connecting opens at once", negotiated_late),
        Case::new("a negotiated channel without a stream is given one", negotiated_automatic),
        Case::new("an announced stream of the wrong parity is closed", wrong_parity),
        Case::new("labels beyond 65535 bytes are refused", long_label),
        Case::new("hundreds of channels open", many_channels).limit(120),
        Case::new("more channels than streams: each opens or closes", too_many)
            .fixes("B-50")
            .limit(120),
        Case::new("channels can be opened by the answering side", answerer_opens),
        Case::new("the limit before connecting is 65536", limits),
        Case::new("the open callback may send", send_from_open),
        Case::new("the message callback may send", echo_from_callback),
        Case::new("many threads may send on one channel", many_senders),
        Case::new("no message comes before open", open_first),
    ]
}

fn kinds(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let all: Vec<u8> = (0..=255).collect();
    for (from, to) in [(&connected.near, &connected.far), (&connected.far, &connected.near)] {
        from.send_text(c"text");
        from.send_binary(b"binary");
        from.send_text(c"");
        from.send_binary(b"");
        assert_eq!(lab.lib.send_raw(from.id, None, 0), OK, "NULL of size 0");
        from.send_binary(&all);
        from.send_binary(b"text\0");
        from.send_text(&c("üñí 日本 🦀"));
        let expected = [
            Message::text("text"),
            Message::Binary(b"binary".to_vec()),
            Message::text(""),
            Message::Binary(Vec::new()),
            Message::Binary(Vec::new()),
            Message::Binary(all.clone()),
            Message::Binary(b"text\0".to_vec()),
            Message::text("üñí 日本 🦀"),
        ];
        assert_eq!(to.wait_messages(expected.len()), expected);
    }
}

fn negative_sizes(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let sizes = [-1, -2, -100, i32::MIN];
    for size in sizes {
        let code = lab.lib.send_raw(connected.near.id, Some(b"words\0beyond"), size);
        assert_eq!(code, OK, "size {size}");
    }
    let messages = connected.far.wait_messages(sizes.len());
    assert_eq!(messages, vec![Message::text("words"); sizes.len()]);
}

/// Bytes that show any displacement.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

fn magnitudes(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let sizes = [
        1, 2, 3, 4, 5, 7, 8, 15, 16, 100, 1000, 1023, 1024, 1100, 1171, 1172, 1173, 1199, 1200,
        1280, 1500, 2000, 4095, 4096, 4097, 10_000, 16_384, 65_535, 65_536, 65_537, 131_072,
        200_000, 262_143, 262_144,
    ];
    for size in sizes {
        connected.near.send_binary(&pattern(size));
    }
    let messages = connected.far.wait_messages(sizes.len());
    let mut rows = Rows::new();
    for (message, size) in messages.iter().zip(sizes) {
        rows.holds(format!("{size} bytes: {message:?}"), message.bytes() == pattern(size));
    }
}

fn too_large(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let limit = connected.near.by_id(ById::MAX_MESSAGE_SIZE);
    assert_eq!(limit, 262_144);
    let mut rows = Rows::new();
    for size in [262_145, 300_000, 5_000_000] {
        let code = lab.lib.send_binary(connected.near.id, &vec![0; size]);
        rows.code(format!("{size} bytes"), code, INVALID);
    }
    rows.holds("still open", connected.near.is_open());
    connected.near.send_text(c"fine");
    rows.equal("what arrived", connected.far.wait_messages(1), vec![Message::text("fine")]);
}

fn smaller_limit(lab: &Lab) {
    let small = Config { max_message_size: 1000, ..Config::loopback() };
    let pair =
        Pair::of(Peer::new(lab.lib), Peer::with(lab.lib, &small), crate::peer::Signalling::Trickle);
    let (near, far) = pair.open("x");
    let mut rows = Rows::new();
    for (name, channel) in [("near", &near), ("far", &far)] {
        rows.equal(name, channel.by_id(ById::MAX_MESSAGE_SIZE), 1000);
        rows.code(name, lab.lib.send_binary(channel.id, &[0; 1001]), INVALID);
        rows.code(name, lab.lib.send_binary(channel.id, &[0; 1000]), OK);
    }
    rows.equal("arrived", far.wait_messages(1)[0].bytes().len(), 1000);
}

fn very_large(lab: &Lab) {
    let config = Config { max_message_size: 8 << 20, ..Config::loopback() };
    let pair = Pair::configured(lab.lib, &config);
    let (near, far) = pair.open("x");
    let data = pattern(5 << 20);
    near.send_binary(&data);
    assert!(far.wait_messages(1)[0].bytes() == data);
}

/// The sender may be held up between both messages until the large one has arrived, so once in
/// several times is enough.
fn overtaking(lab: &Lab) {
    let config = Config { max_message_size: 8 << 20, ..Config::loopback() };
    let pair = Pair::configured(lab.lib, &config);
    let ((large, far_large), (small, far_small)) = (pair.open("large"), pair.open("small"));
    let data = pattern(8 << 20);
    let overtakes = |round: usize| {
        large.send_binary(&data);
        small.send_text(c"small");
        let small = far_small.wait_messages(round).len() == round;
        let overtook = small && far_large.messages().len() < round;
        assert!(far_large.wait_messages(round)[round - 1].bytes() == data);
        overtook
    };
    assert!((1..=5).any(overtakes), "the large message came first every time");
}

fn oversized(lab: &Lab) {
    let small = Config { max_message_size: 100, manual: true, ..Config::loopback() };
    let (a, b) = (Peer::manual(lab.lib), Peer::with(lab.lib, &small));
    let near = a.channel("x");
    assert_eq!(b.set_remote(&a.describe("offer"), "offer"), OK);
    let answer = b.describe("answer");
    // The sender is told a limit its peer does not have.
    let bent = sdp::replaced(&answer, "a=max-message-size", "a=max-message-size:262144");
    assert_eq!(a.set_remote(&bent, "answer"), OK);
    a.wait_gathered();
    for (candidate, _) in a.candidates() {
        assert_eq!(b.add_candidate(&candidate), OK);
    }
    near.wait_open();
    let far = b.incoming(0);
    near.send_binary(&[7; 1000]);
    far.inbox.wait("a cut message or a closed channel", |r| match &r.event {
        Event::Closed if r.owner == far.id => Some(()),
        Event::Message(message) => {
            assert!(message.bytes().len() <= 100, "{message:?}");
            Some(())
        }
        _ => None,
    });
}

fn send_too_early(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let channel = peer.channel("x");
    let mut rows = Rows::new();
    rows.code("fresh", lab.lib.send_binary(channel.id, b"x"), FAILURE);
    peer.describe("offer");
    rows.code("with an offer", lab.lib.send_text(channel.id, c"x"), FAILURE);
    rows.equal("open", channel.is_open(), false);
    rows.equal("closed", channel.is_closed(), false);
    rows.equal("buffered", channel.by_id(ById::BUFFERED_AMOUNT), 0);
    rows.equal("available", channel.by_id(ById::AVAILABLE_AMOUNT), 0);
}

fn send_too_late(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    assert_eq!(connected.near.by_id(ById::CLOSE), OK);
    let mut rows = Rows::new();
    rows.code("near", lab.lib.send_binary(connected.near.id, b"x"), FAILURE);
    connected.far.wait_closed();
    rows.code("far", lab.lib.send_binary(connected.far.id, b"x"), FAILURE);
}

fn keeps_order(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let count = 3000u32;
    for n in 0..count {
        connected.near.send_binary(&n.to_be_bytes());
    }
    let messages = connected.far.wait_messages(count as usize);
    for (message, n) in messages.iter().zip(0..count) {
        assert_eq!(message.bytes(), n.to_be_bytes());
    }
}

fn both_directions(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (near, far) = (&connected.near, &connected.far);
    let data = pattern(10_000);
    let data = &data;
    std::thread::scope(|scope| {
        for channel in [near, far] {
            scope.spawn(move || (0..300).for_each(|_| channel.send_binary(data)));
        }
    });
    for channel in [near, far] {
        let messages = channel.wait_messages(300);
        assert!(messages.iter().all(|message| message.bytes() == data));
    }
}

fn shape(unordered: bool, unreliable: bool, time: u32, retransmits: u32) -> Reliability {
    Reliability { unordered, unreliable, max_packet_life_time: time, max_retransmits: retransmits }
}

fn reliability(lab: &Lab) {
    let table = [
        (shape(false, false, 0, 0), shape(false, false, 0, 0)),
        (shape(true, false, 0, 0), shape(true, false, 0, 0)),
        (shape(false, false, 100, 5), shape(false, false, 0, 0)),
        (shape(false, true, 0, 0), shape(false, true, 0, 0)),
        (shape(false, true, 0, 3), shape(false, true, 0, 3)),
        (shape(true, true, 0, 7), shape(true, true, 0, 7)),
        (shape(false, true, 500, 0), shape(false, true, 500, 0)),
        (shape(true, true, 500, 9), shape(true, true, 500, 0)),
    ];
    let connected = Connected::new(lab.lib);
    let mut rows = Rows::new();
    for (n, (asked, normal)) in table.into_iter().enumerate() {
        let init = Init { reliability: asked, ..Init::default() };
        let (near, far) = connected.open_with(&format!("c{n}"), &init);
        for (side, channel) in [("near", &near), ("far", &far)] {
            let mut found = shape(true, true, 77, 77);
            rows.code(
                "rtcGetDataChannelReliability",
                lab.lib.reliability(channel.id, Some(&mut found)),
                OK,
            );
            rows.equal(format!("{side}: {asked:?}"), found, normal);
        }
    }
}

fn loose_channels(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    for (n, reliability) in [
        shape(true, false, 0, 0),
        shape(false, true, 0, 0),
        shape(false, true, 0, 10),
        shape(false, true, 2000, 0),
        shape(true, true, 0, 0),
        shape(true, true, 2000, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let init = Init { reliability, ..Init::default() };
        let (near, far) = connected.open_with(&format!("c{n}"), &init);
        for value in 0..50u8 {
            near.send_binary(&[value; 500]);
        }
        let least = if reliability.unreliable { 1 } else { 50 };
        let messages = far.wait_messages(least);
        let whole = |message: &Message| {
            let bytes = message.bytes();
            bytes.len() == 500 && bytes.iter().all(|byte| *byte == bytes[0])
        };
        assert!(messages.iter().all(whole), "{reliability:?}");
    }
}

fn parity(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let far = connected.b.channel("from the answerer");
    far.wait_open();
    // The answerer is active and so the DTLS client (RFC 8832, section 6).
    assert_eq!(connected.near.stream() % 2, 1);
    assert_eq!(far.stream() % 2, 0);
    assert_eq!(connected.near.stream(), connected.far.stream());
    let opposite = connected.a.incoming_named("from the answerer");
    assert_eq!(opposite.stream(), far.stream());
}

fn lowest_first(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let early: Vec<_> = (0..3).map(|n| pair.a.channel(&format!("e{n}"))).collect();
    early.iter().for_each(Channel::wait_open);
    let late: Vec<_> = (0..3).map(|n| pair.a.channel(&format!("l{n}"))).collect();
    late.iter().for_each(Channel::wait_open);
    let streams: Vec<_> = early.iter().chain(&late).map(Channel::stream).collect();
    assert_eq!(streams, [1, 3, 5, 7, 9, 11]);
}

fn on_stream(stream: u16) -> Init {
    Init { stream: Some(stream), ..Init::default() }
}

fn manual_stream(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let early = pair.a.channel_with("early", &on_stream(31));
    assert_eq!(early.stream(), 31);
    early.wait_open();
    let late = pair.a.channel_with("late", &on_stream(1001));
    late.wait_open();
    assert_eq!(late.stream(), 1001);
    assert_eq!(pair.b.incoming_named("early").stream(), 31);
    let far = pair.b.incoming_named("late");
    assert_eq!(far.stream(), 1001);
    late.send_text(c"by hand");
    far.wait_messages(1);
}

fn stream_range(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let fresh = Peer::manual(lab.lib);
    let mut rows = Rows::new();
    for (name, pc) in [("fresh", fresh.id), ("connected", connected.a.id)] {
        let code = lab.lib.create_dc_ex(pc, Some(c"x"), Some(&on_stream(65_535)));
        rows.code(format!("{name}: 65535"), code, INVALID);
        let highest = lab.lib.by_id(ById::MAX_STREAM, pc);
        if name == "connected" && highest < 65_534 {
            let beyond = on_stream(highest as u16 + 1);
            let code = lab.lib.create_dc_ex(pc, Some(c"x"), Some(&beyond));
            rows.code(format!("{name}: beyond {highest}"), code, INVALID);
        }
    }
}

fn high_streams(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let mut rows = Rows::new();
    for stream in [1025, 40_001, 65_534] {
        let init = Init { negotiated: true, ..on_stream(stream) };
        let id = lab.lib.create_dc_ex(pair.a.id, Some(c"x"), Some(&init));
        rows.holds(format!("{stream} before connecting: {}", code_name(id)), id > 0);
    }
    let (near, _far) = pair.open("x");
    near.send_text(c"x");
}

fn same_stream(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let fresh = Peer::manual(lab.lib);
    let mut rows = Rows::new();
    for (name, pc) in [("fresh", fresh.id), ("connected", connected.a.id)] {
        let create = || lab.lib.create_dc_ex(pc, Some(c"x"), Some(&on_stream(101)));
        rows.holds(format!("{name}: the first"), create() > 0);
        rows.code(format!("{name}: the second"), create(), INVALID);
    }
    let used = connected.near.stream() as u16;
    let code = lab.lib.create_dc_ex(connected.a.id, Some(c"x"), Some(&on_stream(used)));
    rows.code("a stream given automatically", code, INVALID);
}

fn agreed(stream: u16) -> Init {
    Init { negotiated: true, ..on_stream(stream) }
}

fn announced(peer: &Peer) -> usize {
    let all = peer.inbox.all();
    all.iter().filter(|r| matches!(r.event, Event::DataChannel(_))).count()
}

fn negotiated(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let near = pair.a.channel_with("near name", &agreed(20));
    // Once it has answered, the other side needs no offer for its own channel.
    pair.b.wait_signaling(Signaling::Stable);
    let far = pair.b.channel_with("far name", &agreed(20));
    near.wait_open();
    far.wait_open();
    near.send_text(c"there");
    assert_eq!(far.wait_messages(1), [Message::text("there")]);
    far.send_binary(b"back");
    assert_eq!(near.wait_messages(1), [Message::Binary(b"back".to_vec())]);
    assert_eq!((near.stream(), far.stream()), (20, 20));
    assert_eq!(announced(&pair.a) + announced(&pair.b), 0);
}

fn negotiated_late(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let near = connected.a.channel_with("n", &agreed(40));
    near.wait_open();
    assert!(near.is_open());
    let far = connected.b.channel_with("f", &agreed(40));
    far.wait_open();
    near.send_text(c"there");
    assert_eq!(far.wait_messages(1), [Message::text("there")]);
    far.send_text(c"back");
    near.wait_messages(1);
    assert_eq!(announced(&connected.b), 1);
}

fn negotiated_automatic(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let init = Init { negotiated: true, ..Init::default() };
    let near = connected.a.channel_with("n", &init);
    near.wait_open();
    assert_eq!(near.stream(), 3);
}

fn wrong_parity(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let near = connected.a.channel_with("even", &on_stream(100));
    near.wait_closed();
    connected.near.send_text(c"unharmed");
    connected.far.wait_messages(1);
}

fn long_label(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let long = c(&"l".repeat(65_536));
    let mut rows = Rows::new();
    let code = lab.lib.create_dc(connected.a.id, Some(&long));
    rows.code("label", code, INVALID);
    let init = Init { protocol: Some(long.clone()), ..Init::default() };
    let code = lab.lib.create_dc_ex(connected.a.id, Some(c"x"), Some(&init));
    rows.code("protocol", code, INVALID);
    let (near, far) = connected.open("short");
    near.send_text(c"unharmed");
    far.wait_messages(1);
}

fn many_channels(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let before: Vec<_> = (0..100).map(|n| pair.a.channel(&format!("b{n}"))).collect();
    before.iter().for_each(Channel::wait_open);
    let after: Vec<_> = (0..100).map(|n| pair.a.channel(&format!("a{n}"))).collect();
    after.iter().for_each(Channel::wait_open);
    for (n, channel) in before.iter().chain(&after).enumerate() {
        channel.send_binary(&[n as u8]);
    }
    for n in 0..200 {
        let far = pair.b.incoming(n);
        let label = lab.lib.string(Getter::LABEL, far.id).expect("a label");
        let (group, place) = label.split_at(1);
        let place: u8 = place.parse().expect("a number");
        let expected = if group == "b" { place } else { place + 100 };
        assert_eq!(far.wait_messages(1)[0].bytes(), [expected], "channel {label}");
    }
}

fn too_many(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let mut channels = Vec::new();
    for n in 0..600 {
        let id = lab.lib.create_dc(pair.a.id, Some(&c(&format!("c{n}"))));
        // Refusing the channel at once is the clearest answer.
        assert!(id > 0 || (n >= 512 && id == FAILURE), "channel {n}: {}", code_name(id));
        if id > 0 {
            channels.push(Channel::attach(lab.lib, id, &pair.a.inbox));
        }
    }
    for channel in &channels {
        channel.wait_until("the channel to open or close", |channel| {
            channel.is_open() || channel.is_closed()
        });
    }
    let open = channels.iter().filter(|channel| channel.is_open()).count();
    assert!(open >= 512, "{open} open");
}

fn answerer_opens(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let near = connected.b.channel("back");
    near.wait_open();
    let far = connected.a.incoming_named("back");
    near.send_text(c"there");
    far.wait_messages(1);
    far.send_text(c"back");
    near.wait_messages(1);
}

fn limits(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let channel = peer.channel("x");
    assert_eq!(channel.by_id(ById::MAX_MESSAGE_SIZE), 65_536);
    assert_eq!(lab.lib.by_id(ById::REMOTE_MAX_MESSAGE_SIZE, peer.id), 65_536);
}

fn send_from_open(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    for peer in [&pair.a, &pair.b] {
        peer.inbox.hook(|inbox, recorded| {
            if recorded.event == Event::Open {
                assert_eq!(inbox.lib.send_text(recorded.owner, c"opened"), OK);
            }
        });
    }
    let (near, far) = pair.open("x");
    assert_eq!(near.wait_messages(1), [Message::text("opened")]);
    assert_eq!(far.wait_messages(1), [Message::text("opened")]);
}

fn echo_from_callback(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.b.inbox.hook(|inbox, recorded| {
        if let Event::Message(message) = &recorded.event {
            assert_eq!(inbox.lib.send_binary(recorded.owner, message.bytes()), OK);
        }
    });
    for size in [1, 10_000, 100_000] {
        connected.near.send_binary(&pattern(size));
    }
    let messages = connected.near.wait_messages(3);
    assert!(messages[2].bytes() == pattern(100_000));
    eventually("an empty buffer", || connected.far.by_id(ById::BUFFERED_AMOUNT) == 0);
}

fn many_senders(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let near = &connected.near;
    std::thread::scope(|scope| {
        for sender in 0..4u8 {
            scope.spawn(move || {
                for n in 0..200u8 {
                    let mut data = vec![sender; 3000];
                    data[0] = n;
                    near.send_binary(&data);
                }
            });
        }
    });
    let mut next = [0u8; 4];
    for message in connected.far.wait_messages(800) {
        let bytes = message.bytes();
        let sender = bytes[1];
        assert!(bytes[1..].iter().all(|byte| *byte == sender), "mixed messages");
        let expected = &mut next[usize::from(sender)];
        assert_eq!(bytes[0], *expected, "sender {sender} out of order");
        *expected += 1;
    }
}

fn open_first(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    for peer in [&pair.a, &pair.b] {
        peer.inbox.hook(|inbox, recorded| {
            if recorded.event == Event::Open {
                inbox.lib.send_text(recorded.owner, c"at once");
            }
        });
    }
    let near: Vec<_> = (0..30).map(|n| pair.a.channel(&n.to_string())).collect();
    for channel in &near {
        channel.wait_messages(1);
    }
    for n in 0..near.len() {
        pair.b.incoming(n).wait_messages(1);
    }
    for (peer, incoming) in [(&pair.a, false), (&pair.b, true)] {
        let all = peer.inbox.all();
        let place = |id, event: &dyn Fn(&Event) -> bool| {
            all.iter().position(|r| r.owner == id && event(&r.event))
        };
        for owner in all.iter().filter(|r| r.event == Event::Open).map(|r| r.owner) {
            let open = place(owner, &|event| *event == Event::Open);
            let message = place(owner, &|event| matches!(event, Event::Message(_)));
            assert!(open < message, "a message before open on id {owner}");
            let announced = place(peer.id, &|event| *event == Event::DataChannel(owner));
            assert!(!incoming || announced < open, "open before the channel {owner}");
        }
    }
}
