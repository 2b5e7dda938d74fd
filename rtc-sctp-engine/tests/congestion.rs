//! Goodput on lossy paths and fairness between flows.
#![allow(missing_docs)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use rtc_sctp_engine::{Config, CongestionControl, SendOptions};
use support::{Link, Loss, Pair, share};

fn config(congestion_control: CongestionControl) -> Config {
    let buffer = 8 << 20;
    Config { congestion_control, receive_buffer: buffer, send_buffer: buffer, ..Config::default() }
}

/// Megabits per second that arrive over a path, the handshake excluded.
fn goodput(link: Link, config: Config, seconds: u64) -> f64 {
    let mut pair = Pair::connected(1, [config.clone(), config], link);
    pair.links[1].bandwidth = 0;
    let data = Bytes::from(vec![7; 65536]);
    let mut received = 0;
    pair.run_until(Duration::from_secs(seconds), |p| {
        let now = p.instant();
        while p.ends[0].send(now, 0, 53, SendOptions::default(), data.clone()).is_ok() {}
        while let Some(m) = p.ends[1].read(0) {
            received += m.data.len();
        }
        false
    });
    received as f64 * 8e-6 / seconds as f64
}

#[test]
fn the_default_fills_lossy_and_jittery_paths() {
    let path = Link {
        delay: Duration::from_millis(25),
        bandwidth: 12_500_000,
        queue: 625_000,
        ..Link::default()
    };
    let lossy = |p| Link { loss: Loss::Random(p), ..path.clone() };
    let cases = [
        ("no loss", path.clone(), 80.0),
        ("1 % loss", lossy(0.01), 60.0),
        ("5 % loss", lossy(0.05), 40.0),
        ("jitter", Link { jitter: Duration::from_millis(10), ..path.clone() }, 40.0),
        ("bursts", Link { loss: Loss::Bursts(0.002, 0.2, 0.8), ..path.clone() }, 50.0),
    ];
    for (name, link, least) in cases {
        let rate = goodput(link, config(CongestionControl::default()), 6);
        assert!(rate >= least, "{name}: {rate:.1} Mbit/s");
    }
}

#[test]
fn two_flows_share_a_bottleneck_with_a_queue_of_one_bdp_within_a_factor_of_two() {
    share_within_two(Duration::from_millis(10));
}

#[test]
fn two_flows_share_a_bottleneck_with_a_queue_of_a_quarter_bdp_within_a_factor_of_two() {
    share_within_two(Duration::from_millis(40));
}

fn share_within_two(delay: Duration) {
    use CongestionControl::{Adaptive, Rfc9260};
    let link = Link { delay, bandwidth: 2_500_000, queue: 50_000, ..Link::default() };
    for kinds in [[Adaptive, Adaptive], [Adaptive, Rfc9260], [Rfc9260, Adaptive]] {
        let pair = |kind, seed| Pair::new(seed, [config(kind), config(kind)], link.clone());
        let flows =
            vec![(pair(kinds[0], 1), Duration::ZERO), (pair(kinds[1], 2), Duration::from_secs(1))];
        let (from, until) = (Duration::from_secs(15), Duration::from_secs(75));
        let bytes = share(flows, link.clone(), from, until);
        let (least, most) = (bytes[0].min(bytes[1]), bytes[0].max(bytes[1]));
        assert!(most <= 2 * least, "{kinds:?}: {bytes:?}");
        let used = (bytes[0] + bytes[1]) as f64 / 60.0 / 2_500_000.0;
        assert!(used > 0.8, "{kinds:?}: {used:.2} of the bottleneck");
    }
}
