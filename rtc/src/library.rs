//! What all connections of a process share, and when it is unloaded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rtc_core::backend::dtls::CertificateKind;
use rtc_core::config::SctpSettings;
use rtc_core::engine::Engine;
use rtc_core::{Error, Result};

/// Which release of this library it is: the API's version, which is that of `rtc/version.h`, and the
/// number of our release of it.
pub const REVISION: &str = concat!(env!("CARGO_PKG_VERSION"), "-r1");

/// How long unloading waits for connections that are still saying goodbye, before it ends them.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long unloading waits for callbacks that are still running.
const CALLBACKS: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Library {
    engine: Option<Arc<Engine>>,
    /// Connections that were made and not deleted.
    connections: usize,
    /// Unload when the last connection is deleted.
    unload_wanted: bool,
    callback_threads: usize,
    sctp: Option<SctpSettings>,
}

static LIBRARY: Mutex<Library> = Mutex::new(Library {
    engine: None,
    connections: 0,
    unload_wanted: false,
    callback_threads: 0,
    sctp: None,
});

impl Library {
    fn engine(&mut self) -> Result<Arc<Engine>> {
        if let Some(engine) = &self.engine {
            return Ok(engine.clone());
        }
        let engine = Engine::new(self.callback_threads)?;
        self.engine = Some(engine.clone());
        Ok(engine)
    }
}

/// One connection's share of the library; the library can be unloaded once all are gone.
pub(crate) struct Share {
    pub(crate) engine: Arc<Engine>,
}

impl Share {
    pub(crate) fn take() -> Result<Self> {
        let mut library = LIBRARY.lock();
        let engine = library.engine()?;
        library.connections += 1;
        Ok(Self { engine })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let unloaded = {
            let mut library = LIBRARY.lock();
            library.connections = library.connections.saturating_sub(1);
            match library.connections == 0 && std::mem::take(&mut library.unload_wanted) {
                true => library.engine.take(),
                false => None,
            }
        };
        // The one who deletes the last connection does not wait for the threads to end.
        if let Some(engine) = unloaded {
            let work = move || {
                unload(&engine, Instant::now() + GOODBYE, Instant::now() + CALLBACKS);
            };
            if let Err(error) = std::thread::Builder::new().name("rtc-unload".into()).spawn(work) {
                log::error!("the library stays loaded: no thread to unload it: {error}");
            }
        }
    }
}

/// Starts the threads that connections share, so that the first one need not.
pub fn preload() -> Result<()> {
    LIBRARY.lock().engine()?;
    // The first use of a cryptographic library takes it a while to find its feet.
    let backends = crate::default_backends();
    backends.dtls.generate_certificate(CertificateKind::Ecdsa, None).map(|_| ())
}

/// Sets how many threads run callbacks at first; 0 is one for each processor, and at least two.
pub fn set_callback_threads(threads: usize) {
    let mut library = LIBRARY.lock();
    library.callback_threads = threads;
    if let Some(engine) = &library.engine {
        engine.set_callback_threads(threads);
    }
}

/// Sets what connections made from now on use for SCTP unless they say otherwise.
pub fn set_sctp_settings(settings: SctpSettings) {
    LIBRARY.lock().sctp = Some(settings);
}

/// What connections made now use for SCTP unless they say otherwise.
pub fn sctp_settings() -> SctpSettings {
    LIBRARY.lock().sctp.clone().unwrap_or_default()
}

/// Unloads what connections share: at once, waiting until that is done, when every connection has
/// been deleted, otherwise as soon as the last one is. The library can be used again afterwards.
pub fn cleanup() {
    let engine = {
        let mut library = LIBRARY.lock();
        if library.connections > 0 {
            library.unload_wanted = true;
            return;
        }
        library.engine.take()
    };
    if let Some(engine) = engine {
        let now = Instant::now();
        if !unload(&engine, now + GOODBYE, now + CALLBACKS) {
            log::error!(
                "a callback or a look-up of a name was still running when the library was unloaded"
            );
        }
    }
}

/// Ends every connection at once and unloads what they share, waiting at most until `deadline` for
/// callbacks that are running. Handles that remain are of closed connections.
pub fn cleanup_now(deadline: Instant) -> Result<()> {
    let engine = {
        let mut library = LIBRARY.lock();
        library.unload_wanted = false;
        library.engine.take()
    };
    let Some(engine) = engine else { return Ok(()) };
    match unload(&engine, Instant::now(), deadline) {
        true => Ok(()),
        false => Err(Error::failure(
            "a callback or a look-up of a name was still running at the deadline",
        )),
    }
}

fn unload(engine: &Engine, goodbye: Instant, deadline: Instant) -> bool {
    if !engine.wait_quiet(goodbye.min(deadline)) {
        engine.abort_all();
        engine.wait_quiet(deadline.min(Instant::now() + GOODBYE));
    }
    engine.shutdown(deadline)
}
