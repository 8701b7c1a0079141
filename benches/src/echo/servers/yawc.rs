//! `yawc`, over a bare stream after the handshake: its own handshake goes through hyper, whose
//! stream costs more.

use std::io;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::TcpStream;
use yawc::{Frame, OpCode, Options, Role, WebSocket};

use super::{Failure, serve_on_tokio, shake_hands};

/// As in its own benchmark.
const BATCH: usize = 32;

pub(super) fn serve() -> io::Result<()> {
    serve_on_tokio(echo)
}

pub(super) fn serve_batched() -> io::Result<()> {
    serve_on_tokio(echo_batched)
}

async fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    shake_hands(&mut stream).await?;
    let options = Options::default().with_utf8();
    let mut websocket = WebSocket::from_stream(stream, Role::Server, options)?;
    while let Some(frame) = websocket.next().await {
        if is_data(&frame) {
            websocket.send(frame).await?;
        }
    }
    Ok(())
}

async fn echo_batched(mut stream: TcpStream) -> Result<(), Failure> {
    shake_hands(&mut stream).await?;
    let options = Options::default()
        .with_utf8()
        .with_read_buffer_capacity(128 * 1024)
        .with_backpressure_boundary(64 * 1024);
    let mut websocket = WebSocket::from_stream(stream, Role::Server, options)?;
    while let Some(frame) = websocket.next().await {
        let mut next = Some(frame);
        let mut fed = 0;
        while let Some(frame) = next {
            if is_data(&frame) {
                websocket.feed(frame).await?;
            }
            fed += 1;
            if fed == BATCH {
                break;
            }
            next = websocket.next().now_or_never().flatten();
        }
        websocket.flush().await?;
    }
    Ok(())
}

fn is_data(frame: &Frame) -> bool {
    matches!(frame.opcode(), OpCode::Text | OpCode::Binary)
}
