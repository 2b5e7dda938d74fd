//! Asking for what is missing (RFC 4585 §6.2.1).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Context, Handler};
use crate::rtcp::{self, Nack};
use crate::rtp::{self, Packet, Rtx};
use crate::{Message, sequence};

/// Streams that are watched at a time.
const MAX_STREAMS: usize = 8;
/// Packets of a stream that are missing at most. A larger gap is not filled.
const MAX_MISSING: u64 = 500;
/// A missing packet may just be late: it is asked for after this time.
const PATIENCE: Duration = Duration::from_millis(5);
/// It is asked for again after this time, doubled up to the last one.
const FIRST_INTERVAL: Duration = Duration::from_millis(40);
const LAST_INTERVAL: Duration = Duration::from_millis(160);
/// It is asked for so many times.
const MAX_REQUESTS: u32 = 10;

/// Streams of retransmissions that are known at a time.
const MAX_RTX: usize = 8;

/// Watches incoming RTP packets and asks the peer for missing ones.
#[derive(Debug, Default)]
pub struct NackRequester {
    ssrc: u32,
    /// Streams of retransmissions, the one that was found last at the end.
    rtx: Vec<Rtx>,
    /// Payload types of retransmissions, and of what they repeat.
    rtx_types: Vec<(u8, u8)>,
    /// By SSRC, the one that was heard of last at the end.
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    highest: u64,
    missing: BTreeMap<u64, Missing>,
}

#[derive(Debug)]
struct Missing {
    due: Instant,
    requests: u32,
}

impl NackRequester {
    /// Asks in the name of `ssrc`.
    pub fn new(ssrc: u32) -> Self {
        Self { ssrc, ..Self::default() }
    }

    /// Takes retransmissions out of a stream of their own.
    pub fn with_rtx(mut self, rtx: Rtx) -> Self {
        self.rtx.push(rtx);
        self
    }

    /// Takes retransmissions out of streams that are known by their payload type only, which comes
    /// first in each pair; the second one is that of the packets they repeat. Which stream they
    /// belong to is found when one repeats what was asked for (RFC 4588 §5.3).
    pub fn with_rtx_types(mut self, types: Vec<(u8, u8)>) -> Self {
        self.rtx_types = types;
        self
    }

    /// What a retransmission repeats, or the packet itself if it is none; `None` where the stream
    /// of a retransmission is not known.
    fn restore(&mut self, data: &Bytes) -> Option<Bytes> {
        if let Some(restored) = self.rtx.iter().find_map(|rtx| rtx.unwrap(data)) {
            return Some(restored);
        }
        let packet = Packet::parse(data).ok()?;
        let header = packet.header();
        let types = self.rtx_types.iter().find(|types| types.0 == header.payload_type);
        let Some(&(rtx_payload_type, payload_type)) = types else { return Some(data.clone()) };
        let repeated = u16::from_be_bytes(*packet.payload().first_chunk()?);
        let mut asked = self.streams.iter().filter(|stream| stream.asked_for(repeated));
        let ssrc = asked.next()?.ssrc;
        if asked.next().is_some() {
            return None;
        }
        let rtx = Rtx { ssrc, payload_type, rtx_ssrc: header.ssrc, rtx_payload_type };
        self.rtx.retain(|known| {
            (known.rtx_ssrc, known.rtx_payload_type) != (header.ssrc, rtx_payload_type)
        });
        if self.rtx.len() >= MAX_RTX {
            self.rtx.remove(0);
        }
        self.rtx.push(rtx);
        rtx.unwrap(data)
    }

    fn see(&mut self, ssrc: u32, sequence: u16, now: Instant) {
        let position = match self.streams.iter().position(|stream| stream.ssrc == ssrc) {
            Some(position) => position,
            None => {
                if self.streams.len() == MAX_STREAMS {
                    self.streams.remove(0);
                }
                let highest = sequence::first(sequence);
                self.streams.push(Stream { ssrc, highest, missing: BTreeMap::new() });
                self.streams.len() - 1
            }
        };
        self.streams[position..].rotate_left(1);
        if let Some(stream) = self.streams.last_mut() {
            stream.see(sequence, now);
        }
    }

    /// Asks for what is due.
    fn ask(&mut self, context: &mut Context<'_>) {
        let now = context.now.instant;
        for stream in &mut self.streams {
            let due = stream.take_due(now);
            if !due.is_empty() {
                let nack = Nack::new(self.ssrc, stream.ssrc, due);
                context.output.packets.push(rtcp::write(&[rtcp::Packet::Nack(nack)]));
            }
        }
    }
}

impl Stream {
    fn see(&mut self, sequence: u16, now: Instant) {
        let number = sequence::extend(self.highest, sequence);
        if number <= self.highest {
            self.missing.remove(&number);
            // Far back: the sender starts over.
            if number + MAX_MISSING < self.highest && self.missing.is_empty() {
                self.highest = number;
            }
            return;
        }
        if number - self.highest > MAX_MISSING {
            self.missing.clear();
        } else {
            for lost in self.highest + 1..number {
                self.missing.insert(lost, Missing { due: now + PATIENCE, requests: 0 });
            }
        }
        self.highest = number;
        while self.missing.len() as u64 > MAX_MISSING {
            self.missing.pop_first();
        }
    }

    /// Whether this packet is missing and was asked for.
    fn asked_for(&self, sequence: u16) -> bool {
        let number = sequence::extend(self.highest, sequence);
        self.missing.get(&number).is_some_and(|missing| missing.requests > 0)
    }

    /// The sequence numbers to ask for now.
    fn take_due(&mut self, now: Instant) -> Vec<u16> {
        let mut due = Vec::new();
        self.missing.retain(|number, missing| {
            if missing.due > now {
                return true;
            }
            if missing.requests == MAX_REQUESTS {
                return false;
            }
            due.push(*number as u16);
            let interval = FIRST_INTERVAL * (1 << missing.requests.min(2));
            missing.due = now + interval.min(LAST_INTERVAL);
            missing.requests += 1;
            true
        });
        due
    }
}

impl Handler for NackRequester {
    fn incoming(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        for message in batch.iter_mut() {
            if rtp::is_rtcp(&message.data) {
                continue;
            }
            let Some(restored) = self.restore(&message.data) else { continue };
            message.data = restored;
            let Ok(packet) = Packet::parse(&message.data) else { continue };
            let header = packet.header();
            self.see(header.ssrc, header.sequence, context.now.instant);
        }
        self.ask(context);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let missing = self.streams.iter().flat_map(|stream| stream.missing.values());
        missing.map(|missing| missing.due).min()
    }

    fn handle_timeout(
        &mut self,
        _: &mut Vec<Message>,
        _: &mut Vec<Message>,
        context: &mut Context<'_>,
    ) {
        self.ask(context);
    }
}
