//! The SCTP role (RFC 9260): what the peer core needs of an association, as a state machine that
//! takes packets and writes packets, so that one engine can replace another.
//!
//! Batches: any number of packets is handed in before the answers are asked for, and each packet is
//! written where it is encrypted and sent from, one after the other until there are no more.

use std::time::{Duration, Instant};

use bytes::Bytes;
pub(crate) use rtc_sctp_engine::{Event, Message, SendError, SendOptions, State};

use crate::channel::buffers;
use crate::config::{CongestionControl, SctpSettings};

/// Bytes that a stream may have in the send buffer however full the others made it.
pub(crate) const STREAM_SHARE: usize = 64 * 1024;

/// One association.
pub(crate) trait Association: Send {
    /// Begins the handshake; both peers do (RFC 8841 §9.3).
    fn connect(&mut self, now: Instant);
    /// Our INIT chunk, to be signaled; equal for equal configurations and seeds.
    fn local_init(&mut self) -> Vec<u8>;
    /// Connects without a handshake to a peer that has [`Self::local_init`] and signaled its own;
    /// false, with nothing done, when that is no INIT chunk.
    fn connect_with_init(&mut self, now: Instant, peer_init: &[u8]) -> bool;
    /// Takes one packet. What is wrong with it is counted, not reported.
    fn handle_packet(&mut self, now: Instant, packet: &[u8]);
    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);
    /// When [`Self::handle_timeout`] wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Writes the next packet to the start of `buffer`; `None` when there is none for now.
    fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize>;
    /// The next event, in order.
    fn poll_event(&mut self) -> Option<Event>;
    /// Queues a message; refused when the send buffer is full and the stream has its share of it.
    fn send(
        &mut self,
        now: Instant,
        stream: u16,
        ppid: u32,
        options: SendOptions,
        data: Bytes,
    ) -> Result<(), SendError>;
    /// Takes a complete message. What is not taken keeps the receive window shut.
    fn read(&mut self, stream: u16) -> Option<Message>;
    /// Bytes accepted and neither acknowledged nor abandoned.
    fn queued(&self) -> usize;
    /// Bytes sent and neither acknowledged nor taken for lost.
    fn in_flight(&self) -> usize;
    /// Resets our direction of a stream behind what is queued on it (RFC 6525).
    fn reset_stream(&mut self, now: Instant, stream: u16);
    /// Whether such a reset is not complete.
    fn is_resetting(&self, stream: u16) -> bool;
    /// Ends the association behind everything queued.
    fn shutdown(&mut self, now: Instant);
    /// Ends the association at once.
    fn abort(&mut self, now: Instant, reason: &str);
    /// Where the association is in its life.
    fn state(&self) -> State;
    /// Numbers of streams in and out, once known.
    fn negotiated_streams(&self) -> Option<(u16, u16)>;
    /// Figures of the association at this moment.
    fn metrics(&self) -> AssociationMetrics;
    /// The part of [`Self::queued`] that belongs to the stream.
    fn stream_queued(&self, stream: u16) -> usize;
    /// Says that packets take another path now, whose MTU is not known.
    fn path_changed(&mut self, now: Instant);
}

/// Figures of an SCTP association at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssociationMetrics {
    /// Congestion window, bytes of payload.
    pub congestion_window: usize,
    /// Slow start threshold, bytes of payload; `None` before the first congestion event.
    pub slow_start_threshold: Option<usize>,
    /// Smoothed round-trip time; `None` before the first measurement.
    pub round_trip_time: Option<Duration>,
    /// Smallest round-trip time of the last half minute; `None` before the first measurement.
    pub min_round_trip_time: Option<Duration>,
    /// Retransmission time-out.
    pub retransmission_timeout: Duration,
    /// Payload sent, and neither acknowledged nor taken for lost, bytes.
    pub in_flight: usize,
    /// Payload accepted for sending, and neither acknowledged nor given up, bytes.
    pub queued: usize,
    /// What the peer's receive window has room for, bytes.
    pub peer_window: usize,
    /// Payload received that no channel has taken yet, bytes.
    pub receive_buffered: usize,
    /// Packets sent, and packets received and processed.
    pub packets: (u64, u64),
    /// Payload sent, retransmissions included, and payload received, duplicates excluded, bytes.
    pub bytes: (u64, u64),
    /// Largest SCTP packet that the path is known to carry, bytes.
    pub packet_size: usize,
    /// DATA chunks sent again.
    pub retransmitted: u64,
    /// Of these the ones that the peer had already, as it reported.
    pub spurious_retransmits: u64,
    /// Times that the retransmission timer expired.
    pub timeouts: u64,
    /// Messages given up under their limits of time or retransmissions.
    pub abandoned_messages: u64,
}

