//! `tokio-tungstenite`.

use std::io;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::in_batches::echo_in_batches;
use super::{Failure, serve_on_tokio};

pub(super) fn serve() -> io::Result<()> {
    serve_on_tokio(echo)
}

pub(super) fn serve_batched() -> io::Result<()> {
    serve_on_tokio(echo_batched)
}

async fn echo(stream: TcpStream) -> Result<(), Failure> {
    let mut websocket = accept_async(stream).await?;
    while let Some(message) = websocket.next().await {
        let message = message?;
        if is_data(&message) {
            websocket.send(message).await?;
        }
    }
    Ok(())
}

async fn echo_batched(stream: TcpStream) -> Result<(), Failure> {
    let mut websocket = accept_async(stream).await?;
    Ok(echo_in_batches(&mut websocket, usize::MAX, is_data).await?)
}

fn is_data(message: &Message) -> bool {
    message.is_text() || message.is_binary()
}
