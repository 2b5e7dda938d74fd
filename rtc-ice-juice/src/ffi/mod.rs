//! libjuice behind a safe type, [`Agent`].
#![allow(unsafe_code)]

mod agent;
mod callbacks;
mod declarations;

pub(crate) use agent::{Agent, Options, SendError, Server};
