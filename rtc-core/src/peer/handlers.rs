//! The callbacks of a peer connection.

use std::sync::Arc;

use super::Peer;
use super::events::PeerEvent;
use super::interceptor::InterceptorHandler;
use crate::channel::{Channel, DataChannel, Track, news};
use crate::runtime::gate::{Pass, Slot};
use crate::runtime::lane::Bell;
use crate::sdp::DescriptionKind;
use crate::state::{ConnectionState, GatheringState, IceState, SignalingState};

const LOCAL_DESCRIPTION: Slot = Slot(0);
const LOCAL_CANDIDATE: Slot = Slot(1);
const CONNECTION: Slot = Slot(2);
const ICE: Slot = Slot(3);
const GATHERING: Slot = Slot(4);
const SIGNALING: Slot = Slot(5);
const DATA_CHANNEL: Slot = Slot(6);
const TRACK: Slot = Slot(7);
const INTERCEPTOR: Slot = Slot(8);

/// A callback for a local description: its text and kind.
pub type DescriptionHandler = Arc<dyn Fn(&Arc<Peer>, &str, DescriptionKind) + Send + Sync>;
/// A callback for a local candidate: its text and mid.
pub type CandidateHandler = Arc<dyn Fn(&Arc<Peer>, &str, &str) + Send + Sync>;
/// A callback for a state.
pub type StateHandler<S> = Arc<dyn Fn(&Arc<Peer>, S) + Send + Sync>;
/// A callback for a data channel that the peer created.
pub type ChannelHandler = Arc<dyn Fn(&Arc<Peer>, Arc<DataChannel>) + Send + Sync>;
/// A callback for a track that the peer added.
pub type TrackHandler = Arc<dyn Fn(&Arc<Peer>, Arc<Track>) + Send + Sync>;

#[derive(Default)]
pub(super) struct Handlers {
    local_description: Option<DescriptionHandler>,
    local_candidate: Option<CandidateHandler>,
    connection: Option<StateHandler<ConnectionState>>,
    ice: Option<StateHandler<IceState>>,
    gathering: Option<StateHandler<GatheringState>>,
    signaling: Option<StateHandler<SignalingState>>,
    data_channels: Arrivals<DataChannel>,
    tracks: Arrivals<Track>,
}

type ArrivalHandler<C> = Arc<dyn Fn(&Arc<Peer>, Arc<C>) + Send + Sync>;

/// What becomes of the channels of one kind that the peer makes.
struct Arrivals<C> {
    handler: Option<ArrivalHandler<C>>,
    /// Those that arrived while nobody listened: as many as the core lets in.
    unannounced: Vec<Arc<C>>,
}

impl<C> Default for Arrivals<C> {
    fn default() -> Self {
        Self { handler: None, unannounced: Vec::new() }
    }
}

