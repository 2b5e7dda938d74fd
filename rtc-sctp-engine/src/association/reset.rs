//! Stream resets (RFC 6525).

use std::collections::VecDeque;

use super::Association;
use crate::clock::Nanos;
use crate::outbound::ResetStage;
use crate::serial;
use crate::wire::{PacketWriter, Reconfig, ReconfigRequest, ResetResult, StreamList};
use crate::{Event, State};

/// Streams reset by one request, so that it fits every packet.
const MAX_STREAMS: usize = 200;
/// Requests of the peer that wait for data, and answers remembered. One at a time is the rule
/// (RFC 6525 §5.1.1), which some implementations do not keep.
const MAX_REQUESTS: usize = 16;

/// A request of ours that waits for its answer.
#[derive(Clone, Debug)]
struct Request {
    sequence: u32,
    last_tsn: u32,
    streams: Vec<u16>,
    expirations: u32,
}

/// A request of the peer that waits for data sent before it.
#[derive(Clone, Debug)]
struct Deferred {
    sequence: u32,
    last_tsn: serial::Tsn,
    streams: Vec<u16>,
}

/// Requests in both directions.
#[derive(Debug)]
pub(super) struct Resets {
    next_sequence: u32,
    request: Option<Request>,
    request_due: bool,
    pub(super) retry_at: Option<Nanos>,
    /// Sequence number of the peer's next request.
    expected: u32,
    /// Answers to its last requests, in case it repeats one.
    results: VecDeque<(u32, ResetResult)>,
    deferred: Vec<Deferred>,
    /// Answers to be sent.
    responses: VecDeque<(u32, ResetResult)>,
}

impl Resets {
    pub(super) fn new(local_tsn: u32) -> Self {
        Self {
            next_sequence: local_tsn,
            request: None,
            request_due: false,
            retry_at: None,
            expected: 0,
            results: VecDeque::new(),
            deferred: Vec::new(),
            responses: VecDeque::new(),
        }
    }

    /// The peer counts its requests from its initial TSN on (RFC 6525 §4.1).
    pub(super) fn expect(&mut self, peer_tsn: u32) {
        self.expected = peer_tsn;
    }

    /// Answers a request, and remembers what it said when that has to do with the request.
    fn respond(&mut self, sequence: u32, result: ResetResult) {
        if result != ResetResult::BadSequenceNumber {
            replace(&mut self.results, sequence, result);
        }
        replace(&mut self.responses, sequence, result);
    }

    pub(super) fn is_due(&self) -> bool {
        self.request_due || !self.responses.is_empty()
    }
}

/// Puts an answer in the place of an older one to the same request, or behind the others, of which
/// it keeps the newest.
fn replace(answers: &mut VecDeque<(u32, ResetResult)>, sequence: u32, result: ResetResult) {
    answers.retain(|(other, _)| *other != sequence);
    if answers.len() == MAX_REQUESTS {
        answers.pop_front();
    }
    answers.push_back((sequence, result));
}

impl Association {
    pub(super) fn want_reset(&mut self, now: Nanos, stream: u16) {
        let outbound = self.streams.map_or(self.config.outbound_streams, |(_, out)| out);
        if self.over || stream >= outbound {
            return;
        }
        self.outbound.queue.want_reset(stream);
        self.request_resets(now);
    }

    /// Starts a request for the streams that are drained, unless one is under way (RFC 6525
    /// §5.1.1: one at a time).
    pub(super) fn request_resets(&mut self, now: Nanos) {
        let may = matches!(self.state, State::Established | State::ShutdownPending);
        if !may || self.resets.request.is_some() || !self.outbound.queue.resets_wanted() {
            return;
        }
        let streams = self.outbound.queue.take_drained_resets(MAX_STREAMS);
        if streams.is_empty() {
            return;
        }
        if !self.peer_reconfigures {
            for stream in streams {
                self.outbound.queue.finish_reset(stream, false);
                self.events.push_back(Event::StreamResetFailed(stream));
            }
            return;
        }
        self.resets.request = Some(Request {
            sequence: self.resets.next_sequence,
            last_tsn: self.outbound.last_tsn(),
            streams,
            expirations: 0,
        });
        self.resets.next_sequence = self.resets.next_sequence.wrapping_add(1);
        self.resets.request_due = true;
        self.resets.retry_at = Some(now + self.outbound.rtt.rto());
    }

    pub(super) fn expire_reset(&mut self, now: Nanos) {
        self.resets.retry_at = None;
        let Some(request) = &mut self.resets.request else { return };
        request.expirations += 1;
        let wait = self.outbound.rtt.rto() << request.expirations.min(4);
        self.resets.request_due = true;
        self.resets.retry_at = Some(now + wait);
        self.count_error();
    }

