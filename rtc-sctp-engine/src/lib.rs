//! SCTP for WebRTC data channels as a sans-IO state machine.
//!
//! [`Association`] is one SCTP association (RFC 9260) as WebRTC uses it (RFC 8831): it runs inside a
//! DTLS connection with a single path, both peers open it at once, and it carries partially
//! reliable messages (RFC 3758) on streams that can be reset (RFC 6525).
//!
//! The engine owns no socket, no clock and no thread. The caller passes packets and the time in and
//! takes packets and events out:
//!
//! ```text
//!   handle_packet ─►┌─────────────┐─► poll_transmit   packets for the peer
//!  handle_timeout ─►│ Association │─► poll_timeout    when to call handle_timeout
//!     send, reset ─►└─────────────┘─► poll_event, read
//! ```
//!
//! After *any* call that takes `&mut self` the caller should drain [`Association::poll_transmit`]
//! and [`Association::poll_event`] and re-arm its timer from [`Association::poll_timeout`]. That
//! includes [`Association::read`]: reading may open the receive window, which the peer must learn.
//! Handling a whole batch of packets before draining is what makes acknowledgements cheap.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![forbid(unsafe_code)]

mod association;
mod clock;
mod config;
mod congestion;
mod cookie;
mod event;
mod inbound;
mod outbound;
mod random;
mod serial;
mod wire;

pub use association::Association;
pub use config::{Config, CongestionControl, ZeroChecksum};
pub use event::{Event, FailureReason, Message, Metrics, SendError, SendOptions, State};
pub use wire::inspect_packet;
