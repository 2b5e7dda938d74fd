//! Tracks: descriptions, negotiation, packets both ways, closing. Where two libraries take part,
//! the library under test is on either side, as in `pairs`.

use super::Case;
use crate::ffi::*;
use crate::inbox::{Event, QUIET};
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Pair, Peer, Signalling, eventually};

macro_rules! both_ways {
    ($($name:literal => $test:path),* $(,)?) => {
        vec![$(
            Case::new(concat!($name, ", the library offering"), |lab: &Lab| {
                $test(lab.lib, lab.partner())
            }),
            Case::new(concat!($name, ", the library answering"), |lab: &Lab| {
                $test(lab.other(), lab.lib)
            }),
        )*]
    };
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = both_ways![
        "packets cross in both directions" => packets,
        "streams of two tracks do not mix" => two_tracks,
        "a track beside a data channel works" => beside_a_channel,
    ];
    cases.extend([
        Case::new("a track is described as it was made", described),
        Case::new("G722 is audio", g722).fixes("B-22"),
        Case::new("codes of what a track cannot send", refused),
        Case::new("a packet that no datagram holds is refused", oversized)
            .fixes("oversized packets"),
        Case::new("directions are kept", directions),
        Case::new("a mid names one track", same_mid),
        Case::new("an answer repeats no stream of the offerer", simulcast).fixes("B-11"),
        Case::new("static payload types need no map", static_types).fixes("B-15"),
        Case::new("retransmission formats are kept", rtx),
        Case::new("the queue of a track can be looked at", peek).fixes("B-7"),
        Case::new("a closed track stays closed", closed),
        Case::new("packets of a closed track reach no other", closed_alone),
        Case::new("closing a track asks for negotiation", closing_asks),
        Case::new("a track added to a connection without media opens", late).fixes("media later"),
        Case::new("a removed track is closed on both sides", removed).fixes("B-8"),
        Case::new("tracks of an offer that is rolled back are gone", rolled_back)
            .fixes("rollback of a remote offer"),
        Case::new("packets that no description announces find their track", unannounced)
            .fixes("B-23"),
        Case::new("streams named by RID find their track", simulcast_streams).fixes("B-23"),
        Case::new("the track callback may negotiate", negotiating).fixes("B-3"),
        Case::new("closing a connection with media only is told", goodbye).fixes("B-29"),
    ]);
    cases
}

pub(super) const VIDEO: &str = "video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=sendrecv\r\n\
     a=rtpmap:96 VP8/90000\r\na=ssrc:42 cname:us\r\n";
pub(super) const AUDIO: &str = "audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:a\r\na=sendrecv\r\n\
     a=rtpmap:111 opus/48000/2\r\na=ssrc:43 cname:us\r\n";
const MID: &str = "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";

pub(super) fn pair(a: Lib, b: Lib) -> Pair {
    Pair::of(Peer::new(a), Peer::new(b), Signalling::Trickle)
}

/// Two peers with one track, open on both sides.
pub(super) struct Linked {
    pub(super) near: Channel,
    pub(super) far: Channel,
    pub(super) pair: Pair,
}

impl Linked {
    pub(super) fn new(a: Lib, b: Lib, description: &str) -> Self {
        let pair = pair(a, b);
        let near = pair.a.track(description);
        pair.a.set_local("offer");
        let far = pair.b.incoming_track(0);
        pair.wait_connected();
        near.wait_open();
        far.wait_open();
        Self { near, far, pair }
    }
}

/// Has the first peer offer these tracks; both ends of them, once they are open.
pub(super) fn open_tracks<const N: usize>(
    pair: &Pair,
    descriptions: [impl AsRef<str>; N],
) -> ([Channel; N], [Channel; N]) {
    let near = descriptions.map(|description| pair.a.track(description.as_ref()));
    pair.a.set_local("offer");
    let far = std::array::from_fn(|n| pair.b.incoming_track(n));
    for track in near.iter().chain(&far) {
        track.wait_open();
    }
    (near, far)
}

