//! Clients that threads of their own keep going.
//!
//! Three threads at most, which all wait for one [`Bell`](bell::Bell) where they do not wait for
//! the transport:
//!
//! - the client's own ("duologue client", [`driver`]): it carries out what the machine says between
//!   connections, and watches over the one there is. It never touches the transport but to close
//!   it, so that an abort is followed at once, whatever the other two wait for.
//! - that of a connection ("duologue reader", [`connection`]): it connects, does the opening
//!   handshake, and reads to the end.
//! - the one that writes ("duologue writer", [`writer`]), while the connection is open.
//!
//! What they share of a connection is its [`Link`](link::Link). A thread that the transport keeps
//! when its connection is given up has no effect on the machine any more, and ends by itself.

mod bell;
mod browser;
mod connection;
mod connector;
mod counted;
mod driver;
mod events;
mod link;
mod reconnecting;
mod threads;
mod writer;

pub use browser::BrowserSocket;
pub use reconnecting::{ReconnectEvent, ReconnectingSocket};
