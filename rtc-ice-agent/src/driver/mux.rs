//! One UDP port for many connections: what arrives is told apart by the user name fragment of
//! checks, and by the address it comes from once we have sent something there. A connection that
//! restarts has a new fragment, and the old one as long as its old path is in use.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use rtc_core::backend::{IceConfig, IceHost};
use rtc_core::error::{Error, Result};
use rtc_core::runtime::{RecvMeta, UdpSocket, UdpTransmit};

use super::{Socket, buffers, sockets};
use crate::stun::{self, Binding, Class};

/// Bytes that wait for one connection at most; more is dropped, as by a full socket.
const MAX_WAITING: usize = 4 << 20;
/// Connections that talk to one remote address at most.
const MAX_SHARING: usize = 16;
/// Receive calls per turn, after which other tasks get theirs.
const RECEIVES_PER_TURN: usize = 4;
/// Receive errors in a row after which the turn ends.
const ERRORS_PER_TURN: usize = 16;

/// The ports in use.
static GROUPS: Mutex<Vec<Group>> = Mutex::new(Vec::new());

/// The ports that connections with one configuration share.
#[derive(Debug)]
struct Group {
    key: Key,
    ports: Vec<Weak<Port>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    bind_address: Option<String>,
    port_range: Option<(u16, u16)>,
    /// Address of the runtime, whose tasks serve the ports.
    runtime: usize,
}

/// Joins the ports of this configuration, opening them if need be, for a connection with this
/// user name fragment.
pub(super) fn join(config: &IceConfig, host: &IceHost, ufrag: &str) -> Result<Vec<Socket>> {
    let key = Key {
        bind_address: config.bind_address.clone(),
        port_range: config.port_range,
        runtime: Arc::as_ptr(&host.runtime).cast::<()>() as usize,
    };
    let mut groups = GROUPS.lock();
    groups.retain(|group| group.ports.iter().all(|port| port.strong_count() > 0));
    let known = groups.iter().find(|group| group.key == key);
    let shared: Option<Vec<_>> =
        known.and_then(|group| group.ports.iter().map(Weak::upgrade).collect());
    let ports = match shared {
        Some(ports) => ports,
        None => {
            let ports = open(config, host)?;
            groups.push(Group { key, ports: ports.iter().map(Arc::downgrade).collect() });
            ports
        }
    };
    ports.into_iter().map(|port| Member::join(port, ufrag)).collect()
}

fn open(config: &IceConfig, host: &IceHost) -> Result<Vec<Arc<Port>>> {
    let bound = sockets::bind(config.bind_address.as_deref(), config.port_range)?;
    let mut ports = Vec::new();
    for socket in bound {
        let port = Port::open(socket, host)
            .map_err(|error| Error::failure("open a shared ICE socket").caused_by(error))?;
        host.runtime.spawn(Box::pin(PortTask { port: Arc::downgrade(&port) }));
        ports.push(port);
    }
    Ok(ports)
}

/// A shared socket.
#[derive(Debug)]
struct Port {
    io: Arc<dyn UdpSocket>,
    address: SocketAddr,
    members: Mutex<Members>,
    writers: Mutex<Writers>,
    waker: Mutex<Option<Waker>>,
}

/// Who gets what.
#[derive(Debug, Default)]
struct Members {
    by_ufrag: HashMap<String, Arc<Inbox>>,
    by_remote: HashMap<SocketAddr, Vec<Arc<Inbox>>>,
}

/// Members that wait for room in the socket.
#[derive(Debug, Default)]
struct Writers {
    /// How often there was room again.
    rounds: u64,
    waiting: Vec<Waker>,
}

/// What waits for one member.
#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<InboxState>,
}

#[derive(Debug, Default)]
struct InboxState {
    packets: VecDeque<(RecvMeta, Box<[u8]>)>,
    bytes: usize,
    waker: Option<Waker>,
}

