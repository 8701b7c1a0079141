//! Servers that send each message that comes to all their connections. One task holds the sending
//! halves and sends to one after the other; each receiving half has a task of its own.

use std::io;

use bytes::Bytes;
use duologue_tokio::{Message, Prepared, WriteHalf};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Failure, serve_on_tokio, shake_hands};

/// A sending half.
trait Outlet: Send + 'static {
    /// A message as it is given to each outlet.
    type Message: Send + Sync;

    fn prepare(payload: Bytes) -> Self::Message;

    fn deliver(
        &mut self,
        message: &Self::Message,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

enum Command<O> {
    Join(O),
    Send(Bytes),
}

type Hub<O> = UnboundedSender<Command<O>>;

fn serve<O, F>(handle: impl Fn(TcpStream, Hub<O>) -> F) -> io::Result<()>
where
    O: Outlet,
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (hub, commands) = unbounded_channel();
    let mut commands = Some(commands);
    let commands = std::cell::RefCell::new(&mut commands);
    serve_on_tokio(|stream| {
        // With the first connection there is a runtime.
        if let Some(commands) = commands.borrow_mut().take() {
            tokio::spawn(run(commands));
        }
        handle(stream, hub.clone())
    })
}

async fn run<O: Outlet>(mut commands: UnboundedReceiver<Command<O>>) {
    let mut outlets = Vec::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Join(outlet) => outlets.push(outlet),
            Command::Send(payload) => {
                let message = O::prepare(payload);
                let mut index = 0;
                while index < outlets.len() {
                    match outlets[index].deliver(&message).await {
                        Ok(()) => index += 1,
                        Err(_) => drop(outlets.swap_remove(index)),
                    }
                }
            }
        }
    }
}

pub(super) fn duologue() -> io::Result<()> {
    serve(|stream, hub| async move {
        let (mut incoming, outgoing) = duologue_tokio::accept(stream).await?.split();
        hub.send(Command::Join(outgoing)).ok();
        while let Some(message) = incoming.next().await {
            hub.send(Command::Send(Bytes::copy_from_slice(message?.payload()))).ok();
        }
        Ok(())
    })
}

impl Outlet for WriteHalf<TcpStream> {
    type Message = Prepared;

    fn prepare(payload: Bytes) -> Prepared {
        Prepared::new(&Message::binary(payload))
    }

    async fn deliver(&mut self, message: &Prepared) -> Result<(), Failure> {
        Ok(self.send_prepared(message).await?)
    }
}

type Tungstenite = tokio_tungstenite::WebSocketStream<TcpStream>;

pub(super) fn tokio_tungstenite() -> io::Result<()> {
    serve(|stream, hub| async move {
        let (outgoing, mut incoming) = tokio_tungstenite::accept_async(stream).await?.split();
        hub.send(Command::Join(outgoing)).ok();
        while let Some(message) = incoming.next().await {
            hub.send(Command::Send(message?.into_data())).ok();
        }
        Ok(())
    })
}

impl Outlet for SplitSink<Tungstenite, tungstenite::Message> {
    type Message = Bytes;

    fn prepare(payload: Bytes) -> Bytes {
        payload
    }

    async fn deliver(&mut self, message: &Bytes) -> Result<(), Failure> {
        Ok(self.send(tungstenite::Message::Binary(message.clone())).await?)
    }
}

type TokioWebSockets = tokio_websockets::WebSocketStream<TcpStream>;

pub(super) fn tokio_websockets() -> io::Result<()> {
    serve(|stream, hub| async move {
        let (_, websocket) = tokio_websockets::ServerBuilder::new().accept(stream).await?;
        let (outgoing, mut incoming) = websocket.split();
        hub.send(Command::Join(outgoing)).ok();
        while let Some(message) = incoming.next().await {
            hub.send(Command::Send(message?.into_payload().into())).ok();
        }
        Ok(())
    })
}

impl Outlet for SplitSink<TokioWebSockets, tokio_websockets::Message> {
    type Message = tokio_websockets::Message;

    fn prepare(payload: Bytes) -> tokio_websockets::Message {
        tokio_websockets::Message::binary(payload)
    }

    async fn deliver(&mut self, message: &tokio_websockets::Message) -> Result<(), Failure> {
        Ok(self.send(message.clone()).await?)
    }
}

pub(super) fn yawc() -> io::Result<()> {
    serve(|mut stream, hub| async move {
        shake_hands(&mut stream).await?;
        let options = yawc::Options::default().with_utf8();
        let websocket = yawc::WebSocket::from_stream(stream, yawc::Role::Server, options)?;
        let (outgoing, mut incoming) = websocket.split();
        hub.send(Command::Join(outgoing)).ok();
        while let Some(frame) = incoming.next().await {
            hub.send(Command::Send(frame.into_payload())).ok();
        }
        Ok(())
    })
}

impl Outlet for SplitSink<yawc::WebSocket<TcpStream>, yawc::Frame> {
    type Message = Bytes;

    fn prepare(payload: Bytes) -> Bytes {
        payload
    }

    async fn deliver(&mut self, message: &Bytes) -> Result<(), Failure> {
        Ok(self.send(yawc::Frame::binary(message.clone())).await?)
    }
}

pub(super) fn sockudo_ws() -> io::Result<()> {
    serve(|stream, hub| async move {
        let (mut incoming, outgoing) = super::sockudo_ws::accept(stream).await?.split();
        hub.send(Command::Join(outgoing)).ok();
        while let Some(message) = incoming.next().await {
            if let sockudo_ws::Message::Binary(payload) = message? {
                hub.send(Command::Send(payload)).ok();
            }
        }
        Ok(())
    })
}

impl Outlet for sockudo_ws::SplitWriter<TcpStream> {
    type Message = Bytes;

    fn prepare(payload: Bytes) -> Bytes {
        payload
    }

    async fn deliver(&mut self, message: &Bytes) -> Result<(), Failure> {
        Ok(self.send(sockudo_ws::Message::Binary(message.clone())).await?)
    }
}
