//! The peer core's offers and answers (RFC 8829): which description is allowed when, and what each
//! one sets in motion.

use std::time::Instant;

use log::Level;

use super::authentication::sha256_fingerprint;
use super::core::PeerCore;
use super::events::{IceCommand, PeerEvent};
use crate::backend::dtls::{Certificate, DtlsRole};
use crate::backend::ice::IceParameters;
use crate::candidate::Candidate;
use crate::error::{Error, Result};
use crate::notes::note;
use crate::sdp::compose::{Ingredients, compose};
use crate::sdp::{Description, DescriptionKind, Setup};
use crate::state::{GatheringState, SignalingState};

impl PeerCore {
    // Queries.

    pub(crate) fn local_description(&self) -> Option<&Description> {
        self.local.as_ref()
    }

    pub(crate) fn remote_description(&self) -> Option<&Description> {
        self.remote.as_ref()
    }

    pub(crate) fn is_negotiation_needed(&self) -> bool {
        let described = self.local.as_ref().and_then(|local| local.application());
        let channels =
            self.has_channels() && described.is_none_or(|application| application.common.removed);
        channels || self.has_track_news()
    }

    pub(crate) fn is_stable(&self) -> bool {
        self.signaling == SignalingState::Stable
    }

    pub(crate) fn is_gathering_wanted(&self) -> bool {
        self.gathering == GatheringState::New && self.local.is_some() && !self.is_closed()
    }

    fn has_channels(&self) -> bool {
        !self.unassigned.is_empty() || !self.streams.is_empty()
    }

    // Commands.

    /// Gives the core what every local description contains.
    pub(crate) fn set_identity(&mut self, ice: IceParameters, certificate: Certificate) {
        self.local_ice = Some(ice);
        self.certificate = Some(certificate);
    }

    /// Replaces our credentials, which nobody has been told of.
    pub(crate) fn set_local_ice(&mut self, ice: IceParameters) {
        self.local_ice = Some(ice);
    }

    /// Begins gathering; to be called just before the ICE transport is told to.
    pub(crate) fn begin_gathering(&mut self) {
        self.set_gathering(GatheringState::InProgress);
    }

    /// The description that would be set, without setting it.
    pub(crate) fn compose(&self, kind: DescriptionKind) -> Result<Description> {
        let (Some(ice), Some(certificate)) = (&self.local_ice, &self.certificate) else {
            return Err(Error::failure("cannot describe the connection without credentials"));
        };
        let setup = match (kind.is_answer(), self.dtls_role) {
            (false, _) => Setup::ActPass,
            (true, Some(DtlsRole::Server)) => Setup::Passive,
            (true, _) => Setup::Active,
        };
        let previous = self.local.as_ref();
        // What a restarted transport gathers follows.
        let gathered = previous.filter(|_| !self.restart.holds());
        let sctp_init = self.signaled_init();
        let tracks = self.track_sections();
        Ok(compose(&Ingredients {
            kind,
            setup,
            ice,
            fingerprint: &sha256_fingerprint(certificate.der()),
            has_data_channel: self.has_channels() || self.has_application(),
            max_message_size: self.config.max_message_size as u64,
            tracks: &tracks.iter().collect::<Vec<_>>(),
            previous,
            remote: self.remote.as_ref(),
            sctp_init: Some(&sctp_init),
            session_id: self.session_id(),
            candidates: gathered.map_or(&[], |previous| &previous.candidates),
            end_of_candidates: self.gathering == GatheringState::Complete,
        }))
    }

    /// Sets the local description (RFC 8829 §5.5). On a closed connection nothing happens: the
    /// peer's messages may cross with our closing, which is no error of the application.
    pub(crate) fn set_local_description(
        &mut self,
        now: Instant,
        kind: DescriptionKind,
    ) -> Result<()> {
        if self.is_ending() {
            return Ok(());
        }
        if kind == DescriptionKind::Rollback {
            self.roll_back_local();
            return Ok(());
        }
        let Some((kind, next)) = self.local_transition(kind)? else {
            note(Level::Warn, || {
                "local description ignored: a local offer is already pending".to_owned()
            });
            return Ok(());
        };
        let description = self.compose(kind)?;
        if description.sections.is_empty() {
            return Err(Error::failure("there is no data channel or track to negotiate"));
        }
        if matches!(self.signaling, SignalingState::Stable | SignalingState::HaveRemoteOffer) {
            self.stable_local = self.local.take();
        }
        self.emit(PeerEvent::LocalDescription(description.to_sdp(), kind));
        self.local = Some(description);
        self.mark_tracks_described();
        if next == SignalingState::Stable {
            self.stable_remote = None;
            self.offered_tracks.clear();
        }
        self.set_signaling(next);
        self.release_candidates(now);
        self.apply_descriptions(now);
        Ok(())
    }

