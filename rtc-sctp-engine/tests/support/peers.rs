//! Implementations of SCTP behind one face: ours and those it is compared with.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dcsctp::api::{
    self as dc, DcSctpSocket, SocketEvent, SocketState, SocketTime,
    ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS,
};
use rtc_sctp_engine::{Association, Config, Event, SendOptions, State};

/// Messages by stream, in the order they were read.
pub type Inbox = BTreeMap<u16, Vec<Vec<u8>>>;

/// An implementation of SCTP.
pub trait Peer {
    fn connect(&mut self, now: Instant);
    fn connected(&self) -> bool;
    fn input(&mut self, now: Instant, packet: &[u8]);
    fn advance(&mut self, now: Instant);
    fn timeout(&self) -> Option<Instant>;
    fn output(&mut self, now: Instant) -> Vec<Vec<u8>>;
    fn send(&mut self, now: Instant, stream: u16, options: SendOptions, data: Vec<u8>) -> bool;
    fn reset(&mut self, now: Instant, stream: u16);
    fn inbox(&mut self) -> &mut Inbox;
    /// Streams the other side reset.
    fn resets(&self) -> &[u16];
    fn shutdown(&mut self, now: Instant);
    fn closed(&self) -> bool;
}

pub struct Ours {
    pub association: Association,
    pub inbox: Inbox,
    pub resets: Vec<u16>,
    pub events: Vec<Event>,
}

impl Ours {
    pub fn new(config: Config) -> Self {
        Self {
            association: Association::new(config, [5; 32]),
            inbox: Inbox::new(),
            resets: Vec::new(),
            events: Vec::new(),
        }
    }

    fn take(&mut self) {
        while let Some(event) = self.association.poll_event() {
            match event {
                Event::StreamReadable(stream) => {
                    while let Some(m) = self.association.read(stream) {
                        self.inbox.entry(stream).or_default().push(m.data);
                    }
                }
                Event::StreamResetByPeer(stream) => self.resets.push(stream),
                _ => {}
            }
            self.events.push(event);
        }
    }
}

impl Peer for Ours {
    fn connect(&mut self, now: Instant) {
        self.association.connect(now);
    }
    fn connected(&self) -> bool {
        self.association.state() == State::Established
    }
    fn input(&mut self, now: Instant, packet: &[u8]) {
        self.association.handle_packet(now, packet);
        self.take();
    }
    fn advance(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.take();
    }
    fn timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }
    fn output(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut buffer = [0; 1500];
        let next = || {
            let length = self.association.poll_transmit(now, &mut buffer)?;
            Some(buffer[..length].to_vec())
        };
        std::iter::from_fn(next).collect()
    }
    fn send(&mut self, now: Instant, stream: u16, options: SendOptions, data: Vec<u8>) -> bool {
        self.association.send(now, stream, 53, options, Bytes::from(data)).is_ok()
    }
    fn reset(&mut self, now: Instant, stream: u16) {
        self.association.reset_stream(now, stream);
    }
    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
    fn resets(&self) -> &[u16] {
        &self.resets
    }
    fn shutdown(&mut self, now: Instant) {
        self.association.shutdown(now);
    }
    fn closed(&self) -> bool {
        self.association.state() == State::Closed
    }
}

/// dcSCTP, the implementation of Chrome.
pub struct Dc {
    socket: Box<dyn DcSctpSocket>,
    epoch: Instant,
    out: Vec<Vec<u8>>,
    pub inbox: Inbox,
    pub resets: Vec<u16>,
}

impl Dc {
    pub fn new(epoch: Instant, interleaving: bool) -> Self {
        let options = dc::Options {
            mtu: 1172,
            max_message_size: 1 << 20,
            enable_message_interleaving: interleaving,
            max_receiver_window_buffer_size: 1 << 20,
            max_send_buffer_size: 64 << 20,
            per_stream_send_queue_limit: 64 << 20,
            zero_checksum_alternate_error_detection_method:
                ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS,
            ..dc::Options::default()
        };
        Self {
            socket: dcsctp::new_socket("dc", &options),
            epoch,
            out: Vec::new(),
            inbox: Inbox::new(),
            resets: Vec::new(),
        }
    }

