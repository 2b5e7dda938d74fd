//! One peer core against a scripted peer, whose SCTP says whatever a test wants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rtc_sctp_engine::{Association, Event, SendOptions};

use super::dtls::{CLIENT_HELLO, NULL, SERVER_HELLO, hello, open_record, record};
use super::network::{End, negotiated, without_init};
use crate::backend::dtls::DtlsRole;
use crate::backend::ice::IceEvent;
use crate::channel::{Channel as _, DataChannel};
use crate::config::{Configuration, DataChannelInit};
use crate::dcep;
use crate::peer::transport::TransmitBuffer;
use crate::sdp::{Description, DescriptionKind};
use crate::state::IceState;

pub(super) struct Scripted {
    pub(super) end: End,
    pub(super) sctp: Association,
    pub(super) events: Vec<Event>,
    pub(super) now: Instant,
    /// Handshake messages and alerts that the core sent.
    pub(super) handshake: Vec<Vec<u8>>,
    /// Errors reported on the core's own channels.
    pub(super) errors: Arc<Mutex<Vec<String>>>,
    buffer: TransmitBuffer,
}

impl Scripted {
    /// Both descriptions are set; nothing has been sent yet. `role` is the core's.
    pub(super) fn described(role: DtlsRole, mut end: End, sctp: rtc_sctp_engine::Config) -> Self {
        let now = Instant::now();
        let mut other = End::new("b", Configuration::default(), &NULL);
        // Only to have something to negotiate.
        other.core.create_channel(now, b"filler".to_vec(), negotiated(0)).unwrap();
        let (offerer, answerer) = match role {
            // The answerer chooses to be the client.
            DtlsRole::Server => (&mut end.core, &mut other.core),
            DtlsRole::Client => (&mut other.core, &mut end.core),
        };
        offerer.set_local_description(now, DescriptionKind::Offer).unwrap();
        let offer = offerer.local_description().unwrap().to_sdp();
        let offer = Description::parse(&without_init(&offer), DescriptionKind::Offer).unwrap();
        answerer.set_remote_description(now, offer).unwrap();
        answerer.set_local_description(now, DescriptionKind::Answer).unwrap();
        let answer = answerer.local_description().unwrap().to_sdp();
        let answer = Description::parse(&without_init(&answer), DescriptionKind::Answer).unwrap();
        offerer.set_remote_description(now, answer).unwrap();
        let mut scripted = Self {
            end,
            sctp: Association::new(sctp, [3; 32]),
            events: Vec::new(),
            now,
            handshake: Vec::new(),
            errors: Arc::default(),
            buffer: TransmitBuffer::default(),
        };
        scripted.find_path();
        scripted
    }

    /// Connected, as far as DTLS; `role` is the core's. The core has created `channels` before.
    pub(super) fn connected(
        role: DtlsRole,
        channels: &[DataChannelInit],
        sctp: rtc_sctp_engine::Config,
    ) -> (Self, Vec<Arc<DataChannel>>) {
        let mut end = End::new("a", Configuration::default(), &NULL);
        let now = Instant::now();
        let create = |init: &DataChannelInit| {
            end.core.create_channel(now, b"own".to_vec(), init.clone()).unwrap()
        };
        let channels: Vec<_> = channels.iter().map(create).collect();
        let mut scripted = Self::described(role, end, sctp);
        for channel in &channels {
            let errors = Arc::clone(&scripted.errors);
            channel.on_error(Some(Arc::new(move |text: &str| errors.lock().push(text.to_owned()))));
        }
        scripted.shake_hands("b");
        scripted.sctp.connect(now);
        scripted.pump(1);
        assert!(scripted.end.core.sctp_connected);
        (scripted, channels)
    }

    /// A connected server without limits of its peer's, and one channel of its own.
    pub(super) fn server() -> (Self, Arc<DataChannel>) {
        let (scripted, channels) = Self::connected(
            DtlsRole::Server,
            &[DataChannelInit::default()],
            rtc_sctp_engine::Config::default(),
        );
        let [channel] = channels.try_into().unwrap();
        (scripted, channel)
    }

