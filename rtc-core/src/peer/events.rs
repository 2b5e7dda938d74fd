//! What the peer core asks its shell to carry out.

use std::sync::Arc;

use crate::backend::ice::IceParameters;
use crate::candidate::Candidate;
use crate::runtime::lane::Bell;
use crate::sdp::DescriptionKind;
use crate::state::{ConnectionState, GatheringState, IceState, SignalingState};

/// Something that the application may be told, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerEvent {
    /// A local description to send to the peer.
    LocalDescription(String, DescriptionKind),
    /// A local candidate and its mid to send to the peer.
    LocalCandidate(String, String),
    /// The connection's state changed.
    Connection(ConnectionState),
    /// The ICE state changed.
    Ice(IceState),
    /// The gathering state changed.
    Gathering(GatheringState),
    /// The signaling state changed.
    Signaling(SignalingState),
}

/// Something to do with the ICE transport, outside of the core's lock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum IceCommand {
    SetRemote(IceParameters),
    AddCandidate(Candidate),
    EndOfCandidates,
}

/// News for the application.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) events: Vec<PeerEvent>,
    pub(crate) bells: Vec<Arc<dyn Bell>>,
}

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.bells.is_empty()
    }
}
