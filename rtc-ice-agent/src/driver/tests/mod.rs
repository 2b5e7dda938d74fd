//! Real sockets on the loopback interface.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier, OnceLock};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rtc_core::backend::{
    IceBackend, IceConfig, IceEvent, IceHost, IceParameters, IceRole, IceServer, IceServerKind,
    IceSink, IceTransport, Transmit,
};
use rtc_core::candidate::{Candidate, CandidateKind};
use rtc_core::runtime::{
    RecvMeta, Runtime, Task, TcpConnect, TcpListener, Timer, TokioRuntime, UdpSocket, UdpTransmit,
};
use rtc_core::state::IceState;

use crate::{BACKEND, stun};

mod mux;
mod tcp;
mod turn;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum Happening {
    Event(IceEvent),
    Batch(Vec<Vec<u8>>),
}

struct ChannelSink(Sender<Happening>);

impl IceSink for ChannelSink {
    fn event(&self, event: IceEvent) {
        let _ = self.0.send(Happening::Event(event));
    }

    fn datagrams(&self, batch: &mut dyn Iterator<Item = &mut [u8]>) {
        let _ = self.0.send(Happening::Batch(batch.map(|datagram| datagram.to_vec()).collect()));
    }
}

struct Peer {
    transport: Arc<dyn IceTransport>,
    happenings: Receiver<Happening>,
}

fn config(role: IceRole, bind_address: &str) -> IceConfig {
    IceConfig {
        role,
        servers: Vec::new(),
        proxy: None,
        bind_address: Some(bind_address.to_owned()),
        port_range: None,
        relay_only: false,
        tcp: false,
        udp_mux: false,
        mtu: 1280,
    }
}

fn runtime() -> Arc<TokioRuntime> {
    let threads = NonZeroUsize::new(2).expect("two is not zero");
    Arc::new(TokioRuntime::new(threads).expect("a runtime starts"))
}

fn peer(runtime: &Arc<TokioRuntime>, config: IceConfig) -> Peer {
    peer_on(runtime.clone(), config)
}

fn peer_on(runtime: Arc<dyn Runtime>, config: IceConfig) -> Peer {
    let (sender, happenings) = mpsc::channel();
    let host = IceHost { sink: Arc::new(ChannelSink(sender)), runtime, tls: None };
    Peer { transport: BACKEND.open(config, host).expect("it opens"), happenings }
}

impl Peer {
    /// The first event that `wanted` finds something in.
    fn wait<T>(&self, mut wanted: impl FnMut(&IceEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.happenings.recv_timeout(left).expect("it happens in time") {
                Happening::Event(event) => {
                    if let Some(found) = wanted(&event) {
                        return found;
                    }
                }
                Happening::Batch(_) => {}
            }
        }
    }

    fn wait_for(&self, wanted: IceEvent) {
        self.wait(|event| (*event == wanted).then_some(()));
    }

    /// Gathers, and returns the candidates.
    fn gather(&self) -> Vec<Candidate> {
        self.transport.gather().expect("a socket can be bound");
        let mut candidates = Vec::new();
        self.wait(|event| match event {
            IceEvent::Candidate(candidate) => {
                candidates.push(candidate.clone());
                None
            }
            IceEvent::GatheringDone => Some(()),
            _ => None,
        });
        candidates
    }

    fn add_remote(&self, parameters: &IceParameters, candidates: &[Candidate]) {
        self.transport.set_remote_parameters(parameters).expect("good credentials");
        for candidate in candidates {
            self.transport.add_remote_candidate(candidate).expect("a good candidate");
        }
        self.transport.end_of_remote_candidates();
    }

    fn receive(&self, bytes: usize) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        while received.iter().map(Vec::len).sum::<usize>() < bytes {
            match self.happenings.recv_timeout(PATIENCE).expect("data arrives in time") {
                Happening::Batch(batch) => received.extend(batch),
                Happening::Event(_) => {}
            }
        }
        received
    }
}

fn connect(address: &str) -> (Peer, Peer) {
    let runtime = runtime();
    let offerer = peer(&runtime, config(IceRole::Controlling, address));
    let answerer = peer(&runtime, config(IceRole::Controlled, address));
    complete(&offerer, &answerer);
    (offerer, answerer)
}

