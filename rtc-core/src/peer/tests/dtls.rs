//! A DTLS that encrypts nothing: two flights, then records with a checksum. It keeps the contract
//! of the trait, so that the core can be tested without cryptography, quickly and repeatably.
//!
//! Datagrams begin as DTLS ones do: 22 a handshake message (`kind`, certificate), 21 an alert
//! (`kind`), 23 a record (13 bytes of header, payload, 8 bytes of checksum).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::dtls::{
    Certificate, CertificateBackend, CertificateKind, DtlsBackend, DtlsCapabilities, DtlsConfig,
    DtlsConnected, DtlsEvent, DtlsRole, DtlsSession, RecordOverhead, SrtpProfile,
};
use crate::error::{Error, Result};

pub(super) const HEAD: usize = 13;
pub(super) const TAIL: usize = 8;
pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const BAD_CERTIFICATE: u8 = 42;
const RETRANSMISSION: Duration = Duration::from_millis(400);
/// Records kept until the handshake is complete.
const MAX_KEPT: usize = 100;

/// The backend; `anonymous` sessions forget to report the peer's certificate, and those with
/// `media` agree on keys for SRTP, always the same.
#[derive(Debug)]
pub(super) struct Null {
    anonymous: bool,
    media: bool,
}

pub(super) static NULL: Null = Null { anonymous: false, media: false };
pub(super) static ANONYMOUS: Null = Null { anonymous: true, media: false };
pub(super) static MEDIA: Null = Null { anonymous: false, media: true };

/// A certificate that is nothing but its name.
pub(super) fn certificate(name: &str) -> Certificate {
    Certificate::new(name.as_bytes(), Arc::new(()))
}

pub(super) fn hello(kind: u8, certificate: &[u8]) -> Vec<u8> {
    [&[22, kind], certificate].concat()
}

/// A record around `payload`, as [`DtlsSession::seal`] makes it.
pub(super) fn record(payload: &[u8]) -> Vec<u8> {
    let mut record = vec![0; HEAD];
    record[0] = 23;
    record.extend_from_slice(payload);
    record.extend_from_slice(&checksum(payload).to_be_bytes());
    record
}

/// The payload of a record; `None` for anything else and what is damaged.
pub(super) fn open_record(datagram: &[u8]) -> Option<&[u8]> {
    let rest = datagram.strip_prefix(&[23])?;
    let (payload, sum) = rest.get(HEAD - 1..)?.split_last_chunk()?;
    (checksum(payload) == u64::from_be_bytes(*sum)).then_some(payload)
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

impl CertificateBackend for Null {
    fn generate_certificate(&self, _: CertificateKind, _: Option<&str>) -> Result<Certificate> {
        Ok(certificate("generated"))
    }

    fn load_certificate(&self, _: &str, _: &str, _: Option<&str>) -> Result<Certificate> {
        Err(Error::failure("the null cipher loads no certificates"))
    }
}

impl DtlsBackend for Null {
    fn name(&self) -> &'static str {
        "null"
    }

    fn capabilities(&self) -> DtlsCapabilities {
        DtlsCapabilities { rsa_local: false, rsa_remote: false, dtls13: false, srtp: self.media }
    }

    fn session(&self, config: DtlsConfig, now: Instant) -> Result<Box<dyn DtlsSession>> {
        let mut session = Session {
            config,
            anonymous: self.anonymous,
            media: self.media,
            connected: false,
            ended: false,
            retransmit_at: None,
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            kept: VecDeque::new(),
        };
        if session.config.role == DtlsRole::Client {
            session.say_hello();
            session.retransmit_at = Some(now + RETRANSMISSION);
        }
        Ok(Box::new(session))
    }
}

struct Session {
    config: DtlsConfig,
    anonymous: bool,
    media: bool,
    connected: bool,
    ended: bool,
    retransmit_at: Option<Instant>,
    outgoing: VecDeque<Vec<u8>>,
    events: VecDeque<DtlsEvent>,
    kept: VecDeque<Vec<u8>>,
}

impl Session {
    fn say_hello(&mut self) {
        let kind = match self.config.role {
            DtlsRole::Client => CLIENT_HELLO,
            DtlsRole::Server => SERVER_HELLO,
        };
        self.outgoing.push_back(hello(kind, self.config.certificate.der()));
    }

    fn handle_hello(&mut self, kind: u8, certificate: &[u8]) {
        let expected = match self.config.role {
            DtlsRole::Client => SERVER_HELLO,
            DtlsRole::Server => CLIENT_HELLO,
        };
        if kind != expected {
            return;
        }
        if self.config.role == DtlsRole::Server {
            self.say_hello();
        }
        if self.connected {
            return;
        }
        self.connected = true;
        self.retransmit_at = None;
        if !self.anonymous {
            self.events.push_back(DtlsEvent::PeerCertificate(certificate.to_vec()));
        }
        self.events.push_back(DtlsEvent::Connected(DtlsConnected {
            version: "DTLS 0.0",
            cipher_suite: "NULL".into(),
            srtp_profile: self.media.then_some(SrtpProfile::AeadAes128Gcm),
        }));
    }

    fn alert(&mut self, kind: u8) {
        if !std::mem::replace(&mut self.ended, true) {
            self.outgoing.push_back(vec![21, kind]);
        }
    }
}

impl DtlsSession for Session {
    fn handle_datagram(
        &mut self,
        _: Instant,
        datagram: &mut [u8],
        data: &mut dyn FnMut(&mut [u8]),
    ) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        match &*datagram {
            [22, kind, certificate @ ..] => {
                self.handle_hello(*kind, certificate);
                if self.connected {
                    for mut payload in self.kept.drain(..) {
                        data(&mut payload);
                    }
                }
            }
            [21, CLOSE_NOTIFY] => self.events.push_back(DtlsEvent::CloseNotify),
            [21, BAD_CERTIFICATE] => return Err(Error::failure("alert: bad certificate")),
            _ => {
                let Some(payload) = open_record(datagram) else { return Ok(()) };
                let mut payload = payload.to_vec();
                if self.connected {
                    data(&mut payload);
                } else if self.kept.len() < MAX_KEPT {
                    self.kept.push_back(payload);
                }
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<()> {
        self.say_hello();
        self.retransmit_at = Some(now + RETRANSMISSION);
        Ok(())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.retransmit_at
    }

    fn poll_transmit(&mut self, datagram: &mut Vec<u8>) -> bool {
        datagram.clear();
        match self.outgoing.pop_front() {
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
        RecordOverhead { head: HEAD, tail: TAIL }
    }

    fn seal(&mut self, sealed: &mut [u8]) -> Result<usize> {
        if !self.connected || self.ended {
            return Err(Error::failure("the session is not connected"));
        }
        let payload = sealed.get(HEAD..sealed.len() - TAIL).unwrap_or_default().to_vec();
        sealed.copy_from_slice(&record(&payload));
        Ok(sealed.len())
    }

    fn export_keying_material(&self, _: &str, length: usize) -> Result<Vec<u8>> {
        match self.media {
            true => Ok(vec![7; length]),
            false => Err(Error::failure("the null cipher has no keys")),
        }
    }

    fn reject(&mut self, _: Instant) {
        self.alert(BAD_CERTIFICATE);
    }

    fn close(&mut self, _: Instant) {
        self.alert(CLOSE_NOTIFY);
    }
}
