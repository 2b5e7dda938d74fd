//! Spreading packets over time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Context, Handler};
use crate::Message;

/// Bytes that wait at most; what goes beyond is dropped.
const MAX_BYTES: usize = 64 << 20;

/// Lets packets out at a bitrate, as much at a time as fits into one interval.
#[derive(Debug)]
pub struct Pacing {
    bytes_per_second: f64,
    interval: Duration,
    queue: VecDeque<Message>,
    bytes: usize,
    /// Bytes that may go out; one packet may overdraw it.
    budget: f64,
    updated: Option<Instant>,
}

impl Pacing {
    /// `None` unless both are positive.
    pub fn new(bits_per_second: f64, interval: Duration) -> Option<Self> {
        let is_sensible =
            bits_per_second.is_finite() && bits_per_second > 0.0 && !interval.is_zero();
        is_sensible.then(|| Self {
            bytes_per_second: bits_per_second / 8.0,
            interval,
            queue: VecDeque::new(),
            bytes: 0,
            budget: 0.0,
            updated: None,
        })
    }

    /// Moves what may go out from the queue to `batch`.
    fn release(&mut self, now: Instant, batch: &mut Vec<Message>) {
        let most = self.interval.as_secs_f64() * self.bytes_per_second;
        let earned = match self.updated.replace(now) {
            Some(updated) => {
                now.saturating_duration_since(updated).as_secs_f64() * self.bytes_per_second
            }
            None => most,
        };
        self.budget = (self.budget + earned).min(most);
        while self.budget > 0.0 {
            let Some(message) = self.queue.pop_front() else { return };
            self.budget -= message.data.len() as f64;
            self.bytes -= message.data.len();
            batch.push(message);
        }
    }
}

impl Handler for Pacing {
    fn outgoing(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        for message in batch.drain(..) {
            if self.bytes + message.data.len() > MAX_BYTES {
                context.output.dropped += 1;
                continue;
            }
            self.bytes += message.data.len();
            self.queue.push_back(message);
        }
        self.release(context.now.instant, batch);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let updated = self.updated.filter(|_| !self.queue.is_empty())?;
        // Until an interval has gone by, and until a debt is paid.
        let debt = (-self.budget).max(0.0) / self.bytes_per_second;
        let debt = Duration::try_from_secs_f64(debt).unwrap_or(Duration::MAX);
        updated.checked_add(self.interval.max(debt.saturating_add(Duration::from_nanos(1))))
    }

    fn handle_timeout(
        &mut self,
        _: &mut Vec<Message>,
        outgoing: &mut Vec<Message>,
        context: &mut Context<'_>,
    ) {
        if self.poll_timeout().is_some_and(|due| context.now.instant >= due) {
            self.release(context.now.instant, outgoing);
        }
    }
}
