//! The opening handshake as the generator does it: one request for all.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// With the key of RFC 6455 section 1.3.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The answer to that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A non-blocking connection after its opening handshake; `raw` ones have none.
pub(crate) fn connect(server: SocketAddr, raw: bool) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    if !raw {
        // A server of one thread may have to accept others first.
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(REQUEST)?;
        let mut head = Vec::new();
        let mut piece = [0; 1024];
        while !head.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut piece)?;
            if count == 0 {
                return Err(io::Error::other("the server ended in the opening handshake"));
            }
            head.extend(&piece[..count]);
        }
        let head = String::from_utf8_lossy(&head);
        if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
            return Err(io::Error::other("the server does not accept a WebSocket"));
        }
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}
