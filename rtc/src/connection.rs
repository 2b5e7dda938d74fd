//! Peer connections as Rust users see them.

use std::fmt;
use std::sync::Arc;

use rtc_core::backend::dtls::CertificateKind;
use rtc_core::backend::ice::IceServer;
use rtc_core::backend::{DtlsBackend, IceBackend, IceCredentials};
use rtc_core::candidate::Candidate;
use rtc_core::config::{Configuration, DataChannelInit, SctpSettings};
use rtc_core::ice_server::{parse_ice_server, parse_proxy};
use rtc_core::peer::{AssociationMetrics, Backends, Peer, TransportMetrics, Verdict};
use rtc_core::sdp::{Description, DescriptionKind, Media};
use rtc_core::state::{ConnectionState, GatheringState, IceState, SignalingState};
use rtc_core::{Error, Result};

use crate::backends::{default_backends, tls_backend};
use crate::data_channel::DataChannel;
use crate::library::{Share, sctp_settings};
use crate::track::Track;

/// A peer connection. Clones are handles to the same connection; dropping the last one deletes it.
#[derive(Clone)]
pub struct PeerConnection {
    owner: Arc<Owner>,
}

struct Owner {
    peer: Arc<Peer>,
    _share: Share,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.peer.delete();
    }
}

