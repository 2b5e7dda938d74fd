use super::*;
use crate::ErrorKind;

/// The data-only offer with one line replaced; nothing for `to` removes the line.
fn edited(from: &str, to: &str) -> String {
    let offer = data_offer();
    let line = offer.lines().find(|line| line.starts_with(from)).unwrap();
    let to = if to.is_empty() { String::new() } else { crlf(&format!("{to}\n")) };
    offer.replace(&format!("{line}\r\n"), &to)
}

fn outcome(text: &str) -> crate::Result<Description> {
    let description = Description::parse(text, DescriptionKind::Offer)?;
    description.validate_remote()?;
    Ok(description)
}

#[test]
fn form_hardly_matters() {
    let expected = outcome(&data_offer()).unwrap();
    let unix = data_offer().replace("\r\n", "\n");
    for (what, text) in [
        ("LF", unix.clone()),
        ("CR", data_offer().replace("\r\n", "\r")),
        ("blanks at the ends", unix.replace('\n', " \t\n")),
        ("empty lines", data_offer().replace("\r\n", "\r\n\r\n")),
        ("no last line end", unix.trim_end().to_owned()),
        ("no v, s, t", unix.replace("v=0\n", "").replace("s=-\n", "").replace("t=0 0\n", "")),
        (
            "unknown lines",
            unix.replace("t=0 0\n", "t=0 0\nx\n\u{fe0f}=\nzz=1\ni=a title\nk=clear:x\n"),
        ),
        ("comma between options", unix.replace("ice2 trickle", "ice2,trickle")),
        (
            "group and semantics",
            unix.replace("a=group:BUNDLE 0", "a=group:BUNDLE x y\na=group:FID z"),
        ),
    ] {
        assert_eq!(outcome(&text).unwrap(), expected, "{what}");
    }
    let without_origin = outcome(&edited("o=", "")).unwrap();
    assert_eq!(without_origin, Description { origin: Origin::default(), ..expected });
}

