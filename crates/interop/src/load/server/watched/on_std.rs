//! Of std: a write that takes nothing fails when its timeout has passed.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use duologue_std::{Transport, TryClone};

use super::Watched;

impl Watched<TcpStream> {
    fn noting<T>(&self, begun: Instant, result: io::Result<T>) -> io::Result<T> {
        if result.is_ok() {
            self.blocked.end();
        } else {
            self.blocked.begin(begun);
        }
        result
    }
}

impl Read for Watched<TcpStream> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Watched<TcpStream> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let written = self.stream.write(bytes);
        self.noting(begun, written)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let begun = Instant::now();
        let written = self.stream.write_vectored(slices);
        self.noting(begun, written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Transport for Watched<TcpStream> {
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
        Transport::shutdown_write(&mut self.stream)
    }

    fn close(&mut self) -> io::Result<()> {
        Transport::close(&mut self.stream)
    }
}

impl TryClone for Watched<TcpStream> {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self::new(self.stream.try_clone()?, self.blocked.clone()))
    }
}
