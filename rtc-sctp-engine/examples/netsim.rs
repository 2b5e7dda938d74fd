//! Prints goodput on simulated networks with virtual time.
//!
//! `cargo run --release -p rtc-sctp-engine --example netsim [seconds per row]`
#![allow(missing_docs)]

#[path = "../tests/support/peers.rs"]
mod peers;
#[path = "../tests/support/mod.rs"]
mod support;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peers::{Dc, Peer, Rtc};
use rtc_sctp_engine::{Config, CongestionControl, SendOptions};
use support::{Link, Loss, Pair, Rng, share};

/// A path of 100 Mbit/s and 50 ms with a queue of one bandwidth-delay product.
fn path() -> Link {
    Link {
        delay: Duration::from_millis(25),
        bandwidth: 12_500_000,
        queue: 625_000,
        ..Link::default()
    }
}

fn config(congestion_control: CongestionControl) -> Config {
    Config {
        congestion_control,
        receive_buffer: 8 << 20,
        send_buffer: 8 << 20,
        ..Config::default()
    }
}

struct Run {
    /// Payload delivered, megabits per second.
    rate: f64,
    /// Share of chunks sent again, percent.
    again: f64,
    timeouts: u64,
    /// Mean round-trip time of the second half, seconds.
    round_trip: f64,
}

fn run(link: Link, config: Config, seconds: u64) -> Run {
    let back = Link { bandwidth: 0, ..link.clone() };
    let mut pair = Pair::connected(1, [config.clone(), config], link);
    pair.links[1] = back;
    let data = Bytes::from(vec![7; 65536]);
    let mut received = 0;
    let start = pair.now;
    let mut next = start + Duration::from_secs(seconds) / 2;
    let (mut delays, mut count) = (0.0, 0);
    pair.run_until(Duration::from_secs(seconds), |p| {
        let now = p.instant();
        while p.ends[0].send(now, 0, 53, SendOptions::default(), data.clone()).is_ok() {}
        while let Some(m) = p.ends[1].read(0) {
            received += m.data.len();
        }
        while p.now >= next {
            delays += p.ends[0].metrics().srtt.as_secs_f64();
            count += 1;
            next += Duration::from_millis(10);
        }
        false
    });
    let time = (pair.now - start).as_secs_f64();
    let m = pair.ends[0].metrics();
    let again = 100.0 * m.retransmitted as f64 / (m.bytes_sent as f64 / 1144.0);
    Run {
        rate: received as f64 * 8e-6 / time,
        again,
        timeouts: m.timeouts,
        round_trip: delays / f64::from(count.max(1)),
    }
}

/// Bytes that another implementation is given beyond what has arrived.
const AHEAD: usize = 8 << 20;

/// Megabits per second that two ends of another implementation deliver, with its defaults.
fn goodput_of(mut ends: [Box<dyn Peer>; 2], start: Instant, link: Link, seconds: u64) -> f64 {
    let back = Link { bandwidth: 0, ..link.clone() };
    let (mut links, mut rng) = ([link, back], Rng::new(2));
    let mut transit = BinaryHeap::new();
    let (mut now, mut order, mut sent, mut received) = (Duration::ZERO, 0_u64, 0, 0);
    let mut begun = None;
    ends[0].connect(start);
    loop {
        let instant = start + now;
        if ends.iter().all(|end| end.connected()) {
            begun.get_or_insert(now);
            while sent < received + AHEAD
                && ends[0].send(instant, 0, SendOptions::default(), vec![7; 65536])
            {
                sent += 65536;
            }
        }
        for (end, link) in links.iter_mut().enumerate() {
            for packet in ends[end].output(instant) {
                for at in link.carry(&mut rng, now, packet.len()) {
                    order += 1;
                    transit.push(Reverse((at, order, 1 - end, packet.clone())));
                }
            }
        }
        let timers = ends.iter().filter_map(|end| end.timeout());
        let timer = timers.map(|at| at.saturating_duration_since(start)).min();
        let arrival = transit.peek().map(|Reverse((at, ..))| *at);
        let end = begun.map_or(Duration::from_secs(60), |at| at + Duration::from_secs(seconds));
        let next = timer.into_iter().chain(arrival).min().map_or(end, |next| next.max(now));
        if next >= end {
            return received as f64 * 8e-6 / seconds as f64;
        }
        now = next;
        while transit.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, to, packet))) = transit.pop() else { break };
            ends[to].input(start + now, &packet);
        }
        ends.iter_mut().for_each(|end| end.advance(start + now));
        let messages = std::mem::take(ends[1].inbox()).into_values().flatten();
        received += messages.map(|message| message.len()).sum::<usize>();
    }
}

fn dcsctp(link: Link, seconds: u64) -> f64 {
    let start = Instant::now();
    goodput_of(
        [Box::new(Dc::new(start, false)), Box::new(Dc::new(start, false))],
        start,
        link,
        seconds,
    )
}

