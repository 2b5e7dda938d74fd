//! The C library `datachannel`.
