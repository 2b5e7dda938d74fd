//! What the parts of librtc cost: `cargo bench -p librtc-benches`. The benches stand in `benches/`;
//! `c/` holds the side-by-side of whole libraries.

use std::time::Duration;

use criterion::Criterion;

/// A criterion that takes its arguments from the command line and some seconds for each figure.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
        .configure_from_args()
}
