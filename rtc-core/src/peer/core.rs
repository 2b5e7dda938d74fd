//! The sans-IO peer: everything a connection decides, without sockets, clock, threads or user code.
//!
//! Its methods come in four groups, quinn's way:
//! - *queries* (`connection`, `remote_max_message_size`, …),
//! - *inputs* `handle_*`: what the network, ICE or the clock brings,
//! - *commands*: what the user asks for (in `negotiation` and `channels`),
//! - *outputs* `poll_transmit`, `poll_timeout`, `take_news`, `take_commands`: what the shell must
//!   carry out.
//!
//! After any input or command the shell takes the output, then polls for datagrams.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::Peer;
use super::events::{IceCommand, Output, PeerEvent};
use super::intake::Intake;
use super::interceptor::Interceptor;
use super::media::MediaTransport;
use super::restart::Restart;
use super::stream_queue::StreamQueue;
use super::transport::TransportMetrics;
use crate::association::Association;
use crate::backend::dtls::{Certificate, DtlsBackend, DtlsRole, DtlsSession, RecordOverhead};
use crate::backend::ice::IceParameters;
use crate::channel::{Budget, DataChannel, Track};
use crate::config::{CONNECTION_QUEUE_BYTES, Configuration, DEFAULT_REMOTE_MAX_MESSAGE_SIZE};
use crate::error::{Error, Result};
use crate::notes::note;
use crate::runtime::lane::Bell;
use crate::sdp::Description;
use crate::state::{ConnectionState, GatheringState, IceState, SignalingState};
use log::Level;

/// How many of the latest bells are compared with another one.
const LOOK_BACK: usize = 8;

/// One end of a data channel's stream.
pub(super) struct StreamEntry {
    pub(super) channel: Arc<DataChannel>,
    /// Our reset is requested or under way.
    pub(super) resetting: bool,
    /// The peer has confirmed our reset.
    pub(super) reset_done: bool,
    /// The peer has reset its direction.
    pub(super) reset_by_peer: bool,
    /// An earlier use of the stream is still being reset: nothing can be sent yet.
    pub(super) held: bool,
    /// Parts of a message that came under a deprecated partial identifier.
    pub(super) partial: Vec<u8>,
}

impl StreamEntry {
    pub(super) fn new(channel: Arc<DataChannel>, held: bool) -> Self {
        Self {
            channel,
            resetting: false,
            reset_done: false,
            reset_by_peer: false,
            held,
            partial: Vec::new(),
        }
    }
}

/// How the end of the association, once it comes, is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Nobody closes.
    No,
    /// Waiting for queued messages to enter SCTP; then SCTP shuts down.
    Flushing,
    /// SCTP is shutting down.
    ShuttingDown,
    /// SCTP has shut down; the peer is left the time to end DTLS.
    Parting,
}

pub(crate) struct PeerCore {
    /// For channels that the peer creates.
    pub(super) peer: Weak<Peer>,
    pub(super) config: Arc<Configuration>,
    pub(super) dtls_backend: &'static dyn DtlsBackend,
    pub(super) seed: [u8; 32],

    // Negotiation.
    pub(super) signaling: SignalingState,
    pub(super) local: Option<Description>,
    pub(super) remote: Option<Description>,
    /// What `local` was before the exchange under way.
    pub(super) stable_local: Option<Description>,
    /// What `remote` and `dtls_role` were before the offer of the peer's that is pending.
    pub(super) stable_remote: Option<(Option<Description>, Option<DtlsRole>)>,
    pub(super) local_ice: Option<IceParameters>,
    /// What ICE was last told of the peer.
    pub(super) remote_ice: Option<IceParameters>,
    pub(super) certificate: Option<Certificate>,
    pub(super) gathering: GatheringState,
    pub(super) restart: Restart,

    // Transport.
    pub(super) connection: ConnectionState,
    pub(super) ice: IceState,
    pub(super) ice_connected: bool,
    pub(super) dtls_role: Option<DtlsRole>,
    pub(super) dtls: Option<Box<dyn DtlsSession>>,
    pub(super) dtls_deadline: Option<Instant>,
    pub(super) dtls_connected: bool,
    /// The peer's certificate has the fingerprint that its description announced.
    pub(super) authenticated: bool,
    pub(super) overhead: RecordOverhead,
    /// Largest IP packet that the path is probed for, in bytes; up to the MTU, nothing is probed.
    pub(super) max_mtu: usize,
    /// DTLS datagrams that came before our session could begin.
    pub(super) early_datagrams: VecDeque<Vec<u8>>,
    /// SCTP packets that came before the peer was authenticated.
    pub(super) early_packets: VecDeque<Vec<u8>>,
    pub(super) handshake_datagram: Vec<u8>,
    pub(super) handshake_pending: bool,
    /// close_notify is to follow what SCTP still has to send.
    pub(super) goodbye: bool,
    pub(super) sctp: Option<Box<dyn Association>>,
    pub(super) sctp_connected: bool,
    pub(super) closing: Closing,
    /// When a closing connection stops waiting for its peer.
    pub(super) linger_deadline: Option<Instant>,
    /// What was not acknowledged when that was set, in bytes.
    pub(super) linger_left: usize,
    /// Datagrams and SCTP messages that were of no use.
    pub(super) dropped_datagrams: u64,

