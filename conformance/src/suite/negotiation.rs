//! Offers and answers: what each call does in each signaling state.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::Lab;
use crate::outcome::{Rows, skip};
use crate::peer::{Connected, Pair, Peer, Signalling, c, eventually};
use crate::sdp;
use std::ffi::CStr;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("with nothing to negotiate an offer is a failure", nothing_to_offer),
        Case::new("an answer without an offer is a failure", answer_in_stable),
        Case::new("a rollback in the stable state does nothing", rollback_in_stable),
        Case::new("a second offer while one is open is ignored", second_offer),
        Case::new("a type that is absent or unknown means the fitting one", automatic_type),
        Case::new("a rollback takes a local offer back", rollback_of_offer),
        Case::new("an offer in place of an answer is a failure", offer_for_answer),
        Case::new("a remote answer to nothing is a failure", remote_answer_in_stable),
        Case::new("a remote rollback is accepted", remote_rollback),
        Case::new("a second remote offer is refused or replaces the first", second_remote_offer),
        Case::new("a remote offer wins over a local one", glare),
        Case::new("an answer has to choose a role", undecided_answer),
        Case::new("the roles cannot change later", changed_role),
        Case::new("new ICE credentials are refused or understood", ice_restart),
        Case::new("the first channel makes an offer and the second does not", automatic_offer),
        Case::new("without automatic negotiation nothing happens by itself", manual),
        Case::new("negotiation is needed until it is done", needed),
        Case::new("the description comes before the signaling state", order),
        Case::new("a connected pair negotiates again without harm", renegotiation),
        Case::new("a connected pair negotiates again from the other side", reverse_renegotiation),
        Case::new("a provisional answer may be followed by the final one", provisional)
            .fixes("B-14"),
        Case::new("a caller may choose the ICE credentials", credentials)
            .fixes("rtcSetLocalDescriptionEx"),
        Case::new("connections on one port have user name fragments of their own", taken)
            .fixes("rtcSetLocalDescriptionEx"),
        Case::new("a closed peer connection negotiates nothing", closed),
        Case::new("a description without the data section closes the channels", section_gone),
    ]
}

fn nothing_to_offer(lab: &Lab) {
    let mut rows = Rows::new();
    for kind in ["offer", "", "nonsense"] {
        let peer = Peer::new(lab.lib);
        rows.code(format!("{kind:?}"), peer.set_local(kind), FAILURE);
        rows.equal("announced", peer.descriptions().len(), 0);
    }
    let peer = Peer::new(lab.lib);
    rows.code("NULL", lab.lib.set_local_description(peer.id, None), FAILURE);
}

fn answer_in_stable(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let _channel = peer.channel("x");
    let mut rows = Rows::new();
    for kind in ["answer", "pranswer"] {
        rows.code(kind, peer.set_local(kind), FAILURE);
    }
    rows.code("an offer is still possible", peer.set_local("offer"), OK);
}

fn rollback_in_stable(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let _channel = peer.channel("x");
    Rows::new().code("rollback", peer.set_local("rollback"), OK);
    peer.inbox.never("nothing happens", |_| true);
}

fn second_offer(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let _channel = peer.channel("x");
    let mut rows = Rows::new();
    rows.code("first", peer.set_local("offer"), OK);
    rows.code("second", peer.set_local("offer"), OK);
    rows.code("by itself", peer.set_local(""), OK);
    peer.wait_gathered();
    rows.equal("announced", peer.descriptions().len(), 1);
}

