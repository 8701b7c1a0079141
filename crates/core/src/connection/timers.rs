//! Deadlines: opening, closing, keepalive. They are only ever compared with the caller's `now`.

use core::num::NonZeroU32;
use core::time::Duration;

use crate::connection::config::{Config, Keepalive};
use crate::connection::lifecycle::Phase;
use crate::time::Timestamp;

/// What a passed deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// The opening or the closing handshake took too long.
    Handshake,
    /// Nothing has come for a while: send a ping.
    KeepaliveDue,
    /// Nothing came after the ping.
    PongTimeout,
}

/// The connection's clockwork.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    /// When the last byte came, or the connection opened.
    heard: Timestamp,
    /// The end of the opening handshake; while open and `pinged`, of the wait for life; after that,
    /// the end of the closing handshake.
    deadline: Timestamp,
    /// A keepalive ping was sent, and nothing has come since.
    pinged: bool,
    closing_timeout: Millis,
    keepalive_interval: Option<Millis>,
    keepalive_timeout: Millis,
}

/// A duration of at least a millisecond, in 4 bytes, up to 49 days.
#[derive(Clone, Copy, Debug)]
struct Millis(NonZeroU32);

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        let millis = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(millis).unwrap_or(NonZeroU32::MIN))
    }
}

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(u64::from(millis.0.get()))
    }
}

impl Timers {
    pub(crate) fn new(config: &Config, now: Timestamp) -> Self {
        let keepalive = config.keepalive;
        Self {
            heard: now,
            deadline: now + config.opening_timeout,
            pinged: false,
            closing_timeout: config.closing_timeout.into(),
            keepalive_interval: keepalive.map(|k| k.interval.into()),
            keepalive_timeout: keepalive.unwrap_or(Keepalive::DEFAULT).timeout.into(),
        }
    }

    /// A byte came, or the connection opened: the peer lives.
    #[inline]
    pub(crate) fn heard(&mut self, now: Timestamp) {
        self.heard = now;
        self.pinged = false;
    }

    /// The closing handshake begins; it has one absolute deadline.
    pub(crate) fn begin_closing(&mut self, now: Timestamp) {
        self.deadline = now + self.closing_timeout.into();
    }

    /// Moves the pong deadline on from `now`, if it is past.
    #[cfg(feature = "alloc")]
    pub(crate) fn postpone_pong_deadline(&mut self, now: Timestamp) {
        if self.pinged && self.deadline <= now {
            self.deadline = now + self.keepalive_timeout.into();
        }
    }

    /// The deadline that runs in `phase`.
    pub(crate) fn next_deadline(&self, phase: Phase) -> Option<Timestamp> {
        match phase {
            Phase::Connecting | Phase::CloseSent | Phase::Finishing | Phase::Failing => {
                Some(self.deadline)
            }
            Phase::Open if self.pinged => Some(self.deadline),
            Phase::Open => self.keepalive_interval.map(|interval| self.heard + interval.into()),
            Phase::Closed => None,
        }
    }

    /// What the passing of time up to `now` asks for, if a deadline lies in it.
    pub(crate) fn expire(&mut self, phase: Phase, now: Timestamp) -> Option<Expired> {
        if self.next_deadline(phase)? > now {
            return None;
        }
        Some(if phase != Phase::Open {
            Expired::Handshake
        } else if self.pinged {
            Expired::PongTimeout
        } else {
            self.pinged = true;
            self.deadline = now + self.keepalive_timeout.into();
            Expired::KeepaliveDue
        })
    }
}
