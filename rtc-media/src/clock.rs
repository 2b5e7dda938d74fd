//! Clocks: the caller's, NTP's and that of RTP timestamps.

use std::time::{Duration, Instant, SystemTime};

/// The time, as the caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For intervals.
    pub instant: Instant,
    /// For the NTP timestamps of sender reports.
    pub wall: SystemTime,
}

impl Now {
    /// The time on the clocks of the system. For callers: nothing in this crate asks a clock.
    pub fn from_system() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }
}

/// Seconds from the epoch of NTP (1900) to that of Unix (1970).
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// An NTP timestamp: seconds since 1900 in the upper half, fractions of 2⁻³² s in the lower
/// (RFC 3550 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The middle 32 bits, in units of 2⁻¹⁶ s: what a report block repeats.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

impl From<SystemTime> for NtpTime {
    fn from(time: SystemTime) -> Self {
        let unix = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = unix.as_secs().wrapping_add(NTP_TO_UNIX);
        let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
        Self((seconds << 32) | fraction)
    }
}

/// A duration in units of 2⁻¹⁶ s, at most what 32 bits hold: the delay in a report block.
pub fn to_short_ntp(duration: Duration) -> u32 {
    let units = (duration.as_nanos() << 16) / 1_000_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// Seconds as an RTP timestamp, which wraps; negative seconds count backwards from zero.
pub fn seconds_to_timestamp(seconds: f64, clock_rate: u32) -> u32 {
    (seconds * f64::from(clock_rate)).round() as i64 as u32
}

/// An RTP timestamp in seconds; infinite or not a number for a clock rate of zero.
pub fn timestamp_to_seconds(timestamp: u32, clock_rate: u32) -> f64 {
    f64::from(timestamp) / f64::from(clock_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_timestamps_and_wrap() {
        for (seconds, clock_rate, timestamp) in [
            (0.0, 90_000, 0),
            (1.5, 90_000, 135_000),
            (-1.0, 90_000, 4_294_877_296),
            (1e5, 48_000, 505_032_704),
            (0.000_01, 90_000, 1),
        ] {
            assert_eq!(seconds_to_timestamp(seconds, clock_rate), timestamp, "{seconds}");
        }
        assert_eq!(timestamp_to_seconds(135_000, 90_000), 1.5);
    }

    #[test]
    fn ntp_time_counts_from_1900() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let ntp = NtpTime::from(time);
        assert_eq!(ntp.0 >> 32, NTP_TO_UNIX + 1);
        assert_eq!(ntp.0 as u32, 1 << 31);
        assert_eq!(ntp.middle(), (((NTP_TO_UNIX + 1) << 16) + (1 << 15)) as u32);
        assert_eq!(to_short_ntp(Duration::from_millis(2_250)), (9 << 16) / 4);
        assert_eq!(to_short_ntp(Duration::from_secs(1 << 20)), u32::MAX);
    }
}
