//! One agent of libjuice.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rtc_core::backend::Delivery;

use super::callbacks;
use super::declarations as juice;
use crate::polling::Place;

/// A `juice_agent_t`. Its events and datagrams go to a [`Delivery`].
///
/// libjuice locks an agent only once it has gathered; before that, whatever takes `&mut self` must
/// not overlap with anything else, which the borrow checker sees to.
#[derive(Debug)]
pub(crate) struct Agent {
    agent: NonNull<juice::Agent>,
    /// What the callbacks are given: a reference counted pointer, given back after the agent.
    user: *const Delivery,
    /// `None` for an agent with a thread of its own.
    _place: Option<Place>,
}

// SAFETY: libjuice's agents may be used and destroyed on any thread, and so may a `Delivery`.
unsafe impl Send for Agent {}
// SAFETY: the methods that take `&self` are those that libjuice locks for itself.
unsafe impl Sync for Agent {}

/// What an agent is made from.
pub(crate) struct Options<'a> {
    pub(crate) share_port: bool,
    pub(crate) stun: Option<Server>,
    pub(crate) bind_address: Option<&'a CStr>,
    pub(crate) port_range: Option<(u16, u16)>,
    pub(crate) ufrag: &'a CStr,
    pub(crate) pwd: &'a CStr,
    pub(crate) turn: &'a [Server],
}

/// A STUN or TURN server.
pub(crate) struct Server {
    pub(crate) host: CString,
    pub(crate) port: u16,
    pub(crate) username: CString,
    pub(crate) password: CString,
}

/// Why a datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// The socket is full for the moment.
    Full,
    /// It was lost.
    Lost,
}

impl Agent {
    /// Makes an agent; `None` when libjuice refuses, for want of memory above all.
    pub(crate) fn new(options: &Options<'_>, delivery: Arc<Delivery>) -> Option<Self> {
        callbacks::set_up_log();
        let mut turn: Vec<_> = options.turn.iter().map(Server::as_juice).collect();
        let (begin, end) = options.port_range.unwrap_or((0, 0));
        let place = if options.share_port { None } else { Place::take(&delivery) };
        let user = Arc::into_raw(delivery);
        let config = juice::Config {
            concurrency_mode: match place {
                _ if options.share_port => juice::MODE_MUX,
                Some(_) => juice::MODE_POLL,
                None => juice::MODE_THREAD,
            },
            stun_server_host: options.stun.as_ref().map_or(ptr::null(), |s| s.host.as_ptr()),
            stun_server_port: options.stun.as_ref().map_or(0, |s| s.port),
            turn_servers: turn.as_mut_ptr(),
            turn_servers_count: c_int::try_from(turn.len()).unwrap_or(0),
            bind_address: options.bind_address.map_or(ptr::null(), CStr::as_ptr),
            local_port_range_begin: begin,
            local_port_range_end: end,
            cb_state_changed: Some(callbacks::state_changed),
            cb_candidate: Some(callbacks::candidate),
            cb_gathering_done: Some(callbacks::gathering_done),
            cb_recv: Some(callbacks::received),
            user_ptr: user.cast::<c_void>().cast_mut(),
        };
        // SAFETY: the strings outlive the call, which copies them; `user` lives as long as the
        // agent, see `drop`.
        let agent = NonNull::new(unsafe { juice::juice_create(&config) });
        let Some(agent) = agent else {
            // SAFETY: it came from `into_raw` above, and nobody else has it.
            drop(unsafe { Arc::from_raw(user) });
            return None;
        };
        let mut made = Self { agent, user, _place: place };
        made.set_local_credentials(options.ufrag, options.pwd).then_some(made)
    }

    /// Sets our credentials; false once gathering has begun.
    pub(crate) fn set_local_credentials(&mut self, ufrag: &CStr, pwd: &CStr) -> bool {
        let (ufrag, pwd) = (ufrag.as_ptr(), pwd.as_ptr());
        // SAFETY: the agent is alive and the strings outlive the call, which copies them.
        unsafe { juice::juice_set_local_ice_attributes(self.agent.as_ptr(), ufrag, pwd) == 0 }
    }