    /// Takes our offer or provisional answer back (RFC 8829 §4.1.10.2).
    fn roll_back_local(&mut self) {
        use SignalingState::{HaveLocalOffer, HaveLocalPranswer, Stable};
        if matches!(self.signaling, HaveLocalOffer | HaveLocalPranswer) {
            if let Some(previous) = self.stable_local.take() {
                self.local = Some(previous);
            }
            self.set_signaling(Stable);
        }
    }

    /// Whether a local description of `kind` would be set now. An error says why it is refused.
    pub(crate) fn may_set_local(&self, kind: DescriptionKind) -> Result<bool> {
        Ok(kind != DescriptionKind::Rollback && self.local_transition(kind)?.is_some())
    }

    /// The kind that is meant and the state it leads to; `None` when nothing is to be done.
    fn local_transition(
        &self,
        kind: DescriptionKind,
    ) -> Result<Option<(DescriptionKind, SignalingState)>> {
        use DescriptionKind::{Answer, Offer, Pranswer, Unspec};
        use SignalingState::{HaveLocalOffer, HaveLocalPranswer, HaveRemoteOffer, Stable};
        let refused = |what: &str, state: SignalingState| {
            Err(Error::failure(format!("cannot set a local {what} in signaling state {state:?}")))
        };
        Ok(Some(match (kind, self.signaling) {
            (_, HaveLocalOffer) => return Ok(None),
            (Unspec | Offer, Stable) => (Offer, HaveLocalOffer),
            (Unspec | Answer, HaveRemoteOffer | HaveLocalPranswer) => (Answer, Stable),
            (Pranswer, HaveRemoteOffer | HaveLocalPranswer) => (Pranswer, HaveLocalPranswer),
            (_, Stable) => return refused("answer", Stable),
            (Offer, state) => return refused("offer", state),
            (_, state) => return refused("description", state),
        }))
    }

    /// Sets the remote description; says whether it was an offer. On a closed connection nothing
    /// happens, as for a local one.
    pub(crate) fn set_remote_description(
        &mut self,
        now: Instant,
        mut description: Description,
    ) -> Result<bool> {
        if self.is_ending() {
            return Ok(false);
        }
        if description.kind == DescriptionKind::Rollback {
            self.roll_back_remote();
            return Ok(false);
        }
        self.check_remote_description(&description)?;
        let (kind, next) = self.remote_transition(description.kind)?;
        description.kind = kind;
        let role = self.negotiate_role(&description)?;
        if !self.is_renewed() && self.has_new_credentials(&description) {
            return Err(Error::invalid("the peer restarts ICE where it cannot be followed"));
        }

        if self.signaling == SignalingState::HaveLocalOffer && kind == DescriptionKind::Offer {
            // Glare: the local offer is withdrawn (RFC 8829 §4.1.8.2).
            self.local = self.stable_local.take().or(self.local.take());
            self.set_signaling(SignalingState::Stable);
        }
        if kind == DescriptionKind::Offer {
            self.stable_remote = Some((self.remote.take(), self.dtls_role));
        }
        self.dtls_role = Some(role);
        let candidates = description.candidates.clone();
        let ended = description.end_of_candidates;
        let ice = IceParameters {
            ufrag: description.ice_ufrag.clone().unwrap_or_default(),
            pwd: description.ice_pwd.clone().unwrap_or_default(),
            lite: description.ice_lite,
            options: description.ice_options.clone(),
        };
        self.remote_ice = Some(ice.clone());
        self.command(IceCommand::SetRemote(ice));
        for candidate in candidates {
            self.command(IceCommand::AddCandidate(candidate));
        }
        if ended {
            self.command(IceCommand::EndOfCandidates);
        }
        if kind == DescriptionKind::Offer {
            self.add_offered_tracks(&description);
        }
        self.remote = Some(description);
        self.set_signaling(next);
        self.settle_restart(kind);
        self.apply_descriptions(now);
        Ok(kind == DescriptionKind::Offer)
    }

