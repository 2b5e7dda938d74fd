//! ICE by libjuice, a C library.
//!
//! libjuice owns one socket per connection, or one for many with UDP mux, and a thread for all of
//! them; what it tells is passed on by tasks of the runtime, since it calls back under a lock that
//! all its agents share.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use rtc_core::backend::{IceBackend, IceCapabilities, IceConfig, IceHost, IceTransport};
use rtc_core::error::Result;

mod credentials;
mod ffi;
mod log_lines;
mod polling;
mod transport;

/// The backend.
pub static BACKEND: JuiceBackend = JuiceBackend;

/// The ICE backend named `juice`.
#[derive(Clone, Copy, Debug, Default)]
pub struct JuiceBackend;

impl IceBackend for JuiceBackend {
    fn name(&self) -> &'static str {
        "juice"
    }

    fn capabilities(&self) -> IceCapabilities {
        IceCapabilities {
            tcp_active: false,
            tcp_passive: false,
            turn_udp: true,
            turn_tcp: false,
            turn_tls: false,
            udp_mux: true,
            bind_address: true,
            port_range: true,
            proxy: false,
            restart: false,
            batch_send: false,
            unfragmented: true,
        }
    }

    fn open(&self, config: IceConfig, host: IceHost) -> Result<Arc<dyn IceTransport>> {
        transport::Transport::open(config, host)
    }
}
