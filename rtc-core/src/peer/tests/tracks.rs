//! Tracks of two cores: which packet is whose, what waits where, and what is dropped.

use std::sync::Arc;

use bytes::Bytes;
use rtc_media::{Codec, FrameInfo, RtpConfig, packetizer};

use super::dtls::MEDIA;
use super::network::{End, Link, Network};
use crate::channel::{Channel as _, Track};
use crate::config::{Configuration, RECEIVE_QUEUE_BYTES, RECEIVE_QUEUE_MESSAGES};
use crate::peer::Verdict;
use crate::peer::media::{MAX_PACKET, MAX_WAITING};
use crate::peer::routes::MAX_LEARNED;
use crate::peer::transport::TransmitBuffer;
use crate::sdp::{Direction, Media};

/// Identifiers of header extensions, as [`described`] maps them.
const MID: u8 = 4;
const RID: u8 = 5;

/// A section: its kind, payload type, mid, and more attributes.
fn described(kind: &str, payload_type: u8, mid: &str, attributes: &[&str]) -> Media {
    let codec = if kind == "audio" { "opus/48000/2" } else { "VP8/90000" };
    let mut text = format!(
        "{kind} 9 UDP/TLS/RTP/SAVPF {payload_type}\r\na=mid:{mid}\r\na=sendrecv\r\n\
         a=rtpmap:{payload_type} {codec}\r\n\
         a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
         a=extmap:{RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
    );
    for attribute in attributes {
        text += &format!("a={attribute}\r\n");
    }
    Media::parse(&text).unwrap()
}

fn audio() -> Media {
    described("audio", 111, "a", &["ssrc:1 cname:us"])
}

fn video() -> Media {
    described("video", 96, "v", &["ssrc:2 cname:us", "rid:lo send"])
}

/// Like [`video`] but for names: its payload type is the same.
fn other_video() -> Media {
    described("video", 96, "w", &["ssrc:3 cname:us", "rid:hi send"])
}

fn rtp(payload_type: u8, ssrc: u32) -> Vec<u8> {
    [&[0x80, payload_type, 0, 1, 0, 0, 3, 232][..], &ssrc.to_be_bytes(), b"payload"].concat()
}

/// An RTP packet with a header extension.
fn named(extension: u8, name: &str, payload_type: u8, ssrc: u32) -> Vec<u8> {
    let mut packet = rtp(payload_type, ssrc);
    packet[0] |= 0x10;
    let mut block = vec![extension << 4 | (name.len() as u8 - 1)];
    block.extend(name.bytes());
    block.resize(block.len().next_multiple_of(4), 0);
    let head = [0xbe, 0xde, 0, (block.len() / 4) as u8];
    packet.splice(12..12, [&head[..], &block].concat());
    packet
}

/// A receiver report without blocks.
fn receiver_report(ssrc: u32) -> Vec<u8> {
    [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
}

/// Two cores whose tracks are open.
struct Connected {
    network: Network,
    near: Vec<Arc<Track>>,
    far: Vec<Arc<Track>>,
}

impl Connected {
    fn new(sections: impl IntoIterator<Item = Media>) -> Self {
        let ends = ["a", "b"].map(|name| End::new(name, Configuration::default(), &MEDIA));
        let network = Network::of(ends, 1, Link { delay_ms: 1, ..Link::default() });
        let mut connected = Self { network, near: Vec::new(), far: Vec::new() };
        for section in sections {
            connected.add(section);
        }
        connected.network.connect();
        connected.network.run(1);
        connected.far = connected.network.ends[1].core.tracks();
        for track in connected.near.iter().chain(&connected.far) {
            assert!(track.is_open(), "{track:?}");
        }
        connected
    }

    fn add(&mut self, section: Media) {
        self.near.push(self.network.ends[0].core.add_track(section).unwrap());
    }

    /// Gives a packet to the far core, as if SRTP had opened it; the tracks that it reaches.
    fn reached(&mut self, packet: &[u8]) -> Vec<usize> {
        let now = self.network.instant();
        self.network.ends[1].core.deliver_media(now, packet);
        let got = |track: &Arc<Track>| {
            let packets: Vec<_> = std::iter::from_fn(|| track.receive()).collect();
            assert!(packets.iter().all(|message| message.data == packet), "{packets:?}");
            !packets.is_empty()
        };
        (0..).zip(&self.far).filter(|(_, track)| got(track)).map(|(n, _)| n).collect()
    }

    fn send(&mut self, track: usize, packet: impl Into<Bytes>) -> crate::Result<()> {
        let now = self.network.instant();
        self.network.ends[0].core.send_media(now, &self.near[track], packet.into())
    }

    /// What an end has dropped: datagrams, media.
    fn dropped(&self, end: usize) -> (u64, u64) {
        let metrics = self.network.ends[end].core.transport_metrics();
        (metrics.dropped_datagrams, metrics.dropped_media)
    }
}

#[test]
fn a_packet_crosses_to_its_track_alone() {
    let mut connected = Connected::new([audio(), video()]);
    for (track, payload_type, ssrc) in [(0, 111, 1), (1, 96, 2), (0, 111, 70), (1, 96, 71)] {
        let packet = rtp(payload_type, ssrc);
        connected.send(track, packet.clone()).unwrap();
        connected.network.run(1);
        assert_eq!(connected.far[track].receive().unwrap().data, packet, "{ssrc}");
        assert!(connected.far.iter().all(|track| track.receive().is_none()), "{ssrc}");
    }
    assert_eq!((connected.dropped(0), connected.dropped(1)), ((0, 0), (0, 0)));
}

#[test]
fn a_packet_is_the_tracks_that_its_header_tells() {
    let mut connected = Connected::new([audio(), video(), other_video()]);
    let rows: [(&str, Vec<u8>, &[usize]); 23] = [
        ("an SSRC that is announced", rtp(111, 1), &[0]),
        ("the next one", rtp(96, 2), &[1]),
        ("the last one", rtp(96, 3), &[2]),
        ("a payload type that one track has", rtp(111, 100), &[0]),
        ("a payload type that two have", rtp(96, 101), &[]),
        ("a payload type that none has", rtp(97, 102), &[]),
        ("a RID", named(RID, "lo", 96, 103), &[1]),
        ("the stream of that RID", rtp(96, 103), &[1]),
        ("a RID that none has", named(RID, "no", 96, 104), &[]),
        ("a MID", named(MID, "w", 96, 105), &[2]),
        ("the stream of that MID", rtp(96, 105), &[2]),
        ("a MID and the payload type of another", named(MID, "w", 111, 106), &[2]),
        ("a stream moves to another MID", named(MID, "v", 96, 105), &[1]),
        ("and stays there", rtp(96, 105), &[1]),
        ("an announced stream moves", named(MID, "w", 96, 2), &[2]),
        ("and stays", rtp(96, 2), &[2]),
        ("a MID that none has", named(MID, "x", 111, 107), &[]),
        ("a MID that none has in a known stream", named(MID, "x", 111, 1), &[]),
        ("which is still known", rtp(111, 1), &[0]),
        ("an extension cut short", named(MID, "w", 96, 3)[..14].to_vec(), &[2]),
        ("a report", receiver_report(3), &[2]),
        ("a report on a stream that moved", receiver_report(105), &[1]),
        ("a report on an unknown stream", receiver_report(108), &[]),
    ];
    let mut lost = 0;
    for (what, packet, tracks) in rows {
        assert_eq!(connected.reached(&packet), tracks, "{what}");
        lost += u64::from(tracks.is_empty());
        assert_eq!(connected.dropped(1), (0, lost), "{what}");
    }

    // What the peer says anew goes before what its packets told.
    connected.network.negotiate();
    assert_eq!(connected.reached(&rtp(96, 2)), [1]);
    assert_eq!(connected.reached(&rtp(96, 105)), [1], "nothing was said of this one");
}

#[test]
fn what_we_send_does_not_move_what_we_receive() {
    let mut connected = Connected::new([video(), other_video()]);
    let now = connected.network.instant();
    // As an application does that sends the peer's stream back in another track.
    let echo = connected.far[1].clone();
    connected.network.ends[1].core.send_media(now, &echo, rtp(96, 2).into()).unwrap();
    assert_eq!(connected.reached(&rtp(96, 2)), [0]);
    assert_eq!(connected.reached(&receiver_report(2)), [0, 1]);
}

#[test]
fn packets_of_a_closed_track_reach_no_other() {
    let streams = [rtp(96, 2), rtp(96, 70), named(MID, "v", 96, 71), rtp(96, 71)];
    for other in [audio(), other_video()] {
        let mut connected = Connected::new([video(), other]);
        assert_eq!(connected.reached(&named(MID, "v", 96, 70)), [0]);
        let closed = connected.far[0].clone();
        assert!(connected.network.ends[1].core.close_track(&closed));
        let mut lost = 0;
        let mut check = |connected: &mut Connected, when: &str| {
            for packet in &streams {
                assert_eq!(connected.reached(packet), [], "{when}: {packet:?}");
                lost += 1;
            }
            assert_eq!(connected.reached(&receiver_report(2)), [], "{when}");
            lost += 1;
            assert_eq!(connected.dropped(1), (0, lost), "{when}");
        };
        check(&mut connected, "closed");
        // Our answer says so; the peer's next offer agrees.
        connected.network.negotiate();
        check(&mut connected, "answered");
        connected.network.negotiate();
        assert_eq!(connected.network.ends[1].core.tracks().len(), 1);
        assert_eq!(connected.reached(&named(MID, "v", 96, 72)), [], "removed");
        assert_eq!(connected.reached(&named(MID, connected.far[1].clone().mid(), 96, 72)), [1]);
    }
}

#[test]
fn a_single_track_takes_all_packets_until_it_is_closed() {
    let mut connected = Connected::new([video()]);
    for packet in [rtp(96, 2), rtp(97, 70), named(MID, "x", 96, 71), receiver_report(72)] {
        assert_eq!(connected.reached(&packet), [0], "{packet:?}");
    }
    // Another one takes nothing from it.
    connected.add(other_video());
    connected.network.negotiate();
    connected.network.run(1);
    connected.far = connected.network.ends[1].core.tracks();
    for (packet, tracks) in
        [(rtp(97, 70), &[0][..]), (rtp(96, 71), &[0]), (rtp(96, 3), &[1]), (rtp(96, 73), &[])]
    {
        assert_eq!(connected.reached(&packet), tracks, "{packet:?}");
    }

    let mut connected = Connected::new([video()]);
    let closed = connected.far[0].clone();
    connected.network.ends[1].core.close_track(&closed);
    assert_eq!(connected.reached(&rtp(96, 2)), []);
    assert_eq!(connected.dropped(1), (0, 1));
}

#[test]
fn of_many_streams_the_one_that_was_silent_for_longest_is_forgotten() {
    let mut connected = Connected::new([video(), other_video()]);
    let many = MAX_LEARNED as u32;
    let first = 1000;
    for ssrc in first..first + many {
        assert_eq!(connected.reached(&named(MID, "v", 96, ssrc)), [0], "{ssrc}");
    }
    // The first one is heard again, and then comes one more.
    assert_eq!(connected.reached(&rtp(96, first)), [0]);
    assert_eq!(connected.reached(&named(MID, "w", 96, 9000)), [1]);
    assert_eq!(connected.reached(&rtp(96, 9000)), [1]);
    assert_eq!(connected.reached(&rtp(96, first)), [0]);
    assert_eq!(connected.reached(&rtp(96, first + 1)), [], "silent for longest");
    assert_eq!(connected.reached(&rtp(96, first + 2)), [0]);
    assert_eq!(connected.reached(&rtp(96, 2)), [0], "announced");
}

#[test]
fn what_waits_for_the_network_is_bounded() {
    let mut connected = Connected::new([video()]);
    let packet = [rtp(96, 2), vec![0; 32_000]].concat();
    let packet = Bytes::from(packet);
    let mut taken = 0;
    while connected.dropped(0) == (0, 0) {
        connected.send(0, packet.clone()).unwrap();
        taken += packet.len();
    }
    assert!(taken > MAX_WAITING - packet.len() && taken < MAX_WAITING + packet.len(), "{taken}");

    // At a steady pace the bound is for what waits, not for what has gone.
    let mut buffer = TransmitBuffer::default();
    let now = connected.network.instant();
    let core = &mut connected.network.ends[0].core;
    for _ in 0..20 {
        assert!(core.poll_transmit(now, &mut buffer));
    }
    let (_, before) = connected.dropped(0);
    let mut gone = 0;
    while gone < 2 * MAX_WAITING {
        for _ in 0..2 {
            connected.send(0, packet.clone()).unwrap();
        }
        assert!(connected.network.ends[0].core.poll_transmit(now, &mut buffer));
        let sent: usize = buffer.batches().map(|(batch, _)| batch.len()).sum();
        assert!(sent > 2 * packet.len(), "{sent}");
        gone += sent;
    }
    assert_eq!(connected.dropped(0), (0, before));
}

#[test]
fn what_waits_for_callbacks_is_bounded_and_the_rest_counted() {
    let more = RECEIVE_QUEUE_MESSAGES as u32 + 76;
    let now = |connected: &Connected| connected.network.instant();

    // Packets that nobody takes.
    let mut connected = Connected::new([audio(), video()]);
    for _ in 0..more {
        let now = now(&connected);
        connected.network.ends[1].core.deliver_media(now, &rtp(96, 2));
    }
    assert_eq!(connected.dropped(1), (0, 76));
    assert_eq!(connected.reached(&rtp(96, 2)), [1]);
    assert_eq!(connected.reached(&rtp(96, 2)), [1], "there is room again");

    // Packets for the interceptor, whose thread is busy.
    let mut connected = Connected::new([audio(), video()]);
    let interceptor = connected.network.ends[1].core.interceptor();
    drop(interceptor.set(Some(Arc::new(|_| Verdict::Forward))));
    for n in 0..more {
        let mut packet = rtp(96, 2);
        packet[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        connected.send(1, packet).unwrap();
        connected.network.flush();
    }
    connected.network.run(1);
    assert_eq!(connected.dropped(1), (0, 76));

    // Frames for a callback that does not return.
    let frame = Bytes::from(vec![0; 1024 * 1024]);
    let track = &connected.far[1];
    track.on_frame(Some(Arc::new(|_, _| {})));
    let push = |_: &usize| {
        let frame = (frame.clone(), FrameInfo::default());
        track.push_message(rtc_media::Message { data: frame.0, frame: Some(frame.1) })
    };
    assert_eq!((0..100).filter(push).count(), RECEIVE_QUEUE_BYTES / frame.len());
}

#[test]
fn what_is_no_packet_is_refused_or_dropped_and_counted() {
    let mut connected = Connected::new([audio(), video()]);
    for (length, is_sent) in [(0, false), (11, false), (12, true), (MAX_PACKET, true)] {
        let mut packet = rtp(96, 2);
        packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        packet.resize(length, 0);
        assert_eq!(connected.send(1, packet).is_ok(), is_sent, "{length} bytes");
    }
    let mut packet = rtp(96, 2);
    packet.resize(MAX_PACKET + 1, 0);
    let error = connected.send(1, packet).unwrap_err().to_string();
    assert!(error.contains("65001 bytes"), "{error}");
    assert!(connected.send(1, receiver_report(2)[..7].to_vec()).is_err());
    connected.send(1, receiver_report(2)).unwrap();
    connected.network.run(1);
    let lengths: Vec<_> = std::iter::from_fn(|| connected.far[1].receive())
        .map(|message| message.data.len())
        .collect();
    assert_eq!(lengths, [12, MAX_PACKET, 8]);
    assert_eq!((connected.dropped(0), connected.dropped(1)), ((0, 0), (0, 0)));

    // What a packetizer makes too large.
    connected.near[0].with_chain(|chain| {
        let options = packetizer::Options::default();
        let config = RtpConfig::new(1, "us", 111, 48_000);
        chain.set_packetizer(config, Codec::Opus.packetizer(&options));
    });
    connected.send(0, vec![0; MAX_PACKET]).unwrap();
    assert_eq!(connected.dropped(0), (0, 1));
    connected.send(0, vec![0; 1000]).unwrap();
    assert_eq!(connected.dropped(0), (0, 1));

    // What looks like media and is not authentic.
    let mut dropped = 0;
    for datagram in [vec![0x80], vec![0x80; 11], rtp(96, 2), receiver_report(2), vec![0xbf; 1500]] {
        dropped += 1;
        connected.network.inject(1, datagram);
        assert_eq!(connected.dropped(1), (dropped, 0));
    }
    // What the direction forbids.
    let mut one_way = video();
    one_way.common.direction = Direction::RecvOnly;
    connected.near[1].describe(one_way);
    connected.send(1, rtp(96, 2)).unwrap();
    assert_eq!(connected.dropped(0), (0, 2));
}
