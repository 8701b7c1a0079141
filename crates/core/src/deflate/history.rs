//! The last bytes of a stream.

use alloc::collections::VecDeque;

/// The last bytes of what went through a compressor or a decompressor, so that another one can go
/// on from there. It grows with what has come, up to its limit.
#[derive(Debug)]
pub(crate) struct History {
    bytes: VecDeque<u8>,
    limit: usize,
}

impl History {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), limit }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let surplus = bytes.len().saturating_sub(self.limit);
        let bytes = bytes.get(surplus..).unwrap_or_default();
        let room = self.limit.saturating_sub(self.bytes.len());
        self.bytes.drain(..bytes.len().saturating_sub(room).min(self.bytes.len()));
        let needed = self.bytes.len().saturating_add(bytes.len());
        if needed > self.bytes.capacity() {
            let capacity = needed.max(self.bytes.capacity().saturating_mul(2)).min(self.limit);
            self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend(bytes);
    }

    /// The bytes, the oldest first, in two pieces.
    pub(crate) fn pieces(&self) -> (&[u8], &[u8]) {
        self.bytes.as_slices()
    }

    /// Bytes of memory taken up.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_bytes_are_kept_and_no_more(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20),
            limit in 1_usize..64,
        ) {
            let (mut history, mut all) = (History::new(limit), Vec::new());
            for piece in pieces {
                history.append(&piece);
                all.extend_from_slice(&piece);
                let (first, second) = history.pieces();
                prop_assert_eq!([first, second].concat(), &all[all.len().saturating_sub(limit)..]);
                prop_assert!(history.capacity() <= limit);
            }
        }
    }
}
