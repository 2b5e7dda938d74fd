use super::*;

#[test]
fn a_data_only_offer_has_the_documented_lines() {
    let offer = Side { has_data_channel: true, ..Side::offering() }.compose();
    assert_eq!(offer.to_sdp(), data_offer());
}

#[test]
fn the_answer_to_a_data_only_offer_differs_only_in_its_role() {
    let answer = Side::answering(&data_offer()).compose();
    assert_eq!(answer.to_sdp(), data_offer().replace("actpass", "active"));
    assert_eq!(answer.kind, DescriptionKind::Answer);
}

#[test]
fn media_come_before_the_data_channel_in_an_offer_of_ours() {
    let mut video = Media::new("video", "vid", Direction::SendOnly).unwrap();
    video.add_ssrc(42, Some("cn"), Some("ms"), None).unwrap();
    video.set_payload(96, "H264/90000", &["nack", "nack pli", "goog-remb"], None).unwrap();
    assert_eq!(
        video.to_string(),
        crlf(
            "m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:vid
a=sendonly
a=ssrc:42 cname:cn
a=ssrc:42 msid:ms ms
a=msid:ms ms
a=rtcp-mux
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 goog-remb
"
        )
    );
    let mut audio = Media::new("audio", "0", Direction::Unknown).unwrap();
    audio.set_payload(111, "opus/48000/2", &[], Some("minptime=10")).unwrap();
    audio.set_payload(8, "PCMA/8000/1", &[], None).unwrap();
    audio.bandwidth = Some(64);
    audio.common.ext_maps.insert(
        4,
        ExtMap { direction: Direction::SendOnly, uri: "urn:x".into(), parameters: "p=1".into() },
    );
    let offer = Side {
        has_data_channel: true,
        tracks: vec![video, audio],
        candidates: [
            "1 1 UDP 2116026111 2001:db8::5 5000 typ host",
            "2 1 UDP 2114977791 192.0.2.5 5001 typ host",
            "3 1 UDP 2114977790 192.0.2.6 5002 typ host",
            "4 1 TCP 2130706431 192.0.2.7 9 typ host tcptype active",
            "5 1 UDP 4294967295 203.0.113.9 5003 typ srflx raddr 0.0.0.0 rport 0",
        ]
        .map(|text| Candidate::parse(text).unwrap())
        .to_vec(),
        ..Side::offering()
    }
    .compose();
    let expected = format!(
        "v=0
o=rtc 3369710578 0 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE vid 0 1
a=group:LS vid 0
a=msid-semantic:WMS *
a=ice-options:ice2 trickle
a=fingerprint:sha-256 {FINGERPRINT}
m=video 5001 UDP/TLS/RTP/SAVPF 96
c=IN IP4 192.0.2.5
a=mid:vid
a=sendonly
a=ssrc:42 cname:cn
a=ssrc:42 msid:ms ms
a=msid:ms ms
a=rtcp-mux
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 goog-remb
a=setup:actpass
a=ice-ufrag:KUFV
a=ice-pwd:+ZpLa80TeA2e2hC6OmEHrM
a=candidate:1 1 UDP 2116026111 2001:db8::5 5000 typ host
a=candidate:2 1 UDP 2114977791 192.0.2.5 5001 typ host
a=candidate:3 1 UDP 2114977790 192.0.2.6 5002 typ host
a=candidate:4 1 TCP 2130706431 192.0.2.7 9 typ host tcptype active
a=candidate:5 1 UDP 4294967295 203.0.113.9 5003 typ srflx raddr 0.0.0.0 rport 0
a=end-of-candidates
m=audio 5001 UDP/TLS/RTP/SAVPF 111 8
c=IN IP4 192.0.2.5
b=AS:64
a=mid:0
a=extmap:4/sendonly urn:x p=1
a=rtcp-mux
a=rtpmap:8 PCMA/8000/1
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10
a=setup:actpass
a=ice-ufrag:KUFV
a=ice-pwd:+ZpLa80TeA2e2hC6OmEHrM
m=application 5001 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.5
a=mid:1
a=sendrecv
a=sctp-port:5000
a=max-message-size:262144
a=setup:actpass
a=ice-ufrag:KUFV
a=ice-pwd:+ZpLa80TeA2e2hC6OmEHrM
"
    );
    assert_eq!(offer.to_sdp(), crlf(&expected));
    assert_eq!(offer.bundle_mid(), Some("vid"));
}

#[test]
fn an_ipv6_host_is_the_default_destination_when_there_is_no_ipv4_host() {
    let candidates = ["1 1 UDP 7 2001:db8::5 5000 typ host", "2 1 UDP 9 x.local 5001 typ host"];
    let offer = Side {
        has_data_channel: true,
        candidates: candidates.map(|text| Candidate::parse(text).unwrap()).to_vec(),
        ..Side::offering()
    };
    let text = offer.compose().to_sdp();
    assert!(text.contains("m=application 5000 "), "{text}");
    assert!(text.contains("c=IN IP6 2001:db8::5\r\n"), "{text}");
}

#[test]
fn an_offer_of_nothing_has_no_section() {
    let offer = Side::offering().compose();
    assert!(offer.sections.is_empty());
    let text = offer.to_sdp();
    assert!(!text.contains("a=group") && !text.contains("m="), "{text}");
    assert_eq!(offer.bundle_mid(), None);
}

