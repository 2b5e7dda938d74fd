//! What every m-section has.

use std::collections::{BTreeMap, HashSet};

use super::{Application, Direction, Media};

/// One m-section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// Data channels over SCTP (RFC 8841).
    Application(Application),
    /// Anything else: audio, video, or what we do not know.
    Media(Media),
}

impl Section {
    /// What all sections have.
    pub fn common(&self) -> &Common {
        match self {
            Self::Application(application) => &application.common,
            Self::Media(media) => &media.common,
        }
    }

    /// What all sections have, to be changed.
    pub fn common_mut(&mut self) -> &mut Common {
        match self {
            Self::Application(application) => &mut application.common,
            Self::Media(media) => &mut media.common,
        }
    }

    /// The media identification (RFC 9143 §2, RFC 5888 §4).
    pub fn mid(&self) -> &str {
        &self.common().mid
    }

    /// True when the section is rejected or was removed: port 0 without `a=bundle-only`.
    pub fn is_removed(&self) -> bool {
        self.common().removed
    }

    /// True when something may still flow in the section. A removed media section that is not
    /// marked `inactive` counts, since some implementations forget nothing but the port.
    pub fn is_active(&self) -> bool {
        match self {
            Self::Application(application) => !application.common.removed,
            Self::Media(media) => {
                !media.common.removed || media.common.direction != Direction::Inactive
            }
        }
    }

    /// The first word of the m-line.
    pub fn kind(&self) -> &str {
        match self {
            Self::Application(_) => "application",
            Self::Media(media) => &media.kind,
        }
    }

    /// Rejects or removes the section: its port becomes 0.
    pub fn remove(&mut self) {
        self.common_mut().remove();
        if let Self::Application(application) = self {
            application.common.direction = Direction::SendRecv;
        }
    }
}

/// What all sections have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// The media identification, a token without blanks.
    pub mid: String,
    /// Rejected or removed: port 0.
    pub removed: bool,
    /// Which way media flows.
    pub direction: Direction,
    /// RTP header extensions by their id.
    pub ext_maps: BTreeMap<u16, ExtMap>,
    /// Further attributes in order, without `a=`.
    pub attributes: Vec<String>,
}

impl Common {
    /// The values of the attributes called `name`, in order.
    pub fn attribute_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.attributes
            .iter()
            .filter_map(move |attribute| attribute.strip_prefix(name)?.strip_prefix(':'))
    }

    /// Rejects or removes the section.
    pub fn remove(&mut self) {
        self.removed = true;
        self.direction = Direction::Inactive;
    }

    /// The section seen from the other side: directions reversed, and of the attributes those that
    /// `keep`, given their names, lets pass.
    pub(super) fn reciprocate(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut ext_maps = self.ext_maps.clone();
        for ext_map in ext_maps.values_mut() {
            ext_map.direction = ext_map.direction.reversed();
        }
        let kept = |attribute: &&String| {
            keep(attribute.split_once(':').map_or(attribute.as_str(), |(name, _)| name))
        };
        Self {
            mid: self.mid.clone(),
            removed: self.removed,
            direction: self.direction.reversed(),
            ext_maps,
            attributes: self.attributes.iter().filter(kept).cloned().collect(),
        }
    }
}

/// `a=extmap` without its id (RFC 8285 §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtMap {
    /// Direction; [`Direction::Unknown`] when none is written.
    pub direction: Direction,
    /// What the extension is.
    pub uri: String,
    /// What follows the URI; mostly empty.
    pub parameters: String,
}

/// The smallest non-negative number that is not among `used` as a mid.
pub fn free_mid<'a>(used: impl IntoIterator<Item = &'a str>) -> String {
    let used: HashSet<&str> = used.into_iter().collect();
    // Among one more number than there are mids, one is free.
    (0..=used.len())
        .map(|number| number.to_string())
        .find(|mid| !used.contains(mid.as_str()))
        .unwrap_or_default()
}
