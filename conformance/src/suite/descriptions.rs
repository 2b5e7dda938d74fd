//! Session descriptions: what is written, what is accepted, what is read back.

use super::Case;
use crate::ffi::*;
use crate::lab::{Lab, on_loopback};
use crate::outcome::Rows;
use crate::peer::{Pair, Peer, c};
use crate::sdp;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("a data offer has the documented lines in the documented order", offer_lines),
        Case::new("an answer mirrors the offer and takes the active role", answer_lines),
        Case::new("the answer to an active offer is passive", passive_answer),
        Case::new("credentials and fingerprints are strong and differ", credentials),
        Case::new("candidates and the default address appear once gathered", after_gathering),
        Case::new("the session id stays and its version rises", origin).fixes("B-9"),
        Case::new("ICE options are separated by spaces", ice_options).fixes("B-10"),
        Case::new("what a remote description needs", requirements),
        Case::new("spellings a remote description may have", spellings),
        Case::new("fingerprints of every usual hash are accepted", fingerprints),
        Case::new("a bad attribute makes the whole description invalid", bad_attributes),
        Case::new("a port above 65535 for SCTP is invalid", sctp_port).fixes("B-40"),
        Case::new("the remote limit for messages follows the description", remote_limit),
        Case::new("the remote description can be read back", read_back),
        Case::new("an offer can be drawn up without being set", create_offer),
        Case::new("an answer can be drawn up without being set", create_answer),
        Case::new("descriptions stay readable after closing", after_close),
        Case::new("an answer has one section for each of the offer's", section_count),
        Case::new("two data sections get two answers", two_data_sections).fixes("B-40"),
        Case::new("an answer never repeats the offerer's a=sctp-init", sctp_init)
            .fixes("association without a handshake"),
        Case::new("a wildcard rtcp-fb is accepted", wildcard_feedback).fixes("B-12"),
    ]
}

/// An offer with a data channel, before gathering.
fn fresh_offer(lib: Lib) -> (Peer, crate::peer::Channel, String) {
    let peer = Peer::new(lib);
    let channel = peer.channel("x");
    let (kind, offer) = peer.wait_description(0);
    assert_eq!(kind, "offer");
    (peer, channel, offer)
}

/// Compares lines to patterns, where `*` stands for any text.
fn check_lines(found: &str, patterns: &[&str]) {
    let lines = sdp::lines(found);
    let matches = |line: &str, pattern: &str| match pattern.split_once('*') {
        Some((head, tail)) => {
            line.len() >= pattern.len() - 1 && line.starts_with(head) && line.ends_with(tail)
        }
        None => line == pattern,
    };
    let same = lines.len() == patterns.len()
        && lines.iter().zip(patterns).all(|(line, pattern)| matches(line, pattern));
    assert!(same, "expected\n{}\nfound\n{found}", patterns.join("\n"));
    assert_eq!(found.matches('\n').count(), found.matches("\r\n").count(), "line ends");
    assert!(found.ends_with("\r\n"));
}

const OFFER_LINES: &[&str] = &[
    "v=0",
    "o=rtc * IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0",
    "a=msid-semantic:WMS *",
    "a=ice-options:*",
    "a=fingerprint:sha-256 *",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    "a=mid:0",
    "a=sendrecv",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
    "a=setup:actpass",
    "a=ice-ufrag:*",
    "a=ice-pwd:*",
];

fn offer_lines(lab: &Lab) {
    let (_peer, _channel, offer) = fresh_offer(lab.lib);
    check_lines(&without_init(&offer), OFFER_LINES);
}

/// What a library may add is left out: `a=sctp-init` has a test of its own.
fn without_init(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with("a=sctp-init:")).collect()
}

/// `a=sctp-init` is the sender's own: it is in the answer only if it was in the offer, and never
/// the same. Both sides would take it for the other's and wait for ever.
fn sctp_init(lab: &Lab) {
    const THEIRS: &str = "AQAAIHqq8FEAEAAAAAEAAQAAAAHAAAAEgAgABsAAgsAAAA==";
    let (code, plain) = answer_to(lab.lib, sdp::OFFER);
    assert_eq!(code, OK);
    let plain = plain.expect("an answer");
    assert_eq!(sdp::attribute(&plain, "sctp-init"), None, "nobody offered it");
    let line = format!("a=sctp-init:{THEIRS}\r\na=setup:actpass");
    let (code, answer) = answer_to(lab.lib, &sdp::replaced(sdp::OFFER, "a=setup", &line));
    assert_eq!(code, OK);
    let answer = answer.expect("an answer");
    assert_ne!(sdp::attribute(&answer, "sctp-init"), Some(THEIRS));
}

