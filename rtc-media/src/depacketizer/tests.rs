use proptest::prelude::*;

use super::*;
use crate::packetizer::{NalSeparator, ObuPacketization, Options, Payloads};
use crate::{Codec, FrameInfo, Message, Now, Output, RtpConfig, handler};

fn depacketize(codec: Codec, payloads: &[&[u8]]) -> Result<Vec<u8>, Malformed> {
    let options = Options { nal_separator: NalSeparator::Length, ..Options::default() };
    let payloads: Vec<_> = payloads.iter().map(|payload| Bytes::copy_from_slice(payload)).collect();
    let mut frame = Vec::new();
    codec.depacketizer(&options).depacketize(&payloads, &mut frame)?;
    Ok(frame)
}

#[test]
fn aggregated_and_fragmented_nal_units_are_put_together() {
    for (codec, payloads, frame) in [
        (Codec::H264, &[&[0x78, 0, 1, 0x67, 0, 2, 0x68, 9][..], &[0x65, 3]][..], {
            &[0, 0, 0, 1, 0x67, 0, 0, 0, 2, 0x68, 9, 0, 0, 0, 2, 0x65, 3][..]
        }),
        (Codec::H264, &[&[0x7c, 0x85, 1], &[0x7c, 0x05, 2], &[0x7c, 0x45, 3]], {
            &[0, 0, 0, 4, 0x65, 1, 2, 3]
        }),
        (Codec::H265, &[&[0x60, 1, 0, 2, 0x40, 1, 0, 3, 0x42, 1, 9]], {
            &[0, 0, 0, 2, 0x40, 1, 0, 0, 0, 3, 0x42, 1, 9]
        }),
        (Codec::H265, &[&[0x62, 0x0b, 0x93, 1], &[0x62, 0x0b, 0x53, 2]], {
            &[0, 0, 0, 4, 0x26, 0x0b, 1, 2]
        }),
    ] {
        assert_eq!(depacketize(codec, payloads).as_deref(), Ok(frame), "{codec:?} {payloads:?}");
    }
}

#[test]
fn descriptors_of_vp8_and_vp9_are_taken_off() {
    for (codec, payload, rest) in [
        (Codec::Vp8, &[0x10, 1, 2][..], 2),
        (Codec::Vp8, &[0x90, 0x80, 0x05, 1], 1),
        (Codec::Vp8, &[0x90, 0x80, 0x85, 0, 1], 1),
        (Codec::Vp8, &[0x90, 0xf0, 0x85, 0, 3, 4, 1], 1),
        (Codec::Vp8, &[0x90, 0x20, 4, 1], 1),
        (Codec::Vp8, &[0x90, 0x00, 1, 2], 2),
        (Codec::Vp9, &[0x08, 1, 2], 2),
        (Codec::Vp9, &[0x88, 5, 1], 1),
        (Codec::Vp9, &[0xac, 0x85, 0, 0x10, 7, 1], 1),
        // Flexible: references 3 and 4, the layers without TL0PICIDX.
        (Codec::Vp9, &[0xf8, 0x85, 0, 0x10, 7, 8, 1], 1),
        // A structure of two layers with sizes and two pictures with references.
        (Codec::Vp9, &[0x0a, 0x38, 1, 0, 1, 0, 2, 0, 2, 0, 2, 0x04, 9, 0x08, 9, 9, 1, 2], 2),
    ] {
        let expected = &payload[payload.len() - rest..];
        assert_eq!(depacketize(codec, &[payload]).as_deref(), Ok(expected), "{payload:02x?}");
    }
}

