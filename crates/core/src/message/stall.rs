//! The deadline for a peer that takes nothing.

use core::time::Duration;

use crate::time::{Millis, Timestamp};

/// Since when the transport has accepted nothing, and how long it may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stall {
    since: Timestamp,
    timeout: Millis,
    runs: bool,
    /// The transport has accepted nothing for a time since the last deadline.
    was_blocked: bool,
}

impl Stall {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { since: Timestamp::ZERO, timeout: timeout.into(), runs: false, was_blocked: false }
    }

    /// The transport took nothing: from now on the deadline runs, if it does not already.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if !self.runs {
            self.since = now;
            self.runs = true;
        }
        self.was_blocked = true;
    }

    /// The transport took something, or nothing waits for it any more.
    #[inline]
    pub(super) const fn end(&mut self) {
        self.runs = false;
    }

    /// When the peer has taken nothing for too long.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.runs.then(|| self.since + self.timeout)
    }

    /// Whether the transport has accepted nothing for a time since this was last asked, or does so
    /// now, where bytes are `waiting`: what waited may still lie in the transport's own buffers.
    pub(super) const fn was_blocked(&mut self, waiting: bool) -> bool {
        core::mem::replace(&mut self.was_blocked, waiting) || waiting
    }
}