    /// Takes the peer's offer back, if there is one that no answer followed: the descriptions
    /// before it are in force again, and its tracks are gone (RFC 9429 §4.1.10.2).
    fn roll_back_remote(&mut self) {
        use SignalingState::{HaveLocalPranswer, HaveRemoteOffer, Stable};
        if matches!(self.signaling, HaveRemoteOffer | HaveLocalPranswer) {
            if self.signaling == HaveLocalPranswer {
                self.local = self.stable_local.take().or(self.local.take());
            }
            // A handshake that a provisional answer has begun goes on, and with it its peer.
            if let Some((remote, role)) = self.stable_remote.take()
                && (remote.is_some() || self.dtls.is_none())
            {
                self.remote = remote;
                self.dtls_role = role;
            }
            self.close_offered_tracks();
        }
        self.set_signaling(Stable);
    }

    /// Refuses a description that cannot be set now; returns the kind that is meant.
    pub(super) fn check_remote_description(
        &self,
        description: &Description,
    ) -> Result<DescriptionKind> {
        description.validate_remote()?;
        let (kind, _) = self.remote_transition(description.kind)?;
        self.negotiate_role(&Description { kind, ..description.clone() })?;
        Ok(kind)
    }

    fn remote_transition(
        &self,
        kind: DescriptionKind,
    ) -> Result<(DescriptionKind, SignalingState)> {
        use DescriptionKind::{Answer, Offer, Pranswer, Unspec};
        use SignalingState::{HaveLocalOffer, HaveRemoteOffer, HaveRemotePranswer, Stable};
        match (kind, self.signaling) {
            (Unspec | Offer, Stable) | (Offer, HaveLocalOffer) => Ok((Offer, HaveRemoteOffer)),
            (Unspec | Answer, HaveLocalOffer | HaveRemotePranswer) => Ok((Answer, Stable)),
            (Pranswer, HaveLocalOffer | HaveRemotePranswer) => Ok((Pranswer, HaveRemotePranswer)),
            (kind, state) => Err(Error::failure(format!(
                "cannot set a remote {} in signaling state {state:?}",
                kind.as_str()
            ))),
        }
    }

    /// Our DTLS role, which the first remote description settles (RFC 8842 §5).
    fn negotiate_role(&self, remote: &Description) -> Result<DtlsRole> {
        if remote.kind.is_answer() && remote.setup == Setup::ActPass {
            return Err(Error::invalid("an answer must not say setup:actpass"));
        }
        let wanted = match remote.setup {
            Setup::Active => Some(DtlsRole::Server),
            Setup::Passive => Some(DtlsRole::Client),
            Setup::ActPass => None,
        };
        match (self.dtls_role, wanted) {
            (Some(ours), Some(wanted)) if ours != wanted => {
                Err(Error::invalid("the DTLS roles cannot change"))
            }
            (Some(ours), _) => Ok(ours),
            (None, wanted) => Ok(wanted.unwrap_or(DtlsRole::Client)),
        }
    }

    /// Starts or stops what the descriptions in force ask for.
    fn apply_descriptions(&mut self, now: Instant) {
        self.start_dtls(now);
        self.apply_to_tracks();
        if self.dtls_connected && self.has_application() {
            self.start_sctp(now);
        }
        let negotiated =
            matches!(self.signaling, SignalingState::Stable | SignalingState::HaveRemoteOffer);
        let refused = self.remote.as_ref().is_some_and(|remote| {
            remote.application().is_none_or(|application| application.common.removed)
        });
        if negotiated && refused && self.sctp_connected {
            let channels: Vec<_> = self.streams.values().map(|e| e.channel.clone()).collect();
            for channel in channels {
                self.announce_closed(&channel);
            }
        }
    }

    /// Adds a candidate of the peer; duplicates are ignored.
    pub(crate) fn add_remote_candidate(&mut self, candidate: Candidate) -> Result<()> {
        self.require_alive("add a remote candidate")?;
        let Some(remote) = &mut self.remote else {
            return Err(Error::failure("cannot add a candidate before the remote description"));
        };
        if remote.add_candidate(candidate.clone())? {
            self.command(IceCommand::AddCandidate(candidate));
        }
        Ok(())
    }

    pub(crate) fn end_of_remote_candidates(&mut self) -> Result<()> {
        self.require_alive("end the remote candidates")?;
        let Some(remote) = &mut self.remote else {
            return Err(Error::failure("cannot end candidates before the remote description"));
        };
        remote.end_of_candidates = true;
        self.command(IceCommand::EndOfCandidates);
        Ok(())
    }

    /// The number in our `o=` lines, equal in all of them (RFC 8829 §5.2.1).
    fn session_id(&self) -> u64 {
        let [a, b, c, d, ..] = self.seed;
        u32::from_le_bytes([a, b, c, d]).into()
    }
}