    pub(super) fn receive_reconfig(&mut self, now: Nanos, value: &[u8]) {
        if !self.is_connected() {
            return;
        }
        for parameter in Reconfig::parse_all(value) {
            match parameter {
                Reconfig::OutgoingReset { request, last_tsn, streams } => {
                    let streams = if streams.is_all() {
                        self.inbound.ids()
                    } else {
                        streams.iter().collect()
                    };
                    self.receive_outgoing_reset(request, last_tsn, streams);
                }
                Reconfig::IncomingReset { request, streams } => {
                    if self.accept_request(request) {
                        let result = self.receive_incoming_reset(now, &streams);
                        self.resets.respond(request, result);
                    }
                }
                Reconfig::Other { request } => {
                    if self.accept_request(request) {
                        self.resets.respond(request, ResetResult::Denied);
                    }
                }
                Reconfig::Response { request, result } => {
                    self.receive_reset_response(now, request, ResetResult::from_code(result));
                }
            }
        }
    }

    /// Whether a request is the next one. A repeated one gets the answer it got before, any other
    /// an error (RFC 6525 §5.2.1).
    fn accept_request(&mut self, sequence: u32) -> bool {
        if sequence == self.resets.expected {
            self.resets.expected = sequence.wrapping_add(1);
            return true;
        }
        let before = self.resets.results.iter().find(|(other, _)| *other == sequence);
        let result = before.map_or(ResetResult::BadSequenceNumber, |(_, result)| *result);
        self.resets.respond(sequence, result);
        false
    }

    /// RFC 6525 §5.2.3: the peer wants streams of ours reset. An empty list means all that we have
    /// used.
    fn receive_incoming_reset(&mut self, now: Nanos, streams: &StreamList<'_>) -> ResetResult {
        let (_, limit) = self.streams.unwrap_or_default();
        let streams: Vec<u16> = if streams.is_all() {
            self.outbound.queue.ids().collect()
        } else {
            streams.iter().filter(|stream| *stream < limit).collect()
        };
        for stream in &streams {
            self.want_reset(now, *stream);
        }
        if streams.is_empty() { ResetResult::NothingToDo } else { ResetResult::Performed }
    }

    /// RFC 6525 §5.2.2.
    fn receive_outgoing_reset(&mut self, sequence: u32, last_tsn: u32, streams: Vec<u16>) {
        if !self.accept_request(sequence) {
            return;
        }
        let last_tsn = serial::unwrap_near(self.tracker.cumulative(), last_tsn);
        let waits = last_tsn > self.tracker.cumulative();
        // Unknown ids are an error of the peer; the list may name each stream once.
        let mut known: Vec<u16> =
            streams.into_iter().filter(|id| *id < self.inbound.limit()).collect();
        known.sort_unstable();
        known.dedup();
        let deferred = Deferred { sequence, last_tsn, streams: known };
        if !waits {
            self.perform_reset(&deferred);
        } else if self.resets.deferred.len() < MAX_REQUESTS {
            self.resets.respond(sequence, ResetResult::InProgress);
            self.resets.deferred.push(deferred);
        } else {
            self.resets.respond(sequence, ResetResult::OtherInProgress);
        }
    }

    /// Performs the resets of the peer that waited for data, as far as that has come.
    #[inline]
    pub(super) fn finish_deferred_resets(&mut self) {
        if !self.resets.deferred.is_empty() {
            let cumulative = self.tracker.cumulative();
            let waited = self.resets.deferred.extract_if(.., |d| d.last_tsn <= cumulative);
            let due: Vec<Deferred> = waited.collect();
            due.iter().for_each(|reset| self.perform_reset(reset));
        }
    }

    fn perform_reset(&mut self, reset: &Deferred) {
        self.reassembly.drop_streams(&reset.streams);
        for stream in &reset.streams {
            self.inbound.reset(*stream);
            self.events.push_back(Event::StreamResetByPeer(*stream));
        }
        self.resets.respond(reset.sequence, ResetResult::Performed);
    }

    /// RFC 6525 §5.2.7.
    fn receive_reset_response(&mut self, now: Nanos, sequence: u32, result: ResetResult) {
        let Some(request) = self.resets.request.take_if(|r| r.sequence == sequence) else { return };
        self.errors = 0;
        self.resets.request_due = false;
        if result == ResetResult::InProgress {
            self.resets.retry_at = Some(now + self.outbound.rtt.rto());
            self.resets.request = Some(Request { expirations: 0, ..request });
            return;
        }
        self.resets.retry_at = None;
        let performed = matches!(result, ResetResult::Performed | ResetResult::NothingToDo);
        for stream in request.streams {
            if self.outbound.queue.reset_stage(stream) != ResetStage::Requested {
                continue;
            }
            self.outbound.queue.finish_reset(stream, performed);
            self.events.push_back(if performed {
                Event::StreamResetDone(stream)
            } else {
                Event::StreamResetFailed(stream)
            });
        }
        self.request_resets(now);
    }

    /// Appends what is due to the packet.
    pub(super) fn write_resets(&mut self, packet: &mut PacketWriter<'_>) {
        let responses = &mut self.resets.responses;
        while let Some((sequence, result)) = responses.front()
            && packet.put_reconfig_response(*sequence, *result)
        {
            responses.pop_front();
        }
        if !self.resets.request_due {
            return;
        }
        if let Some(request) = &self.resets.request {
            self.resets.request_due = !packet.put_reset_request(&ReconfigRequest {
                request: request.sequence,
                response: self.resets.expected.wrapping_sub(1),
                last_tsn: request.last_tsn,
                streams: &request.streams,
            });
        } else {
            self.resets.request_due = false;
        }
    }
}
