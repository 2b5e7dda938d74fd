//! The ICE role (RFC 8445): find a path to the peer and carry datagrams over it.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use super::credentials::IceCredentials;
use super::tls::TlsBackend;
use crate::candidate::Candidate;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::Runtime;
use crate::state::IceState;

/// Makes ICE transports.
pub trait IceBackend: Send + Sync + Debug + 'static {
    /// The name by which users choose it: `agent`, `juice`, `nice`.
    fn name(&self) -> &'static str;

    /// What it honours.
    fn capabilities(&self) -> IceCapabilities;

    /// Opens a transport with fresh credentials. No socket is opened and nothing is sent
    /// before [`IceTransport::gather`].
    fn open(&self, config: IceConfig, host: IceHost) -> Result<Arc<dyn IceTransport>>;
}

/// One ICE component; everything is bundled onto it.
///
/// All methods may be called from any thread. None blocks on the network, and none calls the
/// [`IceSink`] before it returns.
pub trait IceTransport: Send + Sync + Debug {
    /// Our credentials.
    fn local_parameters(&self) -> IceParameters;

    /// Replaces the credentials that the transport was opened with, which fails once gathering has
    /// begun.
    fn set_local_credentials(&self, credentials: &IceCredentials) -> Result<()> {
        let _ = credentials;
        Err(Error::new(ErrorKind::Unsupported, "this ICE backend makes its credentials itself"))
    }

    /// Sets the peer's credentials. Checks start as soon as there are candidates.
    /// Setting equal parameters again has no effect; different ones are an ICE restart by the
    /// peer and are refused as [`crate::ErrorKind::InvalidArgument`] unless the backend can
    /// restart.
    fn set_remote_parameters(&self, remote: &IceParameters) -> Result<()>;

    /// Adds a candidate of the peer. A candidate that the backend cannot use (other transport,
    /// unresolvable host) is ignored, which is no error. A host name is resolved in the background.
    fn add_remote_candidate(&self, candidate: &Candidate) -> Result<()>;

    /// Says that the peer has no further candidates.
    fn end_of_remote_candidates(&self);

    /// Opens sockets and starts gathering candidates. Fails when no socket can be bound.
    fn gather(&self) -> Result<()>;

    /// Sends datagrams over the selected pair without blocking; returns how many segments were
    /// taken. Fewer than given means the socket is full: [`IceEvent::Writable`] follows once.
    /// Without a selected pair everything is taken and dropped, as a network would.
    fn send(&self, batch: Transmit<'_>) -> usize;

    /// The pair in use: local, remote.
    fn selected_pair(&self) -> Option<(Candidate, Candidate)>;

    /// Begins an ICE restart (RFC 8445 §9): new credentials, gathered anew.
    fn restart(&self) -> Result<IceParameters>;

    /// Stops everything. Idempotent. Once it has returned no further event is delivered, except
    /// when called from inside the sink.
    fn close(&self);
}

/// Datagrams to one destination: `contents` split into segments of `segment_size` bytes, of which
/// only the last may be shorter.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// The datagrams back to back.
    pub contents: &'a [u8],
    /// Size of every datagram but the last, in bytes; not 0.
    pub segment_size: usize,
    /// Differentiated services code point (RFC 8837), 0 to 63.
    pub dscp: u8,
}

/// Where a transport delivers what happens.
///
/// It is called from tasks of the runtime or threads of the backend, with **no lock of the backend
/// held**: the sink decrypts and answers inside the call, by [`IceTransport::send`] among others.
/// A library that calls back under a lock of its own needs a queue in its backend.
pub trait IceSink: Send + Sync {
    /// Something happened to the transport.
    fn event(&self, event: IceEvent);

    /// Datagrams that are not STUN arrived from a validated address (RFC 7983: the backend takes
    /// first byte 0 to 3 and, as a TURN client, ChannelData). Each item is one datagram, which the
    /// sink may decrypt in place.
    fn datagrams(&self, batch: &mut dyn Iterator<Item = &mut [u8]>);
}

