//! [`IceTransport`] over an agent of libnice.

use std::ffi::CString;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use rtc_core::backend::{
    Delivery, IceConfig, IceCredentials, IceHost, IceParameters, IceRole, IceServer, IceServerKind,
    IceTransport, NameLookups, Transmit, credentials, names,
};
use rtc_core::candidate::{Candidate, Transport as Protocol};
use rtc_core::error::{Error, Result};
use rtc_core::ice_server::{ProxyKind, parse_proxy};
use rtc_core::runtime::Runtime;

use crate::ffi::{Agent, Options, Proxy, Relay, SendError};
use crate::listener::Listener;

/// TURN servers that are used; libnice has room for eight.
const MAX_RELAYS: usize = 8;
/// Candidates of the peer that are used.
const MAX_REMOTE_CANDIDATES: usize = 128;

/// One ICE component.
#[derive(Debug)]
pub(crate) struct Transport {
    me: Weak<Self>,
    /// `None` once closed.
    agent: RwLock<Option<Agent>>,
    delivery: Arc<Delivery>,
    runtime: Arc<dyn Runtime>,
    lookups: Arc<NameLookups>,
    remote: Mutex<Remote>,
    tcp: bool,
    /// Ending takes as long as TURN servers take to answer.
    slow_to_end: bool,
}

/// What is known of the peer.
#[derive(Debug, Default)]
struct Remote {
    credentials: Option<(String, String)>,
    candidates: usize,
}

impl Transport {
    pub(crate) fn open(config: IceConfig, host: IceHost) -> Result<Arc<dyn IceTransport>> {
        let options = options(&config)?;
        let runtime = host.runtime.clone();
        let delivery = Delivery::new(host);
        let listener = Listener::new(delivery.clone(), config.relay_only);
        let agent = Agent::new(&options, listener)
            .map_err(|error| Error::failure("open an ICE transport").caused_by(error))?;
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            agent: RwLock::new(Some(agent)),
            delivery,
            runtime,
            lookups: Arc::default(),
            remote: Mutex::default(),
            tcp: config.tcp,
            slow_to_end: !options.relays.is_empty(),
        }))
    }

    fn with_agent<R>(&self, call: impl FnOnce(&Agent) -> R) -> Option<R> {
        self.agent.read().as_ref().map(call)
    }

    fn add_resolved(&self, candidate: &Candidate, address: SocketAddr) {
        {
            let count = &mut self.remote.lock().candidates;
            if *count >= MAX_REMOTE_CANDIDATES {
                return;
            }
            *count += 1;
        }
        // What follows the type is of no use to libnice, and it refuses what it cannot read.
        let candidate = Candidate {
            host: address.ip().to_string(),
            port: address.port(),
            extensions: String::new(),
            ..candidate.clone()
        };
        if let Ok(text) = CString::new(format!("a={candidate}")) {
            self.with_agent(|agent| agent.add_remote_candidate(&text));
        }
    }

    fn parameters(agent: &Agent) -> Option<IceParameters> {
        let (ufrag, pwd) = agent.local_credentials()?;
        Some(IceParameters { ufrag, pwd, lite: false, options: credentials::options() })
    }
}

impl IceTransport for Transport {
    fn local_parameters(&self) -> IceParameters {
        self.with_agent(Self::parameters).flatten().unwrap_or_default()
    }

    fn set_local_credentials(&self, credentials: &IceCredentials) -> Result<()> {
        let ufrag = string(credentials.ufrag().to_owned())?;
        let pwd = string(credentials.pwd().to_owned())?;
        match self.with_agent(|agent| agent.set_local_credentials(&ufrag, &pwd)) {
            Some(true) => Ok(()),
            _ => Err(Error::failure("set local ICE credentials: the transport is closed")),
        }
    }

    fn set_remote_parameters(&self, remote: &IceParameters) -> Result<()> {
        remote.validate()?;
        let credentials = (remote.ufrag.clone(), remote.pwd.clone());
        {
            let known = &mut self.remote.lock().credentials;
            match known {
                Some(known) if *known == credentials => return Ok(()),
                Some(_) => {
                    return Err(Error::invalid(
                        "set remote ICE credentials: they change without a restart",
                    ));
                }
                None => *known = Some(credentials),
            }
        }
        let ufrag = string(remote.ufrag.clone())?;
        let pwd = string(remote.pwd.clone())?;
        self.with_agent(|agent| {
            if remote.lite {
                // RFC 8445 §6.1.1: the full agent controls.
                agent.take_control();
            }
            agent.set_remote_credentials(&ufrag, &pwd);
        });
        Ok(())
    }

