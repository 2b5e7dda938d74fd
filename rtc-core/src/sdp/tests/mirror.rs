//! Answers, and offers that follow an exchange.

use super::*;

fn lines_of(media: &Media) -> Vec<String> {
    media.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn an_answer_repeats_nothing_of_the_offerers_own_streams() {
    let offered = media(
        "video 9 UDP/TLS/RTP/SAVPF 96 0
b=AS:900
a=mid:v
a=extmap:1/sendonly urn:a
a=extmap:2 urn:b p
a=sendonly
a=rtcp:9 IN IP4 0.0.0.0
a=msid:s t
a=rtcp-rsize
a=cryptex
a=x-own:1
a=content:slides
a=rid:h send
a=simulcast:send h
a=ssrc-group:FID 1 2
a=ssrc:1 cname:c
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=fmtp:96 max-fr=30
a=fmtp:0 y
",
    );
    assert_eq!(
        lines_of(&offered.reciprocate()),
        [
            "m=video 9 UDP/TLS/RTP/SAVPF 96 0",
            "c=IN IP4 0.0.0.0",
            "b=AS:900",
            "a=mid:v",
            "a=extmap:1/recvonly urn:a",
            "a=extmap:2 urn:b p",
            "a=recvonly",
            "a=x-own:1",
            "a=content:slides",
            "a=rtcp-mux",
            "a=fmtp:0 y",
            "a=rtpmap:96 VP8/90000",
            "a=rtcp-fb:96 nack",
            "a=fmtp:96 max-fr=30",
        ]
    );
    for (offered, answered) in [
        ("sendrecv", Some("sendrecv")),
        ("sendonly", Some("recvonly")),
        ("recvonly", Some("sendonly")),
        ("inactive", Some("inactive")),
        ("x", None),
    ] {
        let own = media(&format!("audio 9 RTP/AVP 0\na=mid:0\na={offered}")).reciprocate();
        assert_eq!(own.common.direction.as_str(), answered);
    }
}

#[test]
fn an_answer_echoes_the_sctp_port_but_neither_sctp_init_nor_what_is_unknown() {
    let offer = data_offer()
        .replace("a=sctp-port:5000", "a=sctp-port:6000\r\na=sctp-init:AQAA\r\na=x-unknown");
    let answer = Side::answering(&offer).compose();
    let expected = data_offer().replace("actpass", "active").replace("port:5000", "port:6000");
    assert_eq!(answer.to_sdp(), expected);
}

#[test]
fn sctp_init_is_offered_and_answered_only_to_those_who_offer_it() {
    let ours = "a=sctp-init:OURS\r\n";
    let with = |side: Side| Side { sctp_init: Some("OURS"), ..side }.compose().to_sdp();
    let offer = with(Side { has_data_channel: true, ..Side::offering() });
    assert_eq!(offer.matches(ours).count(), 1);
    assert!(!with(Side::answering(&data_offer())).contains("sctp-init"));
    let theirs = data_offer().replace("a=sctp-port", "a=sctp-init:AQAA\r\na=sctp-port");
    let answer = with(Side::answering(&theirs));
    assert!(answer.contains(ours) && !answer.contains("AQAA"), "{answer}");
    let rejected = theirs.replace("m=application 9", "m=application 0");
    assert!(!with(Side::answering(&rejected)).contains("sctp-init"));
    let legacy = sample("legacy-data-offer").replace("a=mid", "a=sctp-init:AQAA\r\na=mid");
    assert!(!with(Side::answering(&legacy)).contains("sctp-init"));
}

#[test]
fn an_offer_after_an_answer_with_another_sctp_port_keeps_ours() {
    let first = Side { has_data_channel: true, ..Side::offering() }.compose();
    let side = Side {
        remote: Some(parse_offer(&data_offer().replace("port:5000", "port:6000"))),
        previous: Some(first),
        has_data_channel: true,
        ..Side::offering()
    };
    assert_eq!(side.compose().application().unwrap().sctp_port, Some(5000));
}

#[test]
fn an_old_offer_is_answered_in_its_own_syntax() {
    let answer = Side::answering(&sample("legacy-data-offer")).compose().to_sdp();
    let section: Vec<_> = answer.lines().skip_while(|line| !line.starts_with("m=")).collect();
    assert_eq!(
        section[..6],
        [
            "m=application 9 DTLS/SCTP 5000",
            "c=IN IP4 0.0.0.0",
            "a=mid:data",
            "a=sendrecv",
            "a=sctpmap:5000 webrtc-datachannel 1024",
            "a=max-message-size:262144",
        ]
    );
}

/// Kind, mid and whether it is removed, of each section.
fn shape(description: &Description) -> Vec<(&str, &str, bool)> {
    let section = |section| {
        let section: &Section = section;
        (section.kind(), section.mid(), section.is_removed())
    };
    description.sections.iter().map(section).collect()
}

#[test]
fn an_answer_has_the_sections_of_the_offer_in_their_order() {
    let offer = sample("chromium-av-data-offer") + "m=video 0 UDP/TLS/RTP/SAVPF 96\na=mid:3\n";
    let mut side = Side::answering(&offer);
    let remote = side.remote.clone().unwrap();
    // As for incoming tracks; the one of the audio section is gone.
    side.tracks = remote.media().skip(1).map(Media::reciprocate).collect();
    side.has_data_channel = true;
    let answer = side.compose();
    assert_eq!(
        shape(&answer),
        [
            ("audio", "0", true),
            ("video", "1", false),
            ("application", "2", false),
            ("video", "3", true),
        ]
    );
    let text = answer.to_sdp();
    assert!(text.contains("a=group:BUNDLE 1 2\r\na=group:LS 1\r\n"), "{text}");
    assert!(text.contains("m=audio 0 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n"), "{text}");
    for name in ["ssrc", "msid:", "rid", "simulcast", "cryptex", "sctp-init", "rtcp:"] {
        assert!(!text.contains(&format!("a={name}")), "{name}: {text}");
    }
}

#[test]
fn our_own_tracks_are_not_added_to_an_answer_but_to_the_next_offer() {
    let mut side = Side::answering(&data_offer());
    side.tracks = vec![media("audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:a\na=sendonly")];
    assert_eq!(shape(&side.compose()), [("application", "0", false)]);
    side.kind = DescriptionKind::Offer;
    assert_eq!(shape(&side.compose()), [("application", "0", false), ("audio", "a", false)]);
}

#[test]
fn a_section_that_the_peer_removed_is_answered_as_removed() {
    let offer = "m=audio 0 UDP/TLS/RTP/SAVPF 0\na=mid:a\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:b\n";
    let mut side = Side::answering(offer);
    side.tracks = side.remote.clone().unwrap().media().map(Media::clone).collect();
    side.tracks[0].common.removed = false;
    assert_eq!(shape(&side.compose()), [("audio", "a", true), ("audio", "b", false)]);
    assert!(side.compose().to_sdp().contains("m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"));
}

#[test]
fn a_closed_track_is_offered_as_removed_and_never_anew() {
    let track = |mid: &str| media(&format!("audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:{mid}\na=sendrecv"));
    let mut side = Side { tracks: vec![track("a"), track("b")], ..Side::offering() };
    let first = side.compose();
    side.remote = Some(parse_offer(&first.to_sdp()));
    side.previous = Some(first);
    side.tracks[0].common.removed = true;
    side.tracks.push(track("c"));
    side.tracks[2].common.removed = true;
    let second = side.compose();
    assert_eq!(shape(&second), [("audio", "a", true), ("audio", "b", false)]);
    assert_eq!(second.sections[0].common().direction, Direction::Inactive);
    assert!(second.to_sdp().contains("a=group:BUNDLE b\r\n"));
}

#[test]
fn data_channels_return_to_the_section_that_the_peer_rejected() {
    let answer = data_offer().replace("m=application 9", "m=application 0");
    let mut side = Side { remote: Some(parse_offer(&answer)), ..Side::offering() };
    assert_eq!(shape(&side.compose()), [("application", "0", true)]);
    side.has_data_channel = true;
    assert_eq!(shape(&side.compose()), [("application", "0", false)]);
    side.kind = DescriptionKind::Answer;
    assert_eq!(shape(&side.compose()), [("application", "0", true)]);
}

#[test]
fn of_several_sections_for_the_same_all_but_one_are_rejected() {
    let second = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:x\r\n";
    let answer = Side::answering(&(data_offer() + second)).compose();
    assert_eq!(shape(&answer), [("application", "0", false), ("application", "x", true)]);

    let twins = "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:t\n".repeat(2);
    let mut side = Side::answering(&twins);
    side.tracks = vec![side.remote.as_ref().unwrap().media().next().unwrap().reciprocate()];
    let answer = side.compose();
    assert_eq!(shape(&answer), [("audio", "t", false), ("audio", "t", true)]);
    assert!(answer.to_sdp().contains("a=group:BUNDLE t\r\n"));
}

#[test]
fn an_answer_takes_at_most_the_direction_that_is_offered() {
    for (offered, own, answered) in [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("recvonly", "sendrecv", "sendonly"),
        ("sendonly", "sendrecv", "recvonly"),
        ("sendonly", "sendonly", "inactive"),
        ("inactive", "sendrecv", "inactive"),
        ("sendrecv", "recvonly", "recvonly"),
        ("x", "sendonly", "sendonly"),
        ("recvonly", "x", "sendonly"),
        ("sendrecv", "x", ""),
    ] {
        let section = |direction| format!("audio 9 RTP/AVP 0\na=mid:0\na={direction}\n");
        let mut side = Side::answering(&format!("m={}", section(offered)));
        side.tracks = vec![media(&section(own))];
        let direction = side.compose().sections[0].common().direction;
        assert_eq!(direction.as_str().unwrap_or(""), answered, "{offered} {own}");
        assert_eq!(direction == Direction::Unknown, answered.is_empty());
    }
}

#[test]
fn the_answer_speaks_the_protocol_of_the_offer() {
    let mut side = Side::answering("m=audio 9 RTP/SAVPF 0\na=mid:0\n");
    side.tracks = vec![media("audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:0")];
    assert!(side.compose().to_sdp().contains("m=audio 9 RTP/SAVPF 0\r\n"));
}
