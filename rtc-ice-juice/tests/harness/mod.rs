//! Two transports of a backend in one process; also used by the tests of other backends.
#![allow(dead_code, reason = "not every test file needs all of it")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use rtc_core::backend::{
    IceBackend, IceConfig, IceEvent, IceHost, IceParameters, IceRole, IceSink, IceTransport,
    Transmit,
};
use rtc_core::candidate::Candidate;
use rtc_core::runtime::{Runtime, TokioRuntime};
use rtc_core::state::IceState;

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What a transport told.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    Event(IceEvent),
    Datagram(Vec<u8>),
}

struct Sink(Sender<Told>);

impl IceSink for Sink {
    fn event(&self, event: IceEvent) {
        let _ = self.0.send(Told::Event(event));
    }

    fn datagrams(&self, batch: &mut dyn Iterator<Item = &mut [u8]>) {
        batch.for_each(|datagram| drop(self.0.send(Told::Datagram(datagram.to_vec()))));
    }
}

/// One side.
pub(crate) struct Side {
    pub(crate) transport: Arc<dyn IceTransport>,
    told: Receiver<Told>,
}

pub(crate) fn runtime() -> Arc<dyn Runtime> {
    Arc::new(TokioRuntime::new(NonZeroUsize::new(2).expect("two")).expect("a runtime"))
}

pub(crate) fn config(role: IceRole) -> IceConfig {
    IceConfig {
        role,
        servers: Vec::new(),
        proxy: None,
        bind_address: Some("127.0.0.1".into()),
        port_range: None,
        relay_only: false,
        tcp: false,
        udp_mux: false,
        mtu: 1280,
    }
}

impl Side {
    pub(crate) fn open(
        backend: &dyn IceBackend,
        config: IceConfig,
        runtime: &Arc<dyn Runtime>,
    ) -> Self {
        let (tell, told) = mpsc::channel();
        let host = IceHost { sink: Arc::new(Sink(tell)), runtime: runtime.clone(), tls: None };
        let transport = backend.open(config, host).expect("a transport");
        Self { transport, told }
    }

    fn next(&self, what: &str) -> Told {
        self.told.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{what} within {LIMIT:?}"))
    }

    /// The candidates up to the end of gathering.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        loop {
            match self.next("the end of gathering") {
                Told::Event(IceEvent::Candidate(candidate)) => candidates.push(candidate),
                Told::Event(IceEvent::GatheringDone) => return candidates,
                _ => {}
            }
        }
    }

    pub(crate) fn wait_state(&self, state: IceState) {
        while self.next(&format!("{state:?}")) != Told::Event(IceEvent::State(state)) {}
    }

    /// Waits for datagrams, which all have to come, in any order.
    pub(crate) fn wait_datagrams(&self, mut wanted: Vec<Vec<u8>>) {
        while !wanted.is_empty() {
            if let Told::Datagram(datagram) = self.next("datagrams") {
                let place = wanted.iter().position(|w| *w == datagram).expect("as it was sent");
                wanted.remove(place);
            }
        }
    }

    /// Nothing is told any more, for the sink is gone or is left alone.
    pub(crate) fn assert_silent(&self) {
        while self.told.try_recv().is_ok() {}
        let told = self.told.recv_timeout(Duration::from_millis(200));
        assert!(
            matches!(told, Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)),
            "{told:?} after closing"
        );
    }

    pub(crate) fn send(&self, contents: &[u8], segment_size: usize) {
        let batch = Transmit { contents, segment_size, dscp: 10 };
        let count = contents.len().div_ceil(segment_size);
        assert_eq!(self.transport.send(batch), count, "nothing else fills the socket");
    }
}

/// Tells each side of the other, and waits until both are connected.
pub(crate) fn connect(offerer: &Side, answerer: &Side) {
    introduce(offerer, answerer.transport.local_parameters());
    introduce(answerer, offerer.transport.local_parameters());
    offerer.transport.gather().expect("sockets");
    answerer.transport.gather().expect("sockets");
    exchange_candidates(offerer, answerer);
}

pub(crate) fn introduce(side: &Side, peer: IceParameters) {
    side.transport.set_remote_parameters(&peer).expect("good parameters");
}

/// Tells each side of the other's candidates, and waits until both are connected.
pub(crate) fn exchange_candidates(offerer: &Side, answerer: &Side) {
    for (from, to) in [(offerer, answerer), (answerer, offerer)] {
        let candidates = from.candidates();
        assert!(!candidates.is_empty(), "a candidate");
        for candidate in candidates {
            to.transport.add_remote_candidate(&candidate).expect("a good candidate");
        }
        to.transport.end_of_remote_candidates();
    }
    offerer.wait_state(IceState::Completed);
    answerer.wait_state(IceState::Completed);
}

/// Two connected sides.
pub(crate) fn pair(
    backend: &dyn IceBackend,
    runtime: &Arc<dyn Runtime>,
    change: fn(&mut IceConfig),
) -> [Side; 2] {
    let sides = [IceRole::Controlling, IceRole::Controlled].map(|role| {
        let mut config = config(role);
        change(&mut config);
        Side::open(backend, config, runtime)
    });
    connect(&sides[0], &sides[1]);
    sides
}

/// Sends batches both ways.
pub(crate) fn exchange(one: &Side, other: &Side) {
    for (from, to) in [(one, other), (other, one)] {
        // First bytes as DTLS has them: a backend may drop what no protocol uses (RFC 7983).
        let contents: Vec<u8> = (0..10_050u32).map(|n| 20 + (n % 40) as u8).collect();
        from.send(&contents, 1000);
        to.wait_datagrams(contents.chunks(1000).map(<[u8]>::to_vec).collect());
    }
}
