//! The association: everything the user of the engine calls.

mod data;
mod ending;
mod handshake;
mod heartbeat;
mod path_mtu;
mod receive;
mod reset;
mod timers;
mod transmit;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::clock::{Clock, Nanos, nanos};
use crate::cookie::CookieJar;
use crate::inbound::{InStreams, Reassembly, TsnTracker};
use crate::outbound::{Outbound, ResetStage, duration};
use crate::random::Random;
use crate::serial;
use crate::{Config, Event, FailureReason, Message, Metrics, SendError, SendOptions, State};
use heartbeat::Heartbeat;
use path_mtu::PathMtu;
use reset::Resets;

/// Smallest packet size worked with: the least IP requires (RFC 9260 §7.3), less headers.
const MIN_MTU: usize = 508;
/// Largest receive buffer and message, whatever the configuration says: one gibibyte.
const MAX_RECEIVE: usize = 1 << 30;
/// Most room beside a message of the largest size, bytes. Without any its last part would find the
/// window closed until the peer's time-out, and with little the next message would have to wait for
/// its acknowledgement.
const MAX_BESIDE: usize = 1 << 20;
/// Prebuilt answers kept until they are sent; a flood of causes gets no more than this.
const MAX_REPLIES: usize = 8;

/// When the next SACK goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AckDue {
    #[default]
    No,
    At(Nanos),
    Now,
}

/// What the peer must be told besides DATA, INIT and COOKIE-ECHO.
#[derive(Debug, Default)]
struct Pending {
    /// Whole packets: INIT-ACK and answers to packets of no association.
    replies: VecDeque<Vec<u8>>,
    init: bool,
    cookie_echo: bool,
    cookie_ack: bool,
    /// HEARTBEAT-ACK contents.
    echoes: VecDeque<Vec<u8>>,
    /// Error causes.
    errors: VecDeque<(u16, Vec<u8>)>,
    shutdown: bool,
    shutdown_ack: bool,
    shutdown_complete: bool,
    abort: Option<(u16, Vec<u8>)>,
}

/// A timer that backs off: T1 of the handshake, T2 of the shutdown (RFC 9260 §5.1, §9.2).
#[derive(Clone, Copy, Debug, Default)]
struct Backoff {
    at: Option<Nanos>,
    expirations: u32,
}

/// Counters for `Metrics`.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    packets_sent: u64,
    packets_received: u64,
    packets_dropped: u64,
    bytes_received: u64,
    duplicates: u64,
}

/// One SCTP association over one path.
#[derive(Debug)]
pub struct Association {
    config: Config,
    mtu: usize,
    clock: Clock,
    random: Random,
    jar: CookieJar,
    state: State,
    /// Ended for good: nothing is sent or accepted any more.
    over: bool,
    local_tag: u32,
    local_tsn: u32,
    peer_tag: u32,
    /// Our INIT or INIT-ACK said that we accept packets without a checksum.
    accepts_zero_checksum: bool,
    /// The peer said so, and we want to use it.
    sends_zero_checksum: bool,
    interleaving: bool,
    peer_reconfigures: bool,
    streams: Option<(u16, u16)>,
    cookie: Vec<u8>,
    handshake: Backoff,
    /// Cookies of the peer that it found stale when they came back.
    stale_cookies: u32,
    ending: Backoff,
    heartbeat: Heartbeat,
    path_mtu: PathMtu,
    resets: Resets,
    /// Consecutive time-outs without a sign of life (RFC 9260 §8.1).
    errors: u32,
    pending: Pending,
    tracker: TsnTracker,
    reassembly: Reassembly,
    inbound: InStreams,
    receive_limit: usize,
    /// The window told to the peer last.
    advertised: usize,
    /// How many bytes of payload the peer may send in all by what it was told.
    promised: u64,
    ack: AckDue,
    unacked_packets: u32,
    gaps: Vec<(u16, u16)>,
    outbound: Outbound,
    counters: Counters,
    events: VecDeque<Event>,
}

