//! Two chains on a link that loses, delays and reorders, with virtual time.

use std::collections::BTreeMap;

use super::*;

/// A link whose fate depends on its seed alone.
struct Link {
    random: u64,
    loss: f64,
    /// By time in microseconds and number: the direction and the packet.
    under_way: BTreeMap<(u64, u64), (bool, Bytes)>,
    sent: u64,
    lost: u64,
}

impl Link {
    fn new(seed: u64, loss: f64) -> Self {
        Self { random: seed, loss, under_way: BTreeMap::new(), sent: 0, lost: 0 }
    }

    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) as f64 / f64::from(1_u32 << 31)
    }

    /// 20 ms there and 20 ms back, up to 3 ms more.
    fn send(&mut self, at: u64, to_receiver: bool, packets: Vec<Bytes>) {
        for packet in packets {
            self.sent += 1;
            if self.draw() < self.loss {
                self.lost += 1;
                continue;
            }
            let jitter = (self.draw() * 3_000.0) as u64;
            self.under_way.insert((at + 20_000 + jitter, self.sent), (to_receiver, packet));
        }
    }
}

struct Outcome {
    frames: u32,
    dropped: u64,
    lost: u64,
    worst: u64,
}

/// Sends frames of 1 to 20 packets, 30 a second, and checks what arrives.
fn run(seed: u64, loss: f64, has_rtx: bool, frames: u32) -> Outcome {
    let rtx = Rtx { ssrc: 42, payload_type: 96, rtx_ssrc: 43, rtx_payload_type: 97 };
    let clock = Clock::new();
    let mut link = Link::new(seed, loss);
    let mut alice = Chain::default();
    let mut config = RtpConfig::new(42, "alice", 96, 90_000);
    config.sequence = 60_000;
    alice.set_packetizer(config, Codec::H264.packetizer(&Default::default()));
    alice.push(SenderReporter::default());
    let responder = NackResponder::new(2_000);
    alice.push(if has_rtx { responder.with_rtx(rtx, 0) } else { responder });

    let mut bob = Chain::default();
    let depacketizer = Codec::H264.depacketizer(&Default::default());
    bob.push(Depacketizing::new(depacketizer, 90_000).with_max_wait(Duration::from_secs(2)));
    bob.push(ReceivingSession::new(1, 90_000));
    let requester = NackRequester::new(1);
    bob.push(if has_rtx { requester.with_rtx(rtx) } else { requester });

    let frame_of = |number: u32| {
        let mut unit = number.to_be_bytes().to_vec();
        unit[0] = 0x65;
        unit.resize(1_000 + (number as usize * 7_919) % 23_000, number as u8 | 1);
        let mut frame = Vec::new();
        packetizer::NalSeparator::Length.append(&unit, &mut frame);
        frame
    };
    let mut outcome = Outcome { frames: 0, dropped: 0, lost: 0, worst: 0 };
    let mut output = Output::default();
    // Five seconds behind the last frame for what is still under way.
    let end = u64::from(frames) * 33_333 + 5_000_000;
    let (mut now, mut next_frame) = (0, 0);
    while now <= end {
        let to_now = |micros: u64| clock.at(micros / 1_000);
        if next_frame < frames && now >= u64::from(next_frame) * 33_333 {
            alice.config_mut().unwrap().timestamp = next_frame * 3_000;
            alice.outgoing(to_now(now), vec![frame_of(next_frame).into()], &mut output);
            next_frame += 1;
            link.send(now, true, std::mem::take(&mut output.packets));
        }
        let mut delivered = Vec::new();
        while let Some(entry) = link.under_way.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to_receiver, packet) = entry.remove();
            let mut batch = vec![Message::from(packet)];
            let chain = if to_receiver { &mut bob } else { &mut alice };
            chain.incoming(to_now(now), &mut batch, &mut output);
            if to_receiver {
                delivered.append(&mut batch);
            }
            link.send(now, !to_receiver, std::mem::take(&mut output.packets));
        }
        if bob.poll_timeout().is_some_and(|due| due <= to_now(now).instant) {
            bob.handle_timeout(to_now(now), &mut delivered, &mut output);
            link.send(now, false, std::mem::take(&mut output.packets));
        }
        for frame in delivered {
            let number = frame.frame.unwrap().timestamp / 3_000;
            assert!(number >= outcome.frames, "in order");
            assert_eq!(frame.data[..], frame_of(number)[..], "whole");
            outcome.frames += 1;
            outcome.worst = outcome.worst.max(now - u64::from(number) * 33_333);
        }
        now += 1_000;
    }
    outcome.dropped = output.dropped;
    outcome.lost = link.lost;
    outcome
}

