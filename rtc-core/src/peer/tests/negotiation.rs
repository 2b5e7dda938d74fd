//! Which description is allowed when, and what it leads to.

use std::time::Instant;

use super::dtls::NULL;
use super::network::{End, Link, Network};
use crate::backend::dtls::DtlsRole;
use crate::backend::ice::IceParameters;
use crate::candidate::Candidate;
use crate::channel::Channel as _;
use crate::config::{Configuration, DataChannelInit};
use crate::error::ErrorKind::{Failure, InvalidArgument};
use crate::peer::events::{IceCommand, PeerEvent};
use crate::sdp::DescriptionKind::{self, Answer, Offer, Pranswer, Rollback, Unspec};
use crate::sdp::{Description, Setup};
use crate::state::ConnectionState;
use crate::state::SignalingState::{
    self, HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, HaveRemotePranswer, Stable,
};

const KINDS: [DescriptionKind; 5] = [Unspec, Offer, Answer, Pranswer, Rollback];

/// What setting a description leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    To(SignalingState),
    Refused,
}
use Outcome::{Refused, To};

fn peer(name: &str) -> End {
    let mut end = End::new(name, Configuration::default(), &NULL);
    end.core.create_channel(Instant::now(), b"x".to_vec(), DataChannelInit::default()).unwrap();
    end
}

/// A description that a remote peer named `name` might send.
fn remote(name: &str, kind: DescriptionKind) -> Description {
    let mut other = peer(name);
    other.core.set_local_description(Instant::now(), Offer).unwrap();
    let text = other.core.local_description().unwrap().to_sdp();
    let mut description = Description::parse(&text, Offer).unwrap();
    description.kind = kind;
    if kind != Offer {
        description.setup = Setup::Active;
    }
    description
}

fn set_local(end: &mut End, kind: DescriptionKind) -> crate::Result<()> {
    let result = end.core.set_local_description(Instant::now(), kind);
    end.take_news();
    result
}

fn set_remote(end: &mut End, description: Description) -> crate::Result<bool> {
    let result = end.core.set_remote_description(Instant::now(), description);
    end.take_news();
    result
}

/// A fresh peer that was brought into a state.
fn in_state(state: SignalingState) -> End {
    let mut end = peer("a");
    match state {
        Stable => {}
        HaveLocalOffer => set_local(&mut end, Offer).unwrap(),
        HaveRemoteOffer => assert!(set_remote(&mut end, remote("b", Offer)).unwrap()),
        HaveLocalPranswer => {
            set_remote(&mut end, remote("b", Offer)).unwrap();
            set_local(&mut end, Pranswer).unwrap();
        }
        HaveRemotePranswer => {
            set_local(&mut end, Offer).unwrap();
            assert!(!set_remote(&mut end, remote("b", Pranswer)).unwrap());
        }
    }
    assert_eq!(end.core.signaling_state(), state);
    end.events.clear();
    end.commands.clear();
    end
}

#[test]
fn local_descriptions_follow_the_table() {
    // unspec, offer, answer, pranswer, rollback
    let table = [
        (Stable, [To(HaveLocalOffer), To(HaveLocalOffer), Refused, Refused, To(Stable)]),
        (
            HaveLocalOffer,
            // Ignored while an offer is pending.
            [
                To(HaveLocalOffer),
                To(HaveLocalOffer),
                To(HaveLocalOffer),
                To(HaveLocalOffer),
                To(Stable),
            ],
        ),
        (
            HaveRemoteOffer,
            [To(Stable), Refused, To(Stable), To(HaveLocalPranswer), To(HaveRemoteOffer)],
        ),
        (HaveLocalPranswer, [To(Stable), Refused, To(Stable), To(HaveLocalPranswer), To(Stable)]),
        (HaveRemotePranswer, [Refused, Refused, Refused, Refused, To(HaveRemotePranswer)]),
    ];
    for (state, outcomes) in table {
        for (kind, expected) in KINDS.into_iter().zip(outcomes) {
            let mut end = in_state(state);
            let before = end.core.local_description().cloned();
            let result = set_local(&mut end, kind);
            let reached = end.core.signaling_state();
            match expected {
                To(next) => {
                    result.unwrap();
                    assert_eq!(reached, next, "{kind} in {state:?}");
                }
                Refused => {
                    assert_eq!(result.unwrap_err().kind(), Failure, "{kind} in {state:?}");
                    assert_eq!(reached, state);
                    assert_eq!(end.core.local_description().cloned(), before);
                }
            }
            let announced = end.events.iter().any(|e| matches!(e, PeerEvent::LocalDescription(..)));
            let ignored = kind == Rollback || state == HaveLocalOffer;
            assert_eq!(announced, expected != Refused && !ignored, "{kind} in {state:?}");
            let changed = end.events.contains(&PeerEvent::Signaling(reached));
            assert_eq!(changed, reached != state, "{kind} in {state:?}");
        }
    }
}

