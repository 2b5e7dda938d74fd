//! Candidates: how they are written, announced and accepted.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::{Lab, on_loopback};
use crate::outcome::Rows;
use crate::peer::{Connected, Peer, c};
use crate::sdp;
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("an announced candidate is well formed", well_formed),
        Case::new("candidates come between gathering in progress and complete", in_between),
        Case::new("the best candidate is announced first", best_first),
        Case::new("loopback and link-local addresses are left out unless named", skipped_addresses),
        Case::new("every candidate announced is in the local description", in_description),
        Case::new("a candidate before the remote description is a failure", too_early),
        Case::new("a candidate after closing is a failure", too_late),
        Case::new("what rtcAddRemoteCandidate accepts", acceptance),
        Case::new("an odd candidate is accepted but not used", odd_candidates),
        Case::new("the same candidate twice is kept once", duplicates),
        Case::new("an empty candidate ends the candidates and leaves no trace", empty)
            .fixes("B-33"),
        Case::new("an end-of-candidates line is accepted", end_of_candidates).fixes("B-33"),
        Case::new("candidates naming a host are accepted at once", host_names),
        Case::new("the selected pair has the prefix a candidate callback has not", pair_prefix),
        Case::new("peers connect by candidates over TCP alone", tcp_alone),
        Case::new("the relay policy checks no pair without a relay", relay_checks).fixes("B-16"),
    ]
}

/// The words of a candidate line without `candidate:`.
fn words(text: &str) -> Option<Vec<&str>> {
    Some(text.strip_prefix("candidate:")?.split(' ').collect())
}

fn gathered(lib: Lib, config: &Config) -> (Peer, crate::peer::Channel) {
    let peer = Peer::with(lib, config);
    let channel = peer.channel("x");
    peer.wait_gathered();
    (peer, channel)
}

fn well_formed(lab: &Lab) {
    let (peer, _channel) = gathered(lab.lib, &Config::loopback());
    let candidates = peer.candidates();
    let mut rows = Rows::new();
    rows.holds("there is one", !candidates.is_empty());
    for (text, mid) in &candidates {
        rows.equal(format!("mid of {text}"), mid.as_str(), "0");
        let Some(words) = words(text) else {
            rows.holds(format!("{text} begins with candidate:"), false);
            continue;
        };
        rows.holds(format!("{text}: eight words"), words.len() >= 8);
        rows.holds(format!("{text}: foundation"), (1..=32).contains(&words[0].len()));
        rows.equal(format!("{text}: component"), words[1], "1");
        rows.equal(format!("{text}: transport"), words[2].to_ascii_uppercase().as_str(), "UDP");
        let priority: u32 = words[3].parse().unwrap_or(0);
        rows.equal(format!("{text}: type preference"), priority >> 24, lab.ice.host_preference);
        rows.equal(format!("{text}: component part"), priority & 0xff, 255);
        if on_loopback() {
            rows.equal(format!("{text}: address"), words[4], "127.0.0.1");
        }
        rows.holds(format!("{text}: port"), words[5].parse::<u16>().is_ok_and(|port| port > 0));
        rows.equal(format!("{text}: type"), &words[6..8], &["typ", "host"][..]);
    }
}

fn in_between(lab: &Lab) {
    let (peer, _channel) = gathered(lab.lib, &Config::loopback());
    let all = peer.inbox.all();
    let place = |wanted: &dyn Fn(&Event) -> bool| all.iter().position(|r| wanted(&r.event));
    let begun = place(&|event| *event == Event::Gathering(Gathering::InProgress));
    let done = place(&|event| *event == Event::Gathering(Gathering::Complete));
    let description = place(&|event| matches!(event, Event::LocalDescription { .. }));
    let first = place(&|event| matches!(event, Event::LocalCandidate { .. }));
    let last = all.iter().rposition(|r| matches!(r.event, Event::LocalCandidate { .. }));
    assert!(description < begun, "the description comes first");
    assert!(begun < first, "gathering begins before candidates come");
    assert!(last < done, "gathering is complete after the last candidate");
}

fn best_first(lab: &Lab) {
    lab.need_interfaces();
    let (peer, _channel) = gathered(lab.lib, &Config::default());
    let priority = |(text, _): &(String, String)| -> u32 {
        words(text).and_then(|words| words.get(3)?.parse().ok()).unwrap_or(0)
    };
    let candidates = peer.candidates();
    assert!(candidates.len() >= 2, "two addresses, two candidates: {candidates:?}");
    let priorities: Vec<u32> = candidates.iter().map(priority).collect();
    assert!(priorities.windows(2).all(|two| two[0] > two[1]), "{priorities:?}");
}