/// An RTP packet with that payload type, sequence number and SSRC, and so many bytes of payload.
pub(super) fn rtp(payload_type: u8, sequence: u16, ssrc: u32, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(1000u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..payload).map(|n| n as u8));
    packet
}

/// A receiver report without blocks.
pub(super) fn receiver_report(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
}

/// Sends packets and waits until all have come.
pub(super) fn cross(from: &Channel, to: &Channel, packets: &[Vec<u8>]) {
    let before = to.messages().len();
    for packet in packets {
        from.send_binary(packet);
    }
    let received = to.wait_messages(before + packets.len());
    let mut rows = Rows::new();
    for (n, packet) in packets.iter().enumerate() {
        let found = received[before..].iter().any(|message| message.bytes() == packet);
        rows.holds(format!("packet {n} of {} bytes", packet.len()), found);
    }
}

fn packets(a: Lib, b: Lib) {
    let linked = Linked::new(a, b, VIDEO);
    let sent = |ssrc| {
        let mut packets: Vec<_> = (0..20).map(|n| rtp(96, n, ssrc, 60 * usize::from(n))).collect();
        packets.push(receiver_report(ssrc));
        packets
    };
    cross(&linked.near, &linked.far, &sent(42));
    cross(&linked.far, &linked.near, &sent(45));
}

fn two_tracks(a: Lib, b: Lib) {
    let pair = pair(a, b);
    let ([audio, video], [first, second]) = open_tracks(&pair, [AUDIO, VIDEO]);
    for (from, to, payload_type, ssrc) in [(&audio, &first, 111, 43), (&video, &second, 96, 42)] {
        let packets: Vec<_> = (0..10).map(|n| rtp(payload_type, n, ssrc, 100)).collect();
        cross(from, to, &packets);
    }
    std::thread::sleep(QUIET);
    assert_eq!((first.messages().len(), second.messages().len()), (10, 10));
}

fn beside_a_channel(a: Lib, b: Lib) {
    let pair = pair(a, b);
    let track = pair.a.track(VIDEO);
    let (near, far) = pair.open("beside");
    let other = pair.b.incoming_track(0);
    track.wait_open();
    other.wait_open();
    cross(&track, &other, &[rtp(96, 1, 42, 1000)]);
    near.send_text(c"and text");
    far.wait_messages(1);
}

fn described(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let make = |codec, direction, name: Option<&std::ffi::CStr>| {
        let texts = [Some(c"m"), name, name, None, None];
        lab.lib.add_track_ex(peer.id, (direction, codec, 96, 42), texts)
    };
    let mut rows = Rows::new();
    let h264 = make(0, 1, Some(c"n"));
    rows.equal(
        "H264",
        lab.lib.string(Getter::TRACK_DESCRIPTION, h264).unwrap_or_default(),
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:m\r\na=sendonly\r\n\
         a=ssrc:42 cname:n\r\na=ssrc:42 msid:n n\r\na=msid:n n\r\na=rtcp-mux\r\n\
         a=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n\
         a=rtcp-fb:96 goog-remb\r\n"
            .into(),
    );
    for (codec, map) in [
        (1, "VP8/90000"),
        (2, "VP9/90000"),
        (3, "H265/90000"),
        (4, "AV1/90000"),
        (128, "opus/48000/2"),
        (129, "PCMU/8000/1"),
        (130, "PCMA/8000/1"),
        (131, "MP4A-LATM/48000/2"),
        (132, "G722/8000/1"),
    ] {
        let peer = Peer::new(lab.lib);
        let texts = [Some(c"m"), None, None, None, None];
        let id = lab.lib.add_track_ex(peer.id, (3, codec, 96, 42), texts);
        let text = lab.lib.string(Getter::TRACK_DESCRIPTION, id).unwrap_or_default();
        rows.holds(format!("{map} in {text:?}"), text.contains(&format!("a=rtpmap:96 {map}\r\n")));
        rows.holds(format!("{map} sendrecv"), text.contains("a=sendrecv\r\n"));
        rows.code(format!("{map} direction"), lab.lib.direction(id), 3);
        rows.equal(map, lab.lib.string(Getter::TRACK_MID, id), Ok("m".into()));
    }
    rows.code("no such codec", make(99, 1, None), INVALID);
}

