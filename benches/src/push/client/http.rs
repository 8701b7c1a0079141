//! The client's side of HTTP/1.1: requests as a browser sends them, and their responses.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::counted::Counted;

/// What Chromium 130 sends with every request of a page, behind `Host` and before `Referer`.
/// There are no cookies, which would be sent with each request too.
const BROWSER: &str = "Connection: keep-alive\r\nsec-ch-ua-platform: \"Linux\"\r\nUser-Agent: \
    Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 \
    Safari/537.36\r\nsec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \
    \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\nSec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n";

/// The room for a read.
const READ_SIZE: usize = 16 * 1024;

/// A connection that is kept alive, with its requests one after the other.
#[derive(Debug)]
pub(super) struct HttpConnection {
    pub(super) stream: Counted,
    server: SocketAddr,
    /// What has come and was not used yet.
    received: BytesMut,
    pub(super) requests: u64,
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    framing: Framing,
}

impl HttpConnection {
    pub(super) async fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = Counted::connect(server).await?;
        Ok(Self { stream, server, received: BytesMut::new(), requests: 0 })
    }

    /// Sends a request and reads its whole response: the body, which is empty if there is none.
    pub(super) async fn get(&mut self, target: &str) -> io::Result<BytesMut> {
        self.request(target, "*/*").await?;
        let head = self.head().await?;
        let length = match head {
            Head { status: 204, .. } => 0,
            Head { status: 200, framing: Framing::Length(length) } => length,
            head => return Err(unexpected(&head)),
        };
        while self.received.len() < length {
            self.fill().await?;
        }
        Ok(self.received.split_to(length))
    }

    /// Begins an event stream, whose chunks [`chunk`](Self::chunk) reads.
    pub(super) async fn open_events(&mut self, target: &str) -> io::Result<()> {
        self.request(target, "text/event-stream").await?;
        match self.head().await? {
            Head { status: 200, framing: Framing::Chunked } => Ok(()),
            head => Err(unexpected(&head)),
        }
    }

    /// The next chunk of a chunked body.
    pub(super) async fn chunk(&mut self) -> io::Result<BytesMut> {
        loop {
            let size = httparse::parse_chunk_size(&self.received)
                .map_err(|_| io::Error::other("a chunk's size is not a number"))?;
            if let httparse::Status::Complete((line, size)) = size {
                let size = usize::try_from(size).map_err(io::Error::other)?;
                if size == 0 {
                    return Err(io::Error::other("the server ended the event stream"));
                }
                if self.received.len() >= line + size + 2 {
                    self.received.advance(line);
                    let chunk = self.received.split_to(size);
                    self.received.advance(2);
                    return Ok(chunk);
                }
            }
            self.fill().await?;
        }
    }

    async fn request(&mut self, target: &str, accept: &str) -> io::Result<()> {
        self.requests += 1;
        self.stream.write_all(request(self.server, target, accept).as_bytes()).await
    }

    async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some((length, head)) = parse_head(&self.received)? {
                self.received.advance(length);
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.received.reserve(READ_SIZE);
        if self.stream.read_buf(&mut self.received).await? == 0 {
            return Err(io::Error::other("the server ended a connection"));
        }
        Ok(())
    }
}

/// The head of a request as a browser sends it.
pub(crate) fn request(server: SocketAddr, target: &str, accept: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {server}\r\n{BROWSER}Accept: {accept}\r\n\
         Referer: http://{server}/\r\n\r\n"
    )
}

fn unexpected(head: &Head) -> io::Error {
    io::Error::other(format!("the server answers otherwise than expected: {head:?}"))
}

/// The head of a response and its length, once it is whole.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(usize, Head)>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = response.parse(bytes).map_err(io::Error::other)?
    else {
        return Ok(None);
    };
    let value = |name: &str| {
        let field = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        field.and_then(|field| str::from_utf8(field.value).ok())
    };
    let framing = match (value("transfer-encoding"), value("content-length")) {
        (Some("chunked"), _) => Framing::Chunked,
        (None, Some(digits)) => Framing::Length(digits.parse().map_err(io::Error::other)?),
        (None, None) => Framing::Length(0),
        (Some(_), _) => return Err(io::Error::other("the response has an unknown coding")),
    };
    Ok(Some((length, Head { status: response.code.unwrap_or(0), framing })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_size_of_a_browsers() {
        let request = request(([127, 0, 0, 1], 40_000).into(), "/updates?after=100", "*/*");
        assert!((500..=650).contains(&request.len()), "{}", request.len());
    }

    #[test]
    fn a_response_is_delimited_as_its_head_says() {
        let parse = |head: &str| parse_head(head.as_bytes()).unwrap().map(|(_, head)| head);
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(parse(length), Some(Head { status: 200, framing: Framing::Length(12) }));
        assert_eq!(parse(&length[..length.len() - 1]), None);
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(parse(chunked), Some(Head { status: 200, framing: Framing::Chunked }));
        let empty = "HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(parse(empty), Some(Head { status: 204, framing: Framing::Length(0) }));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
    }
}
