//! How threads wait for what others do.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Wake;
use std::time::Instant;

/// What any number of threads wait for: whenever it is rung, each looks again whether what it waits
/// for is there.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        *rings = rings.wrapping_add(1);
        self.rung.notify_all();
    }

    /// Looks, and waits for the bell to look again, until `look` finds something; `None` if the
    /// time is up before that. No ring since the beginning of a look is missed.
    pub(super) fn wait<T>(
        &self,
        until: Option<Instant>,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        loop {
            let seen = self.rings();
            if let Some(found) = look() {
                return Some(found);
            }
            if !self.wait_past(seen, until) {
                return None;
            }
        }
    }

    fn rings(&self) -> u64 {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it was rung more often than `seen`; whether it was, before the time was up.
    fn wait_past(&self, seen: u64, until: Option<Instant>) -> bool {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = |rings: &mut u64| *rings == seen;
        let rings = match until {
            None => self.rung.wait_while(rings, unchanged).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                let waited = self.rung.wait_timeout_while(rings, left, unchanged);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *rings != seen
    }
}

/// As a waker, it rings.
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ring_during_a_look_makes_it_look_again() {
        let bell = Bell::default();
        let mut looks = 0;
        let found = bell.wait(None, || {
            looks += 1;
            bell.ring();
            (looks == 3).then_some("found")
        });
        assert_eq!((found, looks), (Some("found"), 3));
    }

    #[test]
    fn a_wait_without_a_ring_ends_with_its_time() {
        let bell = Bell::default();
        let mut looks = 0;
        let until = Instant::now() + Duration::from_millis(5);
        let found: Option<()> = bell.wait(Some(until), || {
            looks += 1;
            None
        });
        assert_eq!((found, looks), (None, 1));
        assert!(Instant::now() >= until);
    }

    #[test]
    fn every_thread_that_waits_hears_every_ring() {
        let bell = Arc::new(Bell::default());
        let turn = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..4)
            .map(|own| {
                let (bell, turn) = (Arc::clone(&bell), Arc::clone(&turn));
                thread::spawn(move || {
                    for round in 0..500 {
                        let due = round * 4 + own;
                        bell.wait(None, || (turn.load(Ordering::SeqCst) == due).then_some(()));
                        turn.store(due + 1, Ordering::SeqCst);
                        bell.ring();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(turn.load(Ordering::SeqCst), 2000);
    }
}