/// Defines the setters for a callback that gets a state.
macro_rules! state_handler {
    ($(#[$doc:meta])* $set:ident, $clear:ident, $state:ty) => {
        $(#[$doc])*
        pub fn $set(&self, handler: impl Fn($state) + Send + Sync + 'static) {
            self.owner.peer.$set(Some(Arc::new(move |_, state| handler(state))));
        }

        /// Takes that callback back; waits while it runs on another thread.
        pub fn $clear(&self) {
            self.owner.peer.$set(None);
        }
    };
}

impl PeerConnection {
    /// Begins with default settings.
    pub fn builder() -> Builder {
        Builder { config: Configuration::default(), sctp: None, backends: default_backends() }
    }

    // Queries.

    /// The state of the connection.
    pub fn connection_state(&self) -> ConnectionState {
        self.owner.peer.connection_state()
    }

    /// The state of ICE.
    pub fn ice_state(&self) -> IceState {
        self.owner.peer.ice_state()
    }

    /// The state of candidate gathering.
    pub fn gathering_state(&self) -> GatheringState {
        self.owner.peer.gathering_state()
    }

    /// The state of the offer/answer exchange.
    pub fn signaling_state(&self) -> SignalingState {
        self.owner.peer.signaling_state()
    }

    /// The local description in force or pending, with the candidates gathered so far.
    pub fn local_description(&self) -> Option<Description> {
        self.owner.peer.local_description()
    }

    /// The remote description in force or pending, with the candidates added so far.
    pub fn remote_description(&self) -> Option<Description> {
        self.owner.peer.remote_description()
    }

    /// Candidates of the pair in use: local, remote.
    pub fn selected_candidate_pair(&self) -> Option<(Candidate, Candidate)> {
        self.owner.peer.selected_candidate_pair()
    }

    /// True when something was added that the peer has not been told of.
    pub fn is_negotiation_needed(&self) -> bool {
        self.owner.peer.is_negotiation_needed()
    }

    /// Highest stream a data channel can have here.
    pub fn max_data_channel_stream(&self) -> u16 {
        self.owner.peer.max_data_channel_stream()
    }

    /// Largest message that can be sent, in bytes.
    pub fn remote_max_message_size(&self) -> usize {
        self.owner.peer.remote_max_message_size()
    }

    /// Figures of the SCTP association: windows, round-trip time, what was sent again. `None`
    /// before there is one; those of an ended one stay.
    pub fn association_metrics(&self) -> Option<AssociationMetrics> {
        self.owner.peer.association_metrics()
    }

    /// What was dropped so far, of datagrams and of media; a closed connection still tells.
    pub fn transport_metrics(&self) -> TransportMetrics {
        self.owner.peer.transport_metrics()
    }

    /// The backends in use.
    pub fn backends(&self) -> Backends {
        self.owner.peer.backends()
    }

    // Negotiation.

    /// Makes and sets the local description; [`DescriptionKind::Unspec`] makes an answer to a
    /// pending remote offer and otherwise an offer.
    pub fn set_local_description(&self, kind: DescriptionKind) -> Result<()> {
        self.owner.peer.set_local_description(kind)
    }

    /// The same with ICE credentials of the caller's choice, which only the first description of
    /// our side can settle. Fails as [`ErrorKind::InvalidArgument`](rtc_core::ErrorKind) once other
    /// ones are in force.
    pub fn set_local_description_with(
        &self,
        kind: DescriptionKind,
        credentials: &IceCredentials,
    ) -> Result<()> {
        self.owner.peer.set_local_description_with(kind, credentials)
    }

    /// Sets the peer's description. Unless [`Builder::disable_auto_negotiation`] was called, an
    /// offer is answered at once.
    pub fn set_remote_description(&self, sdp: &str, kind: DescriptionKind) -> Result<()> {
        self.owner.peer.set_remote_description(sdp, kind)
    }

    /// Adds a candidate of the peer; an empty text says that there are no more.
    pub fn add_remote_candidate(&self, candidate: &str) -> Result<()> {
        self.owner.peer.add_remote_candidate(candidate)
    }

    /// The offer that [`Self::set_local_description`] would set.
    pub fn create_offer(&self) -> Result<Description> {
        self.owner.peer.create_offer()
    }

    /// The answer that [`Self::set_local_description`] would set.
    pub fn create_answer(&self) -> Result<Description> {
        self.owner.peer.create_answer()
    }

    // Data channels.

    /// Creates an ordered and reliable data channel. Unless
    /// [`Builder::disable_auto_negotiation`] was called, the first one makes an offer.
    pub fn create_data_channel(&self, label: &str) -> Result<DataChannel> {
        self.create_data_channel_with(label, DataChannelInit::default())
    }

    /// Creates a data channel with settings of its own.
    pub fn create_data_channel_with(
        &self,
        label: impl Into<Vec<u8>>,
        init: DataChannelInit,
    ) -> Result<DataChannel> {
        self.owner.peer.create_data_channel(label, init).map(DataChannel::new)
    }

    // Tracks.

    /// Adds a track, or describes the one of that mid anew. The peer is told by the next local
    /// description; none is made on its own.
    pub fn add_track(&self, media: Media) -> Result<Track> {
        self.owner.peer.add_track(media).map(Track::new)
    }

    // Callbacks.

    /// Calls back with each local description, to be sent to the peer.
    pub fn on_local_description(
        &self,
        handler: impl Fn(&str, DescriptionKind) + Send + Sync + 'static,
    ) {
        let handler = move |_: &Arc<Peer>, sdp: &str, kind| handler(sdp, kind);
        self.owner.peer.on_local_description(Some(Arc::new(handler)));
    }

    /// Takes that callback back; waits while it runs on another thread.
    pub fn clear_on_local_description(&self) {
        self.owner.peer.on_local_description(None);
    }

    /// Calls back with each local candidate and its mid, to be sent to the peer.
    pub fn on_local_candidate(&self, handler: impl Fn(&str, &str) + Send + Sync + 'static) {
        let handler = move |_: &Arc<Peer>, candidate: &str, mid: &str| handler(candidate, mid);
        self.owner.peer.on_local_candidate(Some(Arc::new(handler)));
    }

    /// Takes that callback back; waits while it runs on another thread.
    pub fn clear_on_local_candidate(&self) {
        self.owner.peer.on_local_candidate(None);
    }

    state_handler!(
        /// Calls back with each new state of the connection.
        on_connection_state, clear_on_connection_state, ConnectionState
    );
    state_handler!(
        /// Calls back with each new state of ICE.
        on_ice_state, clear_on_ice_state, IceState
    );
    state_handler!(
        /// Calls back with each new state of gathering.
        on_gathering_state, clear_on_gathering_state, GatheringState
    );
    state_handler!(
        /// Calls back with each new state of the offer/answer exchange.
        on_signaling_state, clear_on_signaling_state, SignalingState
    );

    /// Calls back with each data channel that the peer creates.
    pub fn on_data_channel(&self, handler: impl Fn(DataChannel) + Send + Sync + 'static) {
        self.owner.peer.on_data_channel(Some(Arc::new(move |_, channel| {
            handler(DataChannel::new(channel));
        })));
    }

    /// Takes that callback back; waits while it runs on another thread.
    pub fn clear_on_data_channel(&self) {
        self.owner.peer.on_data_channel(None);
    }

    /// Calls back with each track that the peer adds. The callback runs on the thread that sets the
    /// remote description, before our answer is made, so it may describe the track anew.
    pub fn on_track(&self, handler: impl Fn(Track) + Send + Sync + 'static) {
        self.owner.peer.on_track(Some(Arc::new(move |_, track| handler(Track::new(track)))));
    }

    /// Takes that callback back; waits while it runs on another thread.
    pub fn clear_on_track(&self) {
        self.owner.peer.on_track(None);
    }

    /// Calls back with every incoming RTP and RTCP packet before the tracks get it; the callback
    /// decides what becomes of it.
    pub fn on_media(&self, handler: impl Fn(&[u8]) -> Verdict + Send + Sync + 'static) {
        self.owner.peer.on_media(Some(Arc::new(handler)));
    }

    /// Takes that callback back; waits while it runs on another thread.
    pub fn clear_on_media(&self) {
        self.owner.peer.on_media(None);
    }

    // Restarts.

    /// Restarts ICE: makes an offer with new credentials, by which both sides find a path anew
    /// while data goes on over the old one, if there still is one.
    pub fn restart_ice(&self) -> Result<()> {
        self.owner.peer.restart_ice()
    }

    /// For how long the connection waits for a restart, ours or the peer's, once ICE has failed:
    /// its state is failed meanwhile, and connected again after the restart. Without this it is
    /// closed at once. To be called before the connection is made.
    pub fn set_ice_recovery(&self, time: std::time::Duration) {
        self.owner.peer.set_ice_recovery(time);
    }

    /// Probes the path for IP packets of up to so many bytes, as [`Builder::max_mtu`] does. To be
    /// called before the connection is made.
    pub fn set_max_mtu(&self, bytes: usize) -> Result<()> {
        self.owner.peer.set_max_mtu(bytes)
    }

    // The end.

    /// Closes the connection: queued messages are sent first, then the peer is told. Returns at
    /// once; the state becomes closed when that is done. Idempotent.
    pub fn close(&self) {
        self.owner.peer.close();
    }

    /// Closes the connection, waits for callbacks of it that run on other threads, and lets none
    /// begin afterwards. What is queued still goes out in the background.
    pub fn delete(&self) {
        self.owner.peer.delete();
    }
}

impl fmt::Debug for PeerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.owner.peer.fmt(f)
    }
}

