//! The browser's `WebSocket` object, with its events as an iterator and as callbacks.

use std::iter::FusedIterator;
use std::ops::Deref;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use duologue_adapter::browser::DomException;
use duologue_adapter::machine::{
    BrowserEvent, BrowserHandle, BrowserMachine, BrowserOptions, Handlers,
};
use duologue_adapter::{ClientOptions, Error, Message};

use super::driver::start;
use super::events::Events;
use crate::connecting::connect_stream;
use crate::transport::TryClone;

/// A client that is what a page knows as `WebSocket`: made from a URL and protocols, it is there at
/// once, `CONNECTING`; its calls never wait, and what happens comes as events. It ends as a
/// browser's does, and never connects again
/// ([`ReconnectingSocket`](crate::reconnect::ReconnectingSocket) does).
///
/// Threads of its own do the work, three while it is connected. It is an iterator over its events,
/// which waits for the next one. Events are dispatched when they are taken, from the iterator or by
/// [`run`](Self::run), and callbacks are called then, in the thread that takes them. Until an event
/// is taken, `ready_state()` does not show it either, just as in a page whose script is busy. While
/// 1 MiB of messages waits to be taken, nothing more is read.
///
/// All calls and attributes are those of [`BrowserHandle`], which can be cloned and sent elsewhere.
///
/// ```
/// use duologue_std::browser::{BrowserEvent, BrowserSocket};
///
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let url = format!("ws://{}/", listener.local_addr()?);
/// # std::thread::spawn(move || {
/// #     let mut websocket = duologue_std::accept(listener.accept()?.0)?;
/// #     while let Some(message) = websocket.read()? {
/// #         websocket.feed(message)?;
/// #     }
/// #     Ok::<_, duologue_std::Error>(())
/// # });
/// let mut socket = BrowserSocket::new(&url, &[])?;
/// while let Some(event) = socket.next() {
///     match event {
///         BrowserEvent::Open => socket.send("Hello")?,
///         BrowserEvent::Message { data, .. } => {
///             assert_eq!(data.as_text(), Some("Hello"));
///             socket.close_with(1000, "bye")?;
///         }
///         BrowserEvent::Error(cause) => panic!("{cause:?}"),
///         BrowserEvent::Close { code, was_clean, .. } => {
///             assert_eq!((code, was_clean), (1000, true));
///         }
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Dropping it closes the connection with 1001, in the background.
#[derive(Debug)]
pub struct BrowserSocket {
    handle: BrowserHandle,
    events: Events<BrowserMachine>,
    handlers: Handlers,
}

impl BrowserSocket {
    /// `new WebSocket(url, protocols)`.
    ///
    /// # Errors
    ///
    /// [`DomException`], a `SyntaxError`: the URL or a protocol is not valid. That there is no
    /// connection to be had comes as events.
    pub fn new(url: &str, protocols: &[&str]) -> Result<Self, DomException> {
        Ok(Self::with_options(&BrowserOptions::new(url, protocols)?))
    }

    /// As [`new`](Self::new), with more chosen than a page could.
    #[must_use]
    pub fn with_options(options: &BrowserOptions) -> Self {
        Self::with_connector(options, connect_stream)
    }

    /// As [`with_options`](Self::with_options), over a stream of the caller's: through a proxy, or
    /// with a TLS of its own. `connect` is called once, and has the opening timeout, together with
    /// the handshake; what it gives after that is dropped.
    ///
    /// The stream must be a blocking one, and end what waits for it, in whatever thread, when it is
    /// [closed](crate::Transport::close).
    #[must_use]
    pub fn with_connector<S, C>(options: &BrowserOptions, connect: C) -> Self
    where
        S: TryClone + Send + 'static,
        C: FnMut(&ClientOptions) -> Result<S, Error> + Send + 'static,
    {
        let shared = start(BrowserMachine::new(options), options.requests(), connect);
        let handle = BrowserHandle::new(Arc::clone(&shared));
        Self { handle, events: Events::new(shared), handlers: Handlers::default() }
    }

    /// The next event if it is there: [`Poll::Pending`] if nothing has happened yet, and
    /// `Poll::Ready(None)` after [`BrowserEvent::Close`].
    pub fn try_next(&mut self) -> Poll<Option<BrowserEvent>> {
        let event = self.events.poll();
        self.dispatch(event)
    }

    /// As [`try_next`](Self::try_next), but waits for the event as long as `timeout`.
    pub fn next_timeout(&mut self, timeout: Duration) -> Poll<Option<BrowserEvent>> {
        let event = self.events.wait_for(timeout);
        self.dispatch(event)
    }

    /// Dispatches all events to the callbacks, until the connection is over.
    ///
    /// ```no_run
    /// use duologue_std::browser::BrowserSocket;
    ///
    /// let mut socket = BrowserSocket::new("ws://127.0.0.1:9001/", &["chat"])?;
    /// socket.on_open(|socket| socket.send("Hello").unwrap_or_default());
    /// socket.on_message(|_, data| println!("{data:?}"));
    /// socket.on_close(|_, code, reason, _, _| println!("closed: {code} {reason}"));
    /// let handle = socket.handle().clone(); // to send and to close from elsewhere
    /// std::thread::spawn(|| socket.run());
    /// # Ok::<(), duologue_std::browser::DomException>(())
    /// ```
    pub fn run(self) {
        self.for_each(drop);
    }

    /// The handle: its clones work from anywhere.
    #[must_use]
    pub const fn handle(&self) -> &BrowserHandle {
        &self.handle
    }

    /// `onopen`: what is called when [`BrowserEvent::Open`] is dispatched.
    pub fn on_open(&mut self, handler: impl FnMut(&BrowserHandle) + Send + 'static) {
        self.handlers.on_open(handler);
    }

    /// `onmessage`: what is called for each message.
    pub fn on_message(&mut self, handler: impl FnMut(&BrowserHandle, &Message) + Send + 'static) {
        self.handlers.on_message(handler);
    }

    /// `onerror`: what is called when the connection has failed, with the cause that a browser
    /// would not tell.
    pub fn on_error(
        &mut self,
        handler: impl FnMut(&BrowserHandle, Option<&Error>) + Send + 'static,
    ) {
        self.handlers.on_error(handler);
    }

    /// `onclose`: what is called at the end, with the code, the reason, whether the close was
    /// clean, and why the connection was lost, where no error has told it.
    pub fn on_close(
        &mut self,
        handler: impl FnMut(&BrowserHandle, u16, &str, bool, Option<&Error>) + Send + 'static,
    ) {
        self.handlers.on_close(handler);
    }

    /// Calls what is set for the event, if there is one.
    fn dispatch(&mut self, event: Poll<Option<BrowserEvent>>) -> Poll<Option<BrowserEvent>> {
        if let Poll::Ready(Some(event)) = &event {
            self.handlers.dispatch(&self.handle, event);
        }
        event
    }
}

/// All of a [`BrowserHandle`] can be called on the object itself.
impl Deref for BrowserSocket {
    type Target = BrowserHandle;

    fn deref(&self) -> &BrowserHandle {
        &self.handle
    }
}

/// The events, until [`BrowserEvent::Close`].
impl Iterator for BrowserSocket {
    type Item = BrowserEvent;

    fn next(&mut self) -> Option<BrowserEvent> {
        let event = self.events.wait()?;
        self.handlers.dispatch(&self.handle, &event);
        Some(event)
    }
}

impl FusedIterator for BrowserSocket {}
