use aes_gcm::{Aes256Gcm, KeyInit as _};

use super::*;
use crate::keys::SessionKeys;
use crate::{Aead, RESEND_WINDOW, WINDOW};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
}

fn pair(profile: Profile) -> (Session, Session) {
    let exported: Vec<u8> = (0..profile.exported_length()).map(|byte| byte as u8).collect();
    let client = Session::new(profile, Role::Client, &exported).unwrap();
    (client, Session::new(profile, Role::Server, &exported).unwrap())
}

fn rtp(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 7]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn protect_rtp(session: &mut Session, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + session.profile().rtp_overhead(), 0);
    assert_eq!(session.outbound.protect_rtp(&mut buffer, packet.len()), Ok(buffer.len()));
    buffer
}

fn protect_rtcp(session: &mut Session, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + session.profile().rtcp_overhead(), 0);
    assert_eq!(session.outbound.protect_rtcp(&mut buffer, packet.len()), Ok(buffer.len()));
    buffer
}

fn open_rtp(session: &mut Session, mut packet: Vec<u8>) -> Result<Vec<u8>, Error> {
    let length = session.inbound.open_rtp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

fn open_rtcp(session: &mut Session, mut packet: Vec<u8>) -> Result<Vec<u8>, Error> {
    let length = session.inbound.open_rtcp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

/// RFC 7714 §16 and §17 give session keys, not master keys.
fn rfc_7714_cipher(profile: Profile) -> Cipher {
    let mut salt = [0; 14];
    salt[..12].copy_from_slice(b"Quid pro quo");
    let cipher: Vec<u8> = (0..profile.key_length()).map(|byte| byte as u8).collect();
    let authentication = [0; 20].into();
    let keys = SessionKeys { cipher: cipher.into(), authentication, salt: salt.into() };
    Cipher::new(profile, &keys, &|_| None)
}

#[test]
fn gcm_protects_rtp_as_rfc_7714_shows() {
    let plain =
        hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120
         696e2070 61727465 73207472 6573");
    for (profile, expected) in [
        (
            Profile::AeadAes128Gcm,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f
             42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            Profile::AeadAes256Gcm,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3
             b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let mut cipher = rfc_7714_cipher(profile);
        let mut packet = [&plain[..], &[0; 16]].concat();
        cipher.seal_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(packet, hex(expected), "{profile:?}");
        assert_eq!(cipher.open_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

#[test]
fn gcm_protects_rtcp_as_rfc_7714_shows() {
    let plain = hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
         deadbeef deadbeef deadbeef deadbeef deadbeef");
    let expected = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
         c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
    let mut cipher = rfc_7714_cipher(Profile::AeadAes128Gcm);
    let mut packet = [&plain[..], &[0; 20]].concat();
    cipher.seal_rtcp(&mut packet, 0x4d61_7273, 0x5d4).unwrap();
    assert_eq!(packet, hex(expected));
    assert_eq!(cipher.rtcp_trailer(&packet), Ok(0x8000_05d4));
    assert_eq!(cipher.open_rtcp(&mut packet, 0x4d61_7273, 0x8000_05d4), Ok(plain.len()));
    assert_eq!(packet[..plain.len()], plain);
}

/// RFC 7714 §17.3: authenticated only.
#[test]
fn gcm_opens_rtcp_that_is_not_encrypted() {
    let mut cipher = rfc_7714_cipher(Profile::AeadAes128Gcm);
    let mut packet = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
         deadbeef deadbeef deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
    );
    let length = packet.len() - 20;
    assert_eq!(cipher.open_rtcp(&mut packet, 0x4d61_7273, 0x5d4), Ok(length));
    packet[30] ^= 1;
    let opened = cipher.open_rtcp(&mut packet, 0x4d61_7273, 0x5d4);
    assert_eq!(opened, Err(Error::Authentication));
}

/// RFC 3711 appendix B.2: the key stream of counter mode.
#[test]
fn counter_mode_makes_the_key_stream_rfc_3711_shows() {
    let keys = SessionKeys {
        cipher: hex("2B7E151628AED2A6ABF7158809CF4F3C").into(),
        authentication: [0; 20].into(),
        salt: <[u8; 14]>::try_from(hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")).unwrap().into(),
    };
    let mut cipher = Cipher::new(Profile::Aes128CmSha1_80, &keys, &|_| None);
    let mut packet = vec![0; 12 + 48 + 10];
    cipher.seal_rtp(&mut packet, 12, 0, 0).unwrap();
    let stream = hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB
         41E95B3BB0A2E8DD477901E4FCA894C0");
    assert_eq!(packet[12..60], stream);
}

/// The vectors that other implementations of the profile test themselves with, master key and salt
/// of RFC 3711 appendix B.3.
#[test]
fn counter_mode_with_hmac_protects_rtp_and_rtcp_as_others_do() {
    let profile = Profile::Aes128CmSha1_80;
    let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
    let exported = [&key[..], &key[..], &salt[..], &salt[..]].concat();
    let mut session = Session::new(profile, Role::Client, &exported).unwrap();
    let packet = [&hex("800f1234 decafbad cafebabe")[..], &[0xab; 16]].concat();
    let expected = "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402
         b78d6acc 99ea179b 8dbb";
    assert_eq!(protect_rtp(&mut session, &packet), hex(expected));
    session.outbound.streams.entry(0xcafe_babe).or_default().rtcp = 1;
    let packet = [&hex("81c8000b cafebabe")[..], &[0xab; 16]].concat();
    let expected = "81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001
         993e08cd 54d6c123 0798";
    assert_eq!(protect_rtcp(&mut session, &packet), hex(expected));
}

/// What libsrtp 2 makes of two RTP packets, one on each side of a rollover, and of an RTCP
/// compound: from the master keys on, for which RFC 7714 shows nothing.
#[test]
fn every_profile_protects_as_libsrtp_does() {
    for (profile, expected) in [
        (
            Profile::AeadAes128Gcm,
            [
                "8060ffff0000000701020304f46faff68244b588d528740e9bef34009422c68cdc4674a7",
                "8060000000000007010203042234528358e99a7f44fdf9a5be89216d376ea924c3640cec",
                "80c900010102030480e0d73d1f53fc7df60cdc374f30bdf62b49cabd6e3d7e8b80000001",
            ],
        ),
        (
            Profile::AeadAes256Gcm,
            [
                "8060ffff00000007010203044cbd839477b7c8ebe8f87eb16d6d64c719e3f3cbeb79628c",
                "8060000000000007010203048e3c261fa2ede80c9114fce73d756aa234a94187cd9ecc36",
                "80c9000101020304066163da7902fc7382d8c3fb71e3e483b6ca044d5d23129580000001",
            ],
        ),
        (
            Profile::Aes128CmSha1_80,
            [
                "8060ffff0000000701020304036831bc545b449026791886ae9155640fa8",
                "806000000000000701020304101aadc19260ef50b8c06f1c1ae0f50ee78c",
                "80c9000101020304b66bb57e8ab8c72280000001a25a2a42554600960706",
            ],
        ),
    ] {
        let key: Vec<u8> = (1..).take(profile.key_length()).collect();
        let salt: Vec<u8> = (0x80..).take(profile.salt_length()).collect();
        let exported = [&key[..], &key[..], &salt[..], &salt[..]].concat();
        let mut session = Session::new(profile, Role::Client, &exported).unwrap();
        let [first, second, report] = expected;
        let ssrc = 0x0102_0304;
        let protected = protect_rtp(&mut session, &rtp(65_535, ssrc, b"payload!"));
        assert_eq!(protected, hex(first), "{profile:?}");
        assert_eq!(open_rtp(&mut session, protected), Ok(rtp(65_535, ssrc, b"payload!")));
        let protected = protect_rtp(&mut session, &rtp(0, ssrc, b"payload!"));
        assert_eq!(protected, hex(second), "{profile:?}");
        // libsrtp starts to count at 1.
        session.outbound.streams.entry(ssrc).or_default().rtcp = 1;
        let packet = hex("80c9000101020304 81cb000101020304");
        assert_eq!(protect_rtcp(&mut session, &packet), hex(report), "{profile:?}");
    }
}

#[test]
fn what_one_side_protects_the_other_opens() {
    for profile in Profile::ALL {
        let (mut alice, mut bob) = pair(profile);
        for size in [0, 1, 15, 16, 17, 1200] {
            let packet = rtp(size as u16, 5, &vec![9; size]);
            let protected = protect_rtp(&mut alice, &packet);
            assert_eq!(protected.len(), packet.len() + profile.rtp_overhead());
            assert!(size < 16 || protected[12..packet.len()] != packet[12..]);
            assert_eq!(open_rtp(&mut bob, protected), Ok(packet), "{profile:?}");

            let mut packet = vec![0x81, 201, 0, 1, 0, 0, 0, 5];
            packet.resize(8 + size, 3);
            let protected = protect_rtcp(&mut bob, &packet);
            assert_eq!(open_rtcp(&mut alice, protected), Ok(packet), "{profile:?}");
        }
    }
}

#[test]
fn contributors_and_extensions_stay_readable() {
    for profile in Profile::ALL {
        let (mut alice, mut bob) = pair(profile);
        let header = [
            &[0x92, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5][..],
            &[1; 8],
            &[0xbe, 0xde, 0, 2, 0x10, 7, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let packet = [&header[..], &[8; 100]].concat();
        let protected = protect_rtp(&mut alice, &packet);
        assert_eq!(protected[..header.len()], header);
        assert_ne!(protected[header.len()..packet.len()], packet[header.len()..]);
        assert_eq!(open_rtp(&mut bob, protected), Ok(packet));
    }
}

#[test]
fn what_was_opened_is_not_opened_again() {
    for profile in Profile::ALL {
        let (mut alice, mut bob) = pair(profile);
        let packets: Vec<_> =
            (0..10).map(|sequence| protect_rtp(&mut alice, &rtp(sequence, 5, b"x"))).collect();
        for late in [9, 0, 5] {
            assert!(open_rtp(&mut bob, packets[late].clone()).is_ok());
            assert_eq!(open_rtp(&mut bob, packets[late].clone()), Err(Error::Replayed));
        }
        let report = protect_rtcp(&mut alice, &[0x80, 201, 0, 1, 0, 0, 0, 5]);
        assert!(open_rtcp(&mut bob, report.clone()).is_ok());
        assert_eq!(open_rtcp(&mut bob, report), Err(Error::Replayed));
        for sequence in 10..10 + WINDOW as u16 {
            let packet = protect_rtp(&mut alice, &rtp(sequence, 5, b"x"));
            assert!(open_rtp(&mut bob, packet).is_ok());
        }
        assert_eq!(open_rtp(&mut bob, packets[7].clone()), Err(Error::Replayed));
    }
}

#[test]
fn a_packet_sent_again_is_the_same_packet() {
    for profile in Profile::ALL {
        let (mut alice, _) = pair(profile);
        let first = protect_rtp(&mut alice, &rtp(65_535, 5, b"x"));
        protect_rtp(&mut alice, &rtp(0, 5, b"y"));
        assert_eq!(protect_rtp(&mut alice, &rtp(65_535, 5, b"x")), first);
    }
}

#[test]
fn no_index_protects_two_packets() {
    for profile in Profile::ALL {
        let (mut alice, mut bob) = pair(profile);
        assert_eq!(alice.outbound.next_sequence(5), None);
        let first = protect_rtp(&mut alice, &rtp(65_535, 5, b"one"));
        assert_eq!(open_rtp(&mut bob, first), Ok(rtp(65_535, 5, b"one")));
        assert_eq!(alice.outbound.next_sequence(5), Some(0));
        protect_rtp(&mut alice, &rtp(0, 5, b"two"));
        let mut other_header = rtp(65_535, 5, b"one");
        other_header[7] += 1;
        for packet in [rtp(65_535, 5, b"two"), rtp(0, 5, b"one"), rtp(0, 5, b""), other_header] {
            let mut buffer = packet.clone();
            buffer.resize(packet.len() + profile.rtp_overhead(), 0);
            let result = alice.outbound.protect_rtp(&mut buffer, packet.len());
            assert_eq!(result, Err(Error::Reused), "{profile:?} {packet:?}");
            assert!(buffer.iter().all(|byte| *byte == 0), "nothing is left to be sent");
        }
        // Another stream has indices of its own, and this one goes on.
        for packet in [rtp(0, 6, b"one"), rtp(1, 5, b"three")] {
            let protected = protect_rtp(&mut alice, &packet);
            assert_eq!(open_rtp(&mut bob, protected), Ok(packet));
        }
        // Of what is too old even the same packet is refused.
        protect_rtp(&mut alice, &rtp(RESEND_WINDOW as u16, 5, b"late"));
        protect_rtp(&mut alice, &rtp(1, 5, b"three"));
        let mut buffer = rtp(0, 5, b"two");
        let length = buffer.len();
        buffer.resize(length + profile.rtp_overhead(), 0);
        assert_eq!(alice.outbound.protect_rtp(&mut buffer, length), Err(Error::Reused));
    }
}

#[test]
fn sequence_numbers_roll_over() {
    for profile in Profile::ALL {
        let (mut alice, mut bob) = pair(profile);
        for step in 0..30_u32 {
            let packet = rtp((step * 10_000) as u16, 5, &step.to_be_bytes());
            let protected = protect_rtp(&mut alice, &packet);
            if step % 3 > 0 {
                assert_eq!(open_rtp(&mut bob, protected), Ok(packet), "{step}");
            }
        }
    }
}

#[test]
fn a_stream_may_begin_behind_a_lost_rollover() {
    for profile in Profile::ALL {
        let (mut alice, mut bob) = pair(profile);
        protect_rtp(&mut alice, &rtp(65_535, 5, b"lost"));
        for sequence in 0..3 {
            let packet = rtp(sequence, 5, b"x");
            let protected = protect_rtp(&mut alice, &packet);
            assert_eq!(open_rtp(&mut bob, protected), Ok(packet));
        }
    }
}

#[test]
fn damage_anywhere_is_noticed_and_changes_nothing() {
    for profile in Profile::ALL {
        let (mut alice, mut bob) = pair(profile);
        let good = protect_rtp(&mut alice, &rtp(1, 5, b"payload"));
        let report = protect_rtcp(&mut alice, &[0x80, 200, 0, 2, 0, 0, 0, 5, 1, 2, 3, 4]);
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 0x40;
            let before = damaged.clone();
            assert!(bob.inbound.open_rtp(&mut damaged).is_err(), "{profile:?} {at}");
            assert_eq!(damaged, before);
        }
        for at in 0..report.len() {
            let mut damaged = report.clone();
            damaged[at] ^= 0x40;
            let before = damaged.clone();
            assert!(bob.inbound.open_rtcp(&mut damaged).is_err(), "{profile:?} {at}");
            assert_eq!(damaged, before);
        }
        assert!(bob.inbound.streams.is_empty(), "strangers get no state");
        assert!(open_rtp(&mut bob, good).is_ok());
        assert!(open_rtcp(&mut bob, report).is_ok());
    }
}

/// An implementation that leaves nothing of what it cannot open.
struct Destructive(Box<dyn Aead>);

impl Aead for Destructive {
    fn seal(&mut self, nonce: [u8; 12], associated: &[u8], data: &mut [u8]) -> Option<[u8; 16]> {
        self.0.seal(nonce, associated, data)
    }

    fn open(&mut self, nonce: [u8; 12], associated: &[u8], data: &mut [u8]) -> bool {
        let opened = self.0.open(nonce, associated, data);
        if !opened {
            data.fill(0);
        }
        opened
    }
}

#[test]
fn another_implementation_of_gcm_serves() {
    let profile = Profile::AeadAes256Gcm;
    let exported: Vec<u8> = (0..profile.exported_length()).map(|byte| byte as u8).collect();
    let keys = std::cell::Cell::new(0);
    let make = |key: &[u8]| {
        keys.set(keys.get() + 1);
        let own = Aes256Gcm::new(&<[u8; 32]>::try_from(key).expect("256 bits").into());
        Some(Box::new(Destructive(Box::new(own))) as Box<dyn Aead>)
    };
    let (mut alice, _) = pair(profile);
    let mut bob = Session::with_aead(profile, Role::Server, &exported, &make).unwrap();
    assert_eq!(keys.get(), 4);
    // The stream is first heard of behind a rollover that was lost.
    protect_rtp(&mut alice, &rtp(65_535, 5, b"lost"));
    let packet = rtp(1, 5, b"payload");
    let protected = protect_rtp(&mut alice, &packet);
    let mut damaged = protected.clone();
    damaged[20] ^= 1;
    assert!(bob.inbound.open_rtp(&mut damaged).is_err());
    assert_eq!(open_rtp(&mut bob, protected), Ok(packet));
    let report = [0x80, 200, 0, 2, 0, 0, 0, 5, 1, 2, 3, 4];
    let protected = protect_rtcp(&mut alice, &report);
    assert_eq!(open_rtcp(&mut bob, protected), Ok(report.to_vec()));
}

#[test]
fn runts_and_lies_are_malformed() {
    for profile in Profile::ALL {
        let (mut alice, mut bob) = pair(profile);
        let whole = protect_rtp(&mut alice, &rtp(1, 5, &[]));
        for length in 0..whole.len() {
            assert!(bob.inbound.open_rtp(&mut whole.clone()[..length]).is_err(), "{length}");
            assert!(bob.inbound.open_rtcp(&mut whole.clone()[..length]).is_err(), "{length}");
        }
        for (packet, expected) in [
            (&[0x40, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5][..], Error::Malformed),
            (&[0x8f, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5], Error::Malformed),
            (&[0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0xbe, 0xde], Error::Malformed),
            (&[0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9], Error::Malformed),
        ] {
            let mut buffer = [packet, &[0; 64][..]].concat();
            buffer[packet.len()..].fill(0);
            let result = alice.outbound.protect_rtp(&mut buffer, packet.len());
            assert_eq!(result, Err(expected), "{packet:?}");
        }
        let mut tight = rtp(2, 5, b"x");
        let (length, needed) = (tight.len(), tight.len() + profile.rtp_overhead());
        let result = alice.outbound.protect_rtp(&mut tight, length);
        assert_eq!(result, Err(Error::NoRoom { needed }));
        assert_eq!(alice.outbound.protect_rtp(&mut tight, 100), Err(Error::NoRoom { needed: 100 }));
    }
}

#[test]
fn a_flood_of_streams_is_bounded() {
    let (mut alice, mut bob) = pair(Profile::AeadAes128Gcm);
    for ssrc in 0..MAX_STREAMS as u32 {
        let packet = protect_rtp(&mut alice, &rtp(1, ssrc, b"x"));
        assert!(open_rtp(&mut bob, packet).is_ok());
    }
    let mut buffer = [0; 100];
    buffer[..13].copy_from_slice(&rtp(1, u32::MAX, b"x"));
    assert_eq!(alice.outbound.protect_rtp(&mut buffer, 13), Err(Error::TooManyStreams));
    let packet = protect_rtp(&mut alice, &rtp(2, 0, b"x"));
    assert!(open_rtp(&mut bob, packet).is_ok(), "known streams go on");
}

#[test]
fn keys_do_not_protect_more_than_they_may() {
    let (mut alice, _) = pair(Profile::Aes128CmSha1_80);
    let mut last = OutboundStream { rtcp: 1 << 31, ..OutboundStream::default() };
    assert!(last.rtp.note(RTP_LIMIT - 1, [1; 8]));
    alice.outbound.streams.insert(5, last);
    let mut buffer = [0; 100];
    buffer[..13].copy_from_slice(&rtp(0, 5, b"x"));
    assert_eq!(alice.outbound.protect_rtp(&mut buffer, 13), Err(Error::KeyExhausted));
    buffer[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 5]);
    assert_eq!(alice.outbound.protect_rtcp(&mut buffer, 8), Err(Error::KeyExhausted));
}

#[test]
fn nothing_of_the_keys_is_printed() {
    let (alice, _) = pair(Profile::AeadAes128Gcm);
    let text = format!("{alice:?}");
    assert_eq!(
        text,
        "Session { outbound: Outbound(AeadAes128Gcm, 0 streams), \
         inbound: Inbound(AeadAes128Gcm, 0 streams) }"
    );
}
