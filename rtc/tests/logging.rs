//! A logger that asks the connections it hears of, and what stands in the log.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, mpsc};
use std::time::Duration;

use common::{delete, signal};
use librtc::PeerConnection;
use librtc::sdp::Media;

struct Curious {
    connections: Mutex<Vec<PeerConnection>>,
    heard: AtomicBool,
    /// Debug lines.
    lines: Mutex<Vec<String>>,
}

static LOGGER: Curious = Curious {
    connections: Mutex::new(Vec::new()),
    heard: AtomicBool::new(false),
    lines: Mutex::new(Vec::new()),
};

/// Has the logger log, in whichever test comes first.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&LOGGER).expect("the only logger");
        log::set_max_level(log::LevelFilter::Trace);
    });
}

impl log::Log for Curious {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if !record.target().starts_with("rtc_core") {
            return;
        }
        if record.level() == log::Level::Debug {
            self.lines.lock().expect("no panic").push(record.args().to_string());
        }
        let connections = self.connections.lock().expect("no panic").clone();
        for connection in connections {
            let _ = (connection.connection_state(), connection.local_description());
            self.heard.store(true, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_may_ask_the_connection_that_a_line_is_about() {
    let connection = || {
        let builder = PeerConnection::builder().bind_address("127.0.0.1");
        builder.build().expect("the settings are good")
    };
    let (near, far) = (connection(), connection());
    *LOGGER.connections.lock().expect("no panic") = vec![near.clone(), far.clone()];
    listen();
    signal(&near, &far);
    let (opened, is_open) = mpsc::channel();
    let channel = near.create_data_channel("logged").expect("a channel");
    channel.on_open(move |_| opened.send(()).expect("the test waits"));
    is_open.recv_timeout(Duration::from_secs(30)).expect("the channel opens");
    assert!(LOGGER.heard.load(Ordering::Relaxed), "something was logged");
    delete([near, far]);
}

#[test]
fn what_was_dropped_is_told_and_stands_in_the_log() {
    listen();
    let builder = PeerConnection::builder().disable_auto_negotiation(true);
    let connection = builder.build().expect("the settings are good");
    let text = "video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n";
    let media = Media::parse(text).expect("a good description");
    let track = connection.add_track(media).expect("a track");
    for _ in 0..3 {
        track.send(vec![0x80; 100]).expect("what the direction forbids is no error");
    }
    let dropped = || {
        let metrics = connection.transport_metrics();
        (metrics.dropped_datagrams, metrics.dropped_media)
    };
    assert_eq!(dropped(), (0, 3));
    connection.close();
    assert_eq!(dropped(), (0, 3), "a closed connection still tells");
    let lines = LOGGER.lines.lock().expect("no panic").clone();
    let told = "closed; dropped: 0 datagrams, 3 media packets";
    assert!(lines.iter().any(|line| line == told), "{lines:?}");
}