/// Settings of a connection to be made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    config: Configuration,
    sctp: Option<SctpSettings>,
    backends: Backends,
}

impl Builder {
    /// Takes all settings at once, except those of SCTP.
    pub fn configuration(mut self, config: Configuration) -> Self {
        self.config = config;
        self
    }

    /// Adds a STUN or TURN server:
    /// `["stun"|"turn"|"turns" ":"][user ":" password "@"]host[":" port]["?transport=udp|tcp|tls"]`.
    pub fn ice_server(mut self, url: &str) -> Result<Self> {
        self.config.ice_servers.push(parse_ice_server(url)?);
        Ok(self)
    }

    /// Adds a STUN or TURN server that is known in parts.
    pub fn ice_server_entry(mut self, server: IceServer) -> Self {
        self.config.ice_servers.push(server);
        self
    }

    /// Sets the proxy for TURN over TCP, for ICE backends that know proxies.
    pub fn proxy_server(mut self, url: &str) -> Result<Self> {
        parse_proxy(url)?;
        self.config.proxy_server = Some(url.to_owned());
        Ok(self)
    }

    /// Binds to this local address only.
    pub fn bind_address(mut self, address: impl Into<String>) -> Self {
        self.config.bind_address = Some(address.into());
        self
    }

    /// Sets the kind of certificate.
    pub fn certificate(mut self, kind: CertificateKind) -> Self {
        self.config.certificate = kind;
        self
    }

    /// Uses relayed candidates only.
    pub fn relay_only(mut self, yes: bool) -> Self {
        self.config.relay_only = yes;
        self
    }

    /// Also gathers TCP candidates.
    pub fn ice_tcp(mut self, yes: bool) -> Self {
        self.config.ice_tcp = yes;
        self
    }

    /// Shares one UDP socket per port among connections.
    pub fn ice_udp_mux(mut self, yes: bool) -> Self {
        self.config.ice_udp_mux = yes;
        self
    }

    /// Leaves every offer and answer to [`PeerConnection::set_local_description`].
    pub fn disable_auto_negotiation(mut self, yes: bool) -> Self {
        self.config.disable_auto_negotiation = yes;
        self
    }

    /// Sets the first and the last local port.
    pub fn port_range(mut self, first: u16, last: u16) -> Self {
        self.config.port_range = Some((first, last));
        self
    }

    /// Sets the largest IP packet, in bytes.
    pub fn mtu(mut self, bytes: usize) -> Self {
        self.config.mtu = bytes;
        self
    }

    /// Probes the path for IP packets of up to so many bytes, at most [`crate::MAX_MTU`], and uses
    /// for data channels what it proves to carry (RFC 8899).
    pub fn max_mtu(mut self, bytes: usize) -> Self {
        self.config.max_mtu = bytes;
        self
    }

    /// Sets the largest message accepted, in bytes.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config.max_message_size = bytes;
        self
    }

    /// Tunes SCTP; otherwise [`crate::set_sctp_settings`] decides.
    pub fn sctp(mut self, settings: SctpSettings) -> Self {
        self.sctp = Some(settings);
        self
    }

    /// Chooses the ICE backend.
    pub fn ice_backend(mut self, backend: &'static dyn IceBackend) -> Self {
        self.backends.ice = backend;
        self
    }

    /// Chooses the DTLS backend. It also protects the way to TURN servers over TLS where it is one
    /// for TLS streams, that is where [`crate::TLS_BACKENDS`] has one of its name.
    pub fn dtls_backend(mut self, backend: &'static dyn DtlsBackend) -> Self {
        self.backends.dtls = backend;
        if let Ok(tls) = tls_backend(backend.name()) {
            self.backends.tls = Some(tls);
        }
        self
    }

    /// Makes the connection. Nothing is sent before a description is set. Fails on settings that
    /// cannot be.
    pub fn build(self) -> Result<PeerConnection> {
        let mut config = self.config;
        config.sctp = self.sctp.unwrap_or_else(sctp_settings);
        let share = Share::take()?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Error::failure("there are no random numbers").caused_by(error))?;
        let Backends { ice, dtls, .. } = self.backends;
        log::info!("new connection: ICE by {}, TLS by {}", ice.name(), dtls.name());
        let peer = Peer::new(share.engine.clone(), self.backends, config, seed)?;
        Ok(PeerConnection { owner: Arc::new(Owner { peer, _share: share }) })
    }
}
