//! Connections from several addresses of this machine: one address has too few ports for all.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

use duologue_tokio::{ClientOptions, Error, WebSocket, client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// 127.0.0.2 to 127.0.0.9.
const ADDRESSES: u8 = 8;

/// A client's receive buffer in the kernel, in bytes, where the client does not read.
const SMALL: u32 = 4096;

/// Connects to one server, from each address in turn.
#[derive(Debug)]
pub(super) struct Sources {
    server: SocketAddr,
    next: AtomicU8,
}

impl Sources {
    pub(super) const fn new(server: SocketAddr) -> Self {
        Self { server, next: AtomicU8::new(0) }
    }

    /// A TCP connection; `reads` if it is going to read what comes.
    pub(super) async fn connect(&self, reads: bool) -> io::Result<TcpStream> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % ADDRESSES;
        let socket = TcpSocket::new_v4()?;
        if !reads {
            socket.set_recv_buffer_size(SMALL)?;
        }
        socket.bind((Ipv4Addr::new(127, 0, 0, 2 + number), 0).into())?;
        let stream = socket.connect(self.server).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// An open WebSocket, with the defaults.
    pub(super) async fn open(&self) -> Result<WebSocket<TcpStream>, Error> {
        let stream = self.connect(true).await?;
        let options = ClientOptions::new(&format!("ws://{}/", self.server))?;
        client(stream, &options).await
    }

    /// A connection that is open to the server, and whose frames are the caller's business.
    pub(super) async fn open_raw(&self, path: &str, reads: bool) -> io::Result<TcpStream> {
        let mut stream = self.connect(reads).await?;
        let request = format!("{}\r\n", request_head(path));
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        if head.starts_with(b"HTTP/1.1 101 ") {
            Ok(stream)
        } else {
            Err(io::Error::other("the server refuses the handshake"))
        }
    }
}

/// The request of RFC 6455 section 1.3, without the empty line at its end.
pub(super) fn request_head(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    )
}
