//! The thread that keeps a client's machine going: has it connect, and connect again.

use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::Instant;

use duologue_adapter::machine::{Ending, Machine, Next, Shared};
use duologue_adapter::{ClientOptions, Clock, Error};

use super::bell::Bell;
use super::connection;
use super::connector::{Connector, Readiness};
use super::link::{End, Link, listen};
use super::threads;
use crate::transport::{Transport, TryClone};

/// Starts a thread that drives `machine`, over the streams that `connect` gives; `requests` tells
/// anew before each attempt how it is made.
pub(super) fn start<M, S, R, D>(machine: M, requests: R, connect: D) -> Arc<Shared<M>>
where
    M: Machine,
    R: Fn() -> ClientOptions + Send + 'static,
    S: TryClone + Send + 'static,
    D: FnMut(&ClientOptions) -> Result<S, Error> + Send + 'static,
{
    let shared = Arc::new(Shared::new(machine));
    let clock = Clock::new();
    let driven = Arc::clone(&shared);
    let drive = move || {
        let driven = Driven { shared: driven, clock };
        Driver {
            shared: &driven.shared,
            clock,
            requests,
            connector: Arc::new(Connector::new(connect)),
            bell: Arc::new(Bell::default()),
        }
        .drive();
    };
    if let Err(error) = thread::Builder::new().name("duologue client".into()).spawn(drive) {
        shared.closed(Ending::not_connected(Error::Io(error)), clock.now());
        shared.finish(clock.now());
    }
    shared
}

/// Tells the application that nothing comes any more, also after a panic.
struct Driven<M: Machine> {
    shared: Arc<Shared<M>>,
    clock: Clock,
}

impl<M: Machine> Drop for Driven<M> {
    fn drop(&mut self) {
        self.shared.finish(self.clock.now());
    }
}

struct Driver<'a, M, R, D> {
    shared: &'a Arc<Shared<M>>,
    clock: Clock,
    requests: R,
    connector: Arc<Connector<D>>,
    bell: Arc<Bell>,
}

impl<M: Machine, R: Fn() -> ClientOptions, D> Driver<'_, M, R, D> {
    fn drive<S>(&self)
    where
        S: TryClone + Send + 'static,
        D: FnMut(&ClientOptions) -> Result<S, Error> + Send + 'static,
    {
        loop {
            match self.shared.next_action() {
                Next::Stop => return,
                Next::Wait(at) => {
                    self.wait(self.clock.instant(at), || {
                        (self.shared.next_action() != Next::Wait(at)).then_some(())
                    });
                    self.shared.tell(|machine| machine.handle_timeout(self.clock.now()));
                }
                Next::Connect => {
                    self.shared.begin();
                    let ending = match self.connection() {
                        End::Ended(ending) => ending,
                        End::Aborted => Ending::aborted(),
                        End::Panicked => return,
                    };
                    self.shared.closed(ending, self.clock.now());
                }
            }
        }
    }

    /// One connection, from the attempt to its end.
    fn connection<S>(&self) -> End
    where
        S: TryClone + Send + 'static,
        D: FnMut(&ClientOptions) -> Result<S, Error> + Send + 'static,
    {
        if self.shared.is_aborted() {
            return End::Aborted;
        }
        let options = (self.requests)();
        let timeout = options.config().opening_timeout;
        let until = self.clock.instant(self.clock.now() + timeout);
        match self.wait_for_connector(until) {
            None => return End::Ended(Ending::not_connected(Error::OpeningTimeout)),
            Some(Err(end)) => return end,
            Some(Ok(())) => {}
        }
        let current = Current(Arc::new(Link::new(Arc::clone(self.shared), Arc::clone(&self.bell))));
        let clock = self.clock;
        let connector = Arc::clone(&self.connector);
        let run = move |link: &Arc<_>| connection::run(link, &options, &connector, clock);
        if let Err(error) = threads::spawn("duologue reader", &current.0, run) {
            return End::Ended(Ending::not_connected(Error::Io(error)));
        }
        match current.0.wait_opened(until) {
            None => End::Ended(Ending::not_connected(Error::OpeningTimeout)),
            Some(Err(end)) => end,
            Some(Ok(())) => current.0.wait_end(),
        }
    }

    /// Waits until an earlier attempt has let go of the connector. `None` if it has not in time.
    fn wait_for_connector(&self, until: Instant) -> Option<Result<(), End>> {
        self.wait(until, || {
            if self.shared.is_aborted() {
                return Some(Err(End::Aborted));
            }
            match self.connector.readiness() {
                Readiness::Ready => Some(Ok(())),
                Readiness::Taken => None,
                Readiness::Broken => Some(Err(End::Panicked)),
            }
        })
    }

    fn wait<T>(&self, until: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let waker = Waker::from(Arc::clone(&self.bell));
        self.bell.wait(Some(until), || {
            listen(self.shared, &waker);
            look()
        })
    }
}

/// The connection that there is; its threads end with it.
struct Current<S: Transport, M: Machine>(Arc<Link<S, M>>);

impl<S: Transport, M: Machine> Drop for Current<S, M> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}
