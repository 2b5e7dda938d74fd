//! The only unsafe code of the suite: the types of rtc.h, the loaded functions, safe calls to
//! them, and the callbacks they call back into.
#![allow(unsafe_code)]

mod callbacks;
mod calls;
mod catalogue;
mod table;
mod types;

pub(crate) use callbacks::{Answer, Slot, hook_log, log_lines};
pub(crate) use calls::*;
pub(crate) use catalogue::{ById, Getter, Packetizer, Predicate};
pub(crate) use table::*;
pub(crate) use types::*;
