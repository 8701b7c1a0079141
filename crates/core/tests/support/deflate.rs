//! Endpoints that have agreed on compression, and data compressed by something else.

use bytes::BytesMut;

use duologue_core::deflate::{DeflateConfig, DeflateParameters, WindowBits};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{Config, Endpoint};

use super::{End, Side, T0};

/// Compression with the defaults but for a threshold: every message is compressed.
pub(crate) const ALL: DeflateConfig = DeflateConfig { threshold: 0, ..DeflateConfig::DEFAULT };

/// The defaults with compression on for every message.
pub(crate) const CONFIG: Config = Config { deflate: Some(ALL), ..Config::DEFAULT };

/// What was agreed on when nothing is said: full windows, context taken over by both.
pub(crate) fn agreed() -> DeflateParameters {
    DeflateParameters::default()
}

/// Nothing is taken over by either end.
pub(crate) fn alone() -> DeflateParameters {
    DeflateParameters {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateParameters::default()
    }
}

pub(crate) fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

/// An endpoint that has just opened with compression.
pub(crate) fn compressing(
    end: End,
    config: &Config,
    parameters: DeflateParameters,
) -> Endpoint<Side> {
    let mut endpoint = Endpoint::new(end.role(), config, T0);
    let mut extensions = NegotiatedExtensions::default();
    extensions.deflate = Some(parameters);
    endpoint.open(extensions, BytesMut::new(), T0);
    endpoint
}