#[test]
fn remote_descriptions_follow_the_table() {
    // unspec, offer, answer, pranswer, rollback
    let table = [
        (Stable, [To(HaveRemoteOffer), To(HaveRemoteOffer), Refused, Refused, To(Stable)]),
        (
            HaveLocalOffer,
            [To(Stable), To(HaveRemoteOffer), To(Stable), To(HaveRemotePranswer), To(Stable)],
        ),
        (HaveRemoteOffer, [Refused, Refused, Refused, Refused, To(Stable)]),
        (HaveLocalPranswer, [Refused, Refused, Refused, Refused, To(Stable)]),
        (HaveRemotePranswer, [To(Stable), Refused, To(Stable), To(HaveRemotePranswer), To(Stable)]),
    ];
    for (state, outcomes) in table {
        for (kind, expected) in KINDS.into_iter().zip(outcomes) {
            let mut end = in_state(state);
            let before = end.core.remote_description().cloned();
            let result = set_remote(&mut end, remote("b", kind));
            let reached = end.core.signaling_state();
            match expected {
                To(next) => {
                    let offered = next == HaveRemoteOffer;
                    assert_eq!(result.unwrap(), offered, "{kind} in {state:?}");
                    assert_eq!(reached, next, "{kind} in {state:?}");
                }
                Refused => {
                    assert_eq!(result.unwrap_err().kind(), Failure, "{kind} in {state:?}");
                    assert_eq!(reached, state);
                    assert_eq!(end.core.remote_description().cloned(), before);
                    assert!(end.commands.is_empty() && end.events.is_empty());
                }
            }
        }
    }
}

#[test]
fn the_kind_of_an_unspecified_description_is_settled() {
    let mut end = in_state(Stable);
    set_remote(&mut end, remote("b", Unspec)).unwrap();
    assert_eq!(end.core.remote_description().unwrap().kind, Offer);
    set_local(&mut end, Unspec).unwrap();
    assert_eq!(end.core.local_description().unwrap().kind, Answer);
    let mut end = in_state(HaveLocalOffer);
    set_remote(&mut end, remote("b", Unspec)).unwrap();
    assert_eq!(end.core.remote_description().unwrap().kind, Answer);
}

