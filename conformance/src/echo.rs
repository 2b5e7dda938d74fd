//! The library under test as a WebSocket peer for other programs: `conformance echo …`.
//!
//! ```text
//! serve [--tls] [--port N]               echoes whatever comes; prints the port; ends with stdin
//! exchange URL [--insecure] [--proxy URL] [--protocols NAME,...]
//!                                        sends messages to an echo and checks what comes back
//! ```

use crate::ffi::*;
use crate::inbox::{Event, Inbox, Message};
use crate::lab::library_path;
use crate::peer::c;
use crate::websocket::{Server, connect_with};
use std::io::{Read, Write};
use std::process::ExitCode;

/// Large enough for every message.
const LARGEST: i32 = 64 << 20;

pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let library = library_path().ok_or("RTC_LIB names no library".to_owned());
    let library = match library.and_then(|path| Library::load(&path, false)) {
        Ok(library) => library,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let level = std::env::var("RTC_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    library.init_logger(level.unwrap_or(0), false);
    let config = WsConfig {
        insecure: has("--insecure"),
        proxy: after("--proxy").map(|url| c(&url)),
        protocols: after("--protocols")
            .map(|names| names.split(',').map(|name| Some(c(name))).collect())
            .unwrap_or_default(),
        max_message_size: LARGEST,
        ..WsConfig::default()
    };
    match (arguments.first().map(String::as_str), arguments.get(1)) {
        (Some("serve"), _) => {
            let port = after("--port").and_then(|port| port.parse().ok()).unwrap_or(0);
            serve(library, has("--tls"), port);
        }
        (Some("exchange"), Some(url)) => exchange(library, url, &config),
        _ => {
            eprintln!("conformance echo serve|exchange URL");
            return ExitCode::from(2);
        }
    }
    library.cleanup();
    ExitCode::SUCCESS
}

/// Sends every message back to where it came from.
fn echo(inbox: &Inbox, id: i32, event: &Event) {
    match event {
        Event::Message(Message::Text(text)) => {
            let mut text = text.clone();
            text.push(0);
            inbox.lib.send_raw(id, Some(&text), -1);
        }
        Event::Message(message) => {
            inbox.lib.send_binary(id, message.bytes());
        }
        _ => {}
    }
}

fn serve(lib: Lib, tls: bool, port: u16) {
    let config =
        WsServerConfig { port, tls, max_message_size: LARGEST, ..WsServerConfig::loopback() };
    let server = Server::with(lib, &config);
    server.inbox.adopt(&[Slot::Message]);
    server.inbox.hook(|inbox, recorded| echo(inbox, recorded.owner, &recorded.event));
    let mut output = std::io::stdout();
    let _ = writeln!(output, "{}", server.port).and_then(|()| output.flush());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    server.delete();
}

/// What is sent to be echoed: all kinds, all lengths of a length, and more than a record of TLS.
fn samples() -> Vec<Message> {
    let bytes = |size: usize| (0..size).map(|i| (i + i / 256) as u8).collect::<Vec<u8>>();
    let mut samples = vec![Message::text("text \u{e4}\u{20ac}\u{1f600}"), Message::text("")];
    for size in [0, 1, 125, 126, 65535, 65536, 1_000_000] {
        samples.push(Message::Binary(bytes(size)));
    }
    samples.extend((0..100).map(|n| Message::text(&format!("message {n}"))));
    samples
}

fn exchange(lib: Lib, url: &str, config: &WsConfig) {
    let client = connect_with(lib, url, config);
    client.wait_open();
    let samples = samples();
    for sample in &samples {
        match sample {
            Message::Text(text) => {
                let text = std::ffi::CString::new(text.as_slice()).expect("no NUL inside");
                client.send_text(&text);
            }
            sample => client.send_binary(sample.bytes()),
        }
    }
    let echoed = client.wait_messages(samples.len());
    assert!(echoed == samples, "something else came back: {echoed:?}");
    client.by_id(ById::CLOSE);
    client.wait_closed();
    let errors = client.inbox.all();
    assert!(!errors.iter().any(|r| matches!(r.event, Event::Error(_))), "an error was reported");
    println!("{} messages came back", samples.len());
}
