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

#[test]
fn without_retransmissions_frames_are_left_out_but_never_broken() {
    let clock = Clock::new();
    let mut link = Link::new(5, 0.02);
    let (mut alice, mut bob) = (sender(), Chain::default());
    bob.set_depacketizer(Depacketizing::new(Codec::Vp8.depacketizer(&Default::default()), 90_000));
    let (mut output, mut delivered) = (Output::default(), Vec::new());
    for number in 0..500_u32 {
        alice.config_mut().unwrap().timestamp = number;
        alice.outgoing(clock.at(0), vec![vec![number as u8; 400].into()], &mut output);
        link.send(u64::from(number) * 5_000, true, std::mem::take(&mut output.packets));
    }
    for ((at, _), (_, packet)) in link.under_way {
        let mut batch = vec![Message::from(packet)];
        bob.incoming(clock.at(at / 1_000), &mut batch, &mut output);
        delivered.append(&mut batch);
    }
    bob.handle_timeout(clock.at(10_000), &mut delivered, &mut output);
    for frame in &delivered {
        let number = frame.frame.unwrap().timestamp;
        assert_eq!(frame.data[..], vec![number as u8; 400], "{number}");
    }
    assert!((400..500).contains(&delivered.len()), "{}", delivered.len());
    assert!(output.dropped > 0);
}
