//! How much, and for how long.

use std::time::Duration;

use duologue_tokio::Config;

use crate::Adapter;

/// The size of a run.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// Connections that are idle most of the time.
    pub(super) crowd: usize,
    /// So many of them send messages when the server stops.
    pub(super) talkers: usize,
    /// How long the crowd rests.
    pub(super) rest: Duration,
    /// How long the talkers talk.
    pub(super) talk: Duration,
    /// Opening handshakes that come slowly.
    pub(super) slow: usize,
    /// Clients that send messages and never read the echoes.
    pub(super) silent: usize,
    /// Clients that send pings as fast as they go; every second one reads the pongs.
    pub(super) flooders: usize,
    /// Clients that do what clients do, while the others attack.
    pub(super) honest: usize,
    /// How long they are watched without attackers, and then with them.
    pub(super) calm: Duration,
    pub(super) attack: Duration,
    /// How often the server is killed.
    pub(super) kills: usize,
    /// Which adapter the server is made with.
    pub(super) adapter: Adapter,
    /// Its deadlines.
    pub(super) opening_timeout: Duration,
    pub(super) write_stall_timeout: Duration,
}

impl Scale {
    /// What one process may hold, with the deadlines that are the default.
    pub(super) const FULL: Self = Self {
        crowd: 10_000,
        talkers: 1000,
        // Long enough for each connection to have its keepalive ping.
        rest: Duration::from_secs(25),
        talk: Duration::from_secs(5),
        slow: 3000,
        silent: 500,
        flooders: 500,
        honest: 100,
        calm: Duration::from_secs(10),
        attack: Duration::from_secs(45),
        kills: 50,
        adapter: Adapter::Tokio,
        opening_timeout: Config::DEFAULT.opening_timeout,
        write_stall_timeout: Config::DEFAULT.write_stall_timeout,
    };

    /// A tenth of the connections and attackers, ten kills, and deadlines of a few seconds.
    pub(super) const QUICK: Self = Self {
        crowd: 1000,
        talkers: 100,
        rest: Duration::from_secs(2),
        talk: Duration::from_secs(1),
        slow: 300,
        silent: 50,
        flooders: 50,
        honest: 10,
        calm: Duration::from_secs(2),
        attack: Duration::from_secs(8),
        kills: 10,
        adapter: Adapter::Tokio,
        opening_timeout: Duration::from_secs(2),
        write_stall_timeout: Duration::from_secs(4),
    };

    /// The same with a server that is made with `adapter`. A connection of the blocking one that is
    /// split holds two descriptors, of which a process may have 20,000.
    pub(super) fn of(self, adapter: Adapter) -> Self {
        match adapter {
            Adapter::Tokio => self,
            Adapter::Std => Self { adapter, crowd: self.crowd.min(9000), ..self },
        }
    }

    /// How many descriptors of the server belong to so many connections.
    pub(super) fn descriptors(&self, connections: usize) -> usize {
        match self.adapter {
            Adapter::Tokio => connections,
            Adapter::Std => 2 * connections,
        }
    }

    /// What the server is to be told.
    pub(super) fn server_arguments(&self) -> Vec<String> {
        let of = |name: &str, timeout: Duration| [name.into(), timeout.as_millis().to_string()];
        let opening = of("--opening-timeout", self.opening_timeout);
        let stall = of("--write-stall-timeout", self.write_stall_timeout);
        let adapter = match self.adapter {
            Adapter::Tokio => "tokio",
            Adapter::Std => "std",
        };
        let adapter = ["--adapter", adapter].map(String::from);
        adapter.into_iter().chain(opening).chain(stall).collect()
    }
}
