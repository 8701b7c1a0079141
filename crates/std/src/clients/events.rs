//! Where a client's events are taken.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use duologue_adapter::machine::{Machine, Next, Shared};

use super::bell::Bell;

/// The one place where the events of a client are taken. When it is dropped the client comes to its
/// end.
pub(super) struct Events<M: Machine> {
    shared: Arc<Shared<M>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<M: Machine> Events<M> {
    pub(super) fn new(shared: Arc<Shared<M>>) -> Self {
        let bell = Arc::new(Bell::default());
        Self { shared, waker: Waker::from(Arc::clone(&bell)), bell }
    }

    /// The next event, now.
    pub(super) fn poll(&self) -> Poll<Option<M::Event>> {
        let mut context = Context::from_waker(&self.waker);
        match self.shared.poll_event(&mut context) {
            // The machine is over, whether or not its driver has come to its end already; no event
            // comes after that, but the last ones may have come since the first look.
            Poll::Pending if self.shared.next_action() == Next::Stop => {
                match self.shared.poll_event(&mut context) {
                    Poll::Pending => Poll::Ready(None),
                    event => event,
                }
            }
            event => event,
        }
    }

    /// The next event, once it is there.
    pub(super) fn wait(&self) -> Option<M::Event> {
        self.wait_until(None)?
    }

    /// The next event, if it is there in time.
    pub(super) fn wait_for(&self, patience: Duration) -> Poll<Option<M::Event>> {
        // A time that the platform cannot express is as good as none.
        let until = Instant::now().checked_add(patience);
        self.wait_until(until).map_or(Poll::Pending, Poll::Ready)
    }

    fn wait_until(&self, until: Option<Instant>) -> Option<Option<M::Event>> {
        self.bell.wait(until, || match self.poll() {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        })
    }
}

impl<M: Machine> Drop for Events<M> {
    fn drop(&mut self) {
        self.shared.detach();
    }
}

impl<M: Machine + fmt::Debug> fmt::Debug for Events<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
