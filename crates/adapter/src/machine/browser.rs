//! The browser's object, as a driver drives it.

use duologue_core::browser::{
    BinaryType, CloseEvent, Command, Creation, DomException, Event, Object,
};
use duologue_core::deflate::DeflateConfig;
use duologue_core::handshake::{ExtensionConfig, NegotiatedExtensions};
use duologue_core::reconnect::Next;
use duologue_core::{Config, Message, ReadyState, SendError, Timestamp};

use crate::error::Error;
use crate::machine::{Ending, Machine};
use crate::options::ClientOptions;

/// What an application chooses about the browser's object beyond what a page could.
#[derive(Clone, Debug)]
pub struct BrowserOptions {
    creation: Creation,
    client: ClientOptions,
    max_buffered: u64,
}

impl BrowserOptions {
    /// What `new WebSocket(url, protocols)` takes; one protocol is a list of one. Compression is
    /// offered, as browsers do.
    ///
    /// # Errors
    ///
    /// [`DomException`], a `SyntaxError`.
    pub fn new(url: &str, protocols: &[&str]) -> Result<Self, DomException> {
        let creation = Creation::new(url, protocols)?;
        let config = Config { deflate: Some(DeflateConfig::DEFAULT), ..Config::DEFAULT };
        let request = creation.request(ExtensionConfig::default());
        let client =
            ClientOptions::for_request(creation.address().clone(), request).with_config(config);
        Ok(Self { creation, client, max_buffered: u64::MAX })
    }

    /// Changes the configuration, which is the default one with compression.
    ///
    /// ```
    /// use duologue_adapter::machine::BrowserOptions;
    /// use duologue_adapter::{Config, Keepalive};
    ///
    /// let keepalive = Keepalive { always: true, ..Keepalive::DEFAULT };
    /// let options = BrowserOptions::new("ws://example.com/chat", &[])?
    ///     .with_config(|config| Config { keepalive: Some(keepalive), ..config });
    /// # Ok::<(), duologue_adapter::browser::DomException>(())
    /// ```
    #[must_use]
    pub fn with_config(self, change: impl FnOnce(Config) -> Config) -> Self {
        self.with_client(|client| {
            let config = change(*client.config());
            client.with_config(config)
        })
    }

    /// Changes how the connection is made: fields such as `Origin` or `Cookie`, TLS.
    ///
    /// ```
    /// use duologue_adapter::machine::BrowserOptions;
    ///
    /// let options = BrowserOptions::new("ws://example.com/chat", &["chat"])?
    ///     .with_client(|client| client.origin("https://example.com"));
    /// # Ok::<(), duologue_adapter::browser::DomException>(())
    /// ```
    #[must_use]
    pub fn with_client(mut self, change: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        self.client = change(self.client);
        self
    }

    /// Sets how many bytes may be buffered for sending; a message past that ends the connection,
    /// for `send` never waits. By default there is no limit, as in browsers.
    #[must_use]
    pub const fn with_max_buffered(mut self, bytes: u64) -> Self {
        self.max_buffered = bytes;
        self
    }

    /// Gives how the connection is made.
    pub fn requests(&self) -> impl Fn() -> ClientOptions + Send + use<> {
        let client = self.client.clone();
        move || client.clone()
    }

    /// How the connection is made.
    #[must_use]
    pub const fn client(&self) -> &ClientOptions {
        &self.client
    }
}

/// An event of the browser's object, with what a browser would hide.
#[derive(Debug)]
#[non_exhaustive]
pub enum BrowserEvent {
    /// `open`: the connection is established.
    Open,
    /// `message`.
    Message {
        /// The message.
        data: Message,
        /// What binary ones are wanted as; here all of them come as bytes.
        binary_type: BinaryType,
    },
    /// `error`: the connection has failed, or could not be had; `Close` follows. Why, is what a
    /// browser would not tell; `None` if it was the application itself that gave it up.
    Error(Option<Error>),
    /// `close`: the connection is over, and nothing follows.
    Close {
        /// The peer's code; 1005 if its Close frame had none, 1006 if none came.
        code: u16,
        /// The peer's reason.
        reason: String,
        /// Whether both Close frames were exchanged.
        was_clean: bool,
        /// Why the connection was lost, where no `Error` has told it.
        cause: Option<Error>,
    },
}

/// The browser's object and whether its connection is over.
#[derive(Debug)]
pub struct BrowserMachine {
    /// The object.
    pub object: Object<Error>,
    is_over: bool,
}

impl BrowserMachine {
    /// An object that is to connect.
    #[must_use]
    pub fn new(options: &BrowserOptions) -> Self {
        let object = Object::new(&options.creation).with_max_buffered(options.max_buffered);
        Self { object, is_over: false }
    }
}

impl Machine for BrowserMachine {
    type Event = BrowserEvent;

    fn next_action(&self) -> Next {
        if self.is_over { Next::Stop } else { Next::Connect }
    }

    fn is_aborted(&self) -> bool {
        self.object.is_aborted()
    }

    fn handle_timeout(&mut self, _now: Timestamp) {}

    fn opened(
        &mut self,
        subprotocol: Option<&str>,
        extensions: NegotiatedExtensions,
        _now: Timestamp,
    ) {
        self.object.opened(subprotocol, extensions);
    }

    fn received(&mut self, message: Message) {
        self.object.received(message);
    }

    fn peer_closes(&mut self) {
        self.object.peer_closes();
    }

    fn transmitted(&mut self, bytes: u64) {
        self.object.transmitted(bytes);
    }

    fn closed(&mut self, ending: Ending, _retry: bool, _now: Timestamp) {
        self.is_over = true;
        let failed = ending.is_failure();
        let full = || self.object.is_full().then_some(Error::Send(SendError::BufferFull));
        let cause = ending.cause.or_else(full);
        self.object.closed(ending.close, failed, cause);
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.object.poll_command()
    }

    fn poll_event(&mut self) -> Option<BrowserEvent> {
        Some(match self.object.poll_event()? {
            Event::Open => BrowserEvent::Open,
            Event::Message { data, binary_type } => BrowserEvent::Message { data, binary_type },
            Event::Error(cause) => BrowserEvent::Error(cause),
            Event::Close { close, cause } => {
                let CloseEvent { code, reason, was_clean } = close;
                BrowserEvent::Close { code, reason, was_clean, cause }
            }
        })
    }

    fn backlog(&self) -> usize {
        self.object.backlog()
    }

    fn is_closing(&self) -> bool {
        self.object.ready_state() >= ReadyState::Closing
    }

    fn discard(&mut self) {
        self.object.discard();
    }
}
