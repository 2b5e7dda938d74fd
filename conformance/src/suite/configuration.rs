//! What a configuration may hold, and what each field does.

use super::Case;
use crate::ffi::*;
use crate::lab::{Lab, reachable_host};
use crate::outcome::{Rows, skip};
use crate::peer::{Pair, Peer, c};
use crate::sdp;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("the grammar of ICE server addresses", server_grammar),
        Case::new("IPv6 literals are good ICE server addresses", ipv6_servers).fixes("B-13"),
        Case::new("a NULL entry among the ICE servers is refused", null_entry),
        Case::new("the grammar of proxy addresses", proxy_grammar),
        Case::new("an MTU below 576 is invalid", mtu),
        Case::new("data flows at usual MTUs", mtu_flows),
        Case::new("data flows at the smallest MTU", mtu_smallest).fixes("smallest MTU"),
        Case::new("data flows while the path is probed for a larger MTU", mtu_probing)
            .fixes("rtcSetMaxMtu"),
        Case::new("a port range has to rise", port_range),
        Case::new("ports are taken from the range and no others", ports_in_range),
        Case::new("an exhausted port range is a failure", ports_exhausted),
        Case::new("connections share one port where they are told to", udp_mux),
        Case::new("the bind address is the only address used", bind_address),
        Case::new("a bind address that is not ours fails when gathering starts", foreign_bind),
        Case::new("ECDSA and RSA certificates connect with each other", certificates).limit(120),
        Case::new("an unknown certificate type is refused", unknown_certificate),
        Case::new("the relay policy without a relay announces no candidate", relay_policy),
        Case::new("maxMessageSize is announced", message_size),
        Case::new("a maxMessageSize below zero is the default", negative_message_size)
            .fixes("B-20"),
        Case::new("an implicit offer that fails is told or survived", implicit_failure),
        Case::new("a STUN server's answer becomes a candidate", stun_server),
        Case::new("servers that do not answer keep nobody from connecting", dead_servers),
        Case::new("switches for ICE-TCP and media do not disturb data", switches),
    ]
}

fn server(url: Option<&str>) -> Config {
    Config { ice_servers: vec![url.map(c)], ..Config::loopback() }
}

/// Creates and deletes; the code is 0 if creation worked.
fn outcome(lib: Lib, config: &Config) -> i32 {
    let id = lib.create_pc(Some(config));
    if id <= 0 {
        return id;
    }
    lib.by_id(ById::DELETE_PC, id)
}

fn server_grammar(lab: &Lab) {
    let good = [
        "stun:127.0.0.1",
        "stun:127.0.0.1:3478",
        "stun://127.0.0.1:3478",
        "STUN:127.0.0.1",
        "example.invalid",
        "example.invalid:3478",
        "turn:user:password@127.0.0.1",
        "turn:user:password@127.0.0.1:3478",
        "turn://user:password@127.0.0.1:3478",
        "TURN:user:password@127.0.0.1:3478",
        "turns:user:password@127.0.0.1",
        "TURNS:user:password@127.0.0.1",
        "turn:user:pass:word@127.0.0.1:3478",
        "turn:us%40er:pass%3aword@127.0.0.1:3478",
        "turn:us%zzer:pa%ss@127.0.0.1:3478",
        "turn:user:password@127.0.0.1:3478?transport=udp",
        "turn:user:password@127.0.0.1:3478?transport=tcp",
        "turn:user:password@127.0.0.1:3478?transport=tls",
    ];
    let bad = ["", "stuns:127.0.0.1", "http://127.0.0.1", "Stun:127.0.0.1", "stun:", "stun:h:abc"];
    let either = ["stun:127.0.0.1:99999", "stun:127.0.0.1:-1", "stun:127.0.0.1:0"];
    let mut rows = Rows::new();
    for url in good {
        rows.code(url, outcome(lab.lib, &server(Some(url))), OK);
    }
    for url in bad {
        rows.code(format!("{url:?}"), outcome(lab.lib, &server(Some(url))), INVALID);
    }
    for url in either {
        rows.codes(url, outcome(lab.lib, &server(Some(url))), &[OK, INVALID]);
    }
    let config = Config { null_servers: Some(-3), ..Config::loopback() };
    rows.code("a negative count is none", outcome(lab.lib, &config), OK);
}

