//! A peer connection: the sans-IO core behind one lock, and the shell that carries out what it
//! wants.
//!
//! Locks, outermost first: `negotiation` (one description at a time), `core`, a channel's state.
//! User code, backends and system calls are never entered with `core` held.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use log::Level;
use parking_lot::{Mutex, MutexGuard};
use rtc_media::Request;

pub use crate::association::AssociationMetrics;
use crate::backend::IceCredentials;
use crate::backend::dtls::{Certificate, CertificateKind, DtlsBackend};
use crate::backend::ice::{IceBackend, IceConfig, IceHost, IceRole, IceTransport};
use crate::backend::support;
use crate::backend::tls::TlsBackend;
use crate::candidate::{Candidate, is_end_of_candidates};
use crate::channel::{Channel as _, DataChannel, Message, Track};
use crate::config::{Configuration, DataChannelInit};
use crate::engine::{Activity, Engine};
use crate::error::{Error, Result};
use crate::notes::{Hush, note};
use crate::runtime::gate::Gate;
use crate::runtime::lane::Lane;
use crate::sdp::{Description, DescriptionKind, Media};
use crate::state::{ConnectionState, GatheringState, IceState, SignalingState};

mod authentication;
mod channels;
mod core;
mod driver;
mod events;
mod handlers;
mod intake;
mod interceptor;
mod media;
mod negotiation;
mod restart;
mod routes;
mod stream_queue;
#[cfg(test)]
mod tests;
mod tracks;
mod transport;

use self::core::PeerCore;
use driver::PeerSink;
pub use events::PeerEvent;
use handlers::Handlers;
pub use handlers::{
    CandidateHandler, ChannelHandler, DescriptionHandler, StateHandler, TrackHandler,
};
pub use interceptor::{InterceptorHandler, Verdict};
pub use transport::TransportMetrics;
use transport::Urgency;

/// The backends of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Backends {
    /// Finds the path.
    pub ice: &'static dyn IceBackend,
    /// Protects it.
    pub dtls: &'static dyn DtlsBackend,
    /// Protects the way to TURN servers over TLS, which are not used without it.
    pub tls: Option<&'static dyn TlsBackend>,
}

/// One peer connection.
pub struct Peer {
    me: Weak<Peer>,
    engine: Arc<Engine>,
    backends: Backends,
    config: Arc<Configuration>,
    certificate: OnceLock<Result<Certificate, String>>,
    negotiation: Mutex<()>,
    core: Mutex<PeerCore>,
    ice: OnceLock<Arc<dyn IceTransport>>,
    driver: Mutex<driver::DriverState>,
    signalling: Arc<Lane>,
    data: Arc<Lane>,
    handlers: Mutex<Handlers>,
    gate: Gate,
}

impl Peer {
    /// Makes a connection. Nothing is opened or sent before a description is set.
    pub fn new(
        engine: Arc<Engine>,
        backends: Backends,
        mut config: Configuration,
        seed: [u8; 32],
    ) -> Result<Arc<Self>> {
        config.validate()?;
        config.max_mtu = supported_max_mtu(&backends, config.max_mtu);
        let config = Arc::new(config);
        let peer = Arc::new_cyclic(|me: &Weak<Peer>| Self {
            me: me.clone(),
            backends,
            certificate: OnceLock::new(),
            negotiation: Mutex::new(()),
            core: Mutex::new(PeerCore::new(me.clone(), config.clone(), backends.dtls, seed)),
            ice: OnceLock::new(),
            driver: Mutex::default(),
            signalling: Lane::new(engine.pool()),
            data: Lane::new(engine.pool()),
            handlers: Mutex::default(),
            gate: Gate::new(),
            config,
            engine,
        });
        // RSA keys take long to make: begin now, without keeping the caller waiting.
        if peer.config.certificate == CertificateKind::Rsa {
            let peer = peer.clone();
            peer.engine.runtime().clone().spawn_blocking(Box::new(move || {
                // A failure is kept, and reported to whoever needs the certificate.
                let _ = peer.certificate();
            }));
        }
        Ok(peer)
    }

    // Queries.