fn answer_lines(lab: &Lab) {
    let (_peer, _channel, offer) = fresh_offer(lab.lib);
    let answerer = Peer::new(lab.lib);
    assert_eq!(answerer.set_remote(&offer, "offer"), OK);
    let (kind, answer) = answerer.wait_description(0);
    assert_eq!(kind, "answer");
    let lines: Vec<_> =
        OFFER_LINES.iter().map(|line| line.replace("setup:actpass", "setup:active")).collect();
    check_lines(&without_init(&answer), &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Sets the text as an offer on a fresh peer; the code, and the answer if there is one.
fn answer_to(lib: Lib, offer: &str) -> (i32, Option<String>) {
    let peer = Peer::new(lib);
    let code = peer.set_remote(offer, "offer");
    let answer = (code == OK).then(|| peer.wait_description(0).1);
    (code, answer)
}

fn passive_answer(lab: &Lab) {
    let mut rows = Rows::new();
    for (setup, expected) in [
        ("a=setup:active", "passive"),
        ("a=setup:passive", "active"),
        ("a=setup:actpass", "active"),
        ("a=setup:holdconn", "active"),
        ("", "active"),
    ] {
        let (code, answer) = answer_to(lab.lib, &sdp::replaced(sdp::OFFER, "a=setup", setup));
        rows.code(setup, code, OK);
        let found = answer.as_deref().and_then(|answer| sdp::attribute(answer, "setup"));
        rows.equal(format!("answer to {setup:?}"), found, Some(expected));
    }
}

fn credentials(lab: &Lab) {
    let offers: Vec<String> = (0..5).map(|_| fresh_offer(lab.lib).2).collect();
    let mut rows = Rows::new();
    for name in ["ice-ufrag", "ice-pwd", "fingerprint"] {
        let mut values: Vec<_> =
            offers.iter().filter_map(|offer| sdp::attribute(offer, name)).collect();
        let least = match name {
            "ice-ufrag" => 4,
            "ice-pwd" => 22,
            _ => "sha-256 ".len() + 32 * 3 - 1,
        };
        rows.holds(format!("{name} is long enough"), values.iter().all(|v| v.len() >= least));
        values.sort();
        values.dedup();
        rows.equal(format!("different {name}s"), values.len(), 5);
    }
    let ice_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    for offer in &offers {
        for name in ["ice-ufrag", "ice-pwd"] {
            let value = sdp::attribute(offer, name).unwrap_or_default();
            rows.holds(format!("{name} {value}"), value.bytes().all(ice_char));
        }
        let hash = sdp::attribute(offer, "fingerprint").unwrap_or_default();
        let hex = hash.strip_prefix("sha-256 ").unwrap_or_default();
        let good = hex.len() == 95
            && hex.split(':').all(|two| {
                two.len() == 2
                    && two.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
            });
        rows.holds(format!("{hash} is upper-case hexadecimal"), good);
    }
}

fn after_gathering(lab: &Lab) {
    let (peer, _channel, _) = fresh_offer(lab.lib);
    peer.wait_gathered();
    let local = peer.string(Getter::LOCAL_DESCRIPTION).expect("a description");
    let candidates = sdp::attributes(&local, "candidate");
    assert!(!candidates.is_empty(), "{local}");
    let lines = sdp::lines(&local);
    let default = lines.iter().find_map(|line| line.strip_prefix("c=IN IP4 ")).unwrap_or_default();
    assert!(!on_loopback() || default == "127.0.0.1", "{local}");
    let of_default = |words: &Vec<&str>| words.get(4) == Some(&default);
    let port = candidates
        .iter()
        .map(|candidate| candidate.split(' ').collect())
        .find(of_default)
        .and_then(|words| words.get(5).copied())
        .unwrap_or_default();
    let line = format!("m=application {port} UDP/DTLS/SCTP webrtc-datachannel");
    assert!(lines.contains(&line.as_str()), "no {line} in\n{local}");
    assert_eq!(sdp::lines(&local).last(), Some(&"a=end-of-candidates"), "{local}");
}

fn origin(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let (_near, _far) = pair.open("x");
    pair.a.wait_signaling(Signaling::Stable);
    let second = {
        assert_eq!(pair.a.set_local("offer"), OK);
        pair.a.wait_description(1).1
    };
    let first = pair.a.wait_description(0).1;
    let (Some(before), Some(after)) = (sdp::origin(&first), sdp::origin(&second)) else {
        panic!("no origin in\n{first}\n{second}")
    };
    assert_eq!(before.0, after.0, "the session id");
    assert!(after.1 > before.1, "version {} after {}", after.1, before.1);
}

fn ice_options(lab: &Lab) {
    let (_peer, _channel, offer) = fresh_offer(lab.lib);
    let options = sdp::attribute(&offer, "ice-options").expect("ICE options");
    assert!(!options.contains(','), "{options}");
    assert!(options.split(' ').any(|option| option == "trickle"), "{options}");
}

fn requirements(lab: &Lab) {
    let mut rows = Rows::new();
    let lacking = [
        ("empty", String::new()),
        ("no ufrag", sdp::without(sdp::OFFER, "a=ice-ufrag")),
        ("no password", sdp::without(sdp::OFFER, "a=ice-pwd")),
        ("no fingerprint", sdp::without(sdp::OFFER, "a=fingerprint")),
        ("no section", sdp::sections(sdp::OFFER)[0].clone()),
    ];
    for (name, offer) in &lacking {
        let (code, _) = answer_to(lab.lib, offer);
        rows.code(*name, code, INVALID);
        let peer = Peer::new(lab.lib);
        rows.code(format!("{name} as any"), peer.set_remote(offer, ""), INVALID);
        let remote = lab.lib.fill(Getter::REMOTE_DESCRIPTION, peer.id, None, 0);
        rows.code(format!("{name} is not kept"), remote, NOT_AVAIL);
    }
}

fn spellings(lab: &Lab) {
    let offer = sdp::OFFER;
    let session_level: String = {
        let attributes =
            "a=ice-ufrag:wxyz\r\na=ice-pwd:lkjihgfedcba9876543210\r\na=setup:actpass\r\n";
        let parts = sdp::sections(&sdp::without(&sdp::without(offer, "a=ice-"), "a=setup"));
        format!("{}{attributes}{}", parts[0], parts[1])
    };
    let good = [
        ("line feeds", offer.replace("\r\n", "\n")),
        ("trailing blanks", offer.replace("\r\n", "  \r\n")),
        ("no end of the last line", offer.trim_end().to_owned()),
        ("no v=", sdp::without(offer, "v=")),
        ("no o=", sdp::without(offer, "o=")),
        ("no s=", sdp::without(offer, "s=")),
        ("no t=", sdp::without(offer, "t=")),
        ("no group", sdp::without(offer, "a=group")),
        ("no mid", sdp::without(offer, "a=mid")),
        ("no direction", sdp::without(offer, "a=sendrecv")),
        ("no SCTP port", sdp::without(offer, "a=sctp-port")),
        ("another mid", sdp::replaced(offer, "a=mid", "a=mid:data")),
        ("credentials for the session", session_level),
        ("an ICE-lite peer", offer.replace("s=-\r\n", "s=-\r\na=ice-lite\r\n")),
        ("unknown lines", format!("{offer}a=x-unknown:1\r\na=flag\r\nb=AS:30\r\nk=prompt\r\n")),
        ("a candidate", format!("{offer}a=candidate:1 1 UDP 1 127.0.0.1 9 typ host\r\n")),
        ("an end of candidates", format!("{offer}a=end-of-candidates\r\n")),
        (
            "ICE options with spaces",
            offer.replace("s=-\r\n", "s=-\r\na=ice-options:trickle ice2\r\n"),
        ),
        ("old SCTP syntax", {
            let old = sdp::without(&sdp::without(offer, "a=sctp-port"), "a=max-message-size");
            let line = "m=application 9 DTLS/SCTP 5000";
            format!("{}a=sctpmap:5000 webrtc-datachannel 1024\r\n", sdp::replaced(&old, "m=", line))
        }),
        (
            "TCP in the profile",
            sdp::replaced(offer, "m=", "m=application 9 TCP/DTLS/SCTP webrtc-datachannel"),
        ),
        ("a short ufrag", sdp::replaced(offer, "a=ice-ufrag", "a=ice-ufrag:a")),
    ];
    let mut rows = Rows::new();
    for (name, text) in &good {
        let (code, answer) = answer_to(lab.lib, text);
        // RFC 8839 asks for four characters at least: refusing fewer is right as well.
        let allowed: &[i32] = if *name == "a short ufrag" { &[OK, INVALID] } else { &[OK] };
        rows.codes(*name, code, allowed);
        let mid = match *name {
            "another mid" => "data",
            _ => "0",
        };
        if let Some(answer) = answer {
            rows.equal(format!("mid with {name}"), sdp::attribute(&answer, "mid"), Some(mid));
            rows.equal(format!("sections with {name}"), sdp::sections(&answer).len(), 2);
        }
    }
}

fn fingerprints(lab: &Lab) {
    let mut rows = Rows::new();
    let octets = |n: usize| vec!["AB"; n].join(":");
    for (hash, length) in
        [("sha-1", 20), ("sha-224", 28), ("sha-256", 32), ("sha-384", 48), ("sha-512", 64)]
    {
        for (name, value) in [
            (hash.to_owned(), octets(length)),
            (hash.to_uppercase(), octets(length).to_lowercase()),
        ] {
            let line = format!("a=fingerprint:{name} {value}");
            let offer = sdp::replaced(sdp::OFFER, "a=fingerprint", &line);
            rows.code(&name, answer_to(lab.lib, &offer).0, OK);
        }
        for wrong in [octets(length - 1), octets(length + 1), "zz".into(), "AB".repeat(length)] {
            let line = format!("a=fingerprint:{hash} {wrong}");
            let offer = sdp::replaced(sdp::OFFER, "a=fingerprint", &line);
            rows.code(format!("{hash} {wrong}"), answer_to(lab.lib, &offer).0, INVALID);
        }
    }
    let unknown = sdp::replaced(sdp::OFFER, "a=fingerprint", "a=fingerprint:md7 AB:CD");
    rows.code("an unknown hash alone", answer_to(lab.lib, &unknown).0, INVALID);
    let both = sdp::OFFER.replace("s=-\r\n", "s=-\r\na=fingerprint:md7 AB:CD\r\n");
    rows.code("an unknown hash and a known one", answer_to(lab.lib, &both).0, OK);
}

fn bad_attributes(lab: &Lab) {
    let offer = sdp::OFFER;
    let mut rows = Rows::new();
    for (name, text) in [
        ("max-message-size", sdp::replaced(offer, "a=max-message", "a=max-message-size:big")),
        ("candidate", format!("{offer}a=candidate:junk\r\n")),
    ] {
        rows.code(name, answer_to(lab.lib, &text).0, INVALID);
    }
}

fn sctp_port(lab: &Lab) {
    let offer = sdp::replaced(sdp::OFFER, "a=sctp-port", "a=sctp-port:70000");
    Rows::new().code("70000", answer_to(lab.lib, &offer).0, INVALID);
}

fn remote_limit(lab: &Lab) {
    let mut rows = Rows::new();
    let fresh = Peer::new(lab.lib);
    let limit = |peer: &Peer| lab.lib.by_id(ById::REMOTE_MAX_MESSAGE_SIZE, peer.id);
    rows.equal("before any description", limit(&fresh), 65_536);
    for (local, remote, expected) in [
        (0, "", 65_536),
        (0, "a=max-message-size:262144", 262_144),
        (0, "a=max-message-size:100", 100),
        (0, "a=max-message-size:1000000", 262_144),
        (0, "a=max-message-size:0", 262_144),
        (1000, "a=max-message-size:262144", 1000),
        (i32::MAX, "a=max-message-size:0", i32::MAX),
        (1_000_000, "a=max-message-size:2000000", 1_000_000),
    ] {
        let config = Config { max_message_size: local, ..Config::loopback() };
        let peer = Peer::with(lab.lib, &config);
        let offer = sdp::replaced(sdp::OFFER, "a=max-message-size", remote);
        rows.code(remote, peer.set_remote(&offer, "offer"), OK);
        rows.equal(format!("{local} here, {remote:?} there"), limit(&peer), expected);
    }
}

fn read_back(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let candidate = "candidate:1 1 UDP 2122252543 127.0.0.1 50000 typ host";
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    assert_eq!(peer.add_candidate(candidate), OK);
    let remote = peer.string(Getter::REMOTE_DESCRIPTION).expect("a remote description");
    let mut rows = Rows::new();
    rows.equal("type", peer.string(Getter::REMOTE_TYPE).as_deref(), Ok("offer"));
    for name in
        ["mid", "setup", "ice-ufrag", "ice-pwd", "sctp-port", "max-message-size", "fingerprint"]
    {
        rows.equal(name, sdp::attribute(&remote, name), sdp::attribute(sdp::OFFER, name));
    }
    let candidates = sdp::attributes(&remote, "candidate");
    rows.equal("candidates", candidates, vec!["1 1 UDP 2122252543 127.0.0.1 50000 typ host"]);
    let again = Peer::new(lab.lib);
    rows.code("what was read back can be set", again.set_remote(&remote, "offer"), OK);
}

fn create_offer(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let empty = peer.string(Getter::OFFER).expect("an offer of nothing");
    assert_eq!(sdp::sections(&empty).len(), 1, "{empty}");
    let _channel = peer.channel("x");
    let offer = peer.string(Getter::OFFER).expect("an offer");
    assert_eq!(sdp::attribute(&offer, "setup"), Some("actpass"));
    assert_eq!(sdp::attribute(&offer, "mid"), Some("0"));
    let mut rows = Rows::new();
    let local = lab.lib.fill(Getter::LOCAL_DESCRIPTION, peer.id, None, 0);
    rows.code("nothing was set", local, NOT_AVAIL);
    rows.equal("nothing was announced", peer.descriptions().len(), 0);
    let set = peer.describe("offer");
    for name in ["ice-ufrag", "ice-pwd", "fingerprint"] {
        rows.equal(name, sdp::attribute(&offer, name), sdp::attribute(&set, name));
    }
    peer.close();
    let closed = lab.lib.fill(Getter::OFFER, peer.id, None, 0);
    rows.code("after closing", closed, FAILURE);
}

fn create_answer(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    let answer = peer.string(Getter::ANSWER).expect("an answer");
    let mut rows = Rows::new();
    rows.equal("role", sdp::attribute(&answer, "setup"), Some("active"));
    let local = lab.lib.fill(Getter::LOCAL_DESCRIPTION, peer.id, None, 0);
    rows.code("nothing was set", local, NOT_AVAIL);
    rows.equal("nothing was announced", peer.descriptions().len(), 0);
    rows.code("it can still be set", peer.set_local("answer"), OK);
}

fn after_close(lab: &Lab) {
    let pair = Pair::new(lab.lib);
    let (_near, _far) = pair.open("x");
    pair.a.close();
    pair.a.wait_state(State::Closed);
    let address = || lab.lib.fill(Getter::LOCAL_ADDRESS, pair.a.id, None, 0);
    crate::peer::eventually("the transport to be gone", || address() == NOT_AVAIL);
    let mut rows = Rows::new();
    for getter in [
        Getter::LOCAL_DESCRIPTION,
        Getter::REMOTE_DESCRIPTION,
        Getter::LOCAL_TYPE,
        Getter::REMOTE_TYPE,
    ] {
        rows.holds(getter.name, pair.a.string(getter).is_ok());
    }
    for getter in [Getter::LOCAL_ADDRESS, Getter::REMOTE_ADDRESS] {
        let code = lab.lib.fill(getter, pair.a.id, None, 0);
        rows.code(getter.name, code, NOT_AVAIL);
    }
    let selected = lab.lib.selected_pair(pair.a.id, None, 0, None, 0);
    rows.code("rtcGetSelectedCandidatePair", selected, NOT_AVAIL);
}

fn mids(answer: &str) -> Vec<String> {
    let sections = sdp::sections(answer);
    let mid = |section: &String| sdp::attribute(section, "mid").unwrap_or("-").to_owned();
    sections.iter().skip(1).map(mid).collect()
}

fn section_count(lab: &Lab) {
    let mut rows = Rows::new();
    let audio_after = format!("{}{}", sdp::OFFER, sdp::AUDIO);
    let parts = sdp::sections(sdp::OFFER);
    let audio_before = format!("{}{}{}", parts[0], sdp::AUDIO, parts[1]);
    for (name, offer, expected) in [
        ("data", sdp::OFFER.to_owned(), vec!["0"]),
        ("data and audio", audio_after, vec!["0", "audio"]),
        ("audio and data", audio_before, vec!["audio", "0"]),
    ] {
        let (code, answer) = answer_to(lab.lib, &offer);
        rows.code(name, code, OK);
        rows.equal(
            name,
            mids(&answer.unwrap_or_default()),
            expected.iter().map(|mid| (*mid).to_owned()).collect(),
        );
    }
}

fn two_data_sections(lab: &Lab) {
    let section = sdp::replaced(&sdp::sections(sdp::OFFER)[1], "a=mid", "a=mid:1");
    let (code, answer) = answer_to(lab.lib, &format!("{}{section}", sdp::OFFER));
    let mut rows = Rows::new();
    rows.code("two data sections", code, OK);
    rows.equal("sections", mids(&answer.unwrap_or_default()).len(), 2);
}

fn wildcard_feedback(lab: &Lab) {
    let offer = format!("{}{}a=rtcp-fb:* nack\r\n", sdp::OFFER, sdp::AUDIO);
    let peer = Peer::new(lab.lib);
    let code = lab.lib.set_remote_description(peer.id, Some(&c(&offer)), Some(c"offer"));
    Rows::new().code("rtcp-fb:*", code, OK);
}
