//! What libnice tells, turned into events for the host.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rtc_core::backend::{Delivery, IceEvent};
use rtc_core::candidate::{Candidate, CandidateKind};
use rtc_core::state::IceState;

use crate::connectivity::{Connectivity, Progress};

/// Called by libnice on its own thread, and on any that calls one of its functions. It only
/// enqueues.
#[derive(Debug)]
pub(crate) struct Listener {
    delivery: Arc<Delivery>,
    relay_only: bool,
    connectivity: Mutex<Connectivity>,
    connected: AtomicBool,
    selected: Mutex<Option<(Candidate, Candidate)>>,
    /// What came of gathering so far, while the call that began it lasts.
    held: Mutex<Option<Vec<IceEvent>>>,
}

impl Listener {
    pub(crate) fn new(delivery: Arc<Delivery>, relay_only: bool) -> Self {
        Self {
            delivery,
            relay_only,
            connectivity: Mutex::default(),
            connected: AtomicBool::new(false),
            selected: Mutex::new(None),
            held: Mutex::new(None),
        }
    }

    pub(crate) fn progress(&self, progress: Progress) {
        let news = self.connectivity.lock().progress(progress);
        self.tell(news);
    }

    pub(crate) fn candidate(&self, candidate: Candidate) {
        let unwanted = self.relay_only && candidate.kind != CandidateKind::Relayed;
        if !unwanted && !is_link_local(&candidate) {
            self.push(IceEvent::Candidate(candidate));
        }
    }

    /// True if patience is to begin.
    pub(crate) fn gathered(&self) -> bool {
        self.push(IceEvent::GatheringDone);
        self.connectivity.lock().gathered()
    }

    /// True if patience is to begin.
    pub(crate) fn remote_set(&self) -> bool {
        self.connectivity.lock().remote_set()
    }

    /// ICE begins anew, over the sockets it has.
    pub(crate) fn restarted(&self) {
        let news = {
            let mut connectivity = self.connectivity.lock();
            *connectivity = Connectivity::default();
            connectivity.progress(Progress::Connecting)
        };
        self.tell(news);
    }

    pub(crate) fn patience_over(&self) {
        let news = self.connectivity.lock().patience_over();
        self.tell(news);
    }

    pub(crate) fn selected(&self, local: Candidate, remote: Candidate) {
        *self.selected.lock() = Some((local, remote));
        self.delivery.event(IceEvent::SelectedPair);
    }

    pub(crate) fn received(&self, datagram: &[u8]) {
        self.delivery.datagram(datagram);
    }

    fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
    }

    /// Whether data can be sent.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn selected_pair(&self) -> Option<(Candidate, Candidate)> {
        self.selected.lock().clone()
    }

    /// Keeps what comes of gathering until [`Self::release`].
    pub(crate) fn hold(&self) {
        *self.held.lock() = Some(Vec::new());
    }

    /// Passes on what was kept, the best candidates first.
    pub(crate) fn release(&self) {
        let mut held = self.held.lock();
        let mut events = held.take().unwrap_or_default();
        events.sort_by_key(|event| match event {
            IceEvent::Candidate(candidate) => Reverse(Some(candidate.priority)),
            _ => Reverse(None),
        });
        // Still locked, so that nothing overtakes them.
        for event in events {
            self.delivery.event(event);
        }
    }

    fn push(&self, event: IceEvent) {
        match &mut *self.held.lock() {
            Some(held) => held.push(event),
            None => self.delivery.event(event),
        }
    }

    fn tell(&self, news: Option<IceState>) {
        if let Some(state) = news {
            match state {
                IceState::Connected | IceState::Completed => self.set_connected(true),
                IceState::Failed => self.set_connected(false),
                // After a restart the old path serves until there is a new one.
                _ => {}
            }
            self.delivery.event(IceEvent::State(state));
        }
    }
}

/// Nobody can use such an address without knowing our interface.
fn is_link_local(candidate: &Candidate) -> bool {
    match candidate.host.parse() {
        Ok(IpAddr::V6(ip)) => ip.is_unicast_link_local(),
        Ok(IpAddr::V4(ip)) => ip.is_link_local(),
        Err(_) => candidate.host.starts_with("fe80:"),
    }
}