#[test]
fn a_session_keeps_its_id_and_counts_its_versions() {
    let first = Side { has_data_channel: true, ..Side::offering() }.compose();
    let mut origins = vec![first.origin.clone()];
    let mut previous = first;
    for _ in 0..2 {
        let side = Side { has_data_channel: true, previous: Some(previous), ..Side::offering() };
        previous = side.compose();
        origins.push(previous.origin.clone());
    }
    let origin = |version| Origin { user_name: "rtc".into(), id: 3_369_710_578, version };
    assert_eq!(origins, [origin(0), origin(1), origin(2)]);
}

#[test]
fn data_channels_take_the_smallest_free_mid_and_keep_it() {
    let track = |mid: &str| media(&format!("audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:{mid}"));
    let tracks = ["0", "2", "x", "1"].map(track).to_vec();
    let offer = Side { has_data_channel: true, tracks, ..Side::offering() }.compose();
    assert_eq!(offer.application().unwrap().common.mid, "3");
    assert_eq!(offer.free_mid(), "4");

    let side = Side { has_data_channel: true, previous: Some(offer), ..Side::offering() };
    assert_eq!(side.compose().application().unwrap().common.mid, "3");
}

#[test]
fn text_that_would_break_a_line_does_not_get_into_a_section() {
    assert!(Media::new("video", "a b", Direction::Unknown).is_err());
    assert!(Media::new("vid\r\n", "0", Direction::Unknown).is_err());
    let mut media = Media::new("video", "0", Direction::Unknown).unwrap();
    assert!(media.add_ssrc(1, Some("a\r\nb"), None, None).is_err());
    assert!(media.add_ssrc(1, None, Some("a\nb"), None).is_err());
    assert!(media.set_payload(96, "VP8/90000", &[], Some("a\rb")).is_err());
    assert!(media.set_payload(96, "VP8/90000/1\n", &[], None).is_err());
    assert!(media.set_payload(128, "VP8/90000", &[], None).is_err());
    assert!(media.set_payload(96, "VP8", &[], None).is_err());
    assert_eq!(media, Media::new("video", "0", Direction::Unknown).unwrap());
}

#[test]
fn a_track_section_is_parsed_by_itself() {
    let text = "video 9 UDP/TLS/RTP/SAVPF 96\na=mid:vid\na=sendonly\na=ssrc:42 cname:cn\n\
                a=ssrc:42 msid:ms ms\na=msid:ms ms\na=ssrc:7\na=rtpmap:96 H264/90000\n";
    let video = media(text);
    assert_eq!(video, media(&crlf(&format!("m={text}"))));
    assert_eq!((video.kind.as_str(), video.common.mid.as_str()), ("video", "vid"));
    assert_eq!(video.common.direction, Direction::SendOnly);
    assert_eq!(video.ssrcs(), [42, 7]);
    assert_eq!(video.cname(42), Some("cn"));
    assert_eq!(video.cname(7), None);
    assert_eq!(video.payload_types_of("h264"), [96]);
    assert_eq!(media(&video.to_string()), video);
    assert!(media("audio 0 UDP/TLS/RTP/SAVPF 0\na=mid:0").common.removed);

    let mut cleared = video;
    cleared.clear_ssrcs();
    assert_eq!(cleared.ssrcs(), []);

    for text in [
        "",
        "video",
        "video 9",
        "video 9 UDP/TLS/RTP/SAVPF 96",
        "video 9 UDP/TLS/RTP/SAVPF 96\na=mid:",
        "video 65536 UDP/TLS/RTP/SAVPF 96\na=mid:0",
        "application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:0",
    ] {
        assert!(Media::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_track_for_a_codec_has_the_documented_lines() {
    let video = ["nack", "nack pli", "goog-remb"].map(|feedback| format!("a=rtcp-fb:7 {feedback}"));
    for (number, kind, map, fmtp) in [
        (0, "video", "H264/90000", None),
        (1, "video", "VP8/90000", None),
        (2, "video", "VP9/90000", None),
        (3, "video", "H265/90000", None),
        (4, "video", "AV1/90000", None),
        (128, "audio", "opus/48000/2", None),
        (129, "audio", "PCMU/8000/1", None),
        (130, "audio", "PCMA/8000/1", None),
        (131, "audio", "MP4A-LATM/48000/2", Some("cpresent=1")),
        (132, "audio", "G722/8000/1", None),
    ] {
        let codec = Codec::from_number(number).unwrap();
        let media = |mid, profile| Media::for_codec(codec, 7, mid, Direction::SendRecv, profile);
        let head = |mid: &str| {
            [
                format!("m={kind} 9 UDP/TLS/RTP/SAVPF 7"),
                "c=IN IP4 0.0.0.0".into(),
                format!("a=mid:{mid}"),
                "a=sendrecv".into(),
                "a=rtcp-mux".into(),
                format!("a=rtpmap:7 {map}"),
            ]
        };
        let feedback = if kind == "video" { &video[..] } else { &[] };
        let fmtp_line = |fmtp: Option<&str>| fmtp.map(|fmtp| format!("a=fmtp:7 {fmtp}"));
        for (mid, profile) in [(None, None), (Some("m"), Some("p=1"))] {
            let mut expected = head(mid.unwrap_or(kind)).to_vec();
            expected.extend_from_slice(feedback);
            expected.extend(fmtp_line(profile.or(fmtp)));
            let text = media(mid, profile).unwrap().to_string();
            assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{number}");
        }
        assert!(media(Some("a\nb"), None).is_err());
        assert!(media(None, Some("a\nb")).is_err());
    }
    for number in [-1, 5, 127, 133] {
        assert_eq!(Codec::from_number(number), None);
    }
    assert!(Media::for_codec(Codec::Opus, 128, None, Direction::Unknown, None).is_err());
}