    fn tell(&mut self, now: Instant) {
        self.socket.advance_time(SocketTime::zero() + (now - self.epoch));
    }

    fn take(&mut self) {
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.out.push(packet),
                SocketEvent::OnIncomingStreamReset(ids) => {
                    self.resets.extend(ids.iter().map(|id| id.0));
                }
                _ => {}
            }
        }
        while let Some(message) = self.socket.get_next_message() {
            self.inbox.entry(message.stream_id.0).or_default().push(message.payload);
        }
    }
}

impl Peer for Dc {
    fn connect(&mut self, now: Instant) {
        self.tell(now);
        self.socket.connect();
    }
    fn connected(&self) -> bool {
        self.socket.state() == SocketState::Connected
    }
    fn input(&mut self, now: Instant, packet: &[u8]) {
        self.tell(now);
        self.socket.handle_input(packet);
        self.take();
    }
    fn advance(&mut self, now: Instant) {
        self.tell(now);
        self.take();
    }
    fn timeout(&self) -> Option<Instant> {
        let at = self.socket.poll_timeout();
        (at < SocketTime::infinite_future()).then(|| self.epoch + (at - SocketTime::zero()))
    }
    fn output(&mut self, _: Instant) -> Vec<Vec<u8>> {
        self.take();
        std::mem::take(&mut self.out)
    }
    fn send(&mut self, now: Instant, stream: u16, options: SendOptions, data: Vec<u8>) -> bool {
        self.tell(now);
        let options = dc::SendOptions {
            unordered: options.unordered,
            lifetime: options.lifetime,
            max_retransmissions: options.max_retransmits.map(|n| n as u16),
            lifecycle_id: None,
        };
        let message = dc::Message::new(dc::StreamId(stream), dc::PpId(53), data);
        self.socket.send(message, &options).is_ok()
    }
    fn reset(&mut self, now: Instant, stream: u16) {
        self.tell(now);
        let _ = self.socket.reset_streams(&[dc::StreamId(stream)]);
    }
    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
    fn resets(&self) -> &[u16] {
        &self.resets
    }
    fn shutdown(&mut self, now: Instant) {
        self.tell(now);
        self.socket.shutdown();
    }
    fn closed(&self) -> bool {
        self.socket.state() == SocketState::Closed
    }
}

/// rtc-sctp of webrtc-rs.
pub struct Rtc {
    endpoint: rtc_sctp::Endpoint,
    address: SocketAddr,
    handle: Option<rtc_sctp::AssociationHandle>,
    association: Option<rtc_sctp::Association>,
    connected: bool,
    out: Vec<Vec<u8>>,
    pub inbox: Inbox,
    pub resets: Vec<u16>,
    lost: bool,
}