#[test]
fn payloads_tell_whether_a_frame_begins_with_them() {
    use Beginning::{Certain, No, Possible};
    for (codec, payload, expected) in [
        (Codec::Opus, &[1][..], Certain),
        (Codec::Vp8, &[0x10, 1], Certain),
        (Codec::Vp8, &[0x11, 1], No),
        (Codec::Vp8, &[0x00, 1], No),
        (Codec::Vp9, &[0x08, 1], Certain),
        (Codec::Vp9, &[0x04, 1], No),
        (Codec::Vp9, &[0x28, 0x00, 0, 1], Certain),
        (Codec::Vp9, &[0xa8, 0x81, 1, 0x20, 0, 1], Certain),
        (Codec::Vp9, &[0xa8, 0x81, 1, 0x22, 0, 1], Possible),
        (Codec::Vp9, &[0xa8, 0x01, 0x23, 0, 1], No),
        (Codec::Av1, &[0x18, 0x30, 1], Certain),
        (Codec::Av1, &[0x20, 1, 0x08, 0x30], Certain),
        (Codec::Av1, &[0x10, 0x12, 0], Certain),
        (Codec::Av1, &[0x10, 0x30, 1], Possible),
        (Codec::Av1, &[0x00, 2, 0x30, 1], Possible),
        (Codec::Av1, &[0x90, 0x30, 1], No),
        (Codec::H264, &[0x09, 0x10], Certain),
        (Codec::H264, &[0x67, 1], Certain),
        (Codec::H264, &[0x68, 1], Possible),
        (Codec::H264, &[0x61, 0x80], Certain),
        (Codec::H264, &[0x61, 0x40], Possible),
        (Codec::H264, &[0x65, 0x80], Possible),
        (Codec::H264, &[0x78, 0, 2, 0x67, 1], Certain),
        (Codec::H264, &[0x78, 0, 2, 0x68, 1], Possible),
        (Codec::H264, &[0x78, 0], Possible),
        (Codec::H264, &[0x7c, 0x81, 0x80], Certain),
        (Codec::H264, &[0x7c, 0x85, 0x80], Possible),
        (Codec::H264, &[0x7c, 0x01, 0x80], No),
        (Codec::H265, &[0x46, 1, 0x50], Certain),
        (Codec::H265, &[0x40, 1, 1], Certain),
        (Codec::H265, &[0x42, 1, 1], Possible),
        (Codec::H265, &[0x02, 1, 0x80], Certain),
        (Codec::H265, &[0x02, 9, 0x80], Possible),
        (Codec::H265, &[0x03, 1, 0x80], Possible),
        (Codec::H265, &[0x02, 1, 0x40], Possible),
        (Codec::H265, &[0x26, 1, 0x80], Possible),
        (Codec::H265, &[0x60, 1, 0, 2, 0x40, 1, 1], Certain),
        (Codec::H265, &[0x60, 1, 0, 2, 0x44, 1, 1], Possible),
        (Codec::H265, &[0x62, 1, 0x81, 0x80], Certain),
        (Codec::H265, &[0x62, 1, 0x93, 0x80], Possible),
        (Codec::H265, &[0x62, 1, 0x01, 0x80], No),
    ] {
        let depacketizer = codec.depacketizer(&Options::default());
        assert_eq!(depacketizer.beginning(payload), expected, "{codec:?} {payload:02x?}");
    }
}

#[test]
fn temporal_units_get_delimiter_and_sizes() {
    for (payloads, unit) in [
        // W = 2: the first one has a length.
        (&[&[0x28, 2, 0x08, 1, 0x30, 5][..]][..], &[0x12, 0, 0x0a, 1, 1, 0x32, 1, 5][..]),
        // W = 0: all have.
        (&[&[0x00, 2, 0x08, 1, 2, 0x30, 5]], &[0x12, 0, 0x0a, 1, 1, 0x32, 1, 5]),
        // A size field within, and a delimiter.
        (&[&[0x20, 2, 0x12, 0, 0x32, 1, 5]], &[0x12, 0, 0x32, 1, 5]),
        // Continued twice, with another one behind.
        (
            &[&[0x50, 0x30, 1], &[0xd0, 2], &[0xa0, 1, 3, 0x18, 9]],
            &[0x12, 0, 0x32, 3, 1, 2, 3, 0x1a, 1, 9],
        ),
    ] {
        assert_eq!(depacketize(Codec::Av1, payloads).as_deref(), Ok(unit), "{payloads:02x?}");
    }
}

