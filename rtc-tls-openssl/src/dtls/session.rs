//! One DTLS connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use openssl::ssl::{ErrorCode, SslStream};
use rtc_core::backend::dtls::{
    Aead, DtlsConfig, DtlsConnected, DtlsEvent, DtlsRole, DtlsSession, RecordOverhead,
};
use rtc_core::{Error, Result};

use super::bio::{self, Opened, Wire};
use super::context;
use super::record::{self, CLOSE_NOTIFY, Fate, Record};
use crate::{failure, ffi};

/// How long a handshake may take, from the ClientHello.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a handshake may go on without progress once the peer seems to have given up. Anybody
/// can forge an unprotected alert, so it does not end a handshake that goes on regardless.
const PATIENCE_AFTER_ALERT: Duration = Duration::from_millis(500);
/// Records of data that are kept until the handshake is complete: how many, and their bytes.
const MAX_KEPT: usize = 64;
const MAX_KEPT_BYTES: usize = 128 * 1024;
/// Most bytes that RFC 5705 keying material may have here.
const MAX_EXPORT: usize = 4096;
/// `AlertDescription.bad_certificate`
const BAD_CERTIFICATE: u8 = 42;
/// Most bytes of data in a record (RFC 5246 §6.2.1).
const MAX_PLAINTEXT: usize = 1 << 14;
/// Bytes that AES-GCM adds before the data, and every AEAD after it (RFC 5288 §3, RFC 7905 §2).
const GCM_NONCE: usize = 8;
const TAG: usize = 16;

/// Where the connection stands.
enum Phase {
    Handshaking(Handshaking),
    Connected,
    /// We sent close_notify and wait for the peer's.
    Closing,
    /// Closed by both sides, or failed.
    Ended,
}

/// What only a handshake needs.
#[derive(Default)]
struct Handshaking {
    /// When to give up.
    deadline: Option<Instant>,
    /// When OpenSSL wants to repeat its flight.
    repetition: Option<Instant>,
    /// The deadline before an unprotected alert came, with the alert.
    doubted: Option<(Option<Instant>, u8)>,
    /// Data that came early, as records.
    kept: Vec<Vec<u8>>,
    kept_bytes: usize,
    /// Sequence number for the next unprotected record that OpenSSL gets.
    next_sequence: u64,
}

impl Handshaking {
    fn keep(&mut self, record: &[u8]) {
        if self.kept.len() < MAX_KEPT && self.kept_bytes + record.len() <= MAX_KEPT_BYTES {
            self.kept_bytes += record.len();
            self.kept.push(record.to_vec());
        }
    }

    fn doubt(&mut self, now: Instant, alert: u8) {
        if self.doubted.is_none() {
            self.doubted = Some((self.deadline, alert));
            let sooner = now + PATIENCE_AFTER_ALERT;
            self.deadline = Some(self.deadline.map_or(sooner, |deadline| deadline.min(sooner)));
        }
    }

    fn trust_again(&mut self) {
        if let Some((deadline, _)) = self.doubted.take() {
            self.deadline = deadline;
        }
    }
}

/// A DTLS connection.
pub(crate) struct Session {
    stream: SslStream<Wire>,
    role: DtlsRole,
    phase: Phase,
    overhead: RecordOverhead,
    events: VecDeque<DtlsEvent>,
    peer_is_known: bool,
    /// Records of data that came before the handshake was complete.
    early: Vec<Vec<u8>>,
}

impl Session {
    pub(crate) fn new(config: &DtlsConfig, now: Instant) -> Result<Self> {
        let stream =
            SslStream::new(context::connection(config)?, Wire::default()).map_err(|stack| {
                Error::failure(format!("cannot start DTLS: {}", failure::of_stack(&stack)))
            })?;
        let mut session = Self {
            stream,
            role: config.role,
            phase: Phase::Handshaking(Handshaking::default()),
            overhead: RecordOverhead { head: record::HEADER + GCM_NONCE, tail: TAG },
            events: VecDeque::new(),
            peer_is_known: false,
            early: Vec::new(),
        };
        if config.role == DtlsRole::Client {
            session.advance(now, &[])?;
        }
        Ok(session)
    }

