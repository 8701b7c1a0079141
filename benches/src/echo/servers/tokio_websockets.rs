//! `tokio-websockets`.

use std::io;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio_websockets::{Config, Message, ServerBuilder};

use super::in_batches::echo_in_batches;
use super::{Failure, serve_on_tokio};

pub(super) fn serve() -> io::Result<()> {
    serve_on_tokio(|stream| unconstrained(echo(stream)))
}

pub(super) fn serve_batched() -> io::Result<()> {
    serve_on_tokio(|stream| unconstrained(echo_batched(stream)))
}

async fn echo(stream: TcpStream) -> Result<(), Failure> {
    let (_request, mut websocket) = ServerBuilder::new().accept(stream).await?;
    while let Some(message) = websocket.next().await {
        let message = message?;
        if is_data(&message) {
            websocket.send(message).await?;
        }
    }
    Ok(())
}

async fn echo_batched(stream: TcpStream) -> Result<(), Failure> {
    let config = Config::default().flush_threshold(64 * 1024);
    let (_request, mut websocket) = ServerBuilder::new().config(config).accept(stream).await?;
    Ok(echo_in_batches(&mut websocket, usize::MAX, is_data).await?)
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
