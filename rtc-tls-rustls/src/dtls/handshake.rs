//! What both roles of a handshake share.

use std::sync::Arc;

use rtc_core::backend::dtls::{DtlsRole, SrtpProfile};
use rtc_core::{Error, Result};
use rustls::SignatureScheme;
use rustls::crypto::{ActiveKeyExchange, SupportedKxGroup};
use rustls::sign::{CertifiedKey, Signer};

use super::alert::Alert;
use super::client::Client;
use super::codec::{Malformed, Numbers};
use super::flight::Item;
use super::messages::{self, Message, RANDOM};
use super::server::Server;
use super::suite::{MasterSeed, Secrets, Suite};
use crate::crypto::{self, provider};
use crate::x509;

/// Bytes of our own and the peer's messages that a handshake may have altogether; they are kept
/// until both sides have signed them.
const MAX_TRANSCRIPT: usize = 256 * 1024;

/// Schemes to sign with, best first. The PKCS #1 ones go before PSS since every peer knows them.
const SIGNING_SCHEMES: [SignatureScheme; 10] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
];

/// Why a message was not accepted.
#[derive(Debug)]
pub(super) enum Fault {
    /// As if it had not come: anybody could have sent it, and a good one may follow.
    Ignored(&'static str),
    /// The handshake is over.
    Fatal(Alert, Error),
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Self::Ignored("a handshake message is malformed")
    }
}

impl Fault {
    pub(super) fn fatal(alert: Alert, reason: &str) -> Self {
        Self::Fatal(alert, Error::failure(format!("DTLS handshake failed: {reason}")))
    }

    pub(super) fn internal(error: Error) -> Self {
        Self::Fatal(Alert::InternalError, error)
    }
}

/// What follows from an accepted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More messages of the peer's flight.
    Continue,
    /// Our next flight is in [`Context::flight`] and will be answered.
    Send,
    /// The handshake is complete; the last flight, if it is ours, is in [`Context::flight`].
    Complete,
}

/// What both roles have.
pub(super) struct Context {
    pub(super) role: DtlsRole,
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) srtp_profiles: Vec<SrtpProfile>,
    pub(super) client_random: [u8; RANDOM],
    pub(super) server_random: [u8; RANDOM],
    /// All messages so far, each as one fragment.
    pub(super) transcript: Vec<u8>,
    pub(super) flight: Vec<Item>,
    next_sequence: u16,
    pub(super) extended_master_secret: bool,
    pub(super) srtp_profile: Option<SrtpProfile>,
    pub(super) secrets: Option<Secrets>,
    /// The peer's leaf certificate.
    pub(super) peer_certificate: Option<Vec<u8>>,
    /// The peer signed with the key of its certificate.
    pub(super) peer_is_proven: bool,
}

impl Context {
    pub(super) fn new(
        role: DtlsRole,
        certified: Arc<CertifiedKey>,
        srtp_profiles: Vec<SrtpProfile>,
    ) -> Result<Self> {
        let mut random = [0; RANDOM];
        crypto::random(&mut random)?;
        Ok(Self {
            role,
            certified,
            srtp_profiles,
            client_random: random,
            server_random: random,
            transcript: Vec::new(),
            flight: Vec::new(),
            next_sequence: 0,
            extended_master_secret: false,
            srtp_profile: None,
            secrets: None,
            peer_certificate: None,
            peer_is_proven: false,
        })
    }

    /// Adds a message of ours to the flight and the transcript.
    pub(super) fn push(&mut self, epoch: u16, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let bytes = messages::message(kind, self.next_sequence, write);
        self.next_sequence += 1;
        self.transcript.extend_from_slice(&bytes);
        self.flight.push(Item::Message { epoch, bytes });
    }

    /// Adds a message of the peer's to the transcript.
    pub(super) fn absorb(&mut self, message: Message<'_>) -> Result<(), Fault> {
        if self.transcript.len() + message.bytes.len() > MAX_TRANSCRIPT {
            return Err(Fault::fatal(Alert::InternalError, "the peer's messages are too long"));
        }
        self.transcript.extend_from_slice(message.bytes);
        Ok(())
    }

    pub(super) fn push_certificate(&mut self) {
        let certified = self.certified.clone();
        self.push(0, messages::CERTIFICATE, |out| {
            messages::put_certificate(out, &certified.cert);
        });
    }

    /// Adds ChangeCipherSpec and Finished.
    pub(super) fn push_finished(&mut self) -> Result<(), Fault> {
        let data = self.secrets()?.verify_data(self.role, &self.transcript);
        self.flight.push(Item::ChangeCipherSpec);
        self.push(1, messages::FINISHED, |out| out.extend_from_slice(&data));
        Ok(())
    }

