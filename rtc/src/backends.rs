//! The backends that are compiled in, and which of them are used.

use std::sync::OnceLock;

use rtc_core::backend::{DtlsBackend, IceBackend, TlsBackend};
use rtc_core::peer::Backends;
use rtc_core::{Error, Result};

#[cfg(not(any(feature = "ice-agent", feature = "ice-juice", feature = "ice-nice")))]
compile_error!(
    "librtc needs an ICE backend: enable the feature `ice-agent`, `ice-juice` or `ice-nice`"
);

#[cfg(not(any(feature = "tls-rustls", feature = "tls-rustls-ring", feature = "tls-openssl")))]
compile_error!(
    "librtc needs a TLS backend: enable the feature `tls-rustls`, `tls-rustls-ring` or `tls-openssl`"
);

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
    #[cfg(any(feature = "tls-rustls", feature = "tls-rustls-ring"))]
    &rtc_tls_rustls::BACKEND,
    #[cfg(feature = "tls-openssl")]
    &rtc_tls_openssl::BACKEND,
];

/// The backends for TLS streams that are compiled in; the first is the default.
pub static TLS_BACKENDS: &[&dyn TlsBackend] = &[
    #[cfg(any(feature = "tls-rustls", feature = "tls-rustls-ring"))]
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

/// What the environment says of a backend's role, and what is to be logged of that.
struct Choice<T> {
    backend: T,
    complaint: Option<String>,
}

/// The backend that the environment variable names (unless the process is privileged), else the
/// default.
fn choose<T: Copy>(variable: &str, find: fn(&str) -> Result<T>, default: T) -> Choice<T> {
    let name = match crate::sys::is_privileged() {
        true => None,
        false => std::env::var(variable).ok(),
    };
    match name.as_deref().map(find) {
        None => Choice { backend: default, complaint: None },
        Some(Ok(backend)) => Choice { backend, complaint: None },
        Some(Err(error)) => {
            Choice { backend: default, complaint: Some(format!("{variable} is ignored: {error}")) }
        }
    }
}

/// What connections use that do not choose for themselves: the environment's choice
/// (`RTC_ICE_BACKEND`, `RTC_TLS_BACKEND`, unless the process is privileged), else the first.
pub fn default_backends() -> Backends {
    static CHOICE: OnceLock<Backends> = OnceLock::new();
    // This complains of RTC_TLS_BACKEND for both of its roles.
    let tls = Some(default_tls_backend());
    let mut news = None;
    let backends = *CHOICE.get_or_init(|| {
        let ice = choose("RTC_ICE_BACKEND", ice_backend, ICE_BACKENDS[0]);
        let dtls = choose("RTC_TLS_BACKEND", dtls_backend, DTLS_BACKENDS[0]).backend;
        news = Some(ice.complaint);
        Backends { ice: ice.backend, dtls, tls }
    });
    // A log callback may ask for the backends, so it has to wait until they are settled.
    if let Some(complaint) = news {
        complain(complaint);
        let (ice, dtls) = (backends.ice.name(), backends.dtls.name());
        log::info!("librtc {}: ICE by {ice}, TLS by {dtls}", crate::REVISION);
    }
    backends
}

/// What TLS streams use: the same environment variable `RTC_TLS_BACKEND` chooses, else the first.
pub fn default_tls_backend() -> &'static dyn TlsBackend {
    static CHOICE: OnceLock<&'static dyn TlsBackend> = OnceLock::new();
    let mut complaint = None;
    let backend = *CHOICE.get_or_init(|| {
        let choice = choose("RTC_TLS_BACKEND", tls_backend, TLS_BACKENDS[0]);
        complaint = choice.complaint;
        choice.backend
    });
    complain(complaint);
    backend
}

fn complain(complaint: Option<String>) {
    if let Some(complaint) = complaint {
        log::error!("{complaint}");
    }
}
