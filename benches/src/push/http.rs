//! Delivery by HTTP/1.1: polling, long polling and server-sent events, with hyper.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::feed::{Feed, Subscription};
use super::server::Failure;

/// What there is after `?after=` the updates that the client has, at once.
pub(super) const POLL: &str = "/updates";
/// The same, as soon as there is an update.
pub(super) const LONG_POLL: &str = "/updates/next";
/// All updates, as an event stream.
pub(super) const EVENTS: &str = "/events";

pub(super) async fn deliver(stream: TcpStream, feed: Feed) -> Result<(), Failure> {
    let service = service_fn(move |request| respond(request, feed.clone()));
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

/// A body that is at hand, or one that goes on.
type Body = Either<Full<Bytes>, StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

async fn respond(
    request: Request<Incoming>,
    feed: Feed,
) -> Result<Response<Body>, hyper::http::Error> {
    let after = request.uri().query().and_then(|query| query.strip_prefix("after="));
    let mut subscription = feed.subscribe(after.and_then(|after| after.parse().ok()).unwrap_or(0));
    let response = Response::builder().header(CACHE_CONTROL, "no-store");
    match request.uri().path() {
        POLL => {}
        LONG_POLL => subscription.wait().await,
        EVENTS => {
            return response
                .header(CONTENT_TYPE, "text/event-stream")
                .body(Either::Right(StreamBody::new(events(subscription))));
        }
        _ => return response.status(StatusCode::NOT_FOUND).body(Either::Left(Full::default())),
    }
    let pending = subscription.take();
    if pending.is_empty() {
        return response.status(StatusCode::NO_CONTENT).body(Either::Left(Full::default()));
    }
    response
        .header(CONTENT_TYPE, "application/x-ndjson")
        .body(Either::Left(Full::new(joined("", &pending, "\n"))))
}

/// The body of an event stream, in the leanest form: one field `data` an event.
fn events(subscription: Subscription) -> BoxStream<'static, Result<Frame<Bytes>, Infallible>> {
    let events = unfold(subscription, |mut subscription| async {
        subscription.wait().await;
        let frame = Frame::data(joined("data: ", &subscription.take(), "\n\n"));
        Some((Ok(frame), subscription))
    });
    events.boxed()
}

/// Each of the updates between `prefix` and `suffix`, one after the other.
fn joined(prefix: &str, updates: &[Arc<str>], suffix: &str) -> Bytes {
    let mut out = String::new();
    for update in updates {
        out.push_str(prefix);
        out.push_str(update);
        out.push_str(suffix);
    }
    out.into()
}
