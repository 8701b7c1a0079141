//! A machine between the application, which may call it from anywhere, and its driver.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use duologue_core::reconnect::Next;
use duologue_core::{Message, Timestamp};

use crate::machine::{Command, Ending, Ledger, MOST_BACKLOG, Machine};

/// A machine that several threads or tasks share: the application's calls, the one place where
/// events are taken, and the driver.
///
/// No lock is held while anything waits. Who waits gives a [`Waker`], which a thread can make of
/// its own `unpark`.
pub struct Shared<M> {
    state: Mutex<State<M>>,
}

struct State<M> {
    machine: M,
    ledger: Ledger,
    /// How many bytes the transport has taken.
    position: u64,
    round_trip: Option<Duration>,
    /// Something was asked of the machine since the driver looked.
    asked: bool,
    driver: Option<Waker>,
    events: Option<Waker>,
    /// Nobody takes events any more.
    detached: bool,
    /// The driver is done.
    finished: bool,
}

impl<M: Machine> Shared<M> {
    /// A machine that has no driver yet.
    #[must_use]
    pub fn new(machine: M) -> Self {
        Self {
            state: Mutex::new(State {
                machine,
                ledger: Ledger::default(),
                position: 0,
                round_trip: None,
                asked: false,
                driver: None,
                events: None,
                detached: false,
                finished: false,
            }),
        }
    }

    /// A thread that panicked with the lock left nothing half done: the machine is whole between
    /// any two calls on it.
    fn state(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The application: looks at the machine.
    pub fn look<T>(&self, look: impl FnOnce(&M) -> T) -> T {
        look(&self.state().machine)
    }

    /// The application: asks something of the machine, which the driver is to carry out.
    pub fn ask<T>(&self, ask: impl FnOnce(&mut M) -> T) -> T {
        let (answer, driver) = {
            let mut state = self.state();
            let answer = ask(&mut state.machine);
            state.drain();
            state.asked = true;
            (answer, state.driver.take())
        };
        wake(driver);
        answer
    }

    /// The application: the next event; `None` when the machine is over and all is told.
    pub fn poll_event(&self, context: &mut Context<'_>) -> Poll<Option<M::Event>> {
        let (event, driver) = {
            let mut state = self.state();
            let was_full = state.machine.backlog() >= MOST_BACKLOG;
            let event = state.machine.poll_event();
            // The driver may read on, also where messages were dropped and nothing is told.
            let reads_on = was_full && state.machine.backlog() < MOST_BACKLOG;
            state.asked |= reads_on;
            let driver = reads_on.then(|| state.driver.take()).flatten();
            let event = match event {
                None if !state.finished => {
                    state.events = Some(context.waker().clone());
                    Poll::Pending
                }
                event => Poll::Ready(event),
            };
            (event, driver)
        };
        wake(driver);
        event
    }

    /// The application: nobody takes events any more, and the machine comes to its end.
    pub fn detach(&self) {
        self.state().detached = true;
        self.ask(Machine::discard);
    }

    /// How long the last keepalive ping and its pong took.
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.state().round_trip
    }

    /// The driver: ready when something was asked since it was last ready.
    pub fn poll_asked(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if std::mem::take(&mut state.asked) {
            return Poll::Ready(());
        }
        if !state.driver.as_ref().is_some_and(|driver| driver.will_wake(context.waker())) {
            state.driver = Some(context.waker().clone());
        }
        Poll::Pending
    }

    /// The driver: what to do without a connection.
    pub fn next_action(&self) -> Next {
        self.look(Machine::next_action)
    }

    /// The driver: whether to give up at once.
    pub fn is_aborted(&self) -> bool {
        self.look(Machine::is_aborted)
    }

    /// The driver: whether to read on. While the application closes, it does so whatever waits, so
    /// that the peer's Close frame is heard.
    pub fn takes_messages(&self) -> bool {
        self.look(|machine| machine.backlog() < MOST_BACKLOG || machine.is_closing())
    }

    /// The driver: hands in a message. It is dropped if the application closes and takes none of
    /// those that wait.
    pub fn received(&self, message: Message) {
        self.tell(|machine| {
            if machine.backlog() < MOST_BACKLOG {
                machine.received(message);
            }
        });
    }

    /// The driver: the next thing to be done on the connection.
    pub fn poll_command(&self) -> Option<Command> {
        self.state().machine.poll_command()
    }

    /// The driver: tells the machine something, from which an event may come.
    pub fn tell(&self, tell: impl FnOnce(&mut M)) {
        let events = {
            let mut state = self.state();
            tell(&mut state.machine);
            state.drain();
            state.events.take()
        };
        wake(events);
    }

    /// The driver: a connection begins, whose transport has taken nothing yet.
    pub fn begin(&self) {
        let mut state = self.state();
        state.ledger.clear();
        state.position = 0;
        state.round_trip = None;
    }

    /// The driver: how many bytes the transport has taken.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.state().position
    }

    /// The driver: a message was queued, which takes up the transport's bytes from `begin` to
    /// `end`.
    pub fn queued(&self, payload: u64, begin: u64, end: u64) {
        let mut state = self.state();
        state.ledger.queued(payload, begin, end);
        state.settle();
    }

    /// The driver: the transport took so many bytes more.
    pub fn wrote(&self, count: usize) {
        let mut state = self.state();
        state.position = state.position.saturating_add(count as u64);
        state.settle();
    }

    /// The driver: all that was queued has been written.
    pub fn all_written(&self) {
        let mut state = self.state();
        let out = state.ledger.written(u64::MAX);
        state.machine.transmitted(out);
    }

    /// The driver: how long the last keepalive ping and its pong took.
    pub fn measured(&self, round_trip: Option<Duration>) {
        self.state().round_trip = round_trip;
    }

    /// The driver: the connection, or the attempt, is over. The application may be asked whether to
    /// connect again, and may call the machine then.
    pub fn closed(&self, mut ending: Ending, now: Timestamp) {
        let judge = {
            let state = self.state();
            ending.unbegun = state.ledger.unbegun(state.position);
            state.machine.judge()
        };
        let retry = judge.is_some_and(|judge| judge(&ending));
        self.tell(|machine| machine.closed(ending, retry, now));
    }

    /// The driver: it is done, and no event comes any more.
    pub fn finish(&self, now: Timestamp) {
        let events = {
            let mut state = self.state();
            if state.machine.next_action() != Next::Stop {
                // The driver was ended from outside, such as with its runtime.
                state.machine.discard();
                state.machine.closed(Ending::aborted(), false, now);
                state.drain();
            }
            state.finished = true;
            state.events.take()
        };
        wake(events);
    }
}

impl<M: Machine> State<M> {
    /// Events that nobody takes still have their effect on the attributes.
    fn drain(&mut self) {
        while self.detached && self.machine.poll_event().is_some() {}
    }

    fn settle(&mut self) {
        let out = self.ledger.written(self.position);
        if out > 0 {
            self.machine.transmitted(out);
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<M: fmt::Debug> fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Shared").field("machine", &state.machine).finish_non_exhaustive()
    }
}
