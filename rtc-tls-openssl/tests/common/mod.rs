//! The backends of these tests. The virtual clock is OpenSSL's as well.

mod sys;

use rtc_tls_tests::link::Backend;

pub(crate) static OPENSSL: Backend = Backend::with_clock(&rtc_tls_openssl::BACKEND, sys::set_clock);
