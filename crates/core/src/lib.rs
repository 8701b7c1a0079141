//! WebSocket (RFC 6455) as pure state machines.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod close_code;
pub mod handshake;
mod opcode;
mod ready_state;
mod role;
mod time;

pub use close_code::{CloseCode, CloseStatus};
pub use opcode::{MessageType, Opcode};
pub use ready_state::ReadyState;
pub use role::{Client, EitherRole, MaskingKeySource, Role, Server};
pub use time::Timestamp;
