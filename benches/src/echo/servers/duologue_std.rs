//! `duologue-std`: a thread a connection.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use duologue_std::{Error, accept};

use super::announce;

pub(super) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        thread::Builder::new().spawn(move || echo(stream))?;
    }
}

fn echo(stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut websocket = accept(stream)?;
    while let Some(message) = websocket.read()? {
        websocket.feed(message)?;
    }
    Ok(())
}
