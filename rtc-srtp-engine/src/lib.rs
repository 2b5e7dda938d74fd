//! SRTP and SRTCP (RFC 3711, RFC 7714) keyed by DTLS (RFC 5764), in place over the caller's buffer.
//!
//! [`Session`] holds what one DTLS handshake keyed: [`Outbound`] protects packets, [`Inbound`]
//! opens them. Both keep a rollover counter for each SSRC, [`Inbound`] a replay window and
//! [`Outbound`] what keeps it from protecting two packets alike. There is no I/O, no clock and, in
//! steady state, no allocation per packet.
//!
//! ```
//! use rtc_srtp_engine::{Profile, Role, Session};
//!
//! let profile = Profile::AeadAes128Gcm;
//! let exported = vec![7; profile.exported_length()]; // from the DTLS exporter
//! let mut alice = Session::new(profile, Role::Client, &exported)?;
//! let mut bob = Session::new(profile, Role::Server, &exported)?;
//!
//! let packet = [&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 42][..], b"payload"].concat();
//! let mut buffer = packet.clone();
//! buffer.resize(packet.len() + profile.rtp_overhead(), 0);
//! let protected = alice.outbound.protect_rtp(&mut buffer, packet.len())?;
//! let opened = bob.inbound.open_rtp(&mut buffer[..protected])?;
//! assert_eq!(buffer[..opened], packet);
//! # Ok::<(), rtc_srtp_engine::Error>(())
//! ```

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![forbid(unsafe_code)]

mod cipher;
mod error;
mod header;
mod keys;
mod profile;
mod replay;
mod sent;
mod session;

pub use cipher::{Aead, MakeAead};
pub use error::Error;
pub use keys::{EXPORTER_LABEL, Role};
pub use profile::Profile;
pub use replay::WINDOW;
pub use sent::RESEND_WINDOW;
pub use session::{Inbound, MAX_STREAMS, Outbound, Session};
