//! What is used of libnice 0.1.21 and GLib 2, as their headers declare it.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

/// A type of which only pointers exist here.
macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub(super) struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

opaque! {
    /// `GMainContext`.
    MainContext,
    /// `GSource`.
    Source,
    /// `NiceAgent`.
    Agent,
    /// `NiceCandidate`.
    Candidate
}

/// `gboolean`.
pub(super) type Boolean = c_int;
pub(super) const FALSE: Boolean = 0;
pub(super) const TRUE: Boolean = 1;

/// `GSourceFunc`.
pub(super) type SourceFunction = unsafe extern "C" fn(*mut c_void) -> Boolean;
/// `GDestroyNotify`.
pub(super) type DestroyNotify = unsafe extern "C" fn(*mut c_void);
/// `GCallback`: the signal's own type is known to whoever connects it.
pub(super) type Callback = unsafe extern "C" fn();
/// `GAsyncReadyCallback`.
pub(super) type ReadyCallback = unsafe extern "C" fn(*mut Agent, *mut c_void, *mut c_void);
/// `NiceAgentRecvFunc`.
pub(super) type ReceiveFunction =
    unsafe extern "C" fn(*mut Agent, c_uint, c_uint, c_uint, *mut c_char, *mut c_void);

/// `G_PRIORITY_DEFAULT`.
pub(super) const PRIORITY_DEFAULT: c_int = 0;
/// `G_SIGNAL_MATCH_DATA`.
pub(super) const MATCH_DATA: c_uint = 1 << 4;
/// `G_IO_ERROR_WOULD_BLOCK`.
pub(super) const WOULD_BLOCK: c_int = 27;

/// `NICE_COMPATIBILITY_RFC5245`.
pub(super) const RFC5245: c_uint = 0;
/// `NICE_AGENT_OPTION_REGULAR_NOMINATION`.
pub(super) const REGULAR_NOMINATION: c_uint = 1;

// `NiceComponentState`. The others are of no interest.
pub(super) const STATE_CONNECTING: c_uint = 2;
pub(super) const STATE_CONNECTED: c_uint = 3;
pub(super) const STATE_READY: c_uint = 4;
pub(super) const STATE_FAILED: c_uint = 5;

// `NiceRelayType`.
pub(super) const TURN_UDP: c_uint = 0;
pub(super) const TURN_TCP: c_uint = 1;

// `NiceProxyType`.
pub(super) const PROXY_SOCKS5: c_uint = 1;
pub(super) const PROXY_HTTP: c_uint = 2;

/// `GSList`.
#[repr(C)]
pub(super) struct List {
    pub(super) data: *mut c_void,
    pub(super) next: *mut List,
}

/// `GError`.
#[repr(C)]
pub(super) struct Error {
    pub(super) domain: u32,
    pub(super) code: c_int,
    pub(super) message: *mut c_char,
}

/// `GOutputVector`.
#[repr(C)]
pub(super) struct OutputVector {
    pub(super) buffer: *const c_void,
    pub(super) size: usize,
}

/// `NiceOutputMessage`.
#[repr(C)]
pub(super) struct OutputMessage {
    pub(super) buffers: *mut OutputVector,
    pub(super) n_buffers: c_int,
}

