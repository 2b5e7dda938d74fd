//! The peer core's transport: ICE events in, DTLS, SCTP packets in and out, timers.

use std::time::{Duration, Instant};

use super::authentication::fingerprint_matches;
use super::channels::MAX_STREAM;
use super::core::{Closing, PeerCore};
use super::events::PeerEvent;
use crate::association::{self, Association, AssociationConfig, AssociationMetrics, Event, State};
use crate::backend::dtls::{DtlsConfig, DtlsEvent, DtlsRole, SrtpProfile};
use crate::backend::ice::IceEvent;
use crate::base64;
use crate::channel::Channel as _;
use crate::notes::note;
use crate::state::{ConnectionState, GatheringState, IceState};
use log::Level;

/// Figures of what carries the association and media, counted from the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportMetrics {
    /// Received datagrams and SCTP messages that were of no use: of no known protocol or kind,
    /// media that was not authentic, what came too early or after the end.
    pub dropped_datagrams: u64,
    /// RTP packets, RTCP packets and frames that went nowhere: received for no open track or for a
    /// full queue, malformed, sent against the direction or faster than the network takes them.
    pub dropped_media: u64,
}

/// Bytes around an SCTP packet that are not its own: IPv6 header, UDP header, and the DTLS record
/// at its largest.
const IP_UDP_OVERHEAD: usize = 48;
const DTLS_OVERHEAD: usize = 48;

/// What `use_srtp` offers, best first. It is offered without media as well: some peers (aiortc)
/// give up a handshake that settles no profile.
const SRTP_PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes256Gcm, SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmSha1_80];

/// How long a DTLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// How many datagrams are kept before DTLS starts, and packets before the peer is authenticated.
pub(super) const MAX_EARLY: usize = 64;

/// How long a closing connection waits for its peer to acknowledge something.
pub(super) const LINGER: Duration = Duration::from_secs(10);

/// How long a peer whose association we have shut down has for ending DTLS itself. libdatachannel
/// drops the messages that it has not handed over yet when our close_notify comes before its own.
pub(super) const PARTING: Duration = Duration::from_millis(250);

/// DSCP of data channels: assured forwarding 11 (RFC 8837 §5, as upstream marks them).
const DSCP_DATA: u8 = 10;

/// Datagrams to send, back to back, with the length of each.
pub(crate) struct TransmitBuffer {
    bytes: Box<[u8]>,
    end: usize,
    lengths: Vec<usize>,
    /// How the network is asked to treat all of them (RFC 2474).
    pub(super) dscp: u8,
}

impl Default for TransmitBuffer {
    fn default() -> Self {
        let bytes = vec![0; Self::CAPACITY].into();
        Self { bytes, end: 0, lengths: Vec::new(), dscp: DSCP_DATA }
    }
}

impl TransmitBuffer {
    /// As much as one UDP send can carry (RFC 768), so a batch never needs more.
    const CAPACITY: usize = 65_507;
    /// What Linux takes in one segmented send.
    const MAX_SEGMENTS: usize = 64;

    pub(super) fn clear(&mut self) {
        self.end = 0;
        self.lengths.clear();
        self.dscp = DSCP_DATA;
    }

    fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Room for one more datagram of up to `size` bytes.
    pub(super) fn room(&mut self, size: usize) -> Option<&mut [u8]> {
        if self.lengths.len() == Self::MAX_SEGMENTS {
            return None;
        }
        self.bytes.get_mut(self.end..self.end + size)
    }

    /// Keeps what was written into the first `length` bytes of the room.
    pub(super) fn push(&mut self, length: usize) {
        self.end += length;
        self.lengths.push(length);
    }

    /// Runs of datagrams of equal size, of which the last may be shorter: what one send takes. Each
    /// comes with the size of all datagrams but its last.
    pub(crate) fn batches(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let mut lengths = self.lengths.iter().copied().peekable();
        let mut start = 0;
        std::iter::from_fn(move || {
            let segment = lengths.next()?;
            let mut end = start + segment;
            let mut last = segment;
            while last == segment
                && let Some(length) = lengths.next_if(|l| *l <= segment)
            {
                end += length;
                last = length;
            }
            let batch = self.bytes.get(start..end)?;
            start = end;
            Some((batch, segment))
        })
    }
}

/// When what was queued is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Now, by the thread that queued it.
    Now,
    /// Soon, by the driver: more may follow and share its packets.
    Soon,
}

