//! What the server has published, and those who wait for more of it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::update::{Update, monotonic};

/// All updates that there have been.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    updates: Arc<Mutex<Vec<Arc<str>>>>,
    count: watch::Sender<usize>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { updates: Arc::default(), count: watch::Sender::new(0) }
    }

    /// Publishes the next update, now.
    pub(super) fn publish(&self) -> io::Result<()> {
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = u64::try_from(updates.len()).map_err(io::Error::other)?;
        updates.push(Update { sequence, published: monotonic()? }.render().into());
        self.count.send_replace(updates.len());
        Ok(())
    }

    /// Whoever has the first `position` updates.
    pub(super) fn subscribe(&self, position: usize) -> Subscription {
        Subscription { feed: self.clone(), count: self.count.subscribe(), position }
    }
}

/// How far one receiver has come.
#[derive(Debug)]
pub(super) struct Subscription {
    feed: Feed,
    count: watch::Receiver<usize>,
    position: usize,
}

impl Subscription {
    /// Waits until there is an update that was not taken yet. Cancel-safe.
    pub(super) async fn wait(&mut self) {
        let position = self.position;
        // The subscription holds the sender itself, so the channel does not end.
        let _ = self.count.wait_for(|count| *count > position).await;
    }

    /// The updates that were not taken yet.
    pub(super) fn take(&mut self) -> Vec<Arc<str>> {
        let updates = self.feed.updates.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = updates.get(self.position..).unwrap_or_default().to_vec();
        self.position += pending.len();
        pending
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_subscription_waits_for_what_it_has_not_taken() {
        let feed = Feed::new();
        feed.publish().unwrap();
        let (mut first, mut second) = (feed.subscribe(0), feed.subscribe(1));
        assert!(first.wait().now_or_never().is_some());
        assert!(second.wait().now_or_never().is_none() && second.take().is_empty());
        feed.publish().unwrap();
        assert!(second.wait().now_or_never().is_some());
        assert_eq!((first.take().len(), second.take().len()), (2, 1));
        assert!(first.wait().now_or_never().is_none());
        let sequence = |text: &str| Update::parse(text.as_bytes()).unwrap().sequence;
        assert_eq!(feed.subscribe(1).take().iter().map(|text| sequence(text)).next(), Some(1));
    }
}
