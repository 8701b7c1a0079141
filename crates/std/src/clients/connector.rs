//! What makes the streams of a client.

use std::sync::{Mutex, PoisonError};
use std::thread;

use duologue_adapter::{ClientOptions, Error};

/// A closure that makes a stream for each attempt, called by one thread at a time.
///
/// An attempt that was given up may still be at it, and cannot be made to let go: a look-up of a
/// name, for one, cannot be ended from outside. The next attempt waits for it, so that such threads
/// do not grow in number.
pub(super) struct Connector<D>(Mutex<Slot<D>>);

enum Slot<D> {
    Ready(D),
    Taken,
    /// It has panicked.
    Broken,
}

/// Whether a [`Connector`] can be called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    Taken,
    Broken,
}

impl<D> Connector<D> {
    pub(super) const fn new(connect: D) -> Self {
        Self(Mutex::new(Slot::Ready(connect)))
    }

    pub(super) fn readiness(&self) -> Readiness {
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Slot::Ready(_) => Readiness::Ready,
            Slot::Taken => Readiness::Taken,
            Slot::Broken => Readiness::Broken,
        }
    }

    /// Takes the closure, to [`call`](Self::call) it, if it is there.
    pub(super) fn take(&self) -> Option<D> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Ready(connect) => Some(connect),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// Calls the closure, and puts it back.
    pub(super) fn call<S>(&self, mut connect: D, options: &ClientOptions) -> Result<S, Error>
    where
        D: FnMut(&ClientOptions) -> Result<S, Error>,
    {
        let _guard = Guard(self);
        let stream = connect(options);
        self.put(Slot::Ready(connect));
        stream
    }

    fn put(&self, slot: Slot<D>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = slot;
    }
}

/// Tells of a panic.
struct Guard<'a, D>(&'a Connector<D>);

impl<D> Drop for Guard<'_, D> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.put(Slot::Broken);
        }
    }
}
