use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::*;
use crate::rtcp::{self, Fir, FirEntry, Goodbye, Nack, Pli, Remb, SenderReport};
use crate::rtp::{Header, Packet, Rtx};
use crate::{Chain, Codec, Event, FrameInfo, NtpTime, packetizer};

mod lossy_link;

/// A clock that tests move on.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// So many milliseconds after the start, which is second 1000 of Unix time.
    fn at(self, milliseconds: u64) -> Now {
        let passed = Duration::from_millis(milliseconds);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1000) + passed;
        Now { instant: self.start + passed, wall }
    }
}

fn sender() -> Chain {
    let mut chain = Chain::default();
    let config = RtpConfig::new(42, "cname", 96, 90_000);
    let options = packetizer::Options { max_fragment_size: 100, ..Default::default() };
    chain.set_packetizer(config, Codec::Vp8.packetizer(&options));
    chain
}

fn send(chain: &mut Chain, now: Now, frame: &[u8]) -> Vec<Bytes> {
    let mut output = Output::default();
    chain.outgoing(now, vec![Message::from(frame.to_vec())], &mut output);
    output.packets
}

fn receive(chain: &mut Chain, now: Now, packet: impl Into<Bytes>) -> (Vec<Message>, Output) {
    let (mut output, mut batch) = (Output::default(), vec![Message::from(packet)]);
    chain.incoming(now, &mut batch, &mut output);
    (batch, output)
}

fn rtp(sequence: u16, timestamp: u32) -> Vec<u8> {
    let header = Header { marker: true, payload_type: 96, sequence, timestamp, ssrc: 42 };
    let mut packet = Vec::new();
    header.write(&[], &[], &mut packet);
    packet.push(7);
    packet
}

fn one(packet: rtcp::Packet) -> Bytes {
    rtcp::write(&[packet])
}

fn read(packet: &[u8]) -> Vec<rtcp::Packet> {
    rtcp::compound(packet).map(Result::unwrap).collect()
}

#[test]
fn an_empty_chain_passes_everything() {
    let mut chain = Chain::default();
    let now = Clock::new().at(0);
    assert_eq!(send(&mut chain, now, &[1, 2]), [vec![1, 2]]);
    let (batch, output) = receive(&mut chain, now, vec![3]);
    assert_eq!((&batch[0].data[..], output.packets.len()), (&[3][..], 0));
    assert!(!chain.request(now, Request::Keyframe, &mut Output::default()));
    assert_eq!(chain.poll_timeout(), None);
}

#[test]
fn sender_reports_go_out_first_and_once_a_second() {
    let (mut chain, clock) = (sender(), Clock::new());
    assert!(!chain.has::<SenderReporter>());
    chain.push(SenderReporter::default());
    assert!(chain.has::<SenderReporter>());
    chain.config_mut().unwrap().timestamp = 7;
    let packets = send(&mut chain, clock.at(500), &[1; 150]);
    let [rtcp::Packet::SenderReport(report), rtcp::Packet::SourceDescription(name)] =
        &read(&packets[0])[..]
    else {
        panic!("{packets:?}")
    };
    assert_eq!(report.ssrc, 42);
    assert_eq!(report.ntp, NtpTime::from(clock.at(500).wall));
    assert_eq!((report.rtp_timestamp, report.packets, report.octets), (7, 2, 158));
    assert_eq!(name.chunks[0].items[0].text, "cname");
    assert_eq!(packets.len(), 3);
    assert_eq!(chain.config().unwrap().last_report_timestamp, 7);

    chain.config_mut().unwrap().timestamp = 8;
    assert_eq!(send(&mut chain, clock.at(1_499), &[1; 50]).len(), 1);
    let packets = send(&mut chain, clock.at(1_500), &[1; 50]);
    let rtcp::Packet::SenderReport(report) = &read(&packets[0])[0] else { panic!() };
    assert_eq!((report.rtp_timestamp, report.packets, report.octets), (8, 4, 266));
}

