//! Log, user pointers, and what concerns the whole library.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use librtc::{CongestionControl, Error, Result, SctpSettings};

use crate::boundary::{SUCCESS, required};
use crate::handles::{self, UserPointer};
use crate::{abi, callbacks, logger};

/// What "as long as it takes" means to a clock.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

exports! {
    /// Sets the log level and, optionally, the callback for log lines.
    pub extern "C" fn rtcInitLogger(level: c_int, cb: abi::LogCallback) {
        logger::init(level, cb);
        Ok(())
    }

    /// Sets the pointer that callbacks of an object get.
    pub extern "C" fn rtcSetUserPointer(id: c_int, ptr: *mut c_void) {
        handles::set_pointer(id, UserPointer::new(ptr));
        Ok(())
    }

    /// The pointer that callbacks of an object get; NULL for an unknown identifier.
    pub extern "C" fn rtcGetUserPointer(i: c_int) -> *mut c_void {
        Ok(handles::pointer(i).unwrap_or(UserPointer::NULL).get())
    }

    /// Sets how many threads run callbacks; 0 is one for each processor.
    pub extern "C" fn rtcSetThreadPoolSize(count: c_uint) -> c_int {
        librtc::set_callback_threads(usize::try_from(count).unwrap_or(usize::MAX));
        SUCCESS
    }

    /// Sets what connections made from now on use for SCTP.
    pub extern "C" fn rtcSetSctpSettings(settings: *const abi::SctpSettings) -> c_int {
        librtc::set_sctp_settings(sctp_settings(required(settings, "settings")?)?);
        SUCCESS
    }

    /// Starts what connections share.
    pub extern "C" fn rtcPreload() {
        librtc::preload()
    }

    /// Unloads what connections share, now or when the last connection is deleted.
    pub extern "C" fn rtcCleanup() {
        librtc::cleanup();
        Ok(())
    }

    /// Which release of librtc this is; the text stays valid for ever.
    pub extern "C" fn rtcRevision() -> *const c_char {
        static REVISION: OnceLock<CString> = OnceLock::new();
        let text = || CString::new(librtc::REVISION).unwrap_or_default();
        Ok(REVISION.get_or_init(text).as_ptr())
    }

    /// Destroys everything and unloads, waiting at most `timeout_ms` milliseconds for callbacks;
    /// a negative time is unlimited.
    pub extern "C" fn rtcCleanupNow(timeout_ms: c_int) -> c_int {
        if callbacks::is_inside() {
            return Err(Error::invalid("everything cannot be destroyed from inside a callback"));
        }
        let patience = u64::try_from(timeout_ms).map_or(FOREVER, Duration::from_millis);
        // Without their identifiers no callback of these objects begins any more.
        let objects = handles::remove_all();
        let result = librtc::cleanup_now(Instant::now() + patience);
        match result {
            Ok(()) => drop(objects),
            // Deleting a connection waits for its callbacks; that can wait where nobody does.
            Err(_) => drop(std::thread::spawn(move || drop(objects))),
        }
        result?;
        SUCCESS
    }
}

fn sctp_settings(c: &abi::SctpSettings) -> Result<SctpSettings> {
    let default = SctpSettings::default();
    let positive = |value: c_int| u32::try_from(value).ok().filter(|value| *value > 0);
    let size = |value: c_int, default: usize| {
        positive(value).and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
    };
    let time = |value: c_int, default: Duration| {
        positive(value).map_or(default, |value| Duration::from_millis(value.into()))
    };
    let settings = SctpSettings {
        receive_buffer: size(c.recv_buffer_size, default.receive_buffer),
        send_buffer: size(c.send_buffer_size, default.send_buffer),
        max_chunks_on_queue: size(c.max_chunks_on_queue, default.max_chunks_on_queue),
        initial_congestion_window: positive(c.initial_congestion_window)
            .unwrap_or(default.initial_congestion_window),
        max_burst: match c.max_burst {
            ..0 => 0,
            value => positive(value).unwrap_or(default.max_burst),
        },
        congestion_control: match c.congestion_control_module {
            ..=0 => None,
            // HSTCP and H-TCP: what they are for, CUBIC does.
            1 | 2 => Some(CongestionControl::Cubic),
            3 => Some(CongestionControl::Adaptive),
            other => {
                let message = format!("there is no congestion control module {other}");
                return Err(Error::invalid(message));
            }
        },
        delayed_sack: match c.delayed_sack_time_ms {
            ..0 => Duration::ZERO,
            value => time(value, default.delayed_sack),
        },
        rto_min: time(c.min_retransmit_timeout_ms, default.rto_min),
        rto_max: time(c.max_retransmit_timeout_ms, default.rto_max),
        rto_initial: time(c.initial_retransmit_timeout_ms, default.rto_initial),
        max_retransmits: positive(c.max_retransmit_attempts).unwrap_or(default.max_retransmits),
        heartbeat_interval: time(c.heartbeat_interval_ms, default.heartbeat_interval),
    };
    if settings.rto_min > settings.rto_max {
        return Err(Error::invalid(format!(
            "the minimum retransmission timeout of {:?} exceeds the maximum of {:?}",
            settings.rto_min, settings.rto_max
        )));
    }
    Ok(settings)
}
