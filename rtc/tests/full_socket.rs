//! A socket that is full now and then, and has room again before anybody could say so.

mod common;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{delete, signal};
use librtc::PeerConnection;
use rtc_core::Result;
use rtc_core::backend::{
    IceBackend, IceCapabilities, IceConfig, IceEvent, IceHost, IceParameters, IceSink,
    IceTransport, Transmit,
};
use rtc_core::candidate::Candidate;

const MESSAGES: usize = 200;
const SIZE: usize = 20_000;

/// The default backend, with a socket that is full at every third send.
#[derive(Debug)]
struct Crowded;

struct Socket {
    inner: Arc<dyn IceTransport>,
    sink: Arc<dyn IceSink>,
    sends: AtomicU32,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl IceBackend for Crowded {
    fn name(&self) -> &'static str {
        "crowded"
    }

    fn capabilities(&self) -> IceCapabilities {
        librtc::ICE_BACKENDS[0].capabilities()
    }

    fn open(&self, config: IceConfig, host: IceHost) -> Result<Arc<dyn IceTransport>> {
        let sink = host.sink.clone();
        let inner = librtc::ICE_BACKENDS[0].open(config, host)?;
        Ok(Arc::new(Socket { inner, sink, sends: AtomicU32::new(0) }))
    }
}

impl IceTransport for Socket {
    fn local_parameters(&self) -> IceParameters {
        self.inner.local_parameters()
    }

    fn set_remote_parameters(&self, remote: &IceParameters) -> Result<()> {
        self.inner.set_remote_parameters(remote)
    }

    fn add_remote_candidate(&self, candidate: &Candidate) -> Result<()> {
        self.inner.add_remote_candidate(candidate)
    }

    fn end_of_remote_candidates(&self) {
        self.inner.end_of_remote_candidates();
    }

    fn gather(&self) -> Result<()> {
        self.inner.gather()
    }

    fn send(&self, batch: Transmit<'_>) -> usize {
        if self.sends.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            // The event comes from another thread, before this one has returned.
            let sink = self.sink.clone();
            thread::spawn(move || sink.event(IceEvent::Writable)).join().expect("no panic");
            return 0;
        }
        self.inner.send(batch)
    }

    fn selected_pair(&self) -> Option<(Candidate, Candidate)> {
        self.inner.selected_pair()
    }

    fn restart(&self) -> Result<IceParameters> {
        self.inner.restart()
    }

    fn close(&self) {
        self.inner.close();
    }
}

fn connection() -> PeerConnection {
    let builder = PeerConnection::builder().ice_backend(&Crowded).bind_address("127.0.0.1");
    builder.build().expect("the settings are good")
}

#[test]
fn a_socket_that_has_room_again_at_once_stops_nothing() {
    let (near, far) = (connection(), connection());
    signal(&near, &far);
    let received = Arc::new(AtomicUsize::new(0));
    let (done, all_received) = mpsc::channel();
    far.on_data_channel(move |channel| {
        let (received, done) = (received.clone(), done.clone());
        channel.on_message(move |_, _| {
            if received.fetch_add(1, Ordering::Relaxed) + 1 == MESSAGES {
                done.send(()).expect("the test waits");
            }
        });
    });
    let channel = near.create_data_channel("crowded").expect("a channel");
    channel.on_open(|channel| {
        for _ in 0..MESSAGES {
            channel.send(vec![7; SIZE]).expect("the channel is open");
        }
    });
    all_received.recv_timeout(Duration::from_secs(30)).expect("every message arrives");
    delete([near, far]);
}
