//! The few functions of OpenSSL that the `openssl` crate does not offer.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::Once;
use std::time::Duration;

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::SslRef;
use openssl_sys as sys;

/// `DTLS_CTRL_GET_TIMEOUT` of `openssl/ssl.h`: the macro `DTLSv1_get_timeout`.
const GET_TIMEOUT: c_int = 73;
/// `DTLS_CTRL_HANDLE_TIMEOUT` of `openssl/ssl.h`: the macro `DTLSv1_handle_timeout`.
const HANDLE_TIMEOUT: c_int = 74;

/// First wait for an answer. OpenSSL waits a second unless told otherwise (RFC 6347 §4.2.4.1);
/// behind ICE the path is known to work and usually quick.
const FIRST_WAIT_US: c_uint = 100_000;

type TimerCallback = unsafe extern "C" fn(*mut sys::SSL, c_uint) -> c_uint;

unsafe extern "C" {
    fn DTLS_set_timer_cb(ssl: *mut sys::SSL, callback: Option<TimerCallback>);
    fn SSL_has_pending(ssl: *const sys::SSL) -> c_int;
    fn ERR_peek_error() -> c_ulong;
}

/// How long to wait next. OpenSSL gives up after 12 repetitions: with waits that grow by half,
/// that is after 38 seconds.
unsafe extern "C" fn next_wait(_ssl: *mut sys::SSL, last_us: c_uint) -> c_uint {
    match last_us {
        0 => FIRST_WAIT_US,
        last => last.saturating_add(last / 2),
    }
}

/// Makes a DTLS connection repeat its flights sooner than OpenSSL would by itself.
pub(crate) fn use_short_waits(ssl: &mut SslRef) {
    // SAFETY: the pointer is valid for the reference's lifetime; the callback is a plain function
    // that touches nothing but its arguments.
    unsafe { DTLS_set_timer_cb(ssl.as_ptr(), Some(next_wait)) }
}

/// How long until the retransmission timer of a DTLS connection expires; `None` when it is off.
/// OpenSSL calls anything below 15 ms zero.
pub(crate) fn time_left(ssl: &SslRef) -> Option<Duration> {
    let mut left = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: the pointer is valid for the reference's lifetime; this control writes one `timeval`
    // through its last argument when it returns 1, and nothing else.
    let is_on =
        unsafe { sys::SSL_ctrl(ssl.as_ptr(), GET_TIMEOUT, 0, ptr::from_mut(&mut left).cast()) };
    let seconds = Duration::from_secs(left.tv_sec.try_into().unwrap_or(0));
    let micros = Duration::from_micros(left.tv_usec.try_into().unwrap_or(0));
    (is_on == 1).then(|| seconds + micros)
}

/// Repeats the flight of a DTLS connection whose timer has expired by OpenSSL's clock.
pub(crate) fn repeat_flight(ssl: &SslRef) -> Result<(), ErrorStack> {
    // SAFETY: the pointer is valid for the reference's lifetime, and this control takes no
    // arguments. It writes through the connection's BIO, whose callbacks catch panics.
    match unsafe { sys::SSL_ctrl(ssl.as_ptr(), HANDLE_TIMEOUT, 0, ptr::null_mut()) } {
        0.. => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// Whether bytes that were read from the network wait inside OpenSSL.
pub(crate) fn has_pending(ssl: &SslRef) -> bool {
    // SAFETY: the pointer is valid for the reference's lifetime, and nothing is written.
    unsafe { SSL_has_pending(ssl.as_ptr()) == 1 }
}

/// Forgets what earlier calls on this thread, ours or the application's, left in the error queue:
/// OpenSSL would take it for the reason of the next failure.
pub(crate) fn clear_errors() {
    // SAFETY: both touch nothing but the queue of this thread. Looking is much quicker than
    // clearing, and mostly there is nothing.
    unsafe {
        if ERR_peek_error() != 0 {
            sys::ERR_clear_error();
        }
    }
}

/// Keeps the library that holds this code loaded until the process ends. The `openssl` crate
/// registers functions that OpenSSL calls for every connection of the process, those of others too,
/// and OpenSSL has no way to take them back.
pub(crate) fn stay_loaded() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: an all-zero `Dl_info` is valid; `dladdr` fills it for an address of this library,
        // with a name that stays valid while the library is loaded.
        unsafe {
            let mut found: libc::Dl_info = std::mem::zeroed();
            let address = stay_loaded as *const c_void;
            if libc::dladdr(address, &mut found) != 0 && !found.dli_fname.is_null() {
                let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
                // The handle is never closed. A program is not found by its name, and stays anyway.
                libc::dlopen(found.dli_fname, flags);
            }
        }
    });
}

/// OpenSSL's description of an alert.
pub(crate) fn alert_description(alert: u8) -> &'static str {
    // SAFETY: the function returns a static string with a terminator for every argument.
    let description = unsafe { CStr::from_ptr(sys::SSL_alert_desc_string_long(alert.into())) };
    description.to_str().unwrap_or("unknown")
}
