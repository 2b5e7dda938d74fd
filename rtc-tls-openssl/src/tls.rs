//! TLS streams, as state machines over memory.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509VerifyResult;
use openssl::x509::verify::X509CheckFlags;
use rtc_core::backend::tls::{TlsClientConfig, TlsRead, TlsServerConfig, TlsSession};
use rtc_core::{Error, Result};

use crate::certificate::identity;
use crate::{failure, ffi};

/// Bytes that wait in each direction before the stream takes no more.
const MAX_WAITING: usize = 64 * 1024;
/// Lengths of a DNS name and of one label in it (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The network as OpenSSL sees it.
#[derive(Default)]
struct Pipe {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buffer)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A TLS connection.
pub(crate) struct Stream {
    stream: SslStream<Pipe>,
    is_handshaking: bool,
    /// Plaintext to send once the handshake is complete.
    early: Vec<u8>,
    /// The network has ended.
    ended: bool,
    /// We sent close_notify.
    closed: bool,
    /// The peer sent close_notify.
    closed_by_peer: bool,
}

impl Stream {
    pub(crate) fn client(server_name: &str, config: &TlsClientConfig) -> Result<Self> {
        // An IPv6 address may come in the brackets of a URL.
        let bare = server_name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let name = bare.unwrap_or(server_name);
        let address = name.parse::<IpAddr>().ok();
        if address.is_none() && !is_dns_name(name) {
            return Err(Error::invalid(format!("cannot use the server name `{server_name}`")));
        }
        let set_up = || -> Result<SslStream<Pipe>, ErrorStack> {
            let mut ssl = Ssl::new(client_context()?)?;
            let parameters = ssl.param_mut();
            parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
            match address {
                Some(address) => parameters.set_ip(address)?,
                None => {
                    parameters.set_host(name)?;
                    ssl.set_hostname(name)?;
                }
            }
            if config.disable_verification {
                ssl.set_verify(SslVerifyMode::NONE);
            }
            ssl.set_connect_state();
            SslStream::new(ssl, Pipe::default())
        };
        let mut client = Self::new(set_up().map_err(cannot_start)?);
        client.advance()?;
        Ok(client)
    }

    pub(crate) fn server(config: &TlsServerConfig) -> Result<Self> {
        let identity = identity(&config.certificate)?;
        let set_up = || -> Result<SslStream<Pipe>, ErrorStack> {
            let mut ssl = Ssl::new(server_context()?)?;
            ssl.set_certificate(&identity.leaf)?;
            ssl.set_private_key(&identity.key)?;
            for certificate in &identity.chain {
                ssl.add_chain_cert(certificate.clone())?;
            }
            ssl.set_accept_state();
            SslStream::new(ssl, Pipe::default())
        };
        Ok(Self::new(set_up().map_err(cannot_start)?))
    }

    fn new(stream: SslStream<Pipe>) -> Self {
        Self {
            stream,
            is_handshaking: true,
            early: Vec::new(),
            ended: false,
            closed: false,
            closed_by_peer: false,
        }
    }

    /// Goes on with the handshake as far as possible.
    fn advance(&mut self) -> Result<()> {
        ffi::clear_errors();
        match self.stream.do_handshake() {
            Ok(()) => {
                self.is_handshaking = false;
                let early = std::mem::take(&mut self.early);
                if !early.is_empty() {
                    self.protect(&early)?;
                }
                Ok(())
            }
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(()),
            Err(error) => {
                let verified = self.stream.ssl().verify_result();
                let mut reason = failure::of_connection(&error);
                if verified != X509VerifyResult::OK {
                    reason = format!("{reason}: {}", verified.error_string());
                }
                Err(Error::failure(format!("TLS connection failed: {reason}")))
            }
        }
    }

    fn protect(&mut self, data: &[u8]) -> Result<usize> {
        ffi::clear_errors();
        self.stream.ssl_write(data).map_err(|error| {
            let reason = failure::of_connection(&error);
            Error::failure(format!("cannot write to TLS: {reason}"))
        })
    }
}

impl TlsSession for Stream {
    fn read_ciphertext(&mut self, input: &[u8]) -> Result<usize> {
        // Nothing counts after close_notify.
        if self.closed_by_peer {
            return Ok(input.len());
        }
        let incoming = &mut self.stream.get_mut().incoming;
        let room = MAX_WAITING.saturating_sub(incoming.len());
        let taken = input.get(..room).unwrap_or(input);
        incoming.extend(taken);
        if self.is_handshaking && !taken.is_empty() {
            self.advance()?;
        }
        Ok(taken.len())
    }

