//! On tokio: a task for each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duologue_tokio::{CloseCode, Error, Event, Message, WebSocket, accept_with};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::watched::{Blocked, Watched};
use super::{Pings, Server, decide, listen};
use crate::tokio_peer::block_on;

pub(super) fn serve(server: &Arc<Server>, address: SocketAddr) -> Result<(), Error> {
    block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let listener = listen(address).await?;
        println!("listening on {}", listener.local_addr()?);
        let (stop, stopped) = watch::channel(false);
        // The receiver ends when the last connection has dropped its sender.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = terminate.recv() => break,
            };
            let Ok((stream, _)) = accepted else {
                // Such as that no descriptor is free, which passes.
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (server, stopped, alive) = (Arc::clone(server), stopped.clone(), alive.clone());
            tokio::spawn(async move {
                let (begun, blocked) = (Instant::now(), Blocked::default());
                let ended = echo(&server, Watched::new(stream, blocked.clone()), stopped).await;
                server.ended(begun, &blocked, ended);
                drop(alive);
            });
        }
        drop((listener, alive));
        let _ = stop.send(true);
        let grace = server.config.closing_timeout + Duration::from_secs(1);
        let _ = timeout(grace, all_gone.recv()).await;
        Ok(())
    })
}

/// Serves one connection. Returns when it was closed for too many pings, if it was.
async fn echo(
    server: &Server,
    stream: Watched<TcpStream>,
    mut stopped: watch::Receiver<bool>,
) -> Result<Option<Instant>, Error> {
    let mut limited = false;
    let mut websocket = tokio::select! {
        accepted = accept_with(stream, &server.options, decide(&mut limited)) => accepted?,
        () = until(&mut stopped) => return Ok(None),
    };
    let mut pings = Pings::default();
    let mut stopping = false;
    loop {
        let event = tokio::select! {
            event = websocket.next_event() => event,
            () = until(&mut stopped), if !stopping => {
                // What was taken is echoed; what comes from now on is not taken.
                websocket.start_close(CloseCode::GOING_AWAY, "the server stops")?;
                stopping = true;
                continue;
            }
        };
        match event.transpose()? {
            None => return Ok(None),
            Some(Event::Message(message)) if !stopping => {
                take(server, &mut websocket, message).await?;
            }
            Some(Event::Ping(_)) if limited && pings.are_too_many() => {
                let too_many = Instant::now();
                // Whether it answers or not, it goes.
                let _ = websocket.close(CloseCode::POLICY_VIOLATION, "too many pings").await;
                return Ok(Some(too_many));
            }
            Some(_) => {}
        }
    }
}

async fn take(
    server: &Server,
    websocket: &mut WebSocket<Watched<TcpStream>>,
    message: Message,
) -> Result<(), Error> {
    server.write_down(&message)?;
    websocket.feed(message).await?;
    server.accepted();
    Ok(())
}

async fn until(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is the same to a connection.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
