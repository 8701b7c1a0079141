//! One read or write on a transport, under a deadline.

use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use bytes::BytesMut;
use duologue_adapter::{Clock, MAX_SLICES, READ_SIZE, Timestamp};

use crate::transport::Transport;

/// The shortest timeout that is set: a socket takes none of zero.
const SHORTEST: Duration = Duration::from_millis(1);

/// The shortest wait whose end is known for what it is. An operating system may end a wait some
/// milliseconds early, where its ticks lag behind the clock, and a transport that does not wait at
/// all says the same: the two are told apart by how long it took (see [`Wire::judge`]).
pub(crate) const SURE_WAIT: Duration = Duration::from_millis(40);

/// Bounds on what one read asks for. Without `unsafe` the room is zeroed first, so it is adapted to
/// what comes: a few hundred bytes do not cost the zeroing of 16 KiB.
const LEAST_READ: usize = 4 * 1024;
const MOST_READ: usize = 4 * READ_SIZE;

/// A transport, with its clock and the timeouts that it has now.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    pub(crate) clock: Clock,
    read_timeout: Timeout,
    write_timeout: Timeout,
    read_size: usize,
}

/// What a read or a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// So many bytes were moved. None were read: the end.
    Bytes(usize),
    /// The time is up.
    TimedOut,
    /// The transport is non-blocking, and not ready.
    WouldBlock,
}

impl<S: Transport> Wire<S> {
    pub(crate) fn new(stream: S, clock: Clock) -> Self {
        Self {
            stream,
            clock,
            read_timeout: Timeout::default(),
            write_timeout: Timeout::default(),
            read_size: READ_SIZE,
        }
    }

    /// A wire of its own over another handle to the same stream.
    pub(crate) fn beside(&self, stream: S) -> Self {
        Self::new(stream, self.clock)
    }

    /// Appends to `buffer` what one read gives, within its capacity. It may wait for
    /// [`SURE_WAIT`], though the deadline be nearer.
    pub(crate) fn read(
        &mut self,
        buffer: &mut BytesMut,
        deadline: Option<Timestamp>,
    ) -> io::Result<Progress> {
        let started = self.clock.now();
        let stream = &mut self.stream;
        let patience = stream.supports_timeouts().then(|| {
            let needed = deadline.map(|deadline| deadline.saturating_since(started).max(SURE_WAIT));
            self.read_timeout
                .settle(needed, Least::Half, |timeout| stream.set_read_timeout(timeout))
        });
        let filled = buffer.len();
        let size = self.read_size.min(buffer.capacity().saturating_sub(filled));
        buffer.resize(filled.saturating_add(size), 0);
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let result = uninterrupted(|| stream.read(room));
        let count = result.as_ref().map_or(0, |count| size.min(*count));
        buffer.truncate(filled.saturating_add(count));
        if count == self.read_size {
            self.read_size = self.read_size.saturating_mul(2).min(MOST_READ);
        } else if count < self.read_size / 4 {
            self.read_size = (self.read_size / 2).max(LEAST_READ);
        }
        self.judge(result, started, patience.flatten())
    }

    /// Writes what it can of `slices`, in one call, waiting no longer than `patience`.
    pub(crate) fn write(
        &mut self,
        slices: &[&[u8]],
        patience: Option<Duration>,
    ) -> io::Result<Progress> {
        let started = self.clock.now();
        let stream = &mut self.stream;
        let patience = stream.supports_timeouts().then(|| {
            self.write_timeout
                .settle(patience, Least::All, |timeout| stream.set_write_timeout(timeout))
        });
        let result = match slices {
            [slice] => uninterrupted(|| stream.write(slice)),
            _ => {
                let mut vector = [IoSlice::new(&[]); MAX_SLICES];
                let mut count = 0_usize;
                for (place, slice) in vector.iter_mut().zip(slices) {
                    *place = IoSlice::new(slice);
                    count = count.saturating_add(1);
                }
                let vector = vector.get(..count).unwrap_or_default();
                uninterrupted(|| stream.write_vectored(vector))
            }
        };
        if matches!(result, Ok(0)) {
            return Err(ErrorKind::WriteZero.into());
        }
        self.judge(result, started, patience.flatten())
    }

    /// Flushes what the transport itself may hold back, as one with TLS does, waiting no longer
    /// than `patience`; at first for as long as a write would, so that the timeout for writing need
    /// not be set for a transport that holds nothing back, as most do.
    pub(crate) fn flush(
        &mut self,
        as_to_write: Duration,
        patience: Duration,
    ) -> io::Result<Progress> {
        let first = as_to_write.min(patience);
        match self.flush_within(first)? {
            Progress::TimedOut if first < patience => {
                self.flush_within(patience.saturating_sub(first))
            }
            progress => Ok(progress),
        }
    }

    fn flush_within(&mut self, patience: Duration) -> io::Result<Progress> {
        let started = self.clock.now();
        let stream = &mut self.stream;
        let patience = stream.supports_timeouts().then(|| {
            self.write_timeout
                .settle(Some(patience), Least::All, |timeout| stream.set_write_timeout(timeout))
        });
        let result = uninterrupted(|| stream.flush());
        self.judge(result.map(|()| 0), started, patience.flatten())
    }

    /// Ends the sending direction. That a peer is already gone is no failure.
    pub(crate) fn shutdown_write(&mut self) -> Progress {
        let started = self.clock.now();
        let result = uninterrupted(|| self.stream.shutdown_write());
        let patience = self.write_timeout.0.flatten();
        self.judge(result.map(|()| 0), started, patience).unwrap_or(Progress::Bytes(0))
    }

