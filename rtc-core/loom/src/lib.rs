//! The gate, the lanes and the pool of `rtc-core`, compiled against loom's threads and locks.

pub mod sync;

#[path = "../../src/runtime/gate.rs"]
pub mod gate;
#[path = "../../src/runtime/lane.rs"]
pub mod lane;
#[path = "../../src/runtime/pool.rs"]
pub mod pool;