fn rtc_sctp(link: Link, seconds: u64) -> f64 {
    goodput_of([Box::new(Rtc::new()), Box::new(Rtc::new())], Instant::now(), link, seconds)
}

/// Goodput of two flows that share a bottleneck, the second starting two seconds later.
fn fairness(kinds: [CongestionControl; 2], link: &Link, seconds: u64) -> [f64; 2] {
    let mut starts = [Duration::ZERO, Duration::from_secs(2)].into_iter();
    let pairs = kinds.map(|kind| {
        let start = starts.next().unwrap_or_default();
        let seed = 5 + start.as_secs();
        (Pair::new(seed, [config(kind), config(kind)], link.clone()), start)
    });
    let (from, until) = (Duration::from_secs(30), Duration::from_secs(30 + seconds));
    let bytes = share(pairs.into(), link.clone(), from, until);
    [bytes[0], bytes[1]].map(|b| b as f64 * 8e-6 / seconds as f64)
}

fn print_delay(seconds: u64) {
    use CongestionControl::{Adaptive, Cubic, Rfc9260};
    println!("\nOne flow without random loss: mean delay by its own queue, ms, over {seconds} s\n");
    println!("| flow | queue 1 BDP | queue 1/4 BDP | queue 4 BDP |\n|---|---|---|---|");
    for kind in [Rfc9260, Cubic, Adaptive] {
        print!("| {kind:?} |");
        for queue in [625_000, 156_000, 2_500_000] {
            let run = run(Link { queue, ..path() }, config(kind), seconds);
            print!(" {:.0} |", run.round_trip * 1000.0 - 50.0);
        }
        println!();
    }
}

fn print_fairness(seconds: u64) {
    use CongestionControl::{Adaptive, Cubic, Rfc9260};
    println!(
        "\nTwo flows on one bottleneck without random loss, the second two seconds later;\nMbit/s each over {seconds} s, after half a minute\n"
    );
    println!("| flows | queue 1 BDP | queue 1/4 BDP | queue 4 BDP | queue 17 packets |");
    println!("|---|---|---|---|---|");
    let pairs = [
        [Rfc9260, Rfc9260],
        [Cubic, Cubic],
        [Adaptive, Adaptive],
        [Cubic, Rfc9260],
        [Adaptive, Rfc9260],
        [Rfc9260, Adaptive],
        [Adaptive, Cubic],
    ];
    for kinds in pairs {
        print!("| {kinds:?} |");
        for queue in [625_000, 156_000, 2_500_000, 20_000] {
            let [a, b] = fairness(kinds, &Link { queue, ..path() }, seconds);
            print!(" {a:.1} / {b:.1} |");
        }
        println!();
    }
}

fn main() {
    let seconds: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(20);
    let bursts = Link { loss: Loss::Bursts(0.002, 0.2, 0.8), ..path() };
    let reorder = Link { reorder: 0.05, reorder_by: Duration::from_millis(2), ..path() };
    let shallow = Link { queue: 20_000, ..path() };
    let lossy = |p| Link { loss: Loss::Random(p), ..path() };
    let busy = |p| Link { stall: 0.01, stall_for: Duration::from_millis(5), ..lossy(p) };
    let jitter = Link { jitter: Duration::from_millis(10), ..path() };
    let rows = [
        ("no loss", path()),
        ("0.1 % loss", lossy(0.001)),
        ("1 % loss", lossy(0.01)),
        ("5 % loss", lossy(0.05)),
        ("1 % loss, busy hosts", busy(0.01)),
        ("5 % loss, busy hosts", busy(0.05)),
        ("bursts (Gilbert-Elliott, 0.8 %)", bursts),
        ("5 % reordered by up to 2 ms", reorder),
        ("10 ms jitter, reordering", jitter),
        ("shallow queue (17 packets)", shallow),
        ("1 % loss, 300 ms", Link { delay: Duration::from_millis(150), ..lossy(0.01) }),
        ("1 % loss, 1 ms", Link { delay: Duration::from_micros(500), ..lossy(0.01) }),
    ];
    println!("100 Mbit/s, 50 ms unless said otherwise; {seconds} s of virtual time per row.");
    println!("Goodput in Mbit/s (share of chunks sent again in %, retransmission time-outs)\n");
    println!("| path | Rfc9260 | Cubic | Adaptive | dcsctp 0.1.16 | rtc-sctp 0.21 |");
    println!("|---|---|---|---|---|---|");
    for (name, link) in rows {
        print!("| {name} |");
        for kind in
            [CongestionControl::Rfc9260, CongestionControl::Cubic, CongestionControl::Adaptive]
        {
            let Run { rate, again, timeouts, .. } = run(link.clone(), config(kind), seconds);
            print!(" {rate:.1} ({again:.1}, {timeouts}) |");
        }
        println!(" {:.1} | {:.1} |", dcsctp(link.clone(), seconds), rtc_sctp(link, seconds));
    }
    print_delay(3 * seconds);
    print_fairness(6 * seconds);
}
