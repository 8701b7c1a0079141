//! A stream that tells what it has taken.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use duologue_adapter::MAX_SLICES;
use duologue_adapter::machine::Machine;

use super::link::Link;
use crate::transport::{Transport, TryClone};

/// How many bytes one write takes at most. A blocking write of more would only return when all of
/// it is out, and `bufferedAmount` would not fall before that.
const MOST_AT_ONCE: usize = 128 * 1024;

/// A stream whose writes are counted, for `bufferedAmount`.
pub(super) struct Counted<S, M: Machine> {
    stream: S,
    link: Arc<Link<S, M>>,
}

impl<S, M: Machine> Counted<S, M> {
    pub(super) const fn new(stream: S, link: Arc<Link<S, M>>) -> Self {
        Self { stream, link }
    }
}

/// The beginning of `slices`, put into `fewer`, if they are longer than one write is to be.
fn most_of<'a>(slices: &'a [IoSlice<'a>], fewer: &'a mut [IoSlice<'a>]) -> &'a [IoSlice<'a>] {
    let mut room = MOST_AT_ONCE;
    if slices.iter().map(|slice| slice.len()).fold(0, usize::saturating_add) <= room {
        return slices;
    }
    let mut count = 0_usize;
    for (place, slice) in fewer.iter_mut().zip(slices) {
        let bytes: &[u8] = slice;
        let bytes = bytes.get(..room).unwrap_or(bytes);
        *place = IoSlice::new(bytes);
        room = room.saturating_sub(bytes.len());
        count = count.saturating_add(1);
        if room == 0 {
            break;
        }
    }
    fewer.get(..count).unwrap_or_default()
}

impl<S: Read, M: Machine> Read for Counted<S, M> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl<S: Transport, M: Machine> Write for Counted<S, M> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = bytes.get(..MOST_AT_ONCE).unwrap_or(bytes);
        let written = self.stream.write(bytes)?;
        self.link.wrote(written);
        Ok(written)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut fewer = [IoSlice::new(&[]); MAX_SLICES];
        let written = self.stream.write_vectored(most_of(slices, &mut fewer))?;
        self.link.wrote(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl<S: Transport, M: Machine> Transport for Counted<S, M> {
    fn supports_timeouts(&self) -> bool {
        self.stream.supports_timeouts()
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

impl<S: TryClone, M: Machine> TryClone for Counted<S, M> {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::new(self.stream.try_clone()?, Arc::clone(&self.link)))
    }
}
