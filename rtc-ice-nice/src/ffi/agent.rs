//! One agent of libnice, with one stream of one component.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

use super::declarations as nice;
use super::{callbacks, main_loop::MainLoop};
use crate::listener::Listener;

/// RFC 8863 §4: as long as RFC 8445's checks last at its time-outs.
const PATIENCE: Duration = Duration::from_millis(39_500);
/// RFC 8445 §14.3: no smaller initial time-out is allowed.
const INITIAL_TIMEOUT_MS: c_uint = 500;
const RETRANSMISSIONS: c_uint = 3;
/// RFC 8445 §14.2: 50 ms by default; less where the data warrants it, as it does here.
const PACING_MS: c_uint = 25;

const COMPONENT: c_uint = 1;
/// Datagrams passed to libnice at once: as many as one batch has.
const MAX_BATCH: usize = 64;

/// A `NiceAgent`.
#[derive(Debug)]
pub(crate) struct Agent {
    agent: NonNull<nice::Agent>,
    stream: c_uint,
    /// What callbacks are given; one reference to it is theirs.
    shared: Arc<Shared>,
    main_loop: Arc<MainLoop>,
    has_relays: bool,
    dscp: AtomicU8,
}

// SAFETY: libnice locks its agents, which may be used on any thread.
unsafe impl Send for Agent {}
// SAFETY: as above.
unsafe impl Sync for Agent {}

/// What callbacks are given.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) listener: Listener,
    context: *mut nice::MainContext,
    patience: Mutex<Option<NonNull<nice::Source>>>,
}

// SAFETY: contexts and sources may be used on any thread.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// What an agent is made from.
pub(crate) struct Options {
    pub(crate) controlling: bool,
    pub(crate) tcp: bool,
    pub(crate) relay_only: bool,
    pub(crate) stun: Option<(CString, u16)>,
    pub(crate) relays: Vec<Relay>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) port_range: Option<(u16, u16)>,
}

/// A TURN server.
pub(crate) struct Relay {
    pub(crate) host: CString,
    pub(crate) port: u16,
    pub(crate) username: CString,
    pub(crate) password: CString,
    pub(crate) over_tcp: bool,
}

/// A proxy for TURN over TCP.
pub(crate) struct Proxy {
    pub(crate) is_socks: bool,
    pub(crate) address: CString,
    pub(crate) port: u16,
    pub(crate) username: CString,
    pub(crate) password: CString,
}

/// Why not all datagrams were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The socket took so many and is full now.
    Full(usize),
    /// They were lost.
    Lost,
}

impl Agent {
    pub(crate) fn new(options: &Options, listener: Listener) -> std::io::Result<Self> {
        let main_loop = MainLoop::acquire()?;
        // A stream has a context of its own, and GLib ends the process when it finds no descriptors
        // for one.
        drop(std::io::pipe()?);
        let no_memory = || std::io::Error::from(std::io::ErrorKind::OutOfMemory);
        // SAFETY: the context lives as long as `main_loop`, which the agent does not outlive.
        let agent = NonNull::new(unsafe {
            nice::nice_agent_new_full(main_loop.context(), nice::RFC5245, nice::REGULAR_NOMINATION)
        })
        .ok_or_else(no_memory)?;
        let context = main_loop.context();
        let shared = Arc::new(Shared { listener, context, patience: Mutex::new(None) });
        let has_relays = !options.relays.is_empty();
        // SAFETY: the agent is alive.
        let stream = unsafe { nice::nice_agent_add_stream(agent.as_ptr(), COMPONENT) };
        let dscp = AtomicU8::new(0);
        let made = Self { agent, stream, shared, main_loop, has_relays, dscp };
        made.configure(options);
        made.listen();
        Ok(made)
    }