fn complete(offerer: &Peer, answerer: &Peer) {
    let offered = offerer.gather();
    answerer.add_remote(&offerer.transport.local_parameters(), &offered);
    let answered = answerer.gather();
    offerer.add_remote(&answerer.transport.local_parameters(), &answered);
    offerer.wait_for(IceEvent::State(IceState::Completed));
    answerer.wait_for(IceEvent::State(IceState::Completed));
}

fn transmit(contents: &[u8], segment_size: usize) -> Transmit<'_> {
    Transmit { contents, segment_size, dscp: 0 }
}

#[test]
fn two_peers_complete_over_loopback_and_exchange_batches() {
    for address in ["127.0.0.1", "::1"] {
        let begun = Instant::now();
        let (offerer, answerer) = connect(address);
        println!("{address}: completed after {:?}", begun.elapsed());
        let (local, remote) = offerer.transport.selected_pair().expect("a pair is selected");
        let (theirs, ours) = answerer.transport.selected_pair().expect("a pair is selected");
        assert_eq!((local.host.as_str(), remote.host.as_str()), (address, address));
        assert_eq!((local.port, remote.port), (ours.port, theirs.port));

        // More than one call takes, with a short last segment.
        let contents: Vec<u8> = (0..1200 * 100 + 77).map(|i| ((i % 251) | 0x80) as u8).collect();
        assert_eq!(offerer.transport.send(transmit(&contents, 1200)), 101);
        let received = answerer.receive(contents.len());
        assert!(received.iter().rev().skip(1).all(|datagram| datagram.len() == 1200));
        assert_eq!(received.concat(), contents);
    }
}

#[test]
fn a_peer_on_all_interfaces_reaches_one_on_loopback() {
    for address in ["127.0.0.1", "::1"] {
        let runtime = runtime();
        let everywhere = IceConfig { bind_address: None, ..config(IceRole::Controlling, "") };
        let offerer = peer(&runtime, everywhere);
        let answerer = peer(&runtime, config(IceRole::Controlled, address));
        let offered = offerer.gather();
        assert!(offered.iter().all(|c| c.host != "127.0.0.1" && !c.host.starts_with("fe80")));
        // The answerer knows no candidate; it learns the address from the checks.
        answerer.add_remote(&offerer.transport.local_parameters(), &[]);
        let answered = answerer.gather();
        offerer.add_remote(&answerer.transport.local_parameters(), &answered);
        offerer.wait_for(IceEvent::State(IceState::Completed));
        answerer.wait_for(IceEvent::State(IceState::Completed));
        assert_eq!(answerer.transport.send(transmit(b"\x80 data", 1200)), 1);
        assert_eq!(offerer.receive(6), [b"\x80 data"]);
        assert_eq!(offerer.transport.send(transmit(b"\x80 more", 1200)), 1);
        assert_eq!(answerer.receive(6), [b"\x80 more"]);
    }
}

#[test]
fn names_of_the_peer_are_resolved_and_bad_candidates_ignored() {
    let runtime = runtime();
    let offerer = peer(&runtime, config(IceRole::Controlling, "127.0.0.1"));
    let answerer = peer(&runtime, config(IceRole::Controlled, "127.0.0.1"));
    let offered = offerer.gather();
    let answered = answerer.gather();
    answerer.add_remote(&offerer.transport.local_parameters(), &[]);
    let good = answered.first().expect("a host candidate");
    let change = |host: &str, port| Candidate { host: host.into(), port, ..good.clone() };
    // A port that answers with ICMP, an address we have no family for, and worse.
    let closed = StdSocket::bind("127.0.0.1:0").expect("it binds").local_addr().expect("bound");
    let candidates = [
        change("127.0.0.1", closed.port()),
        change("no-such-host.invalid", 5000),
        change("2001:db8::1", 5000),
        change("224.0.0.251", 5353),
        change("0.0.0.0", 5000),
        change("", 5000),
        change("localhost", good.port),
    ];
    offerer.add_remote(&answerer.transport.local_parameters(), &candidates);
    offerer.wait_for(IceEvent::State(IceState::Completed));
    answerer.wait_for(IceEvent::State(IceState::Completed));
    let (_, remote) = offerer.transport.selected_pair().expect("a pair is selected");
    assert_eq!(remote.port, good.port);
    drop(offered);
}

