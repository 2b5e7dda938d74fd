//! An RTCP compound: parsed, written and parsed again, and given to a chain with every handler that
//! listens to RTCP.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_media::rtcp::{self, Packet};
use rtc_media::{Chain, Codec, Message, Now, Output, RtpConfig, handler, packetizer};

fuzz_target!(|bytes: &[u8]| {
    for packet in rtcp::compound(bytes).flatten() {
        if matches!(packet, Packet::Other { .. }) {
            continue;
        }
        let mut again = rtcp::compound(&rtcp::write(std::slice::from_ref(&packet)))
            .collect::<Result<Vec<_>, _>>()
            .expect("our own packet is parsed");
        match (again.pop(), packet) {
            // Eighteen bits of a bitrate are kept.
            (Some(Packet::Remb(again)), Packet::Remb(first)) => {
                assert_eq!(again.sources, first.sources);
            }
            (again, first) => assert_eq!(again, Some(first)),
        }
    }
    assert!(rtcp::ssrcs(bytes).len() <= bytes.len());

    let now = Now::from_system();
    let mut chain = Chain::default();
    let options = packetizer::Options::default();
    chain.set_packetizer(RtpConfig::new(1, "", 96, 90_000), Codec::Vp8.packetizer(&options));
    chain.push(handler::NackResponder::default());
    chain.push(handler::KeyframeHandler::default());
    chain.push(handler::BitrateHandler);
    let mut output = Output::default();
    let frames = (0..20).map(|number| Message::from(vec![number; 100])).collect();
    chain.outgoing(now, frames, &mut output);
    let sent = output.packets.len();
    let mut batch = vec![Message::from(bytes.to_vec())];
    chain.incoming(now, &mut batch, &mut output);
    assert!(output.packets.len() <= 2 * sent, "no packet is sent again twice at once");

    let mut chain = Chain::default();
    chain.push(handler::ReceivingSession::new(1, 90_000));
    chain.incoming(now, &mut batch, &mut output);
});