#[test]
fn a_sender_report_tells_the_time_of_its_instant_though_packets_wait() {
    let (mut chain, clock) = (sender(), Clock::new());
    // 1000 bytes a second, reported on behind that.
    chain.push(Pacing::new(8_000.0, Duration::from_millis(10)).unwrap());
    chain.push(SenderReporter::default());
    chain.config_mut().unwrap().timestamp = u32::MAX;
    let mut packets = send(&mut chain, clock.at(0), &[1; 1_500]);
    while let Some(due) = chain.poll_timeout() {
        let wait = due.duration_since(clock.start).as_millis() as u64 + 1;
        let mut output = Output::default();
        chain.handle_timeout(clock.at(wait), &mut Vec::new(), &mut output);
        packets.append(&mut output.packets);
    }
    let reports = packets.iter().filter(|packet| crate::rtp::is_rtcp(packet)).map(|report| {
        let rtcp::Packet::SenderReport(report) = read(report).remove(0) else { panic!() };
        (report.ntp.0, report.rtp_timestamp)
    });
    let [(first, at_first), (second, at_second)] = reports.collect::<Vec<_>>()[..] else {
        panic!()
    };
    assert_eq!(at_first, u32::MAX);
    let passed = ((second - first) as f64 / f64::from(u32::MAX) * 90_000.0).round() as u32;
    assert!(passed >= 90_000);
    assert_eq!(at_second, at_first.wrapping_add(passed));
    assert_eq!(chain.config().unwrap().last_report_timestamp, at_second);
}

#[test]
fn frames_choose_their_timestamp_and_their_stream() {
    let (mut chain, now) = (sender(), Clock::new().at(0));
    chain.config_mut().unwrap().start_timestamp = 1_000;
    for (frame, timestamp) in [
        (FrameInfo { timestamp: 5, ..FrameInfo::default() }, Some(5)),
        (FrameInfo { seconds: Some(0.5), ..FrameInfo::default() }, Some(46_000)),
        (FrameInfo { payload_type: 97, ..FrameInfo::default() }, None),
        (FrameInfo { payload_type: 96, timestamp: 9, seconds: None }, Some(9)),
    ] {
        let mut output = Output::default();
        let message = Message { data: Bytes::from_static(b"x"), frame: Some(frame) };
        chain.outgoing(now, vec![message], &mut output);
        let found = output.packets.first().map(|packet| Packet::parse(packet).unwrap().header());
        assert_eq!(found.map(|header| header.timestamp), timestamp, "{frame:?}");
        assert_eq!(output.dropped, u64::from(timestamp.is_none()));
    }
}

#[test]
fn a_new_packetizer_replaces_the_chain_and_its_stream() {
    let (mut chain, now) = (sender(), Clock::new().at(0));
    chain.push(SenderReporter::default());
    let config = RtpConfig { timestamp: 222, ..RtpConfig::new(43, "other", 97, 48_000) };
    chain.set_packetizer(config, Codec::Opus.packetizer(&Default::default()));
    let packets = send(&mut chain, now, &[1]);
    assert_eq!(packets.len(), 1);
    assert_eq!(Packet::parse(&packets[0]).unwrap().header().ssrc, 43);
    assert_eq!(chain.config().unwrap().timestamp, 222);
    // Another one of the same stream goes on with the numbers, though asked to start anew.
    for expected in 1..3 {
        let config = RtpConfig::new(43, "other", 97, 48_000);
        chain.set_packetizer(config, Codec::Opus.packetizer(&Default::default()));
        let packet = send(&mut chain, now, &[1]).remove(0);
        assert_eq!(Packet::parse(&packet).unwrap().header().sequence, expected);
    }
    chain.clear();
    assert!(chain.is_empty() && chain.config().is_none());
}

#[test]
fn receiver_reports_are_right() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.push(ReceivingSession::new(1, 90_000).with_cname("me"));
    // 109 packets from 65500 on, over the end; each tenth is lost. 10 ms and 900 units apart,
    // every second one 1 ms late.
    for number in 0..109_u64 {
        if number % 10 == 5 {
            continue;
        }
        let packet = rtp(65_500_u16.wrapping_add(number as u16), number as u32 * 900);
        let (batch, output) = receive(&mut chain, clock.at(number * 10 + number % 2), packet);
        assert_eq!((batch.len(), output.packets.len()), (1, 0));
    }
    let ntp = NtpTime::from(clock.at(2_000).wall);
    let report =
        one(rtcp::Packet::SenderReport(SenderReport { ssrc: 42, ntp, ..Default::default() }));
    let (batch, output) = receive(&mut chain, clock.at(2_000), report.clone());
    assert!(batch.is_empty(), "RTCP is taken out");
    let [rtcp::Packet::ReceiverReport(first), rtcp::Packet::SourceDescription(_)] =
        &read(&output.packets[0])[..]
    else {
        panic!("{output:?}")
    };
    assert_eq!(first.ssrc, 1, "ours, not the sender's");
    let block = first.blocks[0];
    assert_eq!(block.ssrc, 42);
    assert_eq!((block.fraction_lost, block.cumulative_lost), ((11 * 256 / 109) as u8, 11));
    assert_eq!(block.highest_sequence, (1 << 16) | ((65_500 + 108) & 0xffff));
    assert!((60..=90).contains(&block.jitter), "1 ms is 90 units, not always: {}", block.jitter);
    assert_eq!((block.last_report, block.delay), (ntp.middle(), 0));

    // The lost ones arrive late, and nothing more: no loss in this interval.
    for number in (5..109).step_by(10) {
        receive(&mut chain, clock.at(2_100), rtp(65_500_u16.wrapping_add(number), 0));
    }
    let (_, output) = receive(&mut chain, clock.at(3_500), report);
    let rtcp::Packet::ReceiverReport(second) = &read(&output.packets[0])[0] else { panic!() };
    let block = second.blocks[0];
    assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 0));
    assert_eq!(block.delay, 0, "the report that is answered has just come");
}

