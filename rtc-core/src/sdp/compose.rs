//! Local descriptions (RFC 8829 §5.2, §5.3).

use std::collections::HashSet;

use super::{
    Application, DEFAULT_SCTP_PORT, Description, DescriptionKind, Fingerprint, Media, Origin,
    Section, Setup, free_mid,
};
use crate::backend::ice::IceParameters;
use crate::candidate::Candidate;

/// What a local description is made of.
#[derive(Clone, Debug)]
pub struct Ingredients<'a> {
    /// [`DescriptionKind::Offer`], or one of the answers.
    pub kind: DescriptionKind,
    /// The remote description in force: for an answer, the offer.
    pub remote: Option<&'a Description>,
    /// The local description in force, whose session goes on.
    pub previous: Option<&'a Description>,
    /// The sections of our tracks in the order in which they were made. A closed track is marked
    /// as removed; a destroyed one may be missing.
    pub tracks: &'a [&'a Media],
    /// There is a data channel.
    pub has_data_channel: bool,
    /// Our ICE credentials and options.
    pub ice: &'a IceParameters,
    /// Our certificate's.
    pub fingerprint: &'a Fingerprint,
    /// Our DTLS role.
    pub setup: Setup,
    /// The largest message that we take, in bytes; 0 is no limit.
    pub max_message_size: u64,
    /// Our INIT chunk in base64. Every offer has it; an answer has it where the offer has the
    /// peer's, and then both do without the SCTP handshake (draft-hancke-tsvwg-snap).
    pub sctp_init: Option<&'a str>,
    /// A random number for the case that there is no previous description.
    pub session_id: u64,
    /// Our candidates so far.
    pub candidates: &'a [Candidate],
    /// No further candidates will follow.
    pub end_of_candidates: bool,
}

/// Makes a local description.
///
/// It repeats the sections of the remote description in their order; an offer then adds the tracks
/// that are not among them and, if there is a data channel, its section. A description without
/// sections results when there is nothing to negotiate.
///
/// The session id of the previous description is kept and its version increased.
pub fn compose(ingredients: &Ingredients<'_>) -> Description {
    let mut sections = Composer { ingredients, sections: Vec::new(), mids: HashSet::new() };
    if let Some(remote) = ingredients.remote {
        sections.mirror(remote);
    }
    if ingredients.kind == DescriptionKind::Offer {
        sections.extend();
    }
    let Ingredients { ice, previous, .. } = ingredients;
    Description {
        kind: ingredients.kind,
        origin: match previous {
            Some(previous) => Origin {
                version: previous.origin.version.saturating_add(1),
                ..previous.origin.clone()
            },
            None => Origin { id: ingredients.session_id, ..Origin::default() },
        },
        ice_ufrag: Some(ice.ufrag.clone()),
        ice_pwd: Some(ice.pwd.clone()),
        ice_options: ice.options.clone(),
        ice_lite: ice.lite,
        fingerprint: Some(ingredients.fingerprint.clone()),
        setup: ingredients.setup,
        session_attributes: Vec::new(),
        sections: sections.sections,
        candidates: ingredients.candidates.to_vec(),
        end_of_candidates: ingredients.end_of_candidates,
    }
}

struct Composer<'a> {
    ingredients: &'a Ingredients<'a>,
    sections: Vec<Section>,
    mids: HashSet<&'a str>,
}

impl<'a> Composer<'a> {
    /// One section for each section of the peer, so that both descriptions keep the same number
    /// in the same order.
    fn mirror(&mut self, remote: &'a Description) {
        let used = remote.application().map(std::ptr::from_ref);
        for section in &remote.sections {
            // A second section for the same is rejected; its place in the order remains.
            let is_first = self.mids.insert(section.mid());
            let mut own = match section {
                Section::Application(application) => {
                    let is_used = used == Some(std::ptr::from_ref(application));
                    let mut own = Section::Application(self.application(application));
                    if !is_used {
                        own.remove();
                    }
                    own
                }
                Section::Media(media) if is_first => Section::Media(self.media(media)),
                Section::Media(media) => Section::Media(media.reciprocate()),
            };
            if !is_first {
                own.remove();
            }
            self.sections.push(own);
        }
    }

    fn application(&self, remote: &Application) -> Application {
        let is_offer = self.ingredients.kind == DescriptionKind::Offer;
        let mut own = remote.reciprocate(self.ingredients.max_message_size);
        if is_offer {
            // We go on with our own port, which the peer's answer need not have repeated, and may
            // take a rejected section into use again.
            if let Some(port) = self.previous_sctp_port(&remote.common.mid) {
                own.sctp_port = Some(port);
            }
            own.common.removed &= !self.ingredients.has_data_channel;
        }
        if is_offer || remote.sctp_init().is_some() {
            self.add_sctp_init(&mut own);
        }
        own
    }

    /// A section in the old syntax, or one that is rejected, cannot carry it.
    fn add_sctp_init(&self, own: &mut Application) {
        if let Some(init) = self.ingredients.sctp_init
            && !own.common.removed
            && !own.is_legacy()
        {
            own.common.attributes.push(format!("sctp-init:{init}"));
        }
    }

    fn previous_sctp_port(&self, mid: &str) -> Option<u16> {
        match self.ingredients.previous?.section(mid)? {
            Section::Application(own) => Some(own.effective_sctp_port()),
            Section::Media(_) => None,
        }
    }

    fn media(&self, remote: &Media) -> Media {
        let is_offer = self.ingredients.kind == DescriptionKind::Offer;
        let is_its_own =
            |track: &&&Media| track.common.mid == remote.common.mid && track.kind == remote.kind;
        let Some(track) = self.ingredients.tracks.iter().find(is_its_own) else {
            let mut gone = remote.reciprocate();
            gone.common.remove();
            return gone;
        };
        let mut own = Media::clone(track);
        own.protocol.clone_from(&remote.protocol);
        if !is_offer {
            // An answer takes from the offer at most what is there (RFC 3264 §6.1).
            let offered = remote.common.direction.reversed();
            own.common.direction = own.common.direction.limited_to(offered);
            if remote.common.removed {
                own.common.remove();
            }
        }
        if own.common.removed {
            own.common.remove();
        }
        own
    }

    /// Adds what the peer does not know yet.
    fn extend(&mut self) {
        for track in self.ingredients.tracks {
            if !track.common.removed && self.mids.insert(&track.common.mid) {
                self.sections.push(Section::Media(Media::clone(track)));
            }
        }
        let has_application =
            self.sections.iter().any(|section| matches!(section, Section::Application(_)));
        if self.ingredients.has_data_channel && !has_application {
            let mid = self.application_mid();
            let limit = self.ingredients.max_message_size;
            let mut own = Application::new(mid, DEFAULT_SCTP_PORT, limit);
            self.add_sctp_init(&mut own);
            self.sections.push(Section::Application(own));
        }
    }

    /// The mid that our section of data channels has had, or a free one.
    fn application_mid(&self) -> String {
        let previous = self.ingredients.previous.and_then(Description::application);
        match previous {
            Some(own) if !self.mids.contains(own.common.mid.as_str()) => own.common.mid.clone(),
            _ => free_mid(self.mids.iter().copied()),
        }
    }
}