    fn configure(&self, options: &Options) {
        let flag = |on| if on { nice::TRUE } else { nice::FALSE };
        self.set_number(c"controlling-mode", flag(options.controlling));
        self.set_number(c"ice-udp", nice::TRUE);
        self.set_number(c"ice-tcp", flag(options.tcp));
        self.set_number(c"upnp", nice::FALSE);
        self.set_number(c"force-relay", flag(options.relay_only));
        // With consent freshness libnice gives up after 10 s without an answer, where RFC 7675 has
        // 30 s. With these checks alone it does after 50 s at most.
        self.set_number(c"keepalive-conncheck", nice::TRUE);
        self.set_number(c"stun-initial-timeout", INITIAL_TIMEOUT_MS.cast_signed());
        self.set_number(c"stun-max-retransmissions", RETRANSMISSIONS.cast_signed());
        self.set_number(c"stun-pacing-timer", PACING_MS.cast_signed());
        if let Some((host, port)) = &options.stun {
            self.set_text(c"stun-server", host);
            self.set_number(c"stun-server-port", c_int::from(*port));
        }
        if let Some(proxy) = &options.proxy {
            let kind = if proxy.is_socks { nice::PROXY_SOCKS5 } else { nice::PROXY_HTTP };
            self.set_number(c"proxy-type", kind.cast_signed());
            self.set_text(c"proxy-ip", &proxy.address);
            self.set_number(c"proxy-port", c_int::from(proxy.port));
            self.set_text(c"proxy-username", &proxy.username);
            self.set_text(c"proxy-password", &proxy.password);
        }
        let agent = self.agent.as_ptr();
        if let Some((first, last)) = options.port_range {
            let (first, last) = (c_uint::from(first), c_uint::from(last));
            // SAFETY: the agent is alive.
            unsafe { nice::nice_agent_set_port_range(agent, self.stream, COMPONENT, first, last) };
        }
        for relay in &options.relays {
            // SAFETY: the agent is alive, and the strings outlive the call, which copies them.
            unsafe {
                nice::nice_agent_set_relay_info(
                    agent,
                    self.stream,
                    COMPONENT,
                    relay.host.as_ptr(),
                    c_uint::from(relay.port),
                    relay.username.as_ptr(),
                    relay.password.as_ptr(),
                    if relay.over_tcp { nice::TURN_TCP } else { nice::TURN_UDP },
                )
            };
        }
    }

    /// Sets a property that is a boolean or an unsigned integer.
    fn set_number(&self, name: &CStr, value: c_int) {
        // SAFETY: the agent is alive, the property is one of those above, whose values are passed
        // as integers, and NULL ends the list.
        unsafe {
            let end = ptr::null::<c_char>();
            nice::g_object_set(self.agent.as_ptr(), name.as_ptr(), value, end);
        };
    }

    fn set_text(&self, name: &CStr, value: &CStr) {
        // SAFETY: the agent is alive, the property is one of those above and copies its value, and
        // NULL ends the list.
        unsafe {
            let end = ptr::null::<c_char>();
            nice::g_object_set(self.agent.as_ptr(), name.as_ptr(), value.as_ptr(), end);
        };
    }

    fn listen(&self) {
        let agent = self.agent.as_ptr();
        let user = Arc::into_raw(self.shared.clone()).cast::<c_void>().cast_mut();
        // SAFETY: each function has the type of its signal's handlers; GObject calls them through
        // the marshaller of the signal and never as the type they are passed as.
        let handlers: [(&CStr, nice::Callback); 4] = unsafe {
            [
                (c"component-state-changed", callback(callbacks::state_changed as *const ())),
                (c"new-candidate-full", callback(callbacks::candidate as *const ())),
                (c"candidate-gathering-done", callback(callbacks::gathering_done as *const ())),
                (c"new-selected-pair-full", callback(callbacks::selected_pair as *const ())),
            ]
        };
        // SAFETY: the agent is alive; `user` lives until `tear_down` has taken the handlers away.
        unsafe {
            for (signal, handler) in handlers {
                nice::g_signal_connect_data(agent, signal.as_ptr(), handler, user, None, 0);
            }
            nice::nice_agent_attach_recv(
                agent,
                self.stream,
                COMPONENT,
                self.shared.context,
                Some(callbacks::received),
                user,
            );
        }
    }

