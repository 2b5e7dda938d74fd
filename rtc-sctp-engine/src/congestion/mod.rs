//! Congestion control: how many bytes may be in flight.

mod cubic;
mod hystart;
mod loss_rate;
mod pacer;
mod reno;

use cubic::Cubic;
pub(crate) use pacer::Pacer;
use reno::Reno;

use crate::CongestionControl;
use crate::clock::Nanos;
use crate::serial::Tsn;

/// What an acknowledgement says to the controller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckSample {
    pub(crate) now: Nanos,
    /// Payload bytes newly acknowledged.
    pub(crate) acked: usize,
    /// Send time of the most recently sent chunk among them.
    pub(crate) sent_at: Nanos,
    pub(crate) highest_acked: Tsn,
    pub(crate) next_tsn: Tsn,
    /// Whether the window was what limited sending.
    pub(crate) window_limited: bool,
    /// Round-trip time of the newest chunk, when it was sent only once.
    pub(crate) rtt: Option<Nanos>,
    pub(crate) srtt: Nanos,
    pub(crate) min_rtt: Nanos,
}

/// What a loss says to the controller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossSample {
    pub(crate) now: Nanos,
    /// Payload bytes newly taken for lost.
    pub(crate) lost: usize,
    /// Send time of the most recently sent chunk among them.
    pub(crate) sent_at: Nanos,
    pub(crate) min_rtt: Nanos,
}

/// The windows of a controller, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) cwnd: usize,
    pub(crate) ssthresh: usize,
}

/// The controller of one association.
#[derive(Clone, Debug)]
pub(crate) enum Controller {
    Reno(Reno),
    Cubic(Cubic),
}

impl Controller {
    /// `segment` is the payload of a full packet, `initial` the first window, both in bytes.
    pub(crate) fn new(kind: CongestionControl, segment: usize, initial: usize) -> Self {
        let windows = Windows { cwnd: initial.max(segment), ssthresh: usize::MAX };
        match kind {
            CongestionControl::Rfc9260 => Controller::Reno(Reno::new(segment, windows)),
            CongestionControl::Cubic => Controller::Cubic(Cubic::new(segment, windows, false)),
            CongestionControl::Adaptive => Controller::Cubic(Cubic::new(segment, windows, true)),
        }
    }

    pub(crate) fn windows(&self) -> Windows {
        match self {
            Controller::Reno(c) => c.windows(),
            Controller::Cubic(c) => c.windows(),
        }
    }

    pub(crate) fn on_ack(&mut self, sample: &AckSample) {
        match self {
            Controller::Reno(c) => c.on_ack(sample),
            Controller::Cubic(c) => c.on_ack(sample),
        }
    }

    /// Returns true when the window was reduced.
    pub(crate) fn on_loss(&mut self, sample: &LossSample) -> bool {
        match self {
            Controller::Reno(c) => c.on_loss(sample),
            Controller::Cubic(c) => c.on_loss(sample),
        }
    }

    /// The retransmission timer expired.
    pub(crate) fn on_timeout(&mut self, now: Nanos) {
        match self {
            Controller::Reno(c) => c.on_timeout(now),
            Controller::Cubic(c) => c.on_timeout(now),
        }
    }

    /// Nothing was sent for `timeouts` retransmission time-outs (RFC 9260 §7.2.1).
    pub(crate) fn on_idle(&mut self, timeouts: u32) {
        match self {
            Controller::Reno(c) => c.on_idle(timeouts),
            Controller::Cubic(c) => c.on_idle(timeouts),
        }
    }

    /// The last reduction turned out to be without cause.
    pub(crate) fn undo(&mut self, before: Windows) {
        match self {
            Controller::Reno(c) => c.undo(before),
            Controller::Cubic(c) => c.undo(before),
        }
    }
}
