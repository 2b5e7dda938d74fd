//! ICE restarts (RFC 8445 §9; RFC 8839 §4.4): new credentials while everything above ICE goes on,
//! and the time that a failed connection waits for one.

use std::time::{Duration, Instant};

use log::Level;

use super::core::PeerCore;
use crate::backend::ice::{IceEvent, IceParameters};
use crate::config::SctpSettings;
use crate::error::{Error, Result};
use crate::notes::note;
use crate::sdp::{Description, DescriptionKind};
use crate::state::{ConnectionState, GatheringState, SignalingState};

/// How long the loss of a path goes unnoticed: the peer's consent (RFC 7675 §5.1), with reserve.
const DETECTION: Duration = Duration::from_secs(40);

/// What a core knows of restarts.
#[derive(Debug, Default)]
pub(super) struct Restart {
    phase: Phase,
    /// What the ICE transport gathered before the description that it belongs to.
    held: Vec<IceEvent>,
    /// How long a connection without a path waits for a restart; not at all when zero.
    pub(super) patience: Duration,
    /// When that time ends, if it runs.
    pub(super) give_up_at: Option<Instant>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Both sides know the other's credentials, or do not know any yet.
    #[default]
    Settled,
    /// The ICE transport is being restarted.
    Begun,
    /// We have new credentials, which no description contains yet.
    Renewed,
    /// Our offer contains them.
    Offered,
}

impl Restart {
    pub(super) fn holds(&self) -> bool {
        matches!(self.phase, Phase::Begun | Phase::Renewed)
    }

    pub(super) fn hold(&mut self, event: IceEvent) {
        self.held.push(event);
    }

    /// Settings with which an association outlives the wait for a restart, and the time that ICE
    /// takes to fail before it.
    pub(super) fn patient(&self, settings: &SctpSettings) -> SctpSettings {
        let mut settings = settings.clone();
        if !self.patience.is_zero() {
            let longest = settings.rto_max.max(Duration::from_millis(100)).as_millis();
            let more = (self.patience + DETECTION).as_millis().div_ceil(longest);
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            settings.max_retransmits = settings.max_retransmits.saturating_add(more);
        }
        settings
    }
}

impl PeerCore {
    /// Whether a description of the peer's begins a restart that we have to follow. An error says
    /// that the description is refused anyway.
    pub(crate) fn is_restarted_by(&self, description: &Description) -> Result<bool> {
        if description.kind == DescriptionKind::Rollback || self.is_ending() {
            return Ok(false);
        }
        // Tells what is wrong, before anything is begun.
        let kind = self.check_remote_description(description)?;
        Ok(kind == DescriptionKind::Offer
            && self.restart.phase == Phase::Settled
            && self.has_new_credentials(description))
    }

    /// Whether the peer's credentials change with a description.
    pub(super) fn has_new_credentials(&self, new: &Description) -> bool {
        let differ = |old: &IceParameters| {
            Some(&old.ufrag) != new.ice_ufrag.as_ref() || Some(&old.pwd) != new.ice_pwd.as_ref()
        };
        self.remote_ice.as_ref().is_some_and(differ)
    }

    /// Whether our credentials are newer than the peer's.
    pub(super) fn is_renewed(&self) -> bool {
        matches!(self.restart.phase, Phase::Renewed | Phase::Offered)
    }

    /// Refuses where a restart of our own makes no sense.
    pub(crate) fn require_restartable(&self) -> Result<()> {
        self.require_alive("restart ICE")?;
        if self.remote.is_none() {
            return Err(Error::failure("cannot restart ICE before the peer is known"));
        }
        match self.signaling {
            SignalingState::Stable => Ok(()),
            state => {
                Err(Error::failure(format!("cannot restart ICE in signaling state {state:?}")))
            }
        }
    }

    /// Keeps back what is gathered, until the next local description.
    pub(crate) fn hold_candidates(&mut self) {
        self.restart.phase = Phase::Begun;
    }

    /// Takes the credentials of a restarted ICE transport.
    pub(crate) fn renew_credentials(&mut self, ice: IceParameters) {
        self.local_ice = Some(ice);
        self.restart.phase = Phase::Renewed;
        self.set_gathering(GatheringState::InProgress);
    }

    /// Goes on with what was kept back: the description that it belongs to is there.
    pub(crate) fn release_candidates(&mut self, now: Instant) {
        let offers = self.signaling == SignalingState::HaveLocalOffer;
        self.restart.phase = match self.restart.phase {
            Phase::Renewed | Phase::Offered if offers => Phase::Offered,
            _ => Phase::Settled,
        };
        for event in std::mem::take(&mut self.restart.held) {
            self.handle_ice_event(now, event);
        }
    }

    /// Notes that both sides have each other's new credentials, where an answer brought them.
    pub(super) fn settle_restart(&mut self, by: DescriptionKind) {
        if by.is_answer() && self.restart.phase == Phase::Offered {
            self.restart.phase = Phase::Settled;
        }
    }

    /// Whether a connection whose ICE has failed waits for a restart.
    pub(super) fn may_recover(&mut self, now: Instant) -> bool {
        if self.restart.patience.is_zero() || !self.dtls_connected || self.is_ending() {
            return false;
        }
        note(Level::Warn, || "ICE has failed; the connection waits for a restart".to_owned());
        self.restart.give_up_at.get_or_insert(now + self.restart.patience);
        self.set_connection(ConnectionState::Failed);
        true
    }

    /// Goes on after a restart has found a path.
    pub(super) fn recover(&mut self) {
        if self.restart.give_up_at.take().is_some() {
            self.set_connection(ConnectionState::Connected);
        }
    }
}
