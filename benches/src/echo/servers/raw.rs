//! No WebSocket at all: what tokio and the kernel take by themselves. No buffer is held by an idle
//! connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Failure, serve_on_tokio};

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; 32 * 1024].into());
}

pub(super) fn serve() -> io::Result<()> {
    serve_on_tokio(|stream| async {
        let mut echo = Echo { stream, unwritten: Vec::new() };
        poll_fn(|context| echo.poll(context)).await?;
        Ok::<(), Failure>(())
    })
}

struct Echo {
    stream: TcpStream,
    /// What the socket did not take at once.
    unwritten: Vec<u8>,
}

impl Echo {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.unwritten.is_empty() {
                let stream = Pin::new(&mut self.stream);
                let count = ready!(stream.poll_write(context, &self.unwritten))?;
                self.unwritten.drain(..count);
            }
            self.unwritten = Vec::new();
            if ready!(self.poll_read(context))? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reads once and writes it; whether the peer has ended.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            let mut rest = buffer.filled();
            if rest.is_empty() {
                return Poll::Ready(Ok(true));
            }
            while !rest.is_empty() {
                match Pin::new(&mut self.stream).poll_write(context, rest)? {
                    Poll::Ready(count) => rest = &rest[count..],
                    Poll::Pending => {
                        self.unwritten.extend_from_slice(rest);
                        break;
                    }
                }
            }
            Poll::Ready(Ok(false))
        })
    }
}
