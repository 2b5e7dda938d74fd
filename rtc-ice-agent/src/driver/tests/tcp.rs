//! Candidates over TCP, and TURN servers that are spoken to over TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket as StdSocket};
use std::thread;

use rtc_core::backend::{IceConfig, IceEvent, IceRole, IceServerKind};
use rtc_core::candidate::{Candidate, CandidateKind, Transport};
use rtc_core::state::IceState;

use super::turn::Serving;
use super::{Peer, complete, config, peer, runtime, transmit};
use crate::framing::{Deframer, Framing};

fn with_tcp(role: IceRole, address: &str) -> IceConfig {
    IceConfig { tcp: true, ..config(role, address) }
}

fn only_tcp(candidates: &[Candidate]) -> Vec<Candidate> {
    candidates.iter().filter(|c| c.transport != Transport::Udp).cloned().collect()
}

/// Two peers that know of each other's TCP candidates only.
fn connect_by_tcp(address: &str) -> (Peer, Peer) {
    let runtime = runtime();
    let offerer = peer(&runtime, with_tcp(IceRole::Controlling, address));
    let answerer = peer(&runtime, with_tcp(IceRole::Controlled, address));
    let offered = offerer.gather();
    let transports: Vec<_> = offered.iter().map(|c| c.transport.clone()).collect();
    assert_eq!(transports, [Transport::Udp, Transport::TcpActive, Transport::TcpPassive]);
    answerer.add_remote(&offerer.transport.local_parameters(), &only_tcp(&offered));
    let answered = answerer.gather();
    offerer.add_remote(&answerer.transport.local_parameters(), &only_tcp(&answered));
    offerer.wait_for(IceEvent::State(IceState::Completed));
    answerer.wait_for(IceEvent::State(IceState::Completed));
    (offerer, answerer)
}

fn contents(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| ((i % 251) | 0x80) as u8).collect()
}

/// Sends all of it, however often there is no room.
fn send_all(from: &Peer, contents: &[u8], segment_size: usize) {
    let mut rest = contents;
    while !rest.is_empty() {
        let taken = from.transport.send(transmit(rest, segment_size)) * segment_size;
        rest = rest.get(taken..).unwrap_or_default();
        if !rest.is_empty() {
            from.wait_for(IceEvent::Writable);
        }
    }
}

#[test]
fn peers_without_udp_connect_over_tcp_and_exchange_batches() {
    for address in ["127.0.0.1", "::1"] {
        let (offerer, answerer) = connect_by_tcp(address);
        let (local, remote) = offerer.transport.selected_pair().expect("a pair is selected");
        let (theirs, ours) = answerer.transport.selected_pair().expect("a pair is selected");
        let transports = [local.transport, remote.transport];
        assert!(transports.contains(&Transport::TcpActive), "{transports:?}");
        assert!(transports.contains(&Transport::TcpPassive), "{transports:?}");
        assert_eq!((local.port, remote.port), (ours.port, theirs.port));
        // More than what waits at most, so that it has to be told when there is room again.
        let contents = contents(1200 * 2000 + 77);
        for (from, to) in [(&offerer, &answerer), (&answerer, &offerer)] {
            send_all(from, &contents, 1200);
            let received = to.receive(contents.len());
            assert!(received.iter().rev().skip(1).all(|datagram| datagram.len() == 1200));
            assert_eq!(received.concat(), contents);
        }
    }
}

#[test]
fn udp_is_preferred_and_leaves_no_connection_behind() {
    let runtime = runtime();
    let offerer = peer(&runtime, with_tcp(IceRole::Controlling, "127.0.0.1"));
    let answerer = peer(&runtime, with_tcp(IceRole::Controlled, "127.0.0.1"));
    complete(&offerer, &answerer);
    let (local, _) = offerer.transport.selected_pair().expect("a pair is selected");
    assert_eq!(local.transport, Transport::Udp);
}

#[test]
fn the_end_of_the_connection_in_use_is_the_end_of_ice() {
    let (offerer, answerer) = connect_by_tcp("127.0.0.1");
    answerer.transport.close();
    offerer.wait_for(IceEvent::State(IceState::Failed));
}

#[test]
fn candidates_over_tcp_are_only_told_and_used_where_they_are_wanted() {
    let runtime = runtime();
    let offerer = peer(&runtime, config(IceRole::Controlling, "127.0.0.1"));
    assert!(only_tcp(&offerer.gather()).is_empty());
    let listener = TcpListener::bind("127.0.0.1:0").expect("it binds");
    listener.set_nonblocking(true).expect("it can be");
    let port = listener.local_addr().expect("bound").port();
    let passive = format!("1 1 TCP 9 127.0.0.1 {port} typ host tcptype passive");
    let passive = Candidate::parse(&passive).expect("a candidate");
    let answerer = peer(&runtime, config(IceRole::Controlled, "127.0.0.1"));
    let mut answered = answerer.gather();
    answered.push(passive);
    offerer.add_remote(&answerer.transport.local_parameters(), &answered);
    answerer.add_remote(&offerer.transport.local_parameters(), &[]);
    offerer.wait_for(IceEvent::State(IceState::Completed));
    assert!(listener.accept().is_err(), "nobody connects");
}

