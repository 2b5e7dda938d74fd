//! How much of what the machine can do the data channels use.
//!
//! The ceiling is what is left of the path when SCTP, DTLS and ICE are taken away: messages are
//! copied into packets, which are encrypted and sent in batches over loopback; the other side undoes
//! it. One thread sends and one receives. Then a data channel of this library does the same, in the
//! same run and by turns. Two shares are printed: that of goodput, which means something on a machine
//! with nothing else to do, and that of what a CPU moves in a second, which other work hardly changes.
//!
//! `cargo bench -p librtc-benches --bench ceiling [-- SECONDS ROUNDS]`
#![allow(missing_docs)]

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use librtc::{DataChannel, PeerConnection};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of a message.
const MESSAGE: usize = 64 * 1024;
/// Payload of a packet: what SCTP and DTLS leave of 1280 bytes of IPv6.
const PAYLOAD: usize = 1144;
/// Headers of SCTP and DATA, which are encrypted too.
const HEADER: usize = 28;
/// Header of a DTLS record with its explicit nonce.
const RECORD_HEAD: usize = 21;
const TAG: usize = 16;
const DATAGRAM: usize = RECORD_HEAD + HEADER + PAYLOAD + TAG;
/// Datagrams of one system call.
const BATCH: usize = 50;
/// Payload under way at most. What suits the socket's buffer depends on the machine, so each is
/// tried, and the best one counts.
const WINDOWS: [u64; 3] = [64 * 1024, 120 * 1024, 240 * 1024];

/// Time without an arrival after which what is under way counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(20);

/// The channel is filled up to here, bytes.
const HIGH: usize = 32 * MESSAGE;
/// It is filled again from here on, bytes.
const LOW: usize = 16 * MESSAGE;

/// What both threads of the ceiling see.
struct Shared {
    stop: AtomicBool,
    /// Payload that arrived, or was found lost, bytes.
    arrived: AtomicU64,
    window: u64,
}

fn key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("16 bytes"))
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Copies the next part of the message into a datagram and protects it.
fn seal(key: &LessSafeKey, number: u64, message: &[u8], datagram: &mut [u8]) {
    datagram[..8].copy_from_slice(&number.to_be_bytes());
    let packet = &mut datagram[RECORD_HEAD..DATAGRAM - TAG];
    packet[HEADER..].copy_from_slice(message);
    let tag = key.seal_in_place_separate_tag(nonce(number), Aad::empty(), packet);
    datagram[DATAGRAM - TAG..].copy_from_slice(tag.expect("a short packet").as_ref());
}

fn send(socket: &UdpSocket, to: SocketAddr, shared: &Shared) {
    let state = UdpSocketState::new(UdpSockRef::from(socket)).expect("a socket");
    let (key, message) = (key(), vec![7; MESSAGE]);
    let mut parts = message.chunks_exact(PAYLOAD).cycle();
    let mut buffer = vec![0; BATCH * DATAGRAM];
    let (mut number, mut sent) = (0, 0);
    let mut last = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        if sent - shared.arrived.load(Ordering::Acquire) > shared.window {
            thread::park_timeout(LOST_AFTER);
            // What the socket dropped would hold the window for ever.
            if last.elapsed() > LOST_AFTER {
                shared.arrived.store(sent, Ordering::Release);
            }
            continue;
        }
        for (datagram, part) in buffer.chunks_exact_mut(DATAGRAM).zip(&mut parts) {
            seal(&key, number, part, datagram);
            number += 1;
        }
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents: &buffer,
            segment_size: Some(DATAGRAM),
            src_ip: None,
        };
        if state.try_send(UdpSockRef::from(socket), &transmit).is_ok() {
            sent += (BATCH * PAYLOAD) as u64;
        }
        last = Instant::now();
    }
}

/// Returns the payload received, bytes.
fn receive(socket: &UdpSocket, shared: &Shared, sender: &Thread) -> u64 {
    let state = UdpSocketState::new(UdpSockRef::from(socket)).expect("a socket");
    socket.set_nonblocking(false).expect("a socket");
    socket.set_read_timeout(Some(LOST_AFTER)).expect("a socket");
    let key = key();
    let mut buffer = vec![0; 1 << 16];
    let mut message = vec![0; MESSAGE];
    let (mut total, mut at) = (0, 0);
    while !shared.stop.load(Ordering::Relaxed) {
        let mut meta = [RecvMeta::default()];
        let mut slices = [IoSliceMut::new(&mut buffer)];
        if state.recv(UdpSockRef::from(socket), &mut slices, &mut meta).is_err() {
            continue;
        }
        let [RecvMeta { len, stride, .. }] = meta;
        let mut batch = 0;
        for datagram in buffer[..len].chunks_mut(stride.max(1)) {
            let number = u64::from_be_bytes(*datagram.first_chunk().expect("a datagram of ours"));
            let packet = &mut datagram[RECORD_HEAD..];
            let Ok(packet) = key.open_in_place(nonce(number), Aad::empty(), packet) else {
                continue;
            };
            message[at..at + PAYLOAD].copy_from_slice(&packet[HEADER..]);
            at = if at + 2 * PAYLOAD <= MESSAGE { at + PAYLOAD } else { 0 };
            batch += PAYLOAD as u64;
        }
        std::hint::black_box(&message);
        total += batch;
        shared.arrived.fetch_add(batch, Ordering::Release);
        sender.unpark();
    }
    total
}

