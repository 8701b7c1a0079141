//! The opening handshake (RFC 6455 section 4).

mod extensions;

pub use extensions::NegotiatedExtensions;
