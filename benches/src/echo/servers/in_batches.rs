//! The echo loop over `Stream` and `Sink` with one flush for all messages at hand.

use futures_util::{FutureExt, Sink, SinkExt, Stream, StreamExt};

/// Sends back each message that `is_data`; `flush` comes when no message is at hand, and after
/// `most` of them.
pub(super) async fn echo_in_batches<S, M, E>(
    websocket: &mut S,
    most: usize,
    is_data: impl Fn(&M) -> bool,
) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut fed = 0;
    loop {
        let at_hand = if fed < most { websocket.next().now_or_never() } else { None };
        let next = match at_hand {
            Some(next) => next,
            None => {
                if fed > 0 {
                    websocket.flush().await?;
                    fed = 0;
                }
                websocket.next().await
            }
        };
        let Some(message) = next.transpose()? else { return Ok(()) };
        if is_data(&message) {
            websocket.feed(message).await?;
            fed += 1;
        }
    }
}
