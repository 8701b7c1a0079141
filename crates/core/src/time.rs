//! Time as the core sees it: a number that the caller hands in.

use core::num::NonZeroU32;
use core::ops::Add;
use core::time::Duration;

/// A point in time, in nanoseconds since an origin that the caller chooses once and keeps.
///
/// The core reads no clock. Every call that needs to know the time takes `now`, and every deadline
/// it gives back is on the same scale. Only differences matter, so the origin may be the process's
/// start, a timer's zero, or the start of a simulation. `now` should not go backwards; where it
/// does, a deadline is only met later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// The point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `millis` milliseconds after the origin; saturates after 584 years.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is the later one.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates: a duration past the end of the scale gives its end.
    fn add(self, duration: Duration) -> Self {
        let nanos = duration.as_secs().saturating_mul(1_000_000_000);
        let nanos = nanos.saturating_add(u64::from(duration.subsec_nanos()));
        Self(self.0.saturating_add(nanos))
    }
}

impl Add<Millis> for Timestamp {
    type Output = Self;

    /// As of a duration, without taking it apart.
    #[inline]
    fn add(self, millis: Millis) -> Self {
        Self(self.0.saturating_add(u64::from(millis.0.get()).saturating_mul(1_000_000)))
    }
}

/// A duration of at least a millisecond, in 4 bytes, up to 49 days: what a connection keeps of the
/// durations that it is configured with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Millis(NonZeroU32);

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        let millis = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(millis).unwrap_or(NonZeroU32::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_saturates_at_the_end_of_the_scale() {
        let end = Timestamp::from_nanos(u64::MAX);
        assert_eq!(Timestamp::from_millis(1) + Duration::MAX, end);
        assert_eq!(end + Duration::from_nanos(1), end);
        assert_eq!(Timestamp::from_millis(u64::MAX), end);
    }

    #[test]
    fn difference_never_goes_below_zero() {
        let early = Timestamp::from_millis(5);
        let late = early + Duration::from_millis(7);
        assert_eq!(late.saturating_since(early), Duration::from_millis(7));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
    }
}
