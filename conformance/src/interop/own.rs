//! The library under test as an agent: `conformance peer`.

use super::bulk::{self, Sinks};
use super::media::Tracks;
use super::plan::{crc32, pattern};
use crate::ffi::*;
use crate::inbox::{Event, Inbox, Message, Recorded};
use crate::lab::library_path;
use crate::peer::{Channel, Peer, c};
use crate::sys;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ffi::{CStr, c_int};
use std::io::{BufRead, Write};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// `rtcCertificateType` of rtc.h.
const CERTIFICATE_RSA: c_int = 2;

/// `rtcTransportPolicy` of rtc.h.
const POLICY_RELAY: c_int = 1;

/// This program as an agent, without arguments yet; it runs inside the network `namespace` if one
/// is named.
pub(crate) fn command(namespace: Option<&str>) -> Result<Command, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = sys::command_in(namespace, program);
    command.arg("peer");
    Ok(command)
}

pub(super) fn report(event: Value) {
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{event}").and_then(|()| output.flush());
}

/// Labels of the channels, known from both directions.
#[derive(Clone, Default)]
struct Labels(Arc<Mutex<HashMap<c_int, String>>>);

impl Labels {
    fn map(&self) -> MutexGuard<'_, HashMap<c_int, String>> {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn of(&self, inbox: &Inbox, id: c_int) -> String {
        if let Some(label) = self.map().get(&id) {
            return label.clone();
        }
        let label = inbox.lib.string(Getter::LABEL, id).unwrap_or_default();
        self.map().insert(id, label.clone());
        label
    }

    fn channel(&self, label: &str) -> Result<c_int, String> {
        let found = self.map().iter().find(|(_, known)| *known == label).map(|(id, _)| *id);
        found.ok_or(format!("no channel {label:?}"))
    }
}

/// Runs inside every callback.
fn tell(labels: &Labels, sinks: &Sinks, inbox: &Inbox, recorded: &Recorded) {
    let id = recorded.owner;
    let label = || labels.of(inbox, id);
    match &recorded.event {
        Event::DataChannel(dc) => {
            labels.of(inbox, *dc);
        }
        Event::Open => report(settings(inbox.lib, id, &label())),
        Event::Closed => report(json!({ "is": "channel-closed", "label": label() })),
        Event::Error(text) => report(json!({ "is": "error", "text": text })),
        Event::Message(message) => match sinks.take(&label(), message.bytes()) {
            None => report(describe(message, &label())),
            Some(Ok(())) => {}
            Some(Err(text)) => report(json!({ "is": "error", "text": text })),
        },
        Event::State(state) => report(json!({ "is": "state", "state": format!("{state:?}") })),
        Event::Gathering(Gathering::Complete) => {
            let sdp = inbox.lib.string(Getter::LOCAL_DESCRIPTION, id);
            let kind = inbox.lib.string(Getter::LOCAL_TYPE, id);
            report(match (sdp, kind) {
                (Ok(sdp), Ok(kind)) => json!({ "is": kind, "sdp": sdp }),
                other => json!({ "is": "error", "text": format!("gathered: {other:?}") }),
            });
        }
        _ => {}
    }
}

fn settings(lib: Lib, id: c_int, label: &str) -> Value {
    let mut reliability = Reliability::default();
    let code = lib.reliability(id, Some(&mut reliability));
    if code != OK {
        return json!({ "is": "error", "text": format!("reliability: {}", code_name(code)) });
    }
    let limited = reliability.unreliable && reliability.max_packet_life_time == 0;
    json!({
        "is": "open",
        "label": label,
        "protocol": lib.string(Getter::PROTOCOL, id).unwrap_or_default(),
        "ordered": !reliability.unordered,
        "retransmits": limited.then_some(reliability.max_retransmits),
    })
}

fn describe(message: &Message, label: &str) -> Value {
    match message {
        Message::Text(text) => {
            json!({ "is": "text", "label": label, "text": String::from_utf8_lossy(text) })
        }
        Message::Binary(bytes) => {
            json!({ "is": "binary", "label": label, "size": bytes.len(), "crc": crc32(bytes) })
        }
        Message::Unterminated(_) => json!({ "is": "error", "text": "text without terminator" }),
    }
}

struct OwnAgent {
    peer: Peer,
    labels: Labels,
    sinks: Sinks,
    tracks: Tracks,
}

impl OwnAgent {
    fn start(config: &Config) -> Result<Self, String> {
        let path = library_path().ok_or("RTC_LIB names no library")?;
        let lib = Library::load(&path, false)?;
        if let Some(level) = log_level() {
            lib.init_logger(level, true);
        }
        let peer = Peer::with(lib, config);
        let labels = Labels::default();
        let sinks = Sinks::default();
        let tracks = Tracks::default();
        let (known, counting, media) = (labels.clone(), sinks.clone(), tracks.clone());
        peer.inbox.hook(move |inbox, recorded| {
            if !media.take(inbox, recorded) {
                tell(&known, &counting, inbox, recorded);
            }
        });
        Ok(Self { peer, labels, sinks, tracks })
    }