    fn add_remote_candidate(&self, candidate: &Candidate) -> Result<()> {
        let is_tcp = match candidate.transport {
            Protocol::Udp => false,
            Protocol::TcpActive | Protocol::TcpPassive | Protocol::TcpSo => true,
            Protocol::Other(_) => return Ok(()),
        };
        if is_tcp && !self.tcp {
            return Ok(());
        }
        if let Ok(ip) = candidate.host.parse::<IpAddr>() {
            self.add_resolved(candidate, (ip, candidate.port).into());
            return Ok(());
        }
        let (me, candidate) = (self.me.clone(), candidate.clone());
        let (host, port) = (candidate.host.clone(), candidate.port);
        let look_up = move || names::system_addresses(&host, port);
        self.lookups.start(&*self.runtime, look_up, move |found| {
            if let (Some(transport), Some(address)) = (me.upgrade(), found.first()) {
                transport.add_resolved(&candidate, *address);
            }
        });
        Ok(())
    }

    /// Of no interest to libnice, which counts on the time alone.
    fn end_of_remote_candidates(&self) {}

    fn gather(&self) -> Result<()> {
        let failed = |why| Err(Error::failure(format!("gather ICE candidates: {why}")));
        self.delivery.start();
        match self.with_agent(Agent::gather) {
            Some(true) => {
                log::debug!("libnice gathers candidates");
                Ok(())
            }
            Some(false) => failed("no socket can be bound"),
            None => failed("the transport is closed"),
        }
    }

    fn send(&self, batch: Transmit<'_>) -> usize {
        let segment = batch.segment_size.max(1);
        let count = batch.contents.len().div_ceil(segment);
        let sent = self.with_agent(|agent| match agent.listener().is_connected() {
            true => agent.send(batch.contents.chunks(segment), batch.dscp),
            false => Ok(()),
        });
        match sent {
            Some(Err(SendError::Full(sent))) => {
                self.delivery.retry_soon();
                sent
            }
            _ => count,
        }
    }

    fn selected_pair(&self) -> Option<(Candidate, Candidate)> {
        self.with_agent(|agent| agent.listener().selected_pair()).flatten()
    }

    fn restart(&self) -> Result<IceParameters> {
        let failed = || Error::failure("restart ICE: the transport is closed");
        *self.remote.lock() = Remote::default();
        self.with_agent(|agent| {
            agent.restart();
            Self::parameters(agent)
        })
        .flatten()
        .ok_or_else(failed)
    }

    fn close(&self) {
        if !self.delivery.close() {
            return;
        }
        let Some(agent) = self.agent.write().take() else { return };
        let ended = agent.end();
        match self.slow_to_end {
            true => self.runtime.spawn_blocking(Box::new(move || ended.wait())),
            false => ended.wait(),
        }
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.close();
    }
}

fn options(config: &IceConfig) -> Result<Options> {
    let mut stun = config.servers.iter().filter(|server| server.kind == IceServerKind::Stun);
    let (stun, further) = (stun.next(), stun.next());
    if further.is_some() {
        log::warn!("libnice ignores all STUN servers but one");
    }
    let is_relay = |server: &&IceServer| {
        matches!(server.kind, IceServerKind::TurnUdp | IceServerKind::TurnTcp)
    };
    let relays = || config.servers.iter().filter(is_relay);
    if relays().count() > MAX_RELAYS {
        log::warn!("libnice ignores all TURN servers but {MAX_RELAYS}");
    }
    let relays = relays().take(MAX_RELAYS).map(relay);
    Ok(Options {
        controlling: config.role == IceRole::Controlling,
        tcp: config.tcp,
        relay_only: config.relay_only,
        stun: stun
            .map(|stun| Ok::<_, Error>((string(stun.host.clone())?, stun.port)))
            .transpose()?,
        relays: relays.collect::<Result<_>>()?,
        proxy: config.proxy.as_deref().map(proxy).transpose()?,
        port_range: config.port_range,
    })
}

fn relay(server: &IceServer) -> Result<Relay> {
    Ok(Relay {
        host: string(server.host.clone())?,
        port: server.port,
        username: string(server.username.clone())?,
        password: string(server.password.clone())?,
        over_tcp: server.kind == IceServerKind::TurnTcp,
    })
}

fn proxy(url: &str) -> Result<Proxy> {
    let proxy = parse_proxy(url)?;
    if proxy.host.parse::<IpAddr>().is_err() {
        log::warn!("libnice ignores a proxy that is not given by its IP address");
    }
    Ok(Proxy {
        is_socks: proxy.kind == ProxyKind::Socks5,
        address: string(proxy.host)?,
        port: proxy.port,
        username: string(proxy.username)?,
        password: string(proxy.password)?,
    })
}

fn string(text: String) -> Result<CString> {
    // The error would tell the text, which may be a password.
    CString::new(text).map_err(|_| Error::invalid("open an ICE transport: a text contains NUL"))
}