fn automatic_type(lab: &Lab) {
    let mut rows = Rows::new();
    for kind in [None, Some(c""), Some(c"nonsense"), Some(c"OFFER"), Some(c"unspec")] {
        let offerer = Peer::manual(lab.lib);
        let _channel = offerer.channel("x");
        rows.code(format!("{kind:?}"), lab.lib.set_local_description(offerer.id, kind), OK);
        let (found, offer) = offerer.wait_description(0);
        rows.equal(format!("{kind:?} makes"), found.as_str(), "offer");
        let answerer = Peer::manual(lab.lib);
        let offer = crate::peer::c(&offer);
        let code = lab.lib.set_remote_description(answerer.id, Some(&offer), kind);
        rows.code(format!("remote {kind:?}"), code, OK);
        rows.equal("as", answerer.string(Getter::REMOTE_TYPE).as_deref(), Ok("offer"));
        let code = lab.lib.set_local_description(answerer.id, kind);
        rows.code(format!("{kind:?} to answer"), code, OK);
        let (found, answer) = answerer.wait_description(0);
        rows.equal(format!("{kind:?} makes"), found.as_str(), "answer");
        let answer = crate::peer::c(&answer);
        let code = lab.lib.set_remote_description(offerer.id, Some(&answer), kind);
        rows.code(format!("remote {kind:?} to answer"), code, OK);
        rows.equal("as", offerer.string(Getter::REMOTE_TYPE).as_deref(), Ok("answer"));
    }
}

fn rollback_of_offer(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let _channel = peer.channel("x");
    peer.describe("offer");
    peer.wait_signaling(Signaling::HaveLocalOffer);
    let mut rows = Rows::new();
    rows.code("rollback", peer.set_local("rollback"), OK);
    peer.wait_signaling(Signaling::Stable);
    rows.code("another offer", peer.set_local("offer"), OK);
    peer.wait_description(1);
}

fn offer_for_answer(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    let mut rows = Rows::new();
    rows.code("offer", peer.set_local("offer"), FAILURE);
    rows.code("answer", peer.set_local("answer"), OK);
}

/// An answer nobody stands behind.
fn answer() -> String {
    sdp::replaced(sdp::OFFER, "a=setup", "a=setup:active")
}

fn remote_answer_in_stable(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let _channel = peer.channel("x");
    let mut rows = Rows::new();
    for kind in ["answer", "pranswer"] {
        rows.code(kind, peer.set_remote(&answer(), kind), FAILURE);
    }
}

fn remote_rollback(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    peer.wait_signaling(Signaling::HaveRemoteOffer);
    Rows::new().code("rollback", peer.set_remote(sdp::OFFER, "rollback"), OK);
    peer.wait_signaling(Signaling::Stable);
}

fn second_remote_offer(lab: &Lab) {
    let peer = Peer::manual(lab.lib);
    let mut rows = Rows::new();
    rows.code("first", peer.set_remote(sdp::OFFER, "offer"), OK);
    rows.codes("second", peer.set_remote(sdp::OFFER, "offer"), &[FAILURE, OK]);
    rows.code("an answer", peer.set_local("answer"), OK);
}

fn glare(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let _channel = peer.channel("x");
    peer.wait_signaling(Signaling::HaveLocalOffer);
    assert_eq!(peer.set_remote(sdp::OFFER, "offer"), OK);
    peer.wait_signaling(Signaling::HaveRemoteOffer);
    let (kind, _) = peer.wait_description(1);
    assert_eq!(kind, "answer");
}

fn undecided_answer(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let _channel = peer.channel("x");
    peer.wait_description(0);
    let mut rows = Rows::new();
    rows.code("actpass", peer.set_remote(sdp::OFFER, "answer"), INVALID);
    rows.code("active", peer.set_remote(&answer(), "answer"), OK);
}

fn changed_role(lab: &Lab) {
    let mut pair = Pair::new(lab.lib);
    let (_near, _far) = pair.open("x");
    pair.wait_connected();
    pair.unwire();
    // The answerer is active, so the offerer is passive, and its peer cannot become passive.
    let offer = pair.b.describe("offer");
    let bent = sdp::replaced(&offer, "a=setup", "a=setup:passive");
    Rows::new().code("passive", pair.a.set_remote(&bent, "offer"), INVALID);
}