impl Association {
    /// A closed association. `seed` must be unpredictable and never used twice: verification tags,
    /// initial TSNs and the key of the state cookie derive from it.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut random = Random::new(&seed);
        let mtu = config.mtu.clamp(MIN_MTU, usize::from(u16::MAX)) & !3;
        let max_mtu = config.max_mtu.min(usize::from(u16::MAX)) & !3;
        let max_message_size = config.max_message_size.clamp(1, MAX_RECEIVE);
        let beside = (max_message_size / 8).clamp(4 * mtu, MAX_BESIDE);
        let receive_limit =
            config.receive_buffer.max(max_message_size.saturating_add(beside)).min(MAX_RECEIVE);
        let (local_tag, local_tsn) = (random.tag(), random.next_u32());
        Self {
            mtu,
            clock: Clock::default(),
            jar: CookieJar::new(&seed),
            state: State::Closed,
            over: false,
            local_tag,
            local_tsn,
            peer_tag: 0,
            accepts_zero_checksum: false,
            sends_zero_checksum: false,
            interleaving: false,
            peer_reconfigures: false,
            streams: None,
            cookie: Vec::new(),
            handshake: Backoff::default(),
            stale_cookies: 0,
            ending: Backoff::default(),
            heartbeat: Heartbeat::default(),
            path_mtu: PathMtu::new(mtu, max_mtu),
            resets: Resets::new(local_tsn),
            errors: 0,
            pending: Pending::default(),
            tracker: TsnTracker::new(serial::first(0)),
            reassembly: Reassembly::new(max_message_size, receive_limit, config.message_buffer),
            inbound: InStreams::default(),
            receive_limit,
            advertised: receive_limit,
            promised: receive_limit as u64,
            ack: AckDue::No,
            unacked_packets: 0,
            gaps: Vec::new(),
            outbound: Outbound::new(&config, mtu, local_tsn),
            counters: Counters::default(),
            events: VecDeque::new(),
            random,
            config,
        }
    }

    /// Starts the handshake. Both peers may call it: a simultaneous open is the normal case.
    /// Without effect when the association is already being set up, is up, or is over.
    pub fn connect(&mut self, now: Instant) {
        let now = self.clock.read(now);
        if self.state == State::Closed && !self.over {
            self.start_handshake(now);
        }
    }

    /// Our INIT chunk, header included, for an `a=sctp-init` attribute (SNAP,
    /// draft-hancke-tsvwg-snap). Only useful when the peer's comes back to
    /// [`Self::connect_with_init`].
    pub fn local_init(&mut self) -> Vec<u8> {
        self.init_for_signaling()
    }

    /// Connects at once, without a handshake, to a peer that got [`Self::local_init`] through
    /// signaling and whose own INIT chunk is `peer_init`. Returns false, and does nothing, when
    /// that is no usable INIT chunk or the association has begun otherwise.
    pub fn connect_with_init(&mut self, now: Instant, peer_init: &[u8]) -> bool {
        let now = self.clock.read(now);
        self.adopt_signaled_init(now, peer_init)
    }

    /// Takes one SCTP packet, as decrypted. Bad packets are counted and dropped.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        let now = self.clock.read(now);
        if self.receive_packet(now, packet) {
            self.counters.packets_received += 1;
        } else {
            self.counters.packets_dropped += 1;
        }
    }

    /// Takes a batch of packets. Acknowledgements are decided when the batch is through, by
    /// `poll_transmit`.
    pub fn handle_packets<'a>(
        &mut self,
        now: Instant,
        packets: impl IntoIterator<Item = &'a [u8]>,
    ) {
        for packet in packets {
            self.handle_packet(now, packet);
        }
    }

    /// Acts on timers that are due. Early and late calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.read(now);
        self.expire(now);
    }

    /// When `handle_timeout` (followed by `poll_transmit`) should be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_deadline().and_then(|at| self.clock.instant(at))
    }

    /// Writes one packet to the start of `buf` and returns its length; `None` when there is nothing
    /// to send now. `buf` must hold `Config::mtu` bytes, or `Config::max_mtu` where that is more.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<usize> {
        let now = self.clock.read(now);
        let length = self.write_packet(now, buf)?;
        self.counters.packets_sent += 1;
        Some(length)
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| self.outbound.queue.take_space().map(Event::BufferSpace))
    }

    /// Queues a message. The bytes are shared, not copied, until they are written into packets.
    /// Messages sent before the association is connected wait for it.
    pub fn send(
        &mut self,
        now: Instant,
        stream: u16,
        ppid: u32,
        options: SendOptions,
        data: Bytes,
    ) -> Result<(), SendError> {
        let now = self.clock.read(now);
        let open = matches!(
            self.state,
            State::Closed | State::CookieWait | State::CookieEchoed | State::Established
        );
        if self.over || !open {
            return Err(SendError::Closed);
        }
        if data.is_empty() {
            return Err(SendError::Empty);
        }
        let outbound_streams = self.streams.map_or(self.config.outbound_streams, |(_, out)| out);
        if stream >= outbound_streams {
            return Err(SendError::InvalidStream);
        }
        if self.outbound.queue.reset_stage(stream) != ResetStage::None {
            return Err(SendError::StreamResetting);
        }
        if self.is_full(stream, data.len()) || u32::try_from(data.len()).is_err() {
            return Err(SendError::BufferFull);
        }
        self.outbound.queue.push(now, stream, ppid, options, data);
        Ok(())
    }

    /// Whether the send buffer has no room for a message of `size` bytes on this stream.
    fn is_full(&self, stream: u16, size: usize) -> bool {
        let queue = &self.outbound.queue;
        let all = queue.queued().saturating_add(size);
        let own = queue.stream_queued(stream);
        let share = self.config.stream_share.min(self.config.send_buffer);
        let large = own > 0 && own.saturating_add(size) > share && all > self.config.send_buffer;
        large || (queue.queued() > 0 && queue.count() >= self.config.max_chunks_on_queue)
    }

    /// The next complete message of the stream. Messages not read keep the receive window closed;
    /// reading them may make a packet due, so `poll_transmit` should be called afterwards.
    pub fn read(&mut self, stream: u16) -> Option<Message> {
        let message = self.inbound.read(stream)?;
        self.note_window_opened();
        Some(message)
    }

    /// Bytes accepted by `send`, neither acknowledged nor abandoned.
    pub fn queued(&self) -> usize {
        self.outbound.queue.queued()
    }

    /// Bytes sent and neither acknowledged nor taken for lost.
    pub fn in_flight(&self) -> usize {
        self.outbound.in_flight()
    }

    /// The part of [`Self::queued`] that belongs to the stream.
    pub fn stream_queued(&self, stream: u16) -> usize {
        self.outbound.queue.stream_queued(stream)
    }

    /// Resets our direction of the stream (RFC 6525) once everything queued on it is acknowledged.
    /// Ends with [`Event::StreamResetDone`] or [`Event::StreamResetFailed`]; until then the stream
    /// takes no messages.
    pub fn reset_stream(&mut self, now: Instant, stream: u16) {
        let now = self.clock.read(now);
        self.want_reset(now, stream);
    }

    /// Whether a reset of our direction of the stream was asked for and is not complete.
    pub fn is_resetting(&self, stream: u16) -> bool {
        self.outbound.queue.reset_stage(stream) != ResetStage::None
    }

    /// Ends the association after everything queued is acknowledged.
    pub fn shutdown(&mut self, now: Instant) {
        let now = self.clock.read(now);
        self.begin_shutdown(now);
    }

    /// Ends the association at once with an ABORT that carries `reason`. The ABORT is the last
    /// packet `poll_transmit` returns.
    pub fn abort(&mut self, now: Instant, reason: &str) {
        self.clock.read(now);
        self.abort_as_user(reason);
    }

    /// Largest packet that the path is known to carry, bytes: `Config::mtu`, or more once a search
    /// up to `Config::max_mtu` has found so.
    pub fn packet_size(&self) -> usize {
        self.path_mtu.current()
    }

    /// Says that packets take another path now: what is known of its MTU holds no longer.
    pub fn path_changed(&mut self, now: Instant) {
        let now = self.clock.read(now);
        if self.state == State::Established {
            self.start_path_mtu(now);
        }
    }

    /// Where the association is in its life.
    pub fn state(&self) -> State {
        self.state
    }

    /// Inbound and outbound streams agreed on, once known.
    pub fn negotiated_streams(&self) -> Option<(u16, u16)> {
        self.streams
    }

    /// Figures of the association.
    pub fn metrics(&self) -> Metrics {
        let windows = self.outbound.windows();
        let sent = &self.outbound.counters;
        Metrics {
            cwnd: windows.cwnd,
            ssthresh: windows.ssthresh,
            srtt: duration(self.outbound.rtt.srtt()),
            min_rtt: duration(self.outbound.rtt.min()),
            rto: duration(self.outbound.rtt.rto()),
            in_flight: self.outbound.in_flight(),
            peer_window: self.outbound.peer_window_left(),
            receive_buffered: self.receive_used(),
            packet_size: self.packet_size(),
            packets_sent: self.counters.packets_sent,
            packets_received: self.counters.packets_received,
            packets_dropped: self.counters.packets_dropped,
            bytes_sent: sent.bytes_sent,
            bytes_received: self.counters.bytes_received,
            retransmitted: sent.retransmitted,
            spurious_retransmits: sent.spurious,
            duplicates_received: self.counters.duplicates,
            timeouts: sent.timeouts,
            abandoned_messages: self.outbound.queue.abandoned(),
        }
    }

    /// Ends the association and says why. Nothing is kept but what can still be read.
    fn end(&mut self, event: Event) {
        if self.over {
            return;
        }
        self.over = true;
        self.state = State::Closed;
        self.outbound.restart(self.local_tsn);
        self.handshake = Backoff::default();
        self.ending = Backoff::default();
        self.heartbeat = Heartbeat::default();
        self.resets = Resets::new(self.local_tsn);
        self.ack = AckDue::No;
        let pending = std::mem::take(&mut self.pending);
        self.pending.abort = pending.abort;
        self.pending.shutdown_complete = pending.shutdown_complete;
        self.events.push_back(event);
    }

    fn fail(&mut self, reason: FailureReason) {
        self.end(Event::Failed(reason));
    }

    /// Counts a time-out and gives up after too many in a row (RFC 9260 §8.1).
    fn count_error(&mut self) {
        self.errors += 1;
        if self.errors > self.config.max_retransmits {
            self.fail(FailureReason::MaxRetransmits);
        }
    }

    fn reply(&mut self, packet: Vec<u8>) {
        if self.pending.replies.len() < MAX_REPLIES {
            self.pending.replies.push_back(packet);
        }
    }

    fn ports(&self) -> (u16, u16) {
        (self.config.local_port, self.config.remote_port)
    }

    fn is_connected(&self) -> bool {
        !matches!(self.state, State::Closed | State::CookieWait | State::CookieEchoed)
    }

    fn heartbeat_interval(&self) -> Nanos {
        nanos(self.config.heartbeat_interval)
    }
}
