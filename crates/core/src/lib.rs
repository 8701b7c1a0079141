//! WebSocket (RFC 6455) as pure state machines: bytes, time and keys go in; events and bytes come
//! out. Nothing here does IO, reads a clock or draws a random number.
//!
//! A server's end, after its opening handshake, echoing what comes:
//!
//! ```
//! use duologue_core::handshake::NegotiatedExtensions;
//! use duologue_core::{Config, Connection, Event, Server, Timestamp, Transmit};
//!
//! let now = Timestamp::ZERO; // the time is the caller's to know
//! let mut connection = Connection::new(Server, &Config::DEFAULT, now);
//! connection.open(NegotiatedExtensions::default(), now);
//!
//! // From the client: "Hello" (RFC 6455 section 5.7) and a Close frame with code 1000, as they may
//! // arrive, cut anywhere.
//! let mut input = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x82\0\0\0\0\x03\xe8";
//! let mut output = Vec::new();
//! let mut ended = false;
//! for mut piece in input.chunks_mut(12) {
//!     while !piece.is_empty() {
//!         // 1. One event, which borrows `piece` and not the connection. In earnest a fault is kept
//!         // for later, and the loop goes on: the Close frame that tells of it is still to go out.
//!         let received = connection.receive(piece, now)?;
//!         if let Some(Event::Data(chunk)) = received.event {
//!             let (fin, length) = (chunk.is_last(), chunk.payload().len() as u64);
//!             let frame = if chunk.is_first() {
//!                 connection.begin_message(chunk.message_type(), fin, length)?
//!             } else {
//!                 connection.continue_message(fin, length)?
//!             };
//!             output.extend_from_slice(frame.header.as_slice());
//!             output.extend_from_slice(chunk.payload());
//!         }
//!         let consumed = received.consumed;
//!         piece = &mut core::mem::take(&mut piece)[consumed..];
//!         // 2. What the connection itself has to send.
//!         while let Some(transmit) = connection.poll_transmit() {
//!             match transmit {
//!                 Transmit::Frame(frame) => output.extend_from_slice(frame.as_slice()),
//!                 Transmit::ShutdownWrite => ended = true,
//!                 Transmit::CloseTransport | Transmit::AbortTransport => unreachable!(),
//!             }
//!         }
//!     }
//! }
//! // 3. The client ends TCP, and that is the end.
//! connection.receive_eof(now);
//! assert_eq!(connection.poll_transmit(), Some(Transmit::CloseTransport));
//! assert!(ended && connection.close_outcome().is_some_and(|outcome| outcome.was_clean));
//! assert!(output.ends_with(b"\x88\x02\x03\xe8"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The layers
//!
//! - [`frame`]: headers and masking, as pure functions.
//! - [`handshake`]: the opening handshake of both sides over slices, with the refusals written out.
//! - [`Connection`]: everything after it, without allocation.
//! - [`Endpoint`] (`alloc`): a connection with its buffers, in whole [`Message`]s; what an adapter
//!   drives. [`opening`] (`alloc`) is the handshake in the same manner.
//!
//! # The order of calls
//!
//! `receive` consumes up to one event; call [`poll_transmit`](Connection::poll_transmit) until it
//! has nothing, then `receive` with the rest. Without an event everything is consumed, and unread
//! bytes need never be kept. A frame of a message is written whole before anything else. A fault of
//! the peer is told once; the connection has then failed itself, and the same loop takes it to its
//! end. [`next_deadline`](Connection::next_deadline) is looked at again when it has passed.
//!
//! # Limits and defaults
//!
//! They stand at the fields of [`Config`] and [`HeadLimits`](handshake::HeadLimits). A
//! `Connection<Server>` takes 512 bytes at most, and an [`Endpoint`] no buffer while it is idle.
//!
//! # Features
//!
//! `alloc` (on by default) adds messages, [`Endpoint`] and [`opening`]; `url` adds [`Address`] and
//! [`browser`]; `deflate` adds compression (RFC 7692), and `zlib-rs` does it faster, with std. A
//! feature only adds API. `simd` adds speed, by wider instructions for masking and UTF-8, chosen at
//! run time; without it the crate holds no unsafe code.
#![no_std]
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
#![cfg_attr(not(feature = "simd"), forbid(unsafe_code))]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "url")]
mod address;
#[cfg(feature = "url")]
pub mod browser;
mod close_code;
#[cfg(feature = "alloc")]
mod command;
mod connection;
#[cfg(feature = "deflate")]
pub mod deflate;
mod error;
pub mod frame;
pub mod handshake;
#[cfg(feature = "alloc")]
mod message;
mod opcode;
#[cfg(feature = "alloc")]
pub mod opening;
mod ready_state;
pub mod reconnect;
mod role;
#[cfg(feature = "simd")]
mod simd;
mod time;
mod utf8;

#[cfg(feature = "url")]
pub use address::{Address, UrlError};
pub use close_code::{CloseCode, CloseStatus};
pub use connection::{
    Chunk, CloseFrame, CloseOutcome, Config, Connection, ControlFrame, ControlPayload, Event,
    Initiator, Keepalive, OutgoingFrame, Received, Transmit,
};
pub use error::{ProtocolError, SendError};
#[cfg(feature = "alloc")]
pub use message::{
    BUFFER_CAPACITY, ChunkRef, Endpoint, MAX_SLICES, Message, MessageRef, Prepared, READ_SIZE,
    ReadBuffer, Step, TransportStep, Utf8Bytes, WriteBatch,
};
pub use opcode::{MessageType, Opcode};
pub use ready_state::ReadyState;
pub use role::{Client, EitherRole, MaskingKeySource, Role, Server};
pub use time::Timestamp;
pub use utf8::{InvalidUtf8, Utf8Validator};