fn ice_restart(lab: &Lab) {
    let mut pair = Pair::new(lab.lib);
    let (near, far) = pair.open("x");
    pair.wait_connected();
    pair.unwire();
    let offer = pair.b.describe("offer");
    let bent = sdp::replaced(&offer, "a=ice-ufrag", "a=ice-ufrag:another");
    let bent = sdp::replaced(&bent, "a=ice-pwd", "a=ice-pwd:anotherpasswordanotherpassword");
    let code = pair.a.set_remote(&bent, "offer");
    Rows::new().codes("restart", code, &[INVALID, OK]);
    if code == INVALID {
        near.send_text(c"unharmed");
        far.wait_messages(1);
    }
}

fn automatic_offer(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    let _first = peer.channel("first");
    peer.wait_gathered();
    let _second = peer.channel("second");
    peer.inbox.never_again("no second offer", |_| peer.descriptions().len() > 1);
    assert_eq!(peer.descriptions().len(), 1);
}

fn manual(lab: &Lab) {
    let (a, b) = (Peer::manual(lab.lib), Peer::manual(lab.lib));
    let near = a.channel("x");
    a.inbox.never("no offer by itself", |_| true);
    assert_eq!(a.set_local("offer"), OK);
    let (_, offer) = a.wait_description(0);
    assert_eq!(b.set_remote(&offer, "offer"), OK);
    b.wait_signaling(Signaling::HaveRemoteOffer);
    b.inbox.never("no answer by itself", |r| matches!(r.event, Event::LocalDescription { .. }));
    assert_eq!(b.set_local("answer"), OK);
    let pair = Pair::of(a, b, Signalling::Trickle);
    near.wait_open();
    pair.wait_connected();
    assert_eq!(pair.a.string(Getter::LOCAL_TYPE).as_deref(), Ok("offer"));
    assert_eq!(pair.a.string(Getter::REMOTE_TYPE).as_deref(), Ok("answer"));
    assert_eq!(pair.b.string(Getter::LOCAL_TYPE).as_deref(), Ok("answer"));
    assert_eq!(pair.b.string(Getter::REMOTE_TYPE).as_deref(), Ok("offer"));
}

fn needed(lab: &Lab) {
    let needed = |peer: &Peer| lab.lib.test(Predicate::NEGOTIATION_NEEDED, peer.id);
    let peer = Peer::manual(lab.lib);
    let mut rows = Rows::new();
    rows.equal("fresh", needed(&peer), false);
    let _channel = peer.channel("x");
    rows.equal("with a channel", needed(&peer), true);
    peer.describe("offer");
    rows.equal("with an offer", needed(&peer), false);
    let _second = peer.channel("y");
    rows.equal("with another channel", needed(&peer), false);
}

fn signaling(peer: &Peer) -> Vec<Signaling> {
    let state = |event: &Event| match event {
        Event::Signaling(state) => Some(*state),
        _ => None,
    };
    peer.inbox.all().iter().filter_map(|r| state(&r.event)).collect()
}

fn order(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    eventually("both sides stable", || {
        signaling(&connected.a).contains(&Signaling::Stable)
            && signaling(&connected.b).contains(&Signaling::Stable)
    });
    let mut rows = Rows::new();
    let offerer = vec![Signaling::HaveLocalOffer, Signaling::Stable];
    rows.equal("offerer", signaling(&connected.a), offerer);
    let answerer = vec![Signaling::HaveRemoteOffer, Signaling::Stable];
    rows.equal("answerer", signaling(&connected.b), answerer);
    for (peer, state) in
        [(&connected.a, Signaling::HaveLocalOffer), (&connected.b, Signaling::Stable)]
    {
        let all = peer.inbox.all();
        let description =
            all.iter().position(|r| matches!(r.event, Event::LocalDescription { .. }));
        let change = all.iter().position(|r| r.event == Event::Signaling(state));
        rows.holds(format!("the description before {state:?}"), description < change);
    }
}

fn renegotiation(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.a.wait_signaling(Signaling::Stable);
    assert_eq!(connected.a.set_local("offer"), OK);
    let (kind, _) = connected.b.wait_description(1);
    assert_eq!(kind, "answer");
    unharmed(&connected);
}