    /// Takes a datagram during the handshake; returns what of it came after its end.
    fn handle_handshake<'a>(
        &mut self,
        now: Instant,
        datagram: &'a mut [u8],
    ) -> Result<&'a mut [u8]> {
        let mut rest = datagram;
        while let Phase::Handshaking(handshaking) = &mut self.phase {
            let Some((mut record, following)) = Record::split(rest) else { return Ok(&mut []) };
            match record.fate() {
                Fate::Forward => {
                    record.renumber(&mut handshaking.next_sequence);
                    self.advance(now, record.bytes())?;
                }
                Fate::Keep => handshaking.keep(record.bytes()),
                Fate::Doubt(alert) => handshaking.doubt(now, alert),
                Fate::Drop => {}
            }
            rest = following;
        }
        Ok(rest)
    }

    /// Lets OpenSSL do what it can with `record`.
    fn advance(&mut self, now: Instant, record: &[u8]) -> Result<()> {
        let before = self.stream.ssl().state_string_long();
        let outcome = bio::handshake(&mut self.stream, record);
        if let Phase::Handshaking(handshaking) = &mut self.phase
            && self.stream.ssl().state_string_long() != before
        {
            handshaking.trust_again();
            handshaking.deadline.get_or_insert(now + PATIENCE);
        }
        match outcome {
            Ok(()) => {
                self.complete();
                Ok(())
            }
            Err(error) if error.code() == ErrorCode::WANT_READ => {
                // A client protects records only after it has verified the server's signature.
                if self.role == DtlsRole::Client && self.stream.get_ref().protects() {
                    self.introduce_peer();
                }
                self.watch_timer(now);
                Ok(())
            }
            Err(error) => {
                self.phase = Phase::Ended;
                let reason = failure::of_connection(&error);
                Err(Error::failure(format!("DTLS handshake failed: {reason}")))
            }
        }
    }

    fn complete(&mut self) {
        self.introduce_peer();
        let ssl = self.stream.ssl();
        let cipher = ssl.current_cipher();
        let name = cipher.and_then(|cipher| cipher.standard_name()).unwrap_or_default();
        if !name.contains("_GCM_") {
            self.overhead.head = record::HEADER;
        }
        let srtp = ssl.selected_srtp_profile();
        self.events.push_back(DtlsEvent::Connected(DtlsConnected {
            version: "DTLS 1.2",
            cipher_suite: name.to_owned(),
            srtp_profile: srtp.and_then(|profile| context::srtp_profile(profile.name())),
        }));
        if let Phase::Handshaking(handshaking) =
            std::mem::replace(&mut self.phase, Phase::Connected)
        {
            self.early = handshaking.kept;
        }
    }

    /// Reports the peer's certificate, once.
    fn introduce_peer(&mut self) {
        if self.peer_is_known {
            return;
        }
        let certificate = self.stream.ssl().peer_certificate();
        if let Some(der) = certificate.and_then(|certificate| certificate.to_der().ok()) {
            self.peer_is_known = true;
            self.events.push_back(DtlsEvent::PeerCertificate(der));
        }
    }

    fn watch_timer(&mut self, now: Instant) {
        if let Phase::Handshaking(handshaking) = &mut self.phase {
            handshaking.repetition = ffi::time_left(self.stream.ssl()).map(|left| now + left);
        }
    }

    /// Opens the records of a datagram and hands over their data.
    fn open(&mut self, datagram: &mut [u8], data: &mut dyn FnMut(&mut [u8])) -> Result<()> {
        if datagram.is_empty() || matches!(self.phase, Phase::Ended) {
            return Ok(());
        }
        let mut opened = bio::open(&mut self.stream, datagram);
        loop {
            match opened {
                Opened::Data(length) => {
                    if let (Phase::Connected, Some(payload)) =
                        (&self.phase, datagram.get_mut(..length))
                    {
                        data(payload);
                    }
                    if !ffi::has_pending(self.stream.ssl()) {
                        return Ok(());
                    }
                    opened = bio::open_next(&mut self.stream, datagram);
                }
                Opened::Nothing => return Ok(()),
                Opened::CloseNotify => {
                    self.events.push_back(DtlsEvent::CloseNotify);
                    self.say_goodbye();
                    self.phase = Phase::Ended;
                    return Ok(());
                }
                Opened::Failed(reason) => {
                    self.phase = Phase::Ended;
                    return Err(Error::failure(format!("DTLS connection failed: {reason}")));
                }
            }
        }
    }

    /// Queues close_notify, unless that was done before.
    fn say_goodbye(&mut self) {
        if let Phase::Connected = self.phase {
            ffi::clear_errors();
            // It can fail only where there is nobody left to tell.
            let _ = self.stream.shutdown();
        }
    }
}