#[test]
fn every_frame_is_recovered_at_1_and_10_percent_of_loss() {
    for (loss, has_rtx) in [(0.0, false), (0.01, false), (0.1, false), (0.01, true), (0.1, true)] {
        for seed in 1..4 {
            let outcome = run(seed, loss, has_rtx, 300);
            assert_eq!(
                (outcome.frames, outcome.dropped),
                (300, 0),
                "{loss} {has_rtx} {seed}: {} packets lost",
                outcome.lost
            );
            assert_eq!(outcome.lost > 0, loss > 0.0);
            assert!(outcome.worst < 1_000_000, "a frame took {} µs", outcome.worst);
        }
    }
}

/// The payloads of a frame that is not one unit alone; each tenth one is a key frame.
fn payloads_of(codec: Codec, number: u32) -> Vec<Bytes> {
    let is_key = number.is_multiple_of(10);
    let content = |seed: u32, length: u32| (0..length).map(move |n| ((n + seed) % 251) as u8 | 1);
    let unit = |header: &[u8], length: u32| {
        header.iter().copied().chain(content(number, length)).collect::<Vec<_>>()
    };
    let mut frame = Vec::new();
    let mut nal = |unit: &[u8]| packetizer::NalSeparator::Length.append(unit, &mut frame);
    match codec {
        // Parameter sets and two slices, or two slices. Only the first one begins with a set bit.
        Codec::H264 if is_key => {
            nal(&unit(&[0x67], 20));
            nal(&unit(&[0x68], 5));
            nal(&unit(&[0x65, 0x80], 3_000));
            nal(&unit(&[0x65, 0x40], 900));
        }
        Codec::H264 => {
            nal(&unit(&[0x61, 0x80], 1_500));
            nal(&unit(&[0x61, 0x40], 400));
        }
        Codec::H265 if is_key => {
            nal(&unit(&[0x40, 1], 20));
            nal(&unit(&[0x42, 1], 20));
            nal(&unit(&[0x44, 1], 5));
            nal(&unit(&[0x26, 1, 0x80], 3_000));
            nal(&unit(&[0x26, 1, 0x40], 900));
        }
        Codec::H265 => {
            nal(&unit(&[0x02, 1, 0x80], 1_500));
            nal(&unit(&[0x02, 1, 0x40], 400));
        }
        Codec::Av1 => {
            // A sequence header, and a frame that is not shown before the one that is.
            let sizes = if is_key { &[0, 10, 3_000, 800][..] } else { &[0, 1_500, 300] };
            for (position, size) in sizes.iter().enumerate() {
                let kind = match (position, is_key) {
                    (0, _) => 0x12,
                    (1, true) => 0x0a,
                    _ => 0x32,
                };
                frame.push(kind);
                packetizer::av1::obu::put_leb128(*size as usize, &mut frame);
                frame.extend(content(number, *size));
            }
        }
        Codec::Vp9 => return two_layers(number),
        _ => frame = unit(&[], 2_000),
    }
    let options = packetizer::Options {
        obu_packetization: packetizer::ObuPacketization::TemporalUnit,
        ..Default::default()
    };
    let mut payloads = packetizer::Payloads::new(0);
    codec.packetizer(&options).packetize(&frame, &mut payloads).unwrap();
    payloads.iter().map(Bytes::copy_from_slice).collect()
}