fn ipv6_servers(lab: &Lab) {
    let urls = [
        "stun:[::1]",
        "stun:[::1]:3478",
        "[::1]:3478",
        "turn:user:password@[fd00::1]:3478",
        "turns:user:password@[fd00::1]?transport=tls",
    ];
    let mut rows = Rows::new();
    for url in urls {
        rows.code(url, outcome(lab.lib, &server(Some(url))), OK);
    }
}

fn null_entry(lab: &Lab) {
    Rows::new().codes("NULL", outcome(lab.lib, &server(None)), &[FAILURE, INVALID]);
}

fn proxy_grammar(lab: &Lab) {
    let with = |proxy: &str| Config { proxy: Some(c(proxy)), ..Config::loopback() };
    let mut rows = Rows::new();
    for proxy in ["http://h:3128", "h", "HTTP://h", "socks5://u:p@h:1080", "SOCKS5://h"] {
        rows.code(proxy, outcome(lab.lib, &with(proxy)), OK);
    }
    for proxy in ["", "ftp://h", "socks4://h"] {
        rows.code(format!("{proxy:?}"), outcome(lab.lib, &with(proxy)), INVALID);
    }
}

fn mtu(lab: &Lab) {
    let with = |mtu| Config { mtu, ..Config::loopback() };
    let mut rows = Rows::new();
    for mtu in [1, 100, 575] {
        rows.code(mtu, outcome(lab.lib, &with(mtu)), INVALID);
    }
    for mtu in [i32::MIN, -1, 0, 576, 1280, 1500, 9000] {
        rows.code(mtu, outcome(lab.lib, &with(mtu)), OK);
    }
}

fn mtu_flows(lab: &Lab) {
    flow_at(lab.lib, &[1000, 1280, 1500]);
}

fn mtu_smallest(lab: &Lab) {
    flow_at(lab.lib, &[576]);
}

fn mtu_probing(lab: &Lab) {
    if lab.lib.table.rtcSetMaxMtu.is_none() {
        skip("not supported: there is no rtcSetMaxMtu");
    }
    let mut rows = Rows::new();
    let pair = Pair::new(lab.lib);
    for (max_mtu, expected) in [(-1, INVALID), (16_385, INVALID), (0, OK), (16_384, OK), (9000, OK)]
    {
        rows.code(max_mtu, lab.lib.set_max_mtu(pair.a.id, max_mtu), expected);
    }
    rows.code("no connection", lab.lib.set_max_mtu(-7, 9000), INVALID);
    let (near, far) = pair.open("x");
    let data: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    for message in 0..20 {
        near.send_binary(&data);
        assert!(far.wait_messages(message + 1)[message].bytes() == data, "damaged: {message}");
    }
}

fn flow_at(lib: Lib, sizes: &[i32]) {
    for mtu in sizes {
        let mtu = *mtu;
        let pair = Pair::configured(lib, &Config { mtu, ..Config::loopback() });
        let (near, far) = pair.open("x");
        let data: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        near.send_binary(&data);
        assert!(far.wait_messages(1)[0].bytes() == data, "damaged at an MTU of {mtu}");
    }
}

fn port_range(lab: &Lab) {
    let with = |ports| Config { ports, ..Config::loopback() };
    let mut rows = Rows::new();
    for ports in [(2, 1), (50_010, 50_000), (65_535, 1)] {
        rows.code(format!("{ports:?}"), outcome(lab.lib, &with(ports)), INVALID);
    }
    for ports in [(0, 0), (50_000, 50_000), (50_000, 50_010), (50_000, 0), (0, 50_000)] {
        rows.code(format!("{ports:?}"), outcome(lab.lib, &with(ports)), OK);
    }
}

fn host_ports(peer: &Peer) -> Vec<u16> {
    peer.wait_gathered();
    let port = |text: &str| text.split(' ').nth(5).and_then(|port| port.parse().ok());
    let mut candidates = peer.candidates();
    candidates.retain(|(text, _)| text.to_ascii_uppercase().contains(" UDP "));
    candidates.iter().filter_map(|(text, _)| port(text)).collect()
}