fn g722(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let id = lab.lib.add_track_ex(peer.id, (1, 132, 9, 1), [None; 5]);
    assert_eq!(lab.lib.string(Getter::TRACK_MID, id), Ok("audio".into()));
}

fn refused(lab: &Lab) {
    let pair = pair(lab.lib, lab.partner());
    let near = pair.a.track(VIDEO);
    let lib = lab.lib;
    let mut rows = Rows::new();
    rows.code("before it is open", lib.send_binary(near.id, &rtp(96, 1, 42, 10)), FAILURE);
    rows.equal("it is not open", near.is_open(), false);
    pair.a.set_local("offer");
    near.wait_open();
    rows.code("a runt", lib.send_binary(near.id, &[0x80; 11]), FAILURE);
    rows.code("NULL", lib.send_raw(near.id, None, 1), INVALID);
    rows.code("no bytes", lib.send_binary(near.id, &[]), FAILURE);
    rows.code("a packet", lib.send_binary(near.id, &rtp(96, 1, 42, 10)), OK);
    rows.equal("nothing is buffered", near.by_id(ById::BUFFERED_AMOUNT), 0);
    rows.equal("what fits", near.by_id(ById::MAX_MESSAGE_SIZE), 1220);
    near.by_id(ById::CLOSE);
    rows.code("once closed", lib.send_binary(near.id, &rtp(96, 2, 42, 10)), FAILURE);
    rows.equal("it is closed", near.is_closed(), true);
}

fn oversized(lab: &Lab) {
    let linked = Linked::new(lab.lib, lab.partner(), VIDEO);
    let send = |sequence, bytes: usize| {
        lab.lib.send_binary(linked.near.id, &rtp(96, sequence, 42, bytes - 12))
    };
    let mut rows = Rows::new();
    rows.code("more than a datagram holds", send(1, 66_000), FAILURE);
    rows.code("more than one holds when protected", send(2, 65_001), FAILURE);
    rows.code("a packet", send(3, 1000), OK);
    let came: Vec<_> = linked.far.wait_messages(1).iter().map(|m| m.bytes().len()).collect();
    rows.equal("what came", came, vec![1000]);
}

fn directions(lab: &Lab) {
    let linked = Linked::new(lab.lib, lab.partner(), &VIDEO.replace("sendrecv", "sendonly"));
    let (near, far) = (&linked.near, &linked.far);
    assert_eq!(lab.lib.direction(near.id), 1);
    assert_eq!(lab.partner().direction(far.id), 2);
    let code = lab.partner().send_binary(far.id, &rtp(96, 1, 9, 10));
    assert_eq!(code, OK, "what the direction forbids is dropped");
    cross(near, far, &[rtp(96, 1, 42, 10)]);
    // Feedback goes either way; the packet before it does not.
    cross(far, near, &[receiver_report(9)]);
    assert_eq!(near.messages().len(), 1);
}

fn same_mid(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let (first, second) = (peer.track(VIDEO), peer.track(&VIDEO.replace("42", "44")));
    assert_ne!(first.id, second.id);
    let text = lab.lib.string(Getter::TRACK_DESCRIPTION, first.id).unwrap_or_default();
    assert!(text.contains("a=ssrc:44"), "{text}");
    second.by_id(ById::CLOSE);
    assert!(first.is_closed());
}

fn peek(lab: &Lab) {
    let linked = Linked::new(lab.partner(), lab.lib, VIDEO);
    let far = &linked.far;
    lab.lib.listen(Slot::Message, far.id, false);
    linked.near.send_binary(&rtp(96, 1, 42, 100));
    far.wait_until("a packet", |far| far.by_id(ById::AVAILABLE_AMOUNT) == 112);
    let mut rows = Rows::new();
    let mut buffer = [0; 200];
    for _ in 0..2 {
        rows.equal("peek", lab.lib.receive(far.id, None, 0), Received(OK, 112));
    }
    let small = lab.lib.receive(far.id, Some(&mut buffer[..20]), 20);
    rows.equal("too small", small, Received(TOO_SMALL, 112));
    let taken = lab.lib.receive(far.id, Some(&mut buffer), 200);
    rows.equal("take", taken, Received(OK, 112));
    rows.holds("the packet", buffer[..112] == rtp(96, 1, 42, 100));
}

