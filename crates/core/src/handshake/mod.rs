//! The opening handshake (RFC 6455 section 4), over the caller's slices, without allocation.

mod client;
mod error;
pub(crate) mod extensions;
mod field;
mod head;
mod key;
mod origin;
mod request;
mod response;
mod server;

pub use client::{
    ClientHandshake, ClientRequest, InvalidRequest, RequestError, ServerResponse, Upgraded,
    verify_parsed,
};
pub use error::HandshakeError;
pub use extensions::{
    Extension, ExtensionConfig, ExtensionList, NegotiatedExtensions, Parameter, ParameterValue,
};
#[cfg(feature = "url")]
pub(crate) use field::is_token;
pub use field::{Field, InvalidField};
pub use head::{Fields, HeadLimits};
pub use key::{AcceptKey, SecWebSocketKey};
pub use origin::OriginPolicy;
pub use request::{HttpVersion, Request, Upgrade};
pub use response::{Acceptance, BufferTooSmall, Response, WriteError, reason_phrase};
pub use server::{AcceptError, ServerHandshake};
