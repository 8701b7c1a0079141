//! WebSocket (RFC 6455) for tokio: [`duologue_core`] over any `AsyncRead + AsyncWrite`.
//!
//! An echo server and a client:
//!
//! ```
//! use duologue_tokio::{CloseCode, accept, connect};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), duologue_tokio::Error> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("ws://{}/", listener.local_addr()?);
//! let server = tokio::spawn(async move {
//!     let (stream, _) = listener.accept().await?;
//!     let mut websocket = accept(stream).await?;
//!     while let Some(message) = websocket.next().await {
//!         websocket.feed(message?).await?;
//!     }
//!     Ok::<_, duologue_tokio::Error>(())
//! });
//!
//! let mut client = connect(&url).await?;
//! client.send("Hello").await?;
//! let reply = client.next().await.expect("a message")?;
//! assert_eq!(reply.as_text(), Some("Hello"));
//! client.close(CloseCode::NORMAL, "bye").await?;
//! # server.await.expect("no panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Rules of the house
//!
//! - Every method of a connection that waits may be dropped at any point: nothing is lost, nothing
//!   is half sent. Only the opening handshake ends with its future, which holds the stream:
//!   `connect`, `client`, `accept` and its like, and the methods of a [`PendingRequest`].
//! - Somebody must drive the connection: pings are answered, deadlines kept and queued messages
//!   written while `next`, `flush`, `ready` or `close` is awaited. Of two halves, only the reading
//!   one reads; it must be driven for pings to be seen at all.
//! - A peer's fault is told after our Close frame with the right code is out and the peer had the
//!   chance to read it, within the closing timeout.
//! - An idle connection holds no buffer; reads go to one of the thread's.
//!
//! Limits, deadlines and their defaults stand at [`Config`]; so does compression, which is off.
//!
//! # Features
//!
//! - `rustls`: `wss://` URLs, and the module `tls` for servers. Off by default; without it, make
//!   the TLS connection yourself and hand it to [`client`] or [`accept`].
#![forbid(unsafe_code)]

mod accept;
mod clients;
mod connect;
mod driver;
mod nodelay;
mod split;
mod stream;
mod timer;
#[cfg(feature = "rustls")]
pub mod tls;
mod wakers;
mod websocket;
mod writer;

pub use accept::{PendingRequest, accept, accept_with, receive_request};
pub use connect::{client, connect, connect_with};
/// Compression, and what can be chosen about it.
pub use duologue_adapter::deflate;
pub use duologue_adapter::handshake::{
    Field, HandshakeError, HeadLimits, HttpVersion, InvalidRequest, NegotiatedExtensions,
    OriginPolicy, Request,
};
pub use duologue_adapter::opening::{Accept, Decision, HttpResponse, OpeningFailure, ResponseHead};
pub use duologue_adapter::{
    Address, ChunkRef, ClientOptions, CloseCode, CloseOutcome, CloseStatus, Config, ControlPayload,
    Error, Event, Initiator, Keepalive, Message, MessageRef, MessageType, OsKeys, Prepared,
    ProtocolError, ReadyState, Role, SendError, ServerOptions, TlsError, UrlError, Utf8Bytes,
};

/// The browser's `WebSocket` object: CONNECTING at once, calls that never wait, events.
pub mod browser {
    pub use duologue_adapter::browser::{BinaryType, DomException, ExceptionName};
    pub use duologue_adapter::machine::{BrowserEvent, BrowserHandle, BrowserOptions};

    pub use crate::clients::BrowserSocket;
}

/// A client that connects again when its connection is lost.
pub mod reconnect {
    pub use duologue_adapter::machine::{Ending, ReconnectOptions, ReconnectingHandle};
    pub use duologue_adapter::reconnect::{
        CloseEvent, ReconnectPolicy, Unsent, UnsentReason, WhileDown,
    };

    pub use crate::clients::{ReconnectEvent, ReconnectingSocket};
}

pub use split::{ReadHalf, WriteHalf};
pub use stream::ClientStream;
pub use websocket::WebSocket;
pub use writer::MessageWriter;
