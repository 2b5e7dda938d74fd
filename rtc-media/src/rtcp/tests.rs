use proptest::prelude::*;

use super::*;
use crate::NtpTime;

fn one(data: &[u8]) -> Packet {
    let packets: Vec<_> = compound(data).collect();
    assert_eq!(packets.len(), 1, "{packets:?}");
    packets.into_iter().next().unwrap().unwrap()
}

fn block() -> ReportBlock {
    ReportBlock {
        ssrc: 7,
        fraction_lost: 3,
        cumulative_lost: -2,
        highest_sequence: 0x0001_006d,
        jitter: 5,
        last_report: 6,
        delay: 8,
    }
}

fn samples() -> Vec<Packet> {
    vec![
        Packet::SenderReport(SenderReport {
            ssrc: 42,
            ntp: NtpTime(0x0123_4567_89ab_cdef),
            rtp_timestamp: 9,
            packets: 10,
            octets: 11,
            blocks: vec![block(), block()],
        }),
        Packet::ReceiverReport(ReceiverReport { ssrc: 1, blocks: vec![block()] }),
        Packet::ReceiverReport(ReceiverReport::default()),
        Packet::SourceDescription(SourceDescription::cname(42, "cname")),
        Packet::SourceDescription(SourceDescription {
            chunks: (0..3)
                .map(|ssrc| Chunk {
                    ssrc,
                    items: (0..ssrc as u8)
                        .map(|kind| Item { kind: kind + 1, text: vec![b'x'; kind.into()].into() })
                        .collect(),
                })
                .collect(),
        }),
        Packet::Goodbye(Goodbye { sources: vec![1, 2], reason: "over".into() }),
        Packet::Goodbye(Goodbye::default()),
        Packet::Nack(Nack::new(1, 42, [65_534, 65_535, 0, 3, 100])),
        Packet::Pli(Pli { sender: 1, media: 42 }),
        Packet::Fir(Fir { sender: 1, entries: vec![FirEntry { ssrc: 42, sequence: 200 }] }),
        Packet::Remb(Remb { sender: 1, bitrate: 1_000_000, sources: vec![42, 43] }),
    ]
}

#[test]
fn what_is_written_is_read() {
    for packet in samples() {
        assert_eq!(one(&write(std::slice::from_ref(&packet))), packet);
    }
    let all = write(&samples());
    let read: Result<Vec<_>, _> = compound(&all).collect();
    assert_eq!(read.unwrap(), samples());
}

#[test]
fn the_bytes_are_those_of_the_specifications() {
    for (packet, expected) in [
        (Packet::Pli(Pli { sender: 1, media: 0x0a0b_0c0d }), "81ce0002 00000001 0a0b0c0d"),
        (
            Packet::Remb(Remb { sender: 1, bitrate: 500_000, sources: vec![2] }),
            "8fce0005 00000001 00000000 52454d42 0107d090 00000002",
        ),
        (
            Packet::Fir(Fir { sender: 1, entries: vec![FirEntry { ssrc: 2, sequence: 3 }] }),
            "84ce0004 00000001 00000000 00000002 03000000",
        ),
        (Packet::Nack(Nack::new(1, 2, [5, 6, 21])), "81cd0003 00000001 00000002 00058001"),
        (
            Packet::SourceDescription(SourceDescription::cname(2, "ab")),
            "81ca0003 00000002 01026162 00000000",
        ),
        (Packet::Goodbye(Goodbye { sources: vec![2], reason: "".into() }), "81cb0001 00000002"),
        (
            Packet::ReceiverReport(ReceiverReport { ssrc: 1, blocks: vec![block()] }),
            "81c90007 00000001 00000007 03fffffe 0001006d 00000005 00000006 00000008",
        ),
    ] {
        let hex: String =
            write(std::slice::from_ref(&packet)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected.replace(' ', ""), "{packet:?}");
    }
}

#[test]
fn the_older_full_intra_requests_are_understood() {
    for kind in kind::OLD_FIR {
        let Packet::Fir(fir) = one(&[0x80, kind, 0, 1, 0, 0, 0, 9]) else { panic!("{kind}") };
        assert_eq!(fir.entries[0].ssrc, 9);
    }
}

#[test]
fn bitrates_keep_18_bits_and_do_not_overflow() {
    for (bitrate, expected) in
        [(0, 0), (1, 1), (262_143, 262_143), (262_145, 262_144), (u64::MAX, 0x3ffff << 46)]
    {
        let packet = Packet::Remb(Remb { bitrate, ..Remb::default() });
        let Packet::Remb(remb) = one(&write(&[packet])) else { panic!() };
        assert_eq!(remb.bitrate, expected);
    }
    let mut widest = write(&[Packet::Remb(Remb::default())]).to_vec();
    widest[17] = 0xff;
    widest[19] = 0xff;
    let Packet::Remb(remb) = one(&widest) else { panic!() };
    assert_eq!(remb.bitrate, u64::MAX);
}

