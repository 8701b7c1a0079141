//! WebSocket (RFC 6455) as pure state machines.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "url")]
mod address;
mod close_code;
mod connection;
mod error;
pub mod frame;
pub mod handshake;
#[cfg(feature = "alloc")]
mod message;
mod opcode;
#[cfg(feature = "alloc")]
pub mod opening;
mod ready_state;
mod role;
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
    ChunkRef, Endpoint, MAX_SLICES, Message, MessageRef, Prepared, READ_SIZE, ReadBuffer, Step,
    TransportStep, Utf8Bytes, WriteBatch,
};
pub use opcode::{MessageType, Opcode};
pub use ready_state::ReadyState;
pub use role::{Client, EitherRole, MaskingKeySource, Role, Server};
pub use time::Timestamp;
pub use utf8::{InvalidUtf8, Utf8Validator};
