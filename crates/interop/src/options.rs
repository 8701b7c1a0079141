//! What the suites vary: compression, fragments, limits, subprotocols, TLS, and who commands.

use std::time::Duration;

use clap::Args;
use duologue_tokio::deflate::{DeflateConfig, WindowBits};
use duologue_tokio::{Accept, ClientOptions, Config, Decision, Error, Request};

use crate::tls::Tls;

#[derive(Args, Clone, Debug)]
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
    /// The largest message received; one that is larger ends the connection with 1009.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_message_length: u64,
    /// How long the closing handshake and the end of TCP may take.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5000)]
    closing_timeout: u64,
    /// A subprotocol to offer or to accept; may be given several times, the preferred one first.
    #[arg(long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<String>,
    /// Do not echo, but do what each text message commands; src/command.rs lists the commands.
    #[arg(long)]
    commands: bool,
    #[command(flatten)]
    pub(crate) tls: Tls,
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
            max_message_length: self.max_message_length,
            closing_timeout: Duration::from_millis(self.closing_timeout),
            deflate: (!self.no_compression).then_some(deflate),
            ..Config::DEFAULT
        }
    }

    /// What a client connects to, and how.
    pub(crate) fn client(&self, url: &str) -> Result<ClientOptions, Error> {
        let client = self.tls.client(ClientOptions::new(url)?.with_config(self.config()))?;
        Ok(self.subprotocols.iter().fold(client, ClientOptions::subprotocol))
    }

    /// How a server answers: it accepts, with the client's preferred subprotocol of its own.
    pub(crate) fn decide(&self, request: &Request<'_>) -> Decision {
        let supported: Vec<&str> = self.subprotocols.iter().map(String::as_str).collect();
        Accept::new().subprotocol(request.choose_subprotocol(&supported)).into()
    }

    /// Whether text messages are commands.
    pub(crate) const fn commands(&self) -> bool {
        self.commands
    }

    /// The length of the fragments, if messages are sent in such.
    pub(crate) fn fragment_length(&self) -> Option<usize> {
        self.fragment.and_then(|length| length.try_into().ok())
    }
}
