//! An ICE agent and its TURN server, which knows the password and misbehaves.

#![no_main]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use librtc_fuzz::stun::{attribute, message, plain_message, xor_address};
use librtc_fuzz::{Script, damage};
use md5::{Digest, Md5};
use rtc_core::backend::{IceParameters, IceRole};
use rtc_core::candidate::Candidate;
use rtc_ice_agent::{Agent, AgentConfig, Carrier};

/// Steps of a script; further ones are left out.
const STEPS: usize = 400;
/// More datagrams than one step has reason for.
const ENDLESS: usize = 2000;
/// Requests kept to be answered.
const WAITING: usize = 32;

const ALLOCATE: u16 = 0x003;
const REFRESH: u16 = 0x004;

fuzz_target!(|bytes: &[u8]| {
    let mut script = Script::new(bytes);
    let mut world = World::new(script.byte());
    for _ in 0..STEPS {
        if script.is_over() {
            break;
        }
        world.step(&mut script);
    }
});

struct World {
    now: Instant,
    agent: Agent,
    /// What the agent sent to the server, oldest first.
    requests: VecDeque<Vec<u8>>,
    /// Transaction id of the last check sent through the server.
    check: [u8; 12],
}

fn local() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000))
}

fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 3478))
}

fn relayed() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 50_000))
}

fn peer(choice: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 16 + (choice & 7)], 6000))
}

/// The key of long-term credentials (RFC 8489 §9.2.2).
fn key() -> [u8; 16] {
    Md5::digest(b"user:realm:pass").into()
}

impl World {
    fn new(flags: u8) -> Self {
        let now = Instant::now();
        let role = if flags & 1 == 0 { IceRole::Controlling } else { IceRole::Controlled };
        let relay_only = flags & 2 != 0;
        let mut agent = Agent::new(AgentConfig { role, relay_only, seed: [flags; 32] });
        let remote =
            IceParameters { ufrag: "peer".into(), pwd: "p".repeat(22), ..Default::default() };
        agent.gather(now, &[local()], &[SocketAddr::from(([0; 4], 5000))]);
        agent.add_turn_server(now, Carrier::Udp, server(), "user", "pass");
        agent.end_of_servers(now);
        agent.set_remote_parameters(now, &remote).expect("valid parameters");
        let mut world = Self { now, agent, requests: VecDeque::new(), check: [0; 12] };
        world.collect();
        if flags & 4 == 0 {
            world.challenge(0);
            world.grant(0, &[]);
        }
        world
    }

    fn collect(&mut self) {
        for count in 0.. {
            assert!(count < ENDLESS, "the agent sends without end");
            let Some(transmit) = self.agent.poll_transmit() else { break };
            if transmit.remote == server() {
                if let Some(id) = check_in(&transmit.contents) {
                    self.check = id;
                }
                if self.requests.len() == WAITING {
                    self.requests.pop_front();
                }
                self.requests.push_back(transmit.contents);
            }
        }
        while self.agent.poll_event().is_some() {}
        let _ = self.agent.selected_pair();
    }

    fn deliver(&mut self, datagram: &[u8]) {
        self.agent.handle_datagram(self.now, local(), server(), datagram);
        self.collect();
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() & 0x0f {
            0 => self.deliver(script.bytes()),
            1 => self.challenge(script.byte()),
            2 | 3 => {
                let how = script.byte();
                let further = if how & 128 == 0 { &[] } else { script.bytes() };
                self.grant(how, further);
            }
            4 => self.refuse(script),
            5 => self.indicate(script),
            6 => self.channel_data(script),
            7 => self.mirror(script),
            8 => drop(self.requests.pop_front()),
            9 => {
                let address = peer(script.byte());
                let text = format!("1 1 UDP {} {} 1 typ host", script.word(), address.ip());
                let candidate = Candidate::parse(&text).expect("a valid candidate");
                self.agent.add_remote_candidate(self.now, &candidate, address);
            }
            10 => {
                let (to, mut out) = (peer(script.byte()), Vec::new());
                self.agent.wrap(self.now, relayed(), to, script.bytes(), &mut out);
            }
            11 => self.agent.end_of_remote_candidates(self.now),
            12 => {
                let at = self.agent.poll_timeout().unwrap_or(self.now);
                self.pass(at.saturating_duration_since(self.now));
            }
            13 => self.pass(Duration::from_secs(u64::from(script.byte()))),
            14 => self.pass(Duration::from_millis(10 * u64::from(script.byte()))),
            _ => {
                if script.byte() == 1 {
                    self.agent.close(self.now);
                }
            }
        }
        self.collect();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.agent.handle_timeout(self.now);
    }

    /// Method and transaction id of the oldest request that is not answered.
    fn request(&mut self) -> Option<(u16, [u8; 12])> {
        loop {
            let request = self.requests.pop_front()?;
            let kind = request.first_chunk().map(|&kind| u16::from_be_bytes(kind))?;
            // Neither an indication nor ChannelData.
            if kind & 0xfef0 == 0
                && let Some(&id) = request.get(8..).and_then(|rest| rest.first_chunk())
            {
                return Some((kind, id));
            }
        }
    }

