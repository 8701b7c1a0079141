//! What a connection made by this crate runs over: TCP, or TCP with TLS.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[cfg(feature = "rustls")]
use crate::tls::TlsStream;
use crate::transport::{Transport, TryClone};

/// TCP, with TLS or without.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<TlsStream>),
}

impl Stream {
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.tcp(),
        }
    }

    pub(crate) const fn is_tls(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    pub(crate) fn peer_certificates(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Tcp(_) => Vec::new(),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.peer_certificates(),
        }
    }

    /// What carries the bytes.
    fn transport(&mut self) -> &mut dyn Transport {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream,
        }
    }
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transport().flush()
    }
}

impl Transport for Stream {
    fn supports_timeouts(&self) -> bool {
        true
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.tcp().set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.tcp().set_write_timeout(timeout)
    }

    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        self.tcp().set_nodelay(nodelay)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.transport().shutdown_write()
    }

    fn close(&mut self) -> io::Result<()> {
        self.transport().close()
    }
}

impl TryClone for Stream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => Self::Tls(Box::new(TryClone::try_clone(&**stream)?)),
        })
    }
}

/// A public stream around the [`Stream`] in its field `inner`.
macro_rules! stream {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(Debug)]
        pub struct $name {
            pub(crate) inner: $crate::stream::Stream,
        }

        impl $name {
            /// The TCP connection, for its addresses and options; do not read from it or write to
            /// it. If it is made non-blocking, so is this.
            #[must_use]
            pub fn tcp(&self) -> &std::net::TcpStream {
                self.inner.tcp()
            }

            /// Whether TLS is spoken over it.
            #[must_use]
            pub const fn is_tls(&self) -> bool {
                self.inner.is_tls()
            }

            /// The certificates that the peer has shown, in DER: its own first, then those of its
            /// issuers. None without TLS, and from a client that need not show any.
            #[must_use]
            pub fn peer_certificates(&self) -> Vec<Vec<u8>> {
                self.inner.peer_certificates()
            }
        }

        impl std::io::Read for $name {
            #[inline]
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.inner.read(buffer)
            }
        }

        impl std::io::Write for $name {
            #[inline]
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.inner.write(bytes)
            }

            #[inline]
            fn write_vectored(
                &mut self,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.inner.write_vectored(slices)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                self.inner.flush()
            }
        }

        impl $crate::transport::Transport for $name {
            fn supports_timeouts(&self) -> bool {
                true
            }

            fn set_read_timeout(
                &mut self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                $crate::transport::Transport::set_read_timeout(&mut self.inner, timeout)
            }

            fn set_write_timeout(
                &mut self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                $crate::transport::Transport::set_write_timeout(&mut self.inner, timeout)
            }

            fn set_nodelay(&mut self, nodelay: bool) -> std::io::Result<()> {
                $crate::transport::Transport::set_nodelay(&mut self.inner, nodelay)
            }

            fn shutdown_write(&mut self) -> std::io::Result<()> {
                self.inner.shutdown_write()
            }

            fn close(&mut self) -> std::io::Result<()> {
                self.inner.close()
            }
        }

        impl $crate::transport::TryClone for $name {
            fn try_clone(&self) -> std::io::Result<Self> {
                Ok(Self { inner: $crate::transport::TryClone::try_clone(&self.inner)? })
            }
        }
    };
}

#[cfg(feature = "rustls")]
pub(crate) use stream;

stream! {
    /// What a client's connection from [`connect`](crate::connect) runs over: TCP for `ws://`, and
    /// for `wss://` TLS over TCP, with the feature `rustls`.
    ClientStream
}
