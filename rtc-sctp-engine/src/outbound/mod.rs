//! The sending half: messages waiting, chunks outstanding, loss recovery and congestion control.

mod acknowledge;
mod outstanding;
mod packet_size;
mod queue;
mod rack;
mod rtt;
mod timers;
mod transmit;

use outstanding::Outstanding;
use packet_size::LargePackets;
pub(crate) use queue::{ResetStage, SendQueue};
use rack::Rack;
pub(crate) use rtt::{RttEstimator, duration};
pub(crate) use timers::Expiry;

use crate::clock::Nanos;
use crate::congestion::{Controller, Pacer, Windows};
use crate::serial::{self, Tsn};
use crate::wire::{COMMON_HEADER, DATA_HEADER, I_DATA_HEADER};
use crate::{Config, CongestionControl};

/// A reduction of the window that can be taken back while every retransmission since is
/// reported as a duplicate (the idea of RFC 3522).
#[derive(Clone, Copy, Debug)]
struct Undo {
    before: Windows,
    /// Retransmissions not reported as duplicates.
    unproven: u32,
    retransmitted: bool,
    /// The episode ends when this TSN is acknowledged.
    end: Tsn,
}

/// Counters for `Metrics`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) bytes_sent: u64,
    pub(crate) retransmitted: u64,
    pub(crate) spurious: u64,
    pub(crate) timeouts: u64,
}

/// The sending half of an association.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) queue: SendQueue,
    pub(crate) rtt: RttEstimator,
    pub(crate) counters: Counters,
    outstanding: Outstanding,
    rack: Rack,
    controller: Controller,
    kind: CongestionControl,
    pacer: Pacer,
    undo: Option<Undo>,
    segment: usize,
    mtu: usize,
    large: LargePackets,
    initial_window: usize,
    burst: usize,
    /// Receive window the peer advertised last.
    peer_window: usize,
    peer_forwards: bool,
    interleaving: bool,
    /// Everything up to here is acknowledged or given up (RFC 3758 §3.5).
    advanced: Tsn,
    forward_due: bool,
    /// Sends at least one chunk although the windows forbid it: a fast retransmission, a tail
    /// loss probe or a zero window probe.
    credit: bool,
    /// The next chunk sent asks for an immediate acknowledgement.
    immediate: bool,
    /// The tail loss probe of this flight was used.
    probed: bool,
    /// Chunks below this TSN were sent while the congestion window or pacing held others back.
    limited_below: Tsn,
    /// A chunk sent into a closed window.
    window_probe: Option<Tsn>,
    retransmit_at: Option<Nanos>,
    reorder_at: Option<Nanos>,
    probe_at: Option<Nanos>,
    paced_until: Option<Nanos>,
    last_sent: Nanos,
}

impl Outbound {
    pub(crate) fn new(config: &Config, mtu: usize, initial_tsn: u32) -> Self {
        let initial = serial::first(initial_tsn);
        let segment = mtu - COMMON_HEADER - DATA_HEADER;
        let initial_window = segment.saturating_mul(config.initial_cwnd_mtus.max(1) as usize);
        let burst = segment.saturating_mul(config.max_burst as usize);
        Self {
            queue: SendQueue::default(),
            rtt: RttEstimator::new(config),
            counters: Counters::default(),
            outstanding: Outstanding::new(initial),
            rack: Rack::default(),
            controller: Controller::new(config.congestion_control, segment, initial_window),
            kind: config.congestion_control,
            pacer: Pacer::new(burst),
            undo: None,
            segment,
            mtu,
            large: LargePackets::default(),
            initial_window,
            burst,
            peer_window: 0,
            peer_forwards: false,
            interleaving: false,
            advanced: initial - 1,
            forward_due: false,
            credit: false,
            immediate: false,
            probed: false,
            limited_below: 0,
            window_probe: None,
            retransmit_at: None,
            reorder_at: None,
            probe_at: None,
            paced_until: None,
            last_sent: 0,
        }
    }

    /// What the handshake told about the peer.
    pub(crate) fn set_peer(&mut self, window: u32, forwards: bool, interleaving: bool) {
        self.peer_window = window as usize;
        self.peer_forwards = forwards;
        self.interleaving = interleaving;
        self.queue.set_interleaving(interleaving, window as usize);
        let header = if interleaving { I_DATA_HEADER } else { DATA_HEADER };
        self.segment = self.mtu - COMMON_HEADER - header;
    }

    /// Starts over with a new initial TSN; what was outstanding is dropped, what waits stays only
    /// when nothing was sent yet.
    pub(crate) fn restart(&mut self, initial_tsn: u32) {
        let initial = serial::first(initial_tsn);
        self.queue.clear();
        self.outstanding = Outstanding::new(initial);
        self.rack = Rack::default();
        self.controller = Controller::new(self.kind, self.segment, self.initial_window);
        self.pacer = Pacer::new(self.burst);
        self.undo = None;
        self.large = LargePackets::default();
        self.advanced = initial - 1;
        self.forward_due = false;
        self.credit = false;
        self.immediate = false;
        self.probed = false;
        self.limited_below = 0;
        self.window_probe = None;
        self.stop_timers();
    }

    /// Whether everything accepted was acknowledged or given up, and the peer knows.
    pub(crate) fn is_drained(&self) -> bool {
        self.outstanding.is_empty() && !self.queue.has_waiting()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.outstanding.in_flight()
    }

    /// Bytes the peer's receive window still has room for.
    pub(crate) fn peer_window_left(&self) -> usize {
        self.peer_window.saturating_sub(self.outstanding.in_flight())
    }

    pub(crate) fn windows(&self) -> Windows {
        self.controller.windows()
    }

    /// The TSN given out last, on the wire.
    pub(crate) fn last_tsn(&self) -> u32 {
        (self.outstanding.next_tsn() - 1) as u32
    }

    fn in_slow_start(&self) -> bool {
        let Windows { cwnd, ssthresh } = self.controller.windows();
        cwnd < ssthresh
    }
}
