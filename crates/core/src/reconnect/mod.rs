//! Connecting again: how long to wait before it ([`Backoff`]), and a client that stays connected
//! across losses ([`Session`], with `alloc`), both as pure state machines.

mod policy;
#[cfg(feature = "alloc")]
mod session;

pub use policy::{Backoff, ReconnectPolicy};
#[cfg(feature = "alloc")]
pub use session::{Next, Session, SessionConfig, SessionEvent, Unsent, UnsentReason, WhileDown};

#[cfg(feature = "alloc")]
pub use crate::command::{CloseEvent, Command};