#[test]
fn reports_come_without_sender_reports_too_and_tell_the_delay() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.push(ReceivingSession::new(1, 90_000));
    receive(&mut chain, clock.at(0), rtp(1, 0));
    let report =
        SenderReport { ssrc: 42, ntp: NtpTime(0x1111_2222_3333_4444), ..Default::default() };
    receive(&mut chain, clock.at(1_000), one(rtcp::Packet::SenderReport(report)));
    assert!(receive(&mut chain, clock.at(5_999), rtp(2, 0)).1.packets.is_empty());
    let (_, output) = receive(&mut chain, clock.at(6_000), rtp(3, 0));
    let rtcp::Packet::ReceiverReport(report) = &read(&output.packets[0])[0] else { panic!() };
    assert_eq!(report.blocks[0].last_report, 0x2222_3333);
    assert_eq!(report.blocks[0].delay, 5 << 16);
}

#[test]
fn a_sender_that_starts_over_is_reported_anew() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.push(ReceivingSession::new(1, 90_000));
    for sequence in [1, 2, 3, 40_000, 40_001, 40_002] {
        receive(&mut chain, clock.at(0), rtp(sequence, 0));
    }
    let report = SenderReport { ssrc: 42, ..Default::default() };
    let (_, output) = receive(&mut chain, clock.at(0), one(rtcp::Packet::SenderReport(report)));
    let rtcp::Packet::ReceiverReport(report) = &read(&output.packets[0])[0] else { panic!() };
    assert_eq!(report.blocks[0].highest_sequence, 40_002);
    assert_eq!(report.blocks[0].cumulative_lost, 0);
}

#[test]
fn frames_go_both_ways_whatever_is_set_first() {
    let depacketizing = || Depacketizing::new(Codec::Vp8.depacketizer(&Default::default()), 90_000);
    let packetizer = || Codec::Vp8.packetizer(&Default::default());
    let config = || RtpConfig::new(42, "cname", 96, 90_000);
    let (mut first, mut second) = (Chain::default(), Chain::default());
    first.set_packetizer(config(), packetizer());
    first.push(NackResponder::new(10));
    first.set_depacketizer(depacketizing());
    second.set_depacketizer(depacketizing());
    second.push(ReceivingSession::new(1, 90_000));
    second.set_packetizer(config(), packetizer());
    let now = Clock::new().at(0);
    for round in 0..4u8 {
        let (from, to) = match round % 2 {
            0 => (&mut first, &mut second),
            _ => (&mut second, &mut first),
        };
        let frame = vec![round; 3000];
        let packets = send(from, now, &frame);
        assert!(packets.len() > 2);
        let frames: Vec<_> =
            packets.into_iter().flat_map(|packet| receive(to, now, packet).0).collect();
        assert_eq!(frames.len(), 1, "in round {round}");
        assert_eq!(frames[0].data, frame);
        // Again: neither drops the other, nor is there twice.
        from.set_depacketizer(depacketizing());
        to.set_packetizer(config(), packetizer());
    }
    let report = SenderReport { ssrc: 42, ..Default::default() };
    let (_, output) = receive(&mut second, now, one(rtcp::Packet::SenderReport(report)));
    assert_eq!(output.packets.len(), 1, "the session is still there to answer");
}