/// What was moved without a protocol.
fn ceiling(window: u64, time: Duration) -> Moved {
    let sockets = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").expect("loopback"));
    let [from, to] = &sockets;
    let address = to.local_addr().expect("bound");
    let shared = Shared { stop: AtomicBool::new(false), arrived: AtomicU64::new(0), window };
    Moved::by(|| {
        thread::scope(|scope| {
            let sender = scope.spawn(|| send(from, address, &shared));
            let sender = sender.thread().clone();
            let (to, shared) = (to, &shared);
            let receiver = scope.spawn(move || receive(to, shared, &sender));
            thread::sleep(time);
            shared.stop.store(true, Ordering::Relaxed);
            receiver.join().expect("the receiver")
        })
    })
}

/// What a transfer came to.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    /// Payload a second, Mbit/s.
    rate: f64,
    /// Payload in a second of CPU time of all threads, Mbit/s.
    by_cpu: f64,
}

impl Moved {
    /// Measures `transfer`, which returns the payload moved, in bytes.
    fn by(transfer: impl FnOnce() -> u64) -> Self {
        let (begun, before) = (Instant::now(), cpu_time());
        let megabits = transfer() as f64 * 8e-6;
        let cpu = cpu_time() - before;
        Self { rate: megabits / begun.elapsed().as_secs_f64(), by_cpu: megabits / cpu }
    }
}

/// Seconds of CPU time that this process has used, threads that have ended included.
fn cpu_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // The name, in parentheses, may hold anything. Ticks are of 10 ms (proc(5)).
    let fields = text.rsplit(')').next().expect("fields").split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A connection over loopback with an open channel, and the payload that has arrived, in bytes.
struct Ours {
    _ends: [PeerConnection; 2],
    channel: DataChannel,
    arrived: Arc<AtomicU64>,
}

impl Ours {
    fn connect() -> Self {
        let end = || PeerConnection::builder().bind_address("127.0.0.1").build().expect("a peer");
        let ends = [end(), end()];
        let arrived = Arc::new(AtomicU64::new(0));
        let count = arrived.clone();
        ends[1].on_data_channel(move |channel| {
            let count = count.clone();
            channel.on_message(move |_, message| {
                count.fetch_add(message.data.len() as u64, Ordering::Relaxed);
            });
        });
        for (near, far) in [(0, 1), (1, 0)] {
            let far = ends[far].clone();
            let other = far.clone();
            ends[near].on_local_description(move |sdp, kind| {
                far.set_remote_description(sdp, kind).expect("a description");
            });
            ends[near].on_local_candidate(move |candidate, _| {
                other.add_remote_candidate(candidate).expect("a candidate");
            });
        }
        let channel = ends[0].create_data_channel("bulk").expect("a channel");
        while !channel.is_open() {
            thread::sleep(Duration::from_millis(1));
        }
        Self { _ends: ends, channel, arrived }
    }

    /// Sends for a time, whenever the channel is low.
    fn measure(&self, time: Duration) -> Moved {
        let message = bytes::Bytes::from(vec![7; MESSAGE]);
        let sender = thread::current();
        self.channel.set_buffered_amount_low_threshold(LOW);
        self.channel.on_buffered_amount_low(move |_| sender.unpark());
        Moved::by(|| {
            let (begun, before) = (Instant::now(), self.arrived.load(Ordering::Relaxed));
            while begun.elapsed() < time {
                if self.channel.buffered_amount() > HIGH {
                    thread::park_timeout(LOST_AFTER);
                    continue;
                }
                self.channel.send(message.clone()).expect("an open channel");
            }
            self.arrived.load(Ordering::Relaxed) - before
        })
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let argument = |at| std::env::args().nth(at).and_then(|text| text.parse::<f64>().ok());
    let time = Duration::from_secs_f64(argument(1).unwrap_or(1.0));
    let rounds = argument(2).unwrap_or(5.0) as usize;
    let ours = Ours::connect();
    ours.measure(time);
    let (mut most, mut got) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        let best =
            |a: Moved, b: Moved| Moved { rate: a.rate.max(b.rate), by_cpu: a.by_cpu.max(b.by_cpu) };
        most.push(
            WINDOWS.map(|window| ceiling(window, time)).into_iter().fold(Moved::default(), best),
        );
        got.push(ours.measure(time));
    }
    report("goodput", &most, &got, |moved| moved.rate);
    report("cpu", &most, &got, |moved| moved.by_cpu);
}

/// Prints the medians of a figure, and the share of the ceiling that was reached.
fn report(name: &str, most: &[Moved], got: &[Moved], figure: fn(&Moved) -> f64) {
    let [most, got] = [most, got].map(|moved| median(moved.iter().map(figure).collect()));
    println!("ceiling.{name} {most:.0} Mbit/s higher");
    println!("ceiling.{name}.ours {got:.0} Mbit/s higher");
    println!("ceiling.{name}.share {:.1} % higher", 100.0 * got / most);
}
