//! WebSockets over TLS: certificates and their verification.

use super::Case;
use crate::ffi::*;
use crate::inbox::Event;
use crate::lab::Lab;
use crate::outcome::Rows;
use crate::peer::{Channel, c};
use crate::websocket::{Raw, Server, connect, connect_with};
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;

const ROOT: &str = include_str!("pem/root.pem");
const CERTIFICATE: &str = include_str!("pem/certificate.pem");
const KEY: &str = include_str!("pem/key.pem");
const KEY_ENCRYPTED: &str = include_str!("pem/key-encrypted.pem");
const KEY_TRADITIONAL: &str = include_str!("pem/key-traditional.pem");
const PASSPHRASE: &str = "secret";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("messages go both ways over TLS", over_tls),
        Case::new("a certificate nobody vouches for is refused", verification),
        Case::new("a certificate is verified against the system's roots and the name", roots),
        Case::new("a server takes its certificate from text or files", certificates),
        Case::new("a passphrase opens a key in text, too", text_passphrase)
            .fixes("passphrases for keys in text"),
        Case::new("half a certificate and bad ones are refused", bad_certificates),
        Case::new("what is not TLS fails a server's client", not_tls),
        Case::new("damage to an open connection over TLS is one error and one closed", damaged)
            .fixes("strict frames")
            .limit(20),
    ]
}

const INSECURE: WsConfig = WsConfig {
    insecure: true,
    proxy: None,
    protocols: Vec::new(),
    null_protocols: None,
    timeout_ms: 0,
    ping_ms: 0,
    max_pings: 0,
    max_message_size: 0,
};

fn with_key(certificate: &str, key: &str, passphrase: Option<&str>) -> WsServerConfig {
    WsServerConfig {
        tls: true,
        certificate: Some(c(certificate)),
        key: Some(c(key)),
        passphrase: passphrase.map(c),
        ..WsServerConfig::loopback()
    }
}

fn url(server: &Server, host: &str) -> String {
    format!("wss://{host}:{}/", server.port)
}

fn exchange(near: &Channel, far: &Channel) {
    near.wait_open();
    far.wait_open();
    near.send_text(c"there");
    near.send_binary(&[5; 200_000]);
    assert_eq!(far.wait_messages(2)[1].bytes(), [5; 200_000]);
    far.send_binary(&[6; 200_000]);
    assert_eq!(near.wait_messages(1)[0].bytes(), [6; 200_000]);
}

fn over_tls(lab: &Lab) {
    let server = Server::with(lab.lib, &WsServerConfig { tls: true, ..WsServerConfig::loopback() });
    let near = connect_with(lab.lib, &url(&server, "127.0.0.1"), &INSECURE);
    let far = server.client(0);
    exchange(&near, &far);
    near.by_id(ById::CLOSE);
    near.wait_closed();
    far.wait_closed();
    for end in [&near, &far] {
        assert_eq!(end.count(&Event::Closed), 1);
    }
}

fn verification(lab: &Lab) {
    let server = Server::with(lab.lib, &WsServerConfig { tls: true, ..WsServerConfig::loopback() });
    let near = connect(lab.lib, &url(&server, "localhost"));
    near.wait_closed();
    near.inbox.settle();
    let events: Vec<Event> = near.inbox.all().iter().map(|r| r.event.clone()).collect();
    assert_eq!(events, [Event::Error("TLS connection failed".into()), Event::Closed]);
    let far = server.client(0);
    far.wait_closed();
    assert_eq!(far.count(&Event::Open), 0);
}

/// Has OpenSSL and rustls take this certificate for a root of the system.
fn trust(certificate: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("conformance-root-{}.pem", std::process::id()));
    std::fs::write(&path, certificate).expect("a file");
    crate::sys::set_environment("SSL_CERT_FILE", path.to_str().expect("UTF-8"));
    path
}

fn roots(lab: &Lab) {
    let path = trust(ROOT);
    let server = Server::with(lab.lib, &with_key(CERTIFICATE, KEY, None));
    let near = connect(lab.lib, &url(&server, "localhost"));
    exchange(&near, &server.client(0));
    // The address is in the certificate, the one of the same machine under another number is not.
    let near = connect(lab.lib, &url(&server, "127.0.0.1"));
    exchange(&near, &server.client(1));
    let everywhere = WsServerConfig { bind: None, ..with_key(CERTIFICATE, KEY, None) };
    let server = Server::with(lab.lib, &everywhere);
    let near = connect(lab.lib, &url(&server, "127.0.0.2"));
    near.inbox.wait_event(near.id, &Event::Error("TLS connection failed".into()));
    near.wait_closed();
    let _ = std::fs::remove_file(path);
}

