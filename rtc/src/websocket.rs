//! WebSockets as Rust users see them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rtc_core::Result;
use rtc_core::backend::TlsBackend;
use rtc_core::backend::certificate::{Certificate, CertificateKind};
use rtc_core::channel::{Channel, Message, Port, Source};
use rtc_core::ice_server::parse_proxy;
use rtc_core::websocket::{
    ClientConfig, ServerConfig, WebSocket as Inner, WebSocketConfig, WebSocketServer as InnerServer,
};

use crate::backends::default_tls_backend;
use crate::channel::{channel_methods, handler};
use crate::library::Share;

/// A WebSocket, a client's or one that a server has accepted. Clones are handles to the same one;
/// dropping the last one deletes it.
#[derive(Clone)]
pub struct WebSocket {
    inner: Arc<Owner>,
}

struct Owner {
    socket: Arc<Inner>,
    _share: Share,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.socket.delete();
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl Source for Owner {
    fn resume(&self) {
        self.socket.resume();
    }

    fn announce(&self) {
        self.socket.announce();
    }

    fn ring_again(&self) -> bool {
        self.socket.ring_again()
    }
}

impl Channel for Owner {
    fn port(&self) -> &Port {
        self.socket.port()
    }

    fn send(&self, message: Message) -> Result<()> {
        self.socket.send(message)
    }

    fn close(&self) {
        self.socket.close();
    }

    fn is_open(&self) -> bool {
        self.socket.is_open()
    }

    fn is_closed(&self) -> bool {
        self.socket.is_closed()
    }

    fn max_message_size(&self) -> usize {
        self.socket.max_message_size()
    }

    fn delete(&self) {
        self.socket.delete();
    }
}

channel_methods!(WebSocket);

impl WebSocket {
    /// Connects to a `ws` or `wss` URL with default settings.
    pub fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url)
    }

    /// Begins with default settings.
    pub fn builder() -> WebSocketBuilder {
        WebSocketBuilder {
            config: ClientConfig {
                common: WebSocketConfig::default(),
                protocols: Vec::new(),
                proxy: None,
                disable_tls_verification: false,
                tls: default_tls_backend(),
            },
        }
    }

    /// The other side's address as `host:port`: of a client's WebSocket as the URL has it, of an
    /// accepted one in numbers. `None` once the connection has ended.
    pub fn remote_address(&self) -> Option<String> {
        self.inner.socket.remote_address()
    }

    /// Path and query of the HTTP request; `None` until the WebSocket is open.
    pub fn path(&self) -> Option<String> {
        self.inner.socket.path()
    }

    /// The subprotocol in use.
    pub fn protocol(&self) -> Option<String> {
        self.inner.socket.protocol()
    }
}

/// Defines the settings that clients and servers have in common.
macro_rules! common_settings {
    () => {
        /// How long connecting may take; 30 s by default, `None` for ever.
        #[must_use]
        pub fn connection_timeout(mut self, timeout: Option<Duration>) -> Self {
            self.config.common.connection_timeout = timeout;
            self
        }

        /// After how much silence a ping is sent; 10 s by default, `None` for never.
        #[must_use]
        pub fn ping_interval(mut self, interval: Option<Duration>) -> Self {
            self.config.common.ping_interval = interval;
            self
        }

        /// How many pings may be unanswered, one more fails the connection; any number by default.
        #[must_use]
        pub fn max_outstanding_pings(mut self, pings: Option<u32>) -> Self {
            self.config.common.max_outstanding_pings = pings;
            self
        }

        /// Largest message, in bytes, both ways; 256 KiB by default.
        #[must_use]
        pub fn max_message_size(mut self, bytes: usize) -> Self {
            self.config.common.max_message_size = bytes;
            self
        }
    };
}

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct WebSocketBuilder {
    config: ClientConfig,
}

impl WebSocketBuilder {
    common_settings!();

