//! The connection's state as everybody knows it.

/// The state of a connection, numbered as the browser's `WebSocket.readyState`.
///
/// It only ever goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ReadyState {
    /// 0: the opening handshake is under way.
    Connecting = 0,
    /// 1: messages flow.
    Open = 1,
    /// 2: the closing handshake is under way, or the connection has failed and is being torn down.
    Closing = 2,
    /// 3: over.
    Closed = 3,
}