    /// Takes the controlling role.
    pub(crate) fn take_control(&self) {
        self.set_number(c"controlling-mode", nice::TRUE);
    }

    /// Begins anew with other credentials, and tells of the candidates once more.
    pub(crate) fn restart(&self) {
        let agent = self.agent.as_ptr();
        self.shared.end_patience();
        self.shared.listener.restarted();
        // SAFETY: the agent is alive; the list and what is in it are copies for us to free.
        unsafe {
            nice::nice_agent_restart_stream(agent, self.stream);
            let list = nice::nice_agent_get_local_candidates(agent, self.stream, COMPONENT);
            let mut entry = list;
            while let Some(current) = entry.as_ref() {
                let candidate = current.data.cast::<nice::Candidate>();
                if let Some(candidate) = callbacks::read(agent, candidate) {
                    self.shared.listener.candidate(candidate);
                }
                nice::nice_candidate_free(candidate);
                entry = current.next;
            }
            nice::g_slist_free(list);
        }
        self.shared.listener.gathered();
    }

    pub(crate) fn listener(&self) -> &Listener {
        &self.shared.listener
    }

    /// Our credentials: user name fragment, password.
    pub(crate) fn local_credentials(&self) -> Option<(String, String)> {
        let (mut ufrag, mut pwd) = (ptr::null_mut::<c_char>(), ptr::null_mut::<c_char>());
        // SAFETY: the agent is alive; what it writes are strings for us to free.
        unsafe {
            let agent = self.agent.as_ptr();
            let found =
                nice::nice_agent_get_local_credentials(agent, self.stream, &mut ufrag, &mut pwd);
            (found != nice::FALSE).then(|| (take_text(ufrag), take_text(pwd)))
        }
    }

    /// Sets our credentials, which libnice takes until checks begin; false if it refuses.
    pub(crate) fn set_local_credentials(&self, ufrag: &CStr, pwd: &CStr) -> bool {
        let (agent, ufrag, pwd) = (self.agent.as_ptr(), ufrag.as_ptr(), pwd.as_ptr());
        // SAFETY: the agent is alive, and the strings outlive the call, which copies them.
        let set = unsafe { nice::nice_agent_set_local_credentials(agent, self.stream, ufrag, pwd) };
        set != nice::FALSE
    }

    /// Sets the peer's credentials.
    pub(crate) fn set_remote_credentials(&self, ufrag: &CStr, pwd: &CStr) {
        let agent = self.agent.as_ptr();
        // SAFETY: the agent is alive, and the strings outlive the call, which copies them.
        unsafe {
            nice::nice_agent_set_remote_credentials(
                agent,
                self.stream,
                ufrag.as_ptr(),
                pwd.as_ptr(),
            )
        };
        if self.shared.listener.remote_set() {
            self.shared.begin_patience();
        }
    }

    /// Adds a candidate of the peer, given with `a=candidate:` before it.
    pub(crate) fn add_remote_candidate(&self, text: &CStr) {
        let agent = self.agent.as_ptr();
        // SAFETY: the agent and the string are alive; the candidate is ours to free, and the list,
        // which is copied from.
        unsafe {
            let candidate =
                nice::nice_agent_parse_remote_candidate_sdp(agent, self.stream, text.as_ptr());
            if candidate.is_null() {
                return;
            }
            let list = nice::g_slist_append(ptr::null_mut(), candidate.cast());
            nice::nice_agent_set_remote_candidates(agent, self.stream, COMPONENT, list);
            nice::g_slist_free(list);
            nice::nice_candidate_free(candidate);
        }
    }

    /// Opens sockets and begins to gather; false when none can be bound.
    pub(crate) fn gather(&self) -> bool {
        self.shared.listener.hold();
        // SAFETY: the agent is alive.
        let begun = unsafe { nice::nice_agent_gather_candidates(self.agent.as_ptr(), self.stream) };
        self.shared.listener.release();
        begun != nice::FALSE
    }

