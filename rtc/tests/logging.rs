//! A logger that asks the connections it hears of.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use librtc::PeerConnection;

struct Curious {
    connections: Mutex<Vec<PeerConnection>>,
    heard: AtomicBool,
}

static LOGGER: Curious =
    Curious { connections: Mutex::new(Vec::new()), heard: AtomicBool::new(false) };

impl log::Log for Curious {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if !record.target().starts_with("rtc_core") {
            return;
        }
        let connections = self.connections.lock().expect("no panic").clone();
        for connection in connections {
            let _ = (connection.connection_state(), connection.local_description());
            self.heard.store(true, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

fn signal(from: &PeerConnection, to: &PeerConnection) {
    let other = to.clone();
    from.on_local_description(move |sdp, kind| {
        other.set_remote_description(sdp, kind).expect("a good description");
    });
    let other = to.clone();
    from.on_local_candidate(move |candidate, _| {
        other.add_remote_candidate(candidate).expect("a good candidate");
    });
}

#[test]
fn a_logger_may_ask_the_connection_that_a_line_is_about() {
    let connection = || {
        let builder = PeerConnection::builder().bind_address("127.0.0.1");
        builder.build().expect("the settings are good")
    };
    let (near, far) = (connection(), connection());
    *LOGGER.connections.lock().expect("no panic") = vec![near.clone(), far.clone()];
    log::set_logger(&LOGGER).expect("the only logger");
    log::set_max_level(log::LevelFilter::Trace);
    signal(&near, &far);
    signal(&far, &near);
    let (opened, is_open) = mpsc::channel();
    let channel = near.create_data_channel("logged").expect("a channel");
    channel.on_open(move |_| opened.send(()).expect("the test waits"));
    is_open.recv_timeout(Duration::from_secs(30)).expect("the channel opens");
    assert!(LOGGER.heard.load(Ordering::Relaxed), "something was logged");
    for connection in [near, far] {
        connection.clear_on_local_description();
        connection.clear_on_local_candidate();
        connection.delete();
    }
}