#[test]
fn a_flood_of_streams_is_bounded() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.set_depacketizer(Depacketizing::new(
        Codec::H264.depacketizer(&Default::default()),
        90_000,
    ));
    chain.push(ReceivingSession::new(1, 90_000));
    chain.push(NackRequester::new(1));
    for ssrc in 0..2_000 {
        for sequence in [1, 3] {
            let header = Header { sequence, ssrc, ..Header::default() };
            let mut packet = Vec::new();
            header.write(&[], &[], &mut packet);
            packet.push(0x65);
            receive(&mut chain, clock.at(0), packet);
        }
    }
    let report = SenderReport { ssrc: 1_999, ..Default::default() };
    let (_, output) = receive(&mut chain, clock.at(0), one(rtcp::Packet::SenderReport(report)));
    let rtcp::Packet::ReceiverReport(report) = &read(&output.packets[0])[0] else { panic!() };
    assert_eq!(report.blocks.len(), 31);
    let mut output = Output::default();
    chain.handle_timeout(clock.at(5), &mut Vec::new(), &mut output);
    assert_eq!(output.packets.len(), 8, "NACK for the last streams only");
}

#[test]
fn requests_reach_the_sender() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.push(ReceivingSession::new(1, 90_000));
    let mut output = Output::default();
    assert!(chain.request(clock.at(0), Request::Keyframe, &mut output));
    assert!(output.packets.is_empty(), "of nobody yet");
    let (_, output) = receive(&mut chain, clock.at(0), rtp(1, 0));
    let pli = Pli { sender: 1, media: 42 };
    assert_eq!(read(&output.packets[0]), [rtcp::Packet::Pli(pli)]);
    assert!(receive(&mut chain, clock.at(0), rtp(2, 0)).1.packets.is_empty(), "once");

    let mut output = Output::default();
    assert!(chain.request(clock.at(0), Request::Keyframe, &mut output));
    assert!(chain.request(clock.at(0), Request::Bitrate(200_000), &mut output));
    let remb = Remb { sender: 1, bitrate: 200_000, sources: vec![42] };
    assert_eq!(read(&output.packets[0]), [rtcp::Packet::Pli(pli)]);
    assert_eq!(read(&output.packets[1]), [rtcp::Packet::Remb(remb.clone())]);
    let report = one(rtcp::Packet::SenderReport(SenderReport { ssrc: 42, ..Default::default() }));
    let (_, output) = receive(&mut chain, clock.at(100), report);
    assert_eq!(read(&output.packets[1]), [rtcp::Packet::Remb(remb)], "with each report");
}

#[test]
fn the_user_hears_of_the_peers_requests() {
    let (mut chain, now) = (sender(), Clock::new().at(0));
    chain.push(KeyframeHandler::default());
    chain.push(BitrateHandler);
    let fir = |sequence| {
        rtcp::Packet::Fir(Fir { sender: 1, entries: vec![FirEntry { ssrc: 42, sequence }] })
    };
    for (packet, expected) in [
        (one(rtcp::Packet::Pli(Pli::default())), vec![Event::KeyframeRequested]),
        (one(fir(1)), vec![Event::KeyframeRequested]),
        (one(fir(1)), vec![]),
        (one(fir(2)), vec![Event::KeyframeRequested]),
        (vec![0x80, 192, 0, 1, 0, 0, 0, 42].into(), vec![Event::KeyframeRequested]),
        (vec![0x80, 196, 0, 1, 0, 0, 0, 42].into(), vec![Event::KeyframeRequested]),
        (
            one(rtcp::Packet::Remb(Remb { bitrate: 1 << 33, ..Remb::default() })),
            vec![Event::BitrateEstimated(1 << 33)],
        ),
        (one(rtcp::Packet::Goodbye(Goodbye::default())), vec![]),
        (rtcp::write(&[rtcp::Packet::Pli(Pli::default()), fir(3)]), vec![Event::KeyframeRequested]),
        (vec![0x81, 206].into(), vec![]),
    ] {
        let (batch, output) = receive(&mut chain, now, packet.clone());
        assert_eq!(output.events, expected, "{packet:?}");
        assert_eq!(batch.len(), 1, "the user may look at it as well");
    }
}

