//! The wire between two hosts: it has a rate, a delay and a queue, and it loses packets.

use crate::sys;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an idle wire sleeps before it looks whether to stop.
const IDLE: Duration = Duration::from_millis(20);

/// Larger than any packet of the interfaces.
const LARGEST: usize = 4096;

/// What a wire does to packets, the same in both directions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quality {
    /// Packets lost of a hundred, at random.
    pub(super) loss: f64,
    /// There and back, without a queue.
    pub(super) round_trip: Duration,
    /// Megabits a second, IP headers included.
    pub(super) rate: f64,
}

impl Quality {
    /// How long a packet occupies the wire.
    fn occupancy(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 * 8.0 / (self.rate * 1e6))
    }
}

/// A wire, until dropped.
pub(super) struct Wire {
    stop: Arc<AtomicBool>,
    carried: Arc<AtomicU64>,
    carrier: Option<JoinHandle<()>>,
}

impl Wire {
    /// Connects two TUN interfaces.
    pub(super) fn new(ends: [File; 2], quality: Quality, seed: u64) -> Self {
        let (stop, carried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), carried.clone());
        let carrier = std::thread::spawn(move || carry(&ends, quality, seed, &stopped, &count));
        Self { stop, carried, carrier: Some(carrier) }
    }

    /// Packets delivered so far.
    pub(super) fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(carrier) = self.carrier.take() {
            let _ = carrier.join();
        }
    }
}

/// Packets on their way in one direction, in the order of their arrival.
struct Direction {
    quality: Quality,
    under_way: VecDeque<(Instant, Vec<u8>)>,
    /// When the last packet accepted has left the queue.
    free_at: Instant,
    random: u64,
}

impl Direction {
    fn new(quality: Quality, seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self { quality, under_way: VecDeque::new(), free_at: Instant::now(), random }
    }

    /// A number from 0 to 1 that only has to look random (xorshift).
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Takes a packet in. The queue holds what the wire carries in one round trip.
    fn accept(&mut self, now: Instant, packet: &[u8]) {
        let start = self.free_at.max(now);
        if start - now > self.quality.round_trip {
            return;
        }
        self.free_at = start + self.quality.occupancy(packet.len());
        if self.chance() * 100.0 >= self.quality.loss {
            let due = self.free_at + self.quality.round_trip / 2;
            self.under_way.push_back((due, packet.to_vec()));
        }
    }

    fn due(&mut self, now: Instant) -> Option<Vec<u8>> {
        let arrived = self.under_way.front().is_some_and(|(due, _)| *due <= now);
        arrived.then(|| self.under_way.pop_front())?.map(|(_, packet)| packet)
    }
}

fn carry(ends: &[File; 2], quality: Quality, seed: u64, stop: &AtomicBool, carried: &AtomicU64) {
    let mut directions = [Direction::new(quality, seed), Direction::new(quality, !seed)];
    let mut buffer = [0; LARGEST];
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let next = directions.iter().filter_map(|d| d.under_way.front()).map(|(due, _)| *due).min();
        let wait = next.map_or(IDLE, |due| due.saturating_duration_since(now).min(IDLE));
        sys::wait_readable(ends, wait);
        for (direction, from, to) in [(0, 0, 1), (1, 1, 0)] {
            let Some(direction) = directions.get_mut(direction) else { continue };
            while let Ok(size) = (&ends[from]).read(&mut buffer) {
                direction.accept(Instant::now(), &buffer[..size]);
            }
            while let Some(packet) = direction.due(Instant::now()) {
                let sent = (&ends[to]).write(&packet).is_ok();
                carried.fetch_add(sent.into(), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUALITY: Quality =
        Quality { loss: 0.0, round_trip: Duration::from_millis(50), rate: 100.0 };

    #[test]
    fn packets_arrive_in_order_at_the_rate_of_the_wire_until_the_queue_is_full() {
        let mut direction = Direction::new(QUALITY, 7);
        let now = Instant::now();
        for number in 0..2000_u32 {
            let mut packet = vec![0; 1250];
            packet[..4].copy_from_slice(&number.to_be_bytes());
            direction.accept(now, &packet);
        }
        // 50 ms of 100 Mbit/s are 500 packets of 1250 bytes, and one more is begun.
        assert_eq!(direction.under_way.len(), 501);
        assert_eq!(direction.due(now + Duration::from_millis(25)), None);
        let first = direction.due(now + Duration::from_micros(25_101)).expect("arrived");
        assert_eq!(first[..4], [0, 0, 0, 0]);
        let late = now + Duration::from_millis(76);
        let rest: Vec<_> = std::iter::from_fn(|| direction.due(late)).map(|p| p[3]).collect();
        assert!(rest.is_sorted_by(|a, b| *b == a.wrapping_add(1)), "{rest:?}");
    }

    #[test]
    fn the_share_asked_for_is_lost() {
        let mut direction = Direction::new(Quality { loss: 5.0, ..QUALITY }, 7);
        let start = Instant::now();
        let sent = 20_000;
        for number in 0..sent {
            direction.accept(start + Duration::from_millis(number), &[0; 100]);
        }
        let lost = sent as usize - direction.under_way.len();
        assert!((800..1200).contains(&lost), "{lost} of {sent}");
    }
}
