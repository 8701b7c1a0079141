//! A transport in memory that does what the test says, and counts.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What happens on the transport, for the test to look at and to change.
#[derive(Debug, Default)]
pub struct State {
    /// What the peer has sent and nobody has read.
    pub input: VecDeque<u8>,
    /// The peer has ended its side.
    pub input_ended: bool,
    /// What has been written.
    pub output: Vec<u8>,
    /// The most bytes that one read gives; 0 stands for any number.
    pub read_limit: usize,
    /// The most bytes that one write takes; 0 stands for any number.
    pub write_limit: usize,
    /// Every operation is Pending once before it does something.
    pub stutters: bool,
    /// Writes are Pending.
    pub full: bool,
    /// Ending the sending direction is Pending.
    pub never_shuts_down: bool,
    /// Flushing is Pending.
    pub never_flushes: bool,
    /// Writes fail.
    pub broken: bool,
    pub reads: usize,
    pub writes: usize,
    pub flushes: usize,
    pub shut_down: bool,
    pub dropped: bool,
    ready: [bool; 4],
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    /// Whether the operation is Pending this time.
    fn stutter(&mut self, operation: usize, context: &mut Context<'_>) -> bool {
        if !self.stutters {
            return false;
        }
        self.ready[operation] = !self.ready[operation];
        if self.ready[operation] {
            context.waker().wake_by_ref();
        }
        self.ready[operation]
    }
}

/// The test's handle on the transport.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<State>>);

impl Wire {
    pub fn new() -> Self {
        Self::default()
    }

    /// One byte at a time, and Pending before each.
    pub fn stuttering() -> Self {
        let wire = Self::new();
        wire.with(|state| {
            state.stutters = true;
            state.read_limit = 1;
            state.write_limit = 1;
        });
        wire
    }

    /// The end that a WebSocket is put on.
    pub fn end(&self) -> WireEnd {
        WireEnd(Arc::clone(&self.0))
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// The peer sends `bytes`.
    pub fn put(&self, bytes: &[u8]) {
        self.with(|state| {
            state.input.extend(bytes);
            state.reader.take()
        })
        .inspect(Waker::wake_by_ref);
    }

    /// The peer ends its side.
    pub fn end_input(&self) {
        self.with(|state| {
            state.input_ended = true;
            state.reader.take()
        })
        .inspect(Waker::wake_by_ref);
    }

    /// Writes are taken again.
    pub fn unblock(&self) {
        self.with(|state| {
            state.full = false;
            state.writer.take()
        })
        .inspect(Waker::wake_by_ref);
    }

    /// What has been written since this was last asked.
    pub fn take_output(&self) -> Vec<u8> {
        self.with(|state| std::mem::take(&mut state.output))
    }
}

/// The transport itself.
#[derive(Debug)]
pub struct WireEnd(Arc<Mutex<State>>);

impl Drop for WireEnd {
    fn drop(&mut self) {
        self.0.lock().unwrap().dropped = true;
    }
}

impl AsyncRead for WireEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        state.reads += 1;
        if state.stutter(0, context) {
            return Poll::Pending;
        }
        if state.input.is_empty() {
            if state.input_ended {
                return Poll::Ready(Ok(()));
            }
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let limit = if state.read_limit == 0 { usize::MAX } else { state.read_limit };
        let count = buffer.remaining().min(limit).min(state.input.len());
        let bytes: Vec<u8> = state.input.drain(..count).collect();
        buffer.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WireEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.stutter(1, context) {
            return Poll::Pending;
        }
        if state.full {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.writes += 1;
        let limit = if state.write_limit == 0 { usize::MAX } else { state.write_limit };
        let before = state.output.len();
        for slice in slices {
            let room = limit - (state.output.len() - before);
            let taken = slice.len().min(room);
            state.output.extend_from_slice(&slice[..taken]);
        }
        Poll::Ready(Ok(state.output.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        if state.never_flushes || state.stutter(2, context) {
            return Poll::Pending;
        }
        state.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        if state.never_shuts_down || state.stutter(3, context) {
            return Poll::Pending;
        }
        state.shut_down = true;
        Poll::Ready(Ok(()))
    }
}

/// A transport that always has the same bytes to read, over and over, and takes all that is
/// written. A read gives as many as it has room for, up to their end.
#[derive(Debug)]
pub struct Endless {
    bytes: Vec<u8>,
    at: usize,
}

impl Endless {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let from = self.at;
        let to = self.bytes.len().min(from + buffer.remaining());
        buffer.put_slice(&self.bytes[from..to]);
        self.at = to % self.bytes.len();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