unsafe extern "C" {
    // GLib.
    pub(super) fn g_main_context_new() -> *mut MainContext;
    pub(super) fn g_main_context_unref(context: *mut MainContext);
    pub(super) fn g_main_context_acquire(context: *mut MainContext) -> Boolean;
    pub(super) fn g_main_context_release(context: *mut MainContext);
    pub(super) fn g_main_context_push_thread_default(context: *mut MainContext);
    pub(super) fn g_main_context_pop_thread_default(context: *mut MainContext);
    pub(super) fn g_main_context_iteration(
        context: *mut MainContext,
        may_block: Boolean,
    ) -> Boolean;
    pub(super) fn g_main_context_wakeup(context: *mut MainContext);
    pub(super) fn g_idle_source_new() -> *mut Source;
    pub(super) fn g_timeout_source_new(milliseconds: c_uint) -> *mut Source;
    pub(super) fn g_source_set_priority(source: *mut Source, priority: c_int);
    pub(super) fn g_source_set_callback(
        source: *mut Source,
        function: SourceFunction,
        data: *mut c_void,
        notify: Option<DestroyNotify>,
    );
    pub(super) fn g_source_attach(source: *mut Source, context: *mut MainContext) -> c_uint;
    pub(super) fn g_source_destroy(source: *mut Source);
    pub(super) fn g_source_unref(source: *mut Source);
    pub(super) fn g_free(memory: *mut c_void);
    pub(super) fn g_error_free(error: *mut Error);
    pub(super) fn g_slist_append(list: *mut List, data: *mut c_void) -> *mut List;
    pub(super) fn g_slist_free(list: *mut List);
    pub(super) fn g_io_error_quark() -> u32;

    // GObject.
    pub(super) fn g_object_set(object: *mut Agent, first: *const c_char, ...);
    pub(super) fn g_object_unref(object: *mut Agent);
    pub(super) fn g_signal_connect_data(
        instance: *mut Agent,
        signal: *const c_char,
        handler: Callback,
        data: *mut c_void,
        destroy_data: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
        flags: c_uint,
    ) -> c_ulong;
    pub(super) fn g_signal_handlers_disconnect_matched(
        instance: *mut Agent,
        mask: c_uint,
        signal: c_uint,
        detail: u32,
        closure: *mut c_void,
        function: *mut c_void,
        data: *mut c_void,
    ) -> c_uint;

    // libnice.
    pub(super) fn nice_agent_new_full(
        context: *mut MainContext,
        compatibility: c_uint,
        options: c_uint,
    ) -> *mut Agent;
    pub(super) fn nice_agent_add_stream(agent: *mut Agent, components: c_uint) -> c_uint;
    pub(super) fn nice_agent_remove_stream(agent: *mut Agent, stream: c_uint);
    pub(super) fn nice_agent_close_async(
        agent: *mut Agent,
        callback: ReadyCallback,
        data: *mut c_void,
    );
    pub(super) fn nice_agent_set_port_range(
        agent: *mut Agent,
        stream: c_uint,
        component: c_uint,
        first: c_uint,
        last: c_uint,
    );
    pub(super) fn nice_agent_set_relay_info(
        agent: *mut Agent,
        stream: c_uint,
        component: c_uint,
        host: *const c_char,
        port: c_uint,
        username: *const c_char,
        password: *const c_char,
        kind: c_uint,
    ) -> Boolean;
    pub(super) fn nice_agent_attach_recv(
        agent: *mut Agent,
        stream: c_uint,
        component: c_uint,
        context: *mut MainContext,
        function: Option<ReceiveFunction>,
        data: *mut c_void,
    ) -> Boolean;
    pub(super) fn nice_agent_gather_candidates(agent: *mut Agent, stream: c_uint) -> Boolean;
    pub(super) fn nice_agent_get_local_credentials(
        agent: *mut Agent,
        stream: c_uint,
        ufrag: *mut *mut c_char,
        pwd: *mut *mut c_char,
    ) -> Boolean;
    pub(super) fn nice_agent_set_local_credentials(
        agent: *mut Agent,
        stream: c_uint,
        ufrag: *const c_char,
        pwd: *const c_char,
    ) -> Boolean;
    pub(super) fn nice_agent_set_remote_credentials(
        agent: *mut Agent,
        stream: c_uint,
        ufrag: *const c_char,
        pwd: *const c_char,
    ) -> Boolean;
    pub(super) fn nice_agent_parse_remote_candidate_sdp(
        agent: *mut Agent,
        stream: c_uint,
        sdp: *const c_char,
    ) -> *mut Candidate;
    pub(super) fn nice_agent_set_remote_candidates(
        agent: *mut Agent,
        stream: c_uint,
        component: c_uint,
        candidates: *const List,
    ) -> c_int;
    pub(super) fn nice_agent_generate_local_candidate_sdp(
        agent: *mut Agent,
        candidate: *mut Candidate,
    ) -> *mut c_char;
    pub(super) fn nice_agent_get_local_candidates(
        agent: *mut Agent,
        stream: c_uint,
        component: c_uint,
    ) -> *mut List;
    pub(super) fn nice_candidate_free(candidate: *mut Candidate);
    pub(super) fn nice_agent_set_stream_tos(agent: *mut Agent, stream: c_uint, tos: c_int);
    pub(super) fn nice_agent_send_messages_nonblocking(
        agent: *mut Agent,
        stream: c_uint,
        component: c_uint,
        messages: *const OutputMessage,
        count: c_uint,
        cancellable: *mut c_void,
        error: *mut *mut Error,
    ) -> c_int;
    pub(super) fn nice_agent_restart_stream(agent: *mut Agent, stream: c_uint) -> Boolean;
}
