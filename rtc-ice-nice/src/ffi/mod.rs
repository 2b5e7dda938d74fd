//! libnice and GLib behind safe types, [`Agent`] and [`MainLoop`].
//!
//! [`MainLoop`]: main_loop::MainLoop
#![allow(unsafe_code)]

mod agent;
mod callbacks;
mod declarations;
mod main_loop;

pub(crate) use agent::{Agent, Options, Proxy, Relay, SendError};
