//! Clients that a driver of their own keeps going: the browser's object and the one that connects
//! again, as one trait, so that an adapter drives both alike.

mod browser;
mod ending;
mod handle;
mod handlers;
mod ledger;
mod session;
mod shared;

use std::sync::Arc;

use duologue_core::handshake::NegotiatedExtensions;
pub use duologue_core::reconnect::{Command, Next};
use duologue_core::{Message, Timestamp};

pub use browser::{BrowserEvent, BrowserMachine, BrowserOptions};
pub use ending::Ending;
pub use handle::{BrowserHandle, ReconnectingHandle};
pub use handlers::Handlers;
pub use ledger::Ledger;
pub use session::{ReconnectOptions, SessionMachine};
pub use shared::Shared;

/// Whether to connect again after this.
pub type Judge = Arc<dyn Fn(&Ending) -> bool + Send + Sync>;

/// How many bytes of messages may wait for the application before a driver stops to read.
pub const MOST_BACKLOG: usize = 1 << 20;

/// A client's state machine: the driver carries out what it says, and tells what happens.
///
/// A driver without a connection does what [`next_action`](Self::next_action) says. With one it
/// carries out the [commands](Self::poll_command) in order, hands in messages while
/// [`backlog`](Self::backlog) is below [`MOST_BACKLOG`], and tells what has reached the network. It
/// looks at [`is_aborted`](Self::is_aborted) whenever something was asked of the machine, also
/// while it connects. When the connection has ended, or the attempt has failed, it says so with
/// [`closed`](Self::closed), and begins anew.
pub trait Machine: Send + 'static {
    /// What the application is told.
    type Event: Send;

    /// What to do without a connection.
    fn next_action(&self) -> Next;

    /// Whether the connection, or the attempt to connect, is to be given up at once.
    fn is_aborted(&self) -> bool;

    /// Does what is due at `now`.
    fn handle_timeout(&mut self, now: Timestamp);

    /// The connection is up.
    fn opened(
        &mut self,
        subprotocol: Option<&str>,
        extensions: NegotiatedExtensions,
        now: Timestamp,
    );

    /// A message came.
    fn received(&mut self, message: Message);

    /// The peer's Close frame came.
    fn peer_closes(&mut self);

    /// So many bytes of payload have reached the network.
    fn transmitted(&mut self, bytes: u64);

    /// Who judges whether to connect again after an end, if somebody does.
    fn judge(&self) -> Option<Judge> {
        None
    }

    /// The connection is over, or the attempt to connect has failed. `retry` is the judgement.
    fn closed(&mut self, ending: Ending, retry: bool, now: Timestamp);

    /// The next thing to be done on the connection.
    fn poll_command(&mut self) -> Option<Command>;

    /// The next event.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// What has come and waits to be taken, in bytes.
    fn backlog(&self) -> usize;

    /// Whether the application has begun to close.
    fn is_closing(&self) -> bool;

    /// Nobody can reach the machine any more: it comes to its end.
    fn discard(&mut self);
}
