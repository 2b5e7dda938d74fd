//! A whole description.

use super::{Application, DescriptionKind, Fingerprint, MAX_CANDIDATES, Media, Section, Setup};
use crate::candidate::Candidate;
use crate::error::{Error, Result};

/// A session description with the candidates known so far.
///
/// Everything is bundled onto one transport, so there is one set of ICE credentials, one
/// fingerprint and one list of candidates for all sections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// What it is for; not part of the text.
    pub kind: DescriptionKind,
    /// `o=`
    pub origin: Origin,
    /// `a=ice-ufrag`
    pub ice_ufrag: Option<String>,
    /// `a=ice-pwd`
    pub ice_pwd: Option<String>,
    /// `a=ice-options`
    pub ice_options: Vec<String>,
    /// `a=ice-lite`
    pub ice_lite: bool,
    /// `a=fingerprint`
    pub fingerprint: Option<Fingerprint>,
    /// `a=setup`
    pub setup: Setup,
    /// Further session attributes in order, without `a=`.
    pub session_attributes: Vec<String>,
    /// The m-sections.
    pub sections: Vec<Section>,
    /// `a=candidate`; change it by [`Self::add_candidate`].
    pub candidates: Vec<Candidate>,
    /// `a=end-of-candidates`: no candidate will follow.
    pub end_of_candidates: bool,
}

/// Who made a description, and which one of theirs it is (RFC 8866 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The user name.
    pub user_name: String,
    /// Stays the same throughout a session.
    pub id: u64,
    /// Grows with each description of a session.
    pub version: u64,
}

impl Default for Origin {
    fn default() -> Self {
        Self { user_name: "rtc".into(), id: 0, version: 0 }
    }
}

impl Description {
    /// The section of data channels: of several the first that is not removed.
    pub fn application(&self) -> Option<&Application> {
        let applications = || {
            self.sections.iter().filter_map(|section| match section {
                Section::Application(application) => Some(application),
                Section::Media(_) => None,
            })
        };
        applications()
            .find(|application| !application.common.removed)
            .or_else(|| applications().next())
    }

    /// The media sections in order.
    pub fn media(&self) -> impl Iterator<Item = &Media> {
        self.sections.iter().filter_map(|section| match section {
            Section::Media(media) => Some(media),
            Section::Application(_) => None,
        })
    }

    /// The first media section whose m-line begins with `kind`, in any case.
    pub fn media_of_kind_mut(&mut self, kind: &str) -> Option<&mut Media> {
        self.sections.iter_mut().find_map(|section| match section {
            Section::Media(media) if media.kind.eq_ignore_ascii_case(kind) => Some(media),
            _ => None,
        })
    }

    /// The section called `mid`.
    pub fn section(&self, mid: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.mid() == mid)
    }

    /// The first section that is not removed: it carries the transport of all (RFC 9143 §7.2).
    pub fn bundle_section(&self) -> Option<&Section> {
        self.sections.iter().find(|section| !section.is_removed())
    }

    /// The mid of [`Self::bundle_section`], to which candidates belong.
    pub fn bundle_mid(&self) -> Option<&str> {
        self.bundle_section().map(Section::mid)
    }

    /// The smallest non-negative number that is not the mid of a section.
    pub fn free_mid(&self) -> String {
        super::free_mid(self.sections.iter().map(Section::mid))
    }

    /// Adds a candidate; false when it is there already: one of the same foundation, host and
    /// port. Fails once there are [`MAX_CANDIDATES`].
    pub fn add_candidate(&mut self, candidate: Candidate) -> Result<bool> {
        if self.candidates.iter().any(|known| known.is_duplicate_of(&candidate)) {
            return Ok(false);
        }
        self.push_candidate(candidate)?;
        Ok(true)
    }

    /// Adds a candidate that is no duplicate.
    pub(super) fn push_candidate(&mut self, candidate: Candidate) -> Result<()> {
        if self.candidates.len() >= MAX_CANDIDATES {
            return Err(Error::invalid(format!(
                "Cannot add the candidate {candidate}: there are {MAX_CANDIDATES} already"
            )));
        }
        self.candidates.push(candidate);
        Ok(())
    }

    /// Checks that a description of the peer has what a connection needs: ICE credentials, a
    /// fingerprint, and a section that is active; and that an answer has chosen its DTLS role.
    pub fn validate_remote(&self) -> Result<()> {
        let missing = if self.ice_ufrag.is_none() {
            "it has no ICE user fragment"
        } else if self.ice_pwd.is_none() {
            "it has no ICE password"
        } else if self.fingerprint.is_none() {
            "it has no fingerprint of a hash function that is known"
        } else if self.sections.is_empty() {
            "it has no m-line"
        } else if !self.sections.iter().any(Section::is_active) {
            "all its m-lines are removed"
        } else if self.kind.is_answer() && self.setup == Setup::ActPass {
            "an answer must choose a DTLS role, but this one has setup:actpass"
        } else {
            return Ok(());
        };
        Err(Error::invalid(format!("Cannot use the remote description: {missing}")))
    }
}
