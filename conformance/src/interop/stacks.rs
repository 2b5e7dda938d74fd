//! The independent stacks, how they are started and what sets them apart.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How an agent is run.
enum Program {
    /// A Python program and the module it needs, in the virtual environment of the installation.
    Python { script: &'static str, module: &'static str },
    /// A Python program without modules, driving a browser, whose command a variable may name.
    Browser { script: &'static str, command: &'static str, variable: &'static str },
    /// A Python program for the modules of the distribution. It can tell whether all is there.
    System { script: &'static str },
    /// A program the installation has built, below `target/interop`.
    Built { path: &'static str },
    /// The library named by `RTC_PEER_LIB`.
    Library,
}

/// A stack, in one of its variants.
pub(super) struct Stack {
    /// The stack and, after a plus sign, the variant.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    program: Program,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// Arguments of our side.
    pub(super) own: &'static [&'static str],
    /// Whether continuous integration fails without it.
    pub(super) required: bool,
    /// Whether it has to connect without a handshake of SCTP (SNAP).
    pub(super) snap: bool,
    pub(super) limits: Limits,
}

/// What a stack cannot do, whatever it announces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The largest message it sends and takes, in bytes.
    pub(super) largest: usize,
    /// Whether it knows messages without content.
    pub(super) empty: bool,
    /// Whether it tells its application that the other side has closed the connection.
    pub(super) told: bool,
}

const UNLIMITED: Limits = Limits { largest: usize::MAX, empty: true, told: true };

const RSA: &[&str] = &["--certificate", "rsa"];

const CHROMIUM: Stack = Stack {
    name: "chromium",
    about: "headless Chromium",
    program: Program::Browser {
        script: "browser/chromium.py",
        command: "chromium",
        variable: "CHROMIUM",
    },
    arguments: &[],
    environment: &[],
    own: &[],
    required: true,
    snap: false,
    limits: UNLIMITED,
};

const FIREFOX: Stack = Stack {
    name: "firefox",
    about: "headless Firefox",
    program: Program::Browser {
        script: "browser/firefox.py",
        command: "firefox-esr",
        variable: "FIREFOX",
    },
    required: false,
    ..CHROMIUM
};

const LIBWEBRTC: Stack = Stack {
    name: "libwebrtc",
    about: "libwebrtc without a browser (PyPI: wrtc)",
    program: Program::Python { script: "libwebrtc/agent.py", module: "webrtc" },
    ..CHROMIUM
};

const AIORTC: Stack = Stack {
    name: "aiortc",
    about: "aiortc (PyPI)",
    program: Program::Python { script: "aiortc/agent.py", module: "aiortc" },
    ..LIBWEBRTC
};

pub(super) const STACKS: &[Stack] = &[
    CHROMIUM,
    Stack {
        name: "chromium+rsa",
        about: "headless Chromium with an RSA certificate",
        arguments: RSA,
        ..CHROMIUM
    },
    Stack {
        name: "chromium+mdns",
        about: "headless Chromium hiding its addresses behind .local names",
        arguments: &["--mdns"],
        ..CHROMIUM
    },
    Stack {
        name: "chromium+own-rsa",
        about: "headless Chromium, our side with an RSA certificate",
        own: RSA,
        ..CHROMIUM
    },
    FIREFOX,
    Stack {
        name: "firefox+rsa",
        about: "headless Firefox with an RSA certificate",
        arguments: RSA,
        ..FIREFOX
    },
    LIBWEBRTC,
    Stack {
        name: "libwebrtc+rsa",
        about: "libwebrtc with an RSA certificate",
        arguments: RSA,
        ..LIBWEBRTC
    },
    Stack {
        name: "libwebrtc+warp",
        about: "libwebrtc trying SNAP, DTLS inside STUN and post-quantum key exchange",
        environment: &[(
            "WRTC_FIELD_TRIALS",
            "WebRTC-Sctp-Snap/Enabled/WebRTC-IceHandshakeDtls/Enabled/\
             WebRTC-EnableDtlsPqc/Enabled/",
        )],
        snap: true,
        ..LIBWEBRTC
    },
    AIORTC,
    Stack {
        name: "aiortc+rsa",
        about: "aiortc (OpenSSL) with an RSA certificate",
        arguments: RSA,
        ..AIORTC
    },
    Stack {
        name: "gstreamer",
        about: "GStreamer's webrtcbin as in Debian, with an RSA certificate",
        program: Program::System { script: "gstreamer/agent.py" },
        // It fails to send empty messages, and takes empty text for binary and the reverse.
        limits: Limits { empty: false, told: false, ..UNLIMITED },
        required: false,
        ..LIBWEBRTC
    },
    Stack {
        name: "pion",
        about: "Pion 3 as in Debian",
        program: Program::Built { path: "pion-agent" },
        // It reads messages into a buffer of 65535 bytes.
        limits: Limits { largest: 65_535, ..UNLIMITED },
        ..LIBWEBRTC
    },
    Stack {
        name: "str0m",
        about: "str0m, sans-IO in Rust",
        program: Program::Built { path: "str0m/debug/str0m-agent" },
        // It keeps no more than this for sending, all channels together; an empty message of its
        // own stops a channel.
        limits: Limits { largest: 128 * 1024, empty: false, ..UNLIMITED },
        required: false,
        ..LIBWEBRTC
    },
    Stack {
        name: "libdatachannel",
        about: "the library named by RTC_PEER_LIB",
        program: Program::Library,
        required: false,
        ..LIBWEBRTC
    },
];

pub(super) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop")
}

/// Where `install.sh` puts what it installs.
pub(super) fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop")
}

impl Stack {
    /// By its full name, or by that of the stack alone.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let stack = self.name.split_once('+').map_or(self.name, |(stack, _)| stack);
        name == self.name || name == stack
    }

    /// Whether it gives no address, but only names for them.
    pub(super) fn hidden(&self) -> bool {
        self.arguments.contains(&"--mdns")
    }

    /// The command starting the agent, or why it cannot be started.
    pub(super) fn command(&self) -> Result<Command, String> {
        let mut command = match self.program {
            Program::Browser { script, command, variable } => {
                let browser = std::env::var(variable).unwrap_or_else(|_| command.into());
                runs(Command::new(&browser).arg("--version"), &browser)?;
                let mut command = Command::new("python3");
                command.arg(scripts().join(script));
                command
            }
            Program::Python { script, module } => {
                let python = installed().join("venv/bin/python");
                runs(Command::new(&python).arg("-c").arg(format!("import {module}")), module)?;
                let mut command = Command::new(python);
                command.arg(scripts().join(script));
                command
            }
            Program::System { script } => {
                let script = scripts().join(script);
                let python = "/usr/bin/python3";
                runs(Command::new(python).arg(&script).arg("--probe"), self.name)?;
                let mut command = Command::new(python);
                command.arg(script);
                command
            }
            Program::Built { path } => {
                let path = installed().join(path);
                if !path.is_file() {
                    return Err(format!("{} is not installed", self.name));
                }
                Command::new(path)
            }
            Program::Library => {
                let library = std::env::var_os("RTC_PEER_LIB");
                let library = library.ok_or("RTC_PEER_LIB names no library")?;
                let mut command = super::own::command(None)?;
                command.env("RTC_LIB", library);
                command
            }
        };
        command.args(self.arguments).envs(self.environment.iter().copied());
        Ok(command)
    }
}

pub(super) fn runs(command: &mut Command, what: &str) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(format!("{what} is not installed")),
    }
}
