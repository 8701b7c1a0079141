//! Unpredictable bytes (RFC 6455 sections 4.1, 5.3 and 10.3).

use std::cell::RefCell;

use duologue_core::MaskingKeySource;
use rand::Rng;

/// Masking keys from strong entropy: a cryptographically secure generator of the thread's own,
/// which the operating system seeds and re-seeds. A call to the operating system for each frame
/// would cost more than the frame; a call of the generator for each costs as much as a short one,
/// so the thread draws a few hundred keys at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OsKeys;

impl MaskingKeySource for OsKeys {
    #[inline]
    fn next_masking_key(&mut self) -> [u8; 4] {
        // A thread that is ending has no store any more.
        STORE.try_with(|store| store.borrow_mut().next()).unwrap_or_else(|_| rand::random())
    }
}

thread_local! {
    static STORE: RefCell<Store> = const { RefCell::new(Store { keys: [[0; 4]; KEYS_AT_ONCE], left: 0 }) };
}

/// How many keys are drawn at once.
const KEYS_AT_ONCE: usize = 256;

/// Keys drawn and not used yet: the first `left`.
struct Store {
    keys: [[u8; 4]; KEYS_AT_ONCE],
    left: usize,
}

impl Store {
    #[inline]
    fn next(&mut self) -> [u8; 4] {
        if self.left == 0 {
            self.draw();
        }
        self.left = self.left.wrapping_sub(1);
        // A key is used once.
        self.keys.get_mut(self.left).map(std::mem::take).unwrap_or_default()
    }

    #[cold]
    fn draw(&mut self) {
        rand::rng().fill_bytes(self.keys.as_flattened_mut());
        self.left = KEYS_AT_ONCE;
    }
}

/// A nonce for a client's opening handshake: 16 bytes, fresh for each connection.
#[must_use]
pub fn nonce() -> [u8; 16] {
    rand::random()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const KEYS: usize = 1_000_000;

    fn keys() -> Vec<u32> {
        let mut source = OsKeys;
        (0..KEYS).map(|_| u32::from_be_bytes(source.next_masking_key())).collect()
    }

    /// HOSTILE H21. Of n keys out of 2^32, about n^2 / 2^33 repeat: 116 of a million, with a
    /// standard deviation of 11. Fewer than 20 or more than 300 is no chance.
    #[test]
    fn h21_a_million_keys_repeat_as_often_as_chance_has_it() {
        let keys = keys();
        let distinct: HashSet<u32> = keys.iter().copied().collect();
        let repeats = KEYS - distinct.len();
        assert!((20..300).contains(&repeats), "{repeats}");
    }

    /// Every bit is set in half of the keys, and differs from the same bit of the key before in
    /// half of the cases; the standard deviation of the count is 500.
    #[test]
    fn h21_no_bit_of_a_million_keys_is_biased_or_follows_the_one_before() {
        let keys = keys();
        for bit in 0..32 {
            let set = keys.iter().filter(|key| *key >> bit & 1 == 1).count();
            let changed =
                keys.windows(2).filter(|pair| (pair[0] ^ pair[1]) >> bit & 1 == 1).count();
            for count in [set, changed] {
                assert!((496_000..504_000).contains(&count), "bit {bit}: {count}");
            }
        }
    }

    /// No difference between neighbours stands out: a counter or a linear generator would show one.
    #[test]
    fn h21_no_step_between_keys_is_frequent() {
        let keys = keys();
        let mut steps: Vec<u32> =
            keys.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        steps.sort_unstable();
        let most = steps.chunk_by(PartialEq::eq).map(<[u32]>::len).max();
        assert!(most < Some(6), "{most:?}");
    }

    #[test]
    fn threads_do_not_share_a_sequence() {
        let draw = || std::thread::spawn(|| OsKeys.next_masking_key()).join().unwrap();
        let keys: HashSet<[u8; 4]> = (0..32).map(|_| draw()).collect();
        assert!(keys.len() > 30);
    }

    #[test]
    fn nonces_are_fresh() {
        let nonces: HashSet<[u8; 16]> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1000);
    }
}
