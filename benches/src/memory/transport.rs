//! Transports in memory that never wait: what is read repeats for ever, what is written is copied
//! into memory that begins anew when it is full, as the system would copy it.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice, Read, Write};
use std::rc::Rc;

use tokio::io::ReadBuf;

/// A transport whose peer sends the same bytes over and over, and takes everything.
///
/// A read fills all the room it is given, by copying. A write is counted, and copied if the
/// transport was made as a [`sink`](Self::sink).
#[derive(Clone, Debug)]
pub struct Endless {
    bytes: Rc<[u8]>,
    at: usize,
    written: u64,
    ring: Vec<u8>,
    ring_at: usize,
}

/// The memory that is written into, in bytes.
const RING: usize = 64 * 1024;

impl Endless {
    /// A transport that brings `bytes` over and over.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), at: 0, written: 0, ring: Vec::new(), ring_at: 0 }
    }

    /// A transport for writing only.
    #[must_use]
    pub fn sink() -> Self {
        Self { ring: vec![0; RING], ..Self::new(&[]) }
    }

    /// How many bytes have been written.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The next bytes, `room` at most: fewer only where they begin again.
    pub(crate) fn next(&mut self, room: usize) -> &[u8] {
        if self.at == self.bytes.len() {
            self.at = 0;
        }
        let from = self.at;
        self.at += room.min(self.bytes.len() - from);
        &self.bytes[from..self.at]
    }

    #[inline]
    pub(crate) fn swallow(&mut self, mut bytes: &[u8]) -> usize {
        let length = bytes.len();
        self.written += length as u64;
        while !bytes.is_empty() && !self.ring.is_empty() {
            if self.ring_at == self.ring.len() {
                self.ring_at = 0;
            }
            let count = bytes.len().min(self.ring.len() - self.ring_at);
            self.ring[self.ring_at..self.ring_at + count].copy_from_slice(&bytes[..count]);
            self.ring_at += count;
            bytes = &bytes[count..];
        }
        length
    }

    fn take_all(&mut self, slices: &[IoSlice<'_>]) -> usize {
        slices.iter().map(|slice| self.swallow(core::hint::black_box(slice))).sum()
    }
}

impl Read for Endless {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.next(buffer.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for Endless {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.swallow(core::hint::black_box(bytes)))
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.take_all(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tokio::io::AsyncRead for Endless {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        buffer.put_slice(self.next(room));
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for Endless {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(slices))
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

impl futures_io::AsyncRead for Endless {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.read(buffer))
    }
}

impl futures_io::AsyncWrite for Endless {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// [`Endless`] as wtx has its transports.
#[derive(Debug)]
pub struct WtxEndless(pub Endless);

impl wtx::stream::StreamReader for WtxEndless {
    #[inline]
    async fn read(&mut self, buffer: &mut [u8]) -> wtx::Result<usize> {
        Ok(Read::read(&mut self.0, buffer)?)
    }
}

impl wtx::stream::StreamWriter for WtxEndless {
    #[inline]
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.0.swallow(core::hint::black_box(bytes));
        Ok(())
    }

    #[inline]
    async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
        for slice in slices {
            self.0.swallow(core::hint::black_box(slice));
        }
        Ok(())
    }
}

/// A runtime of one thread, which a contender runs a whole round in: entering and leaving it does
/// not count.
#[must_use]
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_repeats_and_fills_the_room_given() {
        let mut transport = Endless::new(b"abcde");
        let mut read = Vec::new();
        for room in [2, 9, 1, 4] {
            let mut buffer = vec![0; room];
            let count = Read::read(&mut transport, &mut buffer).unwrap();
            read.push(String::from_utf8(buffer[..count].to_vec()).unwrap());
        }
        assert_eq!(read, ["ab", "cde", "a", "bcde"]);
    }

    #[test]
    fn what_is_written_is_counted() {
        let mut transport = Endless::sink();
        transport.write_all(b"abc").unwrap();
        let slices = [IoSlice::new(b"de"), IoSlice::new(b"f")];
        assert_eq!(transport.write_vectored(&slices).unwrap(), 3);
        assert_eq!(transport.written(), 6);
        assert_eq!(&transport.ring[..6], b"abcdef");
        // What goes past the end goes on at the beginning.
        transport.write_all(&[7; RING]).unwrap();
        assert_eq!((&transport.ring[..7], transport.ring_at), (&[7, 7, 7, 7, 7, 7, 7][..], 6));
    }
}
