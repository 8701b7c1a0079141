//! Servers for clients that connect by themselves, and streams that can be watched.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use duologue_std::{
    Accept, Config, Decision, Error, Request, ServerOptions, Transport, TryClone, WebSocket,
    accept_with,
};

/// A test that does not end is a failure; nothing in these tests takes nearly this long.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// What is prompt, on a busy machine: much less than the deadlines that would end it otherwise.
pub(crate) const PROMPT: Duration = Duration::from_secs(3);

/// A listener, and the URL that leads to it.
pub(crate) fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/chat", listener.local_addr().unwrap());
    (listener, url)
}

/// A URL that leads to nothing.
pub(crate) fn nowhere() -> String {
    listen().1
}

/// Takes one connection, whose server is done with as `serve` says.
pub(crate) fn serve<T: Send + 'static>(
    serve: impl FnOnce(WebSocket<TcpStream>) -> T + Send + 'static,
) -> (String, JoinHandle<T>) {
    let (listener, url) = listen();
    (url, thread::spawn(move || serve(accept_from(&listener, &ServerOptions::new()))))
}

/// Takes the next connection.
pub(crate) fn accept_from(listener: &TcpListener, options: &ServerOptions) -> WebSocket<TcpStream> {
    accept_with(listener.accept().unwrap().0, options, accept_all).unwrap()
}

fn accept_all(_: &Request<'_>) -> Decision {
    Accept::new().into()
}

/// Sends back what comes, to the end.
pub(crate) fn echo(mut server: WebSocket<TcpStream>) -> Result<WebSocket<TcpStream>, Error> {
    while let Some(message) = server.read()? {
        server.feed(message)?;
    }
    Ok(server)
}

/// What is there in time.
#[track_caller]
pub(crate) fn soon<T>(polled: Poll<T>) -> T {
    match polled {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing came"),
    }
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to be: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Asserts that `work` is prompt.
#[track_caller]
pub(crate) fn promptly<T>(work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    let took = started.elapsed();
    assert!(took < PROMPT, "too late: {took:?}");
    result
}

pub(crate) fn with_opening_timeout(millis: u64) -> Config {
    Config { opening_timeout: Duration::from_millis(millis), ..Config::DEFAULT }
}

/// A stream that shows whether anybody still has it.
pub(crate) struct Watched {
    stream: TcpStream,
    token: Arc<()>,
}

/// Whether anybody still has one of the streams, or what makes them.
pub(crate) struct Watch(Weak<()>);

impl Watch {
    /// A watch, and what the streams are made with.
    pub(crate) fn new() -> (Self, Arc<()>) {
        let token = Arc::new(());
        (Self(Arc::downgrade(&token)), token)
    }

    /// Waits until every thread has let go.
    #[track_caller]
    pub(crate) fn assert_all_gone(&self) {
        eventually("no thread is left", || self.0.strong_count() == 0);
    }
}

impl Watched {
    pub(crate) fn new(stream: TcpStream, token: &Arc<()>) -> Self {
        Self { stream, token: Arc::clone(token) }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Transport for Watched {
    fn supports_timeouts(&self) -> bool {
        true
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        self.stream.set_nodelay(nodelay)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    fn close(&mut self) -> io::Result<()> {
        self.stream.close()
    }
}

impl TryClone for Watched {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, token: Arc::clone(&self.token) })
    }
}
