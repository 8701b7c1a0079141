//! What a connection made by this crate runs over: TCP, or TCP with TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::Vec;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "rustls")]
use {duologue_adapter::tls::into_tls_io_error, std::boxed::Box, tokio_rustls::TlsStream};

/// TCP, with TLS or without.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "rustls")]
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    pub(crate) const fn is_tls(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    pub(crate) fn peer_certificates(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Tcp(_) => Vec::new(),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => {
                let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                certificates.iter().map(|certificate| certificate.to_vec()).collect()
            }
        }
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => match Pin::new(stream).poll_read(context, buffer) {
                // An end of TCP without an end of TLS. The closing handshake tells whether a
                // WebSocket ended as it should, and its frames say how long they are.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                read => read.map_err(into_tls_io_error),
            },
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => {
                Pin::new(stream).poll_write(context, bytes).map_err(into_tls_io_error)
            }
        }
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => {
                Pin::new(stream).poll_write_vectored(context, slices).map_err(into_tls_io_error)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(context).map_err(into_tls_io_error),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context).map_err(into_tls_io_error),
        }
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
            /// it.
            #[must_use]
            pub fn tcp(&self) -> &tokio::net::TcpStream {
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
            pub fn peer_certificates(&self) -> std::vec::Vec<std::vec::Vec<u8>> {
                self.inner.peer_certificates()
            }
        }

        impl tokio::io::AsyncRead for $name {
            #[inline]
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().inner).poll_read(context, buffer)
            }
        }

        impl tokio::io::AsyncWrite for $name {
            #[inline]
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
            }

            #[inline]
            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, slices)
            }

            fn is_write_vectored(&self) -> bool {
                self.inner.is_write_vectored()
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().inner).poll_flush(context)
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
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
