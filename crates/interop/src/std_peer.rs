//! The peers over the blocking adapter.

use std::net::{TcpListener, TcpStream};
use std::thread;

use duologue_std::{
    Accept, ClientOptions, Error, Message, SendError, ServerOptions, WebSocket, accept_with,
    connect_with,
};

use crate::options::Options;
use crate::{Suite, judge_case, parse_count};

pub(crate) fn serve(addr: &str, options: Options) -> Result<(), Error> {
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        // A case's error is in the suite's report.
        thread::spawn(move || serve_one(stream, options));
    }
}

fn serve_one(stream: TcpStream, options: Options) -> Result<(), Error> {
    let server = ServerOptions::new().with_config(options.config());
    echo(accept_with(stream, &server, |_| Accept::new().into())?, options)
}

pub(crate) fn connect(url: &str, options: Options) -> Result<(), Error> {
    let client = ClientOptions::new(url)?.with_config(options.config());
    echo(connect_with(&client)?, options)
}

fn echo(mut websocket: WebSocket<TcpStream>, options: Options) -> Result<(), Error> {
    while let Some(message) = websocket.read()? {
        match options.fragment_length() {
            None => websocket.feed(message)?,
            Some(length) => send_in_fragments(&mut websocket, &message, length)?,
        }
    }
    Ok(())
}

/// Sends a message in fragments, with a ping behind each.
fn send_in_fragments(
    websocket: &mut WebSocket<TcpStream>,
    message: &Message,
    length: usize,
) -> Result<(), Error> {
    let mut writer = websocket.begin_message(message.message_type())?;
    for fragment in message.payload().chunks(length) {
        writer.write(fragment)?;
        websocket.ping(b"between")?;
        writer = websocket.resume_message().ok_or(SendError::Closing)?;
    }
    writer.finish()
}

pub(crate) fn run_cases(url: &str, agent: &str, options: Options) -> Result<(), Error> {
    let suite = Suite { url, agent };
    let mut websocket = connect_with(&ClientOptions::new(&suite.case_count())?)?;
    let count = websocket.read()?;
    let count = parse_count(count.as_ref().and_then(|count| count.as_text()))?;
    while websocket.read()?.is_some() {}
    for number in 1..=count {
        judge_case(number, connect(&suite.case(number), options))?;
    }
    let mut websocket = connect_with(&ClientOptions::new(&suite.report())?)?;
    while websocket.read()?.is_some() {}
    Ok(())
}
