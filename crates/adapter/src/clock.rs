//! The clock that the core does not have.

use std::time::{Duration, Instant};

use duologue_core::Timestamp;

/// A monotonic clock whose readings count from its creation. One connection keeps one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// The time.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.timestamp(Instant::now())
    }

    /// What this clock shows at `instant`; [`Timestamp::ZERO`] if that is before its start.
    #[must_use]
    #[inline]
    pub fn timestamp(&self, instant: Instant) -> Timestamp {
        Timestamp::ZERO + instant.saturating_duration_since(self.origin)
    }

    /// The instant at which this clock shows `timestamp`, such as for a timer. A time that the
    /// platform cannot express becomes one a hundred years on.
    #[must_use]
    pub fn instant(&self, timestamp: Timestamp) -> Instant {
        let elapsed = Duration::from_nanos(timestamp.as_nanos());
        let far = || self.origin.checked_add(CENTURY);
        self.origin.checked_add(elapsed).or_else(far).unwrap_or(self.origin)
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_timestamps_convert_both_ways() {
        let clock = Clock::new();
        let timestamp = Timestamp::from_millis(1500);
        assert_eq!(clock.timestamp(clock.instant(timestamp)), timestamp);
        assert!(clock.instant(Timestamp::from_nanos(u64::MAX)) > clock.origin);
        assert!(clock.now() >= Timestamp::ZERO);
    }

    #[test]
    fn an_instant_before_the_start_is_zero() {
        let instant = Instant::now();
        let clock = Clock { origin: instant + Duration::from_secs(1) };
        assert_eq!(clock.timestamp(instant), Timestamp::ZERO);
    }
}
