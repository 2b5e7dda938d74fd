//! Many connections on one port.

use std::net::UdpSocket as StdSocket;
use std::sync::atomic::Ordering;

use super::*;
use crate::driver::Transport;
use crate::driver::mux::ufrags_at;

fn muxed(role: IceRole, port_range: Option<(u16, u16)>) -> IceConfig {
    IceConfig { udp_mux: true, port_range, ..config(role, "127.0.0.1") }
}

fn free_port() -> u16 {
    let socket = StdSocket::bind("127.0.0.1:0").expect("it binds");
    socket.local_addr().expect("bound").port()
}

#[test]
fn connections_on_one_port_each_get_their_own_data() {
    let runtime = runtime();
    let port = free_port();
    let pairs: Vec<(Peer, Peer)> = (0..5)
        .map(|index| {
            let roles = [IceRole::Controlling, IceRole::Controlled];
            let ours = peer(&runtime, muxed(roles[index % 2], Some((port, port))));
            let theirs = peer(&runtime, config(roles[(index + 1) % 2], "127.0.0.1"));
            complete(&ours, &theirs);
            (ours, theirs)
        })
        .collect();
    let contents = |index: u8| -> Vec<u8> { (0..1200 * 30 + 7).map(|_| 0x80 | index).collect() };
    for (index, (ours, theirs)) in (0..).zip(&pairs) {
        let (local, _) = ours.transport.selected_pair().expect("a pair is selected");
        assert_eq!(local.port, port);
        assert_eq!(ours.transport.send(transmit(&contents(index), 1200)), 31);
        assert_eq!(theirs.transport.send(transmit(&contents(index), 1200)), 31);
    }
    for (index, (ours, theirs)) in (0..).zip(&pairs) {
        let expected = contents(index);
        assert_eq!(ours.receive(expected.len()).concat(), expected);
        assert_eq!(theirs.receive(expected.len()).concat(), expected);
    }
    // The others go on when one ends, and the port is free when the last has ended.
    let mut pairs = pairs.into_iter();
    let (first, _) = pairs.next().expect("five pairs");
    first.transport.close();
    for (ours, theirs) in pairs {
        assert_eq!(theirs.transport.send(transmit(b"\x80 still", 1200)), 1);
        assert_eq!(ours.receive(7), [b"\x80 still"]);
        ours.transport.close();
    }
    let begun = Instant::now();
    while StdSocket::bind(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the port stays taken");
        thread::yield_now();
    }
}

#[test]
fn connections_between_the_same_two_ports_complete() {
    let runtime = runtime();
    let ranges = [free_port(), free_port()].map(|port| Some((port, port)));
    let pairs: Vec<(Peer, Peer)> = (0..3)
        .map(|_| {
            let offerer = peer(&runtime, muxed(IceRole::Controlling, ranges[0]));
            let answerer = peer(&runtime, muxed(IceRole::Controlled, ranges[1]));
            complete(&offerer, &answerer);
            (offerer, answerer)
        })
        .collect();
    drop(pairs);
}

#[test]
fn members_that_wait_for_room_are_all_told() {
    let valve = Arc::new(Valve::default());
    let inner = TokioRuntime::new(NonZeroUsize::MIN).expect("a runtime starts");
    let valved = Arc::new(ValveRuntime { inner, valve: valve.clone() });
    let port = free_port();
    let other = runtime();
    let pairs: Vec<(Peer, Peer)> = (0..3)
        .map(|_| {
            let ours = peer_on(valved.clone(), muxed(IceRole::Controlling, Some((port, port))));
            let theirs = peer(&other, config(IceRole::Controlled, "127.0.0.1"));
            complete(&ours, &theirs);
            (ours, theirs)
        })
        .collect();
    *valve.room.lock() = Some(0);
    valve.no_batches.store(false, Ordering::SeqCst);
    for (ours, _) in &pairs {
        assert_eq!(ours.transport.send(transmit(b"\x80", 1200)), 0);
    }
    // Opened only once the port waits for it, as a real socket would be.
    let begun = Instant::now();
    while valve.waker.lock().is_none() {
        assert!(begun.elapsed() < PATIENCE, "nobody waits for room");
        thread::yield_now();
    }
    valve.open();
    for (ours, _) in &pairs {
        ours.wait_for(IceEvent::Writable);
    }
}

