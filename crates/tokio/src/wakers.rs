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
    read: Waiter,
    write: Waiter,
    both: Option<Both>,
}

/// A task. Its waker is kept when it no longer waits: most often it is the same that waits next,
/// and need not be cloned again.
#[derive(Debug, Default)]
struct Waiter {
    waker: Option<Waker>,
    waits: bool,
}

impl Waiter {
    /// The waker, while the task waits.
    fn waiting(&self) -> Option<&Waker> {
        self.waker.as_ref().filter(|_| self.waits)
    }
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
        if !own.waker.as_ref().is_some_and(|own| own.will_wake(waker)) {
            own.waker = Some(waker.clone());
        }
        own.waits = true;
        if other.waiting().is_none_or(|other| other.will_wake(waker)) {
            return None;
        }
        let (Some(read), Some(write)) = (self.read.waiting(), self.write.waiting()) else {
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
            Side::Read => self.read.waits = false,
            Side::Write => self.write.waits = false,
        }
    }

    /// Wakes whoever waits on the other side: something changed that it should see.
    pub(crate) fn wake_other(&mut self, side: Side) {
        let other = match side {
            Side::Read => self.write.waiting(),
            Side::Write => self.read.waiting(),
        };
        if let Some(waker) = other {
            waker.wake_by_ref();
        }
    }
}
