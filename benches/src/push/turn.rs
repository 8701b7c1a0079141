//! One contender with its server and its clients, and one turn of it.

use std::io;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::Contender;
use super::client::{Client, Traffic};
use super::schedule::SplitMix64;
use super::server::Order;
use crate::echo::process::{Launcher, ServerProcess};

/// Clients that have not received all for so long after the last of it was due have failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server and its clients, each with one connection that stays open from turn to turn.
#[derive(Debug)]
pub(super) struct Stand {
    pub(super) contender: &'static Contender,
    server: ServerProcess,
    clients: Vec<Client>,
    /// What it took all clients to open their connections.
    opening: Traffic,
    /// When each client polls first.
    phases: SplitMix64,
    published: u64,
    server_cpu: Duration,
}

/// What one turn found. A delivery is one update to one client.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) deliveries: u64,
    /// From publication to arrival, in nanoseconds.
    pub(super) latency: Histogram<u64>,
    pub(super) traffic: Traffic,
    pub(super) server_cpu: Duration,
}

impl Stand {
    /// Starts the server and connects the clients.
    pub(super) fn open(
        contender: &'static Contender,
        launcher: &Launcher,
        runtime: &Runtime,
        clients: usize,
    ) -> io::Result<Self> {
        let server = launcher.start_with(super::SERVE, contender.delivery_name(), &[])?;
        let opened = (0..clients).map(|_| Client::open(contender.way, server.address));
        let clients = runtime.block_on(try_join_all(opened))?;
        let opening = traffic(&clients);
        let phases = SplitMix64::new(1);
        Ok(Self {
            contender,
            server,
            clients,
            opening,
            phases,
            published: 0,
            server_cpu: Duration::ZERO,
        })
    }

    /// Has further updates published, and waits until all clients have them.
    pub(super) fn turn(&mut self, runtime: &Runtime, order: Order) -> io::Result<Turn> {
        let end = self.published + order.updates;
        let before = traffic(&self.clients);
        for client in &mut self.clients {
            client.arrivals.latency.reset();
        }
        let cpu_before = self.server.cpu()?;
        self.server.tell(&order.to_line())?;
        let received: Vec<_> = self
            .clients
            .iter_mut()
            .map(|client| client.receive_until(end, self.phases.share()))
            .collect();
        let updates = u32::try_from(order.updates).map_err(io::Error::other)?;
        let limit = order.mean * updates * 2 + PATIENCE;
        let received = runtime.block_on(async { timeout(limit, join_all(received)).await });
        let server_cpu = self.server.cpu()?.saturating_sub(cpu_before);
        let received = received.map_err(|_| io::Error::other("an update does not come"))?;
        received.into_iter().collect::<io::Result<()>>()?;

        self.published = end;
        self.server_cpu += server_cpu;
        let mut latency = Histogram::new(3).map_err(io::Error::other)?;
        for client in &self.clients {
            latency.add(&client.arrivals.latency).map_err(io::Error::other)?;
        }
        let deliveries = latency.len();
        if deliveries != order.updates * self.clients.len() as u64 {
            return Err(io::Error::other("not every client has every update"));
        }
        Ok(Turn { deliveries, latency, traffic: traffic(&self.clients).since(before), server_cpu })
    }

    /// The requests of one client in all turns, on average.
    pub(super) fn requests(&self) -> f64 {
        self.clients.iter().map(Client::requests).sum::<u64>() as f64 / self.clients.len() as f64
    }

    /// What it took to open a connection, in bytes both ways.
    pub(super) fn opening(&self) -> f64 {
        (self.opening.sent + self.opening.received) as f64 / self.clients.len() as f64
    }

    /// The server's processor time in all turns.
    pub(super) fn server_cpu(&self) -> Duration {
        self.server_cpu
    }
}

fn traffic(clients: &[Client]) -> Traffic {
    clients.iter().map(Client::traffic).fold(Traffic::default(), |sum, one| Traffic {
        sent: sum.sent + one.sent,
        received: sum.received + one.received,
    })
}

impl Turn {
    /// A percentile of latency, in microseconds.
    pub(super) fn percentile(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e3
    }

    /// Bytes that the clients sent, and received, for each delivery.
    pub(super) fn bytes(&self) -> (f64, f64) {
        let each = |bytes: u64| bytes as f64 / self.deliveries as f64;
        (each(self.traffic.sent), each(self.traffic.received))
    }

    /// The server's processor time for each delivery, in microseconds.
    pub(super) fn cpu_per_delivery(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.deliveries as f64
    }
}