fn certificates(lab: &Lab) {
    let folder = std::env::temp_dir().join(format!("conformance-pem-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let certificate = file("certificate.pem", CERTIFICATE);
    for (key, passphrase) in [
        (file("key.pem", KEY), None),
        (file("key-encrypted.pem", KEY_ENCRYPTED), Some(PASSPHRASE)),
        (file("key-traditional.pem", KEY_TRADITIONAL), Some(PASSPHRASE)),
    ] {
        let server = Server::with(lab.lib, &with_key(&certificate, &key, passphrase));
        let near = connect_with(lab.lib, &url(&server, "127.0.0.1"), &INSECURE);
        exchange(&near, &server.client(0));
    }
    let _ = std::fs::remove_dir_all(&folder);
    let server = Server::with(lab.lib, &with_key(CERTIFICATE, KEY, None));
    let near = connect_with(lab.lib, &url(&server, "127.0.0.1"), &INSECURE);
    exchange(&near, &server.client(0));
}

fn text_passphrase(lab: &Lab) {
    for key in [KEY_ENCRYPTED, KEY_TRADITIONAL] {
        let server = Server::with(lab.lib, &with_key(CERTIFICATE, key, Some(PASSPHRASE)));
        let near = connect_with(lab.lib, &url(&server, "127.0.0.1"), &INSECURE);
        exchange(&near, &server.client(0));
    }
}

fn bad_certificates(lab: &Lab) {
    let mut rows = Rows::new();
    let mut refuse = |name: &str, config: WsServerConfig| {
        let codes = [INVALID, FAILURE];
        rows.codes(name, lab.lib.create_ws_server(&config, true), &codes);
    };
    let good = with_key(CERTIFICATE, KEY, None);
    refuse("no key", WsServerConfig { key: None, ..good.clone() });
    refuse("no certificate", WsServerConfig { certificate: None, ..good });
    refuse("missing files", with_key("/no/such/file.pem", "/no/such/key.pem", None));
    refuse("a bad certificate", with_key(&CERTIFICATE.replace("MII", "AAA"), KEY, None));
    refuse("a bad key", with_key(CERTIFICATE, "nonsense", None));
    drop(rows);
    // Without TLS nobody looks at them.
    let config = WsServerConfig { tls: false, ..with_key("/no/such/file.pem", "x", None) };
    Server::with(lab.lib, &config);
}

fn not_tls(lab: &Lab) {
    let server = Server::with(lab.lib, &WsServerConfig { tls: true, ..WsServerConfig::loopback() });
    let mut raw = Raw::dial(server.port);
    raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let far = server.client(0);
    far.inbox.wait_event(far.id, &Event::Error("TLS connection failed".into()));
    far.wait_closed();
    assert_eq!(far.count(&Event::Closed), 1);
}

/// Passes bytes between a client and a server, until the test has other plans.
struct Relay {
    listener: TcpListener,
    port: u16,
}

impl Relay {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        Self { listener, port }
    }

    /// Begins to pass bytes; returns the connection to the server.
    fn start(&self, server: &Server) -> TcpStream {
        let (client, _) = self.listener.accept().expect("a client");
        let onward = TcpStream::connect(("127.0.0.1", server.port)).expect("a server");
        for (from, to) in [(&client, &onward), (&onward, &client)] {
            let twin = |stream: &TcpStream| stream.try_clone().expect("another handle");
            let (mut from, mut to) = (twin(from), twin(to));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        onward
    }
}

fn damaged(lab: &Lab) {
    let mut rows = Rows::new();
    let server = Server::with(lab.lib, &WsServerConfig { tls: true, ..WsServerConfig::loopback() });
    // A record of application data that no key fits, and an end without close_notify.
    let forged = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
    for (n, (name, forged)) in
        [("a forged record", Some(forged)), ("the end", None)].into_iter().enumerate()
    {
        let relay = Relay::new();
        let near = connect_with(lab.lib, &format!("wss://127.0.0.1:{}/", relay.port), &INSECURE);
        let mut onward = relay.start(&server);
        let far = server.client(n);
        exchange(&near, &far);
        match forged {
            Some(record) => onward.write_all(&record).expect("sent"),
            None => onward.shutdown(Shutdown::Write).expect("the end"),
        }
        far.wait_closed();
        near.wait_closed();
        far.inbox.settle();
        let error = Event::Error("TCP connection failed".into());
        rows.equal(format!("{name}: errors"), far.count(&error), 1);
        rows.equal(format!("{name}: closed"), far.count(&Event::Closed), 1);
        rows.equal(format!("{name}: closed there"), near.count(&Event::Closed), 1);
        rows.equal(format!("{name}: messages"), far.messages().len(), 2);
    }
}
