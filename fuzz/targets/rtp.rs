//! An RTP packet: parsed, written again, protected and opened; and the same bytes as if they were
//! protected.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_media::rtp::extension::{ColorSpace, PlayoutDelay};
use rtc_media::rtp::{self, Packet, Rtx};
use rtc_srtp_engine::{Profile, Role, Session};

const RTX: Rtx = Rtx { ssrc: 1, payload_type: 96, rtx_ssrc: 2, rtx_payload_type: 97 };

fuzz_target!(|bytes: &[u8]| {
    for profile in Profile::ALL {
        let exported = vec![7; profile.exported_length()];
        let session = |role| Session::new(profile, role, &exported).expect("the length is right");
        let (mut alice, mut bob) = (session(Role::Client), session(Role::Server));
        assert!(bob.inbound.open_rtp(&mut bytes.to_vec()).is_err());
        assert!(bob.inbound.open_rtcp(&mut bytes.to_vec()).is_err());
        let mut buffer = bytes.to_vec();
        buffer.resize(bytes.len() + profile.rtcp_overhead(), 0);
        if let Ok(length) = alice.outbound.protect_rtp(&mut buffer, bytes.len()) {
            assert_eq!(bob.inbound.open_rtp(&mut buffer[..length]), Ok(bytes.len()));
            assert_eq!(&buffer[..bytes.len()], bytes);
        }
        if let Ok(length) = alice.outbound.protect_rtcp(&mut buffer, bytes.len()) {
            assert_eq!(bob.inbound.open_rtcp(&mut buffer[..length]), Ok(bytes.len()));
            assert_eq!(&buffer[..bytes.len()], bytes);
        }
    }
    let _ = rtp::is_rtcp(bytes);
    let Ok(packet) = Packet::parse(bytes) else { return };
    for (_, content) in packet.extensions() {
        if let Some(delay) = PlayoutDelay::decode(content) {
            assert_eq!(delay.encode(), content);
        }
        let _ = ColorSpace::decode(content);
    }
    let contributors: Vec<u32> = packet.contributors().collect();
    let mut written = Vec::new();
    packet.header().write(&contributors, &[], &mut written);
    let again = Packet::parse(&written).expect("our own header is parsed");
    assert_eq!(again.header(), packet.header());
    assert_eq!(again.contributors().collect::<Vec<_>>(), contributors);

    let wrapped = RTX.wrap(bytes, 5).expect("what is parsed can be retransmitted");
    let unwrapped = RTX.unwrap(&wrapped).expect("our own retransmission is unwrapped");
    assert_eq!(Packet::parse(&unwrapped).map(|packet| packet.payload()), Ok(packet.payload()));
    let _ = RTX.unwrap(bytes);
});