    /// Checks the peer's Finished.
    pub(super) fn check_finished(&mut self, message: Message<'_>) -> Result<(), Fault> {
        if message.epoch == 0 {
            return Err(Fault::Ignored("Finished came unprotected"));
        }
        let mut body = message.body();
        let data: [u8; messages::VERIFY_DATA] = body.array()?;
        body.finish()?;
        let peer = match self.role {
            DtlsRole::Client => DtlsRole::Server,
            DtlsRole::Server => DtlsRole::Client,
        };
        let expected = self.secrets()?.verify_data(peer, &self.transcript);
        let difference = data.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b));
        if difference != 0 {
            return Err(Fault::fatal(Alert::DecryptError, "Finished does not match"));
        }
        self.absorb(message)
    }

    /// Takes the peer's certificate.
    pub(super) fn accept_certificate(&mut self, message: Message<'_>) -> Result<(), Fault> {
        let Some(leaf) = messages::read_certificate(message.body())? else {
            return Err(Fault::fatal(Alert::HandshakeFailure, "the peer has no certificate"));
        };
        if x509::public_key(leaf).is_none() {
            return Err(Fault::fatal(
                Alert::BadCertificate,
                "the peer's certificate cannot be read",
            ));
        }
        self.peer_certificate = Some(leaf.to_vec());
        self.absorb(message)
    }

    /// Checks that the peer signed `content` with the key of its certificate.
    pub(super) fn check_signature(
        &self,
        content: &[u8],
        signed: messages::Signed<'_>,
    ) -> Result<(), Fault> {
        let certificate = self.peer_certificate.as_deref().and_then(x509::public_key);
        let key = certificate.ok_or(Fault::Ignored("a signature came before the certificate"))?;
        if !crypto::verify(&key, SignatureScheme::from(signed.scheme), content, signed.signature) {
            return Err(Fault::fatal(
                Alert::DecryptError,
                "the peer's signature does not match its certificate",
            ));
        }
        Ok(())
    }

    /// Derives the secrets from the key agreement.
    pub(super) fn agree(
        &mut self,
        suite: &'static Suite,
        exchange: Box<dyn ActiveKeyExchange>,
        peer_key: &[u8],
    ) -> Result<(), Fault> {
        let seed = if self.extended_master_secret {
            MasterSeed::Transcript(&self.transcript)
        } else {
            MasterSeed::Randoms
        };
        let (client, server) = (self.client_random, self.server_random);
        let secrets = Secrets::agree(suite, exchange, peer_key, seed, client, server)
            .map_err(|error| Fault::Fatal(Alert::IllegalParameter, error))?;
        self.secrets = Some(secrets);
        Ok(())
    }

    pub(super) fn secrets(&self) -> Result<&Secrets, Fault> {
        self.secrets.as_ref().ok_or(Fault::Ignored("a message came before the keys"))
    }

    /// Who signs for us with a scheme that the peer knows.
    pub(super) fn signer(&self, known: Numbers<'_>) -> Option<Box<dyn Signer>> {
        SIGNING_SCHEMES
            .iter()
            .filter(|scheme| known.contains(u16::from(**scheme)))
            .find_map(|scheme| self.certified.key.choose_scheme(&[*scheme]))
    }
}

/// Signs with `signer`.
pub(super) fn sign(signer: &dyn Signer, content: &[u8]) -> Result<Vec<u8>, Fault> {
    signer.sign(content).map_err(|error| {
        Fault::internal(Error::failure("DTLS handshake failed: cannot sign").caused_by(error))
    })
}

/// The elliptic curves for key agreement, best first. Hybrid ones are for TLS 1.3 only.
pub(super) fn groups() -> impl Iterator<Item = &'static dyn SupportedKxGroup> {
    const X25519: u16 = 29;
    const SECP256R1: u16 = 23;
    const SECP384R1: u16 = 24;
    [X25519, SECP256R1, SECP384R1].into_iter().filter_map(|number| {
        provider().kx_groups.iter().copied().find(|group| u16::from(group.name()) == number)
    })
}

/// A handshake in either role.
pub(super) enum Handshake {
    Client(Client),
    Server(Server),
}

impl Handshake {
    /// Takes the next message of the peer's.
    pub(super) fn handle(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        let outcome = match self {
            Self::Client(client) => client.handle(context, message),
            Self::Server(server) => server.handle(context, message),
        };
        match outcome {
            // Nobody but the peer can have sent it, so no better one will follow.
            Err(Fault::Ignored(reason)) if message.epoch > 0 => {
                Err(Fault::fatal(Alert::UnexpectedMessage, reason))
            }
            outcome => outcome,
        }
    }
}
