//! The client's side of a handshake (RFC 5246 §7.3, RFC 6347 §4.2).

use rtc_core::Error;
use rustls::SignatureScheme;
use rustls::crypto::SupportedKxGroup;
use rustls::sign::Signer;

use super::alert::Alert;
use super::handshake::{Context, Fault, Step, groups, sign};
use super::messages::{self, ClientOffer, Message, ServerHello, ServerKeyExchange};
use super::suite::{SUITES, Suite};
use crate::crypto;

/// HelloVerifyRequests that are answered: a server needs one, and one more when it changed its
/// secret.
const MAX_COOKIES: u8 = 3;

/// What the client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiting {
    ServerHello,
    Certificate,
    ServerKeyExchange,
    CertificateRequestOrDone,
    ServerHelloDone,
    Finished,
}

/// A client in the middle of a handshake.
pub(super) struct Client {
    awaiting: Awaiting,
    cookies: u8,
    suite: Option<&'static Suite>,
    /// The server's group and ephemeral key.
    server_key: Option<(&'static dyn SupportedKxGroup, Vec<u8>)>,
    /// Set when the server asked for our certificate.
    signer: Option<Box<dyn Signer>>,
}

impl Client {
    /// Puts the ClientHello into the flight of `context`.
    pub(super) fn start(context: &mut Context) -> Self {
        push_hello(context, &[]);
        Self {
            awaiting: Awaiting::ServerHello,
            cookies: 0,
            suite: None,
            server_key: None,
            signer: None,
        }
    }

    pub(super) fn handle(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        match (self.awaiting, message.kind) {
            (Awaiting::ServerHello, messages::HELLO_VERIFY_REQUEST) => {
                self.handle_cookie(context, message)
            }
            (Awaiting::ServerHello, messages::SERVER_HELLO) => {
                self.handle_server_hello(context, message)
            }
            (Awaiting::Certificate, messages::CERTIFICATE) => {
                context.accept_certificate(message)?;
                self.awaiting = Awaiting::ServerKeyExchange;
                Ok(Step::Continue)
            }
            (Awaiting::ServerKeyExchange, messages::SERVER_KEY_EXCHANGE) => {
                self.handle_key_exchange(context, message)
            }
            (Awaiting::CertificateRequestOrDone, messages::CERTIFICATE_REQUEST) => {
                self.handle_certificate_request(context, message)
            }
            (
                Awaiting::CertificateRequestOrDone | Awaiting::ServerHelloDone,
                messages::SERVER_HELLO_DONE,
            ) => self.handle_done(context, message),
            (Awaiting::Finished, messages::FINISHED) => {
                context.check_finished(message)?;
                context.flight.clear();
                Ok(Step::Complete)
            }
            _ => Err(Fault::Ignored("a handshake message came out of turn")),
        }
    }

    fn handle_cookie(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        let cookie = messages::read_hello_verify_request(message.body())?;
        if self.cookies >= MAX_COOKIES {
            return Err(Fault::Ignored("the server asks for a cookie again and again"));
        }
        self.cookies += 1;
        // Neither the first ClientHello nor the request count (RFC 6347 §4.2.1).
        context.transcript.clear();
        context.flight.clear();
        push_hello(context, cookie);
        Ok(Step::Send)
    }

    fn handle_server_hello(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        let hello = ServerHello::read(message.body())?;
        if hello.version != messages::VERSION {
            return Err(Fault::fatal(Alert::ProtocolVersion, "the server does not speak DTLS 1.2"));
        }
        let suite = SUITES.iter().find(|suite| suite.id == hello.suite);
        let (Some(suite), 0) = (suite, hello.compression) else {
            return Err(Fault::fatal(
                Alert::IllegalParameter,
                "the server chose a suite that was not offered",
            ));
        };
        let chosen = hello.extensions.srtp_profiles.and_then(|chosen| chosen.iter().next());
        context.srtp_profile = match chosen {
            None => None,
            Some(number) => {
                let offered = &context.srtp_profiles;
                let profile = offered.iter().find(|p| messages::srtp_number(**p) == number);
                Some(*profile.ok_or_else(|| {
                    Fault::fatal(
                        Alert::IllegalParameter,
                        "the server chose an SRTP profile that was not offered",
                    )
                })?)
            }
        };
        context.server_random = hello.random;
        context.extended_master_secret = hello.extensions.extended_master_secret;
        context.absorb(message)?;
        self.suite = Some(suite);
        self.awaiting = Awaiting::Certificate;
        Ok(Step::Continue)
    }

    fn handle_key_exchange(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        let exchange = ServerKeyExchange::read(message.body())?;
        let group = groups().find(|group| u16::from(group.name()) == exchange.group);
        let group = group.ok_or_else(|| {
            Fault::fatal(Alert::IllegalParameter, "the server chose a group that was not offered")
        })?;
        let content =
            [&context.client_random[..], &context.server_random, exchange.parameters].concat();
        context.check_signature(&content, exchange.signed)?;
        context.peer_is_proven = true;
        context.absorb(message)?;
        self.server_key = Some((group, exchange.public_key.to_vec()));
        self.awaiting = Awaiting::CertificateRequestOrDone;
        Ok(Step::Continue)
    }

    fn handle_certificate_request(
        &mut self,
        context: &mut Context,
        message: Message<'_>,
    ) -> Result<Step, Fault> {
        let known = messages::read_certificate_request(message.body())?;
        let signer = context.signer(known).ok_or_else(|| {
            Fault::fatal(
                Alert::HandshakeFailure,
                "the server does not take certificates with a key like ours",
            )
        })?;
        context.absorb(message)?;
        self.signer = Some(signer);
        self.awaiting = Awaiting::ServerHelloDone;
        Ok(Step::Continue)
    }

    fn handle_done(&mut self, context: &mut Context, message: Message<'_>) -> Result<Step, Fault> {
        message.body().finish()?;
        let (Some(suite), Some((group, server_key))) = (self.suite, self.server_key.take()) else {
            return Err(Fault::Ignored("the server's flight is not complete"));
        };
        context.absorb(message)?;
        context.flight.clear();
        if self.signer.is_some() {
            context.push_certificate();
        }
        let exchange = group.start().map_err(|error| {
            Fault::internal(Error::failure("cannot make an ephemeral key").caused_by(error))
        })?;
        context.push(0, messages::CLIENT_KEY_EXCHANGE, |out| {
            super::codec::put_vec8(out, |out| out.extend_from_slice(exchange.pub_key()));
        });
        context.agree(suite, exchange, &server_key)?;
        if let Some(signer) = self.signer.take() {
            let signature = sign(&*signer, &context.transcript)?;
            context.push(0, messages::CERTIFICATE_VERIFY, |out| {
                messages::put_signed(out, u16::from(signer.scheme()), &signature);
            });
        }
        context.push_finished()?;
        self.awaiting = Awaiting::Finished;
        Ok(Step::Send)
    }
}

fn push_hello(context: &mut Context, cookie: &[u8]) {
    let random = context.client_random;
    let srtp = context.srtp_profiles.clone();
    context.push(0, messages::CLIENT_HELLO, |out| {
        messages::put_client_hello(
            out,
            ClientOffer {
                random: &random,
                cookie,
                suites: &mut SUITES.iter().map(|suite| suite.id),
                groups: &mut groups().map(|group| u16::from(group.name())),
                signature_schemes: &mut crypto::verifiable_schemes()
                    .map(|scheme: SignatureScheme| u16::from(scheme)),
                srtp: &srtp,
            },
        );
    });
}
