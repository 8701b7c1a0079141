//! Compression, as the command line asks for it.

use clap::Args;
use duologue_tokio::Config;
use duologue_tokio::deflate::{CompressionLevel, DeflateConfig};

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Compression {
    /// Compress messages, if the other end does too (permessage-deflate, RFC 7692).
    #[arg(short = 'z', long)]
    compress: bool,
    /// How hard to compress, from 1 (fastest) to 9 (smallest).
    #[arg(long, value_name = "LEVEL", default_value = "1", requires = "compress")]
    #[arg(value_parser = parse_level)]
    level: CompressionLevel,
    /// Compress each message by itself, at both ends: for less memory at a worse ratio.
    #[arg(long, requires = "compress")]
    no_context_takeover: bool,
}

fn parse_level(level: &str) -> Result<CompressionLevel, String> {
    level
        .parse()
        .ok()
        .and_then(CompressionLevel::new)
        .ok_or_else(|| "a level from 1 to 9 is needed".into())
}

impl Compression {
    /// `config`, with compression if it is asked for.
    pub(crate) const fn apply(self, config: Config) -> Config {
        let deflate = DeflateConfig {
            level: self.level,
            server_no_context_takeover: self.no_context_takeover,
            client_no_context_takeover: self.no_context_takeover,
            ..DeflateConfig::DEFAULT
        };
        Config { deflate: if self.compress { Some(deflate) } else { None }, ..config }
    }
}
