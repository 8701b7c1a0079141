//! The object: its calls, its attributes and its events.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

use crate::browser::creation::Creation;
use crate::browser::exception::DomException;
use crate::close_code::CloseCode;
use crate::command::{CloseEvent, Command, MOST_REASON, counted};
use crate::handshake::NegotiatedExtensions;
use crate::message::Message;
use crate::ready_state::ReadyState;

/// What a script would have binary messages as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BinaryType {
    /// `"blob"`.
    #[default]
    Blob,
    /// `"arraybuffer"`.
    ArrayBuffer,
}

/// An event of the object. `E` is what the driver knows of a failure, which a browser would hide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<E> {
    /// The connection is open.
    Open,
    /// A message came.
    Message {
        /// The message.
        data: Message,
        /// What binary ones are wanted as, now.
        binary_type: BinaryType,
    },
    /// The connection has failed; `Close` follows.
    Error(Option<E>),
    /// The connection is over; nothing follows.
    Close {
        /// How it ended.
        close: CloseEvent,
        /// Why, where no `Error` has told it: the connection was lost, which is no failure in a
        /// browser's terms.
        cause: Option<E>,
    },
}

/// Something that happened, and shows when its turn comes.
#[derive(Debug)]
enum Task<E> {
    Opened { protocol: String, extensions: String },
    Received(Message),
    PeerCloses,
    Closed { close: CloseEvent, failed: bool, cause: Option<E> },
}

/// The `WebSocket` object.
///
/// A driver carries out its commands ([`poll_command`](Self::poll_command)) and tells what happens:
/// [`opened`](Self::opened), [`received`](Self::received), [`peer_closes`](Self::peer_closes),
/// [`transmitted`](Self::transmitted) and, once and last, [`closed`](Self::closed).
#[derive(Debug)]
pub struct Object<E> {
    url: String,
    protocol: String,
    extensions: String,
    ready_state: ReadyState,
    binary_type: BinaryType,
    /// Payload bytes that were handed to `send` and have not reached the network.
    buffered_amount: u64,
    /// Those of them that still may.
    in_flight: u64,
    max_buffered: u64,
    /// A message did not fit in.
    is_full: bool,
    was_open: bool,
    tasks: VecDeque<Task<E>>,
    /// Events of the task whose turn it is.
    ready: VecDeque<Event<E>>,
    commands: VecDeque<Command>,
    /// The connection is to be given up, whatever was asked for before.
    is_aborted: bool,
    /// There is no connection any more, though that may not have been dispatched.
    is_over: bool,
    /// What the messages that came and were not dispatched count.
    backlog: usize,
}

impl<E> Object<E> {
    /// An object that connects.
    #[must_use]
    pub fn new(creation: &Creation) -> Self {
        Self {
            url: creation.url().into(),
            protocol: String::new(),
            extensions: String::new(),
            ready_state: ReadyState::Connecting,
            binary_type: BinaryType::default(),
            buffered_amount: 0,
            in_flight: 0,
            max_buffered: u64::MAX,
            is_full: false,
            was_open: false,
            tasks: VecDeque::new(),
            ready: VecDeque::new(),
            commands: VecDeque::new(),
            is_aborted: false,
            is_over: false,
            backlog: 0,
        }
    }

    /// Sets how many bytes may be buffered; a message past that ends the connection. By default
    /// there is no limit.
    #[must_use]
    pub fn with_max_buffered(mut self, bytes: u64) -> Self {
        self.max_buffered = bytes;
        self
    }

    /// The `url` attribute.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The `readyState` attribute.
    #[must_use]
    pub const fn ready_state(&self) -> ReadyState {
        self.ready_state
    }

    /// The `protocol` attribute: empty until the connection is open.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The `extensions` attribute: empty until the connection is open.
    #[must_use]
    pub fn extensions(&self) -> &str {
        &self.extensions
    }

    /// The `bufferedAmount` attribute: bytes of payload, uncompressed, that have not reached the
    /// network. It does not fall when the connection ends.
    #[must_use]
    pub const fn buffered_amount(&self) -> u64 {
        self.buffered_amount
    }

    /// The `binaryType` attribute.
    #[must_use]
    pub const fn binary_type(&self) -> BinaryType {
        self.binary_type
    }

    /// Sets the `binaryType` attribute, for the messages dispatched from now on.
    pub const fn set_binary_type(&mut self, binary_type: BinaryType) {
        self.binary_type = binary_type;
    }

    /// `send(data)`. When the connection is closing or closed it is no error, and nothing is sent.
    ///
    /// # Errors
    ///
    /// [`DomException::StillConnecting`].
    pub fn send(&mut self, message: Message) -> Result<(), DomException> {
        if self.ready_state == ReadyState::Connecting {
            return Err(DomException::StillConnecting);
        }
        let length = message.len() as u64;
        self.buffered_amount = self.buffered_amount.saturating_add(length);
        if self.ready_state != ReadyState::Open || self.is_over {
            return Ok(());
        }
        if self.buffered_amount > self.max_buffered {
            self.is_full = true;
            self.ready_state = ReadyState::Closing;
            self.abort();
        } else {
            self.in_flight = self.in_flight.saturating_add(length);
            self.commands.push_back(Command::Send(message));
        }
        Ok(())
    }

    /// `close()`, without a code.
    pub fn close(&mut self) {
        self.begin_close(None);
    }

