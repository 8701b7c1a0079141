//! The task that keeps a client's machine going: connects, sends, receives, and connects again.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use duologue_adapter::machine::{Command, Ending, Machine, Shared};
use duologue_adapter::reconnect::Next;
use duologue_adapter::{ClientOptions, Error, ReadyState};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep_until, timeout};

use super::counted::Counted;
use crate::connect::client;
use crate::nodelay::set_nodelay;
use crate::timer::{instant, now};
use crate::websocket::WebSocket;

/// Starts a task that drives `machine`, over the streams that `dial` gives; `requests` tells anew
/// before each attempt how it is made.
pub(super) fn spawn<M, S, R, D, F>(machine: M, mut requests: R, mut dial: D) -> Arc<Shared<M>>
where
    M: Machine,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    R: FnMut() -> ClientOptions + Send + 'static,
    D: FnMut(&ClientOptions) -> F + Send + 'static,
    F: Future<Output = Result<S, Error>> + Send,
{
    let shared = Arc::new(Shared::new(machine));
    let driven = Driven(Arc::clone(&shared));
    tokio::spawn(async move { drive(&driven.0, &mut requests, &mut dial).await });
    shared
}

/// Tells the application that nothing comes any more, also when the runtime drops the task.
struct Driven<M: Machine>(Arc<Shared<M>>);

impl<M: Machine> Drop for Driven<M> {
    fn drop(&mut self) {
        self.0.finish(now());
    }
}

async fn drive<M, S, R, D, F>(shared: &Arc<Shared<M>>, requests: &mut R, dial: &mut D)
where
    M: Machine,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    R: FnMut() -> ClientOptions,
    D: FnMut(&ClientOptions) -> F,
    F: Future<Output = Result<S, Error>>,
{
    loop {
        match shared.next_action() {
            Next::Stop => return,
            Next::Wait(at) => {
                let mut sleep = pin!(sleep_until(instant(at)));
                poll_fn(|context| match shared.poll_asked(context) {
                    Poll::Ready(()) => Poll::Ready(()),
                    Poll::Pending => sleep.as_mut().poll(context),
                })
                .await;
                shared.tell(|machine| machine.handle_timeout(now()));
            }
            Next::Connect => {
                shared.begin();
                let ending = if shared.is_aborted() {
                    Ending::aborted()
                } else {
                    let options = requests();
                    connection(shared, &options, dial(&options)).await
                };
                shared.closed(ending, now());
            }
        }
    }
}

/// One connection, from the attempt to its end.
async fn connection<M, S>(
    shared: &Arc<Shared<M>>,
    options: &ClientOptions,
    dialling: impl Future<Output = Result<S, Error>>,
) -> Ending
where
    M: Machine,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let opening = timeout(options.config().opening_timeout, async {
        let stream = dialling.await?;
        set_nodelay(&stream, options.tcp_nodelay());
        client(Counted::new(stream, Arc::clone(shared)), options).await
    });
    let mut opening = pin!(opening);
    let opened = poll_fn(|context| {
        while shared.poll_asked(context).is_ready() {}
        if shared.is_aborted() {
            return Poll::Ready(None);
        }
        opening.as_mut().poll(context).map(Some)
    });
    let mut websocket = match opened.await {
        None => return Ending::aborted(),
        Some(Err(_)) => return Ending::not_connected(Error::OpeningTimeout),
        Some(Ok(Err(error))) => return Ending::not_connected(error),
        Some(Ok(Ok(websocket))) => websocket,
    };
    shared.tell(|machine| {
        machine.opened(websocket.subprotocol(), websocket.extensions(), now());
    });
    let mut peer_closes = false;
    match poll_fn(|context| poll(shared, &mut websocket, &mut peer_closes, context)).await {
        End::Aborted => Ending::aborted(),
        End::Closed(cause) => Ending::of(websocket.close_outcome(), cause),
    }
}

/// How a connection came to its end.
enum End {
    Aborted,
    Closed(Option<Error>),
}

/// Goes as far as the application and the transport let it.
fn poll<S, M>(
    shared: &Shared<M>,
    websocket: &mut WebSocket<S>,
    peer_closes: &mut bool,
    context: &mut Context<'_>,
) -> Poll<End>
where
    M: Machine,
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        while shared.poll_asked(context).is_ready() {}
        if shared.is_aborted() {
            return Poll::Ready(End::Aborted);
        }
        carry_out(shared, websocket, context);
        // A failure to write shows when reading ends.
        if let Poll::Ready(Ok(())) = Pin::new(&mut *websocket).poll_flush(context) {
            shared.all_written();
        }
        if !shared.takes_messages() {
            return Poll::Pending;
        }
        match Pin::new(&mut *websocket).poll_next(context) {
            Poll::Ready(Some(Ok(message))) => shared.received(message),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(End::Closed(Some(error))),
            Poll::Ready(None) => return Poll::Ready(End::Closed(None)),
            Poll::Pending => {
                if websocket.ready_state() != ReadyState::Open && !*peer_closes {
                    *peer_closes = true;
                    shared.tell(Machine::peer_closes);
                }
                shared.measured(websocket.round_trip_time());
                return Poll::Pending;
            }
        }
    }
}

/// Queues what is to be sent while there is room, and begins to close.
fn carry_out<S, M>(shared: &Shared<M>, websocket: &mut WebSocket<S>, context: &mut Context<'_>)
where
    M: Machine,
    S: AsyncRead + AsyncWrite + Unpin,
{
    while websocket.ready_state() == ReadyState::Open {
        let Poll::Ready(Ok(())) = Pin::new(&mut *websocket).poll_ready(context) else {
            return;
        };
        match shared.poll_command() {
            Some(Command::Send(message)) => {
                let payload = message.len() as u64;
                let begin = shared.position().saturating_add(websocket.buffered_amount() as u64);
                // It can only be refused by a connection that is closing, which this one is not.
                let _ = Pin::new(&mut *websocket).start_send(message);
                let end = shared.position().saturating_add(websocket.buffered_amount() as u64);
                shared.queued(payload, begin, end);
            }
            // The machine has judged the reason.
            Some(Command::Close(Some((code, reason)))) => {
                let _ = websocket.start_close(code, &reason);
            }
            Some(Command::Close(None)) => websocket.start_close_without_code(),
            Some(Command::Abort) | None => return,
        }
    }
}
