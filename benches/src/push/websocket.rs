//! Delivery by WebSocket: one message for each update.

use std::pin::pin;

use duologue_tokio::accept;
use futures_util::future::{Either, select};
use tokio::net::TcpStream;

use super::feed::Feed;
use super::server::Failure;

/// Sends what is published until the client closes; reads on meanwhile, as RFC 6455 asks for, so
/// that pings and Close are answered.
pub(super) async fn deliver(stream: TcpStream, feed: Feed) -> Result<(), Failure> {
    let mut websocket = accept(stream).await?;
    let mut subscription = feed.subscribe(0);
    loop {
        let received = match select(pin!(websocket.next()), pin!(subscription.wait())).await {
            Either::Left((received, _)) => Some(received),
            Either::Right(_) => None,
        };
        match received {
            Some(Some(message)) => drop(message?),
            Some(None) => return Ok(()),
            None => {
                for update in subscription.take() {
                    websocket.feed_text(&update).await?;
                }
                websocket.flush().await?;
            }
        }
    }
}
