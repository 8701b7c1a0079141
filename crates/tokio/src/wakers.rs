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
    /// Whose waker the transport was given last.
    given: Given,
    /// The timer has been given that one too.
    pub(crate) timer_has_it: bool,
}

/// Who is woken by a waker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Given {
    #[default]
    Nobody,
    One(Side),
    Both,
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
    // Inlined: most often nothing has to be noted at all.
    #[inline]
    pub(crate) fn register(&mut self, side: Side, waker: &Waker) -> Option<Waker> {
        let (own, own_waits) = match side {
            Side::Read => (&mut self.read, &mut self.read_waits),
            Side::Write => (&mut self.write, &mut self.write_waits),
        };
        *own_waits = true;
        if !own.as_ref().is_some_and(|own| own.will_wake(waker)) {
            self.replace(side, waker.clone());
        }
        let pair = if self.read_waits && self.write_waits { self.pair() } else { None };
        let given = if pair.is_some() { Given::Both } else { Given::One(side) };
        self.timer_has_it &= given == self.given;
        self.given = given;
        pair
    }

    #[cold]
    fn replace(&mut self, side: Side, waker: Waker) {
        match side {
            Side::Read => self.read = Some(waker),
            Side::Write => self.write = Some(waker),
        }
        self.timer_has_it = false;
    }

    /// A waker of both tasks, if they are two.
    #[inline(never)]
    fn pair(&mut self) -> Option<Waker> {
        let (read, write) = (self.read.as_ref()?, self.write.as_ref()?);
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn task() -> Waker {
        Waker::from(Arc::new(Task))
    }

    /// Registers a side; whether the timer has the waker that is given out then. It is given it.
    fn has(wakers: &mut Wakers, side: Side, waker: &Waker) -> bool {
        wakers.register(side, waker);
        std::mem::replace(&mut wakers.timer_has_it, true)
    }

    #[test]
    fn a_timer_keeps_the_waker_of_a_task_that_comes_again() {
        let (mut wakers, reader) = (Wakers::default(), task());
        assert!(!has(&mut wakers, Side::Read, &reader));
        for _ in 0..3 {
            assert!(has(&mut wakers, Side::Read, &reader));
            wakers.clear(Side::Read);
        }
        assert!(!has(&mut wakers, Side::Read, &task()));
    }

    #[test]
    fn a_timer_is_given_another_waker_when_others_wait() {
        let (mut wakers, reader, writer) = (Wakers::default(), task(), task());
        assert!(!has(&mut wakers, Side::Read, &reader));
        // The reader waits on: now both are to be woken.
        assert!(!has(&mut wakers, Side::Write, &writer));
        assert!(has(&mut wakers, Side::Read, &reader));
        wakers.clear(Side::Write);
        assert!(!has(&mut wakers, Side::Read, &reader));
        wakers.clear(Side::Read);
        assert!(!has(&mut wakers, Side::Write, &writer));
        // Another writer, of the same pair.
        assert!(!has(&mut wakers, Side::Read, &reader));
        assert!(!has(&mut wakers, Side::Write, &task()));
    }

    #[test]
    fn a_timer_that_was_not_given_the_last_waker_is_given_the_next() {
        let (mut wakers, reader, writer) = (Wakers::default(), task(), task());
        assert!(!has(&mut wakers, Side::Read, &reader));
        wakers.clear(Side::Read);
        // The writer did not come to the timer.
        wakers.register(Side::Write, &writer);
        assert!(!wakers.timer_has_it);
        wakers.clear(Side::Write);
        // The timer still has the reader's waker, but that is not known any more.
        assert!(!has(&mut wakers, Side::Read, &reader));
    }
}