#[test]
fn broken_frames_are_refused() {
    for (codec, payloads, what) in [
        (Codec::H264, &[&[0x7c, 0x05, 1][..]][..], "the start of a unit is missing"),
        (Codec::H264, &[&[0x7c, 0x85, 1]], "the end of a unit is missing"),
        (Codec::H264, &[&[0x7c, 0x85, 1], &[0x65, 2]], "another one within a unit"),
        (Codec::H264, &[&[0x7c, 0x85, 1], &[0x7c, 0x85, 1]], "a start within a unit"),
        (Codec::H264, &[&[0x78, 0, 9, 1]], "an aggregated length beyond the end"),
        (Codec::H264, &[&[0x78, 0]], "half an aggregated length"),
        (Codec::H264, &[&[0x79, 0, 0]], "STAP-B"),
        (Codec::H264, &[&[0x00]], "type 0"),
        (Codec::H264, &[&[0x7c]], "half a header"),
        (Codec::H265, &[&[0x40]], "half a header"),
        (Codec::H265, &[&[0x62, 1]], "no fragment header"),
        (Codec::H265, &[&[0x62, 1, 0x13]], "the start of a unit is missing"),
        (Codec::H265, &[&[0x60, 1, 0, 9, 1]], "an aggregated length beyond the end"),
        (Codec::H265, &[&[0x64, 1, 0]], "PACI"),
        (Codec::Vp8, &[&[0x00, 1]], "no beginning"),
        (Codec::Vp8, &[&[0x90, 0x80]], "a picture that is not there"),
        (Codec::Vp8, &[&[0x90, 0xf0, 1, 2]], "a key index that is not there"),
        (Codec::Vp9, &[&[0x00, 1]], "no beginning"),
        (Codec::Vp9, &[&[0xa8, 0x80, 1]], "layers that are not there"),
        (Codec::Vp9, &[&[0x0a, 0xf8, 1, 2]], "a structure that is cut off"),
        (Codec::Vp9, &[&[0x0a, 0x08, 0xff, 0x0c]], "pictures that are not there"),
        (Codec::Av1, &[&[0x90, 1]], "the start of a unit is missing"),
        (Codec::Av1, &[&[0x50, 0x30]], "the end of a unit is missing"),
        (Codec::Av1, &[&[0x00, 9, 1]], "a length beyond the end"),
        (Codec::Av1, &[&[0x10, 0xb0]], "the forbidden bit"),
    ] {
        assert!(depacketize(codec, payloads).is_err(), "{codec:?}: {what}");
    }
}

/// What a codec's frames may look like, and the frame a depacketizer makes of them.
fn frames(codec: Codec, units: &[Vec<u8>], separator: NalSeparator) -> (Vec<u8>, Vec<u8>) {
    let mut sent = Vec::new();
    match codec {
        Codec::H264 | Codec::H265 => {
            for unit in units {
                // No zeros: neither start codes nor trailing ones.
                let content = unit.iter().map(|byte| byte | 1);
                let header: &[u8] = if codec == Codec::H264 { &[0x65] } else { &[0x26, 1] };
                let unit: Vec<_> = header.iter().copied().chain(content).collect();
                separator.append(&unit, &mut sent);
            }
            (sent.clone(), sent)
        }
        Codec::Av1 => {
            sent.extend([0x12, 0]);
            for (position, unit) in units.iter().enumerate() {
                // A sequence header waits for another OBU: it is not the last one.
                let kind = if position == 0 && units.len() > 1 { 0x0a } else { 0x32 };
                sent.push(kind);
                crate::packetizer::av1::obu::put_leb128(unit.len(), &mut sent);
                sent.extend(unit);
            }
            (sent.clone(), sent)
        }
        Codec::Vp9 => {
            let frame = [vec![0x82], units.concat()].concat();
            (frame.clone(), frame)
        }
        _ => {
            let frame = [vec![1], units.concat()].concat();
            (frame.clone(), frame)
        }
    }
}

fn any_codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

fn any_separator() -> impl Strategy<Value = NalSeparator> {
    use NalSeparator::{Length, LongStart, ShortStart, Start};
    prop::sample::select(vec![Length, LongStart, ShortStart, Start])
}