fn closed(lab: &Lab) {
    let linked = Linked::new(lab.lib, lab.partner(), VIDEO);
    assert_eq!(linked.near.by_id(ById::CLOSE), OK);
    // The callback ran in the call.
    assert_eq!(linked.near.count(&Event::Closed), 1);
    assert_eq!(linked.near.by_id(ById::CLOSE), OK);
    assert_eq!(linked.near.count(&Event::Closed), 1);
    assert!(!linked.near.is_open());
}

fn closed_alone(lab: &Lab) {
    let pair = pair(lab.partner(), lab.lib);
    let (near, far) = open_tracks(&pair, [AUDIO, VIDEO]);
    cross(&near[0], &far[0], &[rtp(111, 1, 43, 10)]);
    cross(&near[1], &far[1], &[rtp(96, 1, 42, 10)]);
    assert_eq!(far[1].by_id(ById::CLOSE), OK);
    // The peer has not been told, and goes on. What it sends last shows that the rest has come.
    for sequence in 2..12 {
        near[1].send_binary(&rtp(96, sequence, 42, 10));
        near[1].send_binary(&rtp(96, sequence, 4200, 10));
        near[1].send_binary(&receiver_report(42));
    }
    cross(&near[0], &far[0], &[rtp(111, 2, 43, 10)]);
    std::thread::sleep(QUIET);
    assert_eq!((far[0].messages().len(), far[1].messages().len()), (2, 1));
}

fn closing_asks(lab: &Lab) {
    let linked = Linked::new(lab.lib, lab.lib, VIDEO);
    let is_needed = || lab.lib.test(Predicate::NEGOTIATION_NEEDED, linked.pair.a.id);
    eventually("agreement", || !is_needed());
    linked.near.by_id(ById::CLOSE);
    assert!(is_needed());
}

fn late(lab: &Lab) {
    let pair = pair(lab.lib, lab.lib);
    let _channel = pair.open("first");
    pair.wait_connected();
    let near = pair.a.track(VIDEO);
    assert!(lab.lib.test(Predicate::NEGOTIATION_NEEDED, pair.a.id));
    pair.a.set_local("offer");
    let far = pair.b.incoming_track(0);
    near.wait_open();
    far.wait_open();
    cross(&near, &far, &[rtp(96, 1, 42, 10)]);
}

fn removed(lab: &Lab) {
    let pair = pair(lab.lib, lab.lib);
    let (audio, video) = (pair.a.track(AUDIO), pair.a.track(VIDEO));
    pair.a.set_local("offer");
    let (_first, second) = (pair.b.incoming_track(0), pair.b.incoming_track(1));
    audio.wait_open();
    second.wait_open();
    video.by_id(ById::CLOSE);
    pair.a.set_local("offer");
    second.wait_closed();
    eventually("the answer", || {
        let local = pair.b.string(Getter::LOCAL_DESCRIPTION).unwrap_or_default();
        local.contains("m=video 0 ")
    });
    eventually("agreement", || !lab.lib.test(Predicate::NEGOTIATION_NEEDED, pair.a.id));
}