#[test]
fn nacks_name_every_sequence_number() {
    let sequences = [10, 11, 26, 27, 65_535, 0, 15];
    let nack = Nack::new(1, 2, sequences);
    assert_eq!(nack.sequences().collect::<Vec<_>>(), sequences);
    assert_eq!(nack.pairs.len(), 3);
}

#[test]
fn more_than_fits_is_cut_off() {
    let blocks = vec![block(); 40];
    let written = write(&[Packet::ReceiverReport(ReceiverReport { ssrc: 1, blocks })]);
    let Packet::ReceiverReport(report) = one(&written) else { panic!() };
    assert_eq!(report.blocks.len(), 31);
    let Packet::SourceDescription(description) =
        one(&write(&[Packet::SourceDescription(SourceDescription::cname(1, &"n".repeat(300)))]))
    else {
        panic!()
    };
    assert_eq!(description.chunks[0].items[0].text.len(), 255);
}

#[test]
fn lies_about_lengths_and_counts_are_malformed() {
    for (data, what) in [
        (&[0x80][..], "runt"),
        (&[0x80, 201, 0], "runt"),
        (&[0x80, 201, 0, 1], "cut off"),
        (&[0x80, 201, 0xff, 0xff, 0, 0, 0, 1], "longer than the datagram"),
        (&[0x40, 201, 0, 1, 0, 0, 0, 1], "version 1"),
        (&[0x81, 201, 0, 1, 0, 0, 0, 1], "a block that is not there"),
        (&[0x9f, 200, 0, 1, 0, 0, 0, 1], "31 blocks that are not there"),
        (&[0x80, 200, 0, 0], "a sender report without a sender"),
        (&[0x81, 202, 0, 1, 0, 0, 0, 1], "a chunk without an end"),
        (&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, b'x', 0], "an item longer than the packet"),
        (&[0x82, 203, 0, 1, 0, 0, 0, 1], "a source that is not there"),
        (&[0x81, 203, 0, 2, 0, 0, 0, 1, 9, b'x', 0, 0], "a reason longer than the packet"),
        (&[0x81, 206, 0, 1, 0, 0, 0, 1], "a PLI without a stream"),
        (&[0x84, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2], "half a FIR"),
        (
            &[0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0, 0, 1],
            "a REMB without its source",
        ),
        (&[0xa0, 201, 0, 1, 0, 0, 0, 0], "no padding in spite of its flag"),
        (&[0xa0, 201, 0, 1, 0, 0, 0, 9], "more padding than packet"),
    ] {
        let packets: Vec<_> = compound(data).collect();
        assert!(packets.len() == 1 && packets[0].is_err(), "{what}: {packets:?}");
    }
}

#[test]
fn a_malformed_packet_ends_a_compound() {
    let mut data = write(&[Packet::Pli(Pli { sender: 1, media: 42 })]).to_vec();
    data.extend([0x80, 201, 0xff, 0xff]);
    let packets: Vec<_> = compound(&data).collect();
    assert_eq!((packets[0].is_ok(), packets[1].is_err(), packets.len()), (true, true, 2));
    assert_eq!(ssrcs(&data), [1, 42]);
}

#[test]
fn everybody_concerned_is_found() {
    assert_eq!(ssrcs(&write(&samples())), [0, 1, 2, 7, 42, 43]);
    assert!(ssrcs(&[]).is_empty());
}

#[test]
fn unknown_packets_are_passed_over() {
    let mut data = vec![0x83, 207, 0, 1, 1, 2, 3, 4];
    data.extend(write(&[Packet::Pli(Pli { sender: 1, media: 2 })]));
    let packets: Result<Vec<_>, _> = compound(&data).collect();
    let packets = packets.unwrap();
    assert_eq!(packets[0], Packet::Other { kind: 207, count: 3 });
    assert_eq!(packets.len(), 2);
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser(
        kind in 190..=210u8,
        first in 0x80..=0xbfu8,
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut data = vec![first, kind];
        data.extend(((body.len() / 4) as u16).to_be_bytes());
        data.extend(&body);
        for packet in compound(&data).flatten() {
            // What was understood can be said again, and is then understood the same way.
            let written = write(std::slice::from_ref(&packet));
            if !matches!(packet, Packet::Other { .. }) {
                prop_assert_eq!(one(&written), packet);
            }
        }
        prop_assert!(ssrcs(&data).len() <= data.len());
    }
}
