//! The peer core's data channels: creation, DCEP, messages in and out, closing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use log::Level;

use super::core::{PeerCore, StreamEntry};
use crate::association::{self, STREAM_SHARE, SendError, SendOptions};
use crate::backend::dtls::DtlsRole;
use crate::channel::{
    Channel, DataChannel, Message, MessageKind, Phase, buffers, news, ppid, to_wire,
};
use crate::config::{DataChannelInit, ReliabilityLimit};
use crate::dcep;
use crate::error::{Error, Result};
use crate::notes::note;

/// Highest stream a data channel may have (RFC 8831 §6.2: 65535 is reserved).
pub(super) const MAX_STREAM: u16 = 65_534;

/// Most bytes of messages in deprecated parts that all channels of a connection hold.
pub(super) const MAX_PARTIAL_BYTES: usize = 16 * 1024 * 1024;

impl PeerCore {
    // Queries.

    /// Highest stream that can be used.
    pub(crate) fn max_stream(&self) -> u16 {
        match self.sctp.as_ref().and_then(|sctp| sctp.negotiated_streams()) {
            Some((inbound, outbound)) => inbound.min(outbound).saturating_sub(1).min(MAX_STREAM),
            None => MAX_STREAM,
        }
    }

    // Commands.

    pub(crate) fn create_channel(
        &mut self,
        now: Instant,
        label: Vec<u8>,
        init: DataChannelInit,
    ) -> Result<Arc<DataChannel>> {
        self.require_alive("create a data channel")?;
        for (what, name) in [("label", &label), ("protocol", &init.protocol)] {
            if name.len() > dcep::MAX_TEXT {
                return Err(Error::invalid(format!("{what} of {} bytes is too long", name.len())));
            }
        }
        if let Some(stream) = init.stream {
            if stream > self.max_stream() {
                let max = self.max_stream();
                return Err(Error::invalid(format!("stream {stream} is above {max}")));
            }
            if self.is_stream_taken(stream) {
                return Err(Error::invalid(format!("stream {stream} is in use")));
            }
        } else if self.sctp_connected && self.free_stream().is_none() {
            return Err(Error::failure("every stream of our parity is in use"));
        }
        let channel = DataChannel::new(
            self.peer.clone(),
            Arc::clone(&self.budget),
            label,
            init.protocol,
            init.reliability,
            init.negotiated,
            init.stream,
        );
        self.wants_application = true;
        self.unassigned.push(Arc::clone(&channel));
        if self.sctp_connected {
            self.open_waiting_channels(now);
        }
        Ok(channel)
    }

    /// Sends or queues a message.
    pub(crate) fn send_message(
        &mut self,
        now: Instant,
        channel: &DataChannel,
        message: Message,
    ) -> Result<()> {
        let limit = self.remote_max_message_size();
        let mut state = channel.state.lock();
        match state.phase {
            Phase::Open | Phase::Opening => {}
            Phase::Connecting => {
                return Err(Error::failure("cannot send: the channel is not open"));
            }
            Phase::Closed => return Err(Error::failure("cannot send: the channel is closed")),
        }
        let size = message.data.len();
        if size > limit {
            return Err(Error::invalid(format!(
                "cannot send a message of {size} bytes: the limit is {limit}"
            )));
        }
        let Some(stream) = state.stream else {
            return Err(Error::failure("cannot send: the channel has no stream"));
        };
        let (ppid, data) = to_wire(message);
        let options = send_options(channel, state.confirmed);
        if state.outgoing.is_empty() {
            let Some(sctp) = &mut self.sctp else {
                return Err(Error::failure("cannot send: there is no association"));
            };
            match sctp.send(now, stream, ppid, options, data.clone()) {
                Ok(()) => return Ok(()),
                Err(SendError::BufferFull) => self.waiting.push(stream),
                // It waits until the earlier use of the stream has been reset.
                Err(SendError::StreamResetting) => {}
                Err(error) => return Err(Error::failure("message not sent").caused_by(error)),
            }
        }
        channel.port.add_buffered(size);
        state.outgoing.push_back((ppid, data));
        Ok(())
    }