    /// Sends datagrams over the selected pair.
    pub(crate) fn send<'a>(
        &self,
        datagrams: impl Iterator<Item = &'a [u8]>,
        dscp: u8,
    ) -> Result<(), SendError> {
        if self.dscp.swap(dscp, Ordering::Relaxed) != dscp {
            // The two lower bits of the field are for congestion notification.
            let tos = c_int::from(dscp) << 2;
            // SAFETY: the agent is alive.
            unsafe { nice::nice_agent_set_stream_tos(self.agent.as_ptr(), self.stream, tos) };
        }
        let mut vectors: [nice::OutputVector; MAX_BATCH] =
            std::array::from_fn(|_| nice::OutputVector { buffer: ptr::null(), size: 0 });
        let mut datagrams = datagrams.peekable();
        let mut sent = 0;
        while datagrams.peek().is_some() {
            let mut count = 0;
            for (vector, datagram) in vectors.iter_mut().zip(&mut datagrams) {
                *vector =
                    nice::OutputVector { buffer: datagram.as_ptr().cast(), size: datagram.len() };
                count += 1;
            }
            match self.send_vectors(vectors.get_mut(..count).unwrap_or_default()) {
                Ok(taken) if taken == count => sent += count,
                Ok(taken) => return Err(SendError::Full(sent + taken)),
                Err(SendError::Full(_)) => return Err(SendError::Full(sent)),
                Err(SendError::Lost) => return Err(SendError::Lost),
            }
        }
        Ok(())
    }

    /// Sends one datagram for each vector; returns how many were.
    fn send_vectors(&self, vectors: &mut [nice::OutputVector]) -> Result<usize, SendError> {
        let mut messages: [nice::OutputMessage; MAX_BATCH] =
            std::array::from_fn(|_| nice::OutputMessage { buffers: ptr::null_mut(), n_buffers: 0 });
        let count = vectors.len().min(MAX_BATCH);
        for (message, vector) in messages.iter_mut().zip(vectors) {
            *message = nice::OutputMessage { buffers: vector, n_buffers: 1 };
        }
        let mut error = ptr::null_mut::<nice::Error>();
        // SAFETY: the agent is alive, the messages and what they point to outlive the call, and
        // `count` of them are filled; an error is ours to free.
        unsafe {
            let sent = nice::nice_agent_send_messages_nonblocking(
                self.agent.as_ptr(),
                self.stream,
                COMPONENT,
                messages.as_ptr(),
                c_uint::try_from(count).unwrap_or(0),
                ptr::null_mut(),
                &mut error,
            );
            let full = error.as_ref().is_some_and(|error| {
                error.domain == nice::g_io_error_quark() && error.code == nice::WOULD_BLOCK
            });
            if !error.is_null() {
                nice::g_error_free(error);
            }
            match usize::try_from(sent) {
                Ok(sent) => Ok(sent),
                Err(_) if full => Err(SendError::Full(0)),
                Err(_) => Err(SendError::Lost),
            }
        }
    }

    /// Ends the agent on the thread of libnice: when that is done, no callback comes any more.
    pub(crate) fn end(self) -> Ended {
        let (tell, done) = mpsc::channel();
        let Self { agent, stream, shared, main_loop, has_relays, .. } = self;
        let ending = Ending { agent, stream, shared, has_relays, tell };
        main_loop.run(move || ending.tear_down());
        Ended { done, main_loop }
    }
}

/// An agent on its way out.
struct Ending {
    agent: NonNull<nice::Agent>,
    stream: c_uint,
    shared: Arc<Shared>,
    has_relays: bool,
    tell: mpsc::Sender<()>,
}

// SAFETY: as for `Agent`.
unsafe impl Send for Ending {}

