//! Two agents of the library, wherever they are: connected, with data both ways, and the pair in
//! use looked at.

use crate::interop::agent::Agent;
use crate::interop::own;
use crate::interop::plan::{crc32, pattern};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of one message, and how many each side sends.
const MESSAGE: usize = 16 * 1024;
const MESSAGES: usize = 32;

/// One of the two.
pub(crate) struct Side {
    /// Options of `conformance peer`.
    pub(crate) arguments: Vec<String>,
    /// The network namespace it runs in, if it is not this process's.
    pub(crate) namespace: Option<String>,
    /// Its ICE backend, if it is not the library's choice.
    pub(crate) backend: Option<String>,
    /// The authority it trusts instead of the system's.
    pub(crate) authority: Option<PathBuf>,
}

impl Side {
    fn start(&self, name: &'static str, directory: &Path) -> Result<Agent, String> {
        let mut command = own::command(self.namespace.as_deref())?;
        command.args(&self.arguments);
        if let Some(backend) = &self.backend {
            command.env("RTC_ICE_BACKEND", backend);
        }
        if let Some(authority) = &self.authority {
            command.env("SSL_CERT_FILE", authority);
        }
        Agent::start(name, command, directory)
    }
}

/// Two sides that are to connect.
pub(crate) struct Plan<'a> {
    pub(crate) offers: Side,
    pub(crate) answers: Side,
    /// How long the descriptions are on their way.
    pub(crate) pause: Duration,
    /// For what the agents write.
    pub(crate) directory: &'a Path,
}

/// A connection that stands.
pub(crate) struct Connected {
    pub(crate) offerer: Agent,
    pub(crate) answerer: Agent,
    pub(crate) offer: String,
}

impl Plan<'_> {
    /// Connects the two, sends data both ways, and has `judge` say what it thinks of the offer and
    /// of the offering side's pair, local and remote.
    pub(crate) fn connect(
        &self,
        judge: impl FnOnce(&str, (&str, &str)) -> Result<String, String>,
    ) -> Result<String, String> {
        let begun = Instant::now();
        let mut connected = self.open()?;
        let opened = begun.elapsed();
        let result = connected.exchange(0).and_then(|()| {
            let pair = connected.pair()?;
            judge(&connected.offer, (&pair.0, &pair.1))
        });
        match result {
            Ok(told) => Ok(format!("{told}, open after {} ms", opened.as_millis())),
            Err(reason) => Err(connected.story(&reason)),
        }
    }

    /// Connects the two.
    pub(crate) fn open(&self) -> Result<Connected, String> {
        let offerer = self.offers.start("own", self.directory)?;
        let answerer = self.answers.start("peer", self.directory)?;
        let mut connected = Connected { offerer, answerer, offer: String::new() };
        match connected.negotiate(self.pause) {
            Ok(()) => Ok(connected),
            Err(reason) => Err(connected.story(&reason)),
        }
    }
}

impl Connected {
    fn negotiate(&mut self, pause: Duration) -> Result<(), String> {
        self.offerer.tell(&json!({ "do": "offer", "label": "first" }))?;
        self.offer = self.offerer.description("offer")?;
        self.answerer.tell(&json!({ "do": "answer", "sdp": self.offer }))?;
        let answer = self.answerer.description("answer")?;
        std::thread::sleep(pause);
        self.offerer.tell(&json!({ "do": "accept", "sdp": answer }))?;
        self.offerer.expect_on("open", "first")?;
        self.answerer.expect_on("open", "first")?;
        Ok(())
    }

    /// Sends messages both ways at once; `round` tells them from those of other rounds.
    pub(crate) fn exchange(&mut self, round: usize) -> Result<(), String> {
        let numbers = || (0..MESSAGES).map(|number| round * MESSAGES + number);
        for number in numbers() {
            let message =
                json!({ "do": "binary", "label": "first", "size": MESSAGE, "number": number });
            self.offerer.tell(&message)?;
            self.answerer.tell(&message)?;
        }
        for agent in [&mut self.offerer, &mut self.answerer] {
            for number in numbers() {
                let event = agent.expect_on("binary", "first")?;
                let expected = json!(crc32(&pattern(MESSAGE, number)));
                if event["crc"] != expected {
                    return Err(format!("message {number} arrived as {event}"));
                }
            }
        }
        Ok(())
    }

    /// The offering side's pair in use: local, remote.
    pub(crate) fn pair(&mut self) -> Result<(String, String), String> {
        self.offerer.tell(&json!({ "do": "pair" }))?;
        let pair = self.offerer.expect("the pair", |event| event["is"] == "pair")?;
        let text = |name: &str| pair[name].as_str().unwrap_or_default().to_owned();
        Ok((text("local"), text("remote")))
    }

    /// What both did, after a failure.
    pub(crate) fn story(self, reason: &str) -> String {
        format!("{reason}\n{}\n{}", self.offerer.story(), self.answerer.story())
    }
}
