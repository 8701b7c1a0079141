//! The thread that makes a connection and reads from it.

use std::sync::Arc;

use duologue_adapter::machine::{Ending, Machine};
use duologue_adapter::{ClientOptions, Clock, Error, Event};

use super::connector::Connector;
use super::counted::Counted;
use super::link::Link;
use super::threads::spawn;
use super::writer::write;
use crate::connecting::client;
use crate::split::{ReadHalf, WriteHalf};
use crate::transport::TryClone;

/// Connects, and reads to the end. `None` if the connection is given up from beside.
pub(super) fn run<S, M, D>(
    link: &Arc<Link<S, M>>,
    options: &ClientOptions,
    connector: &Connector<D>,
    clock: Clock,
) -> Option<Ending>
where
    S: TryClone + Send + 'static,
    M: Machine,
    D: FnMut(&ClientOptions) -> Result<S, Error>,
{
    let connect = link.wait(None, || match link.is_over() {
        true => Some(None),
        false => connector.take().map(Some),
    })??;
    let stream = connector.call(connect, options);
    link.ring();
    let (read_half, write_half) = match open(link, options, stream, clock) {
        Ok(Some(halves)) => halves,
        Ok(None) => return None,
        Err(error) => return Some(Ending::not_connected(error)),
    };
    let write = move |link: &Arc<_>| {
        write(link, write_half);
        None
    };
    if let Err(error) = spawn("duologue writer", link, write) {
        return Some(Ending::of(None, Some(Error::Io(error))));
    }
    read(link, read_half)
}

/// The two halves.
type Halves<S, M> = (ReadHalf<Counted<S, M>>, WriteHalf<Counted<S, M>>);

/// The opening handshake. `None` if the connection is given up from beside.
fn open<S, M>(
    link: &Arc<Link<S, M>>,
    options: &ClientOptions,
    stream: Result<S, Error>,
    clock: Clock,
) -> Result<Option<Halves<S, M>>, Error>
where
    S: TryClone,
    M: Machine,
{
    let stream = stream?;
    if !link.connected(stream.try_clone()?) {
        return Ok(None);
    }
    let websocket = client(Counted::new(stream, Arc::clone(link)), options)?;
    let subprotocol = websocket.subprotocol().map(String::from);
    let extensions = websocket.extensions();
    let halves = websocket.split()?;
    let is_wanted = link.opened(|machine| {
        machine.opened(subprotocol.as_deref(), extensions, clock.now());
    });
    Ok(is_wanted.then_some(halves))
}

/// Reads to the end, while the machine takes messages.
fn read<S, M>(link: &Link<S, M>, mut half: ReadHalf<Counted<S, M>>) -> Option<Ending>
where
    S: TryClone,
    M: Machine,
{
    loop {
        let is_over = link.wait(None, || match link.is_over() {
            true => Some(true),
            false => link.shared.takes_messages().then_some(false),
        });
        if is_over != Some(false) {
            return None;
        }
        let cause = match half.read_event() {
            Ok(Some(Event::Message(message))) => {
                link.while_open(|shared| shared.received(message));
                continue;
            }
            Ok(Some(Event::Ping(_) | Event::Pong(_))) => {
                let round_trip = half.round_trip_time();
                link.while_open(|shared| shared.measured(round_trip));
                continue;
            }
            Ok(None) => None,
            Err(error) => Some(error),
        };
        return Some(Ending::of(half.close_outcome(), cause));
    }
}
