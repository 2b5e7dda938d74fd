//! ICE restarts: extensions of `rtc_ext.h`.

use std::ffi::c_int;
use std::time::Duration;

use crate::boundary::SUCCESS;
use crate::handles;

exports! {
    /// Makes an offer with new ICE credentials, by which both sides find a path anew.
    pub extern "C" fn rtcRestartIce(pc: c_int) -> c_int {
        handles::peer(pc)?.restart_ice()?;
        SUCCESS
    }

    /// Lets a connection that ICE fails for wait for a restart, instead of being closed at once.
    pub extern "C" fn rtcSetIceRecoveryTimeout(pc: c_int, timeout_ms: c_int) -> c_int {
        let milliseconds = u64::try_from(timeout_ms).unwrap_or(0);
        handles::peer(pc)?.set_ice_recovery(Duration::from_millis(milliseconds));
        SUCCESS
    }
}