/// What an association is opened with, besides its tuning.
pub(crate) struct AssociationConfig<'a> {
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    /// Largest packet, in bytes.
    pub(crate) mtu: usize,
    /// Largest packet that the path is probed for, in bytes; none is up to `mtu`.
    pub(crate) max_mtu: usize,
    /// Largest message that is received whole, in bytes.
    pub(crate) max_message_size: usize,
    /// Streams in each direction.
    pub(crate) streams: u16,
    pub(crate) settings: &'a SctpSettings,
}

/// Opens an association of the engine in use; `seed` feeds its tags and cookies.
pub(crate) fn open(config: &AssociationConfig<'_>, seed: [u8; 32]) -> Box<dyn Association> {
    Box::new(rtc_sctp_engine::Association::new(engine_config(config), seed))
}

fn engine_config(config: &AssociationConfig<'_>) -> rtc_sctp_engine::Config {
    let settings = config.settings;
    let congestion_control = match settings.congestion_control {
        None => rtc_sctp_engine::CongestionControl::default(),
        Some(CongestionControl::Rfc9260) => rtc_sctp_engine::CongestionControl::Rfc9260,
        Some(CongestionControl::Cubic) => rtc_sctp_engine::CongestionControl::Cubic,
        Some(CongestionControl::Adaptive) => rtc_sctp_engine::CongestionControl::Adaptive,
    };
    // Every field by name: what the engine offers and a connection does not use is said here.
    rtc_sctp_engine::Config {
        local_port: config.local_port,
        remote_port: config.remote_port,
        mtu: config.mtu,
        max_mtu: config.max_mtu,
        max_message_size: config.max_message_size,
        receive_buffer: settings.receive_buffer.max(config.max_message_size),
        send_buffer: settings.send_buffer,
        stream_share: STREAM_SHARE,
        max_chunks_on_queue: settings.max_chunks_on_queue,
        initial_cwnd_mtus: settings.initial_congestion_window,
        max_burst: settings.max_burst,
        congestion_control,
        delayed_sack: settings.delayed_sack,
        rto_min: settings.rto_min,
        rto_max: settings.rto_max,
        rto_initial: settings.rto_initial,
        max_retransmits: settings.max_retransmits,
        heartbeat_interval: settings.heartbeat_interval,
        outbound_streams: config.streams,
        max_inbound_streams: config.streams,
        // Offered to those who show that they know it: some old peers refuse an INIT that has it.
        zero_checksum: rtc_sctp_engine::ZeroChecksum::WhenPeerOffers,
        // Or a large message would keep the small ones of other channels waiting.
        interleaving: true,
        message_buffer: buffers::empty,
    }
}

impl Association for rtc_sctp_engine::Association {
    fn connect(&mut self, now: Instant) {
        self.connect(now);
    }

    fn local_init(&mut self) -> Vec<u8> {
        self.local_init()
    }

