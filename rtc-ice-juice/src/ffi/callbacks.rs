//! What libjuice calls. It does so under a lock that all its agents share, or under that of its
//! log, so nothing is done here but to enqueue.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use rtc_core::backend::{Delivery, IceEvent};
use rtc_core::candidate::Candidate;
use rtc_core::state::IceState;

use super::declarations as juice;
use crate::{log_lines, polling};

/// Calls back with what `user` points to. A panic must not unwind into C.
fn with(user: *mut c_void, call: impl FnOnce(&Delivery)) {
    // SAFETY: it is the pointer that the agent was made with, which outlives the agent.
    let Some(delivery) = (unsafe { user.cast::<Delivery>().as_ref() }) else { return };
    // The delivery is only locked for pushing, which leaves it whole.
    let _ = catch_unwind(AssertUnwindSafe(|| call(delivery)));
}

pub(super) unsafe extern "C" fn state_changed(
    _: *mut juice::Agent,
    state: c_int,
    user: *mut c_void,
) {
    with(user, |delivery| {
        let (state, selected) = match state {
            juice::STATE_CONNECTING => (IceState::Checking, false),
            juice::STATE_CONNECTED => (IceState::Connected, true),
            juice::STATE_COMPLETED => (IceState::Completed, true),
            juice::STATE_FAILED => (IceState::Failed, false),
            _ => return,
        };
        delivery.event(IceEvent::State(state));
        if selected {
            delivery.event(IceEvent::SelectedPair);
        }
    });
}

pub(super) unsafe extern "C" fn candidate(
    _: *mut juice::Agent,
    text: *const c_char,
    user: *mut c_void,
) {
    // SAFETY: libjuice passes a string that lives during the call.
    let text = unsafe { CStr::from_ptr(text) };
    with(user, |delivery| match Candidate::parse(&text.to_string_lossy()) {
        Ok(candidate) => delivery.event(IceEvent::Candidate(candidate)),
        Err(error) => log_lines::push(log::Level::Warn, format!("a local candidate: {error}")),
    });
}

pub(super) unsafe extern "C" fn gathering_done(_: *mut juice::Agent, user: *mut c_void) {
    with(user, |delivery| delivery.event(IceEvent::GatheringDone));
}

pub(super) unsafe extern "C" fn received(
    _: *mut juice::Agent,
    data: *const c_char,
    size: usize,
    user: *mut c_void,
) {
    if size == 0 {
        return;
    }
    // SAFETY: libjuice passes a datagram of that size, which lives during the call.
    let datagram = unsafe { slice::from_raw_parts(data.cast::<u8>(), size) };
    with(user, |delivery| delivery.datagram(datagram));
}

unsafe extern "C" fn logged(juice_level: c_int, message: *const c_char) {
    let level = match juice_level {
        juice::LOG_INFO => log::Level::Debug,
        juice::LOG_WARN => log::Level::Info,
        _ => log::Level::Warn,
    };
    // SAFETY: libjuice passes a string that lives during the call.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    let _ = catch_unwind(|| {
        // There is no other way to learn of it.
        if juice_level == juice::LOG_FATAL && message.contains("poll failed") {
            polling::thread_died();
        }
        log_lines::push(level, message.into_owned());
    });
}

/// Sets libjuice's log up for what is logged at present. Its levels below `INFO` tell passwords and
/// stay unused.
pub(super) fn set_up_log() {
    let level = match log::max_level() {
        log::LevelFilter::Trace | log::LevelFilter::Debug => juice::LOG_INFO,
        log::LevelFilter::Info => juice::LOG_WARN,
        log::LevelFilter::Warn => juice::LOG_ERROR,
        log::LevelFilter::Off | log::LevelFilter::Error => juice::LOG_FATAL,
    };
    // SAFETY: the handler is a function that lives as long as the program.
    unsafe {
        juice::juice_set_log_handler(Some(logged));
        juice::juice_set_log_level(level);
    }
}
