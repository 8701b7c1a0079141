//! A client that connects again when its connection is lost.

use std::iter::FusedIterator;
use std::ops::Deref;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use duologue_adapter::machine::{ReconnectOptions, ReconnectingHandle, SessionMachine};
use duologue_adapter::reconnect::SessionEvent;
use duologue_adapter::{ClientOptions, Error};

use super::driver::start;
use super::events::Events;
use crate::connecting::connect_stream;
use crate::transport::TryClone;

/// What happens to a [`ReconnectingSocket`].
pub type ReconnectEvent = SessionEvent<Error>;

/// A client that stays connected: when its connection is lost, it waits a little and connects
/// again, as its [`ReconnectOptions`] say.
///
/// Threads of its own do the work: one, and two more while it is connected. Its calls never wait,
/// and what happens comes as events: it is an iterator over them, which waits for the next one. All
/// calls are those of [`ReconnectingHandle`], which can be cloned and sent elsewhere. While 1 MiB
/// of messages waits to be taken, nothing more is read.
///
/// What is sent while there is no connection is refused or kept, as was chosen. Nothing is sent
/// twice: what a connection had begun to write when it was lost may have arrived or not. Nothing is
/// driven either while those messages wait, so take the events; where the application closes, the
/// rest is read and dropped.
///
/// A connection that dies without a word is found out by the keepalive pings of
/// [`Config`](crate::Config).
///
/// ```no_run
/// use duologue_std::ClientOptions;
/// use duologue_std::reconnect::{
///     ReconnectEvent, ReconnectOptions, ReconnectPolicy, ReconnectingSocket, WhileDown,
/// };
///
/// let options = ReconnectOptions::new(ClientOptions::new("ws://127.0.0.1:9001/")?)
///     .with_policy(ReconnectPolicy { max_attempts: Some(10), ..ReconnectPolicy::DEFAULT })
///     .with_while_down(WhileDown::Keep(100));
/// for event in ReconnectingSocket::new(&options) {
///     match event {
///         ReconnectEvent::Up { .. } => println!("up"),
///         ReconnectEvent::Message(message) => println!("{message:?}"),
///         ReconnectEvent::Down { cause, retry_in, .. } => {
///             println!("down: {cause:?}; the next attempt in {retry_in:?}");
///         }
///     }
/// }
/// # Ok::<(), duologue_std::Error>(())
/// ```
///
/// Dropping it closes the connection with 1001, in the background, and ends the attempts.
#[derive(Debug)]
pub struct ReconnectingSocket {
    handle: ReconnectingHandle,
    events: Events<SessionMachine>,
}

impl ReconnectingSocket {
    /// A client that connects at once.
    #[must_use]
    pub fn new(options: &ReconnectOptions) -> Self {
        Self::with_connector(options, connect_stream)
    }

    /// As [`new`](Self::new), over streams of the caller's: through a proxy, or with a TLS of its
    /// own. `connect` is called for each attempt, and has the opening timeout, together with the
    /// handshake. If it takes longer, the attempt has failed, what it gives is dropped, and the
    /// attempts after that have to wait for it.
    ///
    /// A stream must be a blocking one, and end what waits for it, in whatever thread, when it is
    /// [closed](crate::Transport::close).
    #[must_use]
    pub fn with_connector<S, C>(options: &ReconnectOptions, connect: C) -> Self
    where
        S: TryClone + Send + 'static,
        C: FnMut(&ClientOptions) -> Result<S, Error> + Send + 'static,
    {
        let shared = start(SessionMachine::new(options), options.requests(), connect);
        let handle = ReconnectingHandle::new(Arc::clone(&shared));
        Self { handle, events: Events::new(shared) }
    }

    /// The next event if it is there: [`Poll::Pending`] if nothing has happened yet, and
    /// `Poll::Ready(None)` after a [`ReconnectEvent::Down`] without another attempt.
    pub fn try_next(&mut self) -> Poll<Option<ReconnectEvent>> {
        self.events.poll()
    }

    /// As [`try_next`](Self::try_next), but waits for the event as long as `timeout`.
    pub fn next_timeout(&mut self, timeout: Duration) -> Poll<Option<ReconnectEvent>> {
        self.events.wait_for(timeout)
    }

    /// The handle: its clones work from anywhere.
    #[must_use]
    pub const fn handle(&self) -> &ReconnectingHandle {
        &self.handle
    }
}

/// All of a [`ReconnectingHandle`] can be called on the client itself.
impl Deref for ReconnectingSocket {
    type Target = ReconnectingHandle;

    fn deref(&self) -> &ReconnectingHandle {
        &self.handle
    }
}

/// The events, until the last [`ReconnectEvent::Down`].
impl Iterator for ReconnectingSocket {
    type Item = ReconnectEvent;

    fn next(&mut self) -> Option<ReconnectEvent> {
        self.events.wait()
    }
}

impl FusedIterator for ReconnectingSocket {}