/// What can happen to a transport.
#[derive(Clone, Debug, PartialEq)]
pub enum IceEvent {
    /// The state changed.
    State(IceState),
    /// A local candidate was found.
    Candidate(Candidate),
    /// Every local candidate has been announced.
    GatheringDone,
    /// The pair in use changed.
    SelectedPair,
    /// [`IceTransport::send`] can go on after it took less than it was given.
    Writable,
}

/// Our part in choosing the pair (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceRole {
    /// We nominate.
    Controlling,
    /// The peer nominates.
    Controlled,
}

/// Credentials and options of one side (RFC 8839 §5.4 to §5.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceParameters {
    /// `a=ice-ufrag`, 4 to 256 characters.
    pub ufrag: String,
    /// `a=ice-pwd`, 22 to 256 characters.
    pub pwd: String,
    /// `a=ice-lite`: the peer only answers checks.
    pub lite: bool,
    /// `a=ice-options`, for example `ice2` and `trickle`.
    pub options: Vec<String>,
}

/// What a transport needs to know at its opening.
#[derive(Clone, Debug)]
pub struct IceConfig {
    /// Our role unless a conflict changes it.
    pub role: IceRole,
    /// STUN and TURN servers.
    pub servers: Vec<IceServer>,
    /// Proxy for TURN over TCP, where the backend knows one.
    pub proxy: Option<String>,
    /// Local address (or a name that resolves to one) to bind to; all when `None`.
    pub bind_address: Option<String>,
    /// First and last local port; `None` lets the system choose.
    pub port_range: Option<(u16, u16)>,
    /// Use relayed candidates only.
    pub relay_only: bool,
    /// Also gather TCP candidates (RFC 6544).
    pub tcp: bool,
    /// Share one UDP socket per port among connections.
    pub udp_mux: bool,
    /// Largest datagram that will be sent, in bytes.
    pub mtu: usize,
}

/// A STUN or TURN server.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// Which protocol it speaks.
    pub kind: IceServerKind,
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TURN user name.
    pub username: String,
    /// TURN password.
    pub password: String,
}

impl Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The credentials stay out of logs.
        write!(f, "{:?} {}:{}", self.kind, self.host, self.port)
    }
}

/// Protocol of an [`IceServer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceServerKind {
    /// STUN over UDP.
    Stun,
    /// TURN whose control connection runs over UDP.
    TurnUdp,
    /// TURN whose control connection runs over TCP.
    TurnTcp,
    /// TURN whose control connection runs over TLS.
    TurnTls,
}

/// What a backend honours. The documented differences between backends are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IceCapabilities {
    /// Connects to the peer's passive TCP candidates.
    pub tcp_active: bool,
    /// Offers passive TCP candidates.
    pub tcp_passive: bool,
    /// TURN control connection over UDP.
    pub turn_udp: bool,
    /// TURN control connection over TCP.
    pub turn_tcp: bool,
    /// TURN control connection over TLS.
    pub turn_tls: bool,
    /// [`IceConfig::udp_mux`].
    pub udp_mux: bool,
    /// [`IceConfig::bind_address`].
    pub bind_address: bool,
    /// [`IceConfig::port_range`].
    pub port_range: bool,
    /// [`IceConfig::proxy`].
    pub proxy: bool,
    /// [`IceTransport::restart`].
    pub restart: bool,
    /// Sends several datagrams by one system call.
    pub batch_send: bool,
    /// Has datagrams never fragmented, so that a lost one tells of the path's MTU (RFC 8899 §3).
    pub unfragmented: bool,
}

/// What the host lends to a backend.
#[derive(Clone)]
pub struct IceHost {
    /// Where events and datagrams go.
    pub sink: Arc<dyn IceSink>,
    /// Tasks, timers and sockets.
    pub runtime: Arc<dyn Runtime>,
    /// Protects connections to TURN servers over TLS; without it such servers are not used.
    pub tls: Option<&'static dyn TlsBackend>,
}

impl Debug for IceHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceHost").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}

/// True for addresses that no candidate may have (RFC 8445 §5.1.1.1): unspecified, multicast,
/// broadcast.
pub fn is_unusable(address: IpAddr) -> bool {
    address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}
