//! What a connection runs over.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A stream of bytes in both directions, with what a socket can do besides.
///
/// Without timeouts (the default methods), a deadline is only noticed when a read or a write
/// returns. Any `Read + Write` is a transport in [`Plain`]; for a stream that wraps a socket, such
/// as a TLS stream, implement this trait and pass the calls on to the socket.
pub trait Transport: Read + Write {
    /// Whether [`set_read_timeout`](Self::set_read_timeout) and
    /// [`set_write_timeout`](Self::set_write_timeout) have an effect. Default no.
    fn supports_timeouts(&self) -> bool {
        false
    }

    /// How long a read may wait before it fails with `WouldBlock` or `TimedOut`. Never called with
    /// zero.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Ok(())
    }

    /// How long a write may wait before it fails with `WouldBlock` or `TimedOut`. Never called with
    /// zero.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Ok(())
    }

    /// Turns `TCP_NODELAY` on or off, where there is such a thing.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        let _ = nodelay;
        Ok(())
    }

    /// Ends the sending direction, so that the peer reads an end; reading goes on. By default only
    /// flushes.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.flush()
    }

    /// Ends both directions; a read or write that waits in another thread returns. By default only
    /// flushes.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn close(&mut self) -> io::Result<()> {
        self.flush()
    }
}

/// A transport that two threads can use at once, one for each direction: needed for
/// [`WebSocket::split`](crate::WebSocket::split).
pub trait TryClone: Transport + Sized {
    /// A second handle to the same stream.
    ///
    /// # Errors
    ///
    /// The operating system's.
    fn try_clone(&self) -> io::Result<Self>;
}

impl Transport for TcpStream {
    fn supports_timeouts(&self) -> bool {
        true
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_write_timeout(self, timeout)
    }

    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        Self::set_nodelay(self, nodelay)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn close(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Both)
    }
}

impl TryClone for TcpStream {
    fn try_clone(&self) -> io::Result<Self> {
        Self::try_clone(self)
    }
}

#[cfg(unix)]
impl Transport for UnixStream {
    fn supports_timeouts(&self) -> bool {
        true
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_read_timeout(self, timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_write_timeout(self, timeout)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    fn close(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Both)
    }
}

#[cfg(unix)]
impl TryClone for UnixStream {
    fn try_clone(&self) -> io::Result<Self> {
        Self::try_clone(self)
    }
}

macro_rules! pass_on {
    ($($pointer:ty),*) => {$(
        impl<T: Transport + ?Sized> Transport for $pointer {
            fn supports_timeouts(&self) -> bool {
                (**self).supports_timeouts()
            }

            fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                (**self).set_read_timeout(timeout)
            }

            fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                (**self).set_write_timeout(timeout)
            }

            fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
                (**self).set_nodelay(nodelay)
            }

            fn shutdown_write(&mut self) -> io::Result<()> {
                (**self).shutdown_write()
            }

            fn close(&mut self) -> io::Result<()> {
                (**self).close()
            }
        }
    )*};
}

pass_on!(&mut T, Box<T>);

/// Any `Read + Write` as a [`Transport`], without timeouts and without a way to end one direction.
///
/// ```
/// use std::io::{Cursor, ErrorKind};
/// use duologue_std::{Plain, accept};
///
/// let stream = Plain(Cursor::new(b"no HTTP at all".to_vec()));
/// assert!(accept(stream).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain<S>(pub S);

impl<S: Read> Read for Plain<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<S: Write> Write for Plain<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Read + Write> Transport for Plain<S> {}