    /// Tells a time that is up from a non-blocking transport: both may say `WouldBlock`.
    ///
    /// To take a wait that ended early for a non-blocking transport would end a connection; the
    /// other way round it only is asked once more.
    fn judge(
        &self,
        result: io::Result<usize>,
        started: Timestamp,
        patience: Option<Duration>,
    ) -> io::Result<Progress> {
        match result {
            Ok(count) => Ok(Progress::Bytes(count)),
            Err(error) => match error.kind() {
                ErrorKind::TimedOut if patience.is_some() => Ok(Progress::TimedOut),
                ErrorKind::WouldBlock => {
                    let waited = self.clock.now().saturating_since(started);
                    if patience.is_some_and(|patience| waited >= patience / 2) {
                        Ok(Progress::TimedOut)
                    } else {
                        Ok(Progress::WouldBlock)
                    }
                }
                _ => Err(error),
            },
        }
    }
}

/// Repeats a call that a signal interrupts.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The shortest of the waits that will do, of what is needed.
#[derive(Clone, Copy, Debug)]
enum Least {
    /// To read: who wakes early looks at the clock, and waits again.
    Half,
    /// To write: when that wait is over, the peer has had its time.
    All,
}

/// A socket's timeout as it was last set; `None` before that.
#[derive(Clone, Copy, Debug, Default)]
struct Timeout(Option<Option<Duration>>);

impl Timeout {
    /// Sees to it that a wait ends after about `needed`, without a system call for each wait: what
    /// was set is kept while it is between `least` and an eighth more. Returns how long the wait can
    /// be.
    fn settle(
        &mut self,
        needed: Option<Duration>,
        least: Least,
        set: impl FnOnce(Option<Duration>) -> io::Result<()>,
    ) -> Option<Duration> {
        let needed = needed.map(|needed| needed.max(SHORTEST));
        let fits = match (self.0, needed) {
            (Some(Some(current)), Some(needed)) => {
                let least = match least {
                    Least::Half => needed / 2,
                    Least::All => needed,
                };
                current >= least && current <= needed.saturating_add(needed / 8)
            }
            (Some(None), None) => true,
            _ => false,
        };
        if !fits {
            // A socket that refuses is broken, which the read or write that follows will tell.
            self.0 = set(needed).is_ok().then_some(needed);
        }
        self.0.flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(timeout: &mut Timeout, needed: Option<u64>) -> Option<Option<u64>> {
        let mut called = None;
        timeout.settle(needed.map(Duration::from_millis), Least::Half, |value| {
            called = Some(value.map(|value| u64::try_from(value.as_millis()).unwrap()));
            Ok(())
        });
        called
    }

    #[test]
    fn a_timeout_is_set_again_only_when_it_no_longer_fits() {
        let mut timeout = Timeout::default();
        assert_eq!(settle(&mut timeout, Some(20_000)), Some(Some(20_000)));
        assert_eq!(settle(&mut timeout, Some(19_000)), None);
        assert_eq!(settle(&mut timeout, Some(17_800)), None);
        assert_eq!(settle(&mut timeout, Some(17_700)), Some(Some(17_700)));
        assert_eq!(settle(&mut timeout, Some(20_000)), None);
        assert_eq!(settle(&mut timeout, Some(40_000)), Some(Some(40_000)));
        assert_eq!(settle(&mut timeout, Some(0)), Some(Some(1)));
        assert_eq!(settle(&mut timeout, Some(0)), None);
        assert_eq!(settle(&mut timeout, None), Some(None));
        assert_eq!(settle(&mut timeout, None), None);
    }

    #[test]
    fn a_wait_to_write_is_never_shorter_than_needed() {
        let mut timeout = Timeout::default();
        for (needed, expected) in [(3750, 3750), (5000, 5000), (4900, 5000), (4000, 4000)] {
            let needed = Duration::from_millis(needed);
            let settled = timeout.settle(Some(needed), Least::All, |_| Ok(()));
            assert_eq!(settled, Some(Duration::from_millis(expected)), "{needed:?}");
        }
    }

    /// A transport whose waits end early.
    struct Early {
        by: Duration,
        timeout: Duration,
    }

    impl io::Read for Early {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.timeout.saturating_sub(self.by));
            Err(ErrorKind::WouldBlock.into())
        }
    }

    impl io::Write for Early {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Early {
        fn supports_timeouts(&self) -> bool {
            true
        }

        fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
            self.timeout = timeout.unwrap();
            Ok(())
        }
    }

    /// What a read comes to whose deadline is `left` milliseconds away and whose wait ends `early`.
    fn waited(left: u64, early: u64) -> Progress {
        let clock = Clock::new();
        let stream = Early { by: Duration::from_millis(early), timeout: Duration::ZERO };
        let mut wire = Wire::new(stream, clock);
        let deadline = clock.now() + Duration::from_millis(left);
        wire.read(&mut BytesMut::with_capacity(16), Some(deadline)).unwrap()
    }

    #[test]
    fn a_wait_that_ends_a_little_early_is_told_from_a_transport_that_does_not_wait() {
        assert_eq!(waited(100, 40), Progress::TimedOut);
        assert_eq!(waited(100, 100), Progress::WouldBlock);
    }

    #[test]
    fn a_wait_for_a_deadline_that_is_near_is_told_from_a_transport_that_does_not_wait() {
        for left in [0, 1, 10, 30, 100] {
            assert_eq!(waited(left, 15), Progress::TimedOut, "{left} ms");
        }
    }

    #[test]
    fn a_timeout_that_could_not_be_set_is_tried_again() {
        let mut timeout = Timeout::default();
        let second = Duration::from_secs(1);
        let refused =
            timeout.settle(Some(second), Least::Half, |_| Err(ErrorKind::InvalidInput.into()));
        assert_eq!(refused, None);
        assert_eq!(settle(&mut timeout, Some(1000)), Some(Some(1000)));
    }
}
