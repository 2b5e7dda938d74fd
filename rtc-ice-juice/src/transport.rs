//! [`IceTransport`] over an agent of libjuice.

use std::ffi::CString;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use rtc_core::backend::{
    Delivery, IceConfig, IceCredentials, IceEvent, IceHost, IceParameters, IceRole, IceServer,
    IceServerKind, IceSink, IceTransport, NameLookups, Transmit, names,
};
use rtc_core::candidate::{Candidate, CandidateKind, Transport as Protocol};
use rtc_core::error::{Error, ErrorKind, Result};
use rtc_core::runtime::Runtime;
use rtc_core::state::IceState;

use crate::ffi::{Agent, Options, SendError, Server};
use crate::{credentials, log_lines};

/// TURN servers that libjuice uses.
const MAX_TURN_SERVERS: usize = 2;

/// One ICE component.
#[derive(Debug)]
pub(crate) struct Transport {
    me: Weak<Self>,
    /// `None` once closed.
    agent: RwLock<Option<Agent>>,
    delivery: Arc<Delivery>,
    runtime: Arc<dyn Runtime>,
    parameters: Mutex<IceParameters>,
    lookups: Arc<NameLookups>,
    /// The peer has no further candidates; libjuice is told once no name is being looked up.
    remote_ended: AtomicBool,
    connected: Arc<AtomicBool>,
    /// A server's name is looked up by a thread that destroying the agent waits for.
    slow_to_end: bool,
}

impl Transport {
    pub(crate) fn open(config: IceConfig, host: IceHost) -> Result<Arc<dyn IceTransport>> {
        warn_of_what_is_ignored(&config);
        let parameters = credentials::generate()?;
        let connected = Arc::new(AtomicBool::new(false));
        let runtime = host.runtime.clone();
        let sink = Arc::new(Sink {
            inner: host.sink.clone(),
            connected: connected.clone(),
            relay_only: config.relay_only,
        });
        let delivery = Delivery::new(IceHost { sink, ..host });
        let mut agent = make_agent(&config, &parameters, delivery.clone())?;
        if config.role == IceRole::Controlling {
            agent.take_control();
        }
        log_lines::write();
        let slow_to_end = config.servers.iter().any(|s| s.host.parse::<IpAddr>().is_err());
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            agent: RwLock::new(Some(agent)),
            delivery,
            runtime,
            parameters: Mutex::new(parameters),
            lookups: Arc::default(),
            remote_ended: AtomicBool::new(false),
            connected,
            slow_to_end,
        }))
    }

    /// Changes the agent, unless it is gone.
    fn change<R>(&self, change: impl FnOnce(&mut Agent) -> R) -> Option<R> {
        let result = self.agent.write().as_mut().map(change);
        log_lines::write();
        result
    }

    fn add_resolved(&self, candidate: &Candidate, address: SocketAddr) {
        let mut candidate = candidate.clone();
        candidate.host = address.ip().to_string();
        candidate.port = address.port();
        if let Ok(text) = CString::new(format!("a={candidate}")) {
            self.change(|agent| agent.add_remote_candidate(&text));
        }
    }

    /// Tells libjuice that the peer has no further candidates if that is so.
    fn end_if_ended(&self) {
        if self.remote_ended.load(Ordering::Acquire) && !self.lookups.are_running() {
            self.change(Agent::end_of_remote_candidates);
        }
    }
}

impl IceTransport for Transport {
    fn local_parameters(&self) -> IceParameters {
        self.parameters.lock().clone()
    }

    fn set_local_credentials(&self, credentials: &IceCredentials) -> Result<()> {
        let ufrag = string(credentials.ufrag().to_owned())?;
        let pwd = string(credentials.pwd().to_owned())?;
        if self.change(|agent| agent.set_local_credentials(&ufrag, &pwd)) != Some(true) {
            return Err(Error::failure("set local ICE credentials: gathering has begun"));
        }
        let mut parameters = self.parameters.lock();
        parameters.ufrag = credentials.ufrag().to_owned();
        parameters.pwd = credentials.pwd().to_owned();
        Ok(())
    }

    fn set_remote_parameters(&self, remote: &IceParameters) -> Result<()> {
        let sdp = CString::new(credentials::description(remote)?)
            .map_err(|error| Error::invalid("set remote ICE credentials").caused_by(error))?;
        match self.change(|agent| agent.set_remote_description(&sdp)) {
            Some(false) => Err(Error::invalid(
                "set remote ICE credentials: libjuice cannot restart with other ones",
            )),
            Some(true) | None => Ok(()),
        }
    }

