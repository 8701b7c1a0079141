//! A peer under command over the blocking adapter.

use duologue_std::{CloseCode, Error, MessageType, Transport, WebSocket};

use crate::command::{Command, Reaction, react, tell_closed, tell_opened};

/// Does what it is told until the connection has ended.
pub(crate) fn obey<S: Transport>(mut websocket: WebSocket<S>) -> Result<(), Error> {
    tell_opened(websocket.subprotocol());
    let result = run(&mut websocket);
    tell_closed(&result, websocket.close_outcome());
    result
}

fn run<S: Transport>(websocket: &mut WebSocket<S>) -> Result<(), Error> {
    while let Some(event) = websocket.read_event()? {
        match react(event) {
            Reaction::Return(message) => websocket.send(message)?,
            Reaction::Obey(text) => match Command::parse(&text) {
                Ok(command) => perform(websocket, command)?,
                Err(error) => {
                    websocket.start_close(CloseCode::POLICY_VIOLATION, &error.to_string())?;
                }
            },
            Reaction::None => {}
        }
    }
    Ok(())
}

fn perform<S: Transport>(websocket: &mut WebSocket<S>, command: Command<'_>) -> Result<(), Error> {
    match command {
        Command::Text(payload) => websocket.send(payload),
        Command::Fragments(fragments) => {
            let mut writer = websocket.begin_message(MessageType::Text)?;
            for fragment in fragments {
                writer.write(fragment.as_bytes())?;
            }
            writer.finish()
        }
        Command::Ping(payload) => websocket.ping(payload.as_bytes()),
        Command::Pong(payload) => websocket.pong(payload.as_bytes()),
        Command::Close(code, reason) => websocket.start_close(code, reason),
        Command::CloseWithoutCode => websocket.start_close_without_code(),
    }
}
