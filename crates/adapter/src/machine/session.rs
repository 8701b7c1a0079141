//! The client that connects again, as a driver drives it.

use std::fmt;
use std::sync::Arc;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::reconnect::{
    Command, Next, ReconnectPolicy, Session, SessionConfig, SessionEvent, WhileDown,
};
use duologue_core::{Message, ReadyState, Timestamp};

use crate::error::Error;
use crate::machine::{Ending, Judge, Machine};
use crate::options::ClientOptions;

/// What is to be changed about a request before each attempt.
type Prepare = Arc<dyn Fn(ClientOptions) -> ClientOptions + Send + Sync>;

/// What to connect to, again and again, and how.
#[derive(Clone)]
pub struct ReconnectOptions {
    client: ClientOptions,
    session: SessionConfig,
    judge: Judge,
    prepare: Option<Prepare>,
}

impl ReconnectOptions {
    /// The default policy, for the server of `client`.
    #[must_use]
    pub fn new(client: ClientOptions) -> Self {
        let judge = Arc::new(Ending::is_worth_retrying);
        Self { client, session: SessionConfig::DEFAULT, judge, prepare: None }
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

    /// Sets how many bytes may wait to be sent; a message counts a little more than its payload.
    /// Default 1 MiB.
    #[must_use]
    pub const fn with_max_buffered(mut self, bytes: usize) -> Self {
        self.session.max_buffered = bytes;
        self
    }

    /// Sets what is changed about the request before each attempt, the first one among them: such
    /// as to put in a token that expires. It is called where the work is done, and should not wait.
    ///
    /// ```
    /// use duologue_adapter::ClientOptions;
    /// use duologue_adapter::machine::ReconnectOptions;
    ///
    /// # fn token() -> String { String::new() }
    /// let options = ReconnectOptions::new(ClientOptions::new("ws://example.com/")?)
    ///     .with_request(|client| client.field("Authorization", format!("Bearer {}", token())));
    /// # Ok::<(), duologue_adapter::Error>(())
    /// ```
    #[must_use]
    pub fn with_request(
        mut self,
        prepare: impl Fn(ClientOptions) -> ClientOptions + Send + Sync + 'static,
    ) -> Self {
        self.prepare = Some(Arc::new(prepare));
        self
    }

    /// Sets who judges whether to connect again after an end, in place of
    /// [`Ending::is_worth_retrying`]. It is called where the work is done, and should not wait.
    #[must_use]
    pub fn retry_if(mut self, judge: impl Fn(&Ending) -> bool + Send + Sync + 'static) -> Self {
        self.judge = Arc::new(judge);
        self
    }

    /// How a connection is made, before it is changed for an attempt.
    #[must_use]
    pub const fn client(&self) -> &ClientOptions {
        &self.client
    }

    /// Gives how a connection is made, anew for each attempt.
    pub fn requests(&self) -> impl Fn() -> ClientOptions + Send + use<> {
        let (client, prepare) = (self.client.clone(), self.prepare.clone());
        move || match &prepare {
            Some(prepare) => prepare(client.clone()),
            None => client.clone(),
        }
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

    fn judge(&self) -> Option<Judge> {
        // Nobody is asked about a client that is being closed: there is no further attempt.
        (!self.is_closing()).then(|| Arc::clone(&self.judge))
    }

    fn closed(&mut self, ending: Ending, retry: bool, now: Timestamp) {
        let Ending { close, cause, unbegun, .. } = ending;
        self.session.closed(close, cause, unbegun, retry, now, rand::random());
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

    fn is_closing(&self) -> bool {
        self.session.ready_state() >= ReadyState::Closing
    }

    fn discard(&mut self) {
        self.session.discard();
    }
}
