//! The words of which a description knows a closed set.

use std::fmt;

/// What a description is for (RFC 8829 §4.1.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DescriptionKind {
    /// Left to the signalling state: whatever fits it.
    #[default]
    Unspec,
    /// Proposes.
    Offer,
    /// Accepts for good.
    Answer,
    /// Accepts provisionally.
    Pranswer,
    /// Takes the last offer back; has no description.
    Rollback,
}

impl DescriptionKind {
    /// The kind named by `text`, in exactly these lower-case words; nothing and anything else is
    /// [`Self::Unspec`].
    pub fn from_text(text: Option<&str>) -> Self {
        match text {
            Some("offer") => Self::Offer,
            Some("answer") => Self::Answer,
            Some("pranswer") => Self::Pranswer,
            Some("rollback") => Self::Rollback,
            _ => Self::Unspec,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspec => "unspec",
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Pranswer => "pranswer",
            Self::Rollback => "rollback",
        }
    }

    /// True for answers, final or provisional.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Answer | Self::Pranswer)
    }
}

impl fmt::Display for DescriptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `a=setup`: who sends the DTLS ClientHello (RFC 8842 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Either: the answerer chooses.
    #[default]
    ActPass,
    /// The sender of this description.
    Active,
    /// The receiver of this description.
    Passive,
}

impl Setup {
    /// The role named by `text`; `holdconn` and anything unknown is [`Self::ActPass`].
    pub fn from_text(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            "passive" => Self::Passive,
            _ => Self::ActPass,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Direction of media, seen from the sender of the description (RFC 8866 §6.7). The numbers are
/// those of `rtcDirection`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Not written, which a receiver reads as `sendrecv`.
    #[default]
    Unknown = 0,
    /// `sendonly`
    SendOnly = 1,
    /// `recvonly`
    RecvOnly = 2,
    /// `sendrecv`
    SendRecv = 3,
    /// `inactive`
    Inactive = 4,
}

impl Direction {
    /// The direction named by `text`.
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "sendrecv" => Some(Self::SendRecv),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// The word for it; `None` for [`Self::Unknown`].
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::SendOnly => Some("sendonly"),
            Self::RecvOnly => Some("recvonly"),
            Self::SendRecv => Some("sendrecv"),
            Self::Inactive => Some("inactive"),
        }
    }

    /// The same direction seen from the other side.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            same => same,
        }
    }

    /// What is left of this direction when only `allowed` may be used. Unless something is taken
    /// away it stays as it is written.
    #[must_use]
    pub fn limited_to(self, allowed: Self) -> Self {
        let sends = self.sends() && allowed.sends();
        let receives = self.receives() && allowed.receives();
        if sends == self.sends() && receives == self.receives() {
            return self;
        }
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// True when the sender of the description sends media.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendOnly | Self::SendRecv | Self::Unknown)
    }

    /// True when the sender of the description receives media.
    pub fn receives(self) -> bool {
        matches!(self, Self::RecvOnly | Self::SendRecv | Self::Unknown)
    }
}
