//! How much of what was sent has reached the network.

use std::collections::VecDeque;

/// Messages that are queued, by where they end in the stream of bytes: so that a driver can tell,
/// from how many bytes it has written, how many bytes of payload are out.
///
/// What is counted is uncompressed payload. Of a message that is written in part, as large a share
/// counts as of its bytes on the wire.
///
/// ```
/// use duologue_adapter::machine::Ledger;
///
/// let mut ledger = Ledger::default();
/// ledger.queued(1000, 0, 504); // 1,000 bytes that became 504 on the wire
/// ledger.queued(5, 504, 511);
/// assert_eq!(ledger.written(252), 500);
/// assert_eq!(ledger.written(510), 504); // the rest of the first, and 6 in 7 of the second
/// assert_eq!(ledger.written(511), 1);
/// ```
#[derive(Debug, Default)]
pub struct Ledger {
    entries: VecDeque<Entry>,
    /// What of the first entry's payload has been told.
    told: u64,
}

#[derive(Debug)]
struct Entry {
    payload: u64,
    begin: u64,
    end: u64,
}

impl Ledger {
    /// A message of so many bytes was queued; it takes up the bytes of the stream from `begin` to
    /// `end`.
    pub fn queued(&mut self, payload: u64, begin: u64, end: u64) {
        self.entries.push_back(Entry { payload, begin, end });
    }

    /// The bytes of the stream before `position` are written: how many bytes of payload are out
    /// since the last call.
    pub fn written(&mut self, position: u64) -> u64 {
        let mut out = 0_u64;
        while let Some(entry) = self.entries.front() {
            if entry.end > position {
                let share = entry.share(position);
                out = out.saturating_add(share.saturating_sub(self.told));
                self.told = self.told.max(share);
                break;
            }
            out = out.saturating_add(entry.payload.saturating_sub(self.told));
            self.told = 0;
            self.entries.pop_front();
        }
        out
    }

    /// How many messages have no byte written yet, where the bytes before `position` are.
    #[must_use]
    pub fn unbegun(&self, position: u64) -> usize {
        self.entries.iter().rev().take_while(|entry| entry.begin >= position).count()
    }

    /// The connection is over: what is not written never will be.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.told = 0;
    }
}

impl Entry {
    /// How much of the payload lies before `position`, which is not past the end.
    fn share(&self, position: u64) -> u64 {
        let length = u128::from(self.end.saturating_sub(self.begin)).max(1);
        let done = u128::from(position.saturating_sub(self.begin));
        let share = u128::from(self.payload).saturating_mul(done) / length;
        u64::try_from(share).unwrap_or(u64::MAX).min(self.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_told_once_whatever_the_steps() {
        for step in [1, 3, 7, 100, 10_000] {
            let mut ledger = Ledger::default();
            let mut begin = 0;
            for payload in [0_u64, 1, 125, 126, 4000, 0, 17] {
                let end = begin + payload + 2;
                ledger.queued(payload, begin, end);
                begin = end;
            }
            let (mut position, mut told) = (0, 0);
            while position < begin {
                position = (position + step).min(begin);
                let more = ledger.written(position);
                told += more;
                assert!(told <= position, "payload is never ahead of the wire");
                assert_eq!(ledger.written(position), 0);
            }
            assert_eq!(told, 1 + 125 + 126 + 4000 + 17);
        }
    }

    #[test]
    fn a_gap_between_messages_counts_nothing() {
        let mut ledger = Ledger::default();
        ledger.queued(10, 100, 112);
        assert_eq!(ledger.written(50), 0);
        assert_eq!(ledger.written(106), 5);
        assert_eq!(ledger.written(500), 5);
        ledger.queued(10, 600, 612);
        ledger.queued(0, 612, 614);
        assert_eq!((ledger.unbegun(600), ledger.unbegun(601), ledger.unbegun(613)), (2, 1, 0));
        ledger.clear();
        assert_eq!(ledger.written(1000), 0);
    }
}
