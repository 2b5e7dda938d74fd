//! RTP and RTCP for WebRTC: packets, packetizers, depacketizers, reports.
//!
//! Everything here is a function or a small state machine over bytes: no I/O, no clock, no thread,
//! no encryption. The time is passed in ([`Now`]), packets and events come out ([`Output`]).
//!
//! | module | what it holds |
//! |---|---|
//! | [`rtp`] | RTP packets, header extensions, retransmissions (RFC 3550, RFC 8285, RFC 4588) |
//! | [`rtcp`] | RTCP packets (RFC 3550, RFC 4585, RFC 5104, REMB) |
//! | [`packetizer`] | from encoded frames to RTP payloads |
//! | [`depacketizer`] | from RTP payloads to encoded frames |
//! | [`handler`] | the chain of a track: packetizing, reports, retransmissions, pacing |
//! | [`clock`] | NTP and RTP timestamps |
//!
//! A track owns a [`Chain`]. What its user sends passes [`Chain::outgoing`], what the peer sends
//! passes [`Chain::incoming`]:
//!
//! ```
//! use rtc_media::{Chain, Codec, Message, Now, Output, RtpConfig, handler, packetizer};
//!
//! let config = RtpConfig::new(42, "cname", 96, Codec::H264.clock_rate());
//! let options = packetizer::Options::default();
//! let mut chain = Chain::default();
//! chain.set_packetizer(config, Codec::H264.packetizer(&options));
//! chain.push(handler::SenderReporter::default());
//! chain.push(handler::NackResponder::default());
//!
//! let mut output = Output::default();
//! let frame = Message::from(vec![0, 0, 0, 2, 0x65, 0x88]); // one NAL unit behind its length
//! chain.outgoing(Now::from_system(), vec![frame], &mut output);
//! assert_eq!(output.packets.len(), 2); // a sender report and an RTP packet
//! ```

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![forbid(unsafe_code)]

pub mod clock;
mod codec;
pub mod depacketizer;
mod error;
pub mod handler;
mod message;
pub mod packetizer;
pub mod rtcp;
pub mod rtp;
mod sender;
mod sequence;

pub use clock::{Now, NtpTime};
pub use codec::Codec;
pub use error::Malformed;
pub use handler::{Chain, Handler};
pub use message::{Event, FrameInfo, Message, Output, Request};
pub use sender::{RtpConfig, SenderExtensions};