/// Defines the setter of one handler: it replaces the handler, then waits until no other thread is
/// inside the old one.
macro_rules! setter {
    ($(#[$doc:meta])* $name:ident, $field:ident, $slot:expr, $handler:ty) => {
        $(#[$doc])*
        pub fn $name(&self, handler: Option<$handler>) {
            let old = std::mem::replace(&mut self.handlers.lock().$field, handler);
            self.gate.wait_idle($slot);
            drop(old);
        }
    };
}

impl Peer {
    setter!(
        /// Sets or clears the callback for local descriptions.
        on_local_description, local_description, LOCAL_DESCRIPTION, DescriptionHandler
    );
    setter!(
        /// Sets or clears the callback for local candidates.
        on_local_candidate, local_candidate, LOCAL_CANDIDATE, CandidateHandler
    );
    setter!(
        /// Sets or clears the callback for the connection's state.
        on_connection_state, connection, CONNECTION, StateHandler<ConnectionState>
    );
    setter!(
        /// Sets or clears the callback for the ICE state.
        on_ice_state, ice, ICE, StateHandler<IceState>
    );
    setter!(
        /// Sets or clears the callback for the gathering state.
        on_gathering_state, gathering, GATHERING, StateHandler<GatheringState>
    );
    setter!(
        /// Sets or clears the callback for the signaling state.
        on_signaling_state, signaling, SIGNALING, StateHandler<SignalingState>
    );

    /// Sets or clears the callback for data channels that the peer creates. Channels that arrived
    /// earlier are delivered soon after.
    pub fn on_data_channel(&self, handler: Option<ChannelHandler>) {
        self.on_arrival(DATA_CHANNEL, |handlers| &mut handlers.data_channels, handler);
    }

    /// Sets or clears the callback for tracks that the peer adds. It runs on the thread that sets
    /// the remote description, before our answer is made. Tracks that arrived earlier are delivered
    /// soon after.
    pub fn on_track(&self, handler: Option<TrackHandler>) {
        self.on_arrival(TRACK, |handlers| &mut handlers.tracks, handler);
    }

    fn on_arrival<C: Channel + Bell + 'static>(
        &self,
        slot: Slot,
        arrivals: fn(&mut Handlers) -> &mut Arrivals<C>,
        handler: Option<ArrivalHandler<C>>,
    ) {
        let (old, waiting) = {
            let mut handlers = self.handlers.lock();
            let arrivals = arrivals(&mut handlers);
            let waiting = match handler.is_some() {
                true => std::mem::take(&mut arrivals.unannounced),
                false => Vec::new(),
            };
            (std::mem::replace(&mut arrivals.handler, handler), waiting)
        };
        self.gate.wait_idle(slot);
        drop(old);
        for channel in waiting {
            channel.port().add_news(news::INCOMING);
            self.data.ring(channel);
        }
    }

    /// Hands a data channel of the peer's to the application, or keeps it until somebody listens.
    pub(crate) fn announce_channel(self: &Arc<Self>, channel: &Arc<DataChannel>) {
        let hand_over = |channel: &DataChannel| self.hand_over(channel);
        self.announce(DATA_CHANNEL, |handlers| &mut handlers.data_channels, channel, hand_over);
    }

    /// Hands a track of the peer's to the application, or keeps it until somebody listens.
    pub(crate) fn announce_track(self: &Arc<Self>, track: &Arc<Track>) {
        self.announce(TRACK, |handlers| &mut handlers.tracks, track, |_| {});
    }

    fn announce<C>(
        self: &Arc<Self>,
        slot: Slot,
        arrivals: fn(&mut Handlers) -> &mut Arrivals<C>,
        channel: &Arc<C>,
        hand_over: impl FnOnce(&C),
    ) {
        let Some(_pass) = self.gate.enter(slot) else { return };
        let handler = {
            let mut handlers = self.handlers.lock();
            let arrivals = arrivals(&mut handlers);
            if arrivals.handler.is_none() {
                arrivals.unannounced.push(channel.clone());
            }
            arrivals.handler.clone()
        };
        if let Some(handler) = handler {
            hand_over(channel);
            handler(self, channel.clone());
        }
    }

    /// Has the data lane tell the application what is new of a channel.
    pub(crate) fn ring(&self, channel: Arc<dyn Bell>) {
        self.data.ring(channel);
    }

    /// Sets or clears the callback that sees every incoming RTP and RTCP packet before the tracks
    /// do, and decides what becomes of it.
    pub fn on_media(&self, handler: Option<InterceptorHandler>) {
        let old = self.core.lock().interceptor().set(handler);
        self.gate.wait_idle(INTERCEPTOR);
        drop(old);
    }

    pub(super) fn enter_interceptor(&self) -> Option<Pass<'_>> {
        self.gate.enter(INTERCEPTOR)
    }

    pub(super) fn clear_handlers(&self) {
        let interceptor = self.core.lock().interceptor().set(None);
        drop(interceptor);
        let handlers = std::mem::take(&mut *self.handlers.lock());
        // What handlers captured is dropped without the lock: it may be anything.
        drop(handlers);
    }

    /// Runs the handler of an event.
    pub(super) fn deliver(self: &Arc<Self>, event: PeerEvent) {
        let Some(_pass) = self.gate.enter(slot_of(&event)) else { return };
        // The handler is cloned out so that it runs without the lock.
        match event {
            PeerEvent::LocalDescription(sdp, kind) => {
                let handler = self.handlers.lock().local_description.clone();
                if let Some(handler) = handler {
                    handler(self, &sdp, kind);
                }
            }
            PeerEvent::LocalCandidate(text, mid) => {
                let handler = self.handlers.lock().local_candidate.clone();
                if let Some(handler) = handler {
                    handler(self, &text, &mid);
                }
            }
            PeerEvent::Connection(state) => {
                let handler = self.handlers.lock().connection.clone();
                call(self, handler, state);
                if state == ConnectionState::Closed {
                    // Nothing follows; handlers often hold what holds this connection.
                    self.clear_handlers();
                }
            }
            PeerEvent::Ice(state) => {
                let handler = self.handlers.lock().ice.clone();
                call(self, handler, state);
            }
            PeerEvent::Gathering(state) => {
                let handler = self.handlers.lock().gathering.clone();
                call(self, handler, state);
            }
            PeerEvent::Signaling(state) => {
                let handler = self.handlers.lock().signaling.clone();
                call(self, handler, state);
            }
        }
    }
}

fn call<S>(peer: &Arc<Peer>, handler: Option<StateHandler<S>>, state: S) {
    if let Some(handler) = handler {
        handler(peer, state);
    }
}

fn slot_of(event: &PeerEvent) -> Slot {
    match event {
        PeerEvent::LocalDescription(..) => LOCAL_DESCRIPTION,
        PeerEvent::LocalCandidate(..) => LOCAL_CANDIDATE,
        PeerEvent::Connection(_) => CONNECTION,
        PeerEvent::Ice(_) => ICE,
        PeerEvent::Gathering(_) => GATHERING,
        PeerEvent::Signaling(_) => SIGNALING,
    }
}
