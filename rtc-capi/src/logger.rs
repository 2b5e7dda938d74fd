//! `rtcInitLogger`: where log lines go.
//!
//! A callback may call any function, so it runs without locks of ours: what a function of the API
//! logs is told when it returns. One thread tells at a time, and nobody waits for it: it also tells
//! what others leave for it meanwhile.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::{c_char, c_int};
use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;
use rtc_core::runtime::gate::{Gate, Slot};

use crate::abi;
use crate::callbacks;

type Callback = unsafe extern "C" fn(c_int, *const c_char);

#[derive(Clone, Copy)]
enum Sink {
    /// Nobody asked for a log.
    Nowhere,
    /// Lines with time, level and thread.
    Console,
    /// Lines with their level, after a callback was taken back.
    Plain,
    Callback(Callback),
}

struct Logger {
    sink: Mutex<Sink>,
    pending: Mutex<Pending>,
    /// Lets a change of callback wait until the old one has returned.
    gate: std::sync::OnceLock<Gate>,
}

/// Lines for the callback that have not been told yet.
struct Pending {
    lines: VecDeque<(c_int, String)>,
    /// How many there was no room for.
    lost: usize,
    /// A thread is inside the callback.
    is_telling: bool,
}

/// So many lines wait for a callback that does not return.
const MOST_PENDING: usize = 4096;

static LOGGER: Logger = Logger {
    sink: Mutex::new(Sink::Nowhere),
    pending: Mutex::new(Pending { lines: VecDeque::new(), lost: 0, is_telling: false }),
    gate: std::sync::OnceLock::new(),
};

const LINE: Slot = Slot(0);

thread_local! {
    /// This thread is inside the callback: what it logs meanwhile is not for the callback again.
    static LOGGING: Cell<bool> = const { Cell::new(false) };

    /// How many functions of the API this thread is inside of.
    static CALLS: Cell<usize> = const { Cell::new(0) };

    /// This thread has left lines to tell. A function that logged nothing takes no lock here.
    static LEFT: Cell<bool> = const { Cell::new(false) };
}

/// A thread's presence in a function of the API; what was logged meanwhile is told when it ends.
pub(crate) struct Call;

impl Call {
    pub(crate) fn begin() -> Self {
        CALLS.set(CALLS.get() + 1);
        Self
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        CALLS.set(CALLS.get() - 1);
        if LEFT.get() {
            LOGGER.tell();
        }
    }
}

/// Sets level and destination.
pub(crate) fn init(level: c_int, callback: abi::LogCallback) {
    static INSTALL: Once = Once::new();
    // Another logger may be there when a Rust program links the library; then it gets the lines.
    INSTALL.call_once(|| {
        let _ = log::set_logger(&LOGGER);
    });
    {
        let mut sink = LOGGER.sink.lock();
        *sink = match (callback, *sink) {
            (Some(callback), _) => Sink::Callback(callback),
            (None, Sink::Callback(_) | Sink::Plain) => Sink::Plain,
            (None, Sink::Nowhere | Sink::Console) => Sink::Console,
        };
    }
    log::set_max_level(filter(level));
    LOGGER.gate().wait_idle(LINE);
}

fn filter(level: c_int) -> LevelFilter {
    match level {
        abi::RTC_LOG_NONE | abi::RTC_LOG_FATAL => LevelFilter::Off,
        abi::RTC_LOG_ERROR => LevelFilter::Error,
        abi::RTC_LOG_WARNING => LevelFilter::Warn,
        abi::RTC_LOG_INFO => LevelFilter::Info,
        abi::RTC_LOG_DEBUG => LevelFilter::Debug,
        // As upstream: whatever is out of range logs everything.
        _ => LevelFilter::Trace,
    }
}

fn number(level: Level) -> c_int {
    match level {
        Level::Error => abi::RTC_LOG_ERROR,
        Level::Warn => abi::RTC_LOG_WARNING,
        Level::Info => abi::RTC_LOG_INFO,
        Level::Debug => abi::RTC_LOG_DEBUG,
        Level::Trace => abi::RTC_LOG_VERBOSE,
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "VERB",
    }
}

impl Logger {
    fn gate(&self) -> &Gate {
        self.gate.get_or_init(Gate::new)
    }

    /// Tells the callback what is pending, unless this thread is inside a function of the API.
    fn tell(&self) {
        if CALLS.get() > 0 {
            return;
        }
        LEFT.set(false);
        loop {
            // A statement of its own: no lock may be held inside the callback.
            let next = self.pending.lock().take();
            let Some((level, line)) = next else { return };
            let pass = self.gate().enter(LINE);
            let sink = *self.sink.lock();
            if let (Some(_), Sink::Callback(callback)) = (&pass, sink) {
                LOGGING.set(true);
                callbacks::log(callback, level, &line);
                LOGGING.set(false);
            }
            drop(pass);
            self.pending.lock().is_telling = false;
        }
    }
}

impl Log for Logger {
    /// Not what tungstenite tells, which is every bit of a frame's header: while WebSockets are
    /// busy it would wait for a line of ours, and leave no room for others.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level() && !metadata.target().starts_with("tungstenite")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || LOGGING.replace(true) {
            return;
        }
        let level = record.level();
        let sink = *self.sink.lock();
        match sink {
            Sink::Nowhere => {}
            Sink::Console => console(level, &line(record)),
            Sink::Plain => stdout(&format!("{} {}", name(level), line(record))),
            Sink::Callback(_) => {
                self.pending.lock().push(number(level), line(record));
                LEFT.set(true);
            }
        }
        LOGGING.set(false);
        if is_ours(record.target()) {
            self.tell();
        }
    }

    fn flush(&self) {}
}

/// Dependencies may log while we hold a lock around them; that is told with the next line of ours.
fn is_ours(target: &str) -> bool {
    ["rtc_", "librtc", "datachannel"].iter().any(|name| target.starts_with(name))
}

impl Pending {
    fn push(&mut self, level: c_int, line: String) {
        match self.lines.len() < MOST_PENDING {
            true => self.lines.push_back((level, line)),
            false => self.lost += 1,
        }
    }

    /// The next line, if nobody else is telling.
    fn take(&mut self) -> Option<(c_int, String)> {
        if self.is_telling {
            return None;
        }
        let next = self.lines.pop_front().or_else(|| match std::mem::take(&mut self.lost) {
            0 => None,
            lost => Some((abi::RTC_LOG_WARNING, format!("{lost} lines were lost here"))),
        });
        self.is_telling = next.is_some();
        next
    }
}

fn line(record: &Record<'_>) -> String {
    format!("{}: {}", record.target(), record.args())
}

fn console(level: Level, line: &str) {
    let (time, thread) = (crate::boundary::local_time(), thread_name());
    stdout(&format!("{time} {:<5} [{thread}] {line}", name(level)));
}

fn thread_name() -> String {
    let thread = std::thread::current();
    thread.name().map_or_else(|| format!("{:?}", thread.id()), str::to_owned)
}

/// Writes one line; a closed standard output is no reason to fail.
fn stdout(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
