//! `TCP_NODELAY`, where there is TCP.

use std::any::Any;

use tokio::net::TcpStream;

/// Sets it on a `TcpStream`, and does nothing to another stream. That it cannot be set is no reason
/// not to go on: it only makes a connection slower.
pub(crate) fn set_nodelay<S: 'static>(stream: &S, nodelay: bool) {
    if let Some(stream) = (stream as &dyn Any).downcast_ref::<TcpStream>() {
        let _ = stream.set_nodelay(nodelay);
    }
}
