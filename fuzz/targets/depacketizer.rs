//! Packets of the peer: a chain that depacketizes, reports and asks for what is missing, while time
//! passes. Nothing it keeps grows beyond its bounds, and no step makes packets without end.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use librtc_fuzz::Script;
use rtc_media::packetizer::Options;
use rtc_media::rtp::{Header, Rtx};
use rtc_media::{Chain, Codec, Message, Now, Output, handler};

const RTX: Rtx = Rtx { ssrc: 1, payload_type: 96, rtx_ssrc: 2, rtx_payload_type: 97 };

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let codec = Codec::ALL[usize::from(script.byte()) % Codec::ALL.len()];
    let mut chain = Chain::default();
    let depacketizer = codec.depacketizer(&Options::default());
    chain.set_depacketizer(handler::Depacketizing::new(depacketizer, codec.clock_rate()));
    chain.push(handler::ReceivingSession::new(9, codec.clock_rate()));
    chain.push(handler::NackRequester::new(9).with_rtx(RTX));
    let mut now = Now { wall: SystemTime::UNIX_EPOCH, ..Now::from_system() };
    let (mut sequence, mut timestamp) = (0_u16, 0_u32);
    let mut output = Output::default();
    while !script.is_over() {
        let action = script.byte();
        let mut batch = Vec::new();
        let (mut received, mut most) = (0, 40);
        match action & 3 {
            // Time passes.
            0 => {
                now.instant += Duration::from_millis(u64::from(script.byte()) * 4);
                chain.handle_timeout(now, &mut batch, &mut output);
                most = 40 + usize::from(u16::MAX);
            }
            // A raw packet.
            1 => {
                batch.push(Message::from(script.bytes().to_vec()));
                received = 1;
            }
            // A packet with a good header, in sequence or not.
            _ => {
                if action & 4 != 0 {
                    sequence = sequence.wrapping_add(script.word());
                }
                if action & 8 != 0 {
                    timestamp = timestamp.wrapping_add(u32::from(script.byte()));
                }
                let header = Header {
                    marker: action & 16 != 0,
                    payload_type: 96,
                    sequence,
                    timestamp,
                    ssrc: 1 + u32::from(action >> 7),
                };
                sequence = sequence.wrapping_add(1);
                let mut packet = Vec::new();
                header.write(&[], &[], &mut packet);
                packet.extend(script.bytes());
                batch.push(Message::from(packet));
                received = 1;
            }
        }
        if received > 0 {
            chain.incoming(now, &mut batch, &mut output);
        }
        for message in &batch {
            assert!(message.data.len() <= 8 * bytes.len() + 64, "frames are made of their packets");
        }
        assert!(output.packets.len() <= most);
        output.packets.clear();
    }
});
