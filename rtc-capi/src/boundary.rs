//! Where C calls Rust: panics and errors become codes, pointers become values.
//!
//! Pointers are the caller's promise, made once for all functions in `rtc/rtc.h`: each is NULL or
//! points at memory of the stated type that stays valid until the call returns. NULL is checked
//! here; a wild pointer cannot be.
#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use librtc::{Error, ErrorKind, Result};

use crate::abi::{
    RTC_ERR_FAILURE, RTC_ERR_INVALID, RTC_ERR_NOT_AVAIL, RTC_ERR_SUCCESS, RTC_ERR_TOO_SMALL,
};
use crate::logger::Call;

/// Defines exported functions. Each body is a `Result` of the function's return type.
macro_rules! exports {
    ($(
        $(#[$doc:meta])*
        pub extern "C" fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $return:ty)?
        $body:block
    )*) => {$(
        $(#[$doc])*
        #[allow(unsafe_code, non_snake_case)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($($argument: $type),*) $(-> $return)? {
            crate::boundary::run(stringify!($name), move || $body)
        }
    )*};
}

/// What an exported function returns when it fails.
pub(crate) trait Export {
    fn failed(code: c_int) -> Self;
}

impl Export for c_int {
    fn failed(code: c_int) -> Self {
        code
    }
}

impl Export for bool {
    fn failed(_: c_int) -> Self {
        false
    }
}

impl Export for () {
    fn failed(_: c_int) -> Self {}
}

impl<T> Export for *const T {
    fn failed(_: c_int) -> Self {
        std::ptr::null()
    }
}

impl<T> Export for *mut T {
    fn failed(_: c_int) -> Self {
        std::ptr::null_mut()
    }
}

/// Runs the body of an exported function: an error or a panic is logged and becomes a code.
pub(crate) fn run<R: Export>(name: &str, body: impl FnOnce() -> Result<R>) -> R {
    let _call = Call::begin();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            // That something is not there, or does not fit, is an answer and not a failure.
            match error.kind() {
                ErrorKind::NotAvailable | ErrorKind::TooSmall => log::debug!("{name}: {error}"),
                _ => log::error!("{name}: {error}"),
            }
            R::failed(code(error.kind()))
        }
        Err(panic) => {
            log::error!("{name}: internal error: {}", panic_text(&*panic));
            R::failed(RTC_ERR_FAILURE)
        }
    }
}

fn code(kind: ErrorKind) -> c_int {
    match kind {
        ErrorKind::InvalidArgument => RTC_ERR_INVALID,
        ErrorKind::NotAvailable => RTC_ERR_NOT_AVAIL,
        ErrorKind::TooSmall => RTC_ERR_TOO_SMALL,
        _ => RTC_ERR_FAILURE,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return text;
    }
    panic.downcast_ref::<String>().map_or("a panic without a message", String::as_str)
}

/// The bytes of a C string; `None` for NULL.
pub(crate) fn bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and a NUL-terminated string by the header's promise. The result does not
    // outlive the exported function, whose arguments alone carry it.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A C string as text; `None` for NULL. What is not UTF-8 is replaced.
pub(crate) fn text(text: *const c_char) -> Option<String> {
    bytes(text).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// A C string that must be there.
pub(crate) fn required_text(argument: *const c_char, name: &str) -> Result<String> {
    text(argument).ok_or_else(|| Error::invalid(format!("{name} is NULL")))
}

/// A structure that must be there.
pub(crate) fn required<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: NULL or valid by the header's promise; the types of `abi` accept any bit pattern.
    unsafe { pointer.as_ref() }.ok_or_else(|| Error::invalid(format!("{name} is NULL")))
}

/// A place for a result that must be there.
pub(crate) fn required_mut<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: NULL or valid, and not used by others during the call, by the header's promise.
    unsafe { pointer.as_mut() }.ok_or_else(|| Error::invalid(format!("{name} is NULL")))
}

/// `count` elements; an empty slice when `count` is not positive.
pub(crate) fn slice<'a, T>(pointer: *const T, count: c_int, name: &str) -> Result<&'a [T]> {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Error::invalid(format!("{name} is NULL")));
    }
    // SAFETY: not NULL, and `count` elements by the header's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// Copies a string and its terminator out. Returns the size with terminator; with a NULL buffer
/// that is all.
pub(crate) fn copy_text(text: &[u8], buffer: *mut c_char, size: c_int) -> Result<c_int> {
    let needed = c_int::try_from(text.len() + 1)
        .map_err(|_| Error::failure(format!("{} bytes are too many to report", text.len())))?;
    if buffer.is_null() {
        return Ok(needed);
    }
    copy_out(text, buffer, size, needed)?;
    // SAFETY: the buffer holds `needed` bytes, which were just checked against its size.
    unsafe { buffer.add(text.len()).write(0) };
    Ok(needed)
}

/// Copies bytes out, of which with a terminator there would be `needed`.
pub(crate) fn copy_out(data: &[u8], buffer: *mut c_char, size: c_int, needed: c_int) -> Result<()> {
    if size < needed {
        let message = format!("the buffer of {size} bytes is too small for {needed}");
        return Err(Error::new(ErrorKind::TooSmall, message));
    }
    // SAFETY: `buffer` holds `size` bytes by the header's promise, no fewer than `data`, and cannot
    // overlap memory of ours.
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr().cast(), buffer, data.len()) };
    Ok(())
}

/// Copies numbers out. Returns how many there are; with a NULL buffer that is all.
#[cfg(feature = "media")]
pub(crate) fn copy_list<T: Copy>(list: &[T], buffer: *mut T, count: c_int) -> Result<c_int> {
    let needed = clamp(list.len());
    if buffer.is_null() {
        return Ok(needed);
    }
    if count < needed {
        let message = format!("the buffer of {count} elements is too small for {needed}");
        return Err(Error::new(ErrorKind::TooSmall, message));
    }
    // SAFETY: `buffer` holds `count` elements by the header's promise, no fewer than `list`, and
    // cannot overlap memory of ours.
    unsafe { std::ptr::copy_nonoverlapping(list.as_ptr(), buffer, list.len()) };
    Ok(needed)
}

/// The local time as `YYYY-MM-DD HH:MM:SS.mmm`.
pub(crate) fn local_time() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = libc::time_t::try_from(now.as_secs()).unwrap_or(libc::time_t::MAX);
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and zeroed parts are a valid `tm` should the
    // time be out of range.
    let parts = unsafe {
        libc::localtime_r(&raw const seconds, parts.as_mut_ptr());
        parts.assume_init()
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec,
        now.subsec_millis()
    )
}

/// A count or size that may exceed what C can take.
pub(crate) fn clamp(value: usize) -> c_int {
    c_int::try_from(value).unwrap_or(c_int::MAX)
}

pub(crate) const SUCCESS: Result<c_int> = Ok(RTC_ERR_SUCCESS);
