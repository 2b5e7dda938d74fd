//! The receiving half: which chunks arrived, messages being put together, messages to be read.

mod reassembly;
mod streams;
mod tracker;

pub(crate) use reassembly::Reassembly;
pub(crate) use streams::InStreams;
pub(crate) use tracker::{Arrival, TsnTracker};

/// Bytes a message or a part of one is charged for besides its payload, so that many small ones
/// cannot hold more memory than the receive window says.
pub(crate) const OVERHEAD: usize = 64;