    /// Begins to close a channel; false when it was closed already.
    pub(crate) fn close_channel(&mut self, now: Instant, channel: &DataChannel) -> bool {
        if !channel.mark_closed() {
            return false;
        }
        self.unassigned.retain(|other| !std::ptr::eq(&raw const **other, channel));
        let stream = channel.state.lock().stream;
        self.streams_taken_below = self.streams_taken_below.min(stream.unwrap_or(u16::MAX));
        if let Some(stream) = stream
            && self
                .streams
                .get(&stream)
                .is_some_and(|e| std::ptr::eq(&raw const *e.channel, channel))
        {
            // What the channel had no room for has no reader any more, but fills the window that
            // all channels share.
            self.read_stream(now, stream);
            self.reset_if_flushed(now, stream);
            self.handle_sctp_events(now);
        }
        true
    }

    /// The application took messages of a stream: it or others may have been throttled.
    pub(crate) fn resume_stream(&mut self, now: Instant, stream: u16) {
        self.read_stream(now, stream);
        self.handle_sctp_events(now);
    }

    /// The application gets a channel that the peer made, so there is room for another one.
    pub(crate) fn hand_over(&mut self, now: Instant, channel: &DataChannel) {
        self.intake.remove(channel);
        self.handle_sctp_events(now);
    }

    // Opening.

    fn is_stream_taken(&self, stream: u16) -> bool {
        self.streams.contains_key(&stream)
            || self.unreset.contains(&stream)
            || self.unassigned.iter().any(|channel| channel.stream() == Some(stream))
    }

    /// The lowest free stream of our parity: even for the DTLS client (RFC 8832 §6).
    fn free_stream(&mut self) -> Option<u16> {
        let parity = match self.dtls_role {
            Some(DtlsRole::Client) => 0,
            _ => 1,
        };
        let first = (self.streams_taken_below & !1) + parity;
        let mut streams = (first..=self.max_stream()).step_by(2);
        let free = streams.find(|stream| !self.is_stream_taken(*stream))?;
        self.streams_taken_below = free;
        Some(free)
    }