    fn add_remote_candidate(&self, candidate: &Candidate) -> Result<()> {
        if candidate.transport != Protocol::Udp || self.remote_ended.load(Ordering::Acquire) {
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
            let Some(transport) = me.upgrade() else { return };
            if let Some(address) = found.first() {
                transport.add_resolved(&candidate, *address);
            }
            transport.end_if_ended();
        });
        Ok(())
    }

    fn end_of_remote_candidates(&self) {
        self.remote_ended.store(true, Ordering::Release);
        self.end_if_ended();
    }

    fn gather(&self) -> Result<()> {
        let failed = |why| Err(Error::failure(format!("gather ICE candidates: {why}")));
        self.delivery.start();
        match self.change(Agent::gather) {
            Some(true) => Ok(()),
            Some(false) => failed("no socket can be bound"),
            None => failed("the transport is closed"),
        }
    }

    fn send(&self, batch: Transmit<'_>) -> usize {
        let segment = batch.segment_size.max(1);
        let count = batch.contents.len().div_ceil(segment);
        if !self.connected.load(Ordering::Relaxed) {
            return count;
        }
        let agent = self.agent.read();
        let Some(agent) = agent.as_ref() else { return count };
        for (index, datagram) in batch.contents.chunks(segment).enumerate() {
            if agent.send(datagram, batch.dscp) == Err(SendError::Full) {
                self.delivery.retry_soon();
                return index;
            }
        }
        count
    }

    fn selected_pair(&self) -> Option<(Candidate, Candidate)> {
        let (local, remote) = self.agent.read().as_ref()?.selected_candidates()?;
        Some((Candidate::parse(&local).ok()?, Candidate::parse(&remote).ok()?))
    }

    fn restart(&self) -> Result<IceParameters> {
        Err(Error::new(ErrorKind::Unsupported, "restart ICE: libjuice cannot"))
    }

    fn close(&self) {
        if !self.delivery.close() {
            return;
        }
        let agent = self.agent.write().take();
        match self.slow_to_end {
            true => self.runtime.spawn_blocking(Box::new(move || drop(agent))),
            false => drop(agent),
        }
        log_lines::write();
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.close();
    }
}

/// Keeps from the host's sink what libjuice tells and the configuration does not want told.
struct Sink {
    inner: Arc<dyn IceSink>,
    connected: Arc<AtomicBool>,
    relay_only: bool,
}

impl IceSink for Sink {
    fn event(&self, event: IceEvent) {
        log_lines::write();
        match &event {
            IceEvent::State(state) => {
                let connected = matches!(state, IceState::Connected | IceState::Completed);
                self.connected.store(connected, Ordering::Relaxed);
            }
            IceEvent::Candidate(candidate)
                if self.relay_only && candidate.kind != CandidateKind::Relayed =>
            {
                return;
            }
            _ => {}
        }
        self.inner.event(event);
    }

    fn datagrams(&self, batch: &mut dyn Iterator<Item = &mut [u8]>) {
        self.inner.datagrams(batch);
    }
}

fn make_agent(
    config: &IceConfig,
    parameters: &IceParameters,
    delivery: Arc<Delivery>,
) -> Result<Agent> {
    let of_kind = |kind| config.servers.iter().filter(move |server| server.kind == kind);
    let stun = of_kind(IceServerKind::Stun).next().map(server).transpose()?;
    let turn = of_kind(IceServerKind::TurnUdp).take(MAX_TURN_SERVERS).map(server);
    let bind_address = config.bind_address.clone().map(string).transpose()?;
    Agent::new(
        &Options {
            share_port: config.udp_mux,
            stun,
            bind_address: bind_address.as_deref(),
            port_range: config.port_range,
            ufrag: &string(parameters.ufrag.clone())?,
            pwd: &string(parameters.pwd.clone())?,
            turn: &turn.collect::<Result<Vec<_>>>()?,
        },
        delivery,
    )
    .ok_or_else(|| Error::failure("open an ICE transport: libjuice makes no agent"))
}

fn server(server: &IceServer) -> Result<Server> {
    Ok(Server {
        host: string(server.host.clone())?,
        port: server.port,
        username: string(server.username.clone())?,
        password: string(server.password.clone())?,
    })
}

fn string(text: String) -> Result<CString> {
    // The error would tell the text, which may be a password.
    CString::new(text).map_err(|_| Error::invalid("open an ICE transport: a text contains NUL"))
}

/// The core has taken out what libjuice does not know at all.
fn warn_of_what_is_ignored(config: &IceConfig) {
    let of_kind = |kind| config.servers.iter().filter(move |server| server.kind == kind).count();
    let many_turn = of_kind(IceServerKind::TurnUdp) > MAX_TURN_SERVERS;
    for (ignored, what) in [
        (of_kind(IceServerKind::Stun) > 1, "all STUN servers but one"),
        (many_turn, "all TURN servers but two"),
        (config.udp_mux && of_kind(IceServerKind::TurnUdp) > 0, "TURN on a shared port"),
        (config.relay_only, "the relay policy when it checks pairs"),
    ] {
        if ignored {
            log::warn!("libjuice ignores {what}");
        }
    }
}