    fn obey(&self, command: &Value) -> Result<(), String> {
        let text = |name: &str| command[name].as_str().unwrap_or_default();
        let number = |name: &str| command[name].as_u64().unwrap_or_default() as usize;
        let channel = || self.labels.channel(text("label"));
        let lib = self.peer.lib;
        let code = match text("do") {
            "offer" => {
                self.open(command);
                self.peer.set_local("offer")
            }
            "answer" => match self.peer.set_remote(text("sdp"), "offer") {
                OK => self.peer.set_local("answer"),
                code => code,
            },
            "media-offer" => self.tracks.offer(&self.peer, command)?,
            "media-answer" => self.tracks.answer(&self.peer, command)?,
            "accept" => self.peer.set_remote(text("sdp"), "answer"),
            "open" => self.open(command),
            "text" => lib.send_text(channel()?, &c(text("text"))),
            "binary" => lib.send_binary(channel()?, &pattern(number("size"), number("number"))),
            "sink" => {
                self.sinks.open(text("label"), number("size"));
                report(json!({ "is": "sink", "label": text("label") }));
                OK
            }
            "flood" => {
                let time = Duration::from_millis(number("milliseconds") as u64);
                let (label, size) = (text("label").to_owned(), number("size"));
                bulk::flood(lib, channel()?, label, size, time);
                OK
            }
            "tally" => {
                report(self.sinks.tally(text("label"))?);
                OK
            }
            "pair" => {
                let (mut local, mut remote) = ([0; 512], [0; 512]);
                let (a, b) = (Some(&mut local[..]), Some(&mut remote[..]));
                let code = lib.selected_pair(self.peer.id, a, 512, b, 512);
                let [local, remote] = [local, remote].map(|buffer| {
                    let text = CStr::from_bytes_until_nul(&buffer).unwrap_or_default();
                    text.to_string_lossy().into_owned()
                });
                report(json!({ "is": "pair", "local": local, "remote": remote }));
                code
            }
            "close-channel" => lib.by_id(ById::CLOSE, channel()?),
            "close" => lib.by_id(ById::CLOSE_PC, self.peer.id),
            other => return Err(format!("unknown command {other:?}")),
        };
        if code >= OK { Ok(()) } else { Err(format!("{}: {}", text("do"), code_name(code))) }
    }

    fn open(&self, command: &Value) -> c_int {
        let label = command["label"].as_str().unwrap_or_default();
        let retransmits = command["retransmits"].as_u64();
        let reliability = Reliability {
            unordered: command["ordered"] == false,
            unreliable: retransmits.is_some(),
            max_packet_life_time: 0,
            max_retransmits: retransmits.unwrap_or_default() as u32,
        };
        let protocol = command["protocol"].as_str().map(c);
        let channel =
            self.peer.bare_channel(label, &Init { reliability, protocol, ..Init::default() });
        self.labels.map().insert(channel.id, label.to_owned());
        channel.listen(Slot::CHANNEL);
        // It lives until the process ends.
        Channel::disown(&channel);
        OK
    }
}

const USAGE: &str = "conformance peer [--certificate ecdsa|rsa] [--server URL]... [--relay] \
                     [--tcp]";

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Config, String> {
    let mut config = Config { manual: true, ..Config::default() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} what?"));
        match argument.as_str() {
            "--certificate" => match value()?.as_str() {
                "rsa" => config.certificate = CERTIFICATE_RSA,
                "ecdsa" => config.certificate = 0,
                other => return Err(format!("unknown certificate {other}")),
            },
            "--server" => config.ice_servers.push(Some(c(&value()?))),
            "--relay" => config.policy = POLICY_RELAY,
            "--tcp" => config.ice_tcp = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(config)
}

/// Obeys the commands of the standard input until it ends.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let config = match parse(arguments) {
        Ok(config) => config,
        Err(text) => {
            eprintln!("{text}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let agent = match OwnAgent::start(&config) {
        Ok(agent) => agent,
        Err(text) => {
            report(json!({ "is": "error", "text": text }));
            return ExitCode::FAILURE;
        }
    };
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let obeyed = serde_json::from_str(&line)
            .map_err(|error| error.to_string())
            .and_then(|command| agent.obey(&command));
        if let Err(text) = obeyed {
            report(json!({ "is": "error", "text": text }));
        }
    }
    for (level, line) in log_lines() {
        eprintln!("{level} {line}");
    }
    sys::exit_now(0)
}

/// `RTC_LOG_LEVEL`, a number as of rtc.h: what the library logs is written at the end.
fn log_level() -> Option<c_int> {
    std::env::var("RTC_LOG_LEVEL").ok()?.parse().ok()
}