fn ports_in_range(lab: &Lab) {
    let config = Config { ports: (47_000, 47_003), ..Config::loopback() };
    let mut rows = Rows::new();
    let mut peers = Vec::new();
    for n in 0..4 {
        let peer = Peer::with(lab.lib, &config);
        let channel = peer.channel("x");
        let ports = host_ports(&peer);
        rows.holds(format!("peer {n} has candidates"), !ports.is_empty());
        for port in ports {
            rows.holds(format!("{port} in range"), (47_000..=47_003).contains(&port));
        }
        peers.push((channel, peer));
    }
}

fn ports_exhausted(lab: &Lab) {
    let config = Config { ports: (47_100, 47_101), manual: true, ..Config::loopback() };
    let mut rows = Rows::new();
    let mut peers = Vec::new();
    for expected in [OK, OK, FAILURE] {
        let peer = Peer::with(lab.lib, &config);
        let channel = peer.channel("x");
        rows.code("rtcSetLocalDescription", peer.set_local("offer"), expected);
        peers.push((channel, peer));
    }
}

fn udp_mux(lab: &Lab) {
    lab.need_udp_mux();
    let shared = Config { udp_mux: true, ports: (47_200, 47_200), ..Config::loopback() };
    let open = |_| {
        let sharing = Peer::with(lab.lib, &shared);
        let pair = Pair::of(sharing, Peer::new(lab.lib), crate::peer::Signalling::Trickle);
        let (near, far) = pair.open("x");
        (pair, near, far)
    };
    let pairs: Vec<_> = (0..3).map(open).collect();
    for (pair, near, far) in &pairs {
        assert_eq!(host_ports(&pair.a), [47_200]);
        near.send_text(c"to one of them");
        assert_eq!(far.wait_messages(1).len(), 1);
        far.send_text(c"from one of them");
        assert_eq!(near.wait_messages(1).len(), 1);
    }
}

fn bind_address(lab: &Lab) {
    lab.need_bind_address();
    let config = Config { bind: Some(c("127.0.0.3")), ..Config::default() };
    let peer = Peer::with(lab.lib, &config);
    let _channel = peer.channel("x");
    peer.wait_gathered();
    let candidates = peer.candidates();
    assert!(!candidates.is_empty(), "no candidate");
    for (text, _) in candidates {
        assert!(text.contains(" 127.0.0.3 "), "{text}");
    }
}

fn foreign_bind(lab: &Lab) {
    lab.need_bind_address();
    let config = Config { bind: Some(c("192.0.2.77")), manual: true, ..Config::default() };
    let peer = Peer::with(lab.lib, &config);
    let _channel = peer.channel("x");
    Rows::new().code("rtcSetLocalDescription", peer.set_local("offer"), FAILURE);
}

fn certificates(lab: &Lab) {
    let with = |certificate| Config { certificate, ..Config::loopback() };
    for (offerer, answerer) in [(0, 1), (1, 1), (2, 1), (1, 2), (2, 2)] {
        let a = Peer::with(lab.lib, &with(offerer));
        let b = Peer::with(lab.lib, &with(answerer));
        let pair = Pair::of(a, b, crate::peer::Signalling::Trickle);
        let (near, far) = pair.open("x");
        near.send_text(c"certified");
        far.wait_messages(1);
    }
}

fn unknown_certificate(lab: &Lab) {
    let mut rows = Rows::new();
    for certificate in [3, -1, 77] {
        let id = lab.lib.create_pc(Some(&Config { certificate, ..Config::loopback() }));
        if id > 0 {
            let offer = lab.lib.fill(Getter::OFFER, id, None, 0);
            rows.code(format!("rtcCreateOffer with type {certificate}"), offer, INVALID);
            lab.lib.by_id(ById::DELETE_PC, id);
        } else {
            rows.code(format!("creation with type {certificate}"), id, INVALID);
        }
    }
}

fn relay_policy(lab: &Lab) {
    let peer = Peer::with(lab.lib, &Config { policy: 1, ..Config::loopback() });
    let _channel = peer.channel("x");
    peer.wait_gathered();
    assert_eq!(peer.candidates(), []);
    let local = peer.string(Getter::LOCAL_DESCRIPTION).expect("a description");
    assert_eq!(sdp::attributes(&local, "candidate"), [""; 0]);
    assert!(sdp::flag(&local, "end-of-candidates"));
}

