//! Real sockets on the loopback interface.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use rtc_core::backend::{
    IceBackend, IceConfig, IceEvent, IceHost, IceParameters, IceRole, IceSink, IceTransport,
    Transmit,
};
use rtc_core::candidate::Candidate;
use rtc_core::runtime::TokioRuntime;
use rtc_core::state::IceState;

use crate::BACKEND;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum Happening {
    Event(IceEvent),
    Batch(Vec<Vec<u8>>),
}

struct ChannelSink(Sender<Happening>);

impl IceSink for ChannelSink {
    fn event(&self, event: IceEvent) {
        let _ = self.0.send(Happening::Event(event));
    }

    fn datagrams(&self, batch: &mut dyn Iterator<Item = &mut [u8]>) {
        let _ = self.0.send(Happening::Batch(batch.map(|datagram| datagram.to_vec()).collect()));
    }
}

struct Peer {
    transport: Arc<dyn IceTransport>,
    happenings: Receiver<Happening>,
}

fn config(role: IceRole, bind_address: &str) -> IceConfig {
    IceConfig {
        role,
        servers: Vec::new(),
        proxy: None,
        bind_address: Some(bind_address.to_owned()),
        port_range: None,
        relay_only: false,
        tcp: false,
        udp_mux: false,
        mtu: 1280,
    }
}

fn runtime() -> Arc<TokioRuntime> {
    let threads = NonZeroUsize::new(2).expect("two is not zero");
    Arc::new(TokioRuntime::new(threads).expect("a runtime starts"))
}

fn peer(runtime: &Arc<TokioRuntime>, config: IceConfig) -> Peer {
    let (sender, happenings) = mpsc::channel();
    let sink = Arc::new(ChannelSink(sender));
    let host = IceHost { sink, runtime: runtime.clone() };
    Peer { transport: BACKEND.open(config, host).expect("it opens"), happenings }
}

impl Peer {
    /// The first event that `wanted` finds something in.
    fn wait<T>(&self, mut wanted: impl FnMut(&IceEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.happenings.recv_timeout(left).expect("it happens in time") {
                Happening::Event(event) => {
                    if let Some(found) = wanted(&event) {
                        return found;
                    }
                }
                Happening::Batch(_) => {}
            }
        }
    }

    fn wait_for(&self, wanted: IceEvent) {
        self.wait(|event| (*event == wanted).then_some(()));
    }

    /// Gathers, and returns the candidates.
    fn gather(&self) -> Vec<Candidate> {
        self.transport.gather().expect("a socket can be bound");
        let mut candidates = Vec::new();
        self.wait(|event| match event {
            IceEvent::Candidate(candidate) => {
                candidates.push(candidate.clone());
                None
            }
            IceEvent::GatheringDone => Some(()),
            _ => None,
        });
        candidates
    }

    fn add_remote(&self, parameters: &IceParameters, candidates: &[Candidate]) {
        self.transport.set_remote_parameters(parameters).expect("good credentials");
        for candidate in candidates {
            self.transport.add_remote_candidate(candidate).expect("a good candidate");
        }
        self.transport.end_of_remote_candidates();
    }

    fn receive(&self, bytes: usize) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        while received.iter().map(Vec::len).sum::<usize>() < bytes {
            match self.happenings.recv_timeout(PATIENCE).expect("data arrives in time") {
                Happening::Batch(batch) => received.extend(batch),
                Happening::Event(_) => {}
            }
        }
        received
    }
}

fn connect(address: &str) -> (Peer, Peer) {
    let runtime = runtime();
    let offerer = peer(&runtime, config(IceRole::Controlling, address));
    let answerer = peer(&runtime, config(IceRole::Controlled, address));
    let offered = offerer.gather();
    answerer.add_remote(&offerer.transport.local_parameters(), &offered);
    let answered = answerer.gather();
    offerer.add_remote(&answerer.transport.local_parameters(), &answered);
    offerer.wait_for(IceEvent::State(IceState::Completed));
    answerer.wait_for(IceEvent::State(IceState::Completed));
    (offerer, answerer)
}

#[test]
fn two_peers_complete_over_loopback_and_exchange_batches() {
    for address in ["127.0.0.1", "::1"] {
        let begun = Instant::now();
        let (offerer, answerer) = connect(address);
        println!("{address}: completed after {:?}", begun.elapsed());
        let (local, remote) = offerer.transport.selected_pair().expect("a pair is selected");
        let (theirs, ours) = answerer.transport.selected_pair().expect("a pair is selected");
        assert_eq!((local.host.as_str(), remote.host.as_str()), (address, address));
        assert_eq!((local.port, remote.port), (ours.port, theirs.port));

        // More than one call takes, with a short last segment.
        let contents: Vec<u8> = (0..1200 * 100 + 77).map(|i| ((i % 251) | 0x80) as u8).collect();
        let batch = Transmit { contents: &contents, segment_size: 1200, dscp: 0 };
        assert_eq!(offerer.transport.send(batch), 101);
        let received = answerer.receive(contents.len());
        assert!(received.iter().rev().skip(1).all(|datagram| datagram.len() == 1200));
        assert_eq!(received.concat(), contents);
    }
}