#[test]
fn connections_on_one_port_restart_by_themselves() {
    let runtime = runtime();
    let ports = [free_port(), free_port()];
    let range = |port| Some((port, port));
    // The last one's peer shares its port, too.
    let pairs: Vec<(Peer, Peer)> = (0..3)
        .map(|index| {
            let theirs = match index {
                2 => muxed(IceRole::Controlled, range(ports[1])),
                _ => config(IceRole::Controlled, "127.0.0.1"),
            };
            let ours = peer(&runtime, muxed(IceRole::Controlling, range(ports[0])));
            let theirs = peer(&runtime, theirs);
            complete(&ours, &theirs);
            (ours, theirs)
        })
        .collect();
    let ufrag = |peer: &Peer| peer.transport.local_parameters().ufrag;
    for round in 0..3 {
        for (ours, theirs) in [&pairs[0], &pairs[2]] {
            let old = ufrag(ours);
            restart_both(ours, theirs);
            // Checks over the old path are answered, and the one before it is forgotten.
            let known = ufrags_at(ports[0]);
            assert!(known.contains(&old) && known.contains(&ufrag(ours)), "round {round}");
        }
        assert_eq!(ufrags_at(ports[0]).len(), 5, "round {round}");
        assert_eq!(ufrags_at(ports[1]).len(), 2, "round {round}");
        for (ours, theirs) in &pairs {
            assert_eq!(ours.transport.send(transmit(b"\x80 to", 1200)), 1);
            assert_eq!(theirs.receive(4), [b"\x80 to"]);
            assert_eq!(theirs.transport.send(transmit(b"\x80 fro", 1200)), 1);
            assert_eq!(ours.receive(5), [b"\x80 fro"]);
        }
    }
    for (index, (ours, theirs)) in pairs.into_iter().enumerate() {
        let gone = ufrag(&ours);
        ours.transport.close();
        theirs.transport.close();
        drop((ours, theirs));
        let begun = Instant::now();
        while ufrags_at(ports[0]).contains(&gone) {
            assert!(begun.elapsed() < PATIENCE, "{index}: it is known after its end");
            thread::yield_now();
        }
    }
    let begun = Instant::now();
    while ports.iter().any(|port| !ufrags_at(*port).is_empty()) {
        assert!(begun.elapsed() < PATIENCE, "an old one is known after the end");
        thread::yield_now();
    }
}

#[test]
fn an_old_user_name_fragment_is_known_until_its_path_ends() {
    let runtime = runtime();
    let port = free_port();
    let (sender, happenings) = mpsc::channel();
    let host = IceHost { sink: Arc::new(ChannelSink(sender)), runtime: runtime.clone(), tls: None };
    let sharing = muxed(IceRole::Controlling, Some((port, port)));
    let transport = Arc::new(Transport::open(sharing, host));
    let ours = Peer { transport: transport.clone(), happenings };
    let theirs = peer(&runtime, config(IceRole::Controlled, "127.0.0.1"));
    complete(&ours, &theirs);
    let old = transport.local_parameters().ufrag;
    let new = transport.restart().expect("it has begun").ufrag;
    let mut known = ufrags_at(port);
    known.sort();
    let mut both = [old, new.clone()];
    both.sort();
    assert_eq!(known, both);
    // The peer's consent lasts for 30 s (RFC 7675 §5.1).
    transport.shared.work(Instant::now() + Duration::from_secs(31));
    assert_eq!(ufrags_at(port), [new]);
}