#[test]
fn strangers_who_connect_get_no_answer_and_do_no_harm() {
    let runtime = runtime();
    let offerer = peer(&runtime, with_tcp(IceRole::Controlling, "127.0.0.1"));
    let offered = offerer.gather();
    let passive = offered.iter().find(|c| c.transport == Transport::TcpPassive).expect("told");
    let strangers: Vec<_> = (0..100)
        .filter_map(|number: u8| {
            let mut stream = TcpStream::connect(("127.0.0.1", passive.port)).ok()?;
            // Whatever becomes of it: the connection may be closed already.
            let _ = stream.write_all(&[0, 4, 0x80, number, 1, 2, 0xFF, 0xFF]);
            Some(stream)
        })
        .collect();
    let answerer = peer(&runtime, config(IceRole::Controlled, "127.0.0.1"));
    let answered = answerer.gather();
    answerer.add_remote(&offerer.transport.local_parameters(), &offered);
    offerer.add_remote(&answerer.transport.local_parameters(), &answered);
    offerer.wait_for(IceEvent::State(IceState::Completed));
    drop(strangers);
}

/// Takes one connection after another and passes what comes by them on to a TURN server over UDP.
fn serve_tcp(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("it binds");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let socket = StdSocket::bind("127.0.0.1:0").expect("it binds");
            socket.connect(server).expect("it can be");
            let back = (socket.try_clone().expect("cloned"), stream.try_clone().expect("cloned"));
            thread::spawn(move || pass_out(stream, &socket));
            thread::spawn(move || pass_back(&back.0, back.1));
        }
    });
    address
}

fn pass_out(mut stream: TcpStream, socket: &StdSocket) {
    let mut deframer = Deframer::new(Framing::Turn);
    loop {
        match stream.read(deframer.room()) {
            Ok(0) | Err(_) => return,
            Ok(bytes) => deframer.filled(bytes),
        }
        while let Some(range) = deframer.next_frame().expect("good frames") {
            let _ = socket.send(&deframer.buffer()[range]);
        }
    }
}

fn pass_back(socket: &StdSocket, mut stream: TcpStream) {
    let mut buffer = [0; 65_536];
    while let Ok(bytes) = socket.recv(&mut buffer) {
        let mut framed = Vec::new();
        Framing::Turn.encode(&buffer[..bytes], &mut framed);
        if stream.write_all(&framed).is_err() {
            return;
        }
    }
}

#[test]
fn a_turn_server_over_tcp_relays_what_a_shared_port_cannot_ask_for_over_udp() {
    for udp_mux in [false, true] {
        let server = Serving::start();
        let address = serve_tcp(server.address);
        let mut entry = server.entry();
        (entry.kind, entry.port) = (IceServerKind::TurnTcp, address.port());
        let runtime = runtime();
        let relayed = IceConfig {
            relay_only: true,
            servers: vec![entry],
            udp_mux,
            ..config(IceRole::Controlling, "127.0.0.1")
        };
        let offerer = peer(&runtime, relayed);
        let answerer = peer(&runtime, config(IceRole::Controlled, "127.0.0.1"));
        complete(&offerer, &answerer);
        let (local, _) = offerer.transport.selected_pair().expect("a pair is selected");
        assert_eq!(local.kind, CandidateKind::Relayed);
        let contents = contents(1100 * 40 + 33);
        for (from, to) in [(&offerer, &answerer), (&answerer, &offerer)] {
            assert_eq!(from.transport.send(transmit(&contents, 1100)), 41);
            assert_eq!(to.receive(contents.len()).concat(), contents);
        }
    }
}

#[test]
fn a_turn_server_that_refuses_connections_ends_gathering_at_once() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("it binds");
    let mut entry = Serving::start().entry();
    entry.port = gone.local_addr().expect("bound").port();
    drop(gone);
    let mut servers = Vec::new();
    for kind in [IceServerKind::TurnTcp, IceServerKind::TurnTls] {
        entry.kind = kind;
        servers.push(entry.clone());
    }
    let with_relay = IceConfig { servers, ..config(IceRole::Controlling, "127.0.0.1") };
    let offerer = peer(&runtime(), with_relay);
    let begun = std::time::Instant::now();
    assert_eq!(offerer.gather().len(), 1);
    assert!(begun.elapsed() < std::time::Duration::from_secs(15), "it waited for a time-out");
}