    /// Asks for credentials; with a nonce that announces features of RFC 8489, or without one.
    fn challenge(&mut self, how: u8) {
        let Some((method, id)) = self.request() else { return };
        let nonce: &[u8] = if how & 1 == 0 { b"nonce" } else { b"obMatJos2AAACnonce" };
        let mut attributes = Vec::new();
        attribute(&mut attributes, 0x0009, &[0, 0, 4, if how & 2 == 0 { 1 } else { 38 }]);
        if how & 4 == 0 {
            attribute(&mut attributes, 0x0014, b"realm");
        }
        if how & 8 == 0 {
            attribute(&mut attributes, 0x0015, nonce);
        }
        if how & 16 != 0 {
            attribute(&mut attributes, 0x8002, &[0, 3, 0, 0]);
        }
        let datagram = if how & 32 == 0 {
            plain_message(method | 0x0110, id, &attributes)
        } else {
            message(method | 0x0110, id, &attributes, &key())
        };
        self.deliver(&datagram);
    }

    /// Grants the oldest request.
    fn grant(&mut self, how: u8, further: &[u8]) {
        let Some((method, id)) = self.request() else { return };
        let mut attributes = Vec::new();
        if method == ALLOCATE && how & 1 == 0 {
            let address = if how & 2 == 0 { relayed() } else { peer(how >> 4) };
            attribute(&mut attributes, 0x0016, &xor_address(address));
        }
        if matches!(method, ALLOCATE | REFRESH) && how & 4 == 0 {
            attribute(&mut attributes, 0x000d, &[0, 0, how >> 5, 88]);
        }
        if method == ALLOCATE && how & 8 == 0 {
            attribute(&mut attributes, 0x0020, &xor_address(local()));
        }
        attributes.extend(further);
        let datagram = message(method | 0x0100, id, &attributes, &key());
        self.deliver(&datagram);
    }

    fn refuse(&mut self, script: &mut Script<'_>) {
        let Some((method, id)) = self.request() else { return };
        let mut attributes = Vec::new();
        attribute(&mut attributes, 0x0009, &[0, 0, script.byte(), script.byte()]);
        let how = script.byte();
        if how & 1 != 0 {
            attribute(&mut attributes, 0x0014, script.bytes());
        }
        if how & 2 != 0 {
            attribute(&mut attributes, 0x0015, script.bytes());
        }
        let datagram = message(method | 0x0110, id, &attributes, &key());
        self.deliver(&datagram);
    }

    /// A datagram of a peer in a Data indication: a check with the right password, or anything.
    fn indicate(&mut self, script: &mut Script<'_>) {
        let how = script.byte();
        let inner = match how & 0x41 {
            0x00 => self.check(how),
            0x40 => self.answer(),
            _ => script.bytes().to_vec(),
        };
        let mut attributes = Vec::new();
        if how & 2 == 0 {
            attribute(&mut attributes, 0x0012, &xor_address(peer((how >> 5) & 1)));
        }
        if how & 4 == 0 {
            attribute(&mut attributes, 0x0013, &inner);
        }
        if how & 8 != 0 {
            attributes.extend(script.bytes());
        }
        self.deliver(&plain_message(0x0017, [how; 12], &attributes));
    }

    fn check(&self, how: u8) -> Vec<u8> {
        let ours = self.agent.local_parameters();
        let mut attributes = Vec::new();
        attribute(&mut attributes, 0x0006, format!("{}:peer", ours.ufrag).as_bytes());
        attribute(&mut attributes, 0x0024, &[0x6e, 0, how, 0xff]);
        attribute(&mut attributes, 0x8029 + u16::from(how & 16 != 0), &[how; 8]);
        message(0x0001, [how; 12], &attributes, ours.pwd.as_bytes())
    }

    /// The peer's answer to our last check through the server.
    fn answer(&self) -> Vec<u8> {
        let mut attributes = Vec::new();
        attribute(&mut attributes, 0x0020, &xor_address(relayed()));
        message(0x0101, self.check, &attributes, "p".repeat(22).as_bytes())
    }

    fn channel_data(&mut self, script: &mut Script<'_>) {
        let mut datagram = (0x4000 + script.word() % 0x1010).to_be_bytes().to_vec();
        let claimed = script.byte();
        let data = script.bytes();
        let length = if claimed == 0 { data.len() as u16 } else { u16::from(claimed) };
        datagram.extend(length.to_be_bytes());
        datagram.extend(data);
        self.deliver(&datagram);
    }

    /// The oldest request comes back, damaged.
    fn mirror(&mut self, script: &mut Script<'_>) {
        let Some(mut datagram) = self.requests.pop_front() else { return };
        damage(&mut datagram, script);
        self.deliver(&datagram);
    }
}

/// The transaction id of the check in ChannelData or a Send indication.
fn check_in(datagram: &[u8]) -> Option<[u8; 12]> {
    if datagram.starts_with(&[0x40]) {
        return datagram.get(12..24)?.try_into().ok();
    }
    let mut rest = datagram.strip_prefix(&[0x00, 0x16])?.get(18..)?;
    while let Some((&[k1, k0, l1, l0], value)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        if [k1, k0] == [0x00, 0x13] {
            return value.get(8..20)?.try_into().ok();
        }
        rest = value.get(length.next_multiple_of(4)..)?;
    }
    None
}
