//! Two peers in one process: they connect, greet each other and measure their throughput.
//! `cargo run --release -p librtc --example offer_answer`

use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed, mpsc};
use std::time::{Duration, Instant};

use librtc::{PeerConnection, Result};

/// What one peer has to say goes straight to the other; usually a server carries it.
fn signal(name: &'static str, from: &PeerConnection, to: &PeerConnection) {
    let (describe, add) = (to.clone(), to.clone());
    from.on_connection_state(move |state| println!("{name:<6} is {state:?}"));
    from.on_local_description(move |sdp, kind| describe.set_remote_description(sdp, kind).unwrap());
    from.on_local_candidate(move |candidate, _| add.add_remote_candidate(candidate).unwrap());
}

fn main() -> Result<()> {
    let peer = || PeerConnection::builder().bind_address("127.0.0.1").build();
    let (alice, bob) = (peer()?, peer()?);
    signal("alice", &alice, &bob);
    signal("bob", &bob, &alice);

    let received = Arc::new(AtomicU64::new(0));
    let count = received.clone();
    bob.on_data_channel(move |channel| {
        channel.on_open(|channel| channel.send("hello from bob").unwrap());
        let count = count.clone();
        channel.on_message(move |_, message| {
            count.fetch_add(message.data.len() as u64, Relaxed);
        });
    });

    let (greeted, greeting) = mpsc::channel();
    let chat = alice.create_data_channel("chat")?;
    chat.on_message(move |_, message| greeted.send(message.as_text().map(str::to_owned)).unwrap());
    println!("alice  got {:?}", greeting.recv_timeout(Duration::from_secs(10)));

    let (wake, low) = mpsc::channel();
    chat.on_buffered_amount_low(move |_| wake.send(()).unwrap());
    let (start, message) = (Instant::now(), vec![0; 64 * 1024]);
    while start.elapsed() < Duration::from_secs(2) {
        chat.send(&message[..])?;
        if chat.buffered_amount() > 1 << 20 {
            low.recv_timeout(Duration::from_secs(10)).expect("the transport takes more");
        }
    }
    println!("{} Mbit/s", received.load(Relaxed) * 8 / 1_000_000 / 2);
    Ok(())
}