fn rolled_back(lab: &Lab) {
    let (a, b) = (Peer::manual(lab.lib), Peer::manual(lab.lib));
    let near = a.track(VIDEO);
    assert_eq!(a.set_local("offer"), OK);
    a.wait_gathered();
    let offer = a.string(Getter::LOCAL_DESCRIPTION).expect("an offer");
    let mut rows = Rows::new();
    rows.code("an offer", b.set_remote(&offer, "offer"), OK);
    let dropped = b.incoming_track(0);
    rows.code("taken back", b.set_remote(&offer, "rollback"), OK);
    b.wait_signaling(Signaling::Stable);
    dropped.wait_closed();
    rows.equal("it is closed", dropped.is_closed(), true);
    rows.equal("no description", b.string(Getter::REMOTE_DESCRIPTION), Err(NOT_AVAIL));
    let channel = b.channel("x");
    let own = b.string(Getter::OFFER).unwrap_or_default();
    rows.holds("what we offer now", own.contains("m=application") && !own.contains("m=video"));
    channel.delete();

    // What the application describes anew is its own, and stays.
    rows.code("the offer again", b.set_remote(&offer, "offer"), OK);
    let found = b.incoming_track(1);
    let kept = b.track(VIDEO);
    rows.code("taken back again", b.set_remote(&offer, "rollback"), OK);
    rows.equal("it is open", kept.is_closed(), false);
    found.disown();
    rows.code("for the third time", b.set_remote(&offer, "offer"), OK);
    rows.code("the answer", b.set_local("answer"), OK);
    b.wait_gathered();
    let answer = b.string(Getter::LOCAL_DESCRIPTION).expect("an answer");
    rows.code("the answer for the offerer", a.set_remote(&answer, "answer"), OK);
    near.wait_open();
    kept.wait_open();
    cross(&near, &kept, &[rtp(96, 1, 42, 10)]);
}

fn unannounced(lab: &Lab) {
    let pair = pair(lab.lib, lab.lib);
    let with_mid = |description: &str| format!("{description}{MID}");
    // A second video track, so that its payload type tells nothing.
    let other = VIDEO.replace("mid:v", "mid:w").replace("42", "52");
    let descriptions = [AUDIO, VIDEO, &other].map(with_mid);
    let ([audio, video, other], far) = open_tracks(&pair, descriptions);
    cross(&audio, &far[0], &[rtp(111, 1, 7001, 10)]);
    let named = |mid: u8, ssrc: u32| {
        let mut packet = rtp(96, 1, ssrc, 0);
        packet[0] |= 0x10;
        packet.extend([0xbe, 0xde, 0, 1, 0x40, mid, 0, 0]);
        packet
    };
    cross(&video, &far[1], &[named(b'v', 7002)]);
    cross(&other, &far[2], &[named(b'w', 7003)]);
    // Once named, the stream is known.
    cross(&other, &far[2], &[rtp(96, 2, 7003, 10)]);
    // Nothing tells whose this is.
    video.send_binary(&rtp(96, 1, 7004, 10));
    std::thread::sleep(QUIET);
    let counts: Vec<_> = far.iter().map(|track| track.messages().len()).collect();
    assert_eq!(counts, [1, 1, 2]);
}

fn simulcast_streams(lab: &Lab) {
    const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
    const REPAIRED: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
    let pair = pair(lab.lib, lab.lib);
    let described = |mid: &str, rids: [&str; 2]| {
        let [low, high] = rids;
        format!(
            "video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\na=sendrecv\r\na=rtpmap:96 VP8/90000\r\n\
             a=extmap:5 {RID}\r\na=extmap:6 {REPAIRED}\r\na=rid:{low} send\r\n\
             a=rid:{high} send pt=96\r\na=rid:shared send\r\na=simulcast:send {low};{high}\r\n"
        )
    };
    let descriptions =
        [("v", ["lo", "hi"]), ("w", ["small", "large"])].map(|(mid, rids)| described(mid, rids));
    let (near, far) = open_tracks(&pair, descriptions);
    let named = |extension: u8, rid: &str, ssrc: u32| {
        let mut packet = rtp(96, 1, ssrc, 0);
        packet[0] |= 0x10;
        let mut block = vec![extension << 4 | (rid.len() as u8 - 1)];
        block.extend(rid.bytes());
        block.resize(block.len().next_multiple_of(4), 0);
        packet.extend([0xbe, 0xde, 0, (block.len() / 4) as u8]);
        packet.extend(block);
        packet
    };
    for (track, names) in [["lo", "hi"], ["small", "large"]].into_iter().enumerate() {
        for (stream, name) in (0u32..).zip(names) {
            let ssrc = 8000 + 100 * track as u32 + 10 * stream;
            cross(&near[track], &far[track], &[named(5, name, ssrc), rtp(96, 2, ssrc, 30)]);
            cross(&near[track], &far[track], &[named(6, name, ssrc + 1)]);
        }
    }
    // Both tracks have this one, and nobody that one.
    near[0].send_binary(&named(5, "shared", 9000));
    near[0].send_binary(&named(5, "nobody", 9001));
    std::thread::sleep(QUIET);
    assert_eq!([far[0].messages().len(), far[1].messages().len()], [6, 6]);
}