    /// `close(code, reason)`: the code is judged first, then the reason, in every state.
    ///
    /// # Errors
    ///
    /// [`DomException::CloseCode`], [`DomException::CloseReasonTooLong`].
    pub fn close_with(&mut self, code: u16, reason: &str) -> Result<(), DomException> {
        let allowed = CloseCode::new(code).filter(|_| matches!(code, 1000 | 3000..=4999));
        let code = allowed.ok_or(DomException::CloseCode(code))?;
        if reason.len() > MOST_REASON {
            return Err(DomException::CloseReasonTooLong);
        }
        self.begin_close(Some((code, reason.into())));
        Ok(())
    }

    /// Nobody can reach the object any more: it ends as a page that is left, with 1001.
    pub fn discard(&mut self) {
        self.begin_close(Some((CloseCode::GOING_AWAY, String::new())));
    }

    /// Gives the connection up at once, without a closing handshake and without what is queued,
    /// which no page can do. It ends as one that has failed.
    pub fn give_up(&mut self) {
        if self.ready_state != ReadyState::Closed && !self.is_over {
            self.ready_state = ReadyState::Closing;
            self.abort();
        }
    }

    fn begin_close(&mut self, close: Option<(CloseCode, String)>) {
        match self.ready_state {
            ReadyState::Connecting => self.abort(),
            ReadyState::Open => self.commands.push_back(Command::Close(close)),
            ReadyState::Closing | ReadyState::Closed => return,
        }
        self.ready_state = ReadyState::Closing;
        self.drop_received();
    }

    /// Messages are delivered only while it is open, so those that wait are let go at once.
    fn drop_received(&mut self) {
        self.tasks.retain(|task| !matches!(task, Task::Received(_)));
        self.backlog = 0;
    }

    /// Nothing that is not yet on its way is sent any more.
    fn abort(&mut self) {
        self.drop_received();
        self.commands.clear();
        self.commands.push_back(Command::Abort);
        self.is_aborted = true;
    }

    /// The opening handshake is done.
    pub fn opened(&mut self, protocol: Option<&str>, extensions: NegotiatedExtensions) {
        let protocol = protocol.unwrap_or_default().into();
        self.tasks.push_back(Task::Opened { protocol, extensions: extensions.to_string() });
    }

    /// A message came.
    pub fn received(&mut self, message: Message) {
        if self.ready_state >= ReadyState::Closing {
            return;
        }
        self.backlog = self.backlog.saturating_add(counted(&message));
        self.tasks.push_back(Task::Received(message));
    }

    /// The peer's Close frame came.
    pub fn peer_closes(&mut self) {
        self.tasks.push_back(Task::PeerCloses);
    }

    /// So many bytes of payload have reached the network.
    pub fn transmitted(&mut self, bytes: u64) {
        let bytes = bytes.min(self.in_flight);
        self.in_flight = self.in_flight.saturating_sub(bytes);
        self.buffered_amount = self.buffered_amount.saturating_sub(bytes);
    }

    /// The connection is over, or never was. `failed` tells whether this end failed it (RFC 6455
    /// section 7.1.7), rather than that it was closed or lost; one that never opened has failed.
    pub fn closed(&mut self, close: CloseEvent, failed: bool, cause: Option<E>) {
        self.is_over = true;
        self.commands.clear();
        self.tasks.push_back(Task::Closed { close, failed, cause });
    }

    /// Whether the connection, or the attempt to connect, is to be given up at once.
    #[must_use]
    pub const fn is_aborted(&self) -> bool {
        self.is_aborted
    }

    /// Whether it was given up because more was to be buffered than may be.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.is_full
    }

    /// What has come and waits to be dispatched, in bytes: a driver stops to read past a bound.
    #[must_use]
    pub const fn backlog(&self) -> usize {
        self.backlog
    }

    /// The next thing to be done on the connection.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Dispatches the next event.
    pub fn poll_event(&mut self) -> Option<Event<E>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let task = self.tasks.pop_front()?;
            if let Task::Received(message) = &task {
                self.backlog = self.backlog.saturating_sub(counted(message));
            }
            self.run(task);
        }
    }

    fn run(&mut self, task: Task<E>) {
        match task {
            Task::Opened { protocol, extensions } if self.ready_state == ReadyState::Connecting => {
                self.ready_state = ReadyState::Open;
                self.was_open = true;
                self.extensions = extensions;
                self.protocol = protocol;
                self.ready.push_back(Event::Open);
            }
            Task::Received(data) if self.ready_state == ReadyState::Open => {
                let binary_type = self.binary_type;
                self.ready.push_back(Event::Message { data, binary_type });
            }
            Task::PeerCloses if self.ready_state == ReadyState::Open => {
                self.ready_state = ReadyState::Closing;
            }
            Task::Closed { close, failed, cause } if self.ready_state != ReadyState::Closed => {
                self.ready_state = ReadyState::Closed;
                // A connection that never opened has failed, whatever ended it.
                let (failed, close) = if self.was_open {
                    (failed || self.is_aborted, close)
                } else {
                    (true, CloseEvent::abnormal())
                };
                if failed {
                    self.ready.push_back(Event::Error(cause));
                    self.ready.push_back(Event::Close { close, cause: None });
                } else {
                    self.ready.push_back(Event::Close { close, cause });
                }
            }
            Task::Opened { .. } | Task::Received(_) | Task::PeerCloses | Task::Closed { .. } => {}
        }
    }
}
