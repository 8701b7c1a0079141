//! TCP streams that know since when their peer has taken nothing.

mod on_std;
mod on_tokio;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A stream, and since when its peer has taken nothing.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    blocked: Blocked,
}

impl<S> Watched<S> {
    pub(super) const fn new(stream: S, blocked: Blocked) -> Self {
        Self { stream, blocked }
    }
}

/// Since when the peer has taken nothing; `None` if it takes what comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocked(Arc<Mutex<Option<Instant>>>);

impl Blocked {
    pub(super) fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, at: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(at);
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
