//! What lies between two joined ends in memory.

use core::any::Any;
use core::cell::RefCell;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use tokio::io::ReadBuf;
use tokio::runtime::Runtime;

use crate::memory::transport::runtime;

/// What a wire has room for before it grows, in bytes and in messages.
const ROOM: usize = 64 * 1024;
const MESSAGES: usize = 256;

/// One direction of a connection. What is sent at once comes by one read, if the reader has room
/// for it, and nothing comes with it that was sent later.
#[derive(Debug)]
pub(super) struct Wire {
    bytes: Vec<u8>,
    at: usize,
    /// Where each of what was sent at once ends.
    ends: VecDeque<usize>,
    /// Bytes sent, in all.
    sent: u64,
}

impl Wire {
    fn new() -> Self {
        let (bytes, ends) = (Vec::with_capacity(ROOM), VecDeque::with_capacity(MESSAGES));
        Self { bytes, at: 0, ends, sent: 0 }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.at == self.bytes.len() {
            self.clear();
        }
        self.bytes.extend_from_slice(bytes);
        self.sent += bytes.len() as u64;
    }

    /// What has been written so far comes by a read of its own.
    pub(super) fn cut(&mut self) {
        self.ends.push_back(self.bytes.len());
    }

    /// What the next read brings, `room` bytes at most.
    pub(super) fn read(&mut self, room: usize) -> &[u8] {
        let from = self.at;
        let end = self.ends.front().copied().unwrap_or(from);
        self.at = end.min(from + room);
        if self.at == end {
            self.ends.pop_front();
        }
        &self.bytes[from..self.at]
    }

    /// Drops what has not been read.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.at = 0;
    }
}

/// An end of a connection, for those who read and write by themselves.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) incoming: Rc<RefCell<Wire>>,
    pub(super) outgoing: Rc<RefCell<Wire>>,
}

impl tokio::io::AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        let mut incoming = self.incoming.borrow_mut();
        let bytes = incoming.read(room);
        buffer.put_slice(bytes);
        if bytes.is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl tokio::io::AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outgoing.borrow_mut().write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut outgoing = self.outgoing.borrow_mut();
        slices.iter().for_each(|slice| outgoing.write(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// [`End`] as wtx has its transports.
#[derive(Debug)]
pub(super) struct WtxEnd(pub(super) End);

impl wtx::stream::StreamReader for WtxEnd {
    async fn read(&mut self, buffer: &mut [u8]) -> wtx::Result<usize> {
        let mut incoming = self.0.incoming.borrow_mut();
        let bytes = incoming.read(buffer.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl wtx::stream::StreamWriter for WtxEnd {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.0.outgoing.borrow_mut().write(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        let mut outgoing = self.0.outgoing.borrow_mut();
        slices.iter().for_each(|slice| outgoing.write(slice));
        Ok(())
    }
}

/// Which connections a contender is to make.
#[derive(Debug)]
pub(super) struct Setting {
    /// The ends: of each connection the server, then its client.
    pub(super) ends: Vec<End>,
    /// Messages refer to those before them.
    pub(super) takes_over: bool,
    /// Many connections are to take little memory.
    pub(super) small: bool,
    pub(super) runtime: Runtime,
    /// What outlives the ends that a contender makes, such as a pool.
    kept: RefCell<Vec<Box<dyn Any>>>,
}

impl Setting {
    pub(super) fn new(connections: usize, takes_over: bool, small: bool) -> Self {
        let mut ends = Vec::new();
        for _ in 0..connections {
            let wire = || Rc::new(RefCell::new(Wire::new()));
            let (incoming, outgoing) = (wire(), wire());
            let client = End { incoming: outgoing.clone(), outgoing: incoming.clone() };
            ends.extend([End { incoming, outgoing }, client]);
        }
        Self { ends, takes_over, small, runtime: runtime(), kept: RefCell::default() }
    }

    /// Keeps what is shared by all ends, as a program would.
    pub(super) fn keep(&self, shared: impl Any) {
        self.kept.borrow_mut().push(Box::new(shared));
    }

    /// Bytes sent so far, frames and all.
    pub(super) fn sent(&self) -> u64 {
        self.ends.iter().map(|end| end.outgoing.borrow().sent).sum()
    }

    /// Drops what has been sent and not received.
    pub(super) fn clear(&self) {
        self.ends.iter().for_each(|end| end.outgoing.borrow_mut().clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_brings_what_was_sent_at_once_and_no_more() {
        let mut wire = Wire::new();
        wire.write(b"ab");
        wire.write(b"c");
        wire.cut();
        wire.write(b"de");
        wire.cut();
        let read: Vec<_> = [2, 9, 9, 9].map(|room| wire.read(room).to_vec()).to_vec();
        assert_eq!(read, [&b"ab"[..], b"c", b"de", b""]);
        assert_eq!(wire.sent, 5);
        wire.write(b"f");
        wire.cut();
        assert_eq!(wire.read(9), b"f");
        wire.write(b"g");
        assert_eq!(wire.bytes, b"g", "what has been read is gone");
    }
}