impl Port {
    fn open(socket: std::net::UdpSocket, host: &IceHost) -> io::Result<Arc<Self>> {
        let address = socket.local_addr()?;
        Ok(Arc::new(Self {
            io: host.runtime.udp(socket)?,
            address,
            members: Mutex::default(),
            writers: Mutex::default(),
            waker: Mutex::default(),
        }))
    }

    fn wake(&self) {
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Gives a received buffer to those it is for.
    fn route(&self, buffer: &[u8], meta: &RecvMeta) {
        let contents = buffer.get(..meta.len).unwrap_or_default();
        let stride = meta.stride.max(1);
        let members = self.members.lock();
        let of_remote = members.by_remote.get(&meta.addr).map(Vec::as_slice).unwrap_or_default();
        if !contents.chunks(stride).any(stun::is_stun) {
            of_remote.iter().for_each(|inbox| inbox.put(*meta, contents));
            return;
        }
        for datagram in contents.chunks(stride) {
            let mut meta = *meta;
            (meta.len, meta.stride) = (datagram.len(), datagram.len());
            match receiver_of(datagram) {
                // Two connections may share a remote address, but never a user name fragment.
                Some(ufrag) => {
                    if let Some(inbox) = members.by_ufrag.get(&ufrag) {
                        inbox.put(meta, datagram);
                    }
                }
                None => of_remote.iter().for_each(|inbox| inbox.put(meta, datagram)),
            }
        }
    }

    fn learn(&self, remote: SocketAddr, inbox: &Arc<Inbox>) {
        let mut members = self.members.lock();
        let sharing = members.by_remote.entry(remote).or_default();
        if sharing.len() < MAX_SHARING && !sharing.iter().any(|known| Arc::ptr_eq(known, inbox)) {
            sharing.push(inbox.clone());
        }
    }

    fn leave(&self, inbox: &Arc<Inbox>) {
        let mut members = self.members.lock();
        members.by_ufrag.retain(|_, known| !Arc::ptr_eq(known, inbox));
        members.by_remote.retain(|_, sharing| {
            sharing.retain(|known| !Arc::ptr_eq(known, inbox));
            !sharing.is_empty()
        });
    }

    /// Tells members that wait for it that there is room in the socket.
    fn poll_room(&self, cx: &mut Context<'_>) {
        if self.writers.lock().waiting.is_empty() || self.io.poll_writable(cx).is_pending() {
            return;
        }
        let waiting = {
            let mut writers = self.writers.lock();
            writers.rounds += 1;
            std::mem::take(&mut writers.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // The task has nothing left to do.
        self.wake();
    }
}

/// The receiver that a check names.
fn receiver_of(datagram: &[u8]) -> Option<String> {
    let message = Binding::decode(datagram).filter(|message| message.class() == Class::Request)?;
    message.username().map(|(receiver, _)| receiver)
}

impl Inbox {
    fn put(&self, meta: RecvMeta, contents: &[u8]) {
        let mut state = self.state.lock();
        if state.bytes + contents.len() > MAX_WAITING {
            return;
        }
        state.bytes += contents.len();
        state.packets.push_back((meta, contents.into()));
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll_take(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<usize> {
        let mut state = self.state.lock();
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some((received, contents)) = state.packets.pop_front() else { break };
            state.bytes -= contents.len();
            *meta = received;
            if let Some(room) = buffer.get_mut(..contents.len()) {
                room.copy_from_slice(&contents);
                count += 1;
            }
        }
        if count == 0 {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(count)
    }
}

/// Receives on a port until nobody uses it.
struct PortTask {
    port: Weak<Port>,
}

impl Future for PortTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(port) = self.port.upgrade() else { return Poll::Ready(()) };
        *port.waker.lock() = Some(cx.waker().clone());
        port.poll_room(cx);
        if buffers::lend(|buffers| receive(&port, buffers, cx)) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Receives for one turn; true if there may be more.
fn receive(port: &Port, buffers: &mut [u8], cx: &mut Context<'_>) -> bool {
    let (mut errors, mut receives) = (0, 0);
    while receives < RECEIVES_PER_TURN && errors < ERRORS_PER_TURN {
        let mut meta = [RecvMeta::default(); buffers::COUNT];
        let mut chunks = buffers.chunks_exact_mut(buffers::SIZE);
        let mut slices: [IoSliceMut<'_>; buffers::COUNT] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        match port.io.poll_recv(cx, &mut slices, &mut meta) {
            Poll::Pending => return false,
            Poll::Ready(Ok(count)) => {
                receives += 1;
                let received = buffers.chunks_exact(buffers::SIZE).zip(&meta).take(count);
                received.for_each(|(buffer, meta)| port.route(buffer, meta));
            }
            Poll::Ready(Err(_)) => errors += 1,
        }
    }
    true
}

/// One connection's share of a port.
#[derive(Debug)]
pub(super) struct Member {
    port: Arc<Port>,
    inbox: Arc<Inbox>,
    /// Where the last datagram was sent to.
    last_remote: Mutex<Option<SocketAddr>>,
    /// The round of [`Writers`] in which it began to wait for room.
    waits_since: Mutex<Option<u64>>,
}

impl Member {
    fn join(port: Arc<Port>, ufrag: &str) -> Result<Socket> {
        let address = port.address;
        let member = Arc::new(Self {
            port,
            inbox: Arc::new(Inbox::default()),
            last_remote: Mutex::default(),
            waits_since: Mutex::default(),
        });
        member.add_ufrag(ufrag)?;
        Ok(Socket { io: member.clone(), address, member: Some(member) })
    }

    /// Has checks with this user name fragment reach the connection, too.
    pub(super) fn add_ufrag(&self, ufrag: &str) -> Result<()> {
        match self.port.members.lock().by_ufrag.entry(ufrag.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(self.inbox.clone());
                Ok(())
            }
            Entry::Occupied(_) => {
                let why = "share an ICE port: another connection has this user name fragment";
                Err(Error::failure(why))
            }
        }
    }

    /// Has no checks reach the connection but those with these user name fragments.
    pub(super) fn retain_ufrags(&self, in_use: &[&str]) {
        let mut members = self.port.members.lock();
        members.by_ufrag.retain(|ufrag, inbox| {
            !Arc::ptr_eq(inbox, &self.inbox) || in_use.contains(&ufrag.as_str())
        });
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.port.leave(&self.inbox);
    }
}

impl UdpSocket for Member {
    fn try_send(&self, transmit: &UdpTransmit<'_>) -> io::Result<()> {
        if self.last_remote.lock().replace(transmit.destination) != Some(transmit.destination) {
            self.port.learn(transmit.destination, &self.inbox);
        }
        self.port.io.try_send(transmit)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut since = self.waits_since.lock();
        let mut writers = self.port.writers.lock();
        if since.is_some_and(|since| since < writers.rounds) {
            *since = None;
            return Poll::Ready(Ok(()));
        }
        since.get_or_insert(writers.rounds);
        if !writers.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            writers.waiting.push(cx.waker().clone());
        }
        drop(writers);
        self.port.wake();
        Poll::Pending
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inbox.poll_take(cx, buffers, meta).map(Ok)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.port.io.local_addr()
    }

    fn max_send_segments(&self) -> usize {
        self.port.io.max_send_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.port.io.max_receive_segments()
    }
}

/// The user name fragments that are known at the shared port of this number.
#[cfg(test)]
pub(super) fn ufrags_at(number: u16) -> Vec<String> {
    let groups = GROUPS.lock();
    let ports = groups.iter().flat_map(|group| group.ports.iter().filter_map(Weak::upgrade));
    let at_number = ports.filter(|port| port.address.port() == number);
    at_number
        .flat_map(|port| port.members.lock().by_ufrag.keys().cloned().collect::<Vec<_>>())
        .collect()
}
