//! The traits that ICE, DTLS and TLS backends implement: one shape per role.
//!
//! A backend that owns sockets or threads hides them behind these traits. No backend knows of
//! another one, and none is known to this crate.

pub mod certificate;
pub mod credentials;
pub mod delivery;
pub mod dtls;
pub mod ice;
pub mod names;
pub mod support;
pub mod tls;

pub use certificate::CertificateBackend;
pub use credentials::IceCredentials;
pub use delivery::Delivery;
pub use dtls::{DtlsBackend, DtlsCapabilities, DtlsConfig, DtlsEvent, DtlsRole, DtlsSession};
pub use ice::{
    IceBackend, IceCapabilities, IceConfig, IceEvent, IceHost, IceParameters, IceRole, IceServer,
    IceServerKind, IceSink, IceTransport, Transmit, is_unusable,
};
pub use names::NameLookups;
pub use tls::{TlsBackend, TlsClientConfig, TlsServerConfig, TlsSession};