impl DtlsSession for Session {
    fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &mut [u8],
        data: &mut dyn FnMut(&mut [u8]),
    ) -> Result<()> {
        let Phase::Handshaking(_) = self.phase else {
            return self.open(datagram, data);
        };
        let rest = self.handle_handshake(now, datagram)?;
        for mut record in std::mem::take(&mut self.early) {
            self.open(&mut record, data)?;
        }
        self.open(rest, data)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        let Phase::Handshaking(handshaking) = &self.phase else { return Ok(()) };
        let reason = if handshaking.deadline.is_some_and(|deadline| now >= deadline) {
            match handshaking.doubted {
                Some((_, alert)) => failure::by_alert(alert),
                None => "no answer in time".to_owned(),
            }
        } else if handshaking.repetition.is_some_and(|at| now >= at) {
            ffi::clear_errors();
            match ffi::repeat_flight(self.stream.ssl()) {
                Ok(()) => {
                    self.watch_timer(now);
                    return Ok(());
                }
                Err(stack) => failure::of_stack(&stack),
            }
        } else {
            return Ok(());
        };
        self.phase = Phase::Ended;
        Err(Error::failure(format!("DTLS handshake failed: {reason}")))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Handshaking(handshaking) => {
                handshaking.deadline.into_iter().chain(handshaking.repetition).min()
            }
            _ => None,
        }
    }

    fn poll_transmit(&mut self, datagram: &mut Vec<u8>) -> bool {
        datagram.clear();
        match self.stream.get_mut().poll() {
            Some(next) => {
                datagram.extend_from_slice(&next);
                true
            }
            None => false,
        }
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn overhead(&self) -> RecordOverhead {
        self.overhead
    }

    fn seal(&mut self, record: &mut [u8]) -> Result<usize> {
        let Phase::Connected = self.phase else {
            return Err(Error::failure("cannot protect data: DTLS is not connected"));
        };
        let RecordOverhead { head, tail } = self.overhead;
        let end = record.len().saturating_sub(tail);
        let payload = record.get(head..end).unwrap_or_default();
        if payload.is_empty() || payload.len() > MAX_PLAINTEXT {
            let length = payload.len();
            return Err(Error::invalid(format!(
                "cannot protect {length} bytes of data: a DTLS record has 1 to {MAX_PLAINTEXT}"
            )));
        }
        let length = payload.len();
        bio::seal(&mut self.stream, record, head, length)
            .map_err(|reason| Error::failure(format!("cannot protect data: {reason}")))
    }

    fn export_keying_material(&self, label: &str, length: usize) -> Result<Vec<u8>> {
        if !matches!(self.phase, Phase::Connected | Phase::Closing) {
            return Err(Error::failure("cannot export keying material: DTLS is not connected"));
        }
        if length > MAX_EXPORT {
            return Err(Error::invalid(format!(
                "cannot export {length} bytes of keying material: at most {MAX_EXPORT}"
            )));
        }
        let mut material = vec![0; length];
        match self.stream.ssl().export_keying_material(&mut material, label, None) {
            Ok(()) => Ok(material),
            Err(stack) => {
                let reason = failure::of_stack(&stack);
                Err(Error::failure(format!("cannot export keying material: {reason}")))
            }
        }
    }

    fn srtp_aead(&self, key: &[u8]) -> Option<Box<dyn Aead>> {
        crate::srtp::srtp_aead(key)
    }

    fn reject(&mut self, _now: Instant) {
        // The peer has not seen our last flight yet, so that it still believes what is unprotected;
        // OpenSSL knows no call that sends an alert.
        if !matches!(self.phase, Phase::Ended) {
            self.stream.get_mut().give_up(BAD_CERTIFICATE);
            self.phase = Phase::Ended;
        }
    }

    fn close(&mut self, _now: Instant) {
        match self.phase {
            Phase::Handshaking(_) => {
                self.stream.get_mut().give_up(CLOSE_NOTIFY);
                self.phase = Phase::Ended;
            }
            Phase::Connected => {
                self.say_goodbye();
                self.phase = Phase::Closing;
            }
            Phase::Closing | Phase::Ended => {}
        }
    }
}