impl Ending {
    /// On the thread of libnice, on which no callback is running therefore.
    fn tear_down(self) {
        let (agent, user) = (self.agent.as_ptr(), Arc::as_ptr(&self.shared));
        // SAFETY: the agent is alive. Its handlers and its receive function are taken away; then
        // the reference that they had is given back.
        unsafe {
            nice::g_signal_handlers_disconnect_matched(
                agent,
                nice::MATCH_DATA,
                0,
                0,
                ptr::null_mut(),
                ptr::null_mut(),
                user.cast::<c_void>().cast_mut(),
            );
            let context = self.shared.context;
            let stream = self.stream;
            nice::nice_agent_attach_recv(agent, stream, COMPONENT, context, None, ptr::null_mut());
            self.shared.end_patience();
            drop(Arc::from_raw(user));
            nice::nice_agent_remove_stream(agent, stream);
        }
        if self.has_relays {
            // TURN servers are told first.
            let closing = Box::into_raw(Box::new(self.tell)).cast::<c_void>();
            let context = self.shared.context;
            // SAFETY: the agent is alive, and `closed` takes what it is given. It is called on the
            // thread whose default context this is at the time of the call.
            unsafe {
                nice::g_main_context_push_thread_default(context);
                nice::nice_agent_close_async(agent, closed, closing);
                nice::g_main_context_pop_thread_default(context);
            }
        } else {
            // SAFETY: this is the reference that `Agent` had.
            unsafe { nice::g_object_unref(agent) };
            let _ = self.tell.send(());
        }
    }
}

unsafe extern "C" fn closed(agent: *mut nice::Agent, _: *mut c_void, closing: *mut c_void) {
    // SAFETY: this is the reference that `Agent` had, and the box that `tear_down` passed.
    let tell = unsafe {
        nice::g_object_unref(agent);
        Box::from_raw(closing.cast::<mpsc::Sender<()>>())
    };
    // Nobody listens any more if the process is ending.
    let _ = tell.send(());
}

/// An agent that is ending. The thread of libnice lives at least as long as this.
pub(crate) struct Ended {
    done: mpsc::Receiver<()>,
    main_loop: Arc<MainLoop>,
}

impl Ended {
    /// Waits until the agent has ended. With the last one the thread of libnice ends.
    pub(crate) fn wait(self) {
        // An error means that it was dropped, so that it has ended, too.
        let _ = self.done.recv();
        drop(self.main_loop);
    }
}

impl Shared {
    /// Sets the time-out after which the connection has failed.
    pub(super) fn begin_patience(&self) {
        let user = ptr::from_ref(self).cast::<c_void>().cast_mut();
        let milliseconds = c_uint::try_from(PATIENCE.as_millis()).unwrap_or(c_uint::MAX);
        // SAFETY: the context outlives the source, and `user` as well: `tear_down` destroys it.
        unsafe {
            let source = nice::g_timeout_source_new(milliseconds);
            nice::g_source_set_callback(source, callbacks::patience_over, user, None);
            nice::g_source_attach(source, self.context);
            *self.patience.lock() = NonNull::new(source);
        }
    }

    fn end_patience(&self) {
        if let Some(source) = self.patience.lock().take() {
            // SAFETY: this is the reference that `begin_patience` got.
            unsafe {
                nice::g_source_destroy(source.as_ptr());
                nice::g_source_unref(source.as_ptr());
            }
        }
    }
}

/// The type-less form that GObject takes handlers in.
///
/// # Safety
///
/// `handler` has to be a function of the C calling convention.
unsafe fn callback(handler: *const ()) -> nice::Callback {
    // SAFETY: as the caller promises; all function pointers have one size.
    unsafe { std::mem::transmute::<*const (), nice::Callback>(handler) }
}

/// The text that libnice gave us, which is freed.
///
/// # Safety
///
/// `text` has to be a string for us to free, or NULL.
unsafe fn take_text(text: *mut c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller promises.
    unsafe {
        let taken = CStr::from_ptr(text).to_string_lossy().into_owned();
        nice::g_free(text.cast());
        taken
    }
}