proptest! {
    /// Frames go through a packetizer, a link that reorders and repeats, and a depacketizer.
    #[test]
    fn frames_come_out_as_they_went_in(
        codec in any_codec(),
        separator in any_separator(),
        limit in 16..300_u16,
        sequence in any::<u16>(),
        units in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 1..700), 1..5), 1..8),
        swaps in prop::collection::vec((0..200_usize, 0..4_usize), 0..20),
    ) {
        let options = Options {
            max_fragment_size: limit,
            nal_separator: separator,
            obu_packetization: ObuPacketization::TemporalUnit,
        };
        let mut config = RtpConfig::new(1, "", 96, codec.clock_rate());
        config.sequence = sequence;
        let mut sender = crate::Chain::default();
        sender.set_packetizer(config, codec.packetizer(&options));
        let mut receiver = crate::Chain::default();
        let depacketizer = codec.depacketizer(&options);
        receiver.set_depacketizer(handler::Depacketizing::new(depacketizer, codec.clock_rate()));

        let (now, mut output, mut expected) = (Now::from_system(), Output::default(), Vec::new());
        for (position, units) in units.iter().enumerate() {
            let (sent, received) = frames(codec, units, separator);
            let info = FrameInfo { timestamp: position as u32 * 3000, ..FrameInfo::default() };
            sender.outgoing(now, vec![Message { data: sent.into(), frame: Some(info) }], &mut output);
            expected.push((info.timestamp, Bytes::from(received)));
        }
        let mut packets = output.packets;
        prop_assert_eq!(output.dropped, 0);
        for packet in &packets {
            prop_assert!(!codec.is_video() || packet.len() <= usize::from(limit) + 12);
        }
        if codec.is_video() {
            for (at, by) in swaps {
                // The first packet stays first: a stream is joined where it begins.
                let at = 1 + at % packets.len();
                let to = (at + by).min(packets.len() - 1);
                if at < to {
                    packets.swap(at, to);
                    let twin = packets[at].clone();
                    packets.insert(at, twin);
                }
            }
        }
        let mut output = Output::default();
        let mut received = Vec::new();
        for packet in packets {
            let mut batch = vec![Message::from(packet)];
            receiver.incoming(now, &mut batch, &mut output);
            received.extend(batch.into_iter().map(|frame| (frame.frame.unwrap().timestamp, frame.data)));
        }
        prop_assert_eq!(output.dropped, 0);
        prop_assert_eq!(received, expected);
    }

    #[test]
    fn no_payloads_break_a_depacketizer(
        codec in any_codec(),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..6),
    ) {
        let payloads: Vec<_> = payloads.into_iter().map(Bytes::from).collect();
        let mut depacketizer = codec.depacketizer(&Options::default());
        for payload in &payloads {
            depacketizer.beginning(payload);
        }
        let mut frame = Vec::new();
        let size: usize = payloads.iter().map(|payload| 6 * payload.len()).sum();
        if depacketizer.depacketize(&payloads, &mut frame).is_ok() {
            prop_assert!(frame.len() <= size + 8);
        }
    }

    #[test]
    fn no_frames_break_a_packetizer(
        codec in any_codec(),
        separator in any_separator(),
        limit in 0..64_u16,
        frames in prop::collection::vec(prop::collection::vec(0..8_u8, 0..80), 1..6),
    ) {
        for obu_packetization in [ObuPacketization::Obu, ObuPacketization::TemporalUnit] {
            let options =
                Options { max_fragment_size: limit, nal_separator: separator, obu_packetization };
            let mut packetizer = codec.packetizer(&options);
            for frame in &frames {
                let mut payloads = Payloads::new(12);
                let _ = packetizer.packetize(frame, &mut payloads);
                for payload in payloads.iter() {
                    prop_assert!(!payload.is_empty());
                    prop_assert!(!codec.is_video() || limit == 0 || payload.len() <= usize::from(limit.max(16)));
                }
            }
        }
    }
}

#[test]
fn nothing_but_rtp_is_depacketized() {
    let mut chain = crate::Chain::default();
    chain.push(handler::Depacketizing::new(Codec::Opus.depacketizer(&Options::default()), 48_000));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    let mut packet = vec![0x80, 111, 0, 1, 0, 0, 0xbb, 0x80, 0, 0, 0, 1];
    let mut batch = vec![
        Message::from(report.to_vec()),
        Message::from(packet.clone()),
        Message::from(vec![0x80, 111]),
    ];
    packet.push(7);
    batch.push(Message::from(packet));
    let mut output = Output::default();
    chain.incoming(Now::from_system(), &mut batch, &mut output);
    assert_eq!(output.dropped, 1, "the runt");
    let [first, second] = &batch[..] else { panic!("{batch:?}") };
    assert_eq!(first.data[..], report);
    let info = FrameInfo { timestamp: 48_000, payload_type: 111, seconds: Some(1.0) };
    assert_eq!((&second.data[..], second.frame), (&[7][..], Some(info)));
}

#[test]
fn what_repairs_other_packets_is_no_frame() {
    let mut chain = crate::Chain::default();
    let depacketizer = Codec::Opus.depacketizer(&Options::default());
    chain.push(handler::Depacketizing::new(depacketizer, 48_000).leaving_out(vec![112]));
    let packet = |payload_type| vec![0x80, payload_type, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 7];
    let mut batch = [111, 112].map(|payload_type| Message::from(packet(payload_type))).to_vec();
    let mut output = Output::default();
    chain.incoming(Now::from_system(), &mut batch, &mut output);
    assert_eq!(output.dropped, 0);
    let types: Vec<_> =
        batch.iter().filter_map(|m| m.frame).map(|info| info.payload_type).collect();
    assert_eq!(types, [111]);
}
