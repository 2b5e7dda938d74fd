//! RTP packets become frames.

use std::time::{Duration, Instant};

use super::{Context, Handler};
use crate::depacketizer::{Assembler, Depacketizer};
use crate::rtp::{self, Packet};
use crate::{FrameInfo, Message, clock};

/// How long missing packets are waited for by default.
pub const DEFAULT_MAX_WAIT: Duration = Duration::from_millis(250);

/// Streams that are put together at a time.
const MAX_STREAMS: usize = 8;

/// Makes frames of incoming RTP packets. RTCP packets pass.
#[derive(Debug)]
pub struct Depacketizing {
    depacketizer: Box<dyn Depacketizer>,
    clock_rate: u32,
    max_wait: Duration,
    /// Payload types that carry no media of this codec.
    left_out: Vec<u8>,
    /// The streams by SSRC, the one that was heard of last at the end.
    streams: Vec<(u32, Assembler)>,
}

impl Depacketizing {
    /// `clock_rate` is for [`FrameInfo::seconds`]; 0 leaves that out.
    pub fn new(depacketizer: Box<dyn Depacketizer>, clock_rate: u32) -> Self {
        Self {
            depacketizer,
            clock_rate,
            max_wait: DEFAULT_MAX_WAIT,
            left_out: Vec::new(),
            streams: Vec::new(),
        }
    }

    /// Waits for missing packets for another time than [`DEFAULT_MAX_WAIT`]. It should be longer
    /// than a retransmission takes.
    pub fn with_max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Drops packets of these payload types: what repairs other packets (`rtx` of RFC 4588, `red`,
    /// forward error correction) would come out as frames of its own.
    pub fn leaving_out(mut self, payload_types: Vec<u8>) -> Self {
        self.left_out = payload_types;
        self
    }

    fn assembler(&mut self, ssrc: u32) -> Option<&mut Assembler> {
        match self.streams.iter().position(|(known, _)| *known == ssrc) {
            Some(position) => self.streams[position..].rotate_left(1),
            None => {
                if self.streams.len() == MAX_STREAMS {
                    self.streams.remove(0);
                }
                self.streams.push((ssrc, Assembler::new(self.max_wait)));
            }
        }
        self.streams.last_mut().map(|(_, assembler)| assembler)
    }

    fn handle(&mut self, message: &Message, frames: &mut Vec<Message>, context: &mut Context<'_>) {
        let Ok(packet) = Packet::parse(&message.data) else {
            context.output.dropped += 1;
            return;
        };
        let header = packet.header();
        if self.left_out.contains(&header.payload_type) {
            return;
        }
        let payload = message.data.slice(packet.payload_range());
        let now = context.now.instant;
        if self.depacketizer.is_whole() {
            if !payload.is_empty() {
                let frame = Some(self.info(header.timestamp, header.payload_type));
                frames.push(Message { data: payload, frame });
            }
            return;
        }
        let beginning = self.depacketizer.beginning(&payload);
        let Some(assembler) = self.assembler(header.ssrc) else { return };
        // A payload keeps the whole packet.
        assembler.push(&header, payload, message.data.len(), beginning, now);
        self.poll(self.streams.len() - 1, now, frames, context);
    }

    /// Takes the frames of the stream at `position`.
    fn poll(
        &mut self,
        position: usize,
        now: Instant,
        frames: &mut Vec<Message>,
        context: &mut Context<'_>,
    ) {
        let (_, assembler) = &mut self.streams[position];
        let mut found = Vec::new();
        while let Some(frame) = assembler.poll(now) {
            found.push(frame);
        }
        context.output.dropped += assembler.take_lost();
        for frame in found {
            // Padding alone is no frame.
            if frame.payloads.is_empty() {
                continue;
            }
            let size = frame.payloads.iter().map(|payload| payload.len() + 4).sum();
            let mut data = Vec::with_capacity(size);
            if self.depacketizer.depacketize(&frame.payloads, &mut data).is_err() {
                context.output.dropped += 1;
                continue;
            }
            let info = self.info(frame.timestamp, frame.payload_type);
            frames.push(Message { data: data.into(), frame: Some(info) });
        }
    }

    fn info(&self, timestamp: u32, payload_type: u8) -> FrameInfo {
        let has_rate = self.clock_rate > 0;
        let seconds = has_rate.then(|| clock::timestamp_to_seconds(timestamp, self.clock_rate));
        FrameInfo { timestamp, payload_type, seconds }
    }
}

impl Handler for Depacketizing {
    fn incoming(&mut self, batch: &mut Vec<Message>, context: &mut Context<'_>) {
        let mut frames = Vec::new();
        for message in batch.drain(..) {
            if rtp::is_rtcp(&message.data) {
                frames.push(message);
            } else {
                self.handle(&message, &mut frames, context);
            }
        }
        *batch = frames;
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.streams.iter().filter_map(|(_, assembler)| assembler.poll_timeout()).min()
    }

    fn handle_timeout(
        &mut self,
        incoming: &mut Vec<Message>,
        _: &mut Vec<Message>,
        context: &mut Context<'_>,
    ) {
        for position in 0..self.streams.len() {
            self.poll(position, context.now.instant, incoming, context);
        }
    }
}
