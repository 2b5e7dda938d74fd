//! A link between two agents that loses, delays and reorders datagrams. Each side is given a
//! candidate of the link in place of the other's.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One way, at least.
const DELAY: Duration = Duration::from_millis(8);

/// So much more for some, so that datagrams overtake each other.
const JITTER: Duration = Duration::from_millis(4);

/// How long an idle direction sleeps before it looks whether to stop.
const IDLE: Duration = Duration::from_millis(50);

/// One side of the link: the socket standing for an agent, and where that agent is.
struct End {
    stand_in: UdpSocket,
    agent: SocketAddr,
}

impl End {
    /// Replaces the candidates of a description by one of the link's.
    fn new(sdp: &str) -> Result<(Self, String), String> {
        let (line, agent) = sdp
            .lines()
            .find_map(|line| Some((line, host_address(line)?)))
            .ok_or("no IPv4 host candidate to put the link before")?;
        let explain = |error: std::io::Error| format!("a socket of the link: {error}");
        let stand_in = UdpSocket::bind((agent.ip(), 0)).map_err(explain)?;
        let port = stand_in.local_addr().map_err(explain)?.port();
        let replaced = line.replace(&format!(" {} ", agent.port()), &format!(" {port} "));
        let mut text = String::new();
        for old in sdp.lines().filter(|old| *old == line || !old.starts_with("a=candidate:")) {
            text += if old == line { &replaced } else { old };
            text += "\r\n";
        }
        Ok((Self { stand_in, agent }, text))
    }
}

/// The address of a candidate line, if it is one of a host over UDP and IPv4.
fn host_address(line: &str) -> Option<SocketAddr> {
    let words: Vec<_> = line.strip_prefix("a=candidate:")?.split(' ').collect();
    let [_, "1", transport, _, address, port, "typ", "host", ..] = words[..] else { return None };
    let address = SocketAddr::new(address.parse().ok()?, port.parse().ok()?);
    (transport.eq_ignore_ascii_case("udp") && address.is_ipv4()).then_some(address)
}

/// A link, until dropped.
pub(crate) struct Link {
    loss: u64,
    /// How often each datagram comes that is not lost.
    copies: u64,
    offerer: Option<End>,
    stop: Arc<AtomicBool>,
    directions: Vec<JoinHandle<()>>,
}

impl Link {
    /// A link losing `loss` datagrams of a hundred in each direction.
    pub(crate) fn new(loss: u64) -> Self {
        Self { loss, copies: 1, offerer: None, stop: Arc::default(), directions: Vec::new() }
    }

    /// Delivers every datagram twice, the second time later.
    pub(crate) fn doubling(mut self) -> Self {
        self.copies = 2;
        self
    }

    /// Takes the offer and returns the one to deliver.
    pub(crate) fn offer(&mut self, sdp: &str) -> Result<String, String> {
        let (end, text) = End::new(sdp)?;
        self.offerer = Some(end);
        Ok(text)
    }

    /// Takes the answer and returns the one to deliver. From now on datagrams are carried.
    pub(crate) fn answer(&mut self, sdp: &str) -> Result<String, String> {
        let (answerer, text) = End::new(sdp)?;
        let offerer = self.offerer.take().ok_or("the answer came before the offer")?;
        let error = |error: std::io::Error| format!("a socket of the link: {error}");
        let back = answerer.stand_in.try_clone().map_err(error)?;
        let forth = offerer.stand_in.try_clone().map_err(error)?;
        let (from, to) = (offerer.agent, answerer.agent);
        for (seed, inlet, from, outlet, to) in
            [(1, answerer.stand_in, from, forth, to), (2, offerer.stand_in, to, back, from)]
        {
            let (loss, copies, stop) = (self.loss, self.copies, self.stop.clone());
            self.directions.push(std::thread::spawn(move || {
                carry(&Direction { inlet, from, outlet, to, loss, copies }, seed, &stop);
            }));
        }
        Ok(text)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for direction in self.directions.drain(..) {
            let _ = direction.join();
        }
    }
}

struct Direction {
    /// What comes in here from `from` ...
    inlet: UdpSocket,
    from: SocketAddr,
    /// ... goes out there to `to`.
    outlet: UdpSocket,
    to: SocketAddr,
    loss: u64,
    copies: u64,
}

/// Numbers that only have to look random (xorshift).
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random
}

fn carry(direction: &Direction, seed: u64, stop: &AtomicBool) {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut queue: BTreeMap<(Instant, u64), Vec<u8>> = BTreeMap::new();
    let mut buffer = vec![0; 65_536];
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        while let Some(entry) = queue.first_entry().filter(|entry| entry.key().0 <= now) {
            let _ = direction.outlet.send_to(&entry.remove(), direction.to);
        }
        let due = queue.first_key_value().map(|((due, _), _)| due.saturating_duration_since(now));
        let wait = due.unwrap_or(IDLE).max(Duration::from_micros(100));
        if direction.inlet.set_read_timeout(Some(wait)).is_err() {
            return;
        }
        let Ok((size, source)) = direction.inlet.recv_from(&mut buffer) else { continue };
        // An agent with several sockets has only one that is answered. Its address may be any of
        // this machine.
        if source.port() == direction.from.port() && next(&mut random) % 100 >= direction.loss {
            let late = JITTER * next(&mut random).is_multiple_of(8).into();
            let mut due = Instant::now() + DELAY + late;
            for _ in 0..direction.copies {
                count += 1;
                queue.insert((due, count), buffer[..size].to_vec());
                due += DELAY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_candidates_over_udp_and_ipv4_are_replaced() {
        let host = "a=candidate:1 1 UDP 2122317823 127.0.0.1 5000 typ host generation 0";
        assert_eq!(host_address(host), "127.0.0.1:5000".parse().ok());
        for other in [
            "a=candidate:1 1 udp 2122317823 fd99::1 5000 typ host",
            "a=candidate:1 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active",
            "a=candidate:1 2 udp 2122317823 127.0.0.1 5000 typ host",
            "a=candidate:1 1 udp 1 127.0.0.1 5000 typ srflx raddr 0.0.0.0 rport 9",
            "a=candidate:1 1 udp 1 name.local 5000 typ host",
        ] {
            assert_eq!(host_address(other), None, "{other}");
        }
    }

    #[test]
    fn a_description_keeps_one_candidate_of_the_link() {
        let sdp = "v=0\r\na=candidate:1 1 udp 9 127.0.0.1 5000 typ host\r\n\
                   a=candidate:2 1 udp 8 fd99::1 5001 typ host\r\na=mid:0\r\n";
        let (end, text) = End::new(sdp).expect("a candidate");
        let port = end.stand_in.local_addr().expect("bound").port();
        let expected =
            format!("v=0\r\na=candidate:1 1 udp 9 127.0.0.1 {port} typ host\r\na=mid:0\r\n");
        assert_eq!(text, expected);
    }
}
