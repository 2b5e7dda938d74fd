//! What libnice says of its progress, as states of ICE.
//!
//! libnice gives up when all pairs it knows have failed, though the peer may still have candidates
//! to tell. So its giving up counts only once the time is over that RFC 8863 grants.

use rtc_core::state::IceState;

/// What a component can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Connecting,
    Connected,
    Ready,
    Failed,
}

/// Where one component stands.
#[derive(Debug, Default)]
pub(crate) struct Connectivity {
    gathered: bool,
    has_remote: bool,
    patience_begun: bool,
    patience_over: bool,
    was_connected: bool,
    told: Option<IceState>,
}

impl Connectivity {
    /// libnice tells of progress; returns the state if that is news.
    pub(crate) fn progress(&mut self, progress: Progress) -> Option<IceState> {
        let state = match progress {
            Progress::Connecting => IceState::Checking,
            Progress::Connected => IceState::Connected,
            Progress::Ready => IceState::Completed,
            Progress::Failed if self.was_connected || self.patience_over => IceState::Failed,
            Progress::Failed => return None,
        };
        self.was_connected |= matches!(state, IceState::Connected | IceState::Completed);
        self.tell(state)
    }

    /// All local candidates are known; true if patience is to begin.
    pub(crate) fn gathered(&mut self) -> bool {
        self.gathered = true;
        self.begins_patience()
    }

    /// The peer's credentials are known; true if patience is to begin.
    pub(crate) fn remote_set(&mut self) -> bool {
        self.has_remote = true;
        self.begins_patience()
    }

    /// The time to get connected is over; returns the state if that is news.
    pub(crate) fn patience_over(&mut self) -> Option<IceState> {
        self.patience_over = true;
        if self.was_connected { None } else { self.tell(IceState::Failed) }
    }

    fn is_connected(&self) -> bool {
        matches!(self.told, Some(IceState::Connected | IceState::Completed))
    }

    fn begins_patience(&mut self) -> bool {
        self.gathered && self.has_remote && !std::mem::replace(&mut self.patience_begun, true)
    }

    fn tell(&mut self, state: IceState) -> Option<IceState> {
        // Further checks of what is connected are no news.
        let falls_back = state == IceState::Checking && self.is_connected();
        if falls_back || self.told == Some(IceState::Failed) || self.told == Some(state) {
            return None;
        }
        self.told = Some(state);
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_early_is_not_believed() {
        let mut connectivity = Connectivity::default();
        assert!(!connectivity.gathered());
        assert!(connectivity.remote_set());
        assert!(!connectivity.remote_set(), "it has begun");
        assert_eq!(connectivity.progress(Progress::Connecting), Some(IceState::Checking));
        assert_eq!(connectivity.progress(Progress::Failed), None);
        assert_eq!(connectivity.progress(Progress::Connecting), None);
        assert_eq!(connectivity.progress(Progress::Connected), Some(IceState::Connected));
        assert!(connectivity.is_connected());
        assert_eq!(connectivity.progress(Progress::Connecting), None);
        assert_eq!(connectivity.progress(Progress::Ready), Some(IceState::Completed));
        assert_eq!(connectivity.patience_over(), None);
        assert_eq!(connectivity.progress(Progress::Failed), Some(IceState::Failed));
        assert!(!connectivity.is_connected());
        assert_eq!(connectivity.progress(Progress::Connected), None, "failed for good");
    }

    #[test]
    fn patience_ends() {
        let mut silent = Connectivity::default();
        assert!(!silent.remote_set());
        assert!(silent.gathered());
        assert_eq!(silent.patience_over(), Some(IceState::Failed));

        let mut late = Connectivity::default();
        late.progress(Progress::Connecting);
        late.progress(Progress::Failed);
        assert_eq!(late.patience_over(), Some(IceState::Failed));
        assert_eq!(late.progress(Progress::Failed), None);
    }
}
