//! TLS streams by rustls, as state machines without I/O.

use std::io::{self, ErrorKind as IoErrorKind, Read, Write};
use std::sync::{Arc, OnceLock};

use rtc_core::backend::tls::{TlsClientConfig, TlsRead, TlsServerConfig, TlsSession};
use rtc_core::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct,
    RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
};

use crate::certificate::certified_key;
use crate::crypto::{self, provider};
use crate::x509;

/// A TLS connection.
pub(crate) struct Stream {
    connection: Connection,
    /// The network has ended.
    ended: bool,
    /// We sent close_notify.
    closed: bool,
}

impl Stream {
    pub(crate) fn client(server_name: &str, config: &TlsClientConfig) -> Result<Self> {
        // An IPv6 address may come in the brackets of a URL.
        let bare = server_name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let name = ServerName::try_from(bare.unwrap_or(server_name)).map_err(|error| {
            Error::invalid(format!("cannot use the server name `{server_name}`")).caused_by(error)
        })?;
        let config =
            if config.disable_verification { trusting_config() } else { verifying_config() }?;
        let connection = ClientConnection::new(config, name.to_owned())
            .map_err(|error| Error::failure("cannot start a TLS client").caused_by(error))?;
        Ok(Self::new(connection.into()))
    }

    pub(crate) fn server(config: &TlsServerConfig) -> Result<Self> {
        let certified = certified_key(&config.certificate)?;
        let mut config = ServerConfig::builder_with_provider(provider().clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::failure("cannot set up a TLS server").caused_by(error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from((*certified).clone())));
        // This configuration serves one connection: there is nothing to resume.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let connection = ServerConnection::new(Arc::new(config))
            .map_err(|error| Error::failure("cannot start a TLS server").caused_by(error))?;
        Ok(Self::new(connection.into()))
    }

    fn new(connection: Connection) -> Self {
        Self { connection, ended: false, closed: false }
    }
}

impl TlsSession for Stream {
    fn read_ciphertext(&mut self, input: &[u8]) -> Result<usize> {
        let mut rest = input;
        while !rest.is_empty() {
            match self.connection.read_tls(&mut rest) {
                // Nothing counts after close_notify.
                Ok(0) => return Ok(input.len()),
                Ok(_) => {
                    self.connection.process_new_packets().map_err(|error| {
                        Error::failure("TLS connection failed").caused_by(error)
                    })?;
                }
                // The plaintext buffer is full.
                Err(_) => break,
            }
        }
        Ok(input.len() - rest.len())
    }

    fn end_of_ciphertext(&mut self) {
        self.ended = true;
    }

    fn write_ciphertext(&mut self, output: &mut Vec<u8>) -> bool {
        let before = output.len();
        while self.connection.wants_write() {
            // Writing into a vector does not fail.
            if self.connection.write_tls(output).unwrap_or(0) == 0 {
                break;
            }
        }
        output.len() > before
    }

    fn read(&mut self, output: &mut [u8]) -> Result<TlsRead> {
        if output.is_empty() {
            return Ok(TlsRead::WouldBlock);
        }
        match self.connection.reader().read(output) {
            Ok(0) => Ok(TlsRead::Closed),
            Ok(length) => Ok(TlsRead::Data(length)),
            Err(error) if error.kind() == IoErrorKind::WouldBlock && !self.ended => {
                Ok(TlsRead::WouldBlock)
            }
            Err(error)
                if matches!(error.kind(), IoErrorKind::WouldBlock | IoErrorKind::UnexpectedEof) =>
            {
                Ok(TlsRead::Truncated)
            }
            Err(error) => Err(Error::failure("cannot read from TLS").caused_by(error)),
        }
    }

    fn write(&mut self, data: &[u8]) -> Result<usize> {
        if self.closed {
            return Err(Error::failure("cannot write to TLS: it is closed"));
        }
        self.connection
            .writer()
            .write(data)
            .map_err(|error: io::Error| Error::failure("cannot write to TLS").caused_by(error))
    }

    fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.connection.send_close_notify();
        }
    }
}

/// Verifies by the system's roots, which are read once for the process.
fn verifying_config() -> Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let error = Error::failure("cannot verify TLS servers: the system has no root certificate");
        return Err(match found.errors.into_iter().next() {
            Some(cause) => error.caused_by(cause),
            None => error,
        });
    }
    let config = ClientConfig::builder_with_provider(provider().clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::failure("cannot set up a TLS client").caused_by(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

/// Takes any certificate, but only from who has its key.
fn trusting_config() -> Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let config = ClientConfig::builder_with_provider(provider().clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::failure("cannot set up a TLS client").caused_by(error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

/// A verifier that looks at nothing but signatures by the key in the certificate. It also takes
/// certificates of version 1, which rustls' own checks refuse and other WebRTC libraries make.
#[derive(Debug)]
struct AnyCertificate;

impl AnyCertificate {
    fn verify(
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = x509::public_key(certificate)
            .ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if crypto::verify(&key, signed.scheme, message, signed.signature()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::BadSignature))
        }
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::verify(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::verify(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        crypto::verifiable_schemes().collect()
    }
}