impl Rtc {
    pub fn new() -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 5000));
        let transport = rtc_sctp::TransportConfig::default().with_max_message_size(1 << 20);
        let server = rtc_sctp::ServerConfig::new(transport);
        Self {
            endpoint: rtc_sctp::Endpoint::new(
                local,
                rtc_shared::TransportProtocol::UDP,
                Arc::new(rtc_sctp::EndpointConfig::default()),
                Some(Arc::new(server)),
            ),
            address: SocketAddr::from(([127, 0, 0, 1], 5001)),
            handle: None,
            association: None,
            connected: false,
            out: Vec::new(),
            inbox: Inbox::new(),
            resets: Vec::new(),
            lost: false,
        }
    }

    fn take(&mut self, now: Instant) {
        let Some(association) = &mut self.association else { return };
        while let Some(event) = association.poll() {
            match event {
                rtc_sctp::Event::Connected => self.connected = true,
                rtc_sctp::Event::AssociationLost { .. } => self.lost = true,
                rtc_sctp::Event::Stream(rtc_sctp::StreamEvent::Stopped { id, .. }) => {
                    self.resets.push(id);
                }
                _ => {}
            }
        }
        while association.accept_stream().is_some() {}
        for id in association.stream_ids() {
            let Ok(mut stream) = association.stream(id) else { continue };
            while let Ok(Some(chunks)) = stream.read_sctp() {
                let mut data = vec![0; chunks.len()];
                let _ = chunks.read(&mut data);
                self.inbox.entry(id).or_default().push(data);
            }
        }
        while let Some(event) = association.poll_endpoint_event() {
            if let Some(handle) = self.handle {
                self.endpoint.handle_event(handle, event);
            }
        }
        while let Some(transmit) = association.poll_transmit(now) {
            if let rtc_sctp::Payload::RawEncode(packets) = transmit.message {
                self.out.extend(packets.iter().map(|p| p.to_vec()));
            }
        }
    }
}

impl Peer for Rtc {
    fn connect(&mut self, now: Instant) {
        let transport = rtc_sctp::TransportConfig::default().with_max_message_size(1 << 20);
        let config = rtc_sctp::ClientConfig::new(transport);
        if let Ok((handle, association)) = self.endpoint.connect(now, config, self.address) {
            self.handle = Some(handle);
            self.association = Some(association);
        }
        self.take(now);
    }
    fn connected(&self) -> bool {
        self.connected
    }
    fn input(&mut self, now: Instant, packet: &[u8]) {
        let bytes = Bytes::copy_from_slice(packet);
        match self.endpoint.handle(now, self.address, None, bytes) {
            Some((handle, rtc_sctp::DatagramEvent::NewAssociation(association))) => {
                self.handle = Some(handle);
                self.association = Some(association);
            }
            Some((_, rtc_sctp::DatagramEvent::AssociationEvent(event))) => {
                if let Some(association) = &mut self.association {
                    association.handle_event(event);
                }
            }
            _ => {}
        }
        self.take(now);
    }
    fn advance(&mut self, now: Instant) {
        if let Some(association) = &mut self.association
            && association.poll_timeout().is_some_and(|at| at <= now)
        {
            association.handle_timeout(now);
        }
        self.take(now);
    }
    fn timeout(&self) -> Option<Instant> {
        self.association.as_ref()?.poll_timeout()
    }
    fn output(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.take(now);
        std::mem::take(&mut self.out)
    }
    fn send(&mut self, now: Instant, id: u16, options: SendOptions, data: Vec<u8>) -> bool {
        let Some(association) = &mut self.association else { return false };
        let binary = rtc_sctp::PayloadProtocolIdentifier::Binary;
        let _ = association.open_stream(id, binary);
        let Ok(mut stream) = association.stream(id) else { return false };
        let (kind, value) = match options.max_retransmits {
            Some(n) => (rtc_sctp::ReliabilityType::Rexmit, n),
            None => (rtc_sctp::ReliabilityType::Reliable, 0),
        };
        let _ = stream.set_reliability_params(options.unordered, kind, value);
        stream.write_sctp(now, &Bytes::from(data), binary).is_ok()
    }
    fn reset(&mut self, now: Instant, id: u16) {
        if let Some(Ok(mut stream)) = self.association.as_mut().map(|a| a.stream(id)) {
            let _ = stream.close(now);
        }
    }
    fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }
    fn resets(&self) -> &[u16] {
        &self.resets
    }
    fn shutdown(&mut self, now: Instant) {
        if let Some(association) = &mut self.association {
            let _ = association.shutdown();
        }
        self.take(now);
    }
    fn closed(&self) -> bool {
        self.lost || self.association.as_ref().is_some_and(rtc_sctp::Association::is_closed)
    }
}
