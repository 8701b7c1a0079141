//! Servers in memory for clients that dial by themselves: the test gets the other end of each
//! stream.

use std::future::Future;

use duologue_core::handshake::AcceptKey;
use duologue_tokio::{Accept, ClientOptions, Error, Request, ServerOptions, WebSocket};
use duologue_tokio::{Config, accept_with};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::mpsc;

use super::write;

/// Where the streams of a client arrive.
pub struct Server(mpsc::UnboundedReceiver<DuplexStream>);

/// A connector, and where its streams arrive; each holds `size` bytes each way. When the server is
/// gone, connecting is refused.
pub fn dialled(size: usize) -> (impl FnMut(&ClientOptions) -> Dialling + Send + 'static, Server) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let connect = move |_: &ClientOptions| {
        let (near, far) = tokio::io::duplex(size);
        let arrived = sender.send(far).map_err(|_| refused());
        Dialling { result: Some(arrived.map(|()| near)) }
    };
    (connect, Server(receiver))
}

fn refused() -> Error {
    Error::Io(std::io::ErrorKind::ConnectionRefused.into())
}

/// An attempt, which is over at once.
pub struct Dialling {
    result: Option<Result<DuplexStream, Error>>,
}

impl Future for Dialling {
    type Output = Result<DuplexStream, Error>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::task::Poll::Ready(self.result.take().expect("polled after it was ready"))
    }
}

impl Server {
    /// The next stream, as it is.
    pub async fn stream(&mut self) -> DuplexStream {
        self.0.recv().await.expect("the client is there")
    }

    /// The next stream, if one has arrived.
    pub fn try_stream(&mut self) -> Option<DuplexStream> {
        self.0.try_recv().ok()
    }

    /// The next connection, accepted as it wishes.
    pub async fn accept(&mut self) -> WebSocket<DuplexStream> {
        let stream = self.stream().await;
        let config = Config { keepalive: None, ..Config::DEFAULT };
        let options = ServerOptions::new().with_config(config);
        let decide = |request: &Request<'_>| {
            Accept::new().subprotocol(request.choose_subprotocol(&["chat"])).into()
        };
        accept_with(stream, &options, decide).await.unwrap()
    }

    /// The next connection's raw stream, behind the handshake.
    pub async fn accept_raw(&mut self) -> DuplexStream {
        let mut stream = self.stream().await;
        let request = read_request(&mut stream).await;
        write(&mut stream, switching(&request, "").as_bytes()).await;
        stream
    }

    /// Answers the next request with this; returns the request and the stream.
    pub async fn answer(&mut self, response: &str) -> (String, DuplexStream) {
        let mut stream = self.stream().await;
        let request = read_request(&mut stream).await;
        write(&mut stream, response.as_bytes()).await;
        (request, stream)
    }
}

/// The 101 to a request, with further fields, each ended by CRLF.
pub fn switching(request: &str, fields: &str) -> String {
    let accept = AcceptKey::for_key(field(request, "Sec-WebSocket-Key").unwrap().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n{fields}\r\n",
        accept.as_str()
    )
}

/// A request's head.
pub async fn read_request(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole request"));
    }
    String::from_utf8(head).unwrap()
}

/// The value of a request's field.
pub fn field<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