#[test]
fn glare_takes_the_local_offer_back() {
    let mut end = in_state(HaveLocalOffer);
    assert!(set_remote(&mut end, remote("b", Offer)).unwrap());
    let states: Vec<_> = end
        .events
        .iter()
        .filter_map(|event| match event {
            PeerEvent::Signaling(state) => Some(*state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [Stable, HaveRemoteOffer]);
    set_local(&mut end, Answer).unwrap();
    assert_eq!(end.core.signaling_state(), Stable);
}

#[test]
fn a_rollback_restores_the_description_before_the_exchange() {
    let mut end = in_state(HaveLocalOffer);
    set_remote(&mut end, remote("b", Answer)).unwrap();
    set_local(&mut end, Offer).unwrap();
    set_remote(&mut end, remote("b", Answer)).unwrap();
    let before = end.core.local_description().cloned();
    assert_eq!(before.as_ref().unwrap().kind, Offer);
    // Of an offer, of a provisional answer, and of one that was given again.
    for pranswers in 0..3 {
        match pranswers {
            0 => set_local(&mut end, Offer).unwrap(),
            count => {
                set_remote(&mut end, remote("b", Offer)).unwrap();
                for _ in 0..count {
                    set_local(&mut end, Pranswer).unwrap();
                }
            }
        }
        assert_ne!(end.core.local_description().cloned(), before);
        set_local(&mut end, Rollback).unwrap();
        assert_eq!(end.core.local_description().cloned(), before, "{pranswers}");
        assert_eq!(end.core.signaling_state(), Stable);
    }
}

#[test]
fn the_first_offer_stays_readable_after_its_rollback() {
    let mut end = in_state(HaveLocalOffer);
    set_local(&mut end, Rollback).unwrap();
    assert_eq!(end.core.local_description().unwrap().kind, Offer);
}

#[test]
fn the_remote_setup_decides_our_role() {
    let rows = [
        (Stable, Offer, Setup::ActPass, Ok(DtlsRole::Client)),
        (Stable, Offer, Setup::Passive, Ok(DtlsRole::Client)),
        (Stable, Offer, Setup::Active, Ok(DtlsRole::Server)),
        (HaveLocalOffer, Answer, Setup::Passive, Ok(DtlsRole::Client)),
        (HaveLocalOffer, Answer, Setup::Active, Ok(DtlsRole::Server)),
        (HaveLocalOffer, Answer, Setup::ActPass, Err(InvalidArgument)),
        (HaveLocalOffer, Pranswer, Setup::ActPass, Err(InvalidArgument)),
    ];
    for (state, kind, setup, expected) in rows {
        let mut end = in_state(state);
        let description = Description { setup, ..remote("b", kind) };
        let result = set_remote(&mut end, description).map_err(|error| error.kind());
        let role = result.map(|_| end.core.dtls_role.unwrap());
        assert_eq!(role, expected, "{kind} with {setup:?}");
        if kind == Offer {
            set_local(&mut end, Answer).unwrap();
            let answered = match expected.unwrap() {
                DtlsRole::Client => Setup::Active,
                DtlsRole::Server => Setup::Passive,
            };
            assert_eq!(end.core.local_description().unwrap().setup, answered);
        }
    }
}

/// A peer that answered an offer of "b", so that it is the DTLS client.
fn answered() -> End {
    let mut end = in_state(HaveRemoteOffer);
    set_local(&mut end, Answer).unwrap();
    end
}

#[test]
fn what_the_first_exchange_settled_cannot_change() {
    let base = || remote("b", Offer);
    let rows: [(&str, Description, bool); 7] = [
        ("the same", base(), true),
        ("actpass again", Description { setup: Setup::ActPass, ..base() }, true),
        ("the role it had", Description { setup: Setup::Passive, ..base() }, true),
        ("our role", Description { setup: Setup::Active, ..base() }, false),
        ("another ufrag", Description { ice_ufrag: Some("else".into()), ..base() }, false),
        (
            "another password",
            Description { ice_pwd: Some("another-password-that-is-long".into()), ..base() },
            false,
        ),
        ("another peer", remote("c", Offer), false),
    ];
    for (what, description, accepted) in rows {
        let mut end = answered();
        let before = end.core.remote_description().cloned();
        match set_remote(&mut end, description) {
            Ok(_) => assert!(accepted, "{what}"),
            Err(error) => {
                assert!(!accepted, "{what}: {error}");
                assert_eq!(error.kind(), InvalidArgument, "{what}");
                assert_eq!(end.core.signaling_state(), Stable, "{what}");
                assert_eq!(end.core.remote_description().cloned(), before, "{what}");
            }
        }
    }
}

#[test]
fn what_a_remote_description_lacks_is_an_error() {
    let base = || remote("b", Offer);
    for (what, description) in [
        ("ufrag", Description { ice_ufrag: None, ..base() }),
        ("pwd", Description { ice_pwd: None, ..base() }),
        ("fingerprint", Description { fingerprint: None, ..base() }),
        ("m-line", Description { sections: Vec::new(), ..base() }),
    ] {
        let mut end = in_state(Stable);
        let error = set_remote(&mut end, description).unwrap_err();
        assert_eq!(error.kind(), InvalidArgument, "{what}");
        assert_eq!(end.core.signaling_state(), Stable, "{what}");
        assert!(end.core.remote_description().is_none(), "{what}");
    }
}

#[test]
fn without_channels_there_is_nothing_to_offer() {
    let mut end = End::new("a", Configuration::default(), &NULL);
    assert_eq!(set_local(&mut end, Offer).unwrap_err().kind(), Failure);
    assert_eq!(end.core.signaling_state(), Stable);
    assert!(!end.core.is_negotiation_needed());
    assert!(peer("a").core.is_negotiation_needed());
    assert!(!in_state(HaveLocalOffer).core.is_negotiation_needed());
}

#[test]
fn candidates_of_the_peer_reach_ice_once_and_in_order() {
    let candidate = |port: u16| {
        let text = format!("candidate:1 1 UDP 1000 192.0.2.1 {port} typ host");
        Candidate::parse(&text).unwrap()
    };
    let mut end = in_state(HaveLocalOffer);
    let error = end.core.add_remote_candidate(candidate(1)).unwrap_err();
    assert_eq!(error.kind(), Failure, "there is no remote description");
    assert_eq!(end.core.end_of_remote_candidates().unwrap_err().kind(), Failure);

    let mut answer = remote("b", Answer);
    answer.add_candidate(candidate(1)).unwrap();
    set_remote(&mut end, answer).unwrap();
    for port in [2, 1, 2] {
        end.core.add_remote_candidate(candidate(port)).unwrap();
    }
    end.core.end_of_remote_candidates().unwrap();
    end.take_news();
    let [IceCommand::SetRemote(parameters), rest @ ..] = &end.commands[..] else {
        panic!("{:?}", end.commands)
    };
    assert_eq!(parameters.ufrag, "bufrag");
    assert_ne!(parameters, &IceParameters::default());
    let expected = [
        IceCommand::AddCandidate(candidate(1)),
        IceCommand::AddCandidate(candidate(2)),
        IceCommand::EndOfCandidates,
    ];
    assert_eq!(rest, expected);
    assert!(end.core.remote_description().unwrap().end_of_candidates);
}

#[test]
fn a_closed_connection_takes_no_descriptions() {
    for state in [Stable, HaveLocalOffer, HaveRemoteOffer] {
        let mut end = in_state(state);
        let now = Instant::now();
        end.core.close(now);
        end.take_news();
        assert_eq!(end.states(), [ConnectionState::Closed]);
        end.events.clear();
        for kind in KINDS {
            set_local(&mut end, kind).unwrap();
            assert!(!set_remote(&mut end, remote("b", kind)).unwrap());
        }
        assert_eq!(end.core.signaling_state(), state);
        assert!(end.events.is_empty() && end.commands.is_empty());
        let candidate = Candidate::parse("candidate:1 1 UDP 1 192.0.2.1 1 typ host").unwrap();
        assert_eq!(end.core.add_remote_candidate(candidate).unwrap_err().kind(), Failure);
        assert_eq!(end.core.end_of_remote_candidates().unwrap_err().kind(), Failure);
        let channel = end.core.create_channel(now, Vec::new(), DataChannelInit::default());
        assert_eq!(channel.unwrap_err().kind(), Failure);
        end.core.close(now);
        end.core.abort(now);
        end.take_news();
        assert!(end.events.is_empty());
    }
}

#[test]
fn a_later_exchange_leaves_the_connection_alone() {
    let (mut network, [near, far]) = Network::connected();
    network.negotiate();
    network.run(1);
    network.send(0, &near, "still here").unwrap();
    network.run(1);
    assert_eq!(far.available_amount(), 10);
    assert!(network.ends.iter().all(|end| end.core.is_stable()));
}

#[test]
fn a_peer_that_removes_its_application_section_closes_the_channels() {
    let (mut network, [near, _]) = Network::connected();
    let text = network.ends[1].core.local_description().unwrap().to_sdp();
    let mut offer = Description::parse(&text, Offer).unwrap();
    offer.setup = Setup::ActPass;
    offer.sections[0].common_mut().removed = true;
    let audio = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendrecv\r\n";
    offer.sections.extend(Description::parse(audio, Offer).unwrap().sections);
    let now = network.instant();
    network.ends[0].core.set_remote_description(now, offer).unwrap();
    network.flush();
    assert!(near.is_closed());
}

#[test]
fn a_peer_on_a_bad_link_negotiates_while_it_carries_messages() {
    let link = Link { delay_ms: 20, loss_percent: 10, ..Link::default() };
    let config = super::network::patient;
    let mut network = Network::new(3, [config(), config()], link);
    let near = network.create(0, "", DataChannelInit::default());
    network.connect();
    assert!(network.run_until(60, |_| near.is_open()));
    for _ in 0..5 {
        network.send(0, &near, vec![1; 10_000]).unwrap();
        network.negotiate();
    }
    network.run(60);
    assert_eq!(network.ends[1].incoming[0].available_amount(), 50_000);
}
