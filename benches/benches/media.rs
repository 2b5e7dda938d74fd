//! Media: packetizing and depacketizing for each codec, and SRTP.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use rtc_media::packetizer::{NalSeparator, ObuPacketization, Options};
use rtc_media::{Chain, Codec, Message, Now, Output, RtpConfig, handler};
use rtc_srtp_engine::{MakeAead, Profile, Role, Session};
use rtc_tls_rustls::srtp_aead;

/// A frame of video at 24 Mbit/s and 30 frames a second; a packet of audio.
const VIDEO: usize = 100_000;
const AUDIO: usize = 160;

fn main() {
    let mut criterion = librtc_benches::criterion();
    packetizing(&mut criterion);
    srtp(&mut criterion);
    criterion.final_summary();
}

fn packetizing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("media");
    let now = Now::from_system();
    for codec in Codec::ALL {
        let frame = Bytes::from(frame(codec));
        let options = Options {
            nal_separator: NalSeparator::Start,
            obu_packetization: ObuPacketization::TemporalUnit,
            ..Options::default()
        };
        let mut sender = Chain::default();
        let config = RtpConfig::new(1, "cname", 96, codec.clock_rate());
        sender.set_packetizer(config, codec.packetizer(&options));
        sender.push(handler::SenderReporter::default());
        sender.push(handler::NackResponder::default());
        let mut send = || {
            let mut output = Output::default();
            sender.outgoing(now, vec![Message::from(black_box(frame.clone()))], &mut output);
            if let Some(config) = sender.config_mut() {
                config.timestamp = config.timestamp.wrapping_add(3000);
            }
            output.packets
        };
        group.throughput(Throughput::Bytes(frame.len() as u64));
        group.bench_function(format!("packetize, {}", codec.name()), |bencher| {
            bencher.iter(&mut send);
        });
        let mut receiver = Chain::default();
        receiver.set_depacketizer(handler::Depacketizing::new(
            codec.depacketizer(&options),
            codec.clock_rate(),
        ));
        receiver.push(handler::ReceivingSession::new(2, codec.clock_rate()));
        let mut receive = |packets: Vec<Bytes>| {
            let mut batch = packets.into_iter().map(Message::from).collect();
            receiver.incoming(now, &mut batch, &mut Output::default());
            batch
        };
        group.bench_function(format!("depacketize, {}", codec.name()), |bencher| {
            bencher.iter_batched(&mut send, &mut receive, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// A frame with the outer form of its codec.
fn frame(codec: Codec) -> Vec<u8> {
    let size = if codec.is_video() { VIDEO } else { AUDIO };
    // No byte is zero: no start codes.
    let mut frame: Vec<u8> = (0..size).map(|number| (number % 251) as u8 + 1).collect();
    let head: &[u8] = match codec {
        Codec::H264 => &[0, 0, 0, 1, 0x65],
        Codec::H265 => &[0, 0, 0, 1, 0x26, 1],
        // A delimiter, then a frame with its size of four bytes.
        Codec::Av1 => &[0x12, 0, 0x32, 0x80, 0x80, 0x80, 0],
        Codec::Vp9 => &[0x82],
        _ => &[],
    };
    if codec == Codec::Av1 {
        let size = VIDEO - head.len();
        frame.truncate(VIDEO);
        frame[..head.len()].copy_from_slice(head);
        for (position, byte) in frame[3..7].iter_mut().enumerate() {
            *byte |= (size >> (7 * position)) as u8 & 0x7f;
        }
    } else {
        frame[..head.len()].copy_from_slice(head);
    }
    frame
}

fn srtp(criterion: &mut Criterion) {
    const SIZE: usize = 1200;
    let mut group = criterion.benchmark_group("srtp");
    group.throughput(Throughput::Bytes(SIZE as u64));
    // What protects with rustls, and what serves where the DTLS backend has nothing of its own.
    let makers: [(&str, MakeAead<'_>); 2] = [("", &srtp_aead), (", own", &|_| None)];
    for (profile, (maker, make)) in
        Profile::ALL.into_iter().flat_map(|profile| makers.map(|maker| (profile, maker)))
    {
        if profile == Profile::Aes128CmSha1_80 && !maker.is_empty() {
            continue;
        }
        let exported = vec![7; profile.exported_length()];
        let session = |role| {
            let session = Session::with_aead(profile, role, &exported, make);
            session.expect("the length is right")
        };
        let mut buffer = vec![0; SIZE + profile.rtp_overhead()];
        buffer[0] = 0x80;
        let mut sequence = 0_u16;
        let mut protect = |session: &mut Session, buffer: &mut [u8]| {
            buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            sequence = sequence.wrapping_add(1);
            session.outbound.protect_rtp(buffer, SIZE).expect("a packet")
        };
        let mut alice = session(Role::Client);
        group.bench_function(format!("protect, {profile:?}{maker}"), |bencher| {
            bencher.iter(|| protect(&mut alice, black_box(&mut buffer)));
        });
        // Another pair: the peer must have seen every rollover.
        let (mut alice, mut bob) = (session(Role::Client), session(Role::Server));
        group.bench_function(format!("protect and open, {profile:?}{maker}"), |bencher| {
            bencher.iter(|| {
                let length = protect(&mut alice, black_box(&mut buffer));
                bob.inbound.open_rtp(&mut buffer[..length]).expect("a packet of the other side")
            });
        });
    }
    group.finish();
}