#[test]
fn a_stun_server_found_by_name_gives_a_reflexive_candidate() {
    let server = StdSocket::bind("127.0.0.1:0").expect("it binds");
    let port = server.local_addr().expect("bound").port();
    let mapped: SocketAddr = "203.0.113.5:4242".parse().expect("an address");
    let serving = thread::spawn(move || {
        let mut buffer = [0; 1500];
        // The first request is lost.
        for answer in [false, true] {
            let (length, client) = server.recv_from(&mut buffer).expect("a request");
            let request = stun::Binding::decode(&buffer[..length]).expect("a Binding request");
            if answer {
                let answer = stun::server_answer(request.transaction_id(), mapped);
                server.send_to(&answer, client).expect("it is sent");
            }
        }
    });
    let mut config = config(IceRole::Controlling, "127.0.0.1");
    config.servers.push(IceServer {
        kind: IceServerKind::Stun,
        host: "localhost".to_owned(),
        port,
        username: String::new(),
        password: String::new(),
    });
    let candidates = peer(&runtime(), config).gather();
    let kinds: Vec<_> = candidates.iter().map(|c| c.kind.clone()).collect();
    assert_eq!(kinds, [CandidateKind::Host, CandidateKind::ServerReflexive]);
    let reflexive = candidates.last().expect("two candidates");
    assert_eq!((reflexive.host.as_str(), reflexive.port), ("203.0.113.5", 4242));
    serving.join().expect("the server ends well");
}

#[test]
fn gathering_reports_what_cannot_be_bound_and_closing_frees_the_port() {
    let runtime = runtime();
    let taken = StdSocket::bind("127.0.0.1:0").expect("it binds");
    let port = taken.local_addr().expect("bound").port();
    let mut config = config(IceRole::Controlling, "127.0.0.1");
    config.port_range = Some((port, port));
    let first = peer(&runtime, config.clone());
    let error = first.transport.gather().expect_err("the port is taken");
    assert_eq!(error.kind(), rtc_core::ErrorKind::Failure, "{error}");
    drop(taken);
    for _ in 0..20 {
        let peer = peer(&runtime, config.clone());
        let candidates = peer.gather();
        assert_eq!(candidates.first().map(|candidate| candidate.port), Some(port));
        peer.transport.close();
        peer.transport.close();
        assert!(peer.transport.gather().is_err(), "closed for good");
    }
    config.bind_address = Some("no-such-host.invalid".to_owned());
    assert!(peer(&runtime, config).transport.gather().is_err());
}

/// Counts calls, and notes those after the close.
#[derive(Default)]
struct StrictSink {
    transport: OnceLock<Arc<dyn IceTransport>>,
    close_inside: AtomicBool,
    closed: AtomicBool,
    late_calls: AtomicUsize,
    datagrams: AtomicUsize,
}

impl StrictSink {
    fn called(&self) {
        if self.closed.load(Ordering::SeqCst) {
            self.late_calls.fetch_add(1, Ordering::SeqCst);
        }
        if self.close_inside.swap(false, Ordering::SeqCst)
            && let Some(transport) = self.transport.get()
        {
            transport.close();
            self.closed.store(true, Ordering::SeqCst);
        }
    }
}

impl IceSink for StrictSink {
    fn event(&self, _: IceEvent) {
        self.called();
    }

    fn datagrams(&self, batch: &mut dyn Iterator<Item = &mut [u8]>) {
        self.called();
        self.datagrams.fetch_add(batch.count(), Ordering::SeqCst);
    }
}

#[test]
fn nothing_is_delivered_after_close_from_anywhere() {
    let runtime = runtime();
    for round in 0..20 {
        let sink = Arc::new(StrictSink::default());
        let host = IceHost { sink: sink.clone(), runtime: runtime.clone(), tls: None };
        let config_b = config(IceRole::Controlled, "127.0.0.1");
        let closing = BACKEND.open(config_b, host).expect("it opens");
        assert!(sink.transport.set(closing.clone()).is_ok());
        let flooding = peer(&runtime, config(IceRole::Controlling, "127.0.0.1"));
        closing.gather().expect("it binds");
        let candidates = flooding.gather();
        closing.set_remote_parameters(&flooding.transport.local_parameters()).expect("good");
        flooding.transport.set_remote_parameters(&closing.local_parameters()).expect("good");
        for candidate in &candidates {
            closing.add_remote_candidate(candidate).expect("good");
        }
        flooding.wait_for(IceEvent::State(IceState::Completed));
        while sink.datagrams.load(Ordering::SeqCst) < 100 {
            flooding.transport.send(transmit(&[0x80; 12_000], 1200));
        }
        if round % 2 == 0 {
            closing.close();
            sink.closed.store(true, Ordering::SeqCst);
        } else {
            sink.close_inside.store(true, Ordering::SeqCst);
        }
        for _ in 0..50 {
            flooding.transport.send(transmit(&[0x80; 12_000], 1200));
        }
        let wait = Instant::now();
        while !sink.closed.load(Ordering::SeqCst) && wait.elapsed() < PATIENCE {
            flooding.transport.send(transmit(&[0x80; 12_000], 1200));
            thread::yield_now();
        }
        assert!(sink.closed.load(Ordering::SeqCst));
        assert_eq!(sink.late_calls.load(Ordering::SeqCst), 0, "round {round}");
        assert_eq!(closing.send(transmit(&[0x80; 12_000], 1200)), 10, "dropped as on a network");
    }
}

