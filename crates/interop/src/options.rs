//! What the suites vary: compression, and the fragments of what is sent.

use clap::Args;
use duologue_tokio::Config;
use duologue_tokio::deflate::{DeflateConfig, WindowBits};

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Neither offer nor accept permessage-deflate.
    #[arg(long)]
    no_compression: bool,
    /// The shortest message that is compressed.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    threshold: usize,
    /// The server compresses each message by itself.
    #[arg(long)]
    server_no_context_takeover: bool,
    /// The client compresses each message by itself.
    #[arg(long)]
    client_no_context_takeover: bool,
    /// How far back the server refers, 8 to 15.
    #[arg(long, value_name = "BITS", default_value = "15", value_parser = parse_window_bits)]
    server_max_window_bits: WindowBits,
    /// How far back the client refers, 8 to 15.
    #[arg(long, value_name = "BITS", default_value = "15", value_parser = parse_window_bits)]
    client_max_window_bits: WindowBits,
    /// Send each message in fragments of so much, with a ping behind each of them.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    fragment: Option<u32>,
}

fn parse_window_bits(bits: &str) -> Result<WindowBits, String> {
    bits.parse().ok().and_then(WindowBits::new).ok_or_else(|| "8 to 15 bits are needed".into())
}

impl Options {
    /// The defaults, with room for the suites' largest messages, and with compression.
    pub(crate) fn config(&self) -> Config {
        let deflate = DeflateConfig {
            threshold: self.threshold,
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self.client_max_window_bits,
            ..DeflateConfig::DEFAULT
        };
        Config {
            max_message_length: 64 << 20,
            deflate: (!self.no_compression).then_some(deflate),
            ..Config::DEFAULT
        }
    }

    /// The length of the fragments, if messages are sent in such.
    pub(crate) fn fragment_length(&self) -> Option<usize> {
        self.fragment.and_then(|length| length.try_into().ok())
    }
}