#[test]
fn descriptions_that_cannot_make_a_connection_are_refused() {
    for (what, text) in [
        ("nothing", String::new()),
        ("junk", "hello".to_owned()),
        ("no ufrag", edited("a=ice-ufrag", "")),
        ("empty ufrag", edited("a=ice-ufrag", "a=ice-ufrag:")),
        ("no pwd", edited("a=ice-pwd", "")),
        ("no fingerprint", edited("a=fingerprint", "")),
        ("no m-line", edited("m=", "")),
        ("removed", edited("m=", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel")),
        ("only unknown hashes", edited("a=fingerprint", "a=fingerprint:md5 00:11")),
        ("two blanks", edited("a=fingerprint", &format!("a=fingerprint:sha-256  {FINGERPRINT}"))),
        ("short fingerprint", edited("a=fingerprint", "a=fingerprint:sha-256 00:11")),
        (
            "long fingerprint",
            edited("a=fingerprint", &format!("a=fingerprint:sha-256 {FINGERPRINT}:00")),
        ),
        (
            "no colons",
            edited(
                "a=fingerprint",
                &format!("a=fingerprint:sha-256 {}", FINGERPRINT.replace(':', "")),
            ),
        ),
        (
            "signs",
            edited(
                "a=fingerprint",
                &format!("a=fingerprint:sha-256 {}", FINGERPRINT.replace("11:", "+1:")),
            ),
        ),
        ("m-line of one word", edited("m=", "m=application")),
        ("no protocol", edited("m=", "m=application 9")),
        ("port 65536", edited("m=", "m=application 65536 UDP/DTLS/SCTP webrtc-datachannel")),
        ("port x", edited("m=", "m=application x UDP/DTLS/SCTP webrtc-datachannel")),
        ("sctp-port 70000", edited("a=sctp-port", "a=sctp-port:70000")),
        ("sctp-port x", edited("a=sctp-port", "a=sctp-port:x")),
        ("sctp-port 0 closes the only section", edited("a=sctp-port", "a=sctp-port:0")),
        ("size x", edited("a=max-message-size", "a=max-message-size:x")),
        ("size -1", edited("a=max-message-size", "a=max-message-size:-1")),
        ("no size", edited("a=max-message-size", "a=max-message-size:")),
        ("candidate", edited("a=sendrecv", "a=candidate:1 1 UDP")),
        ("mid of two words", edited("a=mid", "a=mid:a b")),
        ("extmap id", edited("a=sendrecv", "a=extmap:x urn:y")),
        ("extmap id too large", edited("a=sendrecv", "a=extmap:65536 urn:y")),
        ("extmap direction", edited("a=sendrecv", "a=extmap:1/up urn:y")),
        ("extmap without URI", edited("a=sendrecv", "a=extmap:1")),
        ("NUL", data_offer().replace("trickle", "tric\0kle")),
    ] {
        let error = outcome(&text).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{what}");
    }
}

#[test]
fn malformed_media_lines_are_refused_and_named() {
    let text = "audio 9 UDP/TLS/RTP/SAVPF 96\na=mid:0\n";
    let media = Media::parse(text).unwrap();
    assert_eq!(Media::parse(&format!("{text}a=fmtp:96\na=rtcp-fb:96 \n")).unwrap(), media);
    for line in [
        "a=ssrc:x cname:y",
        "a=ssrc:4294967296",
        "a=rtpmap:x opus/48000",
        "a=rtpmap:128 opus/48000",
        "a=rtpmap:96 opus",
        "a=rtpmap:96 opus/x",
        "a=rtpmap:96",
        "a=fmtp:x y=z",
        "a=fmtp:x",
        "a=rtcp-fb:x nack",
        "b=AS:x",
        "a=extmap:x y",
    ] {
        let error = Media::parse(&format!("{text}{line}")).expect_err(line);
        assert!(error.to_string().contains(line), "{error}");
    }
    for payload_types in ["128", "x", "-1", "96 256"] {
        let text = format!("audio 9 UDP/TLS/RTP/SAVPF {payload_types}\na=mid:0");
        Media::parse(&text).expect_err(payload_types);
    }
}

#[test]
fn bounds_are_enforced() {
    let section = "m=audio 9 RTP/AVP 0\n";
    let candidate = |n: usize| format!("a=candidate:{n} 1 UDP 1 192.0.2.1 9 typ host\n");
    let candidates = |count| (0..count).map(candidate).collect::<String>();
    for (text, fits) in [
        (section.repeat(MAX_SECTIONS), true),
        (section.repeat(MAX_SECTIONS + 1), false),
        (candidates(MAX_CANDIDATES), true),
        (candidates(MAX_CANDIDATES + 1), false),
        (candidate(7).repeat(MAX_CANDIDATES + 1), true),
        (format!("a=x{}", "y".repeat(MAX_TEXT - 3)), true),
        (format!("a=x{}", "y".repeat(MAX_TEXT - 2)), false),
        ("a=\n".repeat(MAX_TEXT / 3), true),
    ] {
        let parsed = Description::parse(&text, DescriptionKind::Offer);
        assert_eq!(parsed.is_ok(), fits, "{:.60}", text);
    }
}

#[test]
fn messages_name_the_line_but_not_without_end() {
    let error = outcome(&edited("a=sctp-port", &format!("a=sctp-port:{}", "é\u{1b}".repeat(5000))));
    let message = error.unwrap_err().to_string();
    assert!(message.contains("a=sctp-port:é\\u{1b}"), "{message}");
    assert!(message.len() < 1000, "{}", message.len());
}

#[test]
fn fingerprints_of_every_hash_are_read_in_any_case() {
    for (name, length) in
        [("sha-1", 20), ("SHA-224", 28), ("sha-256", 32), ("Sha-384", 48), ("sha-512", 64)]
    {
        let hex = vec!["aB"; length].join(":");
        let offer =
            outcome(&edited("a=fingerprint", &format!("a=fingerprint:{name} {hex}"))).unwrap();
        let fingerprint = offer.fingerprint.as_ref().unwrap();
        assert_eq!(fingerprint.value, vec![0xab; length]);
        let line = format!("{} {}", name.to_lowercase(), hex.to_uppercase());
        assert_eq!(fingerprint.to_string(), line);
        assert!(offer.to_sdp().contains(&format!("a=fingerprint:{line}\r\n")));
    }
}

#[test]
fn the_section_that_carries_the_bundle_goes_before_the_session_and_the_session_before_the_rest() {
    let sha1 = |digit: &str| format!("sha-1 {}", vec![digit.repeat(2); 20].join(":"));
    let level = |name: &str, digit: &str| {
        format!(
            "a=ice-ufrag:{name}\na=ice-pwd:{name}\na=fingerprint:md5 0\na=fingerprint:{}\n",
            sha1(digit)
        )
    };
    let (session, first, second) = (level("s", "5"), level("a", "A"), level("b", "B"));
    let (audio, video) = ("m=audio 9 RTP/AVP 0\n", "m=video 9 RTP/AVP 1\n");
    let removed = "m=audio 0 RTP/AVP 0\n";
    for (text, name, digit) in [
        (format!("{session}{audio}{video}"), "s", "5"),
        (format!("{session}{audio}{first}{video}{second}"), "a", "A"),
        (format!("{session}{audio}{video}{second}"), "s", "5"),
        (format!("{audio}{video}{second}"), "b", "B"),
        (format!("{audio}{first}{second}{video}"), "a", "A"),
        (format!("{session}{removed}{first}{video}{second}"), "b", "B"),
        (format!("{removed}{first}{video}"), "a", "A"),
    ] {
        let offer = outcome(&text).unwrap();
        assert_eq!(offer.ice_ufrag.as_deref(), Some(name), "{text}");
        assert_eq!(offer.ice_pwd.as_deref(), Some(name), "{text}");
        assert_eq!(offer.fingerprint.unwrap().to_string(), sha1(digit), "{text}");
    }
}

#[test]
fn the_last_setup_of_a_section_in_use_counts() {
    use Setup::{ActPass, Active, Passive};
    let removed = "m=audio 0 RTP/AVP 0\na=setup:passive";
    for (lines, expected) in [
        ("", ActPass),
        ("a=setup:active", Active),
        ("a=setup:passive", Passive),
        ("a=setup:actpass", ActPass),
        ("a=setup:holdconn", ActPass),
        ("a=setup:active\na=setup:passive", Passive),
        (&format!("a=setup:active\n{removed}"), Active),
        (removed, Passive),
    ] {
        let offer = outcome(&edited("a=setup", lines)).unwrap();
        assert_eq!(offer.setup, expected, "{lines}");
    }
    let session = edited("a=setup", "").replace("t=0 0", "a=setup:active");
    assert_eq!(outcome(&session).unwrap().setup, Active);
}

#[test]
fn an_answer_must_choose_its_role() {
    for (kind, setup, is_valid) in [
        (DescriptionKind::Offer, "actpass", true),
        (DescriptionKind::Answer, "actpass", false),
        (DescriptionKind::Pranswer, "actpass", false),
        (DescriptionKind::Answer, "active", true),
        (DescriptionKind::Answer, "passive", true),
    ] {
        let text = edited("a=setup", &format!("a=setup:{setup}"));
        let description = Description::parse(&text, kind).unwrap();
        assert_eq!(description.validate_remote().is_ok(), is_valid, "{kind} {setup}");
    }
}

#[test]
fn sections_are_in_use_or_removed() {
    for (m_line, attribute, removed, valid) in [
        ("m=audio 9 RTP/AVP 0", "a=inactive", false, true),
        ("m=audio 0 RTP/AVP 0", "a=inactive", true, false),
        ("m=audio 0 RTP/AVP 0", "a=sendonly", true, true),
        ("m=audio 0 RTP/AVP 0", "a=x", true, true),
        ("m=audio 0 RTP/AVP 0", "a=bundle-only", false, true),
        ("m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "a=bundle-only", false, true),
        ("m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "a=sendrecv", true, false),
        ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=inactive", false, true),
    ] {
        let text = edited("m=", m_line).replace("a=sendrecv", attribute);
        let text = text.replace("a=sctp-port:5000\r\n", "");
        let offer = parse_offer(&text);
        assert_eq!(offer.sections[0].is_removed(), removed, "{m_line} {attribute}");
        assert_eq!(outcome(&text).is_ok(), valid, "{m_line} {attribute}");
        assert_eq!(offer.bundle_mid().is_none(), removed);
    }
}

#[test]
fn the_application_section_is_read_in_old_and_new_syntax() {
    let application = |text: &str| outcome(text).unwrap().application().unwrap().clone();
    let new = application(&edited("a=sctp-port", "a=sctp-port:6000"));
    assert_eq!((new.sctp_port, new.max_message_size), (Some(6000), Some(262_144)));

    let bare = application(&edited("a=sctp-port", "").replace("a=max-message-size:262144\r\n", ""));
    assert_eq!((bare.sctp_port, bare.max_message_size), (None, None));
    assert_eq!(bare.effective_sctp_port(), 5000);

    for (size, expected) in
        [("0", 0), ("18446744073709551615", u64::MAX), ("18446744073709551616", 0)]
    {
        let text = edited("a=max-message-size", &format!("a=max-message-size:{size}"));
        assert_eq!(application(&text).max_message_size, Some(expected));
    }

    let old = sample("legacy-data-offer");
    assert_eq!(application(&old).sctp_port, Some(5000));
    let moved = application(&old.replace("5000", "5001"));
    assert_eq!(moved.sctp_port, Some(5001));
    let unmapped = application(&old.replace("a=sctpmap:5000 webrtc-datachannel 1024", ""));
    assert_eq!(unmapped.sctp_port, Some(5000));

    let init = parse_offer(&sample("chromium-av-data-offer"));
    assert_eq!(init.application().unwrap().sctp_init(), Some("AQAAYAAAAAAAUAAAQAD//w=="));
}

#[test]
fn mids_default_to_the_place_of_the_section() {
    let text = edited("a=mid", "a=mid:") + "m=audio 9 RTP/AVP 0\r\nm=text 9 RTP/AVP 98\r\n";
    let mids: Vec<_> =
        outcome(&text).unwrap().sections.iter().map(|section| section.mid().to_owned()).collect();
    assert_eq!(mids, ["0", "1", "2"]);
}

#[test]
fn of_two_application_sections_the_first_in_use_counts() {
    let second = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:b\r\na=sctp-port:7\r\n";
    let both = outcome(&(data_offer() + second)).unwrap();
    assert_eq!(both.sections.len(), 2);
    assert_eq!(both.application().unwrap().common.mid, "0");
    let text = edited("m=", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel") + second;
    assert_eq!(outcome(&text).unwrap().application().unwrap().common.mid, "b");
}

#[test]
fn a_direction_of_the_session_is_the_default_of_its_sections() {
    let sections = "m=audio 9 RTP/AVP 0\nm=audio 9 RTP/AVP 0\na=sendrecv\n";
    let offer = parse_offer(&format!("a=recvonly\n{sections}"));
    let directions: Vec<_> = offer.media().map(|media| media.common.direction).collect();
    assert_eq!(directions, [Direction::RecvOnly, Direction::SendRecv]);
    assert_eq!(parse_offer(sections).media().next().unwrap().common.direction, Direction::Unknown);
}

#[test]
fn candidates_of_all_levels_are_collected_once_each() {
    let line = |n: u8, rest: &str| format!("a=candidate:{n} 1 UDP 1 192.0.2.{n} 9 typ {rest}\n");
    let text = [
        line(1, "host"),
        "m=audio 9 RTP/AVP 0\n".into(),
        line(2, "host"),
        line(1, "srflx"),
        "m=video 9 RTP/AVP 0\n".into(),
        line(3, "relay raddr 0.0.0.0 rport 0"),
        "a=end-of-candidates".into(),
    ];
    let offer = parse_offer(&text.concat());
    let texts: Vec<_> = offer.candidates.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "candidate:1 1 UDP 1 192.0.2.1 9 typ host",
            "candidate:2 1 UDP 1 192.0.2.2 9 typ host",
            "candidate:3 1 UDP 1 192.0.2.3 9 typ relay raddr 0.0.0.0 rport 0"
        ]
    );
    assert!(offer.end_of_candidates);
    assert!(offer.to_sdp().contains("a=end-of-candidates\r\nm=video"));
}

#[test]
fn wildcard_feedback_is_kept() {
    let video = media("video 9 RTP/AVPF 96\na=mid:0\na=rtcp-fb:* nack\na=rtcp-fb:96 ccm fir");
    assert_eq!(video.feedback, ["nack"]);
    assert!(video.to_string().contains("a=rtcp-fb:* nack\r\na=rtcp-fb:96 ccm fir\r\n"));
}

#[test]
fn payload_types_without_a_codec_get_no_rtpmap() {
    let audio = media("audio 9 RTP/AVP 0 8 0\na=mid:0\na=fmtp:0 x\na=rtcp-fb:8 nack\na=fmtp:9 y");
    let text = audio.to_string();
    assert!(text.starts_with("m=audio 9 RTP/AVP 0 8\r\n"), "{text}");
    assert!(!text.contains("rtpmap") && !text.contains("fmtp:9"), "{text}");
    assert!(text.ends_with("a=fmtp:0 x\r\na=rtcp-fb:8 nack\r\n"), "{text}");
}

#[test]
fn what_the_usual_implementations_send_is_accepted() {
    for (name, text) in samples() {
        let description = outcome(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!description.sections.is_empty(), "{name}");
    }
    let lite = parse_offer(&sample("lite-sfu-answer"));
    assert!(lite.ice_lite && lite.to_sdp().contains("a=ice-lite\r\n"));
    assert_eq!(lite.ice_options, ["renomination"]);
    let pion = parse_offer(&sample("pion-data-answer"));
    assert_eq!(pion.candidates.len(), 2);
    let firefox = parse_offer(&sample("firefox-data-offer"));
    assert_eq!(firefox.origin.user_name, "mozilla...THIS_IS_SDPARTA-99.0");
    assert_eq!(firefox.origin.id, 4_801_942_716_348_822_101);
    let chromium = parse_offer(&sample("chromium-data-offer"));
    assert_eq!((chromium.origin.version, chromium.candidates.len()), (2, 3));
}