fn message_size(lab: &Lab) {
    let mut rows = Rows::new();
    for (configured, announced) in
        [(0, "262144"), (1, "1"), (65_536, "65536"), (i32::MAX, "2147483647")]
    {
        let config = Config { max_message_size: configured, ..Config::loopback() };
        let peer = Peer::with(lab.lib, &config);
        let _channel = peer.channel("x");
        let (_, offer) = peer.wait_description(0);
        let found = sdp::attribute(&offer, "max-message-size");
        rows.equal(configured, found, Some(announced));
    }
}

fn negative_message_size(lab: &Lab) {
    let config = Config { max_message_size: -1, ..Config::loopback() };
    let pair = Pair::configured(lab.lib, &config);
    let (near, _far) = pair.open("x");
    let (_, offer) = pair.a.wait_description(0);
    let mut rows = Rows::new();
    rows.equal("announced", sdp::attribute(&offer, "max-message-size"), Some("262144"));
    rows.equal("in force", near.by_id(ById::MAX_MESSAGE_SIZE), 262_144);
    let remote = lab.lib.by_id(ById::REMOTE_MAX_MESSAGE_SIZE, pair.b.id);
    rows.equal("as the other side sees it", remote, 262_144);
}

fn switches(lab: &Lab) {
    let configs = [
        Config { ice_tcp: true, ..Config::loopback() },
        Config { force_media: true, ..Config::loopback() },
    ];
    for config in configs {
        let pair = Pair::configured(lab.lib, &config);
        let (near, far) = pair.open("x");
        near.send_text(c"hello");
        far.wait_messages(1);
    }
}

fn implicit_failure(lab: &Lab) {
    let config = Config { bind: Some(c("192.0.2.77")), ..Config::default() };
    let peer = Peer::with(lab.lib, &config);
    let id = lab.lib.create_dc(peer.id, Some(c"x"));
    assert!(id > 0 || id == FAILURE, "{}", code_name(id));
}

/// Answers every STUN Binding request (RFC 8489) as if it had come from 192.0.2.1:4444.
fn answer_stun(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; 1500];
    while !stop.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        if length < 20 || buffer[..2] != [0, 1] {
            continue;
        }
        let mut answer = vec![1, 1, 0, 12];
        answer.extend_from_slice(&buffer[4..20]);
        // The address is masked by the magic cookie, unless the request has none (RFC 8489 §11).
        let (kind, mask) = match buffer[4..8] == 0x2112_a442u32.to_be_bytes() {
            true => (0x20, 0x2112_a442u32),
            false => (1, 0),
        };
        answer.extend_from_slice(&[0, kind, 0, 8, 0, 1]);
        answer.extend_from_slice(&(4444 ^ (mask >> 16) as u16).to_be_bytes());
        answer.extend_from_slice(&(0xc000_0201 ^ mask).to_be_bytes());
        let _ = socket.send_to(&answer, from);
    }
}

fn stun_server(lab: &Lab) {
    let host = reachable_host();
    let socket = UdpSocket::bind((host, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    let port = socket.local_addr().expect("an address").port();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| answer_stun(&socket, &stop));
        let peer = Peer::with(lab.lib, &server(Some(&format!("stun:{host}:{port}"))));
        let _channel = peer.channel("x");
        peer.wait_gathered();
        stop.store(true, Ordering::SeqCst);
        let candidates = peer.candidates();
        let reflexive = |text: &str| text.contains(" 192.0.2.1 4444 typ srflx raddr ");
        assert!(candidates.iter().any(|(text, _)| reflexive(text)), "{candidates:?}");
    });
}

fn dead_servers(lab: &Lab) {
    for url in ["stun:127.0.0.1:9", "stun:nowhere.invalid:3478", "turn:u:p@127.0.0.1:9"] {
        let pair = Pair::configured(lab.lib, &server(Some(url)));
        let (near, far) = pair.open("x");
        near.send_text(c"without");
        far.wait_messages(1);
    }
}