fn reverse_renegotiation(lab: &Lab) {
    let connected = Connected::new(lab.lib);
    connected.b.wait_signaling(Signaling::Stable);
    assert_eq!(connected.b.set_local("offer"), OK);
    let (kind, _) = connected.a.wait_description(1);
    assert_eq!(kind, "answer");
    unharmed(&connected);
}

fn unharmed(connected: &Connected) {
    eventually("stability", || {
        signaling(&connected.a).last() == Some(&Signaling::Stable)
            && signaling(&connected.b).last() == Some(&Signaling::Stable)
    });
    connected.near.send_text(c"there");
    connected.far.wait_messages(1);
    connected.far.send_text(c"and back");
    connected.near.wait_messages(1);
    let (near, far) = connected.open("after");
    near.send_text(c"new channel");
    far.wait_messages(1);
}

fn provisional(lab: &Lab) {
    let (a, b) = (Peer::manual(lab.lib), Peer::manual(lab.lib));
    let _near = a.channel("x");
    let offer = a.describe("offer");
    assert_eq!(b.set_remote(&offer, "offer"), OK);
    let answer = b.describe("answer");
    let mut rows = Rows::new();
    rows.code("provisional", a.set_remote(&answer, "pranswer"), OK);
    a.wait_signaling(Signaling::HaveRemotePranswer);
    rows.code("final", a.set_remote(&answer, "answer"), OK);
    a.wait_signaling(Signaling::Stable);
}

/// 256 characters of those that credentials may have.
const LONG: &CStr = c"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF\
    0123456789+/0123456789+/0123456789+/0123456789+/0123456789+/0123\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn credentials(lab: &Lab) {
    if lab.lib.table.rtcSetLocalDescriptionEx.is_none() {
        skip("not supported: there is no rtcSetLocalDescriptionEx");
    }
    let mut rows = Rows::new();
    let set = |peer: &Peer, kind: &CStr, ufrag, pwd| {
        lab.lib.set_local_description_ex(peer.id, kind, Some([ufrag, pwd]))
    };
    let password = c"abcdefghijklmnopqrs+/9";
    let (a, b) = (Peer::manual(lab.lib), Peer::manual(lab.lib));
    let near = a.channel("x");
    let too_long = c(&format!("{}x", LONG.to_string_lossy()));
    for (ufrag, pwd) in [
        (Some(c"abcd"), None),
        (None, Some(password)),
        (Some(c"abc"), Some(password)),
        (Some(c""), Some(password)),
        (Some(too_long.as_c_str()), Some(password)),
        (Some(c"ab:d"), Some(password)),
        (Some(c"ab\r\na=x:"), Some(password)),
        (Some(c"abcd"), Some(c"abcdefghijklmnopqrstu")),
        (Some(c"abcd"), Some(too_long.as_c_str())),
        (Some(c"abcd"), Some(c"abcdefghijklmnopqrstuvwx-")),
    ] {
        rows.code(format!("{ufrag:?} {pwd:?}"), set(&a, c"offer", ufrag, pwd), INVALID);
    }
    let unknown = lab.lib.set_local_description_ex(999_999, c"offer", None);
    rows.code("no such connection", unknown, INVALID);
    rows.code("in the wrong state", set(&a, c"answer", Some(c"abcd"), Some(password)), FAILURE);
    rows.equal("announced", a.descriptions().len(), 0);

    let said = |sdp: &str| {
        ["ice-ufrag", "ice-pwd"].map(|name| sdp::attribute(sdp, name).map(str::to_owned))
    };
    let chosen = |ufrag: &CStr, pwd: &CStr| {
        [ufrag, pwd].map(|text| Some(text.to_string_lossy().into_owned()))
    };
    rows.code("offer", set(&a, c"offer", Some(c"ab+/"), Some(password)), OK);
    let (_, offer) = a.wait_description(0);
    rows.equal("offered", said(&offer), chosen(c"ab+/", password));
    rows.code("set", b.set_remote(&offer, "offer"), OK);
    rows.code("answer", set(&b, c"answer", Some(LONG), Some(LONG)), OK);
    let (_, answer) = b.wait_description(0);
    rows.equal("answered", said(&answer), chosen(LONG, LONG));
    let pair = Pair::of(a, b, Signalling::Trickle);
    near.wait_open();
    pair.wait_connected();
    pair.a.wait_signaling(Signaling::Stable);

    let again = set(&pair.a, c"offer", Some(c"other"), Some(password));
    rows.code("other ones later", again, INVALID);
    rows.code("the same later", set(&pair.a, c"offer", Some(c"ab+/"), Some(password)), OK);
    for init in [None, Some([None, None])] {
        let peer = Peer::manual(lab.lib);
        let _channel = peer.channel("x");
        rows.code("none", lab.lib.set_local_description_ex(peer.id, c"offer", init), OK);
        let pwd = said(&peer.wait_description(0).1)[1].clone();
        rows.holds(format!("{pwd:?} is random"), pwd.is_some_and(|pwd| pwd.len() >= 22));
    }
}

