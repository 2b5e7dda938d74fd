//! What the standard library does not tell.
#![allow(unsafe_code)]

/// True when the process runs with privileges that its user does not have, so that its environment
/// must not be trusted.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: getauxval only reads a table that the kernel gave the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
