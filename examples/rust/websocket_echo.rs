//! Echoes WebSocket messages: as a server, or as the client of a server that tests clients.
//!
//! ```sh
//! cargo run --example websocket_echo -- serve          # prints the port; ends with its input
//! cargo run --example websocket_echo -- serve tls
//! cargo run --example websocket_echo -- autobahn ws://127.0.0.1:9001
//! ```
//!
//! A server with `wss://` may have any certificate.

use std::io::Read;
use std::sync::mpsc;

use librtc::{Message, Result, WebSocket, WebSocketServer};

/// The largest message that is echoed.
const LARGEST: usize = 64 << 20;

/// The name under which the server reports about us.
const AGENT: &str = "librtc";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve(false)?,
        ["serve", "tls"] => serve(true)?,
        ["autobahn", url] => autobahn(url)?,
        _ => eprintln!("websocket_echo serve [tls] | autobahn URL"),
    }
    librtc::cleanup();
    Ok(())
}

fn serve(tls: bool) -> Result<()> {
    let builder = WebSocketServer::builder().bind_address("127.0.0.1").max_message_size(LARGEST);
    let builder = if tls { builder.tls_generated()? } else { builder };
    let server = builder.listen(|socket| {
        socket.on_message(echo);
        // The handle lives as long as the connection: the callback that takes it drops it.
        let handle = std::sync::Mutex::new(Some(socket.clone()));
        socket.on_closed(move |_| drop(handle.lock().map(|mut handle| handle.take())));
    })?;
    println!("{}", server.port());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

fn echo(socket: &WebSocket, message: Message) {
    if let Err(error) = socket.send(message) {
        eprintln!("{error}");
    }
}

/// Goes through the cases of a fuzzing server, whose protocol is Autobahn's.
fn autobahn(url: &str) -> Result<()> {
    let count = run(&format!("{url}/getCaseCount"), |_, _| {})?;
    let count: usize = count
        .as_ref()
        .and_then(Message::as_text)
        .map_or(0, |text| text.trim().parse().unwrap_or(0));
    for case in 1..=count {
        run(&format!("{url}/runCase?case={case}&agent={AGENT}"), echo)?;
    }
    run(&format!("{url}/updateReports?agent={AGENT}"), |_, _| {})?;
    println!("{count} cases");
    Ok(())
}

/// Connects, and waits for the end; returns the first message.
fn run(
    url: &str,
    handler: impl Fn(&WebSocket, Message) + Send + Sync + 'static,
) -> Result<Option<Message>> {
    let (closed, end) = mpsc::channel();
    let (first, message) = mpsc::channel();
    let builder = WebSocket::builder().max_message_size(LARGEST);
    let socket = builder.disable_tls_verification().connect(url)?;
    socket.on_message(move |socket, message| {
        let _ = first.send(message.clone());
        handler(socket, message);
    });
    socket.on_closed(move |_| {
        let _ = closed.send(());
    });
    let _ = end.recv();
    Ok(message.try_recv().ok())
}
