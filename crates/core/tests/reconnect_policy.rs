//! The delays between attempts to connect.

#![allow(clippy::unwrap_used)]

use core::time::Duration;

use duologue_core::Timestamp;
use duologue_core::reconnect::{Backoff, ReconnectPolicy};

const NOW: Timestamp = Timestamp::ZERO;

fn delays(policy: ReconnectPolicy, random: u64, count: usize) -> Vec<Option<Duration>> {
    let mut backoff = Backoff::new(policy);
    (0..count)
        .map(|_| backoff.disconnected(NOW, random).map(|at| at.saturating_since(NOW)))
        .collect()
}

fn millis(delays: &[u64]) -> Vec<Option<Duration>> {
    delays.iter().map(|delay| Some(Duration::from_millis(*delay))).collect()
}

#[test]
fn delays_grow_up_to_the_largest() {
    let policy = ReconnectPolicy { jitter: 0.0, ..ReconnectPolicy::DEFAULT };
    let expected = millis(&[500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    assert_eq!(delays(policy, u64::MAX, 8), expected);
}

#[test]
fn chance_shortens_a_delay_by_its_share_at_most() {
    let policy = ReconnectPolicy { jitter: 0.5, ..ReconnectPolicy::DEFAULT };
    assert_eq!(delays(policy, 0, 2), millis(&[500, 1000]));
    assert_eq!(delays(policy, 1 << 63, 2), millis(&[375, 750]));
    let least = delays(policy, u64::MAX, 1).remove(0).unwrap();
    assert!(least >= Duration::from_millis(250) && least < Duration::from_millis(251));
    let all = ReconnectPolicy { jitter: 1.0, ..policy };
    assert!(delays(all, u64::MAX, 1).remove(0).unwrap() < Duration::from_nanos(2));
}

#[test]
fn attempts_end() {
    let policy = ReconnectPolicy { jitter: 0.0, max_attempts: Some(2), ..ReconnectPolicy::DEFAULT };
    let mut expected = millis(&[500, 1000]);
    expected.extend([None, None]);
    assert_eq!(delays(policy, 0, 4), expected);
    let none = ReconnectPolicy { max_attempts: Some(0), ..policy };
    assert_eq!(delays(none, 0, 1), [None]);
}

#[test]
fn only_a_connection_that_was_up_for_a_while_begins_anew() {
    let policy = ReconnectPolicy { jitter: 0.0, max_attempts: Some(3), ..ReconnectPolicy::DEFAULT };
    let mut backoff = Backoff::new(policy);
    let mut now = NOW;
    for (up_for, delay) in [(9_999, 500), (9_999, 1000), (10_000, 500), (0, 1000), (0, 2000)] {
        backoff.connected(now);
        now = now + Duration::from_millis(up_for);
        let again = backoff.disconnected(now, 0).unwrap();
        assert_eq!(again.saturating_since(now), Duration::from_millis(delay));
        now = again;
    }
    assert_eq!(backoff.attempts(), 3);
    assert_eq!(backoff.disconnected(now, 0), None);
}

#[test]
fn what_is_no_sensible_number_does_no_harm() {
    for factor in [f64::NAN, f64::NEG_INFINITY, -3.0, 0.0, 0.5] {
        let policy = ReconnectPolicy { factor, jitter: f64::NAN, ..ReconnectPolicy::DEFAULT };
        assert_eq!(delays(policy, u64::MAX, 3), millis(&[500, 500, 500]));
    }
    let policy = ReconnectPolicy {
        factor: f64::INFINITY,
        jitter: -1.0,
        max_delay: Duration::MAX,
        ..ReconnectPolicy::DEFAULT
    };
    let mut backoff = Backoff::new(policy);
    assert_eq!(backoff.disconnected(NOW, 0), Some(NOW + Duration::from_millis(500)));
    assert_eq!(backoff.disconnected(NOW, 0), Some(Timestamp::from_nanos(u64::MAX)));
    let jitter = ReconnectPolicy { jitter: f64::INFINITY, ..ReconnectPolicy::DEFAULT };
    assert_eq!(delays(jitter, 0, 1), millis(&[500]));
}
