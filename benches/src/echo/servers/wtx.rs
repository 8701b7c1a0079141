//! `wtx`.

use std::io;

use tokio::net::TcpStream;
use wtx::collection::Vector;
use wtx::web_socket::{OpCode, WebSocketAcceptor, WebSocketPayloadOrigin};

use super::{Failure, serve_on_tokio};

pub(super) fn serve() -> io::Result<()> {
    serve_on_tokio(echo)
}

async fn echo(stream: TcpStream) -> Result<(), Failure> {
    let mut websocket = WebSocketAcceptor::default().accept(stream).await?;
    let mut buffer = Vector::new();
    let (mut common, mut reader, mut writer) = websocket.split_mut();
    loop {
        buffer.clear();
        let origin = WebSocketPayloadOrigin::Adaptive;
        let mut frame = reader.read_frame(&mut buffer, &mut common, origin).await?;
        match frame.op_code() {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => writer.write_frame(&mut common, &mut frame).await?,
            _ => {}
        }
    }
}
