//! What the adapters of [`duologue_core`] have in common: the error, the options, masking keys from
//! the operating system, a clock, and pools of buffers and compressors.
//!
//! An application takes these from the adapter that it uses, which re-exports them. This crate is
//! for writing an adapter of one's own: make a [`ClientOpening`](opening::ClientOpening) with
//! [`ClientOptions::opening`] or a [`ServerOpening`](opening::ServerOpening) with
//! [`ServerOptions::opening`], carry the bytes, turn the result into an [`Endpoint`] with
//! [`open_endpoint`], and drive that as its documentation says.
//!
//! ```
//! use duologue_adapter::{
//!     ClientOptions, Clock, Message, OsKeys, Role, ServerOptions, Step, open_endpoint,
//! };
//! use duologue_adapter::opening::{Accept, Outcome};
//!
//! // Both ends in one place, with a `Vec` for a wire.
//! let client = ClientOptions::new("ws://localhost/chat")?.subprotocol("chat");
//! let server = ServerOptions::new();
//! let clock = Clock::new();
//!
//! let mut asking = client.opening()?;
//! let mut answering = server.opening();
//! answering.read_room().extend_from_slice(asking.request_bytes());
//! assert!(answering.poll()?);
//! let outcome = answering.decide(|request| {
//!     Accept::new().subprotocol(request.choose_subprotocol(&["chat"])).into()
//! });
//! let Outcome::Accepted(accepted) = outcome else { panic!("refused") };
//! asking.read_room().extend_from_slice(&accepted.response);
//! let opened = asking.poll()?.expect("the response is whole");
//! assert_eq!(opened.subprotocol.as_deref(), Some("chat"));
//!
//! let now = clock.now();
//! let role = Role::Client(OsKeys);
//! let mut client = open_endpoint(role, client.config(), opened.extensions, opened.leftover, now);
//! let (config, leftover) = (server.config(), accepted.leftover);
//! let mut server = open_endpoint(Role::Server, config, accepted.extensions, leftover, now);
//! client.send_text("hello")?;
//! let mut slices = [&[][..]; duologue_adapter::MAX_SLICES];
//! let count = client.write_slices(&mut slices);
//! for slice in &slices[..count] {
//!     server.read_room().extend_from_slice(slice);
//! }
//! assert_eq!(server.next_message(clock.now())?, Some(Step::Message));
//! assert_eq!(server.take_message(), Some(Message::text("hello")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `rustls`: the module `tls`, with what a client and a server need to speak TLS. Off by default.
#![forbid(unsafe_code)]

mod clock;
pub mod codecs;
mod endpoint;
mod error;
mod event;
mod failures;
pub mod machine;
mod options;
mod os_keys;
pub mod pool;
mod refusal_body;
#[cfg(feature = "rustls")]
pub mod tls;
mod tls_error;

pub use clock::Clock;
pub use endpoint::{Endpoint, Role, open_endpoint};
pub use error::Error;
pub use event::Event;
pub use failures::Failures;
pub use options::{ClientOptions, ServerOptions};
pub use os_keys::{OsKeys, nonce};
pub use refusal_body::RefusalBody;
pub use tls_error::TlsError;

/// The browser's `WebSocket` object, as a pure state machine.
pub use duologue_core::browser;
/// Compression, and what can be chosen about it.
pub use duologue_core::deflate;
/// The opening handshake over slices, and what an application sees of it.
pub use duologue_core::handshake;
/// The opening handshake over owned buffers.
pub use duologue_core::opening;
/// Connecting again, as pure state machines.
pub use duologue_core::reconnect;
pub use duologue_core::{
    Address, ChunkRef, CloseCode, CloseOutcome, CloseStatus, Config, ControlPayload, Initiator,
    Keepalive, MAX_SLICES, Message, MessageRef, MessageType, Prepared, ProtocolError, READ_SIZE,
    ReadBuffer, ReadyState, SendError, Step, Timestamp, TransportStep, UrlError, Utf8Bytes,
    WriteBatch,
};