    /// Asks for a subprotocol; the one asked for first is preferred.
    #[must_use]
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.config.protocols.push(name.into());
        self
    }

    /// Goes through an HTTP proxy: `http://host:port`.
    pub fn proxy(mut self, url: &str) -> Result<Self> {
        self.config.proxy = Some(parse_proxy(url)?);
        Ok(self)
    }

    /// Accepts any certificate. Otherwise the system's roots decide and the name must match.
    #[must_use]
    pub fn disable_tls_verification(mut self) -> Self {
        self.config.disable_tls_verification = true;
        self
    }

    /// Chooses what speaks TLS.
    #[must_use]
    pub fn tls_backend(mut self, backend: &'static dyn TlsBackend) -> Self {
        self.config.tls = backend;
        self
    }

    /// Starts to connect.
    pub fn connect(self, url: &str) -> Result<WebSocket> {
        let share = Share::take()?;
        let socket = Inner::connect(share.engine.clone(), url, self.config)?;
        Ok(WebSocket { inner: Arc::new(Owner { socket, _share: share }) })
    }
}

/// A server. Clones are handles to the same one; dropping the last one deletes it.
#[derive(Clone)]
pub struct WebSocketServer {
    owner: Arc<ServerOwner>,
}

struct ServerOwner {
    server: Arc<InnerServer>,
    _share: Share,
}

impl Drop for ServerOwner {
    fn drop(&mut self) {
        self.server.delete();
    }
}

impl WebSocketServer {
    /// Begins with default settings: any free port on all interfaces, no TLS.
    pub fn builder() -> WebSocketServerBuilder {
        WebSocketServerBuilder {
            config: ServerConfig {
                common: WebSocketConfig::default(),
                port: 0,
                bind_address: None,
                tls: None,
            },
            tls: default_tls_backend(),
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.owner.server.address().port()
    }

    /// Stops listening, waits for the handler if it runs on another thread, and does not call it
    /// again. WebSockets that were handed over live on.
    pub fn delete(&self) {
        self.owner.server.delete();
    }
}

impl fmt::Debug for WebSocketServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.owner.server.fmt(f)
    }
}

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct WebSocketServerBuilder {
    config: ServerConfig,
    tls: &'static dyn TlsBackend,
}

impl WebSocketServerBuilder {
    common_settings!();

    /// The TCP port; 0, the default, for any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.config.port = port;
        self
    }

    /// Listens on this address only, or on that of this name.
    #[must_use]
    pub fn bind_address(mut self, address: impl Into<String>) -> Self {
        self.config.bind_address = Some(address.into());
        self
    }

    /// Chooses what speaks TLS, for the calls that follow.
    #[must_use]
    pub fn tls_backend(mut self, backend: &'static dyn TlsBackend) -> Self {
        self.tls = backend;
        self
    }

    /// Speaks TLS, with a certificate and its key as PEM text; `passphrase` opens an encrypted
    /// key.
    pub fn tls(
        mut self,
        certificate_pem: &str,
        key_pem: &str,
        passphrase: Option<&str>,
    ) -> Result<Self> {
        let certificate = self.tls.load_certificate(certificate_pem, key_pem, passphrase)?;
        self.config.tls = Some((self.tls, certificate));
        Ok(self)
    }

    /// Speaks TLS, with a certificate made for the address, or for `localhost`.
    pub fn tls_generated(mut self) -> Result<Self> {
        let host = self.config.bind_address.as_deref().unwrap_or("localhost");
        let certificate: Certificate =
            self.tls.generate_certificate(CertificateKind::Ecdsa, Some(host))?;
        self.config.tls = Some((self.tls, certificate));
        Ok(self)
    }

    /// Starts to listen. `handler` gets each WebSocket as soon as its connection is accepted,
    /// mostly before it is open; dropping it there refuses the client.
    pub fn listen(
        self,
        handler: impl Fn(WebSocket) + Send + Sync + 'static,
    ) -> Result<WebSocketServer> {
        let share = Share::take()?;
        let handler = move |socket: Arc<Inner>| match Share::take() {
            Ok(share) => handler(WebSocket { inner: Arc::new(Owner { socket, _share: share }) }),
            Err(error) => {
                log::error!("WebSocket server: {error}");
                socket.delete();
            }
        };
        let engine = share.engine.clone();
        let server = InnerServer::listen(engine, self.config, Box::new(handler))?;
        Ok(WebSocketServer { owner: Arc::new(ServerOwner { server, _share: share }) })
    }
}
