//! One update: 100 bytes of JSON with its number and the moment it was published at.

use std::io;

use nix::time::{ClockId, clock_gettime};
use serde::Deserialize;

/// The length of every update, in bytes.
pub(super) const LENGTH: usize = 100;

/// What an update says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Update {
    /// Counted from 0.
    pub(super) sequence: u64,
    /// When it was published, by [`monotonic`].
    pub(super) published: u64,
}

impl Update {
    /// The update as it is sent, padded to [`LENGTH`] with a field of filler.
    pub(super) fn render(self) -> String {
        let Self { sequence, published } = self;
        let start = format!("{{\"sequence\":{sequence},\"published\":{published},\"filler\":\"");
        let filler = LENGTH.saturating_sub(start.len() + 2);
        format!("{start}{}\"}}", "x".repeat(filler))
    }

    /// The update that `text` is, in exactly the form that [`render`](Self::render) gives.
    pub(super) fn parse(text: &[u8]) -> io::Result<Self> {
        let update: Self = serde_json::from_slice(text)?;
        if update.render().as_bytes() != text {
            return Err(io::Error::other("an update is not as it was sent"));
        }
        Ok(update)
    }
}

/// Nanoseconds of the machine's monotonic clock, which all its processes share.
pub(super) fn monotonic() -> io::Result<u64> {
    let now: std::time::Duration = clock_gettime(ClockId::CLOCK_MONOTONIC)?.into();
    u64::try_from(now.as_nanos()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_update_has_the_same_length_and_survives_its_text() {
        for (sequence, published) in [(0, 0), (7, 123), (999_999, 1 << 60)] {
            let update = Update { sequence, published };
            let text = update.render();
            assert_eq!(text.len(), LENGTH, "{text}");
            assert_eq!(Update::parse(text.as_bytes()).unwrap(), update);
        }
    }

    #[test]
    fn changed_byte_is_detected() {
        let text = Update { sequence: 3, published: 4 }.render();
        assert!(Update::parse(text.replace("xx\"", "xy\"").as_bytes()).is_err());
        assert!(Update::parse(text.replace(":3,", ": 3,").as_bytes()).is_err());
        assert!(Update::parse(&text.as_bytes()[1..]).is_err());
    }
}
