//! `fastwebsockets`, over a bare stream after the handshake: its own handshake goes through hyper,
//! whose stream costs more.

use std::io;

use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
use tokio::net::TcpStream;
use tokio::task::unconstrained;

use super::{Failure, serve_on_tokio, shake_hands};

pub(super) fn serve() -> io::Result<()> {
    serve_on_tokio(|stream| unconstrained(echo(stream)))
}

async fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    shake_hands(&mut stream).await?;
    let websocket = WebSocket::after_handshake(stream, Role::Server);
    let mut websocket = FragmentCollector::new(websocket);
    loop {
        let frame = websocket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => websocket.write_frame(frame).await?,
            _ => {}
        }
    }
}
