//! ICE restarts, and the time that a failed connection waits for one.

use std::time::Duration;

use super::network::Network;
use crate::backend::ice::{IceEvent, IceParameters};
use crate::candidate::Candidate;
use crate::peer::events::{IceCommand, PeerEvent};
use crate::sdp::{Description, DescriptionKind};
use crate::state::{ConnectionState, GatheringState, IceState, SignalingState};

fn new_credentials(name: &str) -> IceParameters {
    IceParameters {
        ufrag: format!("{name}new"),
        pwd: format!("{name}-new-password-of-many-characters"),
        ..IceParameters::default()
    }
}

fn candidate(port: u16) -> Candidate {
    Candidate::parse(&format!("{port} 1 UDP 1 192.0.2.1 {port} typ host")).unwrap()
}

/// The description of an end, as the other one gets it.
fn told(network: &Network, end: usize, kind: DescriptionKind) -> Description {
    let text = network.ends[end].core.local_description().unwrap().to_sdp();
    Description::parse(&text, kind).unwrap()
}

/// What the shell does for a restart: candidates may come before it has heard of the credentials.
fn renew(network: &mut Network, end: usize, name: &str, port: u16) {
    let now = network.instant();
    let core = &mut network.ends[end].core;
    core.hold_candidates();
    core.handle_ice_event(now, IceEvent::Candidate(candidate(port)));
    core.renew_credentials(new_credentials(name));
    core.handle_ice_event(now, IceEvent::GatheringDone);
    network.ends[end].take_news();
}

fn candidates_told(events: &[PeerEvent]) -> usize {
    events.iter().filter(|event| matches!(event, PeerEvent::LocalCandidate(..))).count()
}

#[test]
fn candidates_of_a_restart_follow_the_description_with_its_credentials() {
    let (mut network, _) = Network::connected();
    network.ends.iter_mut().for_each(|end| {
        end.events.clear();
        end.commands.clear();
    });
    let now = network.instant();

    renew(&mut network, 0, "a", 7001);
    assert_eq!(candidates_told(&network.ends[0].events), 0);
    network.ends[0].core.set_local_description(now, DescriptionKind::Offer).unwrap();
    network.ends[0].take_news();
    let events = &network.ends[0].events;
    let described = events.iter().position(|e| matches!(e, PeerEvent::LocalDescription(..)));
    let gathered = events.iter().position(|e| matches!(e, PeerEvent::LocalCandidate(..)));
    assert!(described.unwrap() < gathered.unwrap());
    assert_eq!(network.ends[0].core.gathering_state(), GatheringState::Complete);
    let PeerEvent::LocalDescription(sdp, _) = &events[described.unwrap()] else { unreachable!() };
    assert!(sdp.contains("a=ice-ufrag:anew") && !sdp.contains("a=candidate:"), "{sdp}");

    let offer = told(&network, 0, DescriptionKind::Offer);
    assert!(network.ends[1].core.is_restarted_by(&offer).unwrap());
    renew(&mut network, 1, "b", 7002);
    network.ends[1].core.set_remote_description(now, offer).unwrap();
    network.ends[1].core.set_local_description(now, DescriptionKind::Answer).unwrap();
    network.ends[1].take_news();
    assert!(network.ends[1].commands.iter().any(|command| matches!(
        command, IceCommand::SetRemote(parameters) if parameters.ufrag == "anew"
    )));
    assert_eq!(candidates_told(&network.ends[1].events), 1);

    let answer = told(&network, 1, DescriptionKind::Answer);
    assert!(!network.ends[0].core.is_restarted_by(&answer).unwrap());
    network.ends[0].core.set_remote_description(now, answer).unwrap();
    assert_eq!(network.ends[0].core.signaling_state(), SignalingState::Stable);
    // Both are settled: the next change is a restart again.
    let offer = told(&network, 1, DescriptionKind::Offer);
    assert!(!network.ends[0].core.is_restarted_by(&offer).unwrap());
    let other = Description { ice_ufrag: Some("other".into()), ..offer };
    assert!(network.ends[0].core.is_restarted_by(&other).unwrap());
}

#[test]
fn an_answer_with_new_credentials_is_refused_unless_we_restart() {
    let (mut network, _) = Network::connected();
    let now = network.instant();
    network.ends[0].core.set_local_description(now, DescriptionKind::Offer).unwrap();
    let mut answer = told(&network, 1, DescriptionKind::Answer);
    answer.ice_ufrag = Some("other".into());
    assert!(!network.ends[0].core.is_restarted_by(&answer).unwrap());
    let error = network.ends[0].core.set_remote_description(now, answer).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument);
    assert_eq!(network.ends[0].core.connection(), ConnectionState::Connected);
}

#[test]
fn a_description_that_is_refused_anyway_restarts_nothing() {
    let (network, _) = Network::connected();
    let mut answer = told(&network, 1, DescriptionKind::Answer);
    answer.ice_ufrag = Some("other".into());
    assert!(network.ends[0].core.is_restarted_by(&answer).is_err(), "no offer was made");
}

#[test]
fn a_failed_connection_waits_as_long_as_it_is_told_to() {
    for (patience, back_after, expected) in [
        (0, None, vec![ConnectionState::Failed, ConnectionState::Closed]),
        (20, None, vec![ConnectionState::Failed, ConnectionState::Closed]),
        (20, Some(10), vec![ConnectionState::Failed, ConnectionState::Connected]),
    ] {
        let (mut network, _) = Network::connected();
        network.ends[0].core.restart.patience = Duration::from_secs(patience);
        network.ends[0].events.clear();
        let now = network.instant();
        let core = &mut network.ends[0].core;
        core.handle_ice_event(now, IceEvent::State(IceState::Failed));
        assert_eq!(core.is_closed(), patience == 0);
        if let Some(seconds) = back_after {
            let then = now + Duration::from_secs(seconds);
            core.handle_ice_event(then, IceEvent::State(IceState::Completed));
        }
        core.handle_timeout(now + Duration::from_secs(patience));
        network.ends[0].take_news();
        assert_eq!(network.ends[0].states(), expected, "{patience} {back_after:?}");
    }
}
