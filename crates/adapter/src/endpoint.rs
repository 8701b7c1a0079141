//! The endpoint that the adapters drive.

use bytes::BytesMut;
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{Config, EitherRole, Timestamp};

use crate::codecs::THREAD_CODECS;
use crate::os_keys::OsKeys;

/// Either end of a connection, with masking keys from the operating system: so that one type of
/// connection serves both.
pub type Role = EitherRole<OsKeys>;

/// A connection with its buffers, of either role.
pub type Endpoint = duologue_core::Endpoint<Role>;

/// An endpoint whose opening handshake is done; `leftover` are the bytes that came behind the
/// request or the response.
#[must_use]
pub fn open_endpoint(
    role: Role,
    config: &Config,
    extensions: NegotiatedExtensions,
    leftover: BytesMut,
    now: Timestamp,
) -> Endpoint {
    // Without bytes behind the head, its memory is let go.
    let leftover = if leftover.is_empty() { BytesMut::new() } else { leftover };
    let mut endpoint = Endpoint::new(role, config, now);
    endpoint.open(extensions, leftover, now);
    endpoint.share_codecs(&THREAD_CODECS);
    endpoint
}
