//! The browser's `WebSocket` object, with its events as a stream and as callbacks.

use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use duologue_adapter::browser::DomException;
use duologue_adapter::machine::{
    BrowserEvent, BrowserHandle, BrowserMachine, BrowserOptions, Handlers, Shared,
};
use duologue_adapter::{ClientOptions, Error, Message};
use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use super::driver::spawn;
use crate::connect::connect_stream;

/// A client that is what a page knows as `WebSocket`: made from a URL and protocols, it is there at
/// once, `CONNECTING`; its calls never wait, and what happens comes as events. It ends as a
/// browser's does, and never connects again
/// ([`ReconnectingSocket`](crate::reconnect::ReconnectingSocket) does).
///
/// A task of the runtime does the work. Events are dispatched when they are taken, by
/// [`next`](Self::next) or by [`run`](Self::run), and callbacks are called then. Until an event is
/// taken, `ready_state()` does not show it either, just as in a page whose script is busy. While
/// 1 MiB of messages waits to be taken, nothing more is read.
///
/// All calls and attributes are those of [`BrowserHandle`], which can be cloned and sent elsewhere.
///
/// ```
/// use duologue_tokio::browser::{BrowserEvent, BrowserSocket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let url = format!("ws://{}/", listener.local_addr()?);
/// # tokio::spawn(async move {
/// #     let mut websocket = duologue_tokio::accept(listener.accept().await?.0).await?;
/// #     while let Some(message) = websocket.next().await {
/// #         websocket.feed(message?).await?;
/// #     }
/// #     Ok::<_, duologue_tokio::Error>(())
/// # });
/// let mut socket = BrowserSocket::new(&url, &[])?;
/// while let Some(event) = socket.next().await {
///     match event {
///         BrowserEvent::Open => socket.send("Hello")?,
///         BrowserEvent::Message { data, .. } => {
///             assert_eq!(data.as_text(), Some("Hello"));
///             socket.close_with(1000, "bye")?;
///         }
///         BrowserEvent::Error(cause) => panic!("{cause:?}"),
///         BrowserEvent::Close { code, was_clean, .. } => assert_eq!((code, was_clean), (1000, true)),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// Dropping it closes the connection with 1001, in the background.
#[derive(Debug)]
pub struct BrowserSocket {
    handle: BrowserHandle,
    shared: Arc<Shared<BrowserMachine>>,
    handlers: Handlers,
}

impl BrowserSocket {
    /// `new WebSocket(url, protocols)`. It needs a tokio runtime around it, as
    /// [`tokio::spawn`] does, and panics without one.
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
        Self::with_connector(options, |client| {
            let client = client.clone();
            async move { connect_stream(&client).await }
        })
    }

    /// As [`with_options`](Self::with_options), over a stream of the caller's: through a proxy, or
    /// with a TLS of its own. `connect` is called once, and has the opening timeout, together with
    /// the handshake.
    #[must_use]
    pub fn with_connector<S, C, F>(options: &BrowserOptions, connect: C) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        C: FnMut(&ClientOptions) -> F + Send + 'static,
        F: Future<Output = Result<S, Error>> + Send,
    {
        let machine = BrowserMachine::new(options);
        let shared = spawn(machine, options.requests(), connect);
        let handle = BrowserHandle::new(Arc::clone(&shared));
        Self { handle, shared, handlers: Handlers::default() }
    }

    /// The next event; `None` after [`BrowserEvent::Close`]. Cancel-safe.
    pub async fn next(&mut self) -> Option<BrowserEvent> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// Dispatches all events to the callbacks, until the connection is over.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), duologue_tokio::browser::DomException> {
    /// use duologue_tokio::browser::BrowserSocket;
    ///
    /// let mut socket = BrowserSocket::new("ws://127.0.0.1:9001/", &["chat"])?;
    /// socket.on_open(|socket| socket.send("Hello").unwrap_or_default());
    /// socket.on_message(|_, data| println!("{data:?}"));
    /// socket.on_close(|_, code, reason, _, _| println!("closed: {code} {reason}"));
    /// let handle = socket.handle().clone(); // to send and to close from elsewhere
    /// tokio::spawn(socket.run());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run(mut self) {
        while self.next().await.is_some() {}
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

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<BrowserEvent>> {
        let event = ready!(self.shared.poll_event(context));
        if let Some(event) = &event {
            self.handlers.dispatch(&self.handle, event);
        }
        Poll::Ready(event)
    }
}

/// All of a [`BrowserHandle`] can be called on the object itself.
impl Deref for BrowserSocket {
    type Target = BrowserHandle;

    fn deref(&self) -> &BrowserHandle {
        &self.handle
    }
}

impl Stream for BrowserSocket {
    type Item = BrowserEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<BrowserEvent>> {
        self.get_mut().poll_event(context)
    }
}

impl Drop for BrowserSocket {
    fn drop(&mut self) {
        self.shared.detach();
    }
}
