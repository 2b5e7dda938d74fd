//! ICE in pure Rust (RFC 8445, RFC 8838, RFC 7675).
//!
//! [`Agent`] is the protocol as a pure state machine; [`BACKEND`] runs it on a runtime, with its
//! own UDP sockets and TCP connections.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use rtc_core::backend::{IceBackend, IceCapabilities, IceConfig, IceHost, IceTransport};
use rtc_core::error::Result;

mod agent;
mod credentials;
mod driver;
pub mod framing;
mod relay;
mod stun;

pub use agent::{Agent, AgentConfig, AgentEvent, AgentTransmit, Carrier, Received, SelectedPair};

/// The backend.
pub static BACKEND: AgentBackend = AgentBackend;

/// The ICE backend named `agent`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgentBackend;

impl IceBackend for AgentBackend {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn capabilities(&self) -> IceCapabilities {
        IceCapabilities {
            tcp_active: true,
            tcp_passive: true,
            turn_udp: true,
            turn_tcp: true,
            turn_tls: true,
            udp_mux: true,
            bind_address: true,
            port_range: true,
            proxy: false,
            restart: true,
            batch_send: true,
            unfragmented: cfg!(target_os = "linux"),
        }
    }

    fn open(&self, config: IceConfig, host: IceHost) -> Result<Arc<dyn IceTransport>> {
        Ok(Arc::new(driver::Transport::open(config, host)))
    }
}
