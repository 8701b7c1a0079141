//! `duologue-tokio`: the loop of its documentation.

use std::io;

use duologue_tokio::accept;
use tokio::net::TcpStream;

use super::{Failure, serve_on_tokio};

pub(super) fn serve() -> io::Result<()> {
    serve_on_tokio(echo)
}

async fn echo(stream: TcpStream) -> Result<(), Failure> {
    let mut websocket = accept(stream).await?;
    while let Some(message) = websocket.next().await {
        websocket.feed(message?).await?;
    }
    Ok(())
}
