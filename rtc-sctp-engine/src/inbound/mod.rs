//! The receiving half: which chunks arrived, messages being put together, messages to be read.

mod reassembly;
mod streams;
mod tracker;

pub(crate) use reassembly::Reassembly;
pub(crate) use streams::InStreams;
pub(crate) use tracker::{Arrival, TsnTracker};

/// Bytes a message or a part of one is charged for besides its payload, so that many small ones
/// cannot hold more memory than the receive window says. What they take was measured
/// (`tests/memory.rs`): up to 156 bytes for a part, up to 250 for the first message of a stream.
pub(crate) const OVERHEAD: usize = 256;
