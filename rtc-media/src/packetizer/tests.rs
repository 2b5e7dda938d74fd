use super::*;

fn payloads(packetizer: &mut dyn Packetizer, frame: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut payloads = Payloads::new(0);
    packetizer.packetize(frame, &mut payloads)?;
    Ok(payloads.iter().map(<[u8]>::to_vec).collect())
}

fn behind_length(unit: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    NalSeparator::Length.append(unit, &mut frame);
    frame
}

/// A unit of this many bytes, header included.
fn unit(header: &[u8], size: usize) -> Vec<u8> {
    let mut unit = header.to_vec();
    unit.resize(size, 0xaa);
    unit
}

#[test]
fn small_nal_units_are_packets_of_their_own() {
    let frame = [behind_length(&[0x67, 1]), behind_length(&[0x68, 2]), behind_length(&[0x65, 3])];
    let found = payloads(&mut H264::new(NalSeparator::Length, 0), &frame.concat()).unwrap();
    assert_eq!(found, [[0x67, 1], [0x68, 2], [0x65, 3]]);
    let found = payloads(&mut H265::new(NalSeparator::Length, 0), &frame.concat()).unwrap();
    assert_eq!(found, [[0x67, 1], [0x68, 2], [0x65, 3]]);
}

#[test]
fn large_h264_units_are_fragmented_as_libdatachannel_does() {
    // Unit size, limit, and the size of the fragments with their two bytes of header.
    for (size, limit, expected) in [
        (1220, 0, vec![1220]),
        (1221, 0, vec![611, 611, 4]),
        (1221, 1221, vec![1221]),
        (2440, 1220, vec![1220, 1220, 5]),
        (3000, 1000, vec![1000, 1000, 1000, 7]),
        (100, 40, vec![34, 34, 34, 5]),
    ] {
        let frame = behind_length(&unit(&[0x65], size));
        let found = payloads(&mut H264::new(NalSeparator::Length, limit), &frame).unwrap();
        let sizes: Vec<_> = found.iter().map(Vec::len).collect();
        assert_eq!(sizes, expected, "{size} {limit}");
        if found.len() > 1 {
            let headers: Vec<_> = found.iter().map(|payload| (payload[0], payload[1])).collect();
            assert_eq!(headers[0], (0x7c, 0x85));
            assert_eq!(headers[1], (0x7c, 0x05));
            assert_eq!(headers[headers.len() - 1], (0x7c, 0x45));
        }
    }
}

#[test]
fn large_h265_units_are_fragmented() {
    // Layer 1, temporal identifier 2, type 19.
    let frame = behind_length(&unit(&[0x26, 0x0b], 2000));
    let found = payloads(&mut H265::new(NalSeparator::Length, 1000), &frame).unwrap();
    let headers: Vec<_> =
        found.iter().map(|payload| [payload[0], payload[1], payload[2]]).collect();
    assert_eq!(headers, [[0x62, 0x0b, 0x93], [0x62, 0x0b, 0x13], [0x62, 0x0b, 0x53]]);
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 7]);
}

#[test]
fn start_codes_do_not_become_part_of_units() {
    for (separator, frame) in [
        (NalSeparator::LongStart, &[0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 2][..]),
        (NalSeparator::ShortStart, &[0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 2]),
        (NalSeparator::Start, &[0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 2, 0]),
    ] {
        let found = payloads(&mut H264::new(separator, 0), frame).unwrap();
        assert_eq!(found, [[0x67, 1], [0x65, 2]], "{separator:?}");
    }
}

/// An OBU with a size field.
fn obu(header: &[u8], content: &[u8]) -> Vec<u8> {
    let mut unit = header.to_vec();
    unit[0] |= 2;
    av1::obu::put_leb128(content.len(), &mut unit);
    unit.extend(content);
    unit
}

#[test]
fn temporal_units_lose_delimiter_and_sizes() {
    let unit =
        [vec![0x12, 0], obu(&[0x08], &[1, 2, 3]), obu(&[0x34, 0x20], &[7; 20]), obu(&[0x18], &[9])];
    let mut packetizer = Av1::new(ObuPacketization::TemporalUnit, 18);
    let found = payloads(&mut packetizer, &unit.concat()).unwrap();
    assert_eq!(
        found,
        [
            // A new sequence: its header behind its length, then a frame that continues.
            [&[0x68, 4, 0x08, 1, 2, 3, 0x34, 0x20][..], &[7; 10]].concat(),
            [&[0x90][..], &[7; 10]].concat(),
            vec![0x10, 0x18, 9],
        ]
    );
    // The sequence header has gone out.
    let found = payloads(&mut packetizer, &obu(&[0x30], &[5])).unwrap();
    assert_eq!(found, [[0x10, 0x30, 5]]);
}

