//! Connections with each pair of the backends that are compiled in.

mod common;

use std::sync::mpsc;
use std::time::Duration;

use common::{delete, signal};
use librtc::backend::{DtlsBackend, IceBackend};
use librtc::{DTLS_BACKENDS, ICE_BACKENDS, PeerConnection};

fn connection(ice: &'static dyn IceBackend, dtls: &'static dyn DtlsBackend) -> PeerConnection {
    let builder = PeerConnection::builder().bind_address("127.0.0.1");
    builder.ice_backend(ice).dtls_backend(dtls).build().expect("the settings are good")
}

/// A message there and back again.
fn talk(near: &PeerConnection, far: &PeerConnection) {
    signal(near, far);
    let channel = near.create_data_channel("talk").expect("a channel");
    far.on_data_channel(|channel| {
        channel.on_message(|channel, message| channel.send(message).expect("it is open"));
    });
    let (heard, hears) = mpsc::channel();
    channel.on_open(|channel| channel.send("hello").expect("it is open"));
    channel.on_message(move |_, message| heard.send(message).expect("the test waits"));
    let message = hears.recv_timeout(Duration::from_secs(60)).expect("the echo");
    assert_eq!(message, "hello".into());
}

#[test]
fn each_pair_of_backends_is_used_in_all_its_roles() {
    for ice in ICE_BACKENDS {
        for dtls in DTLS_BACKENDS {
            let (near, far) = (connection(*ice, *dtls), connection(*ice, *dtls));
            let used = near.backends();
            assert_eq!((used.ice.name(), used.dtls.name()), (ice.name(), dtls.name()));
            assert_eq!(used.tls.map(|tls| tls.name()), Some(dtls.name()));
            // The others need more of an interface than loopback, which not every machine has.
            if ice.capabilities().bind_address {
                talk(&near, &far);
            }
            delete([near, far]);
        }
    }
}