fn negotiating(lab: &Lab) {
    let pair = pair(lab.lib, lab.lib);
    let lib = lab.lib;
    let (id, done) = (pair.b.id, std::sync::Mutex::new(false));
    pair.b.inbox.hook(move |_, recorded| {
        if recorded.owner == id && matches!(recorded.event, Event::Track(_)) {
            let first = !std::mem::replace(&mut *done.lock().expect("no panic"), true);
            if first {
                assert!(lib.test(Predicate::NEGOTIATION_NEEDED, id));
                let code = lib.add_track(id, Some(c"audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:b\r\n"));
                assert!(code > 0, "rtcAddTrack in the callback: {}", code_name(code));
                assert_eq!(lib.set_local_description(id, Some(c"answer")), OK);
            }
        }
    });
    let near = pair.a.track(VIDEO);
    pair.a.set_local("offer");
    near.wait_open();
    // What was added in the callback is offered as soon as the first exchange is over.
    let added = pair.a.incoming_track(0);
    added.wait_open();
    assert_eq!(lib.string(Getter::TRACK_MID, added.id), Ok("b".into()));
}

fn goodbye(lab: &Lab) {
    let linked = Linked::new(lab.lib, lab.partner(), VIDEO);
    let before = std::time::Instant::now();
    linked.pair.a.close();
    linked.pair.b.wait_state(State::Closed);
    linked.far.wait_closed();
    assert!(before.elapsed().as_secs() < 5, "told after {:?}", before.elapsed());
}

/// What the library answers to an offer of one section.
fn answer_to(lab: &Lab, description: &str) -> (Peer, String) {
    let (offerer, answerer) = (Peer::manual(lab.lib), Peer::manual(lab.lib));
    let _track = offerer.track(description);
    let offer = offerer.describe("offer");
    assert_eq!(answerer.set_remote(&offer, "offer"), OK, "{offer}");
    let answer = answerer.describe("answer");
    (answerer, answer)
}

fn simulcast(lab: &Lab) {
    let streams = ["a=rid:lo send", "a=rid:hi send", "a=simulcast:send lo;hi", "a=msid:s t"];
    let description = format!("{VIDEO}{}\r\n", streams.join("\r\n"));
    let (answerer, answer) = answer_to(lab, &description);
    let remote = answerer.string(Getter::REMOTE_DESCRIPTION).unwrap_or_default();
    let mut rows = Rows::new();
    for line in streams {
        rows.holds(format!("{line} is kept"), remote.contains(line));
        rows.holds(format!("{line} is not repeated"), !answer.contains(line));
    }
    rows.holds("no SSRC is repeated", !answer.contains("a=ssrc"));
}

fn static_types(lab: &Lab) {
    let description = "audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:a\r\na=fmtp:0 x=1\r\n";
    let (_answerer, answer) = answer_to(lab, description);
    assert!(answer.contains("m=audio ") && !answer.contains("a=rtpmap:0 /0"), "{answer}");
}

fn rtx(lab: &Lab) {
    let lines = ["a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"];
    let description = VIDEO.replace("SAVPF 96", "SAVPF 96 97") + &lines.join("\r\n") + "\r\n";
    let (answerer, answer) = answer_to(lab, &description);
    let mut rows = Rows::new();
    rows.holds("the formats", answer.contains("UDP/TLS/RTP/SAVPF 96 97\r\n"));
    for line in lines {
        rows.holds(line, answer.contains(line));
    }
    let track = answerer.incoming_track(0);
    rows.equal("of the codec", lab.lib.payload_types_of(track.id, c"rtx"), vec![97]);
}
