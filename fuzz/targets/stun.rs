//! An ICE agent that receives what a peer with the right password may send, and what anybody may.

#![no_main]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use librtc_fuzz::stun::{attribute, message, xor_address};
use librtc_fuzz::{Script, damage};
use rtc_core::backend::{IceParameters, IceRole};
use rtc_core::candidate::Candidate;
use rtc_ice_agent::{Agent, AgentConfig};

/// Steps of a script; further ones are left out.
const STEPS: usize = 400;
/// More datagrams than one step has reason for.
const ENDLESS: usize = 2000;

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
    peer_password: String,
    /// The request that the agent sent last.
    last: Vec<u8>,
    /// Where it went.
    last_to: SocketAddr,
}

fn local() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000))
}

/// An address of a small set, so that scripts can meet the same one again.
fn address(choice: u8) -> SocketAddr {
    match choice & 7 {
        6 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 6000)),
        7 => SocketAddr::from(([224, 0, 0, 1], 6000)),
        host => SocketAddr::from(([192, 0, 2, 2 + host], 6000 + u16::from(choice >> 3))),
    }
}

impl World {
    fn new(flags: u8) -> Self {
        let now = Instant::now();
        let role = if flags & 1 == 0 { IceRole::Controlling } else { IceRole::Controlled };
        let relay_only = flags & 2 != 0;
        let mut agent = Agent::new(AgentConfig { role, relay_only, seed: [flags; 32] });
        let peer_password = "p".repeat(22);
        let peer = IceParameters {
            ufrag: "peer".into(),
            pwd: peer_password.clone(),
            lite: flags & 4 != 0,
            options: Vec::new(),
        };
        agent.gather(now, &[local()], &[SocketAddr::from(([0; 4], 5000))]);
        if flags & 8 != 0 {
            agent.add_stun_server(now, address(0));
        }
        agent.end_of_servers(now);
        if flags & 16 == 0 {
            agent.set_remote_parameters(now, &peer).expect("valid parameters");
        }
        let mut world = Self { now, agent, peer_password, last: Vec::new(), last_to: address(0) };
        world.collect();
        world
    }

    fn collect(&mut self) {
        for count in 0.. {
            assert!(count < ENDLESS, "the agent sends without end");
            let Some(transmit) = self.agent.poll_transmit() else { break };
            if transmit.contents.starts_with(&[0, 1]) {
                self.last = transmit.contents;
                self.last_to = transmit.remote;
            }
        }
        while self.agent.poll_event().is_some() {}
        let _ = self.agent.selected_pair();
    }

    fn deliver(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.agent.handle_datagram(self.now, local(), from, datagram);
        self.collect();
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let choice = script.byte();
        match choice & 0x0f {
            0 => self.deliver(address(script.byte()), script.bytes()),
            1 | 2 => self.request(script),
            3 | 4 => self.answer(script),
            5 => self.mirror(script),
            6 => {
                let from = address(script.byte());
                if let Ok(candidate) = Candidate::parse(&String::from_utf8_lossy(script.bytes())) {
                    self.agent.add_remote_candidate(self.now, &candidate, from);
                }
            }
            7 => {
                let address = address(script.byte());
                let text = format!("1 1 UDP {} {} 1 typ host", script.word(), address.ip());
                let candidate = Candidate::parse(&text).expect("a valid candidate");
                self.agent.add_remote_candidate(self.now, &candidate, address);
            }
            8 => self.agent.end_of_remote_candidates(self.now),
            9 => self.agent.handle_send_failure(self.now, local(), address(script.byte())),
            10 => {
                let at = self.agent.poll_timeout().unwrap_or(self.now);
                self.pass(at.saturating_duration_since(self.now));
            }
            _ => self.pass(Duration::from_millis(10 * u64::from(script.byte()))),
        }
        self.collect();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.agent.handle_timeout(self.now);
    }

    /// A check of a peer that knows our password.
    fn request(&mut self, script: &mut Script<'_>) {
        let from = address(script.byte());
        let how = script.byte();
        let ours = self.agent.local_parameters().clone();
        let mut attributes = Vec::new();
        if how & 1 == 0 {
            attribute(&mut attributes, 0x0006, format!("{}:peer", ours.ufrag).as_bytes());
        }
        if how & 2 == 0 {
            attribute(&mut attributes, 0x0024, &[0x6e, 0, script.byte(), 0xff]);
        }
        if how & 4 == 0 {
            attribute(&mut attributes, 0x8029 + u16::from(how >> 7), &[script.byte(); 8]);
        }
        if how & 8 != 0 {
            attribute(&mut attributes, 0x0025, &[]);
        }
        if how & 16 != 0 {
            attributes.extend(script.bytes());
        }
        let kind = if how & 32 == 0 { 0x0001 } else { script.word() & 0x3fff };
        let datagram = message(kind, [how; 12], &attributes, ours.pwd.as_bytes());
        self.deliver(from, &datagram);
    }

    /// An answer to our last check by a peer that knows its own password.
    fn answer(&mut self, script: &mut Script<'_>) {
        let how = script.byte();
        let Some(&id) = self.last.get(8..).and_then(|rest| rest.first_chunk()) else { return };
        let mut attributes = Vec::new();
        if how & 1 == 0 {
            let mapped = if how & 2 == 0 { local() } else { address(script.byte()) };
            attribute(&mut attributes, 0x0020, &xor_address(mapped));
        }
        if how & 4 != 0 {
            attribute(&mut attributes, 0x0009, &[0, 0, script.byte(), script.byte()]);
        }
        if how & 8 != 0 {
            attributes.extend(script.bytes());
        }
        let kind = if how & 16 == 0 { 0x0101 } else { 0x0111 };
        let from = if how & 32 == 0 { self.last_to } else { address(script.byte()) };
        let datagram = message(kind, id, &attributes, self.peer_password.as_bytes());
        self.deliver(from, &datagram);
    }

    /// The last request of ours comes back, damaged.
    fn mirror(&mut self, script: &mut Script<'_>) {
        let mut datagram = self.last.clone();
        damage(&mut datagram, script);
        self.deliver(address(script.byte()), &datagram);
    }
}
