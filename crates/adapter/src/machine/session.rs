//! The client that connects again, as a driver drives it.

use std::fmt;
use std::sync::Arc;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::reconnect::{
    Command, Next, ReconnectPolicy, Session, SessionConfig, SessionEvent, WhileDown,
};
use duologue_core::{Message, ReadyState, Timestamp};

use crate::error::Error;
use crate::machine::{Ending, Machine};
use crate::options::ClientOptions;

/// Whether to connect again after this.
type Judge = Arc<dyn Fn(&Ending) -> bool + Send + Sync>;

/// What to connect to, again and again, and how.
#[derive(Clone)]
pub struct ReconnectOptions {
    client: ClientOptions,
    session: SessionConfig,
    judge: Judge,
}

impl ReconnectOptions {
    /// The default policy, for the server of `client`.
    #[must_use]
    pub fn new(client: ClientOptions) -> Self {
        let judge = Arc::new(Ending::is_worth_retrying);
        Self { client, session: SessionConfig::DEFAULT, judge }
    }

    /// Sets when to connect again.
    #[must_use]
    pub const fn with_policy(mut self, policy: ReconnectPolicy) -> Self {
        self.session.policy = policy;
        self
    }

    /// Sets what becomes of messages that are sent while there is no connection. By default they
    /// are refused.
    #[must_use]
    pub const fn with_while_down(mut self, while_down: WhileDown) -> Self {
        self.session.while_down = while_down;
        self
    }

    /// Sets how many bytes of payload may wait to be sent. Default 1 MiB.
    #[must_use]
    pub const fn with_max_buffered(mut self, bytes: usize) -> Self {
        self.session.max_buffered = bytes;
        self
    }

    /// Sets who judges whether to connect again after an end, in place of
    /// [`Ending::is_worth_retrying`].
    #[must_use]
    pub fn retry_if(mut self, judge: impl Fn(&Ending) -> bool + Send + Sync + 'static) -> Self {
        self.judge = Arc::new(judge);
        self
    }

    /// How a connection is made.
    #[must_use]
    pub const fn client(&self) -> &ClientOptions {
        &self.client
    }
}

impl fmt::Debug for ReconnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectOptions")
            .field("client", &self.client)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// The client that connects again, with who judges whether it does.
pub struct SessionMachine {
    /// The client.
    pub session: Session<Error>,
    judge: Judge,
}

impl SessionMachine {
    /// A client that is to connect.
    #[must_use]
    pub fn new(options: &ReconnectOptions) -> Self {
        Self { session: Session::new(options.session), judge: Arc::clone(&options.judge) }
    }
}

impl fmt::Debug for SessionMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionMachine").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Machine for SessionMachine {
    type Event = SessionEvent<Error>;

    fn next_action(&self) -> Next {
        self.session.next_action()
    }

    fn is_aborted(&self) -> bool {
        self.session.is_aborted()
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        self.session.handle_timeout(now);
    }

    fn opened(
        &mut self,
        subprotocol: Option<&str>,
        extensions: NegotiatedExtensions,
        now: Timestamp,
    ) {
        self.session.opened(subprotocol, extensions, now);
    }

    fn received(&mut self, message: Message) {
        self.session.received(message);
    }

    fn peer_closes(&mut self) {}

    fn transmitted(&mut self, bytes: u64) {
        self.session.transmitted(bytes);
    }

    fn closed(&mut self, ending: Ending, now: Timestamp) {
        // Nobody is asked about a client that is being closed: there is no further attempt. So a
        // judge that panics is not asked again when its client is ended because of that.
        let goes_on = self.session.ready_state() < ReadyState::Closing;
        let retry = goes_on && (self.judge)(&ending);
        self.session.closed(ending.close, ending.cause, retry, now, rand::random());
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.session.poll_command()
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.session.poll_event()
    }

    fn backlog(&self) -> usize {
        self.session.backlog()
    }

    fn discard(&mut self) {
        self.session.discard();
    }
}