    fn connect_with_init(&mut self, now: Instant, peer_init: &[u8]) -> bool {
        self.connect_with_init(now, peer_init)
    }

    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.handle_packet(now, packet);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize> {
        self.poll_transmit(now, buffer)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    fn send(
        &mut self,
        now: Instant,
        stream: u16,
        ppid: u32,
        options: SendOptions,
        data: Bytes,
    ) -> Result<(), SendError> {
        self.send(now, stream, ppid, options, data)
    }

    fn read(&mut self, stream: u16) -> Option<Message> {
        self.read(stream)
    }

    fn queued(&self) -> usize {
        self.queued()
    }

    fn in_flight(&self) -> usize {
        self.in_flight()
    }

    fn reset_stream(&mut self, now: Instant, stream: u16) {
        self.reset_stream(now, stream);
    }

    fn is_resetting(&self, stream: u16) -> bool {
        self.is_resetting(stream)
    }

    fn shutdown(&mut self, now: Instant) {
        self.shutdown(now);
    }

    fn abort(&mut self, now: Instant, reason: &str) {
        self.abort(now, reason);
    }

    fn state(&self) -> State {
        self.state()
    }

    fn negotiated_streams(&self) -> Option<(u16, u16)> {
        self.negotiated_streams()
    }

    fn metrics(&self) -> AssociationMetrics {
        let figures = self.metrics();
        let measured = |time: Duration| (!time.is_zero()).then_some(time);
        AssociationMetrics {
            congestion_window: figures.cwnd,
            slow_start_threshold: (figures.ssthresh != usize::MAX).then_some(figures.ssthresh),
            round_trip_time: measured(figures.srtt),
            min_round_trip_time: measured(figures.min_rtt),
            retransmission_timeout: figures.rto,
            in_flight: figures.in_flight,
            queued: self.queued(),
            peer_window: figures.peer_window,
            receive_buffered: figures.receive_buffered,
            packets: (figures.packets_sent, figures.packets_received),
            bytes: (figures.bytes_sent, figures.bytes_received),
            packet_size: figures.packet_size,
            retransmitted: figures.retransmitted,
            spurious_retransmits: figures.spurious_retransmits,
            timeouts: figures.timeouts,
            abandoned_messages: figures.abandoned_messages,
        }
    }

    fn stream_queued(&self, stream: u16) -> usize {
        self.stream_queued(stream)
    }

    fn path_changed(&mut self, now: Instant) {
        self.path_changed(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &SctpSettings) -> AssociationConfig<'_> {
        AssociationConfig {
            local_port: 1,
            remote_port: 2,
            mtu: 1003,
            max_mtu: 1004,
            max_message_size: 5,
            streams: 6,
            settings,
        }
    }

    /// Every value is another one, so that two fields in each other's place are seen.
    #[test]
    fn every_setting_reaches_the_engine_in_its_place() {
        let settings = SctpSettings {
            receive_buffer: 11,
            send_buffer: 12,
            max_chunks_on_queue: 13,
            initial_congestion_window: 14,
            max_burst: 15,
            congestion_control: None,
            delayed_sack: Duration::from_millis(16),
            rto_min: Duration::from_millis(17),
            rto_max: Duration::from_millis(18),
            rto_initial: Duration::from_millis(19),
            max_retransmits: 20,
            heartbeat_interval: Duration::from_millis(21),
        };
        let engine = engine_config(&config(&settings));
        assert_eq!((engine.local_port, engine.remote_port), (1, 2));
        assert_eq!((engine.mtu, engine.max_mtu, engine.max_message_size), (1003, 1004, 5));
        assert_eq!((engine.outbound_streams, engine.max_inbound_streams), (6, 6));
        let sizes = [engine.receive_buffer, engine.send_buffer, engine.max_chunks_on_queue];
        assert_eq!(sizes, [11, 12, 13]);
        assert_eq!([engine.initial_cwnd_mtus, engine.max_burst], [14, 15]);
        let times = [
            engine.delayed_sack,
            engine.rto_min,
            engine.rto_max,
            engine.rto_initial,
            engine.heartbeat_interval,
        ];
        assert_eq!(times.map(|time| time.as_millis()), [16, 17, 18, 19, 21]);
        assert_eq!(engine.max_retransmits, 20);
        assert!(engine.interleaving, "or large messages keep small ones waiting");
        assert_eq!(engine.stream_share, STREAM_SHARE);
        assert_eq!(engine.zero_checksum, rtc_sctp_engine::ZeroChecksum::WhenPeerOffers);
    }

    #[test]
    fn a_window_holds_the_largest_message() {
        let settings = SctpSettings { receive_buffer: 4, ..SctpSettings::default() };
        assert_eq!(engine_config(&config(&settings)).receive_buffer, 5);
    }

    #[test]
    fn each_congestion_control_is_the_engine_s() {
        use rtc_sctp_engine::CongestionControl as Engine;
        for (wanted, expected) in [
            (None, Engine::Adaptive),
            (Some(CongestionControl::Rfc9260), Engine::Rfc9260),
            (Some(CongestionControl::Cubic), Engine::Cubic),
            (Some(CongestionControl::Adaptive), Engine::Adaptive),
        ] {
            let settings = SctpSettings { congestion_control: wanted, ..SctpSettings::default() };
            let engine = engine_config(&config(&settings));
            assert_eq!(engine.congestion_control, expected, "{wanted:?}");
        }
    }
}