#[test]
fn closing_from_two_threads_at_once_is_one_close() {
    let (offerer, _answerer) = connect("127.0.0.1");
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                barrier.wait();
                offerer.transport.close();
            });
        }
    });
    assert!(offerer.transport.gather().is_err());
}

#[test]
fn dropping_a_transport_ends_its_task_and_frees_the_runtime() {
    let runtime = runtime();
    let offerer = peer(&runtime, config(IceRole::Controlling, "127.0.0.1"));
    offerer.gather();
    let weak = Arc::downgrade(&runtime);
    drop((runtime, offerer));
    let begun = Instant::now();
    while weak.strong_count() > 0 {
        assert!(begun.elapsed() < PATIENCE, "the task holds the runtime");
        thread::yield_now();
    }
}

/// A runtime whose sockets can be shut, and whose sockets may refuse batches.
#[derive(Debug)]
struct ValveRuntime {
    inner: TokioRuntime,
    valve: Arc<Valve>,
}

#[derive(Debug, Default)]
struct Valve {
    /// Datagrams that pass before the socket is full; `None` without a limit.
    room: Mutex<Option<usize>>,
    waker: Mutex<Option<std::task::Waker>>,
    no_batches: AtomicBool,
    /// The kinds of error that the next sends give.
    errors: Mutex<Vec<io::ErrorKind>>,
}

impl Valve {
    fn open(&self) {
        *self.room.lock() = None;
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }
}

#[derive(Debug)]
struct ValveSocket {
    inner: Arc<dyn UdpSocket>,
    valve: Arc<Valve>,
}

impl Runtime for ValveRuntime {
    fn spawn(&self, task: Task) {
        self.inner.spawn(task);
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.inner.spawn_blocking(work);
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        self.inner.timer(deadline)
    }

    fn udp(&self, socket: StdSocket) -> io::Result<Arc<dyn UdpSocket>> {
        Ok(Arc::new(ValveSocket { inner: self.inner.udp(socket)?, valve: self.valve.clone() }))
    }

    fn tcp_connect(&self, local: Option<SocketAddr>, remote: SocketAddr) -> TcpConnect {
        self.inner.tcp_connect(local, remote)
    }

    fn tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Box<dyn TcpListener>> {
        self.inner.tcp_listener(listener)
    }

    fn shutdown(&self, deadline: Instant) -> bool {
        self.inner.shutdown(deadline)
    }
}

