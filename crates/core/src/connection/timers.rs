//! Deadlines: opening, closing, keepalive. They are only ever compared with the caller's `now`.

use core::num::NonZeroU32;
use core::time::Duration;

use crate::connection::config::{Config, Keepalive};
use crate::connection::lifecycle::Phase;
use crate::time::{Millis, Timestamp};

/// What a passed deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// The opening or the closing handshake took too long.
    Handshake,
    /// Nothing has come for a while, or it is the time for one: send a ping.
    KeepaliveDue,
    /// Nothing came after the ping.
    PongTimeout,
}

/// The payload of a keepalive ping: its number, so that its own pong is known from a late one and
/// from one that nobody asked for (RFC 6455 section 5.5.3).
pub(crate) type PingNumber = [u8; 2];

/// The connection's clockwork.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    /// When the last byte came, or the connection opened.
    heard: Timestamp,
    /// The end of the opening handshake; while open, when the last keepalive ping was sent, or the
    /// connection opened; after that, the end of the closing handshake.
    mark: Timestamp,
    /// A keepalive ping was sent, and nothing has come since.
    pinged: bool,
    /// The number of that ping.
    pings: u16,
    /// Its pong has not come.
    awaits_pong: bool,
    /// The closing timeout runs from the time that came with the peer's bytes.
    closing_since_input: bool,
    /// The last round trip that was measured, in microseconds.
    round_trip: Option<NonZeroU32>,
    closing_timeout: Millis,
    keepalive_interval: Option<Millis>,
    keepalive_timeout: Millis,
    keepalive_always: bool,
}

impl Timers {
    pub(crate) fn new(config: &Config, now: Timestamp) -> Self {
        let keepalive = config.keepalive;
        Self {
            heard: now,
            mark: now + config.opening_timeout,
            pinged: false,
            pings: 0,
            awaits_pong: false,
            closing_since_input: false,
            round_trip: None,
            closing_timeout: config.closing_timeout.into(),
            keepalive_interval: keepalive.map(|k| k.interval.into()),
            keepalive_timeout: keepalive.unwrap_or(Keepalive::DEFAULT).timeout.into(),
            keepalive_always: keepalive.is_some_and(|k| k.always),
        }
    }

    /// The connection opened.
    pub(crate) fn opened(&mut self, now: Timestamp) {
        self.heard(now);
        self.mark = now;
    }

    /// A byte came, or the connection opened: the peer lives.
    #[inline]
    pub(crate) fn heard(&mut self, now: Timestamp) {
        self.heard = now;
        self.pinged = false;
    }

    /// A pong came: if it answers the last keepalive ping, it tells how long a round trip takes.
    pub(crate) fn pong(&mut self, payload: &[u8], now: Timestamp) {
        if self.awaits_pong && payload == self.ping_number() {
            self.awaits_pong = false;
            let micros = now.saturating_since(self.mark).as_micros();
            let micros = u32::try_from(micros).unwrap_or(u32::MAX);
            self.round_trip = Some(NonZeroU32::new(micros).unwrap_or(NonZeroU32::MIN));
        }
    }

    /// The last round trip that was measured.
    pub(crate) fn round_trip_time(&self) -> Option<Duration> {
        self.round_trip.map(|micros| Duration::from_micros(u64::from(micros.get())))
    }

    /// The closing handshake begins; it has one absolute deadline.
    pub(crate) fn begin_closing(&mut self, now: Timestamp, since_input: bool) {
        self.mark = now + self.closing_timeout;
        self.closing_since_input = since_input;
    }

    /// Moves that deadline to count from `now`, once, if it was the peer's bytes that began.
    pub(crate) fn restart_closing(&mut self, now: Timestamp) {
        if core::mem::take(&mut self.closing_since_input) {
            self.begin_closing(now, false);
        }
    }

    /// The payload of the newest keepalive ping.
    pub(crate) const fn ping_number(&self) -> PingNumber {
        self.pings.to_be_bytes()
    }

    /// Moves the pong deadline on from `now`, if it is past. When the ping really went out is not
    /// known then, so its pong measures nothing.
    #[cfg(feature = "alloc")]
    pub(crate) fn postpone_pong_deadline(&mut self, now: Timestamp) {
        if self.pinged && self.pong_deadline() <= now {
            self.mark = now;
            self.awaits_pong = false;
        }
    }

    fn pong_deadline(&self) -> Timestamp {
        self.mark + self.keepalive_timeout
    }

    /// The deadline that runs in `phase`.
    pub(crate) fn next_deadline(&self, phase: Phase) -> Option<Timestamp> {
        match phase {
            Phase::Connecting | Phase::CloseSent | Phase::Finishing | Phase::Failing => {
                Some(self.mark)
            }
            Phase::Open if self.pinged => Some(self.pong_deadline()),
            Phase::Open => {
                let since = if self.keepalive_always { self.mark } else { self.heard };
                self.keepalive_interval.map(|interval| since + interval)
            }
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
            self.mark = now;
            self.pings = self.pings.wrapping_add(1);
            self.awaits_pong = true;
            Expired::KeepaliveDue
        })
    }
}
