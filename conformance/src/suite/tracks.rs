//! Tracks: negotiation, packets both ways, closing. Every test is run with the library under test
//! on either side, as in `pairs`.

use super::Case;
use crate::ffi::*;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, Pair, Peer, Signalling};

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
    both_ways![
        "packets cross in both directions" => packets,
    ]
}

const VIDEO: &str = "video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=sendrecv\r\n\
     a=rtpmap:96 VP8/90000\r\na=ssrc:42 cname:us\r\n";

fn pair(a: Lib, b: Lib) -> Pair {
    Pair::of(Peer::new(a), Peer::new(b), Signalling::Trickle)
}

/// An RTP packet with that payload type, sequence number and SSRC, and so many bytes of payload.
fn rtp(payload_type: u8, sequence: u16, ssrc: u32, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(1000u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..payload).map(|n| n as u8));
    packet
}

/// A receiver report without blocks.
fn receiver_report(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
}

/// Sends packets until all have come: some are lost while the other side is still opening.
fn cross(from: &Channel, to: &Channel, packets: &[Vec<u8>]) {
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
    let pair = pair(a, b);
    let near = pair.a.track(VIDEO);
    pair.a.set_local("offer");
    let far = pair.b.incoming_track(0);
    pair.wait_connected();
    near.wait_open();
    far.wait_open();
    let sent = |ssrc| {
        let mut packets: Vec<_> = (0..20).map(|n| rtp(96, n, ssrc, 60 * usize::from(n))).collect();
        packets.push(receiver_report(ssrc));
        packets
    };
    cross(&near, &far, &sent(42));
    cross(&far, &near, &sent(43));
}
