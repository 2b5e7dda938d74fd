//! WebSockets (RFC 6455): clients and servers over TCP and TLS.
//!
//! - `url`, [`upgrade`], [`codec`]: the protocol, without I/O.
//! - `link`: one connection with or without TLS.
//! - `connect`: how a connection comes about, on either side.
//! - `socket`: the channel that applications hold; `driver`: the task that keeps it going.
//! - `server`: accepting connections.

#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

use std::time::Duration;

use crate::backend::TlsBackend;
use crate::backend::certificate::Certificate;
use crate::error::{Error, Result};
use crate::ice_server::{Proxy, ProxyKind};

pub mod codec;
mod connect;
mod driver;
mod link;
mod server;
mod socket;
pub mod upgrade;
mod url;
mod utf8;

pub use server::{AcceptHandler, WebSocketServer};
pub use socket::WebSocket;
pub use url::WsUrl;

/// Largest message accepted unless configured otherwise, in bytes.
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 256 * 1024;

/// How long connecting may take unless configured otherwise.
pub const DEFAULT_CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// After how much silence a ping is sent unless configured otherwise.
pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(10);

/// What client and server ends have in common.
#[derive(Clone, Debug)]
pub struct WebSocketConfig {
    /// How long it may take until the WebSocket is open; `None` for ever.
    pub connection_timeout: Option<Duration>,
    /// After how much silence a ping is sent; `None` for never.
    pub ping_interval: Option<Duration>,
    /// How many pings may be unanswered; one more fails the connection. `None` for any number.
    pub max_outstanding_pings: Option<u32>,
    /// Largest message, in bytes, both ways.
    pub max_message_size: usize,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            connection_timeout: Some(DEFAULT_CONNECTION_TIMEOUT),
            ping_interval: Some(DEFAULT_PING_INTERVAL),
            max_outstanding_pings: None,
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
        }
    }
}

/// Settings of a client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// What both ends have.
    pub common: WebSocketConfig,
    /// Subprotocols to ask for, the preferred one first.
    pub protocols: Vec<String>,
    /// An HTTP proxy to go through.
    pub proxy: Option<Proxy>,
    /// Accept any certificate. Otherwise the system's roots decide and the name must match.
    pub disable_tls_verification: bool,
    /// What speaks TLS.
    pub tls: &'static dyn TlsBackend,
}

impl ClientConfig {
    fn validate(&self) -> Result<()> {
        if let Some(protocol) = self.protocols.iter().find(|name| !upgrade::is_token(name)) {
            return Err(Error::invalid(format!("{protocol:?} cannot name a subprotocol")));
        }
        match &self.proxy {
            Some(Proxy { kind: ProxyKind::Socks5, .. }) => {
                Err(Error::invalid("WebSockets go through HTTP proxies only"))
            }
            _ => Ok(()),
        }
    }
}

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What accepted WebSockets have.
    pub common: WebSocketConfig,
    /// The TCP port; 0 for any free one.
    pub port: u16,
    /// Local address, or a name that resolves to one; all interfaces when `None`.
    pub bind_address: Option<String>,
    /// What speaks TLS, and the certificate to show; `None` for plain TCP.
    pub tls: Option<(&'static dyn TlsBackend, Certificate)>,
}