#[test]
fn what_is_kept_is_sent_again() {
    let (mut chain, clock) = (sender(), Clock::new());
    chain.push(NackResponder::new(3));
    let sent: Vec<_> = (0..5).flat_map(|number| send(&mut chain, clock.at(0), &[number])).collect();
    let nack =
        |sequences: &[u16]| one(rtcp::Packet::Nack(Nack::new(1, 42, sequences.iter().copied())));
    let (_, output) = receive(&mut chain, clock.at(1), nack(&[0, 1, 2, 3, 7]));
    assert_eq!(output.packets, sent[2..4], "the last three were kept");
    let (_, output) = receive(&mut chain, clock.at(2), nack(&[2, 4, 4]));
    assert_eq!(output.packets, sent[4..5], "no packet twice within 5 ms");
    let (_, output) = receive(&mut chain, clock.at(6), nack(&[2]));
    assert_eq!(output.packets, sent[2..3]);
    let other = one(rtcp::Packet::Nack(Nack::new(1, 43, [4])));
    assert!(receive(&mut chain, clock.at(50), other).1.packets.is_empty(), "another stream");
}

#[test]
fn what_is_kept_is_bounded_in_bytes() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.push(NackResponder::new(usize::MAX));
    for sequence in 0..300 {
        let mut packet = rtp(sequence, 0);
        packet.resize(64_000, 0);
        send(&mut chain, clock.at(0), &packet);
    }
    let nack = Nack::new(1, 42, 0..300);
    let (_, output) = receive(&mut chain, clock.at(0), one(rtcp::Packet::Nack(nack)));
    assert_eq!(output.packets.len(), (16 << 20) / 64_000);
}

#[test]
fn what_is_kept_cannot_be_mistaken_for_what_comes() {
    let (mut chain, clock) = (sender(), Clock::new());
    chain.push(NackResponder::new(usize::MAX));
    for _ in 0..40_000 {
        send(&mut chain, clock.at(0), &[1]);
    }
    let nack = Nack::new(1, 42, [40_000 - (1 << 12) - 1, 40_000 - (1 << 12), 39_999]);
    let (_, output) = receive(&mut chain, clock.at(0), one(rtcp::Packet::Nack(nack)));
    assert_eq!(output.packets.len(), 2);
}

#[test]
fn a_stream_of_retransmissions_is_found_by_what_was_asked_for() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.push(NackRequester::new(1).with_rtx_types(vec![(97, 96), (99, 98)]));
    let wrapped = |ssrc, payload_type, sequence| {
        let rtx =
            Rtx { ssrc: 42, payload_type: 96, rtx_ssrc: ssrc, rtx_payload_type: payload_type };
        rtx.wrap(&rtp(sequence, 0), 7).unwrap()
    };
    let restored = |chain: &mut Chain, at: u64, packet: &Bytes| {
        let (batch, output) = receive(chain, clock.at(at), packet.clone());
        assert!(output.packets.is_empty(), "nothing is asked for: {output:?}");
        let data = batch[0].data.clone();
        assert!(data == rtp(2, 0) || data == rtp(4, 0) || data == packet);
        data != packet
    };
    for sequence in [1, 3, 5] {
        receive(&mut chain, clock.at(0), rtp(sequence, 0));
    }
    assert!(!restored(&mut chain, 1, &wrapped(43, 97, 2)), "nobody has asked yet");
    let mut output = Output::default();
    chain.handle_timeout(clock.at(6), &mut Vec::new(), &mut output);
    assert_eq!(read(&output.packets[0]), [rtcp::Packet::Nack(Nack::new(1, 42, [2, 4]))]);
    assert!(!restored(&mut chain, 7, &wrapped(43, 97, 1)), "that was not missing");
    assert!(!restored(&mut chain, 7, &wrapped(43, 100, 2)), "another payload type");
    assert!(restored(&mut chain, 7, &wrapped(43, 97, 2)));
    // Now that the stream is known, whatever it repeats.
    assert!(restored(&mut chain, 7, &wrapped(43, 97, 2)));
    assert!(restored(&mut chain, 7, &wrapped(43, 97, 4)));
    let mut output = Output::default();
    chain.handle_timeout(clock.at(1_000), &mut Vec::new(), &mut output);
    assert!(output.packets.is_empty(), "nothing is missing");
}

#[test]
fn retransmissions_may_have_a_stream_of_their_own() {
    let rtx = Rtx { ssrc: 42, payload_type: 96, rtx_ssrc: 43, rtx_payload_type: 97 };
    let (mut chain, clock) = (sender(), Clock::new());
    chain.push(NackResponder::default().with_rtx(rtx, 65_535));
    let sent = send(&mut chain, clock.at(0), &[1; 190]);
    let nack = one(rtcp::Packet::Nack(Nack::new(1, 42, [0, 1])));
    let (_, output) = receive(&mut chain, clock.at(0), nack);
    let headers: Vec<_> =
        output.packets.iter().map(|packet| Packet::parse(packet).unwrap().header()).collect();
    assert_eq!(headers.iter().map(|header| header.sequence).collect::<Vec<_>>(), [65_535, 0]);
    assert!(headers.iter().all(|header| header.ssrc == 43 && header.payload_type == 97));

    let mut receiver = Chain::default();
    receiver.push(NackRequester::new(1).with_rtx(rtx));
    let (batch, _) = receive(&mut receiver, clock.at(0), output.packets[1].clone());
    assert_eq!(batch[0].data, sent[1]);
}