    /// The state of the connection.
    pub fn connection_state(&self) -> ConnectionState {
        self.core.lock().connection()
    }

    /// The state of ICE.
    pub fn ice_state(&self) -> IceState {
        self.core.lock().ice_state()
    }

    /// The state of candidate gathering.
    pub fn gathering_state(&self) -> GatheringState {
        self.core.lock().gathering_state()
    }

    /// The state of the offer/answer exchange.
    pub fn signaling_state(&self) -> SignalingState {
        self.core.lock().signaling_state()
    }

    /// The local description in force or pending, with the candidates gathered so far.
    pub fn local_description(&self) -> Option<Description> {
        self.core.lock().local_description().cloned()
    }

    /// The remote description in force or pending, with the candidates added so far.
    pub fn remote_description(&self) -> Option<Description> {
        self.core.lock().remote_description().cloned()
    }

    /// Candidates of the pair in use: local, remote.
    pub fn selected_candidate_pair(&self) -> Option<(Candidate, Candidate)> {
        if self.core.lock().is_closed() {
            return None;
        }
        self.ice.get()?.selected_pair()
    }

    /// True when something was added that the peer has not been told of.
    pub fn is_negotiation_needed(&self) -> bool {
        self.core.lock().is_negotiation_needed()
    }

    /// Highest stream a data channel can have here.
    pub fn max_data_channel_stream(&self) -> u16 {
        self.core.lock().max_stream()
    }

    /// Largest message that can be sent, in bytes.
    pub fn remote_max_message_size(&self) -> usize {
        self.core.lock().remote_max_message_size()
    }

    /// Figures of the SCTP association; `None` before there is one. What an ended one counted last
    /// stays.
    pub fn association_metrics(&self) -> Option<AssociationMetrics> {
        self.core.lock().association_metrics()
    }

    /// Figures of what carries the association and media.
    pub fn transport_metrics(&self) -> TransportMetrics {
        self.core.lock().transport_metrics()
    }

    /// Payload of a stream that SCTP has taken from its channel, and that is neither acknowledged
    /// nor given up, in bytes.
    pub(crate) fn stream_queued(&self, stream: u16) -> usize {
        self.core.lock().stream_queued(stream)
    }

    /// The backends in use.
    pub fn backends(&self) -> Backends {
        self.backends
    }

    // Negotiation.

