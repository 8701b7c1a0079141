//! The server process: publishes when it is told to, and delivers by HTTP or by WebSocket.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::feed::Feed;
use super::schedule::Gaps;
use super::{http, websocket};

/// Nothing is published for so long after an order, so that every client is at its post.
const LEAD: Duration = Duration::from_millis(20);

/// A failure of one connection. Nobody is told: the client sees that the connection ends.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// What is to be published next: a line of the server's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) updates: u64,
    /// The mean gap between two of them.
    pub(super) mean: Duration,
    pub(super) seed: u64,
}

impl Order {
    pub(super) fn to_line(self) -> String {
        format!("{} {} {}\n", self.updates, self.mean.as_micros(), self.seed)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let (updates, mean, seed) = (next()?, next()?, next()?);
        Some(Self { updates, mean: Duration::from_micros(mean), seed })
    }
}

/// How updates are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Delivery {
    /// Polling, long polling and server-sent events, by hyper.
    Http,
    /// WebSocket, by duologue-tokio.
    Websocket,
}

/// Prints the port and serves until the input ends, on one thread.
pub(super) fn serve(delivery: Delivery) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        io::stdout().flush()?;
        let feed = Feed::new();
        tokio::spawn(publish(orders(), feed.clone()));
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(deliver(delivery, stream, feed.clone()));
        }
    })
}

async fn deliver(delivery: Delivery, stream: TcpStream, feed: Feed) -> Result<(), Failure> {
    match delivery {
        Delivery::Http => http::deliver(stream, feed).await,
        Delivery::Websocket => websocket::deliver(stream, feed).await,
    }
}

/// The orders that come on the input, whose end is the end of the process.
fn orders() -> UnboundedReceiver<Order> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let sent = Order::parse(&line).is_some_and(|order| sender.send(order).is_ok());
            if !sent {
                std::process::exit(1);
            }
        }
        std::process::exit(0);
    });
    receiver
}

async fn publish(mut orders: UnboundedReceiver<Order>, feed: Feed) -> io::Result<()> {
    while let Some(Order { updates, mean, seed }) = orders.recv().await {
        let mut gaps = Gaps::new(seed, mean);
        let mut moment = Instant::now() + LEAD;
        for _ in 0..updates {
            moment += gaps.next();
            sleep_until(moment).await;
            feed.publish()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_survives_its_line() {
        let order = Order { updates: 200, mean: Duration::from_millis(10), seed: 7 };
        assert_eq!(Order::parse(&order.to_line()), Some(order));
        for line in ["", "1 2", "1 2 x", "-1 2 3"] {
            assert_eq!(Order::parse(line), None, "{line}");
        }
    }
}