impl UdpSocket for ValveSocket {
    fn try_send(&self, transmit: &UdpTransmit<'_>) -> io::Result<()> {
        let segments = transmit.segment_size.map_or(1, |s| transmit.contents.len().div_ceil(s));
        if segments > 1 && self.valve.no_batches.load(Ordering::SeqCst) {
            self.valve.no_batches.store(false, Ordering::SeqCst);
            *self.valve.room.lock() = Some(usize::MAX);
            return Err(io::Error::from_raw_os_error(5));
        }
        if let Some(kind) = self.valve.errors.lock().pop() {
            return Err(kind.into());
        }
        if let Some(room) = &mut *self.valve.room.lock() {
            *room = room.checked_sub(segments).ok_or(io::ErrorKind::WouldBlock)?;
        }
        self.inner.try_send(transmit)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        *self.valve.waker.lock() = Some(cx.waker().clone());
        match *self.valve.room.lock() {
            Some(_) => Poll::Pending,
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(cx, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_send_segments(&self) -> usize {
        // A socket that has refused a batch sends one by one from then on.
        if *self.valve.room.lock() == Some(usize::MAX) { 1 } else { 10 }
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }
}

fn valve_pair() -> (Arc<Valve>, Peer, Peer) {
    let valve = Arc::new(Valve::default());
    let inner = TokioRuntime::new(NonZeroUsize::MIN).expect("a runtime starts");
    let valved = Arc::new(ValveRuntime { inner, valve: valve.clone() });
    let offerer = peer_on(valved, config(IceRole::Controlling, "127.0.0.1"));
    let answerer = peer(&runtime(), config(IceRole::Controlled, "127.0.0.1"));
    complete(&offerer, &answerer);
    (valve, offerer, answerer)
}

#[test]
fn a_full_socket_takes_what_fits_and_tells_once_when_it_goes_on() {
    let (valve, offerer, answerer) = valve_pair();
    *valve.room.lock() = Some(25);
    let contents: Vec<u8> = (0..1000 * 40).map(|i| ((i % 251) | 0x80) as u8).collect();
    let taken = offerer.transport.send(transmit(&contents, 1000));
    assert_eq!(taken, 20, "two calls of ten, for the third has no room");
    assert_eq!(offerer.transport.send(transmit(&contents, 1000)), 0);
    valve.open();
    offerer.wait_for(IceEvent::Writable);
    let rest = contents.get(taken * 1000..).expect("some is left");
    assert_eq!(offerer.transport.send(transmit(rest, 1000)), 20);
    assert_eq!(answerer.receive(contents.len()).concat(), contents);
    offerer.transport.close();
    assert!(offerer.happenings.try_iter().all(|h| !matches!(h, Happening::Event(_))));
}

#[test]
fn a_network_without_batches_gets_single_datagrams_and_errors_lose_at_most_one() {
    let (valve, offerer, answerer) = valve_pair();
    valve.no_batches.store(true, Ordering::SeqCst);
    let contents: Vec<u8> = (0..1000 * 7 + 5).map(|i| ((i % 251) | 0x80) as u8).collect();
    assert_eq!(offerer.transport.send(transmit(&contents, 1000)), 8);
    assert_eq!(answerer.receive(contents.len()).concat(), contents);

    // The echo of an earlier datagram loses nothing, another error the datagrams of its call.
    *valve.room.lock() = None;
    valve.errors.lock().push(io::ErrorKind::ConnectionRefused);
    assert_eq!(offerer.transport.send(transmit(&contents, 1000)), 8);
    assert_eq!(answerer.receive(contents.len()).concat(), contents);
    valve.errors.lock().push(io::ErrorKind::PermissionDenied);
    let long = contents.repeat(3);
    assert_eq!(offerer.transport.send(transmit(&long, 1000)), 22);
    let arrived = long.get(10_000..).expect("more than one call");
    assert_eq!(answerer.receive(arrived.len()).concat(), arrived);
}

#[test]
fn a_restart_finds_the_path_again_and_loses_no_data_meanwhile() {
    let (offerer, answerer) = connect("127.0.0.1");
    restart_both(&offerer, &answerer);
}

/// Restarts both sides, the second before it hears of the first, with data all the while.
fn restart_both(offerer: &Peer, answerer: &Peer) {
    let mut restarted = Vec::new();
    for (from, to) in [(offerer, answerer), (answerer, offerer)] {
        let old = from.transport.local_parameters();
        let new = from.transport.restart().expect("it has begun");
        assert_ne!(new, old);
        assert_eq!(from.transport.local_parameters(), new);
        let mut candidates = Vec::new();
        from.wait(|event| match event {
            IceEvent::Candidate(candidate) => {
                candidates.push(candidate.clone());
                None
            }
            IceEvent::GatheringDone => Some(()),
            _ => None,
        });
        assert_eq!(candidates.len(), 1);
        restarted.push((new, candidates));
        assert_eq!(from.transport.send(transmit(b"\x80 data", 1200)), 1);
        assert_eq!(to.receive(6), [b"\x80 data"]);
    }
    let [(of_offerer, offered), (of_answerer, answered)] = &restarted[..] else { unreachable!() };
    answerer.add_remote(of_offerer, offered);
    offerer.add_remote(of_answerer, answered);
    for peer in [offerer, answerer] {
        peer.wait_for(IceEvent::State(IceState::Completed));
    }
    assert_eq!(offerer.transport.send(transmit(b"\x80 more", 1200)), 1);
    assert_eq!(answerer.receive(6), [b"\x80 more"]);
}
