//! ICE by the system's libnice.
//!
//! libnice works on one GLib main loop for all connections, on a thread of its own that lives while
//! there are any. What it tells is queued there and passed on by tasks of the runtime, so that no
//! connection holds up another one.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use rtc_core::backend::{IceBackend, IceCapabilities, IceConfig, IceHost, IceTransport};
use rtc_core::error::Result;

mod connectivity;
mod ffi;
mod listener;
mod transport;

/// The backend.
pub static BACKEND: NiceBackend = NiceBackend;

/// The ICE backend named `nice`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NiceBackend;

impl IceBackend for NiceBackend {
    fn name(&self) -> &'static str {
        "nice"
    }

    fn capabilities(&self) -> IceCapabilities {
        IceCapabilities {
            tcp_active: true,
            tcp_passive: true,
            turn_udp: true,
            turn_tcp: true,
            // What libnice calls TLS is none for servers that follow a standard: it would speak in
            // the clear.
            turn_tls: false,
            udp_mux: false,
            bind_address: false,
            port_range: true,
            proxy: true,
            restart: true,
            batch_send: true,
            unfragmented: false,
        }
    }

    fn open(&self, config: IceConfig, host: IceHost) -> Result<Arc<dyn IceTransport>> {
        transport::Transport::open(config, host)
    }
}
