//! A peer under command over the tokio adapter.

use duologue_tokio::{CloseCode, Error, MessageType, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::command::{Command, Reaction, react, tell_closed, tell_opened};

/// Does what it is told until the connection has ended.
pub(crate) async fn obey<S>(mut websocket: WebSocket<S>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tell_opened(websocket.subprotocol());
    let result = run(&mut websocket).await;
    tell_closed(&result, websocket.close_outcome());
    result
}

async fn run<S>(websocket: &mut WebSocket<S>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(event) = websocket.next_event().await {
        match react(event?) {
            Reaction::Return(message) => websocket.send(message).await?,
            Reaction::Obey(text) => match Command::parse(&text) {
                Ok(command) => perform(websocket, command).await?,
                Err(error) => {
                    websocket.start_close(CloseCode::POLICY_VIOLATION, &error.to_string())?;
                }
            },
            Reaction::None => {}
        }
    }
    Ok(())
}

async fn perform<S>(websocket: &mut WebSocket<S>, command: Command<'_>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match command {
        Command::Text(payload) => websocket.send(payload).await,
        Command::Fragments(fragments) => {
            let mut writer = websocket.begin_message(MessageType::Text);
            for fragment in fragments {
                writer.write(fragment.as_bytes()).await?;
            }
            writer.finish().await
        }
        Command::Ping(payload) => websocket.ping(payload.as_bytes()).await,
        Command::Pong(payload) => websocket.pong(payload.as_bytes()).await,
        Command::Close(code, reason) => websocket.start_close(code, reason),
        Command::CloseWithoutCode => {
            websocket.start_close_without_code();
            Ok(())
        }
    }
}