#[test]
fn obus_may_come_one_by_one() {
    let mut packetizer = Av1::new(ObuPacketization::Obu, 0);
    assert!(payloads(&mut packetizer, &[0x12, 0]).unwrap().is_empty());
    assert!(payloads(&mut packetizer, &obu(&[0x08], &[1])).unwrap().is_empty());
    // Without a size field, too.
    assert_eq!(payloads(&mut packetizer, &[0x30, 5]).unwrap(), [[0x28, 2, 0x08, 1, 0x30, 5]]);
    let two = [obu(&[0x30], &[5]), obu(&[0x30], &[6])].concat();
    assert!(payloads(&mut packetizer, &two).is_err());
}

#[test]
fn sequence_headers_of_any_size_go_out() {
    for size in [1, 100, 127, 128, 500] {
        let mut packetizer = Av1::new(ObuPacketization::TemporalUnit, 100);
        let unit = [obu(&[0x08], &vec![1; size]), obu(&[0x30], &[2; 300])].concat();
        let found = payloads(&mut packetizer, &unit).unwrap();
        assert!(found.iter().all(|payload| payload.len() <= 100), "{size}");
        let new: Vec<_> = found.iter().map(|payload| payload[0] & 0x08 != 0).collect();
        assert!(new[0] && new[1..].iter().all(|is_new| !is_new), "{size}");
    }
}

#[test]
fn vp8_payloads_tell_start_and_picture() {
    let mut packetizer = Vp8::new(100);
    for picture in 0..2 {
        let found = payloads(&mut packetizer, &[7; 200]).unwrap();
        let descriptors: Vec<_> = found.iter().map(|payload| payload[..4].to_vec()).collect();
        let others = vec![0x80, 0x80, 0x80, picture];
        assert_eq!(descriptors, [vec![0x90, 0x80, 0x80, picture], others.clone(), others]);
        let sizes: Vec<_> = found.iter().map(Vec::len).collect();
        assert_eq!(sizes, [71, 71, 70], "about equally long");
    }
}

#[test]
fn vp9_payloads_tell_beginning_end_and_prediction() {
    let mut packetizer = Vp9::new(100);
    let key = payloads(&mut packetizer, &[0x82; 150]).unwrap();
    let flags: Vec<_> = key.iter().map(|payload| payload[..3].to_vec()).collect();
    assert_eq!(flags, [[0x89, 0x80, 0], [0x85, 0x80, 0]]);
    let inter = payloads(&mut packetizer, &[0x86; 50]).unwrap();
    assert_eq!(inter[0][..3], [0xcd, 0x80, 1]);
    packetizer = Vp9::new(100);
    for _ in 0..0x8000 {
        payloads(&mut packetizer, &[0x82]).unwrap();
    }
    assert_eq!(payloads(&mut packetizer, &[0x82]).unwrap()[0][1..3], [0x80, 0], "15 bits");
}

#[test]
fn audio_is_left_as_it_is() {
    assert_eq!(payloads(&mut Audio, &[1; 3000]).unwrap(), [[1; 3000]]);
}

#[test]
fn malformed_frames_are_refused() {
    let h264 = H264::new(NalSeparator::Start, 0);
    let mut length = H264::new(NalSeparator::Length, 0);
    let h265 = H265::new(NalSeparator::Length, 0);
    let av1 = Av1::new(ObuPacketization::TemporalUnit, 0);
    let cases: [(&mut dyn Packetizer, &[u8], &str); 11] = [
        (&mut h264.clone(), &[1, 2, 3], "no start code"),
        (&mut h264.clone(), &[], "nothing"),
        (&mut length.clone(), &[0, 0, 0, 9, 1], "a length beyond the end"),
        (&mut length.clone(), &[0, 0], "half a length"),
        (&mut h265.clone(), &[0, 0, 0, 1, 0x40], "half a header"),
        (&mut av1.clone(), &[], "nothing"),
        (&mut av1.clone(), &[0x12, 0, 0x32, 9, 1], "a size beyond the end"),
        (&mut av1.clone(), &[0x80], "the forbidden bit"),
        (&mut Vp8::new(0), &[], "nothing"),
        (&mut Vp9::new(0), &[0x00], "no frame marker"),
        (&mut Audio, &[], "nothing"),
    ];
    for (packetizer, frame, what) in cases {
        assert!(payloads(packetizer, frame).is_err(), "{packetizer:?}: {what}");
    }
    let mut partly = Payloads::new(0);
    let frame = [behind_length(&[0x65, 1]), vec![0, 0, 0, 9]].concat();
    assert!(length.packetize(&frame, &mut partly).is_err());
    assert_eq!(partly.len(), 1, "what was in order goes out");
}
