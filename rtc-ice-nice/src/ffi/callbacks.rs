//! What libnice calls, on its own thread or on one that calls it.

use std::ffi::{CStr, c_char, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use rtc_core::candidate::Candidate;

use super::agent::Shared;
use super::declarations as nice;
use crate::connectivity::Progress;

/// Calls back with what `user` points to. A panic must not unwind into C.
fn with(user: *mut c_void, call: impl FnOnce(&Shared)) {
    // SAFETY: it is the pointer that was given with the callback, which outlives it.
    let Some(shared) = (unsafe { user.cast::<Shared>().as_ref() }) else { return };
    // What it locks is only locked for pushing, which leaves it whole.
    let _ = catch_unwind(AssertUnwindSafe(|| call(shared)));
}

/// `component-state-changed`.
pub(super) unsafe extern "C" fn state_changed(
    _: *mut nice::Agent,
    _: c_uint,
    _: c_uint,
    state: c_uint,
    user: *mut c_void,
) {
    let progress = match state {
        nice::STATE_CONNECTING => Progress::Connecting,
        nice::STATE_CONNECTED => Progress::Connected,
        nice::STATE_READY => Progress::Ready,
        nice::STATE_FAILED => Progress::Failed,
        _ => return,
    };
    with(user, |shared| shared.listener.progress(progress));
}

/// `new-candidate-full`.
pub(super) unsafe extern "C" fn candidate(
    agent: *mut nice::Agent,
    candidate: *mut nice::Candidate,
    user: *mut c_void,
) {
    with(user, |shared| {
        // SAFETY: libnice passes both, and they live during the call.
        if let Some(candidate) = unsafe { read(agent, candidate) } {
            shared.listener.candidate(candidate);
        }
    });
}

/// `candidate-gathering-done`.
pub(super) unsafe extern "C" fn gathering_done(_: *mut nice::Agent, _: c_uint, user: *mut c_void) {
    with(user, |shared| {
        if shared.listener.gathered() {
            shared.begin_patience();
        }
    });
}

/// `new-selected-pair-full`.
pub(super) unsafe extern "C" fn selected_pair(
    agent: *mut nice::Agent,
    _: c_uint,
    _: c_uint,
    local: *mut nice::Candidate,
    remote: *mut nice::Candidate,
    user: *mut c_void,
) {
    with(user, |shared| {
        // SAFETY: libnice passes them, and they live during the call.
        let (local, remote) = unsafe { (read(agent, local), read(agent, remote)) };
        if let (Some(local), Some(remote)) = (local, remote) {
            shared.listener.selected(local, remote);
        }
    });
}

/// `NiceAgentRecvFunc`.
pub(super) unsafe extern "C" fn received(
    _: *mut nice::Agent,
    _: c_uint,
    _: c_uint,
    length: c_uint,
    data: *mut c_char,
    user: *mut c_void,
) {
    let Ok(length @ 1..) = usize::try_from(length) else { return };
    // SAFETY: libnice passes a datagram of that length, which lives during the call.
    let datagram = unsafe { slice::from_raw_parts(data.cast::<u8>(), length) };
    with(user, |shared| shared.listener.received(datagram));
}

/// The time-out that [`Shared::begin_patience`] set.
pub(super) unsafe extern "C" fn patience_over(user: *mut c_void) -> nice::Boolean {
    with(user, |shared| shared.listener.patience_over());
    nice::FALSE
}

/// Reads a candidate through its text form, the only one whose layout libnice promises.
///
/// # Safety
///
/// Both pointers have to be alive.
pub(super) unsafe fn read(
    agent: *mut nice::Agent,
    candidate: *mut nice::Candidate,
) -> Option<Candidate> {
    // SAFETY: as the caller promises; the text is ours to free.
    unsafe {
        let text = nice::nice_agent_generate_local_candidate_sdp(agent, candidate);
        if text.is_null() {
            return None;
        }
        let candidate = Candidate::parse(&CStr::from_ptr(text).to_string_lossy()).ok();
        nice::g_free(text.cast());
        candidate
    }
}
