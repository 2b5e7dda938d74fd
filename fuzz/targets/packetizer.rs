//! Frames of the user: packetized, whatever they are. Payloads keep to the limit, and the
//! depacketizer takes them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use librtc_fuzz::Script;
use rtc_media::Codec;
use rtc_media::packetizer::{NalSeparator, ObuPacketization, Options, Payloads};

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let codec = Codec::ALL[usize::from(script.byte()) % Codec::ALL.len()];
    let settings = script.byte();
    let separators = [
        NalSeparator::Length,
        NalSeparator::LongStart,
        NalSeparator::ShortStart,
        NalSeparator::Start,
    ];
    let options = Options {
        max_fragment_size: script.byte().into(),
        nal_separator: separators[usize::from(settings & 3)],
        obu_packetization: match settings & 4 {
            0 => ObuPacketization::Obu,
            _ => ObuPacketization::TemporalUnit,
        },
    };
    let limit = match usize::from(options.max_fragment_size) {
        0 => usize::from(rtc_media::packetizer::DEFAULT_MAX_FRAGMENT_SIZE),
        size => size.max(16),
    };
    let (mut packetizer, mut depacketizer) =
        (codec.packetizer(&options), codec.depacketizer(&options));
    while !script.is_over() {
        let frame = script.bytes();
        let mut payloads = Payloads::new(12);
        let result = packetizer.packetize(frame, &mut payloads);
        let payloads: Vec<_> =
            payloads.iter().map(|payload| bytes::Bytes::copy_from_slice(payload)).collect();
        for payload in &payloads {
            assert!(!payload.is_empty() && (!codec.is_video() || payload.len() <= limit));
        }
        // What passes for a unit need not be one that can be taken apart again.
        let has_units = matches!(codec, Codec::H264 | Codec::H265);
        let mut again = Vec::new();
        let depacketized = depacketizer.depacketize(&payloads, &mut again);
        if result.is_ok() && !has_units && !payloads.is_empty() {
            assert_eq!(depacketized, Ok(()));
            assert!(codec == Codec::Av1 || again == frame);
        }
    }
});
