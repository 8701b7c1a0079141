//! The connection's one timer.

use std::boxed::Box;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use duologue_core::Timestamp;
use tokio::task::coop;
use tokio::time::{Instant, Sleep};

/// Now, in the core's terms: since the first time that this was asked.
pub(crate) fn now() -> Timestamp {
    Timestamp::ZERO + Instant::now().saturating_duration_since(origin())
}

/// The runtime's point in time for one of the core's. What the platform cannot express becomes one
/// a hundred years on.
pub(crate) fn instant(at: Timestamp) -> Instant {
    let origin = origin();
    let far = || origin.checked_add(CENTURY);
    origin.checked_add(Duration::from_nanos(at.as_nanos())).or_else(far).unwrap_or(origin)
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

fn origin() -> Instant {
    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
    Instant::from_std(*ORIGIN.get_or_init(std::time::Instant::now))
}

/// Sleeps until the nearest deadline.
///
/// Deadlines mostly move away, with every byte that comes. The timer is then left as it is; when
/// it fires too early it is set anew. An endpoint without a deadline holds none.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    set_for: Timestamp,
}

impl Timer {
    /// Ready with the time when `deadline` has passed.
    ///
    /// `has_waker` says whether the timer has been given the waker of `context` before, and is kept
    /// up to date here: it need not be given it again for each read.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        deadline: Option<Timestamp>,
        has_waker: &mut bool,
        context: &mut Context<'_>,
    ) -> Poll<Timestamp> {
        if let (Some(sleep), Some(deadline), true) = (&self.sleep, deadline, *has_waker)
            && deadline >= self.set_for
            && !sleep.is_elapsed()
        {
            return Poll::Pending;
        }
        let result = self.poll_slow(deadline, context);
        // Out of budget, a timer does not look at the waker.
        *has_waker = coop::has_budget_remaining();
        result
    }

    fn poll_slow(
        &mut self,
        deadline: Option<Timestamp>,
        context: &mut Context<'_>,
    ) -> Poll<Timestamp> {
        let Some(deadline) = deadline else {
            self.sleep = None;
            return Poll::Pending;
        };
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if deadline < self.set_for {
                    sleep.as_mut().reset(instant(deadline));
                    self.set_for = deadline;
                }
                sleep
            }
            None => {
                self.set_for = deadline;
                self.sleep.insert(Box::pin(tokio::time::sleep_until(instant(deadline))))
            }
        };
        while sleep.as_mut().poll(context).is_ready() {
            let now = now();
            if now >= deadline {
                self.sleep = None;
                return Poll::Ready(now);
            }
            sleep.as_mut().reset(instant(deadline));
            self.set_for = deadline;
        }
        Poll::Pending
    }
}
