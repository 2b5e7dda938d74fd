//! WebRTC peer connections and data channels over pluggable backends.
//!
//! ```no_run
//! use librtc::PeerConnection;
//!
//! # fn send_to_peer(_: &str, _: &str) {}
//! let peer = PeerConnection::builder().ice_server("stun:stun.example.org")?.build()?;
//! peer.on_local_description(|sdp, kind| send_to_peer(kind.as_str(), sdp));
//! peer.on_local_candidate(|candidate, mid| send_to_peer(mid, candidate));
//!
//! let chat = peer.create_data_channel("chat")?;
//! chat.on_open(|chat| {
//!     let _ = chat.send("hello");
//! });
//! chat.on_message(|_, message| println!("{message:?}"));
//! # Ok::<(), librtc::Error>(())
//! ```
//!
//! Callbacks run on threads of the library, never two of the same kind at once for one object; any
//! method may be called from inside them. Those of one connection come in two sequences, one for
//! its states and descriptions and one for its data channels, so a callback may block without
//! stopping the library or another connection.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backends;
mod channel;
mod connection;
mod data_channel;
mod library;
mod sys;
mod track;
#[cfg(feature = "websocket")]
mod websocket;

pub use backends::{
    DTLS_BACKENDS, ICE_BACKENDS, TLS_BACKENDS, backend_names, default_backends,
    default_tls_backend, dtls_backend, ice_backend, tls_backend,
};
pub use connection::{Builder, PeerConnection};
pub use data_channel::DataChannel;
pub use library::{
    REVISION, cleanup, cleanup_now, preload, sctp_settings, set_callback_threads, set_sctp_settings,
};
pub use rtc_core::backend;
pub use rtc_core::backend::IceCredentials;
pub use rtc_core::backend::dtls::CertificateKind;
pub use rtc_core::backend::ice::{IceServer, IceServerKind};
pub use rtc_core::candidate::Candidate;
pub use rtc_core::channel::{Channel, ErrorHandler, Handler, Message, MessageHandler, MessageKind};
pub use rtc_core::config::{
    Configuration, CongestionControl, DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_MTU, DataChannelInit,
    MAX_MTU, MIN_MTU, Reliability, ReliabilityLimit, SctpSettings,
};
pub use rtc_core::ice_server::{parse_ice_server, parse_proxy};
pub use rtc_core::peer::{AssociationMetrics, Backends, TransportMetrics, Verdict};
pub use rtc_core::sdp::{self, Description, DescriptionKind};
pub use rtc_core::state::{ConnectionState, GatheringState, IceState, SignalingState};
pub use rtc_core::{Error, ErrorKind, Result};
pub use rtc_media as media;
pub use track::Track;
#[cfg(feature = "websocket")]
pub use websocket::{WebSocket, WebSocketBuilder, WebSocketServer, WebSocketServerBuilder};