/// A picture of VP9 in two spatial layers, two packets each.
fn two_layers(number: u32) -> Vec<Bytes> {
    let payload = |layer: u8, is_second: bool| {
        // L, with B or E; SID and D; TL0PICIDX
        let mut payload = vec![if is_second { 0x24 } else { 0x28 }, layer << 1 | layer, 0];
        payload.extend((0..500).map(|n| (n + number) as u8));
        Bytes::from(payload)
    };
    [(0, false), (0, true), (1, false), (1, true)]
        .map(|(layer, is_second)| payload(layer, is_second))
        .to_vec()
}

/// A frame that was sent, and what comes of it.
struct Sent {
    frame: Vec<u8>,
    all_packets_come: bool,
    last_packet_comes: bool,
}

/// Sends so many frames, 30 a second, over a link that loses some packets of all but the first.
fn send_frames(codec: Codec, count: u32, link: &mut Link) -> Vec<Sent> {
    let (mut sent, mut sequence) = (Vec::new(), 65_000_u16);
    for number in 0..count {
        let payloads = payloads_of(codec, number);
        assert!(payloads.len() > 1);
        let (mut all_packets_come, mut last_packet_comes) = (true, true);
        for (position, payload) in payloads.iter().enumerate() {
            let header = Header {
                marker: position + 1 == payloads.len(),
                payload_type: 96,
                sequence,
                timestamp: number,
                ssrc: 42,
            };
            sequence = sequence.wrapping_add(1);
            let mut packet = Vec::new();
            header.write(&[], &[], &mut packet);
            packet.extend_from_slice(payload);
            let lost = link.lost;
            // The stream is joined at its first packet, and nothing tells what was before.
            let is_first = number == 0 && position == 0;
            link.loss = if number == 0 { 0.0 } else { 0.03 };
            let at = u64::from(number) * 33_333 + if is_first { 0 } else { 3_000 };
            link.send(at, true, vec![packet.into()]);
            last_packet_comes = link.lost == lost;
            all_packets_come &= last_packet_comes;
        }
        let mut frame = Vec::new();
        codec.depacketizer(&Default::default()).depacketize(&payloads, &mut frame).unwrap();
        sent.push(Sent { frame, all_packets_come, last_packet_comes });
    }
    sent
}

#[test]
fn without_retransmissions_frames_are_left_out_but_never_broken() {
    for (codec, seed) in [Codec::H264, Codec::H265, Codec::Av1, Codec::Vp8, Codec::Vp9]
        .into_iter()
        .flat_map(|codec| [1, 2, 3].map(|seed| (codec, seed)))
    {
        let clock = Clock::new();
        let mut link = Link::new(seed, 0.03);
        let sent = send_frames(codec, 400, &mut link);
        let mut bob = Chain::default();
        let depacketizer = codec.depacketizer(&Default::default());
        bob.set_depacketizer(Depacketizing::new(depacketizer, 90_000));
        let (mut output, mut delivered) = (Output::default(), Vec::new());
        for ((at, _), (_, packet)) in link.under_way {
            let mut batch = vec![Message::from(packet)];
            bob.incoming(clock.at(at / 1_000), &mut batch, &mut output);
            delivered.append(&mut batch);
        }
        for round in 1..4 {
            bob.handle_timeout(clock.at(20_000 + round * 1_000), &mut delivered, &mut output);
        }
        let mut came = vec![false; sent.len()];
        for frame in &delivered {
            let number = frame.frame.unwrap().timestamp as usize;
            assert!(frame.data[..] == sent[number].frame[..], "{codec:?} {number}");
            assert!(!std::mem::replace(&mut came[number], true), "twice");
        }
        for number in 1..sent.len() {
            // What is whole comes, where nothing before it makes that doubtful.
            if sent[number].all_packets_come && sent[number - 1].last_packet_comes {
                assert!(came[number], "{codec:?} {number}");
            }
        }
        let left_out = came.iter().filter(|came| !**came).count();
        assert!(left_out > 10 && output.dropped > 10, "{codec:?}: {left_out}");
    }
}