    // Channels.
    pub(super) streams: HashMap<u16, StreamEntry>,
    /// Every stream of our parity below this one is taken.
    pub(super) streams_taken_below: u16,
    /// Streams that the peer refused to reset.
    pub(super) unreset: HashSet<u16>,
    /// Bytes in the `partial` of all streams.
    pub(super) partial_bytes: usize,
    /// Channels without a stream, in the order of their creation.
    pub(super) unassigned: Vec<Arc<DataChannel>>,
    /// Streams whose channel has messages that SCTP has not taken, in turn.
    pub(super) waiting: StreamQueue,
    /// What the channels have received and the application has not taken.
    pub(super) budget: Arc<Budget>,
    pub(super) intake: Intake,
    /// A channel was created at some time, so an application section is wanted.
    pub(super) wants_application: bool,

    // Tracks.
    /// In the order of their creation; closed ones until both descriptions say so.
    pub(super) tracks: Vec<Arc<Track>>,
    /// Tracks that the peer added and nobody was told of.
    pub(super) incoming_tracks: Vec<Arc<Track>>,
    /// Tracks that the pending offer of the peer's made, and that we have not made ours.
    pub(super) offered_tracks: Vec<Arc<Track>>,
    pub(super) media: MediaTransport,
    pub(super) interceptor: Arc<Interceptor>,

    output: Output,
    commands: Vec<IceCommand>,
}

impl PeerCore {
    pub(crate) fn new(
        peer: Weak<Peer>,
        config: Arc<Configuration>,
        dtls_backend: &'static dyn DtlsBackend,
        seed: [u8; 32],
    ) -> Self {
        // Two of the largest messages have room in any case.
        let budget = CONNECTION_QUEUE_BYTES.max(config.max_message_size.saturating_mul(2));
        let budget = Arc::new(Budget::new(budget));
        Self {
            max_mtu: config.max_mtu,
            config,
            dtls_backend,
            seed,
            signaling: SignalingState::Stable,
            local: None,
            remote: None,
            stable_local: None,
            stable_remote: None,
            local_ice: None,
            remote_ice: None,
            certificate: None,
            gathering: GatheringState::New,
            restart: Restart::default(),
            connection: ConnectionState::New,
            ice: IceState::New,
            ice_connected: false,
            dtls_role: None,
            dtls: None,
            dtls_deadline: None,
            dtls_connected: false,
            authenticated: false,
            overhead: RecordOverhead { head: 0, tail: 0 },
            early_datagrams: VecDeque::new(),
            early_packets: VecDeque::new(),
            handshake_datagram: Vec::new(),
            handshake_pending: false,
            goodbye: false,
            sctp: None,
            sctp_connected: false,
            closing: Closing::No,
            linger_deadline: None,
            linger_left: 0,
            dropped_datagrams: 0,
            streams: HashMap::new(),
            streams_taken_below: 0,
            unreset: HashSet::new(),
            partial_bytes: 0,
            unassigned: Vec::new(),
            waiting: StreamQueue::default(),
            budget,
            intake: Intake::default(),
            wants_application: false,
            tracks: Vec::new(),
            incoming_tracks: Vec::new(),
            offered_tracks: Vec::new(),
            media: MediaTransport::default(),
            interceptor: Interceptor::new(peer.clone()),
            peer,
            output: Output::default(),
            commands: Vec::new(),
        }
    }

    // Queries.

    pub(crate) fn connection(&self) -> ConnectionState {
        self.connection
    }

    pub(crate) fn ice_state(&self) -> IceState {
        self.ice
    }

    pub(crate) fn gathering_state(&self) -> GatheringState {
        self.gathering
    }

    pub(crate) fn signaling_state(&self) -> SignalingState {
        self.signaling
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.connection == ConnectionState::Closed
    }

