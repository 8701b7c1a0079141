//! What comes in, for an application that wants to see pings and pongs too.

use duologue_core::{ControlPayload, Message};

/// A message, or a control frame that asks nothing of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A ping. Unless the configuration says otherwise, it is being answered.
    Ping(ControlPayload<'static>),
    /// A pong, asked for or not (RFC 6455 section 5.5.3).
    Pong(ControlPayload<'static>),
}
