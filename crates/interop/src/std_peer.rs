//! The peers over the blocking adapter.

use std::net::{TcpListener, TcpStream};
use std::thread;

use duologue_std::tls::{self, ServerStream, ServerTls};
use duologue_std::{
    ClientOptions, Error, Message, SendError, ServerOptions, Transport, WebSocket, accept_with,
    connect_with,
};

use crate::options::Options;
use crate::std_obeying::obey;
use crate::{Suite, judge_case, parse_count};

pub(crate) fn serve(addr: &str, options: &Options) -> Result<(), Error> {
    let tls = options.tls.server()?;
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        let (options, tls) = (options.clone(), tls.clone());
        // A case's error is in the suite's report.
        thread::spawn(move || serve_one(stream, tls.as_ref(), &options));
    }
}

fn serve_one(stream: TcpStream, tls: Option<&ServerTls>, options: &Options) -> Result<(), Error> {
    let server = ServerOptions::new().with_config(options.config());
    let stream = match tls {
        None => ServerStream::from(stream),
        Some(tls) => tls::accept(stream, tls, &server)?,
    };
    echo(accept_with(stream, &server, |request| options.decide(request))?, options)
}

pub(crate) fn connect(url: &str, options: &Options) -> Result<(), Error> {
    echo(connect_with(&options.client(url)?)?, options)
}

fn echo<S: Transport>(mut websocket: WebSocket<S>, options: &Options) -> Result<(), Error> {
    if options.commands() {
        return obey(websocket);
    }
    while let Some(message) = websocket.read()? {
        match options.fragment_length() {
            None => websocket.feed(message)?,
            Some(length) => send_in_fragments(&mut websocket, &message, length)?,
        }
    }
    Ok(())
}

/// Sends a message in fragments, with a ping behind each.
fn send_in_fragments<S: Transport>(
    websocket: &mut WebSocket<S>,
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

pub(crate) fn run_cases(url: &str, agent: &str, options: &Options) -> Result<(), Error> {
    let suite = Suite { url, agent };
    let mut websocket =
        connect_with(&options.tls.client(ClientOptions::new(&suite.case_count())?)?)?;
    let count = websocket.read()?;
    let count = parse_count(count.as_ref().and_then(|count| count.as_text()))?;
    while websocket.read()?.is_some() {}
    for number in 1..=count {
        judge_case(number, connect(&suite.case(number), options))?;
    }
    let mut websocket = connect_with(&options.tls.client(ClientOptions::new(&suite.report())?)?)?;
    while websocket.read()?.is_some() {}
    Ok(())
}
