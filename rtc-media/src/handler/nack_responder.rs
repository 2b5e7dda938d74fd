//! Sending again what the peer misses (RFC 4585 §6.2.1).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Context, Handler};
use crate::Message;
use crate::rtcp::{self, Nack};
use crate::rtp::{self, Packet, Rtx};

/// Packets that are kept by default.
pub const DEFAULT_MAX_PACKETS: usize = 512;
/// Packets that are kept at most. Neither does the sender's encryption take older ones nor the
/// replay window of the peer's.
const MOST_PACKETS: usize = 1 << 12;
/// Bytes that are kept at most.
const MAX_BYTES: usize = 16 << 20;
/// Retransmissions of one packet have at least this time between them, so that repeating a request
/// does not multiply the traffic.
const MIN_INTERVAL: Duration = Duration::from_millis(5);

/// Keeps outgoing RTP packets and sends them again when the peer reports them missing.
#[derive(Debug)]
pub struct NackResponder {
    max_packets: usize,
    rtx: Option<(Rtx, u16)>,
    /// By SSRC and sequence number, with the time of the last retransmission.
    packets: HashMap<(u32, u16), (Bytes, Option<Instant>)>,
    /// From the oldest to the newest.
    order: VecDeque<(u32, u16)>,
    bytes: usize,
}

impl Default for NackResponder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_PACKETS)
    }
}

impl NackResponder {
    /// Keeps the last `max_packets` packets, 4096 and 16 MiB of them at most.
    pub fn new(max_packets: usize) -> Self {
        Self {
            max_packets: max_packets.min(MOST_PACKETS),
            rtx: None,
            packets: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Retransmits the packets of `rtx.ssrc` in a stream of their own, starting at this sequence
    /// number. Without it the same packet is sent again.
    pub fn with_rtx(mut self, rtx: Rtx, sequence: u16) -> Self {
        self.rtx = Some((rtx, sequence));
        self
    }

    fn keep(&mut self, packet: &Bytes) {
        let Ok(parsed) = Packet::parse(packet) else { return };
        let key = (parsed.header().ssrc, parsed.header().sequence);
        self.bytes += packet.len();
        match self.packets.insert(key, (packet.clone(), None)) {
            Some((twin, _)) => self.bytes -= twin.len(),
            None => self.order.push_back(key),
        }
        while self.order.len() > self.max_packets || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { return };
            let removed = self.packets.remove(&oldest);
            self.bytes -= removed.map_or(0, |(packet, _)| packet.len());
        }
    }

    fn resend(&mut self, nack: &Nack, context: &mut Context<'_>) {
        let now = context.now.instant;
        for sequence in nack.sequences() {
            let kept = self.packets.get_mut(&(nack.media, sequence));
            let Some((packet, sent)) = kept else { continue };
            if sent.is_some_and(|sent| now < sent + MIN_INTERVAL) {
                continue;
            }
            *sent = Some(now);
            let again = match &mut self.rtx {
                Some((rtx, next)) if rtx.ssrc == nack.media => {
                    let wrapped = rtx.wrap(packet, *next);
                    *next = next.wrapping_add(1);
                    wrapped
                }
                _ => Some(packet.clone()),
            };
            context.output.packets.extend(again);
        }
    }
}

impl Handler for NackResponder {
    fn incoming(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        for message in batch.iter().filter(|message| rtp::is_rtcp(&message.data)) {
            for packet in rtcp::compound(&message.data).map_while(Result::ok) {
                if let rtcp::Packet::Nack(nack) = packet {
                    self.resend(&nack, context);
                }
            }
        }
    }

    fn outgoing(&mut self, batch: &mut Vec<Message>, _: &mut Context<'_>) {
        for message in batch.iter().filter(|message| !rtp::is_rtcp(&message.data)) {
            self.keep(&message.data);
        }
    }
}
