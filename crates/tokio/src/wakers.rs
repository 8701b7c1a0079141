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
///
/// A task's waker is kept when it no longer waits: most often it is the same that waits next, and
/// need not be cloned again.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    read: Option<Waker>,
    write: Option<Waker>,
    /// The one that wakes both, as they were when two tasks waited last.
    pair: Option<Arc<Pair>>,
    read_waits: bool,
    write_waits: bool,
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
        let (own, own_waits) = match side {
            Side::Read => (&mut self.read, &mut self.read_waits),
            Side::Write => (&mut self.write, &mut self.write_waits),
        };
        if !own.as_ref().is_some_and(|own| own.will_wake(waker)) {
            *own = Some(waker.clone());
        }
        *own_waits = true;
        let (Some(read), Some(write)) = (self.waiting(Side::Read), self.waiting(Side::Write))
        else {
            return None;
        };
        if read.will_wake(write) {
            return None;
        }
        if let Some(pair) = &self.pair
            && pair.read.will_wake(read)
            && pair.write.will_wake(write)
        {
            return Some(Waker::from(Arc::clone(pair)));
        }
        let pair = Arc::new(Pair { read: read.clone(), write: write.clone() });
        self.pair = Some(Arc::clone(&pair));
        Some(Waker::from(pair))
    }

    /// The waker of `side`'s task, while it waits.
    fn waiting(&self, side: Side) -> Option<&Waker> {
        match side {
            Side::Read => self.read.as_ref().filter(|_| self.read_waits),
            Side::Write => self.write.as_ref().filter(|_| self.write_waits),
        }
    }

    /// `side` waits no longer.
    pub(crate) fn clear(&mut self, side: Side) {
        match side {
            Side::Read => self.read_waits = false,
            Side::Write => self.write_waits = false,
        }
    }

    /// Wakes whoever waits on the other side: something changed that it should see.
    pub(crate) fn wake_other(&mut self, side: Side) {
        let other = match side {
            Side::Read => self.waiting(Side::Write),
            Side::Write => self.waiting(Side::Read),
        };
        if let Some(waker) = other {
            waker.wake_by_ref();
        }
    }
}