/// So many bytes are worth a system call of their own: about half of what one can carry.
pub(super) const WORTH_SENDING: usize = 32 * 1024;

impl PeerCore {
    /// How urgent it is to send what was queued. While packets are on their way, small messages
    /// wait for each other a little, as long as it takes the driver to come round: that fills
    /// packets and batches, which is what a system call costs too much for otherwise.
    pub(super) fn urgency(&self) -> Urgency {
        let Some(sctp) = &self.sctp else { return Urgency::Now };
        let in_flight = sctp.in_flight();
        let waiting = sctp.queued().saturating_sub(in_flight);
        match in_flight > 0 && waiting < WORTH_SENDING {
            true => Urgency::Soon,
            false => Urgency::Now,
        }
    }

    // ICE.

    pub(crate) fn handle_ice_event(&mut self, now: Instant, event: IceEvent) {
        if self.is_closed() {
            return;
        }
        match event {
            IceEvent::Candidate(_) | IceEvent::GatheringDone if self.restart.holds() => {
                self.restart.hold(event);
            }
            IceEvent::State(state) => self.handle_ice_state(now, state),
            IceEvent::Candidate(candidate) => {
                let Some(local) = &mut self.local else { return };
                let text = candidate.to_string();
                let mid = local.bundle_mid().unwrap_or("0").to_owned();
                if let Err(error) = local.add_candidate(candidate) {
                    note(Level::Warn, || format!("a local candidate was left out: {error}"));
                    return;
                }
                self.emit(PeerEvent::LocalCandidate(text, mid));
            }
            IceEvent::GatheringDone => {
                if let Some(local) = &mut self.local {
                    local.end_of_candidates = true;
                }
                self.set_gathering(GatheringState::Complete);
            }
            IceEvent::SelectedPair => {
                if let Some(sctp) = &mut self.sctp {
                    sctp.path_changed(now);
                }
            }
            IceEvent::Writable => {}
        }
    }

    fn handle_ice_state(&mut self, now: Instant, state: IceState) {
        self.set_ice(state);
        match state {
            IceState::Checking => {
                if self.connection == ConnectionState::New {
                    self.set_connection(ConnectionState::Connecting);
                }
            }
            IceState::Connected | IceState::Completed => {
                self.ice_connected = true;
                self.recover();
                self.start_dtls(now);
                if !self.dtls_connected && !self.is_closed() {
                    self.dtls_deadline.get_or_insert(now + HANDSHAKE_TIMEOUT);
                }
            }
            IceState::Failed if self.may_recover(now) => {}
            IceState::Failed => self.fail(now, "ICE found no path to the peer, or lost it"),
            IceState::New | IceState::Disconnected | IceState::Closed => {}
        }
    }

    // DTLS.

    /// Starts DTLS once there is a path, a role and a fingerprint to check.
    pub(super) fn start_dtls(&mut self, now: Instant) {
        let (Some(role), Some(certificate)) = (self.dtls_role, self.certificate.clone()) else {
            return;
        };
        // The server begins as soon as it can: the client's first flight may overtake the
        // nomination, and is answered at once that way.
        let ready = self.ice_connected || role == DtlsRole::Server;
        if self.dtls.is_some() || self.remote.is_none() || !ready || self.is_closed() {
            return;
        }
        let config = DtlsConfig {
            certificate,
            role,
            mtu: self.config.mtu - IP_UDP_OVERHEAD,
            srtp_profiles: SRTP_PROFILES.to_vec(),
        };
        match self.dtls_backend.session(config, now) {
            Ok(session) => {
                self.dtls = Some(session);
                self.handshake_pending = true;
            }
            Err(error) => return self.fail(now, &format!("DTLS could not start: {error}")),
        }
        for mut datagram in std::mem::take(&mut self.early_datagrams) {
            self.handle_dtls(now, &mut datagram);
        }
    }

