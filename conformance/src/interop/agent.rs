//! A running agent: commands go in, events come out, one JSON object a line.

use crate::sys;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long an expected event may take. A starting browser is slow on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an agent told to end may take before it is killed.
const FAREWELL: Duration = Duration::from_secs(3);

/// How much of an agent's life is told when something failed.
const REMEMBERED: usize = 12;

pub(crate) struct Agent {
    name: &'static str,
    child: Child,
    commands: Option<ChildStdin>,
    events: Receiver<Value>,
    /// Events no expectation has taken yet.
    waiting: Vec<Value>,
    begun: Instant,
    /// Everything told and reported, shortened, with the seconds since the start.
    history: Vec<String>,
    log: PathBuf,
}

impl Agent {
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        directory: &Path,
    ) -> Result<Self, String> {
        let log = directory.join(format!("{name}.log"));
        let errors = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let commands = child.stdin.take();
        let output = child.stdout.take().ok_or("the agent has no output")?;
        let events = read_events(output);
        Ok(Self {
            name,
            child,
            commands,
            events,
            waiting: vec![],
            begun: Instant::now(),
            history: vec![],
            log,
        })
    }

    /// Whether it is that of the library under test.
    pub(crate) fn is_own(&self) -> bool {
        self.name == "own"
    }

    /// The process, which leads a group of its own.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a command.
    pub(crate) fn tell(&mut self, command: &Value) -> Result<(), String> {
        self.remember("<-", command);
        let stdin = self.commands.as_mut().ok_or("the agent takes no commands")?;
        writeln!(stdin, "{command}").map_err(|error| format!("{} has gone: {error}", self.name))
    }

    /// Waits for the first event `pick` accepts, and takes it.
    pub(crate) fn expect(
        &mut self,
        what: &str,
        pick: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let deadline = Instant::now() + PATIENCE;
        if let Some(at) = self.waiting.iter().position(&pick) {
            return Ok(self.waiting.remove(at));
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).map_err(|error| match error {
                mpsc::RecvTimeoutError::Timeout => {
                    format!("{}: waited {PATIENCE:?} for {what}", self.name)
                }
                mpsc::RecvTimeoutError::Disconnected => {
                    format!("{} ended before {what}", self.name)
                }
            })?;
            self.remember("->", &event);
            if let Some(misfortune) = misfortune(&event) {
                return Err(format!("{}: waiting for {what}: {misfortune}", self.name));
            }
            if pick(&event) {
                return Ok(event);
            }
            self.waiting.push(event);
        }
    }

    /// Waits for the next event of a kind about a channel.
    pub(crate) fn expect_on(&mut self, kind: &str, label: &str) -> Result<Value, String> {
        let what = format!("{kind:?} of channel {label:?}");
        self.expect(&what, |event| event["is"] == kind && event["label"] == label)
    }

    /// Waits for the agent's description of a kind.
    pub(crate) fn description(&mut self, kind: &str) -> Result<String, String> {
        let event = self.expect(kind, |event| event["is"] == kind)?;
        event["sdp"].as_str().map(str::to_owned).ok_or(format!("the {kind} is no text"))
    }

    fn remember(&mut self, direction: &str, value: &Value) {
        let mut text = value.to_string();
        if value["sdp"].is_null() {
            text = text.chars().take(160).collect();
        }
        let at = self.begun.elapsed().as_secs_f32();
        self.history.push(format!("{at:6.2} {direction} {text}"));
    }

    /// The end of its input asks an agent to end.
    fn end(&mut self) {
        self.commands = None;
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        sys::kill_group(self.child.id());
        let _ = self.child.wait();
    }

    /// Ends the agent and tells what happened, for the report of a failure.
    pub(crate) fn story(mut self) -> String {
        self.end();
        while let Ok(event) = self.events.try_recv() {
            self.remember("->", &event);
        }
        let (first, last) = match self.history.len().checked_sub(REMEMBERED) {
            Some(skipped) => (&self.history[..2.min(skipped)], &self.history[skipped..]),
            None => (&[][..], &self.history[..]),
        };
        let told = [first, last].concat().join("\n");
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(REMEMBERED)..].join("\n");
        format!("--- {}:\n{told}\n--- {} wrote:\n{log}", self.name, self.name)
    }
}

/// What an agent reports when nothing more is to be expected of it.
fn misfortune(event: &Value) -> Option<String> {
    let failed = |state: &str| state.eq_ignore_ascii_case("failed");
    match event["is"].as_str() {
        Some("error") => Some(event["text"].to_string()),
        Some("state") if event["state"].as_str().is_some_and(failed) => {
            Some("the connection failed".into())
        }
        _ => None,
    }
}

fn read_events(output: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let event = serde_json::from_str(&line).unwrap_or_else(
                |_| serde_json::json!({ "is": "error", "text": format!("not JSON: {line}") }),
            );
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
        // Beside its log, for those who kept it.
        let _ = std::fs::write(self.log.with_extension("history"), self.history.join("\n"));
    }
}