    pub(super) fn open_waiting_channels(&mut self, now: Instant) {
        // Those with a stream of the user's choice come first, so that no other takes it.
        let (chosen, free): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unassigned).into_iter().partition(|c| c.stream().is_some());
        self.unassigned.clone_from(&chosen);
        let mut refused = Vec::new();
        for channel in chosen {
            self.unassigned.retain(|other| !Arc::ptr_eq(other, &channel));
            match channel.stream().filter(|stream| *stream <= self.max_stream()) {
                Some(stream) => self.open_channel(now, channel, stream),
                None => refused.push((channel, "the peer does not offer so high a stream")),
            }
        }
        for channel in free {
            match self.free_stream() {
                Some(stream) => self.open_channel(now, channel, stream),
                None => refused.push((channel, "every stream of our parity is in use")),
            }
        }
        for (channel, reason) in refused {
            channel.port.add_error(reason.to_owned());
            self.announce_closed(&channel);
        }
    }

    fn open_channel(&mut self, now: Instant, channel: Arc<DataChannel>, stream: u16) {
        channel.state.lock().stream = Some(stream);
        self.occupy_stream(stream, &channel);
        if channel.negotiated {
            channel.state.lock().confirmed = true;
            channel.mark_open();
            self.ring(&channel);
            // Messages may have come before the channel was made.
            self.read_stream(now, stream);
        } else {
            channel.state.lock().phase = Phase::Opening;
            let open = dcep::Message::Open(dcep::Open {
                reliability: channel.reliability,
                priority: 0,
                label: channel.label().to_vec(),
                protocol: channel.protocol().to_vec(),
            });
            self.send_control(now, stream, &open);
        }
    }

    fn occupy_stream(&mut self, stream: u16, channel: &Arc<DataChannel>) {
        let held = self.sctp.as_ref().is_some_and(|sctp| sctp.is_resetting(stream));
        self.streams.insert(stream, StreamEntry::new(Arc::clone(channel), held));
    }

    fn send_control(&mut self, now: Instant, stream: u16, message: &dcep::Message) {
        // Labels and protocols were checked when the channel was made.
        let (Some(sctp), Ok(data)) = (&mut self.sctp, message.encode()) else { return };
        let options = SendOptions::default();
        let data = Bytes::from(data);
        match sctp.send(now, stream, ppid::CONTROL, options, data.clone()) {
            Ok(()) => {}
            Err(error @ (SendError::BufferFull | SendError::StreamResetting)) => {
                let Some(entry) = self.streams.get(&stream) else { return };
                entry.channel.state.lock().outgoing.push_front((ppid::CONTROL, data));
                if error == SendError::BufferFull {
                    self.waiting.push(stream);
                }
            }
            Err(error) => {
                note(Level::Warn, || format!("DCEP message on stream {stream} not sent: {error}"));
            }
        }
    }

    // Receiving.

    /// Moves complete messages from SCTP into the channel, as far as it has room.
    pub(super) fn read_stream(&mut self, now: Instant, stream: u16) {
        loop {
            match self.streams.get(&stream) {
                Some(entry) if !entry.channel.has_room(stream) => return,
                // What comes may open a channel.
                None if self.intake.is_full() => return self.intake.hold_back(stream),
                _ => {}
            }
            let Some(message) = self.sctp.as_mut().and_then(|sctp| sctp.read(stream)) else {
                break;
            };
            self.handle_message(now, message);
        }
        self.finish_reset_by_peer(now, stream);
    }

    /// Reads the streams that had to wait, as far as there is room now.
    pub(super) fn read_waiting_streams(&mut self, now: Instant) {
        while let Some(stream) = self.budget.next_ready() {
            self.read_stream(now, stream);
        }
        while let Some((stream, reset)) = self.intake.next_ready() {
            self.read_stream(now, stream);
            if reset {
                self.handle_reset_by_peer(now, stream);
            }
        }
    }

    /// Moves everything that SCTP still holds into the channels, because it goes away.
    pub(super) fn drain_received(&mut self, now: Instant) {
        let streams: Vec<u16> = self.streams.keys().copied().collect();
        for stream in streams {
            while let Some(message) = self.sctp.as_mut().and_then(|sctp| sctp.read(stream)) {
                self.handle_message(now, message);
            }
        }
    }

    fn handle_message(&mut self, now: Instant, message: association::Message) {
        let stream = message.stream;
        if message.ppid == ppid::CONTROL {
            return self.handle_control(now, stream, &message.data);
        }
        let Some(entry) = self.streams.get(&stream) else {
            // RFC 8832 §6 leaves data without a channel undefined; as upstream, refuse the stream.
            if let Some(sctp) = &mut self.sctp {
                sctp.reset_stream(now, stream);
            }
            return;
        };
        let channel = Arc::clone(&entry.channel);
        if channel.is_closed() {
            return;
        }
        if message.truncated {
            return self.refuse_size(now, stream, &channel);
        }
        let limit = self.config.max_message_size;
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        let before = entry.partial.len();
        let others = self.partial_bytes - before;
        let limit = limit.min(MAX_PARTIAL_BYTES - others);
        let payload = join_partial(&mut entry.partial, message.ppid, message.data, limit);
        self.partial_bytes = others + entry.partial.len();
        match payload {
            Payload::Complete(message) => {
                channel.port.push_received(message);
                self.ring(&channel);
            }
            Payload::Partial => {}
            Payload::TooLarge => self.refuse_size(now, stream, &channel),
            Payload::Unknown => self.dropped_datagrams += 1,
        }
    }

    fn refuse_size(&mut self, now: Instant, stream: u16, channel: &Arc<DataChannel>) {
        channel.port.add_error("a message was larger than the maximum announced".to_owned());
        self.refuse_stream(now, stream);
    }

    fn handle_control(&mut self, now: Instant, stream: u16, data: &[u8]) {
        match dcep::Message::decode(data) {
            Ok(dcep::Message::Open(open)) => self.handle_open(now, stream, open),
            Ok(dcep::Message::Ack) => {
                let Some(entry) = self.streams.get(&stream) else { return };
                let channel = Arc::clone(&entry.channel);
                channel.state.lock().confirmed = true;
                if channel.mark_open() {
                    self.ring(&channel);
                }
            }
            Err(error) => {
                note(Level::Warn, || format!("DCEP message on stream {stream} ignored: {error}"));
                self.dropped_datagrams += 1;
            }
        }
    }

    fn handle_open(&mut self, now: Instant, stream: u16, open: dcep::Open) {
        let ours = match self.dtls_role {
            Some(DtlsRole::Client) => 0,
            _ => 1,
        };
        if stream % 2 == ours || stream > self.max_stream() {
            note(Level::Warn, || {
                format!("data channel refused: stream {stream} is not the peer's to open")
            });
            return self.refuse_stream(now, stream);
        }
        // The peer may be ahead of us: it knows that the earlier use has ended both ways.
        let free = self.streams.get(&stream).is_none_or(|entry| entry.reset_by_peer);
        if !free || self.intake.is_full() {
            note(Level::Warn, || format!("the peer opened stream {stream}, which is in use"));
            return self.refuse_stream(now, stream);
        }
        if let Some(entry) = self.vacate_stream(stream) {
            self.announce_closed(&entry.channel);
        }
        let channel = DataChannel::new(
            self.peer.clone(),
            Arc::clone(&self.budget),
            open.label,
            open.protocol,
            open.reliability,
            false,
            Some(stream),
        );
        channel.state.lock().confirmed = true;
        self.intake.add(&channel);
        self.occupy_stream(stream, &channel);
        self.send_control(now, stream, &dcep::Message::Ack);
        channel.port.add_news(news::INCOMING);
        channel.mark_open();
        self.ring(&channel);
    }

    /// Closes the channel of a stream that the peer has used as it must not, and resets the stream
    /// (RFC 8832 §6).
    fn refuse_stream(&mut self, now: Instant, stream: u16) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            self.partial_bytes -= std::mem::take(&mut entry.partial).len();
            let channel = Arc::clone(&entry.channel);
            self.announce_closed(&channel);
            self.reset_if_flushed(now, stream);
        } else if let Some(sctp) = &mut self.sctp {
            sctp.reset_stream(now, stream);
        }
    }

    // Sending.

    /// Bytes of the stream were acknowledged. Up to its share of the send buffer it need not wait
    /// for its turn: it is not to suffer from what others have there.
    pub(super) fn handle_buffer_space(&mut self, now: Instant, stream: u16) {
        self.refill(now);
        while self.waiting.contains(stream) && self.stream_queued(stream) < STREAM_SHARE {
            match self.refill_stream(now, stream) {
                Refilled::More => {}
                Refilled::Full => return,
                Refilled::Done => self.waiting.remove(stream),
            }
        }
    }

    /// Gives SCTP what waits in the channels, one message of each in turn.
    fn refill(&mut self, now: Instant) {
        while let Some(stream) = self.waiting.first() {
            let refilled = self.refill_stream(now, stream);
            if refilled == Refilled::Full {
                return;
            }
            self.waiting.remove(stream);
            if refilled == Refilled::More {
                self.waiting.push(stream);
            }
        }
    }

    /// Gives SCTP the next message that waits in the channel of the stream.
    fn refill_stream(&mut self, now: Instant, stream: u16) -> Refilled {
        let (Some(entry), Some(sctp)) = (self.streams.get(&stream), &mut self.sctp) else {
            return Refilled::Done;
        };
        let channel = Arc::clone(&entry.channel);
        let mut state = channel.state.lock();
        let Some((id, data)) = state.outgoing.front().cloned() else { return Refilled::Done };
        let options = match id {
            ppid::CONTROL => SendOptions::default(),
            _ => send_options(&channel, state.confirmed),
        };
        let size = user_size(id, &data);
        match sctp.send(now, stream, id, options, data) {
            Ok(()) => {}
            Err(SendError::BufferFull) => return Refilled::Full,
            Err(SendError::StreamResetting) => return Refilled::Done,
            Err(error) => {
                note(Level::Warn, || format!("message on stream {stream} lost: {error}"));
            }
        }
        state.outgoing.pop_front();
        let more = !state.outgoing.is_empty();
        let low = channel.port.sub_buffered(size);
        let closed = state.phase == Phase::Closed;
        drop(state);
        if closed && !more {
            self.reset_if_flushed(now, stream);
        }
        if low {
            self.ring(&channel);
        }
        if more { Refilled::More } else { Refilled::Done }
    }

    // Closing.

    pub(super) fn announce_closed(&mut self, channel: &Arc<DataChannel>) {
        if channel.mark_closed() {
            channel.port.add_news(news::CLOSED);
        }
        self.ring(channel);
    }

    /// Resets our direction of a closed channel's stream once nothing waits for it.
    fn reset_if_flushed(&mut self, now: Instant, stream: u16) {
        let (Some(entry), Some(sctp)) = (self.streams.get_mut(&stream), &mut self.sctp) else {
            return;
        };
        if entry.resetting || entry.held || !entry.channel.state.lock().outgoing.is_empty() {
            return;
        }
        entry.resetting = true;
        sctp.reset_stream(now, stream);
    }

    pub(super) fn handle_reset_by_peer(&mut self, now: Instant, stream: u16) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return self.intake.note_reset(stream);
        };
        entry.reset_by_peer = true;
        self.read_stream(now, stream);
    }

    /// Closes the channel of a stream that the peer has reset, once everything was read.
    fn finish_reset_by_peer(&mut self, now: Instant, stream: u16) {
        let Some(entry) = self.streams.get(&stream) else { return };
        if !entry.reset_by_peer {
            return;
        }
        let channel = Arc::clone(&entry.channel);
        if !channel.is_closed() {
            // What waits to be sent has no reader any more.
            channel.state.lock().outgoing.clear();
            channel.port.discard_buffered();
            self.announce_closed(&channel);
        }
        self.reset_if_flushed(now, stream);
        self.release_stream(stream);
    }

    /// The peer does not reset our direction of the stream, so it will not know an old message from
    /// one of a new channel: the stream is not used again.
    pub(super) fn handle_reset_refused(&mut self, now: Instant, stream: u16) {
        let Some(entry) = self.streams.get(&stream) else { return };
        if entry.held {
            // The channel that waits chose the stream, or the peer did.
            return self.handle_reset_done(now, stream);
        }
        if let Some(entry) = self.vacate_stream(stream) {
            self.unreset.insert(stream);
            self.announce_closed(&entry.channel);
        }
    }

    pub(super) fn handle_reset_done(&mut self, now: Instant, stream: u16) {
        let Some(entry) = self.streams.get_mut(&stream) else { return };
        if !std::mem::take(&mut entry.held) {
            entry.reset_done = true;
            return self.release_stream(stream);
        }
        let channel = Arc::clone(&entry.channel);
        if !channel.state.lock().outgoing.is_empty() {
            self.waiting.push(stream);
            self.refill(now);
        }
        if channel.is_closed() {
            self.reset_if_flushed(now, stream);
        }
    }

    /// A stream can be used again once both directions are reset (RFC 8831 §6.7).
    fn release_stream(&mut self, stream: u16) {
        if self.streams.get(&stream).is_some_and(|e| e.reset_done && e.reset_by_peer) {
            self.vacate_stream(stream);
        }
    }

    fn vacate_stream(&mut self, stream: u16) -> Option<StreamEntry> {
        let entry = self.streams.remove(&stream)?;
        self.streams_taken_below = self.streams_taken_below.min(stream);
        self.partial_bytes -= entry.partial.len();
        Some(entry)
    }
}

