//! `sockudo-ws`.

use std::io;

use futures_util::{SinkExt, StreamExt};
use sockudo_ws::handshake::server_handshake;
use sockudo_ws::{Config, Message, Role, WebSocketStream};
use tokio::net::TcpStream;

use super::{Failure, serve_on_tokio};

pub(super) fn serve() -> io::Result<()> {
    serve_on_tokio(echo)
}

pub(super) fn serve_batched() -> io::Result<()> {
    serve_on_tokio(echo_batched)
}

pub(super) async fn accept(mut stream: TcpStream) -> Result<WebSocketStream<TcpStream>, Failure> {
    let leftover = server_handshake(&mut stream).await?.leftover;
    let config = Config::default();
    Ok(WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, leftover))
}

async fn echo(stream: TcpStream) -> Result<(), Failure> {
    let mut websocket = accept(stream).await?;
    while let Some(message) = websocket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => websocket.send(message).await?,
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
    Ok(())
}

async fn echo_batched(stream: TcpStream) -> Result<(), Failure> {
    let mut websocket = accept(stream).await?;
    while let Some(message) = websocket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => websocket.feed(message).await?,
            Message::Close(_) => break,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
    Ok(())
}