fn taken(lab: &Lab) {
    if lab.ice.name != "agent" {
        skip("not supported: another backend tells connections apart in its own way");
    }
    let shared =
        Config { udp_mux: true, manual: true, ports: (47_201, 47_201), ..Config::loopback() };
    let peers = [(); 3].map(|()| Peer::with(lab.lib, &shared));
    let set = |peer: &Peer, ufrag| {
        let credentials = [Some(ufrag), Some(c"abcdefghijklmnopqrs+/9")];
        lab.lib.set_local_description_ex(peer.id, c"offer", Some(credentials))
    };
    let [first, second, third] = &peers;
    let _channels = peers.each_ref().map(|peer| peer.channel("x"));
    let mut rows = Rows::new();
    rows.code("the first", set(first, c"same"), OK);
    rows.code("the second", set(second, c"same"), FAILURE);
    rows.code("another one", set(third, c"other"), OK);
    first.wait_gathered();
    third.wait_gathered();
}

fn closed(lab: &Lab) {
    let peer = Peer::new(lab.lib);
    peer.close();
    peer.wait_state(State::Closed);
    let mut rows = Rows::new();
    // Upstream answers OK and does nothing; a failure is more honest.
    rows.codes("offer", peer.set_local("offer"), &[OK, FAILURE]);
    rows.codes("remote offer", peer.set_remote(sdp::OFFER, "offer"), &[OK, FAILURE]);
    let channel = lab.lib.create_dc(peer.id, Some(c"x"));
    rows.holds(format!("a channel: {}", code_name(channel)), channel > 0 || channel == FAILURE);
    rows.code("a callback", lab.lib.listen(Slot::State, peer.id, true), OK);
    if channel > 0 {
        rows.code("the channel's deletion", lab.lib.by_id(ById::DELETE, channel), OK);
    }
    rows.equal("descriptions", peer.descriptions().len(), 0);
}

fn section_gone(lab: &Lab) {
    let mut pair = Pair::new(lab.lib);
    let (_near, far) = pair.open("x");
    pair.wait_connected();
    pair.unwire();
    let offer = pair.a.describe("offer");
    let session = sdp::replaced(&sdp::sections(&offer)[0], "a=group", "a=group:BUNDLE audio");
    let credential = |name: &str| sdp::attribute(&offer, name).unwrap_or_default().to_owned();
    let audio = sdp::replaced(
        sdp::AUDIO,
        "a=ice-ufrag",
        &format!("a=ice-ufrag:{}", credential("ice-ufrag")),
    );
    let audio = sdp::replaced(&audio, "a=ice-pwd", &format!("a=ice-pwd:{}", credential("ice-pwd")));
    let code = pair.b.set_remote(&format!("{session}{audio}"), "offer");
    assert_eq!(code, OK, "{}", code_name(code));
    far.wait_closed();
}