    /// True once somebody began to close the connection.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_closed() || self.closing != Closing::No
    }

    /// Every channel that is not closed for good.
    pub(crate) fn channels(&self) -> Vec<Arc<DataChannel>> {
        let assigned = self.streams.values().map(|entry| entry.channel.clone());
        assigned.chain(self.unassigned.iter().cloned()).collect()
    }

    /// Largest message that may be sent: the smaller of what the peer and what we accept.
    pub(crate) fn remote_max_message_size(&self) -> usize {
        let remote = match self.remote.as_ref().and_then(|remote| remote.application()) {
            None => DEFAULT_REMOTE_MAX_MESSAGE_SIZE,
            Some(application) => match application.max_message_size {
                None => DEFAULT_REMOTE_MAX_MESSAGE_SIZE,
                // RFC 8841 §6.1: 0 means any size.
                Some(0) => usize::MAX,
                Some(size) => usize::try_from(size).unwrap_or(usize::MAX),
            },
        };
        remote.min(self.config.max_message_size)
    }

    // Output.

    /// Swaps the news for the application, in order, with the empty `into`.
    pub(crate) fn take_news(&mut self, into: &mut Output) {
        std::mem::swap(&mut self.output, into);
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.output.is_empty()
    }

    /// What to do with the ICE transport, in order.
    pub(crate) fn take_commands(&mut self) -> Vec<IceCommand> {
        std::mem::take(&mut self.commands)
    }

    pub(super) fn emit(&mut self, event: PeerEvent) {
        self.output.events.push(event);
    }

    pub(super) fn command(&mut self, command: IceCommand) {
        self.commands.push(command);
    }

    /// Tells the application of a channel what is new.
    pub(super) fn ring<C: Bell + 'static>(&mut self, channel: &Arc<C>) {
        let rung =
            |bell: &Arc<dyn Bell>| std::ptr::addr_eq(Arc::as_ptr(bell), Arc::as_ptr(channel));
        // The lane leaves out who waits in it; looking far back costs more than that.
        if !self.output.bells.iter().rev().take(LOOK_BACK).any(rung) {
            self.output.bells.push(channel.clone());
        }
    }

    // States.

    pub(super) fn set_signaling(&mut self, state: SignalingState) {
        if self.signaling != state {
            self.signaling = state;
            self.emit(PeerEvent::Signaling(state));
        }
    }

    pub(super) fn set_gathering(&mut self, state: GatheringState) {
        if self.gathering != state {
            self.gathering = state;
            self.emit(PeerEvent::Gathering(state));
        }
    }

    pub(super) fn set_ice(&mut self, state: IceState) {
        if self.ice != state && self.ice != IceState::Closed {
            self.ice = state;
            self.emit(PeerEvent::Ice(state));
        }
    }

    pub(super) fn set_connection(&mut self, state: ConnectionState) {
        if self.connection != state && !self.is_closed() {
            self.connection = state;
            self.emit(PeerEvent::Connection(state));
        }
    }

    // Ending.

    /// Closes gracefully: queued messages are flushed, then SCTP shuts down; without an association
    /// it ends at once.
    pub(crate) fn close(&mut self, now: Instant) {
        if self.is_closed() || self.closing != Closing::No {
            return;
        }
        if self.sctp_connected {
            self.closing = Closing::Flushing;
            self.linger(now);
            self.progress_closing(now);
        } else if let Some(sctp) = &mut self.sctp {
            sctp.abort(now, "closed while connecting");
            self.fail(now, "the association was given up while it was connecting");
        } else {
            self.end(now);
        }
    }

    /// Ends at once, telling the peer by an ABORT.
    pub(crate) fn abort(&mut self, now: Instant) {
        if let Some(sctp) = &mut self.sctp {
            sctp.abort(now, "closed");
        }
        self.end(now);
    }

    /// Ends after `reason`: the state becomes failed, then closed.
    pub(super) fn fail(&mut self, now: Instant, reason: &str) {
        if self.is_closed() {
            return;
        }
        note(Level::Warn, || format!("peer connection failed: {reason}"));
        self.set_connection(ConnectionState::Failed);
        self.end(now);
    }

    /// The peer has ended the connection, or answers no more.
    pub(super) fn disconnect(&mut self, now: Instant) {
        if self.is_closed() {
            return;
        }
        self.close_channels(now);
        self.set_connection(ConnectionState::Disconnected);
        self.end(now);
    }

    /// Ends everything now. Datagrams that say goodbye are left for `poll_transmit`.
    pub(super) fn end(&mut self, now: Instant) {
        if self.is_closed() {
            return;
        }
        self.close_channels(now);
        let TransportMetrics { dropped_datagrams, dropped_media } = self.transport_metrics();
        note(Level::Debug, || {
            format!("closed; dropped: {dropped_datagrams} datagrams, {dropped_media} media packets")
        });
        self.goodbye = self.dtls.is_some();
        self.dtls_deadline = None;
        self.linger_deadline = None;
        self.restart.give_up_at = None;
        self.early_datagrams.clear();
        self.early_packets.clear();
        self.set_ice(IceState::Closed);
        self.set_connection(ConnectionState::Closed);
    }

    fn close_channels(&mut self, now: Instant) {
        self.drain_received(now);
        let channels = std::mem::take(&mut self.streams).into_values().map(|entry| entry.channel);
        let channels: Vec<_> = channels.chain(std::mem::take(&mut self.unassigned)).collect();
        self.partial_bytes = 0;
        self.waiting.clear();
        for channel in channels {
            self.announce_closed(&channel);
        }
        self.close_tracks();
    }

    pub(super) fn require_alive(&self, attempt: &str) -> Result<()> {
        match self.is_ending() {
            true => Err(Error::failure(format!("cannot {attempt}: the connection is closed"))),
            false => Ok(()),
        }
    }
}