fn skipped_addresses(lab: &Lab) {
    lab.need_interfaces();
    let (peer, _channel) = gathered(lab.lib, &Config::default());
    let mut addresses: Vec<_> = peer
        .candidates()
        .iter()
        .filter_map(|(text, _)| Some((*words(text)?.get(4)?).to_owned()))
        .collect();
    addresses.sort();
    assert!(addresses.contains(&"10.99.0.1".to_owned()), "{addresses:?}");
    assert!(addresses.contains(&"fd99::1".to_owned()), "{addresses:?}");
    for address in &addresses {
        let local = address.starts_with("127.") || address == "::1" || address.starts_with("fe80:");
        assert!(!local, "{address}");
    }
}

fn in_description(lab: &Lab) {
    let (peer, _channel) = gathered(lab.lib, &Config::loopback());
    let local = peer.string(Getter::LOCAL_DESCRIPTION).expect("a description");
    let listed: Vec<_> = sdp::attributes(&local, "candidate");
    for (text, _) in peer.candidates() {
        let bare = text.strip_prefix("candidate:").unwrap_or(&text).to_owned();
        assert!(listed.contains(&bare.as_str()), "{text} not in {listed:?}");
    }
    assert!(sdp::flag(&local, "end-of-candidates"));
}

const GOOD: &str = "candidate:1 1 UDP 2122252543 127.0.0.1 50000 typ host";

/// A peer that has a remote offer of nobody.
fn answering(lib: Lib) -> Peer {
    let peer = Peer::new(lib);
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    peer
}

fn too_early(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let mut rows = Rows::new();
    rows.code("fresh", peer.add_candidate(GOOD), FAILURE);
    let _channel = peer.channel("x");
    rows.code("with a local offer", peer.add_candidate(GOOD), FAILURE);
}

fn too_late(lab: &Lab) {
    let peer = answering(lab.lib);
    peer.close();
    peer.wait_state(State::Closed);
    Rows::new().code("closed", peer.add_candidate(GOOD), FAILURE);
}

fn acceptance(lab: &Lab) {
    let peer = answering(lab.lib);
    let body = &GOOD["candidate:".len()..];
    let mut rows = Rows::new();
    let good = [
        GOOD.to_owned(),
        format!("a={GOOD}"),
        body.to_owned(),
        "candidate:2 1 udp 2122252543 127.0.0.1 50001 typ host".to_owned(),
        "candidate:3 1 UDP 1685987071 127.0.0.1 50002 typ srflx raddr 0.0.0.0 rport 0".to_owned(),
        "candidate:4 1 UDP 1 127.0.0.1 50003 typ relay raddr 0.0.0.0 rport 0".to_owned(),
        "candidate:5 1 UDP 1 ::1 50004 typ host".to_owned(),
        "candidate:6 1 UDP 1 127.0.0.1 50005 typ host generation 0 ufrag abcd network-id 1"
            .to_owned(),
        "candidate:7 1 TCP 1 127.0.0.1 9 typ host tcptype active".to_owned(),
    ];
    for text in &good {
        rows.code(text, peer.add_candidate(text), OK);
    }
    for text in
        ["junk", "candidate:", "candidate:1", "candidate:1 1 UDP", "candidate:a b c d e f g h"]
    {
        rows.code(text, peer.add_candidate(text), INVALID);
    }
    for mid in [None, Some(""), Some("0"), Some("nonsense")] {
        let code = lab.lib.add_remote_candidate(peer.id, Some(&c(GOOD)), mid.map(c).as_deref());
        rows.code(format!("mid {mid:?}"), code, OK);
    }
}

fn odd_candidates(lab: &Lab) {
    let peer = answering(lab.lib);
    let mut rows = Rows::new();
    for text in [
        "candidate:1 1 UDP 1 127.0.0.1 50000 typ strange",
        "candidate:2 1 SCTP 1 127.0.0.1 50000 typ host",
    ] {
        rows.code(text, peer.add_candidate(text), OK);
    }
    // Upstream takes the port modulo 65536; refusing it is as good.
    let port = peer.add_candidate("candidate:3 1 UDP 1 127.0.0.1 99999 typ host");
    rows.codes("a port of 99999", port, &[OK, INVALID]);
}

fn stored(peer: &Peer) -> Vec<String> {
    let remote = peer.string(Getter::REMOTE_DESCRIPTION).expect("a remote description");
    sdp::attributes(&remote, "candidate").into_iter().map(str::to_owned).collect()
}

