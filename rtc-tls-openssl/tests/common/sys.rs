//! A clock for OpenSSL that tests can turn.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What the clock shows at the first `Instant` it is set to: some time in 2033.
const EPOCH: Duration = Duration::from_secs(2_000_000_000);

thread_local! {
    static SHOWN: Cell<Duration> = const { Cell::new(EPOCH) };
}

/// Sets the clock that OpenSSL sees on this thread.
pub(crate) fn set_clock(now: Instant) {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(|| now);
    let shown = match now.checked_duration_since(origin) {
        Some(later) => EPOCH + later,
        None => EPOCH - origin.duration_since(now),
    };
    SHOWN.set(shown);
}

/// OpenSSL reads its clock by this function; one in the program comes before the C library's.
/// Nothing else in these tests needs the time of day from it.
///
/// # Safety
///
/// `time` is null or points to a `timeval` that may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn gettimeofday(time: *mut libc::timeval, _zone: *mut c_void) -> c_int {
    // After the end of the thread's locals any time will do.
    let shown = SHOWN.try_with(Cell::get).unwrap_or(EPOCH);
    if !time.is_null() {
        let shown = libc::timeval {
            tv_sec: shown.as_secs() as libc::time_t,
            tv_usec: libc::suseconds_t::from(shown.subsec_micros() as i32),
        };
        // SAFETY: the caller vouches for the pointer.
        unsafe { time.write(shown) };
    }
    0
}
