//! libjuice's functions and structures, as `juice/juice.h` of release 1.6 declares them.

use std::ffi::{c_char, c_int, c_void};

/// `juice_agent_t`, of which only pointers exist here.
#[repr(C)]
pub(super) struct Agent {
    _opaque: [u8; 0],
}

pub(super) const ERR_AGAIN: c_int = -5;

// `juice_state_t`. Other values are not told apart.
pub(super) const STATE_CONNECTING: c_int = 2;
pub(super) const STATE_CONNECTED: c_int = 3;
pub(super) const STATE_COMPLETED: c_int = 4;
pub(super) const STATE_FAILED: c_int = 5;

// `juice_concurrency_mode_t`.
pub(super) const MODE_POLL: c_int = 0;
pub(super) const MODE_MUX: c_int = 1;
pub(super) const MODE_THREAD: c_int = 2;

// `juice_log_level_t`.
pub(super) const LOG_INFO: c_int = 2;
pub(super) const LOG_WARN: c_int = 3;
pub(super) const LOG_ERROR: c_int = 4;
pub(super) const LOG_FATAL: c_int = 5;

/// `JUICE_MAX_CANDIDATE_SDP_STRING_LEN`.
pub(super) const CANDIDATE_LENGTH: usize = 256;

/// `juice_turn_server_t`.
#[repr(C)]
pub(super) struct TurnServer {
    pub(super) host: *const c_char,
    pub(super) username: *const c_char,
    pub(super) password: *const c_char,
    pub(super) port: u16,
}

/// `juice_config_t`.
#[repr(C)]
pub(super) struct Config {
    pub(super) concurrency_mode: c_int,
    pub(super) stun_server_host: *const c_char,
    pub(super) stun_server_port: u16,
    pub(super) turn_servers: *mut TurnServer,
    pub(super) turn_servers_count: c_int,
    pub(super) bind_address: *const c_char,
    pub(super) local_port_range_begin: u16,
    pub(super) local_port_range_end: u16,
    pub(super) cb_state_changed: Option<unsafe extern "C" fn(*mut Agent, c_int, *mut c_void)>,
    pub(super) cb_candidate: Option<unsafe extern "C" fn(*mut Agent, *const c_char, *mut c_void)>,
    pub(super) cb_gathering_done: Option<unsafe extern "C" fn(*mut Agent, *mut c_void)>,
    pub(super) cb_recv: Option<unsafe extern "C" fn(*mut Agent, *const c_char, usize, *mut c_void)>,
    pub(super) user_ptr: *mut c_void,
}

unsafe extern "C" {
    pub(super) fn juice_create(config: *const Config) -> *mut Agent;
    pub(super) fn juice_destroy(agent: *mut Agent);
    pub(super) fn juice_gather_candidates(agent: *mut Agent) -> c_int;
    pub(super) fn juice_set_local_ice_attributes(
        agent: *mut Agent,
        ufrag: *const c_char,
        pwd: *const c_char,
    ) -> c_int;
    pub(super) fn juice_get_local_description(
        agent: *mut Agent,
        buffer: *mut c_char,
        size: usize,
    ) -> c_int;
    pub(super) fn juice_set_remote_description(agent: *mut Agent, sdp: *const c_char) -> c_int;
    pub(super) fn juice_add_remote_candidate(agent: *mut Agent, sdp: *const c_char) -> c_int;
    pub(super) fn juice_set_remote_gathering_done(agent: *mut Agent) -> c_int;
    pub(super) fn juice_send_diffserv(
        agent: *mut Agent,
        data: *const c_char,
        size: usize,
        ds: c_int,
    ) -> c_int;
    pub(super) fn juice_get_selected_candidates(
        agent: *mut Agent,
        local: *mut c_char,
        local_size: usize,
        remote: *mut c_char,
        remote_size: usize,
    ) -> c_int;
    pub(super) fn juice_set_log_level(level: c_int);
    pub(super) fn juice_set_log_handler(
        handler: Option<unsafe extern "C" fn(c_int, *const c_char)>,
    );
}
