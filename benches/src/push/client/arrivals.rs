//! What one client has received: which update is due, and how late each of them was.

use std::io;

use hdrhistogram::Histogram;

use crate::push::update::{Update, monotonic};

/// The updates that have come to one client, in order and each exactly once.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// The number of the update that is due, so that of those that have come.
    pub(crate) due: u64,
    /// From publication to arrival, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Arrivals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { due: 0, latency: Histogram::new(3).map_err(io::Error::other)? })
    }

    /// Notes updates that come together, one a line; empty lines count for nothing.
    pub(super) fn note_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        let now = monotonic()?;
        lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .try_for_each(|line| self.note_at(line, now))
    }

    /// Notes one update, which has come now.
    pub(super) fn note(&mut self, text: &[u8]) -> io::Result<()> {
        self.note_at(text, monotonic()?)
    }

    fn note_at(&mut self, text: &[u8], now: u64) -> io::Result<()> {
        let Update { sequence, published } = Update::parse(text)?;
        if sequence != self.due {
            let due = self.due;
            return Err(io::Error::other(format!("update {sequence} came where {due} was due")));
        }
        let Some(latency) = now.checked_sub(published) else {
            return Err(io::Error::other(format!(
                "update {sequence} came before it was published"
            )));
        };
        self.due += 1;
        self.latency.record(latency.max(1)).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(sequences: &[u64]) -> Result<u64, String> {
        let mut arrivals = Arrivals::new().unwrap();
        for &sequence in sequences {
            let text = Update { sequence, published: 1 }.render();
            arrivals.note(text.as_bytes()).map_err(|error| error.to_string())?;
        }
        assert_eq!(arrivals.latency.len(), arrivals.due);
        Ok(arrivals.due)
    }

    #[test]
    fn missing_repeated_and_reordered_updates_are_detected() {
        assert_eq!(note(&[0, 1, 2]), Ok(3));
        assert_eq!(note(&[0, 2]), Err("update 2 came where 1 was due".to_owned()));
        assert_eq!(note(&[0, 0]), Err("update 0 came where 1 was due".to_owned()));
        assert_eq!(note(&[1, 0]), Err("update 1 came where 0 was due".to_owned()));
    }

    #[test]
    fn an_update_from_the_future_is_detected() {
        let mut arrivals = Arrivals::new().unwrap();
        let update = Update { sequence: 0, published: u64::MAX };
        assert!(arrivals.note(update.render().as_bytes()).is_err());
    }

    #[test]
    fn updates_may_come_together() {
        let line = |sequence| Update { sequence, published: 1 }.render() + "\n";
        let mut arrivals = Arrivals::new().unwrap();
        arrivals.note_lines((line(0) + &line(1)).as_bytes()).unwrap();
        assert_eq!((arrivals.due, arrivals.latency.len()), (2, 2));
    }
}