    /// Takes one datagram from the network (RFC 7983 tells the protocols apart).
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) {
        match datagram.first() {
            Some(20..=63) if !self.is_closed() => self.handle_dtls(now, datagram),
            Some(128..=191) if !self.is_closed() => self.handle_media(now, datagram),
            _ => self.dropped_datagrams += 1,
        }
    }

    fn handle_dtls(&mut self, now: Instant, datagram: &mut [u8]) {
        let Self { dtls, sctp, early_packets, authenticated, dropped_datagrams, .. } = self;
        let Some(session) = dtls else {
            match self.early_datagrams.len() < MAX_EARLY {
                true => self.early_datagrams.push_back(datagram.to_vec()),
                false => self.dropped_datagrams += 1,
            }
            return;
        };
        let result = session.handle_datagram(now, datagram, &mut |packet| match sctp {
            Some(sctp) if *authenticated => sctp.handle_packet(now, packet),
            _ if early_packets.len() < MAX_EARLY => early_packets.push_back(packet.to_vec()),
            _ => *dropped_datagrams += 1,
        });
        // Also once connected: a peer that missed our last flight repeats its own to get it again.
        self.handshake_pending = true;
        self.handle_dtls_events(now);
        if let Err(error) = result {
            self.handshake_pending = true;
            self.fail(now, &format!("DTLS: {error}"));
        }
    }

    fn handle_dtls_events(&mut self, now: Instant) {
        while let Some(event) = self.dtls.as_mut().and_then(|dtls| dtls.poll_event()) {
            match event {
                DtlsEvent::PeerCertificate(der) => {
                    let expected = self.remote.as_ref().and_then(|d| d.fingerprint.as_ref());
                    if !expected.is_some_and(|expected| fingerprint_matches(expected, &der)) {
                        self.reject_peer(now);
                        return;
                    }
                    self.authenticated = true;
                }
                DtlsEvent::Connected(connected) => {
                    if !self.authenticated {
                        self.reject_peer(now);
                        return;
                    }
                    note(Level::Info, || {
                        format!("{} connected, {}", connected.version, connected.cipher_suite)
                    });
                    self.start_media(connected.srtp_profile);
                    self.handle_dtls_connected(now);
                }
                DtlsEvent::CloseNotify => self.disconnect(now),
            }
        }
    }

    fn reject_peer(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls {
            dtls.reject(now);
            self.handshake_pending = true;
        }
        self.fail(now, "the peer's certificate does not have the fingerprint of its description");
    }

    fn handle_dtls_connected(&mut self, now: Instant) {
        self.dtls_connected = true;
        self.dtls_deadline = None;
        if let Some(dtls) = &self.dtls {
            self.overhead = dtls.overhead();
        }
        if self.has_application() {
            self.start_sctp(now);
        } else {
            self.set_connection(ConnectionState::Connected);
        }
        self.apply_to_tracks();
    }

    /// True when both descriptions have an application section in use.
    pub(super) fn has_application(&self) -> bool {
        let active = |d: &Option<crate::sdp::Description>| {
            d.as_ref().and_then(|d| d.application()).is_some_and(|a| !a.common.removed)
        };
        active(&self.local) && active(&self.remote)
    }

    // SCTP.

    pub(super) fn start_sctp(&mut self, now: Instant) {
        if self.sctp.is_some() || !self.dtls_connected || self.is_closed() {
            return;
        }
        let mut sctp = self.association();
        // What we signaled holds as soon as the peer has said that it takes it.
        let known = self.peer_init().is_some_and(|init| {
            sctp.local_init();
            sctp.connect_with_init(now, &init)
        });
        if !known {
            sctp.connect(now);
        }
        for packet in std::mem::take(&mut self.early_packets) {
            sctp.handle_packet(now, &packet);
        }
        self.sctp = Some(sctp);
        self.handle_sctp_events(now);
    }

    /// Effective until the association begins.
    pub(crate) fn set_max_mtu(&mut self, bytes: usize) {
        if self.sctp.is_none() {
            self.max_mtu = bytes;
        }
    }

    pub(crate) fn association_metrics(&self) -> Option<AssociationMetrics> {
        self.sctp.as_ref().map(|sctp| sctp.metrics())
    }

    pub(crate) fn transport_metrics(&self) -> TransportMetrics {
        TransportMetrics {
            dropped_datagrams: self.dropped_datagrams,
            dropped_media: self.media.dropped,
        }
    }

    pub(crate) fn stream_queued(&self, stream: u16) -> usize {
        self.sctp.as_ref().map_or(0, |sctp| sctp.stream_queued(stream))
    }

    /// A new association. What it will say in its INIT depends on the configuration and the seed
    /// alone, so one made later keeps what one made earlier has signaled.
    fn association(&self) -> Box<dyn Association> {
        let port = |d: &Option<crate::sdp::Description>| {
            d.as_ref().and_then(|d| d.application()).map_or(5000, |a| a.effective_sctp_port())
        };
        let config = AssociationConfig {
            local_port: port(&self.local),
            remote_port: port(&self.remote),
            mtu: self.config.mtu - IP_UDP_OVERHEAD - DTLS_OVERHEAD - 12,
            max_mtu: self.max_packet(),
            max_message_size: self.config.max_message_size,
            streams: MAX_STREAM + 1,
            settings: &self.restart.patient(&self.config.sctp),
        };
        association::open(&config, self.seed)
    }

    /// Largest SCTP packet to probe the path for, in bytes; 0 for none. The true size of records is
    /// known before anything is probed.
    fn max_packet(&self) -> usize {
        let overhead = IP_UDP_OVERHEAD + self.overhead.head + self.overhead.tail;
        match self.max_mtu > self.config.mtu {
            true => self.max_mtu.saturating_sub(overhead),
            false => 0,
        }
    }

    /// Our INIT chunk for descriptions, in base64.
    pub(super) fn signaled_init(&self) -> String {
        base64::encode(&self.association().local_init())
    }

    /// The peer's INIT chunk, when both descriptions have one. An answer that repeats ours is that
    /// of a peer which repeats whatever it does not know (libdatachannel does).
    fn peer_init(&self) -> Option<Vec<u8>> {
        let init = |d: &'_ Option<crate::sdp::Description>| {
            Some(d.as_ref()?.application()?.sctp_init()?.to_owned())
        };
        let (ours, theirs) = (init(&self.local)?, init(&self.remote)?);
        if ours == theirs { None } else { base64::decode(&theirs) }
    }

    /// Carries SCTP's events over to channels and states; to be called after any input to it.
    pub(crate) fn handle_sctp_events(&mut self, now: Instant) {
        self.read_waiting_streams(now);
        while let Some(event) = self.sctp.as_mut().and_then(|sctp| sctp.poll_event()) {
            match event {
                Event::Connected { .. } => self.handle_sctp_connected(now),
                Event::StreamReadable(stream) => self.read_stream(now, stream),
                Event::StreamResetByPeer(stream) => self.handle_reset_by_peer(now, stream),
                Event::StreamResetDone(stream) => self.handle_reset_done(now, stream),
                Event::StreamResetFailed(stream) => {
                    note(Level::Warn, || format!("the peer refused to reset stream {stream}"));
                    self.handle_reset_refused(now, stream);
                }
                Event::BufferSpace(stream) => self.handle_buffer_space(now, stream),
                Event::Shutdown => self.handle_shutdown(now),
                Event::Aborted { reason, .. } if self.sctp_connected => {
                    note(Level::Info, || format!("association aborted: {reason}"));
                    self.disconnect(now);
                }
                Event::Aborted { reason, .. } => self.fail(now, &format!("SCTP: {reason}")),
                // As when the peer ends it, whatever ICE may say of the path later.
                Event::Failed(reason) if self.sctp_connected => {
                    note(Level::Warn, || format!("association lost: {reason}"));
                    self.disconnect(now);
                }
                Event::Failed(reason) => self.fail(now, &format!("SCTP: {reason}")),
                Event::Restarted => self.fail(now, "the peer restarted the SCTP association"),
                _ => {}
            }
        }
        self.progress_closing(now);
    }

    fn handle_shutdown(&mut self, now: Instant) {
        if self.closing == Closing::ShuttingDown {
            self.closing = Closing::Parting;
            self.linger_deadline = Some(now + PARTING);
        } else {
            self.disconnect(now);
        }
    }

    fn handle_sctp_connected(&mut self, now: Instant) {
        self.sctp_connected = true;
        self.open_waiting_channels(now);
        self.set_connection(ConnectionState::Connected);
    }

    pub(super) fn progress_closing(&mut self, now: Instant) {
        if self.closing != Closing::Flushing || !self.waiting.is_empty() {
            return;
        }
        if let Some(sctp) = &mut self.sctp {
            sctp.shutdown(now);
            self.closing = Closing::ShuttingDown;
        }
    }

    /// Begins, or goes on, to wait for the peer while closing; false when nothing was acknowledged
    /// since the last time.
    pub(super) fn linger(&mut self, now: Instant) -> bool {
        let queued: usize = self.channels().iter().map(|channel| channel.buffered_amount()).sum();
        let left = queued + self.sctp.as_ref().map_or(0, |sctp| sctp.queued());
        let before = std::mem::replace(&mut self.linger_left, left);
        self.linger_deadline = Some(now + LINGER);
        left < before
    }

    // Timers and datagrams out.

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.is_closed() {
            return None;
        }
        let dtls = self.dtls.as_ref().and_then(|dtls| dtls.poll_timeout());
        let sctp = self.sctp.as_ref().and_then(|sctp| sctp.poll_timeout());
        let media = self.media_deadline();
        let own = [self.dtls_deadline, self.linger_deadline, self.restart.give_up_at];
        own.into_iter().chain([dtls, sctp, media]).flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.is_closed() {
            return;
        }
        if self.dtls_deadline.is_some_and(|deadline| deadline <= now) {
            return self.fail(now, "DTLS: the handshake took too long");
        }
        if self.restart.give_up_at.is_some_and(|deadline| deadline <= now) {
            return self.fail(now, "ICE was not restarted in time");
        }
        if self.linger_deadline.is_some_and(|deadline| deadline <= now) {
            if self.closing == Closing::Parting {
                return self.disconnect(now);
            }
            if !self.linger(now) {
                note(Level::Info, || "the peer did not let the association end".to_owned());
                return self.disconnect(now);
            }
        }
        self.handle_media_timeout(now);
        if let Some(dtls) = &mut self.dtls
            && dtls.poll_timeout().is_some_and(|deadline| deadline <= now)
        {
            let result = dtls.handle_timeout(now);
            self.handshake_pending = true;
            self.handle_dtls_events(now);
            if let Err(error) = result {
                return self.fail(now, &format!("DTLS: {error}"));
            }
        }
        if let Some(sctp) = &mut self.sctp
            && sctp.poll_timeout().is_some_and(|deadline| deadline <= now)
        {
            let ending = matches!(sctp.state(), State::ShutdownSent | State::ShutdownAckSent);
            sctp.handle_timeout(now);
            if ending && sctp.state() == State::Closed {
                // Both ends had said that they were done; only the confirmation got lost.
                return self.disconnect(now);
            }
            self.handle_sctp_events(now);
        }
    }

    /// Fills `buffer` with datagrams to send; false when there are none.
    pub(crate) fn poll_transmit(&mut self, now: Instant, buffer: &mut TransmitBuffer) -> bool {
        buffer.clear();
        // DTLS waits for a path: what is sent earlier is lost.
        if !self.ice_connected {
            return false;
        }
        self.media.transmit(buffer);
        if !buffer.is_empty() {
            return true;
        }
        if self.goodbye {
            self.transmit_packets(now, buffer);
            if buffer.is_empty()
                && let Some(dtls) = &mut self.dtls
            {
                dtls.close(now);
                self.goodbye = false;
                self.handshake_pending = true;
            }
        }
        self.transmit_handshake(buffer);
        if !self.is_closed() {
            self.transmit_packets(now, buffer);
        }
        !buffer.is_empty()
    }

    fn transmit_handshake(&mut self, buffer: &mut TransmitBuffer) {
        while self.handshake_pending
            && let Some(room) = buffer.room(self.config.mtu)
        {
            let datagram = &mut self.handshake_datagram;
            self.handshake_pending =
                self.dtls.as_mut().is_some_and(|dtls| dtls.poll_transmit(datagram));
            if self.handshake_pending
                && let Some(room) = room.get_mut(..datagram.len())
            {
                room.copy_from_slice(datagram);
                buffer.push(datagram.len());
            }
        }
    }

    fn transmit_packets(&mut self, now: Instant, buffer: &mut TransmitBuffer) {
        let (Some(dtls), Some(sctp)) = (&mut self.dtls, &mut self.sctp) else { return };
        if !self.dtls_connected || !self.authenticated {
            return;
        }
        let (head, tail) = (self.overhead.head, self.overhead.tail);
        let mtu = self.config.mtu.max(self.max_mtu);
        while let Some(record) = buffer.room(mtu) {
            let room = record.get_mut(head..mtu.saturating_sub(tail));
            let Some(packet) = room.and_then(|room| sctp.poll_transmit(now, room)) else { return };
            let Some(record) = record.get_mut(..head + packet + tail) else { return };
            match dtls.seal(record) {
                Ok(length) => buffer.push(length),
                Err(error) => {
                    return note(Level::Warn, || {
                        format!("a packet could not be protected: {error}")
                    });
                }
            }
        }
    }
}
