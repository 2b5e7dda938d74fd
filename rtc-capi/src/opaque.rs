//! Opaque messages: packets that an interceptor callback may return in place of another.
//!
//! C holds the address of a message's bytes, which is looked up and never followed.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::LazyLock;

use parking_lot::Mutex;

static MESSAGES: LazyLock<Mutex<HashMap<usize, Vec<u8>>>> = LazyLock::new(Mutex::default);

/// Keeps a copy of `data` and returns what C calls it.
pub(crate) fn insert(data: &[u8]) -> *mut *mut c_void {
    // Room for one byte at least, so that the address is the message's alone.
    let mut copy = Vec::with_capacity(data.len().max(1));
    copy.extend_from_slice(data);
    let address = copy.as_ptr().addr();
    MESSAGES.lock().insert(address, copy);
    std::ptr::without_provenance_mut(address)
}

/// Takes a message out; `None` for NULL and for what is no message.
pub(crate) fn take(message: *mut *mut c_void) -> Option<Vec<u8>> {
    MESSAGES.lock().remove(&message.addr())
}
