//! A transport in memory: bytes to be read, and then the end; what is written is forgotten.

use std::cell::Cell;
use std::io::{Read, Result, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

pub(crate) struct Wire<'b> {
    rest: &'b [u8],
    closed: Rc<Cell<bool>>,
}

impl<'b> Wire<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, closed: Rc::default() }
    }

    /// Whether the sending direction has been closed; it tells that later too.
    pub(crate) fn closed(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.closed)
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        self.rest.read(room)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl futures_io::AsyncRead for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut [u8],
    ) -> Poll<Result<usize>> {
        Poll::Ready(self.read(room))
    }
}

impl futures_io::AsyncWrite for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        self.closed.set(true);
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncRead for Wire<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        room: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let length = room.remaining().min(self.rest.len());
        let (read, rest) = self.rest.split_at(length);
        room.put_slice(read);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }
}
