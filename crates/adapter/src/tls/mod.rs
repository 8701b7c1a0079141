//! TLS by `rustls`: what a client and a server need for `wss://`.

mod client;
mod failure;
mod pem;
mod server;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use client::{ClientTls, ClientTlsBuilder};
pub use failure::{into_tls_error, into_tls_io_error};
/// The TLS library, for a configuration of one's own.
pub use rustls;
pub use server::ServerTls;

/// The one protocol that is offered and accepted by ALPN (RFC 7301): the opening handshake is
/// HTTP/1.1 (RFC 6455 section 4.1), which a server that prefers HTTP/2 has to know beforehand.
const ALPN: &[u8] = b"http/1.1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