    /// Takes the controlling role, unless the role is settled already.
    pub(crate) fn take_control(&mut self) {
        let mut buffer = [0 as c_char; 4096];
        // SAFETY: the buffer has the length that is told. What is written to it is not needed: who
        // asks for the local description first is in control.
        unsafe {
            juice::juice_get_local_description(
                self.agent.as_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        };
    }

    /// Sets the peer's credentials, given as lines of a description. False for others than before.
    pub(crate) fn set_remote_description(&mut self, sdp: &CStr) -> bool {
        // SAFETY: the agent is alive and the string outlives the call.
        unsafe { juice::juice_set_remote_description(self.agent.as_ptr(), sdp.as_ptr()) == 0 }
    }

    /// Adds a candidate, given with `a=candidate:` before it. False if it is of no use.
    pub(crate) fn add_remote_candidate(&mut self, candidate: &CStr) -> bool {
        // SAFETY: the agent is alive and the string outlives the call.
        unsafe { juice::juice_add_remote_candidate(self.agent.as_ptr(), candidate.as_ptr()) == 0 }
    }

    /// No candidate can be added after this.
    pub(crate) fn end_of_remote_candidates(&mut self) {
        // SAFETY: the agent is alive.
        unsafe { juice::juice_set_remote_gathering_done(self.agent.as_ptr()) };
    }

    /// Opens a socket and begins to gather; false when no socket can be bound.
    pub(crate) fn gather(&mut self) -> bool {
        // SAFETY: the agent is alive.
        unsafe { juice::juice_gather_candidates(self.agent.as_ptr()) == 0 }
    }

    /// Sends one datagram to the selected candidate of the peer.
    pub(crate) fn send(&self, datagram: &[u8], dscp: u8) -> Result<(), SendError> {
        let data = datagram.as_ptr().cast::<c_char>();
        // The two lower bits of the field are for congestion notification.
        let field = c_int::from(dscp) << 2;
        let agent = self.agent.as_ptr();
        // SAFETY: the agent is alive and the datagram outlives the call.
        match unsafe { juice::juice_send_diffserv(agent, data, datagram.len(), field) } {
            0 => Ok(()),
            juice::ERR_AGAIN => Err(SendError::Full),
            _ => Err(SendError::Lost),
        }
    }

    /// The pair in use as candidates in text: local, remote.
    pub(crate) fn selected_candidates(&self) -> Option<(String, String)> {
        let mut local = [0 as c_char; juice::CANDIDATE_LENGTH];
        let mut remote = [0 as c_char; juice::CANDIDATE_LENGTH];
        // SAFETY: the agent is alive and both buffers have the lengths that are told.
        let code = unsafe {
            juice::juice_get_selected_candidates(
                self.agent.as_ptr(),
                local.as_mut_ptr(),
                local.len(),
                remote.as_mut_ptr(),
                remote.len(),
            )
        };
        (code == 0).then(|| (text(&local), text(&remote)))
    }
}

impl Drop for Agent {
    /// May wait for libjuice's thread to come round, and for a look-up of a server's name.
    fn drop(&mut self) {
        // SAFETY: the agent is alive, and with it goes the last one to use `user`: libjuice calls
        // back under the lock that this takes.
        unsafe {
            juice::juice_destroy(self.agent.as_ptr());
            drop(Arc::from_raw(self.user));
        }
    }
}

impl Server {
    fn as_juice(&self) -> juice::TurnServer {
        juice::TurnServer {
            host: self.host.as_ptr(),
            username: self.username.as_ptr(),
            password: self.password.as_ptr(),
            port: self.port,
        }
    }
}

/// The text in a buffer that libjuice filled.
fn text(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> =
        buffer.iter().map(|c| c.to_ne_bytes()[0]).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
