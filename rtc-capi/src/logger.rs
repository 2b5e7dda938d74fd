//! `rtcInitLogger`: where log lines go.

use std::cell::Cell;
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
    /// Lets a change of callback wait until the old one has returned.
    gate: std::sync::OnceLock<Gate>,
}

static LOGGER: Logger =
    Logger { sink: Mutex::new(Sink::Nowhere), gate: std::sync::OnceLock::new() };

const LINE: Slot = Slot(0);

thread_local! {
    /// This thread is inside the callback: what it logs meanwhile is not for the callback again.
    static LOGGING: Cell<bool> = const { Cell::new(false) };
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
}

impl Log for Logger {
    /// tungstenite tells every bit of a frame's header while the WebSocket is locked, which a
    /// callback may ask about.
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
                // The gate lets one line through at a time, so the callback is looked up inside.
                if let Some(_pass) = self.gate().enter(LINE)
                    && let Sink::Callback(callback) = *self.sink.lock()
                {
                    callbacks::log(callback, number(level), &line(record));
                }
            }
        }
        LOGGING.set(false);
    }

    fn flush(&self) {}
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