    pub(super) fn find_path(&mut self) {
        self.end.core.handle_ice_event(self.now, IceEvent::State(IceState::Connected));
        self.take_datagrams();
    }

    /// Sends the flight of DTLS that the core waits for, with the certificate `name`.
    pub(super) fn shake_hands(&mut self, name: &str) {
        let kind = match self.end.core.dtls_role {
            Some(DtlsRole::Client) => SERVER_HELLO,
            _ => CLIENT_HELLO,
        };
        self.inject(hello(kind, name.as_bytes()));
    }

    /// Gives the core a datagram.
    pub(super) fn inject(&mut self, mut datagram: Vec<u8>) {
        self.end.core.handle_datagram(self.now, &mut datagram);
        self.end.core.handle_sctp_events(self.now);
        self.take_datagrams();
    }

    fn take_datagrams(&mut self) {
        self.end.take_news();
        while self.end.core.poll_transmit(self.now, &mut self.buffer) {
            for datagram in self.buffer.batches().flat_map(|(batch, size)| batch.chunks(size)) {
                self.end.sent += 1;
                match open_record(datagram) {
                    Some(packet) => self.sctp.handle_packet(self.now, packet),
                    None => self.handshake.push(datagram.to_vec()),
                }
            }
        }
    }

    /// The packets that the scripted SCTP has to send.
    pub(super) fn packets(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let mut buffer = [0; 1500];
        while let Some(length) = self.sctp.poll_transmit(self.now, &mut buffer) {
            packets.push(buffer[..length].to_vec());
        }
        packets
    }

    /// Exchanges packets until nothing moves.
    pub(super) fn exchange(&mut self) {
        loop {
            self.take_datagrams();
            let packets = self.packets();
            if packets.is_empty() {
                break;
            }
            for packet in packets {
                self.end.core.handle_datagram(self.now, &mut record(&packet));
            }
            self.end.core.handle_sctp_events(self.now);
        }
        self.events.extend(std::iter::from_fn(|| self.sctp.poll_event()));
    }

    /// Exchanges packets for so many virtual seconds.
    pub(super) fn pump(&mut self, seconds: u64) {
        let deadline = self.now + Duration::from_secs(seconds);
        loop {
            self.exchange();
            let timers = [self.end.core.poll_timeout(), self.sctp.poll_timeout()];
            match timers.into_iter().flatten().min() {
                Some(at) if at <= deadline => self.now = self.now.max(at),
                _ => break,
            }
            self.end.core.handle_timeout(self.now);
            self.sctp.handle_timeout(self.now);
        }
        self.now = deadline;
    }

    /// Sends on a stream and lets it arrive.
    pub(super) fn say(&mut self, stream: u16, ppid: u32, data: &[u8]) {
        let data = bytes::Bytes::copy_from_slice(data);
        self.sctp.send(self.now, stream, ppid, SendOptions::default(), data).unwrap();
        self.pump(1);
    }

    /// Opens a channel on a stream; what the core made of it.
    pub(super) fn open(&mut self, stream: u16) -> Option<Arc<DataChannel>> {
        let known = self.end.incoming.len();
        let open = dcep::Message::Open(dcep::Open::default()).encode().unwrap();
        self.say(stream, 50, &open);
        self.end.incoming.get(known).cloned()
    }

    /// What the core sent on a stream: identifiers and payloads.
    pub(super) fn hear(&mut self, stream: u16) -> Vec<(u32, Vec<u8>)> {
        let read = || self.sctp.read(stream).map(|message| (message.ppid, message.data));
        std::iter::from_fn(read).collect()
    }

    /// Whether the core has reset its direction of the stream.
    pub(super) fn was_reset(&self, stream: u16) -> bool {
        self.events.contains(&Event::StreamResetByPeer(stream))
    }
}
