//! The states that a connection reports.

/// State of a peer connection as a whole; the numbers are those of `rtcState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Nothing has happened yet.
    New = 0,
    /// ICE has begun.
    Connecting = 1,
    /// Data (or, without data, media) can flow.
    Connected = 2,
    /// The remote peer has ended the connection.
    Disconnected = 3,
    /// ICE, DTLS or SCTP has failed.
    Failed = 4,
    /// Closed for good.
    Closed = 5,
}

/// State of ICE; the numbers are those of `rtcIceState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IceState {
    /// Nothing has happened yet.
    New = 0,
    /// Connectivity checks are under way.
    Checking = 1,
    /// A usable pair exists.
    Connected = 2,
    /// A pair has been nominated and no better one is sought.
    Completed = 3,
    /// No pair works, or consent was lost for good.
    Failed = 4,
    /// The pair in use does not answer at present.
    Disconnected = 5,
    /// Closed for good.
    Closed = 6,
}

/// State of candidate gathering; the numbers are those of `rtcGatheringState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatheringState {
    /// Not begun.
    New = 0,
    /// Candidates are being gathered.
    InProgress = 1,
    /// No more candidates will follow.
    Complete = 2,
}

/// State of the offer/answer exchange; the numbers are those of `rtcSignalingState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignalingState {
    /// No exchange is under way.
    Stable = 0,
    /// A local offer waits for its answer.
    HaveLocalOffer = 1,
    /// A remote offer waits for its answer.
    HaveRemoteOffer = 2,
    /// A provisional local answer was given.
    HaveLocalPranswer = 3,
    /// A provisional remote answer was received.
    HaveRemotePranswer = 4,
}