fn duplicates(lab: &Lab) {
    let peer = answering(lab.lib);
    for _ in 0..3 {
        assert_eq!(peer.add_candidate(GOOD), OK);
    }
    assert_eq!(peer.add_candidate("candidate:1 1 UDP 1 127.0.0.1 50001 typ host"), OK);
    assert_eq!(stored(&peer).len(), 2);
}

fn empty(lab: &Lab) {
    let peer = answering(lab.lib);
    let mut rows = Rows::new();
    rows.code("empty", peer.add_candidate(""), OK);
    rows.equal("what is stored", stored(&peer), Vec::new());
}

fn end_of_candidates(lab: &Lab) {
    let peer = answering(lab.lib);
    let mut rows = Rows::new();
    for text in ["a=end-of-candidates", "end-of-candidates"] {
        rows.code(text, peer.add_candidate(text), OK);
    }
    rows.equal("what is stored", stored(&peer), Vec::new());
}

fn host_names(lab: &Lab) {
    let peer = answering(lab.lib);
    let mut rows = Rows::new();
    for host in ["d6a2cf3e-1111-4222-8333-444455556666.local", "host.invalid", "localhost"] {
        let text = format!("candidate:1 1 UDP 2122252543 {host} 50000 typ host");
        rows.code(host, peer.add_candidate(&text), OK);
    }
    rows.code("deletion while names are looked up", peer.delete(), OK);
}

fn pair_prefix(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    let (mut local, mut remote) = ([0; 512], [0; 512]);
    let code = lab.lib.selected_pair(connected.a.id, Some(&mut local), 512, Some(&mut remote), 512);
    assert!(code > 0, "{}", code_name(code));
    for buffer in [local, remote] {
        let text = String::from_utf8_lossy(&buffer);
        assert!(text.starts_with("a=candidate:"), "{text}");
        assert!(!on_loopback() || text.contains(" 127.0.0.1 "), "{text}");
        assert!(text.contains(" typ "), "{text}");
    }
}

/// Lets two peers know those candidates of each other that `keep` keeps.
fn introduce(a: &Peer, b: &Peer, keep: impl Fn(&str) -> bool) {
    assert_eq!(b.set_remote(&a.describe("offer"), "offer"), OK);
    assert_eq!(a.set_remote(&b.describe("answer"), "answer"), OK);
    for (from, to) in [(a, b), (b, a)] {
        from.wait_gathered();
        for (candidate, _) in from.candidates().iter().filter(|(text, _)| keep(text)) {
            assert_eq!(to.add_candidate(candidate), OK);
        }
    }
}

fn tcp_alone(lab: &Lab) {
    lab.need_ice(lab.ice.passive_tcp, "passive candidates over TCP");
    let config = Config { ice_tcp: true, manual: true, ..Config::loopback() };
    let (a, b) = (Peer::with(lab.lib, &config), Peer::with(lab.lib, &config));
    let near = a.channel("x");
    introduce(&a, &b, |text| text.contains(" TCP "));
    let far = b.incoming(0);
    near.wait_open();
    let text = a.candidates();
    for direction in ["tcptype active", "tcptype passive"] {
        assert!(text.iter().any(|(text, _)| text.contains(direction)), "{text:?}");
    }
    let data = vec![7; 60_000];
    for _ in 0..40 {
        near.send_binary(&data);
        far.send_binary(&data);
    }
    far.listen(Slot::CHANNEL);
    assert!(far.wait_messages(40).iter().all(|message| message.bytes() == data));
    assert!(near.wait_messages(40).iter().all(|message| message.bytes() == data));
}

fn relay_checks(lab: &Lab) {
    lab.need_ice(lab.ice.relay_checks, "checks of the relay policy");
    let manual = Config { manual: true, ..Config::loopback() };
    // It has no relay, so that there is nothing it may check.
    let a = Peer::with(lab.lib, &Config { policy: 1, ..manual.clone() });
    let b = Peer::with(lab.lib, &manual);
    let _channel = a.channel("x");
    introduce(&a, &b, |_| true);
    // Nothing tells that there are no checks: this is long enough for some, and one would do.
    std::thread::sleep(Duration::from_secs(2));
    for peer in [&a, &b] {
        assert!(!peer.states().contains(&State::Connected), "{:?}", peer.states());
        let found = |r: &crate::inbox::Recorded| {
            matches!(r.event, Event::IceState(IceState::Connected | IceState::Completed))
        };
        assert!(!peer.inbox.all().iter().any(|r| found(r)), "ICE found a path");
    }
}
