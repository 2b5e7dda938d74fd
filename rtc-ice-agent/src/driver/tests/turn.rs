//! Data through a TURN server on the loopback interface.

use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rtc_core::backend::{IceConfig, IceEvent, IceRole, IceServer, IceServerKind};
use rtc_core::candidate::CandidateKind;
use rtc_core::state::IceState;
use turn_server_proto::api::{Transmit, TurnServerApi, TurnServerPollRet};
use turn_server_proto::server::TurnServer;
use turn_server_proto::types::{Instant as TurnInstant, TransportType};

use super::{complete, config, peer, runtime, transmit};

const BIND: &str = "127.0.0.1:0";

/// A TURN server on a thread, until it is dropped.
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    pub(super) fn start() -> Self {
        let socket = StdSocket::bind(BIND).expect("it binds");
        let address = socket.local_addr().expect("bound");
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = stop.clone();
            move || serve(socket, &stop)
        });
        Self { address, stop, thread: Some(thread) }
    }

    pub(super) fn entry(&self) -> IceServer {
        IceServer {
            kind: IceServerKind::TurnUdp,
            host: self.address.ip().to_string(),
            port: self.address.port(),
            username: "user".to_owned(),
            password: "password".to_owned(),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the server ends well");
        }
    }
}

fn serve(socket: StdSocket, stop: &AtomicBool) {
    let address = socket.local_addr().expect("bound");
    let mut server = TurnServer::new(TransportType::Udp, address, "realm".to_owned());
    server.add_user("user".to_owned(), "password".to_owned());
    let mut sockets = vec![socket];
    let begun = Instant::now();
    let mut buffer = [0; 65_536];
    while !stop.load(Ordering::SeqCst) {
        let nanos = (begun.elapsed() + Duration::from_secs(1000)).as_nanos();
        let now = TurnInstant::from_nanos(i64::try_from(nanos).expect("it fits"));
        let mut out = Vec::new();
        let mut idle = true;
        for socket in &sockets {
            socket.set_nonblocking(true).expect("a socket can be");
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                idle = false;
                let to = socket.local_addr().expect("bound");
                let received =
                    Transmit::new(buffer[..length].to_vec(), TransportType::Udp, from, to);
                out.extend(server.recv(received, now).map(|transmit| transmit.build()));
            }
        }
        while let TurnServerPollRet::AllocateSocket {
            transport,
            listen_addr,
            client_addr,
            allocation_transport,
            family,
        } = server.poll(now)
        {
            let relay = StdSocket::bind(BIND).expect("it binds");
            let at = Ok(relay.local_addr().expect("bound"));
            sockets.push(relay);
            server.allocated_socket(
                transport,
                listen_addr,
                client_addr,
                allocation_transport,
                family,
                at,
                now,
            );
        }
        out.extend(std::iter::from_fn(|| server.poll_transmit(now)));
        for transmit in out {
            let from = |socket: &&StdSocket| socket.local_addr().ok() == Some(transmit.from);
            if let Some(socket) = sockets.iter().find(from) {
                let _ = socket.send_to(&transmit.data, transmit.to);
            }
        }
        if idle {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

#[test]
fn a_relayed_pair_carries_batches_both_ways() {
    let server = Serving::start();
    let runtime = runtime();
    let relayed = IceConfig {
        relay_only: true,
        servers: vec![server.entry()],
        ..config(IceRole::Controlling, "127.0.0.1")
    };
    let offerer = peer(&runtime, relayed);
    let answerer = peer(&runtime, config(IceRole::Controlled, "127.0.0.1"));
    complete(&offerer, &answerer);
    let (local, _) = offerer.transport.selected_pair().expect("a pair is selected");
    assert_eq!(local.kind, CandidateKind::Relayed);
    let contents: Vec<u8> = (0..1100 * 40 + 33).map(|i| ((i % 251) | 0x80) as u8).collect();
    for (from, to) in [(&offerer, &answerer), (&answerer, &offerer)] {
        assert_eq!(from.transport.send(transmit(&contents, 1100)), 41);
        let mut received = to.receive(contents.len());
        // The server may mix up what it gets by two sockets, not what it gets by one.
        assert_eq!(received.concat(), contents);
        assert_eq!(received.pop().map(|last| last.len()), Some(33));
    }
    offerer.transport.close();
    drop(server);
    assert_eq!(offerer.transport.selected_pair(), None);
}

#[test]
fn wrong_credentials_leave_the_other_candidates() {
    let server = Serving::start();
    let mut with_relay = config(IceRole::Controlling, "127.0.0.1");
    with_relay.servers.push(IceServer { password: "wrong".to_owned(), ..server.entry() });
    let runtime = runtime();
    let offerer = peer(&runtime, with_relay);
    let candidates = offerer.gather();
    assert_eq!(candidates.len(), 1);
    let answerer = peer(&runtime, config(IceRole::Controlled, "127.0.0.1"));
    let answered = answerer.gather();
    answerer.add_remote(&offerer.transport.local_parameters(), &candidates);
    offerer.add_remote(&answerer.transport.local_parameters(), &answered);
    offerer.wait_for(IceEvent::State(IceState::Completed));
}
