//! WebSocket (RFC 6455), blocking: over `TcpStream`, `UnixStream`, or any `Read + Write`.
//!
//! ```
//! use std::net::TcpListener;
//! use std::thread;
//! use duologue_std::{CloseCode, Message, accept, connect};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let url = format!("ws://{}/echo", listener.local_addr()?);
//!
//! // A server that sends back what it gets. All replies to one read go out in one write.
//! let server = thread::spawn(move || -> Result<(), duologue_std::Error> {
//!     let (stream, _) = listener.accept()?;
//!     let mut websocket = accept(stream)?;
//!     while let Some(message) = websocket.read()? {
//!         websocket.feed(message)?;
//!     }
//!     Ok(())
//! });
//!
//! let mut websocket = connect(&url)?;
//! websocket.send("hello")?;
//! assert_eq!(websocket.read()?, Some(Message::text("hello")));
//! websocket.close(CloseCode::NORMAL, "done")?;
//! assert!(websocket.close_outcome().unwrap().was_clean);
//! server.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The order of calls
//!
//! - A client comes from [`connect`], [`connect_with`] or, over a stream of one's own, [`client`];
//!   a server from [`accept`] or [`accept_with`]; [`Connecting`] and [`Accepting`] are the same for
//!   non-blocking streams. Where the handshake was done elsewhere, use [`WebSocket::from_raw`].
//! - Then [`read`](WebSocket::read) until it says `None` or fails: reading keeps the connection
//!   alive. Send in between, or [`split`](WebSocket::split) and send from another thread.
//! - At the end, [`close`](WebSocket::close), or go on reading after
//!   [`start_close`](WebSocket::start_close).
//!
//! Two clients need no such care, for threads of their own keep them going:
//! [`BrowserSocket`](browser::BrowserSocket), the object that a page knows, and
//! [`ReconnectingSocket`](reconnect::ReconnectingSocket), which connects again.
//!
//! A peer that breaks the protocol is sent a Close frame that says so, and has the time to read it,
//! before a method that reads returns the error. Nothing has to be done for that; only on a
//! non-blocking transport that method has to be called again until it returns.
//!
//! # Deadlock
//!
//! A connection that sends a large message does not read meanwhile. If the peer does the same at
//! the same time, both wait, until one fails with `WriteStalled`. Where both ends send much on
//! their own account, split the connection.
//!
//! # Compression
//!
//! It is off; [`Config`]'s `deflate` turns it on (permessage-deflate, RFC 7692), for whoever
//! connects or accepts, if the other end has it too.
//!
//! # Limits and defaults
//!
//! All of them stand in [`Config`]: messages of at most 16 MiB, 1,024 empty fragments; 10 s to open
//! and 5 s to close; a ping after 20 s of silence and 20 s for the answer; 64 KiB queued and 30 s
//! without the peer taking any of it. Those on the handshake's head stand in [`HeadLimits`]: 16
//! KiB, 100 fields, 8 KiB a line. Timeouts need a [`Transport`] that supports them, as sockets do;
//! [`WebSocket`] sets the socket's own timeouts.
//!
//! # Features
//!
//! - `rustls`: `wss://` URLs, and the module `tls` for servers. Off by default; without it, make
//!   the TLS connection yourself and hand it to [`client`] or [`accept`] as a [`Transport`].
#![forbid(unsafe_code)]

mod accepting;
mod clients;
mod connecting;
mod driver;
mod message_writer;
mod outgoing;
mod split;
mod stream;
#[cfg(feature = "rustls")]
pub mod tls;
mod transport;
mod websocket;
mod wire;

pub use accepting::{Accepting, accept, accept_with};
pub use connecting::{Connecting, client, connect, connect_with};
pub use message_writer::MessageWriter;
pub use split::{ReadHalf, WriteHalf};
pub use stream::ClientStream;
pub use transport::{Plain, Transport, TryClone};
pub use websocket::WebSocket;

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
