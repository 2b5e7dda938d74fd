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

/// A running server, until dropped.
pub(crate) struct Coturn {
    child: Child,
    directory: PathBuf,
}

impl Coturn {
    /// Starts it at these addresses, on the ports 3478 and 5349, and waits until it listens at all
    /// of them; relayed addresses are at `relay`. A nonce holds for one second, so that every
    /// client sees it change.
    pub(crate) fn start(
        directory: &Path,
        addresses: &[&str],
        relay: &str,
        namespace: Option<&str>,
    ) -> Result<Self, String> {
        fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        make_certificates(directory, addresses)?;
        let mut command = sys::command_in(namespace, "turnserver");
        let file = |name: &str| directory.join(name).display().to_string();
        command.args(["-n", "--no-cli", "--lt-cred-mech", "--realm", "example.org"]);
        command.args(["--log-file", "stdout", "--verbose", "--stale-nonce=1"]);
        command.args(["--min-port", "41000", "--max-port", "41999", "--relay-ip", relay]);
        command.arg("--user").arg(format!("{USER}:{PASSWORD}"));
        for (option, name) in [
            ("--cert", "server.pem"),
            ("--pkey", "server.key"),
            ("--userdb", "turndb"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(file(name));
        }
        for address in addresses {
            command.args(["--listening-ip", address]);
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
        server.wait(addresses, namespace)?;
        Ok(server)
    }

    /// Waits until it accepts connections. Nothing tells of that, and this process may not be where
    /// it could try: the sockets that listen are asked for time and again.
    fn wait(&mut self, addresses: &[&str], namespace: Option<&str>) -> Result<(), String> {
        let deadline = Instant::now() + START;
        let wanted: Vec<_> = addresses
            .iter()
            .map(|address| match address.contains(':') {
                true => format!("[{address}]:5349"),
                false => format!("{address}:5349"),
            })
            .collect();
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("turnserver ended, {status}\n{}", self.log()));
            }
            let listening = sys::run(sys::command_in(namespace, "ss").arg("-ltn"))?;
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
