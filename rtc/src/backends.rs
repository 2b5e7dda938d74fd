//! The backends that are compiled in, and which of them are used.

use std::sync::OnceLock;

use rtc_core::backend::{DtlsBackend, IceBackend, TlsBackend};
use rtc_core::peer::Backends;
use rtc_core::{Error, Result};

#[cfg(not(any(feature = "ice-agent", feature = "ice-juice", feature = "ice-nice")))]
compile_error!(
    "librtc needs an ICE backend: enable the feature `ice-agent`, `ice-juice` or `ice-nice`"
);

#[cfg(not(any(feature = "tls-rustls", feature = "tls-openssl")))]
compile_error!("librtc needs a TLS backend: enable the feature `tls-rustls` or `tls-openssl`");

/// The ICE backends that are compiled in; the first is the default.
pub static ICE_BACKENDS: &[&dyn IceBackend] = &[
    #[cfg(feature = "ice-agent")]
    &rtc_ice_agent::BACKEND,
    #[cfg(feature = "ice-juice")]
    &rtc_ice_juice::BACKEND,
    #[cfg(feature = "ice-nice")]
    &rtc_ice_nice::BACKEND,
];

/// The DTLS backends that are compiled in; the first is the default.
pub static DTLS_BACKENDS: &[&dyn DtlsBackend] = &[
    #[cfg(feature = "tls-rustls")]
    &rtc_tls_rustls::BACKEND,
    #[cfg(feature = "tls-openssl")]
    &rtc_tls_openssl::BACKEND,
];

/// The backends for TLS streams that are compiled in; the first is the default.
pub static TLS_BACKENDS: &[&dyn TlsBackend] = &[
    #[cfg(feature = "tls-rustls")]
    &rtc_tls_rustls::BACKEND,
    #[cfg(feature = "tls-openssl")]
    &rtc_tls_openssl::BACKEND,
];

/// The names of the backends for ICE and for TLS that are compiled in.
pub fn backend_names() -> (Vec<&'static str>, Vec<&'static str>) {
    let ice = ICE_BACKENDS.iter().map(|backend| backend.name()).collect();
    let tls = DTLS_BACKENDS.iter().map(|backend| backend.name()).collect();
    (ice, tls)
}

/// The ICE backend of that name.
pub fn ice_backend(name: &str) -> Result<&'static dyn IceBackend> {
    named(ICE_BACKENDS, "ICE", name, |backend| backend.name())
}

/// The DTLS backend of that name.
pub fn dtls_backend(name: &str) -> Result<&'static dyn DtlsBackend> {
    named(DTLS_BACKENDS, "TLS", name, |backend| backend.name())
}

/// The backend for TLS streams of that name.
pub fn tls_backend(name: &str) -> Result<&'static dyn TlsBackend> {
    named(TLS_BACKENDS, "TLS", name, |backend| backend.name())
}

fn named<B: ?Sized>(
    backends: &[&'static B],
    role: &str,
    name: &str,
    name_of: fn(&B) -> &'static str,
) -> Result<&'static B> {
    let found = backends.iter().copied().find(|backend| name_of(backend) == name);
    found.ok_or_else(|| Error::invalid(format!("there is no {role} backend named {name:?}")))
}

/// What connections use that do not choose for themselves: the environment's choice
/// (`RTC_ICE_BACKEND`, `RTC_TLS_BACKEND`, unless the process is privileged), else the first.
pub fn default_backends() -> Backends {
    static CHOICE: OnceLock<Backends> = OnceLock::new();
    *CHOICE.get_or_init(|| {
        let ice = from_environment("RTC_ICE_BACKEND", ice_backend).unwrap_or(ICE_BACKENDS[0]);
        let dtls = from_environment("RTC_TLS_BACKEND", dtls_backend).unwrap_or(DTLS_BACKENDS[0]);
        let revision = crate::REVISION;
        log::info!("librtc {revision}: ICE by {}, TLS by {}", ice.name(), dtls.name());
        Backends { ice, dtls, tls: Some(default_tls_backend()) }
    })
}

/// What TLS streams use: the same environment variable `RTC_TLS_BACKEND` chooses, else the first.
pub fn default_tls_backend() -> &'static dyn TlsBackend {
    static CHOICE: OnceLock<&'static dyn TlsBackend> = OnceLock::new();
    *CHOICE
        .get_or_init(|| from_environment("RTC_TLS_BACKEND", tls_backend).unwrap_or(TLS_BACKENDS[0]))
}

fn from_environment<T>(variable: &str, find: fn(&str) -> Result<T>) -> Option<T> {
    if crate::sys::is_privileged() {
        return None;
    }
    let name = std::env::var(variable).ok()?;
    find(&name).inspect_err(|error| log::error!("{variable} is ignored: {error}")).ok()
}
