//! Who is to be woken: the task that reads and the task that writes may be two.

use std::sync::Arc;
use std::task::Wake;
use std::task::Waker;

/// Which side of the connection a task drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// The tasks that wait.
///
/// A transport keeps one waker for each direction, but here each side may move both directions: a
/// reader writes pongs, and either drives the timer. So while two tasks wait, the transport is
/// given a waker that wakes both.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    read: Option<Waker>,
    write: Option<Waker>,
    both: Option<Both>,
}

#[derive(Debug)]
struct Both {
    pair: Arc<Pair>,
    waker: Waker,
}

#[derive(Debug)]
struct Pair {
    read: Waker,
    write: Waker,
}

impl Wake for Pair {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.read.wake_by_ref();
        self.write.wake_by_ref();
    }
}

impl Wakers {
    /// Notes that `side` is polled by the task of `waker`; returns the waker for the transport, if
    /// it is not just that one.
    pub(crate) fn register(&mut self, side: Side, waker: &Waker) -> Option<Waker> {
        let (own, other) = match side {
            Side::Read => (&mut self.read, &self.write),
            Side::Write => (&mut self.write, &self.read),
        };
        if !own.as_ref().is_some_and(|own| own.will_wake(waker)) {
            *own = Some(waker.clone());
        }
        if other.as_ref().is_none_or(|other| other.will_wake(waker)) {
            return None;
        }
        let (Some(read), Some(write)) = (&self.read, &self.write) else {
            return None;
        };
        if let Some(both) = &self.both
            && both.pair.read.will_wake(read)
            && both.pair.write.will_wake(write)
        {
            return Some(both.waker.clone());
        }
        let pair = Arc::new(Pair { read: read.clone(), write: write.clone() });
        let waker = Waker::from(Arc::clone(&pair));
        self.both = Some(Both { pair, waker: waker.clone() });
        Some(waker)
    }

    /// `side` waits no longer.
    pub(crate) fn clear(&mut self, side: Side) {
        match side {
            Side::Read => self.read = None,
            Side::Write => self.write = None,
        }
    }

    /// Wakes whoever waits on the other side: something changed that it should see.
    pub(crate) fn wake_other(&mut self, side: Side) {
        let other = match side {
            Side::Read => self.write.as_ref(),
            Side::Write => self.read.as_ref(),
        };
        if let Some(waker) = other {
            waker.wake_by_ref();
        }
    }
}
