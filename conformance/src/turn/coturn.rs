//! A coturn of our own: in the private network, with a certificate that only our agents trust.

use crate::sys;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const USER: &str = "user";
const PASSWORD: &str = "p@ss:word";
/// The password as it stands in a URL.
pub(crate) const PASSWORD_IN_URL: &str = "p%40ss:word";

/// How long it may take to start.
const START: Duration = Duration::from_secs(10);

/// Demands that it be installed.
pub(crate) fn need() -> Result<(), String> {
    let found = Command::new("turnserver").arg("--version").output();
    found.map(drop).map_err(|_| "no coturn is installed".to_owned())
}

/// Where a server is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Tells it from others at the same addresses by its ports: it listens at 3478 and 5349, and
    /// relays from 41000 to 41099, or at as many hundreds above.
    pub(crate) number: u16,
    /// Where it listens.
    pub(crate) addresses: &'a [&'a str],
    /// What it relays from.
    pub(crate) relays: &'a [&'a str],
    pub(crate) namespace: Option<&'a str>,
}

impl Place<'_> {
    fn port(&self) -> u16 {
        3478 + 100 * self.number
    }

    fn tls_port(&self) -> u16 {
        5349 + 100 * self.number
    }

    fn relay_ports(&self) -> [u16; 2] {
        [0, 99].map(|last| 41_000 + 100 * self.number + last)
    }
}

/// A running server, until dropped.
pub(crate) struct Coturn {
    child: Child,
    directory: PathBuf,
}

impl Coturn {
    /// Starts it, and waits until it listens at all of its addresses. A nonce holds for one second,
    /// so that every client sees it change.
    pub(crate) fn start(directory: &Path, place: Place<'_>) -> Result<Self, String> {
        fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        make_certificates(directory, place.addresses)?;
        let mut command = sys::command_in(place.namespace, "turnserver");
        let file = |name: &str| directory.join(name).display().to_string();
        command.args(["-n", "--no-cli", "--lt-cred-mech", "--realm", "example.org"]);
        command.args(["--log-file", "stdout", "--verbose", "--stale-nonce=1"]);
        let [first, last] = place.relay_ports();
        for (option, port) in [
            ("--listening-port", place.port()),
            ("--tls-listening-port", place.tls_port()),
            ("--min-port", first),
            ("--max-port", last),
        ] {
            command.arg(option).arg(port.to_string());
        }
        command.arg("--user").arg(format!("{USER}:{PASSWORD}"));
        for (option, name) in [
            ("--cert", "server.pem"),
            ("--pkey", "server.key"),
            ("--userdb", "turndb"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(file(name));
        }
        for (option, addresses) in
            [("--listening-ip", place.addresses), ("--relay-ip", place.relays)]
        {
            for address in addresses {
                command.args([option, address]);
            }
        }
        let log = fs::File::create(directory.join("coturn.log")).map_err(|e| e.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("turnserver: {error}"))?;
        let mut server = Self { child, directory: directory.to_owned() };
        server.wait(place)?;
        Ok(server)
    }

    /// Waits until it accepts connections. Nothing tells of that, and this process may not be where
    /// it could try: the sockets that listen are asked for time and again.
    fn wait(&mut self, place: Place<'_>) -> Result<(), String> {
        let deadline = Instant::now() + START;
        let port = place.tls_port();
        let wanted: Vec<_> = place
            .addresses
            .iter()
            .map(|address| match address.contains(':') {
                true => format!("[{address}]:{port}"),
                false => format!("{address}:{port}"),
            })
            .collect();
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("turnserver ended, {status}\n{}", self.log()));
            }
            let listening = sys::run(sys::command_in(place.namespace, "ss").arg("-ltn"))?;
            if wanted.iter().all(|address| listening.split_whitespace().any(|w| w == address)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("turnserver does not listen\n{}", self.log()))
    }

    /// The authority that our agents are to trust, and nobody else.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.join("authority.pem")
    }

    /// How many requests it has refused for the age of their nonce (438, RFC 8489 §14.8).
    pub(super) fn stale_nonces(&self) -> usize {
        let text = fs::read_to_string(self.directory.join("coturn.log")).unwrap_or_default();
        text.matches("error 438").count()
    }

    /// The end of what it wrote.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.directory.join("coturn.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        sys::kill_group(self.child.id());
        let _ = self.child.wait();
    }
}

/// An authority, and a certificate of its for the addresses.
fn make_certificates(directory: &Path, addresses: &[&str]) -> Result<(), String> {
    let names: Vec<_> = addresses.iter().map(|address| format!("IP:{address}")).collect();
    let extensions = format!("subjectAltName={}\nbasicConstraints=CA:FALSE\n", names.join(","));
    let write = |name: &str, text: &str| {
        fs::write(directory.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    write("extensions", &extensions)?;
    for line in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
         -addext basicConstraints=critical,CA:TRUE -keyout authority.key -out authority.pem",
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=coturn \
         -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
         -extfile extensions -out server.pem",
    ] {
        sys::run(Command::new("openssl").args(line.split_whitespace()).current_dir(directory))?;
    }
    Ok(())
}
