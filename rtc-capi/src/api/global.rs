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
            abi::RTC_CONGESTION_RFC9260 => Some(CongestionControl::Rfc9260),
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
    settings.validate()?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSET: abi::SctpSettings = abi::SctpSettings {
        recv_buffer_size: 0,
        send_buffer_size: 0,
        max_chunks_on_queue: 0,
        initial_congestion_window: 0,
        max_burst: 0,
        congestion_control_module: 0,
        delayed_sack_time_ms: 0,
        min_retransmit_timeout_ms: 0,
        max_retransmit_timeout_ms: 0,
        initial_retransmit_timeout_ms: 0,
        max_retransmit_attempts: 0,
        heartbeat_interval_ms: 0,
    };

    /// Every value is another one, so that two fields in each other's place are seen.
    #[test]
    fn every_setting_is_taken_in_its_place() {
        let settings = abi::SctpSettings {
            recv_buffer_size: 11,
            send_buffer_size: 12,
            max_chunks_on_queue: 13,
            initial_congestion_window: 14,
            max_burst: 15,
            congestion_control_module: 1,
            delayed_sack_time_ms: 16,
            min_retransmit_timeout_ms: 17,
            max_retransmit_timeout_ms: 18,
            initial_retransmit_timeout_ms: 19,
            max_retransmit_attempts: 20,
            heartbeat_interval_ms: 21,
        };
        let expected = SctpSettings {
            receive_buffer: 11,
            send_buffer: 12,
            max_chunks_on_queue: 13,
            initial_congestion_window: 14,
            max_burst: 15,
            congestion_control: Some(CongestionControl::Cubic),
            delayed_sack: Duration::from_millis(16),
            rto_min: Duration::from_millis(17),
            rto_max: Duration::from_millis(18),
            rto_initial: Duration::from_millis(19),
            max_retransmits: 20,
            heartbeat_interval: Duration::from_millis(21),
        };
        assert_eq!(sctp_settings(&settings).expect("fine"), expected);
    }

    #[test]
    fn unset_and_negative_settings_are_the_defaults_unless_they_switch_something_off() {
        let default = SctpSettings::default();
        assert_eq!(sctp_settings(&UNSET).expect("fine"), default);
        let negative = abi::SctpSettings {
            recv_buffer_size: -1,
            send_buffer_size: -1,
            max_chunks_on_queue: -1,
            initial_congestion_window: -1,
            max_burst: -1,
            congestion_control_module: -1,
            delayed_sack_time_ms: -1,
            min_retransmit_timeout_ms: -1,
            max_retransmit_timeout_ms: -1,
            initial_retransmit_timeout_ms: -1,
            max_retransmit_attempts: -1,
            heartbeat_interval_ms: -1,
        };
        let expected = SctpSettings { max_burst: 0, delayed_sack: Duration::ZERO, ..default };
        assert_eq!(sctp_settings(&negative).expect("fine"), expected);
    }

    #[test]
    fn congestion_control_is_chosen_by_its_number() {
        for (module, expected) in [
            (0, None),
            (1, Some(CongestionControl::Cubic)),
            (2, Some(CongestionControl::Cubic)),
            (3, Some(CongestionControl::Adaptive)),
            (9260, Some(CongestionControl::Rfc9260)),
        ] {
            let settings = abi::SctpSettings { congestion_control_module: module, ..UNSET };
            let control = sctp_settings(&settings).map(|settings| settings.congestion_control);
            assert_eq!(control.expect("fine"), expected, "{module}");
        }
        for module in [4, 9259, c_int::MAX] {
            let settings = abi::SctpSettings { congestion_control_module: module, ..UNSET };
            assert!(sctp_settings(&settings).is_err(), "{module}");
        }
    }
}