#[test]
fn missing_packets_are_asked_for_until_they_come() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.push(NackRequester::new(1));
    for sequence in [65_533, 65_534, 1, 2] {
        let (_, output) = receive(&mut chain, clock.at(0), rtp(sequence, 0));
        assert!(output.packets.is_empty(), "they may just be late");
    }
    let asked = |chain: &mut Chain, at| {
        let mut output = Output::default();
        chain.handle_timeout(clock.at(at), &mut Vec::new(), &mut output);
        let packets: Vec<_> = output.packets.iter().flat_map(|packet| read(packet)).collect();
        match &packets[..] {
            [rtcp::Packet::Nack(nack)] => {
                assert_eq!((nack.sender, nack.media), (1, 42));
                nack.sequences().collect()
            }
            [] => vec![],
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(chain.poll_timeout(), Some(clock.at(5).instant));
    assert_eq!(asked(&mut chain, 5), [65_535, 0]);
    assert_eq!(asked(&mut chain, 6), []);
    receive(&mut chain, clock.at(20), rtp(0, 0));
    assert_eq!(asked(&mut chain, 45), [65_535]);
    assert_eq!(asked(&mut chain, 60), []);
    let mut asked_for = 0;
    let mut at = 60;
    while let Some(due) = chain.poll_timeout() {
        at = at.max((due - clock.start).as_millis() as u64);
        asked_for += asked(&mut chain, at).len();
    }
    assert_eq!(asked_for, 8, "ten times in all");
}

#[test]
fn a_large_gap_is_not_filled() {
    let (mut chain, clock) = (Chain::default(), Clock::new());
    chain.push(NackRequester::new(1));
    receive(&mut chain, clock.at(0), rtp(0, 0));
    receive(&mut chain, clock.at(0), rtp(600, 0));
    assert_eq!(chain.poll_timeout(), None);
    receive(&mut chain, clock.at(0), rtp(1_100, 0));
    assert!(chain.poll_timeout().is_some());
}

#[test]
fn pacing_spreads_packets_over_time() {
    let (mut chain, clock) = (sender(), Clock::new());
    // 1000 bytes per second, so 100 in an interval; the packets have 112 bytes.
    chain.push(Pacing::new(8_000.0, Duration::from_millis(100)).unwrap());
    chain.push(NackResponder::default());
    assert_eq!(send(&mut chain, clock.at(0), &[1; 960]).len(), 1);
    let (mut sent, mut at) = (1, 0);
    while let Some(due) = chain.poll_timeout() {
        let next = (due - clock.start).as_millis() as u64 + 1;
        assert!(next > at, "time goes on");
        at = next;
        let mut output = Output::default();
        chain.handle_timeout(clock.at(at), &mut Vec::new(), &mut output);
        sent += output.packets.len();
    }
    assert_eq!(sent, 10);
    assert!((900..1_100).contains(&at), "1120 bytes took {at} ms");
    let nack = one(rtcp::Packet::Nack(Nack::new(1, 42, 0..10)));
    let (_, output) = receive(&mut chain, clock.at(2_000), nack);
    assert_eq!(output.packets.len(), 10, "handlers behind it saw all packets");
}

#[test]
fn pacing_needs_a_rate_and_an_interval() {
    let interval = Duration::from_millis(5);
    for bits in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Pacing::new(bits, interval).is_none(), "{bits}");
    }
    assert!(Pacing::new(1e6, Duration::ZERO).is_none());
}

#[test]
fn malformed_packets_are_dropped_and_counted() {
    let (mut chain, now) = (Chain::default(), Clock::new().at(0));
    chain.push(ReceivingSession::new(1, 90_000));
    for packet in [&[0x80, 96][..], &[0x00; 20], &[0x9f; 20]] {
        let (batch, output) = receive(&mut chain, now, packet.to_vec());
        assert_eq!((batch.len(), output.dropped), (0, 1), "{packet:?}");
    }
}