    /// Waits for the description that is being made or set elsewhere. What is logged meanwhile is
    /// written when the turn ends.
    fn take_turn(&self) -> Turn<'_> {
        Turn { _lock: self.negotiation.lock(), _hush: Hush::new() }
    }

    /// Makes and sets the local description; `Unspec` makes an answer to a pending remote offer
    /// and otherwise an offer.
    pub fn set_local_description(&self, kind: DescriptionKind) -> Result<()> {
        self.describe(kind, None)
    }

    /// The same with ICE credentials that the application chose, which our first description alone
    /// can settle.
    pub fn set_local_description_with(
        &self,
        kind: DescriptionKind,
        credentials: &IceCredentials,
    ) -> Result<()> {
        self.describe(kind, Some(credentials))
    }

    fn describe(&self, kind: DescriptionKind, credentials: Option<&IceCredentials>) -> Result<()> {
        let _turn = self.take_turn();
        self.set_local(kind, credentials)?;
        self.negotiate_if_needed()?;
        self.gather_if_wanted()
    }

    /// Sets the remote description. With automatic negotiation an offer is answered at once.
    pub fn set_remote_description(&self, sdp: &str, kind: DescriptionKind) -> Result<()> {
        let description = match kind {
            // What stands in a rolled-back description does not matter.
            DescriptionKind::Rollback => Description { kind, ..Description::default() },
            _ => Description::parse(sdp, kind)?,
        };
        let turn = self.take_turn();
        if kind != DescriptionKind::Rollback {
            description.validate_remote()?;
            if self.core.lock().is_ending() {
                return Ok(());
            }
            self.open_ice(match description.ice_lite {
                true => IceRole::Controlling,
                false => IceRole::Controlled,
            })?;
        }
        let restarts = self.core.lock().is_restarted_by(&description)?;
        if restarts {
            self.renew_credentials()?;
        }
        let (offered, tracks) = self.with_core(|core, now| {
            let offered = core.set_remote_description(now, description)?;
            Ok::<_, Error>((offered, core.take_incoming_tracks()))
        })?;
        drop(turn);
        // Now, without a lock: the application may describe the tracks anew before they are
        // answered, or negotiate itself.
        if let Some(me) = self.me.upgrade() {
            for track in &tracks {
                me.announce_track(track);
            }
        }
        let _turn = self.take_turn();
        if offered && !self.config.disable_auto_negotiation && self.is_offered() {
            self.set_local(DescriptionKind::Answer, None)?;
            self.gather_if_wanted()?;
        }
        self.negotiate_if_needed()
    }

    /// True while an offer of the peer waits for our answer.
    fn is_offered(&self) -> bool {
        self.core.lock().signaling_state() == SignalingState::HaveRemoteOffer
    }

    /// Adds a candidate of the peer. An empty text, or `end-of-candidates`, says that there are no
    /// more.
    pub fn add_remote_candidate(&self, text: &str) -> Result<()> {
        if is_end_of_candidates(text) {
            return self.with_core(|core, _| core.end_of_remote_candidates());
        }
        let candidate = Candidate::parse(text)?;
        self.with_core(|core, _| core.add_remote_candidate(candidate))
    }

    /// The offer that [`Self::set_local_description`] would set.
    pub fn create_offer(&self) -> Result<Description> {
        self.create_description(DescriptionKind::Offer)
    }

    /// The answer that [`Self::set_local_description`] would set.
    pub fn create_answer(&self) -> Result<Description> {
        self.create_description(DescriptionKind::Answer)
    }

    fn create_description(&self, kind: DescriptionKind) -> Result<Description> {
        let _turn = self.take_turn();
        self.core.lock().require_alive("create a description")?;
        self.open_ice(IceRole::Controlling)?;
        self.core.lock().compose(kind)
    }

    fn set_local(&self, kind: DescriptionKind, credentials: Option<&IceCredentials>) -> Result<()> {
        if self.core.lock().is_ending() {
            return Ok(());
        }
        // A statement of its own: the lock must be free when ICE opens.
        let role = match self.core.lock().remote_description() {
            Some(_) => IceRole::Controlled,
            None => IceRole::Controlling,
        };
        self.open_ice(role)?;
        if let Some(credentials) = credentials {
            self.use_credentials(kind, credentials)?;
        }
        self.with_core(|core, now| core.set_local_description(now, kind))
    }

    /// Has our side of ICE use credentials that the application chose, if a description of `kind`
    /// can be set now.
    fn use_credentials(&self, kind: DescriptionKind, credentials: &IceCredentials) -> Result<()> {
        let Some(ice) = self.ice.get() else { return Ok(()) };
        let is_known = {
            let core = self.core.lock();
            if !core.may_set_local(kind)? {
                return Ok(());
            }
            core.local_description().is_some()
        };
        let ours = ice.local_parameters();
        if (&*ours.ufrag, &*ours.pwd) == (credentials.ufrag(), credentials.pwd()) {
            return Ok(());
        }
        if is_known {
            return Err(Error::invalid("the ICE credentials of a description in force stay"));
        }
        ice.set_local_credentials(credentials)?;
        self.core.lock().set_local_ice(ice.local_parameters());
        Ok(())
    }

    /// Restarts ICE (RFC 8445 §9): makes an offer with new credentials, and finds a path anew while
    /// data goes on over the old one, if there still is one.
    pub fn restart_ice(&self) -> Result<()> {
        let _turn = self.take_turn();
        self.core.lock().require_restartable()?;
        self.renew_credentials()?;
        self.set_local(DescriptionKind::Offer, None)
    }

    /// For how long a connection that ICE has failed for waits for a restart of it, of ours or of
    /// the peer's. Without this it is closed at once. To be called before it connects: its
    /// association needs to know.
    pub fn set_ice_recovery(&self, time: Duration) {
        self.with_core(|core, _| core.restart.patience = time);
    }

    /// Probes the path for IP packets of up to `bytes`, at most
    /// [`MAX_MTU`](crate::config::MAX_MTU) (RFC 8899). To be called before it connects; later calls
    /// have no effect.
    pub fn set_max_mtu(&self, bytes: usize) -> Result<()> {
        Configuration { max_mtu: bytes, ..Configuration::clone(&self.config) }.validate()?;
        let max_mtu = supported_max_mtu(&self.backends, bytes);
        self.with_core(|core, _| core.set_max_mtu(max_mtu));
        Ok(())
    }

    /// Begins the restart of the ICE transport, which gathers by itself from then on.
    fn renew_credentials(&self) -> Result<()> {
        let Some(ice) = self.ice.get() else {
            return Err(Error::failure("cannot restart ICE before it has begun"));
        };
        if !self.backends.ice.capabilities().restart {
            let why = format!("the ICE backend {} cannot restart", self.backends.ice.name());
            return Err(Error::invalid(why));
        }
        // What is gathered anew belongs to the description that comes.
        self.core.lock().hold_candidates();
        match ice.restart() {
            Ok(parameters) => {
                self.with_core(|core, _| core.renew_credentials(parameters));
                Ok(())
            }
            Err(error) => {
                self.with_core(|core, now| core.release_candidates(now));
                Err(error)
            }
        }
    }

    fn negotiate_if_needed(&self) -> Result<()> {
        let wanted = {
            let core = self.core.lock();
            !self.config.disable_auto_negotiation
                && core.is_stable()
                && core.is_negotiation_needed()
                && !core.is_ending()
        };
        if !wanted {
            return Ok(());
        }
        self.set_local(DescriptionKind::Offer, None)?;
        self.gather_if_wanted()
    }

    /// Opens the ICE transport, which supplies our credentials, unless that is done.
    fn open_ice(&self, role: IceRole) -> Result<()> {
        if self.ice.get().is_some() {
            return Ok(());
        }
        let certificate = self.certificate()?;
        let mut config = IceConfig {
            role,
            servers: self.config.ice_servers.clone(),
            proxy: self.config.proxy_server.clone(),
            bind_address: self.config.bind_address.clone(),
            port_range: self.config.port_range,
            relay_only: self.config.relay_only,
            tcp: self.config.ice_tcp,
            udp_mux: self.config.ice_udp_mux,
            mtu: self.config.mtu,
        };
        for what in support::restrict(&mut config, &self.backends.ice.capabilities()) {
            let ice = self.backends.ice.name();
            note(Level::Warn, || format!("{what} is ignored: ICE by {ice} cannot do it"));
        }
        let sink = Arc::new(PeerSink::new(self.me.clone()));
        let runtime = self.engine.runtime().clone();
        let host = IceHost { sink, runtime, tls: self.backends.tls };
        let transport = self.backends.ice.open(config, host)?;
        self.core.lock().set_identity(transport.local_parameters(), certificate);
        if self.ice.set(transport).is_ok() {
            self.start_driver();
        }
        Ok(())
    }

    fn gather_if_wanted(&self) -> Result<()> {
        let Some(ice) = self.ice.get() else { return Ok(()) };
        let wanted = self.with_core(|core, _| {
            let wanted = core.is_gathering_wanted();
            if wanted {
                core.begin_gathering();
            }
            wanted
        });
        match wanted {
            true => ice.gather(),
            false => Ok(()),
        }
    }

    /// Our certificate; made on first use, which may take a second for RSA.
    fn certificate(&self) -> Result<Certificate> {
        let made = self.certificate.get_or_init(|| {
            let kind = self.config.certificate;
            self.backends.dtls.generate_certificate(kind, None).map_err(|error| error.to_string())
        });
        made.clone().map_err(|reason| Error::failure(format!("no certificate: {reason}")))
    }

    // Data channels.

    /// Creates a data channel; with automatic negotiation the first one makes an offer.
    pub fn create_data_channel(
        &self,
        label: impl Into<Vec<u8>>,
        init: DataChannelInit,
    ) -> Result<Arc<DataChannel>> {
        let label = label.into();
        let channel = self.with_core(|core, now| core.create_channel(now, label, init))?;
        if !self.config.disable_auto_negotiation {
            let _turn = self.take_turn();
            if let Err(error) = self.negotiate_if_needed() {
                channel.close();
                return Err(error);
            }
        }
        Ok(channel)
    }

    // Tracks.

    /// Adds a track, or describes the one of that mid anew. The peer is told by the next local
    /// description; none is made on its own.
    pub fn add_track(&self, media: Media) -> Result<Arc<Track>> {
        self.with_core(|core, _| core.add_track(media))
    }

    pub(crate) fn send_media(&self, track: &Arc<Track>, data: Bytes) -> Result<()> {
        let (result, urgency) = self.change_core(|core, now| {
            let result = core.send_media(now, track, data);
            (result, core.media.urgency(now))
        });
        match urgency {
            Urgency::Now => self.flush(),
            Urgency::Soon => self.flush_soon(),
        }
        result
    }

    pub(crate) fn request_media(&self, track: &Arc<Track>, request: Request) -> Result<()> {
        self.with_core(|core, now| core.request_media(now, track, request))
    }

    /// The sequence number that a stream we send goes on with; `None` before its first packet.
    pub(crate) fn next_sequence(&self, ssrc: u32) -> Option<u16> {
        self.core.lock().media.next_sequence(ssrc)
    }

    pub(crate) fn deliver_media(&self, packet: &[u8]) {
        self.with_core(|core, now| core.deliver_media(now, packet));
    }

    pub(crate) fn close_track(&self, track: &Track) -> bool {
        self.with_core(|core, _| core.close_track(track))
    }

    pub(crate) fn send_message(&self, channel: &DataChannel, message: Message) -> Result<()> {
        let (result, urgency) = self.change_core(|core, now| {
            let result = core.send_message(now, channel, message);
            (result, core.urgency())
        });
        match urgency {
            Urgency::Now => self.flush(),
            Urgency::Soon => self.flush_soon(),
        }
        result
    }

    pub(crate) fn close_channel(&self, channel: &DataChannel) -> bool {
        self.with_core(|core, now| core.close_channel(now, channel))
    }

    pub(crate) fn resume_stream(&self, stream: u16) {
        self.with_core(|core, now| core.resume_stream(now, stream));
    }

    /// The application gets a data channel that the peer made.
    pub(super) fn hand_over(&self, channel: &DataChannel) {
        self.with_core(|core, now| core.hand_over(now, channel));
    }

    // The end.

    /// Closes the connection: queued messages are sent first, then the peer is told. Returns at
    /// once; the state becomes closed when that is done. Idempotent.
    pub fn close(&self) {
        self.with_core(|core, now| core.close(now));
    }

    /// Closes the connection, waits for callbacks that run on other threads, and lets none of the
    /// connection's own begin afterwards. What is queued still goes out in the background.
    pub fn delete(&self) {
        let (channels, tracks) = {
            let core = self.core.lock();
            (core.channels(), core.tracks())
        };
        self.close();
        self.gate.close();
        for channel in channels {
            channel.port.wait_idle();
        }
        for track in tracks {
            track.wait_idle();
        }
        self.clear_handlers();
    }

    /// Ends the connection at once, without flushing.
    pub fn abort(&self) {
        self.with_core(|core, now| core.abort(now));
    }
}

/// One thread's turn to negotiate.
struct Turn<'a> {
    // In this order: the lock is free before anything is written.
    _lock: MutexGuard<'a, ()>,
    _hush: Hush,
}

/// `wanted`, or 0 where probing for it would tell nothing.
fn supported_max_mtu(backends: &Backends, wanted: usize) -> usize {
    if wanted == 0 || backends.ice.capabilities().unfragmented {
        return wanted;
    }
    let ice = backends.ice.name();
    log::warn!("probing for a larger path MTU is ignored: ICE by {ice} cannot do it");
    0
}

impl Activity for Peer {
    fn abort(&self) {
        self.abort();
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("state", &self.connection_state()).finish_non_exhaustive()
    }
}
