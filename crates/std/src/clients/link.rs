//! What the threads of one connection share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::thread::{self, ThreadId};
use std::time::Instant;

use duologue_adapter::machine::{Ending, Machine, Shared};

use super::bell::Bell;
use crate::transport::Transport;

/// One connection, from the attempt to its end.
///
/// Its lock may be taken while an endpoint's is held, and the machine's while this one is, never
/// the other way round.
pub(super) struct Link<S, M: Machine> {
    pub(super) shared: Arc<Shared<M>>,
    bell: Arc<Bell>,
    waker: Waker,
    state: Mutex<State<S>>,
}

struct State<S> {
    stage: Stage,
    /// A handle to the transport by which it is closed, whoever waits for it.
    transport: Option<S>,
    /// The thread that writes messages.
    writer: Option<ThreadId>,
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Opening,
    Open,
    /// It is given up or has ended: whatever its threads still do is without effect on the machine,
    /// which may have another connection by now.
    Over,
}

/// How a connection came to its end.
pub(super) enum End {
    /// By itself.
    Ended(Ending),
    /// By the application's wish.
    Aborted,
    /// A thread of it panicked.
    Panicked,
}

impl<S: Transport, M: Machine> Link<S, M> {
    pub(super) fn new(shared: Arc<Shared<M>>, bell: Arc<Bell>) -> Self {
        let waker = Waker::from(Arc::clone(&bell));
        let state = State { stage: Stage::Opening, transport: None, writer: None, end: None };
        Self { shared, bell, waker, state: Mutex::new(state) }
    }

    /// The state is whole between any two calls, also after a panic.
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds something; it looks again when anything was asked of the machine,
    /// and when anything has happened to the connection.
    ///
    /// The bell stands in the machine as the waker before each look. Whoever takes it out there
    /// rings, so nothing that is asked after a look goes unheard, whichever thread put it there.
    pub(super) fn wait<T>(
        &self,
        until: Option<Instant>,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        self.bell.wait(until, || {
            listen(&self.shared, &self.waker);
            look()
        })
    }

    /// Calls `work` if the connection is open; it stays so meanwhile, as far as this end is
    /// concerned.
    pub(super) fn while_open<T>(&self, work: impl FnOnce(&Shared<M>) -> T) -> Option<T> {
        let state = self.state();
        (state.stage == Stage::Open).then(|| work(&self.shared))
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().stage == Stage::Over
    }

    /// The transport is there, with `transport` to close it by; whether it is still wanted.
    pub(super) fn connected(&self, transport: S) -> bool {
        let mut state = self.state();
        let wanted = state.stage == Stage::Opening;
        if wanted {
            state.transport = Some(transport);
        }
        wanted
    }

    /// The opening handshake is done, of which `tell` tells the machine; whether it is still
    /// wanted.
    pub(super) fn opened(&self, tell: impl FnOnce(&mut M)) -> bool {
        let wanted = {
            let mut state = self.state();
            let wanted = state.stage == Stage::Opening;
            if wanted {
                state.stage = Stage::Open;
                self.shared.tell(tell);
            }
            wanted
        };
        self.bell.ring();
        wanted
    }

    /// The calling thread is the one that writes messages.
    pub(super) fn writes_here(&self) {
        self.state().writer = Some(thread::current().id());
    }

    /// The transport has taken so many bytes more. What is written in the opening handshake does
    /// not count.
    pub(super) fn wrote(&self, count: usize) {
        let by_reader = {
            let state = self.state();
            if state.stage == Stage::Open {
                self.shared.wrote(count);
            }
            state.writer != Some(thread::current().id())
        };
        // Perhaps the answer to the peer's Close frame, after which nothing more is to be sent:
        // the writer looks for itself.
        if by_reader {
            self.bell.ring();
        }
    }

    /// Has all that wait look again.
    pub(super) fn ring(&self) {
        self.bell.ring();
    }

    /// The connection has come to an end, or the attempt has.
    pub(super) fn end(&self, end: End) {
        self.state().end.get_or_insert(end);
        self.bell.ring();
    }

    /// Waits for the opening handshake: until the connection is open, or has come to an end.
    /// `None` if it was neither in time; then it never will be.
    pub(super) fn wait_opened(&self, until: Instant) -> Option<Result<(), End>> {
        let look = || match self.look_for_end() {
            Some(end) => Some(Err(end)),
            None => (self.state().stage == Stage::Open).then_some(Ok(())),
        };
        self.wait(Some(until), look).or_else(|| {
            let mut state = self.state();
            match state.end.take() {
                Some(end) => Some(Err(end)),
                None if state.stage == Stage::Open => Some(Ok(())),
                None => {
                    state.stage = Stage::Over;
                    None
                }
            }
        })
    }

    /// Waits for the end of the connection.
    pub(super) fn wait_end(&self) -> End {
        self.wait(None, || self.look_for_end()).unwrap_or(End::Aborted)
    }

    fn look_for_end(&self) -> Option<End> {
        if self.shared.is_aborted() { Some(End::Aborted) } else { self.state().end.take() }
    }

    /// Nothing is wanted of the connection any more: its threads end.
    pub(super) fn give_up(&self) {
        let transport = {
            let mut state = self.state();
            state.stage = Stage::Over;
            state.transport.take()
        };
        if let Some(mut transport) = transport {
            // It may be closed already.
            let _ = transport.close();
        }
        self.bell.ring();
    }
}

/// Has `waker` woken when something is next asked of the machine.
pub(super) fn listen<M: Machine>(shared: &Shared<M>, waker: &Waker) {
    let mut context = Context::from_waker(waker);
    while shared.poll_asked(&mut context).is_ready() {}
}