fn send_options(channel: &DataChannel, confirmed: bool) -> SendOptions {
    if !confirmed {
        return SendOptions::default();
    }
    let reliability = channel.reliability;
    let mut options = SendOptions { unordered: reliability.unordered, ..Default::default() };
    match reliability.limit {
        ReliabilityLimit::Reliable => {}
        ReliabilityLimit::Lifetime(milliseconds) => {
            options.lifetime = Some(Duration::from_millis(milliseconds.into()));
        }
        ReliabilityLimit::Retransmits(count) => options.max_retransmits = Some(count),
    }
    options
}

/// How many bytes the user sees in what goes over the wire.
fn user_size(id: u32, data: &Bytes) -> usize {
    match id {
        ppid::STRING | ppid::BINARY => data.len(),
        _ => 0,
    }
}

/// What came of giving SCTP a message that waited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refilled {
    /// The channel has more.
    More,
    /// The channel has nothing that could be sent.
    Done,
    /// The send buffer is full.
    Full,
}

/// What a payload turned out to be.
enum Payload {
    Complete(Message),
    Partial,
    TooLarge,
    Unknown,
}

/// Puts together messages that came in parts under the deprecated identifiers (RFC 8831 §6.6);
/// none may have more than `limit` bytes.
fn join_partial(partial: &mut Vec<u8>, id: u32, data: Vec<u8>, limit: usize) -> Payload {
    let kind = match id {
        ppid::STRING_PARTIAL | ppid::BINARY_PARTIAL => {
            if partial.len() + data.len() > limit {
                *partial = Vec::new();
                return Payload::TooLarge;
            }
            partial.extend_from_slice(&data);
            return Payload::Partial;
        }
        ppid::STRING_EMPTY => return Payload::Complete(Message::text("")),
        ppid::BINARY_EMPTY => return Payload::Complete(Message::binary(Bytes::new())),
        ppid::STRING => MessageKind::Text,
        ppid::BINARY => MessageKind::Binary,
        _ => return Payload::Unknown,
    };
    let mut whole = std::mem::take(partial);
    let data = match whole.is_empty() {
        true => data,
        false => {
            if whole.len() + data.len() > limit {
                return Payload::TooLarge;
            }
            whole.extend_from_slice(&data);
            whole
        }
    };
    Payload::Complete(Message { kind, data: buffers::share(data) })
}
