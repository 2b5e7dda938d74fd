//! The server's side of a handshake (RFC 5246 §7.3, RFC 6347 §4.2).
//!
//! It sends no HelloVerifyRequest: ICE has already shown that the client receives what is sent to
//! its address, which is all that a cookie would show (RFC 8842 §5.1 and RFC 8445 §7).

use rtc_core::Error;
use rustls::SignatureAlgorithm;
use rustls::crypto::{ActiveKeyExchange, SupportedKxGroup};
use rustls::sign::Signer;

use super::alert::Alert;
use super::handshake::{Context, Fault, Step, groups, sign};
use super::messages::{self, ClientHello, Message, ServerAnswer, Signed};
use super::suite::{Authentication, SUITES, Suite};
use crate::crypto;

/// What the server waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiting {
    ClientHello,
    Certificate,
    ClientKeyExchange,
    CertificateVerify,
    Finished,
}

/// A server in the middle of a handshake.
pub(super) struct Server {
    awaiting: Awaiting,
    suite: Option<&'static Suite>,
    exchange: Option<Box<dyn ActiveKeyExchange>>,
}

/// What the server chose from a ClientHello.
struct Choice {
    suite: &'static Suite,
    group: &'static dyn SupportedKxGroup,
    signer: Box<dyn Signer>,
}

impl Server {
    pub(super) fn new() -> Self {
        Self { awaiting: Awaiting::ClientHello, suite: None, exchange: None }
    }

    pub(super) fn handle(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        match (self.awaiting, message.kind) {
            (Awaiting::ClientHello, messages::CLIENT_HELLO) => {
                self.handle_client_hello(context, message)
            }
            (Awaiting::Certificate, messages::CERTIFICATE) => {
                context.accept_certificate(message)?;
                self.awaiting = Awaiting::ClientKeyExchange;
                Ok(Step::Continue)
            }
            (Awaiting::ClientKeyExchange, messages::CLIENT_KEY_EXCHANGE) => {
                self.handle_key_exchange(context, message)
            }
            (Awaiting::CertificateVerify, messages::CERTIFICATE_VERIFY) => {
                let signed = Signed::read(message.body())?;
                context.check_signature(&context.transcript, signed)?;
                context.peer_is_proven = true;
                context.absorb(message)?;
                self.awaiting = Awaiting::Finished;
                Ok(Step::Continue)
            }
            (Awaiting::Finished, messages::FINISHED) => {
                context.check_finished(message)?;
                context.flight.clear();
                context.push_finished()?;
                Ok(Step::Complete)
            }
            _ => Err(Fault::Ignored("a handshake message came out of turn")),
        }
    }

    fn handle_client_hello(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        let hello = ClientHello::read(message.body())?;
        let Choice { suite, group, signer } = choose(context, &hello)?;
        let exchange = group.start().map_err(|error| {
            Fault::internal(Error::failure("cannot make an ephemeral key").caused_by(error))
        })?;
        let offered = hello.extensions.srtp_profiles.unwrap_or_default();
        let common = |profile: &&_| offered.contains(messages::srtp_number(**profile));
        let srtp = context.srtp_profiles.iter().find(common).copied();

        context.srtp_profile = srtp;
        context.extended_master_secret = hello.extensions.extended_master_secret;
        context.client_random = hello.random;
        context.absorb(message)?;
        context.flight.clear();
        let random = context.server_random;
        context.push(0, messages::SERVER_HELLO, |out| {
            let answer =
                ServerAnswer { random: &random, suite: suite.id, asked: hello.extensions, srtp };
            messages::put_server_hello(out, &answer);
        });
        context.push_certificate();
        push_key_exchange(context, &*exchange, &*signer)?;
        context.push(0, messages::CERTIFICATE_REQUEST, |out| {
            messages::put_certificate_request(out, crypto::verifiable_schemes().map(u16::from));
        });
        context.push(0, messages::SERVER_HELLO_DONE, |_| ());
        self.suite = Some(suite);
        self.exchange = Some(exchange);
        self.awaiting = Awaiting::Certificate;
        Ok(Step::Send)
    }

    fn handle_key_exchange(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        let client_key = messages::read_client_key_exchange(message.body())?;
        let (Some(suite), Some(exchange)) = (self.suite, self.exchange.take()) else {
            return Err(Fault::Ignored("a key exchange came before the hello"));
        };
        context.absorb(message)?;
        context.agree(suite, exchange, client_key)?;
        self.awaiting = Awaiting::CertificateVerify;
        Ok(Step::Continue)
    }
}

fn choose(context: &Context, hello: &ClientHello<'_>) -> Result<Choice, Fault> {
    // Versions count downwards: DTLS 1.0 is 0xfeff.
    if hello.version >> 8 != 0xfe || hello.version > messages::VERSION {
        return Err(Fault::fatal(Alert::ProtocolVersion, "the client does not speak DTLS 1.2"));
    }
    let authentication = match context.certified.key.algorithm() {
        SignatureAlgorithm::RSA => Authentication::Rsa,
        _ => Authentication::Ecdsa,
    };
    let suite = SUITES
        .iter()
        .find(|suite| suite.authentication == authentication && hello.suites.contains(suite.id))
        .filter(|_| hello.compressions.contains(&0))
        .ok_or_else(|| {
            Fault::fatal(Alert::HandshakeFailure, "the client offers no cipher suite of ours")
        })?;
    // A client that names no groups takes any (RFC 8422 §4).
    let is_known = |number| hello.extensions.groups.is_none_or(|known| known.contains(number));
    let group = groups().find(|group| is_known(u16::from(group.name()))).ok_or_else(|| {
        Fault::fatal(Alert::HandshakeFailure, "the client offers no elliptic curve of ours")
    })?;
    let schemes = hello.extensions.signature_schemes.unwrap_or_default();
    let signer = context.signer(schemes).ok_or_else(|| {
        Fault::fatal(
            Alert::HandshakeFailure,
            "the client does not take certificates with a key like ours",
        )
    })?;
    Ok(Choice { suite, group, signer })
}

fn push_key_exchange(
    context: &mut Context,
    exchange: &dyn ActiveKeyExchange,
    signer: &dyn Signer,
) -> Result<(), Fault> {
    let mut parameters = Vec::new();
    messages::put_key_parameters(&mut parameters, u16::from(exchange.group()), exchange.pub_key());
    let content = [&context.client_random[..], &context.server_random, &parameters].concat();
    let signature = sign(signer, &content)?;
    context.push(0, messages::SERVER_KEY_EXCHANGE, |out| {
        out.extend_from_slice(&parameters);
        messages::put_signed(out, u16::from(signer.scheme()), &signature);
    });
    Ok(())
}