    fn end_of_ciphertext(&mut self) {
        self.ended = true;
    }

    fn write_ciphertext(&mut self, output: &mut Vec<u8>) -> bool {
        let outgoing = &mut self.stream.get_mut().outgoing;
        let has_any = !outgoing.is_empty();
        output.append(outgoing);
        has_any
    }

    fn read(&mut self, output: &mut [u8]) -> Result<TlsRead> {
        if output.is_empty() {
            return Ok(TlsRead::WouldBlock);
        }
        let nothing = if self.ended { TlsRead::Truncated } else { TlsRead::WouldBlock };
        if self.is_handshaking {
            return Ok(nothing);
        }
        if self.closed_by_peer {
            return Ok(TlsRead::Closed);
        }
        ffi::clear_errors();
        match self.stream.ssl_read(output) {
            Ok(length) => Ok(TlsRead::Data(length)),
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(nothing),
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                self.closed_by_peer = true;
                self.stream.get_mut().incoming.clear();
                Ok(TlsRead::Closed)
            }
            Err(error) => {
                let reason = failure::of_connection(&error);
                Err(Error::failure(format!("cannot read from TLS: {reason}")))
            }
        }
    }

    fn write(&mut self, data: &[u8]) -> Result<usize> {
        if self.closed {
            return Err(Error::failure("cannot write to TLS: it is closed"));
        }
        if self.is_handshaking {
            let room = MAX_WAITING.saturating_sub(self.early.len());
            let taken = data.get(..room).unwrap_or(data);
            self.early.extend_from_slice(taken);
            return Ok(taken.len());
        }
        let mut taken = 0;
        while let Some(rest) = data.get(taken..).filter(|rest| !rest.is_empty()) {
            let room = MAX_WAITING.saturating_sub(self.stream.get_ref().outgoing.len());
            let part = rest.get(..room).unwrap_or(rest);
            if part.is_empty() {
                break;
            }
            taken += self.protect(part)?;
        }
        Ok(taken)
    }

    fn is_handshaking(&self) -> bool {
        self.is_handshaking
    }

    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            ffi::clear_errors();
            // It fails during the handshake, when there is nothing to close yet.
            let _ = self.stream.shutdown();
        }
    }
}

fn cannot_start(stack: ErrorStack) -> Error {
    Error::failure(format!("cannot start TLS: {}", failure::of_stack(&stack)))
}

/// Letters, digits, hyphens and underscores in labels between dots; the last dot may be there.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= MAX_NAME
        && name.split('.').all(|label| {
            (1..=MAX_LABEL).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
}

fn context_builder(method: SslMethod) -> Result<SslContextBuilder, ErrorStack> {
    ffi::stay_loaded();
    let mut builder = SslContext::builder(method)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_options(
        SslOptions::NO_COMPRESSION | SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION,
    );
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    Ok(builder)
}

/// Verifies by the system's roots, which are read once for the process.
fn client_context() -> Result<&'static SslContext, ErrorStack> {
    static CONTEXT: OnceLock<SslContext> = OnceLock::new();
    if let Some(context) = CONTEXT.get() {
        return Ok(context);
    }
    let mut builder = context_builder(SslMethod::tls_client())?;
    builder.set_verify(SslVerifyMode::PEER);
    load_roots(&mut builder)?;
    Ok(CONTEXT.get_or_init(|| builder.build()))
}

#[cfg(not(feature = "vendored"))]
fn load_roots(builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    builder.set_default_verify_paths()
}

/// An OpenSSL of our own does not know where this system keeps its roots.
#[cfg(feature = "vendored")]
fn load_roots(builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    let found = openssl_probe::probe();
    for directory in &found.cert_dir {
        builder.load_verify_locations(None, Some(directory))?;
    }
    match &found.cert_file {
        Some(file) => builder.load_verify_locations(Some(file), None),
        None => Ok(()),
    }
}

/// Sends no tickets: there is nothing to resume.
fn server_context() -> Result<&'static SslContext, ErrorStack> {
    static CONTEXT: OnceLock<SslContext> = OnceLock::new();
    if let Some(context) = CONTEXT.get() {
        return Ok(context);
    }
    let mut builder = context_builder(SslMethod::tls_server())?;
    builder.set_num_tickets(0)?;
    Ok(CONTEXT.get_or_init(|| builder.build()))
}
