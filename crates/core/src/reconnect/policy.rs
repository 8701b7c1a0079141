//! How long to wait between attempts to connect.

use core::time::Duration;

use crate::time::Timestamp;

/// When to connect again after a connection was lost, or could not be had.
///
/// The delays grow from [`first_delay`](Self::first_delay) by [`factor`](Self::factor) up to
/// [`max_delay`](Self::max_delay), and a part of each is left to chance, so that the clients of a
/// server that restarts do not all come back at once (RFC 6455 section 7.2.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReconnectPolicy {
    /// The delay before the first further attempt. Default 500 ms.
    pub first_delay: Duration,
    /// What each delay is to the one before it. Default 2; one below 1, or no number, counts as 1.
    pub factor: f64,
    /// The share of each delay that is left to chance, from 0 (none of it) to 1 (all of it).
    /// Default 0.5: a delay of 4 s becomes one of 2 to 4 s.
    pub jitter: f64,
    /// The longest delay, before chance shortens it. Default 30 s.
    pub max_delay: Duration,
    /// How many further attempts are made in a row; `None` for any number, which is the default.
    pub max_attempts: Option<u32>,
    /// A connection that was up for this long makes the delays and the count of attempts begin
    /// anew. Default 10 s: a server that accepts and closes at once is not met with the first delay
    /// again and again.
    pub reset_after: Duration,
}

impl ReconnectPolicy {
    /// The defaults, each stated at its field.
    pub const DEFAULT: Self = Self {
        first_delay: Duration::from_millis(500),
        factor: 2.0,
        jitter: 0.5,
        max_delay: Duration::from_secs(30),
        max_attempts: None,
        reset_after: Duration::from_secs(10),
    };
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The delays of a [`ReconnectPolicy`], one after the other: a pure state machine, which is told
/// the time and handed random numbers.
///
/// ```
/// use core::time::Duration;
/// use duologue_core::Timestamp;
/// use duologue_core::reconnect::{Backoff, ReconnectPolicy};
///
/// let policy = ReconnectPolicy { jitter: 0.0, max_attempts: Some(2), ..ReconnectPolicy::DEFAULT };
/// let mut backoff = Backoff::new(policy);
/// let now = Timestamp::ZERO;
/// assert_eq!(backoff.disconnected(now, 0), Some(now + Duration::from_millis(500)));
/// assert_eq!(backoff.disconnected(now, 0), Some(now + Duration::from_secs(1)));
/// assert_eq!(backoff.disconnected(now, 0), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    policy: ReconnectPolicy,
    attempts: u32,
    /// The next delay, before chance shortens it.
    delay: Duration,
    up_since: Option<Timestamp>,
}

impl Backoff {
    /// The delays of `policy`, from the first.
    #[must_use]
    pub const fn new(policy: ReconnectPolicy) -> Self {
        Self { policy, attempts: 0, delay: policy.first_delay, up_since: None }
    }

    /// A connection is up.
    pub const fn connected(&mut self, now: Timestamp) {
        self.up_since = Some(now);
    }

    /// The connection is down, or an attempt has failed: when to try again. `None` when no attempt
    /// is left. `random` is 64 random bits.
    pub fn disconnected(&mut self, now: Timestamp, random: u64) -> Option<Timestamp> {
        let up_for = self.up_since.take().map(|since| now.saturating_since(since));
        if up_for.is_some_and(|up_for| up_for >= self.policy.reset_after) {
            *self = Self::new(self.policy);
        }
        if self.policy.max_attempts.is_some_and(|most| self.attempts >= most) {
            return None;
        }
        self.attempts = self.attempts.saturating_add(1);
        let longest = self.delay.min(self.policy.max_delay);
        self.delay = scaled(longest, at_least_one(self.policy.factor)).min(self.policy.max_delay);
        let chance = share(self.policy.jitter) * unit(random);
        Some(now + scaled(longest, 1.0 - chance))
    }

    /// How many attempts have been planned in a row.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}

fn at_least_one(factor: f64) -> f64 {
    if factor > 1.0 { factor } else { 1.0 }
}

fn share(jitter: f64) -> f64 {
    if jitter > 0.0 { jitter.min(1.0) } else { 0.0 }
}

/// A number from 0 up to, but not including, 1, of the upper 53 bits: as many as an `f64` holds.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// `duration` times `by`, which is not negative; the longest there is where it is past that.
fn scaled(duration: Duration, by: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * by).unwrap_or(Duration::MAX)
}
