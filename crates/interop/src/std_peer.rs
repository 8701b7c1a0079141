//! The peers over the blocking adapter.

use std::net::{TcpListener, TcpStream};
use std::thread;

use duologue_std::{
    Accept, ClientOptions, Error, ServerOptions, WebSocket, accept_with, connect_with,
};

use crate::{Suite, config, judge_case, parse_count};

pub(crate) fn serve(addr: &str) -> Result<(), Error> {
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        // A case's error is in the suite's report.
        thread::spawn(move || serve_one(stream));
    }
}

fn serve_one(stream: TcpStream) -> Result<(), Error> {
    let options = ServerOptions::new().with_config(config());
    echo(accept_with(stream, &options, |_| Accept::new().into())?)
}

fn echo(mut websocket: WebSocket<TcpStream>) -> Result<(), Error> {
    while let Some(message) = websocket.read()? {
        websocket.feed(message)?;
    }
    Ok(())
}

pub(crate) fn run_cases(url: &str, agent: &str) -> Result<(), Error> {
    let suite = Suite { url, agent };
    let mut websocket = connect_with(&ClientOptions::new(&suite.case_count())?)?;
    let count = websocket.read()?;
    let count = parse_count(count.as_ref().and_then(|count| count.as_text()))?;
    while websocket.read()?.is_some() {}
    for number in 1..=count {
        judge_case(number, run_case(&suite.case(number)))?;
    }
    let mut websocket = connect_with(&ClientOptions::new(&suite.report())?)?;
    while websocket.read()?.is_some() {}
    Ok(())
}

fn run_case(url: &str) -> Result<(), Error> {
    echo(connect_with(&ClientOptions::new(url)?.with_config(config()))?)
}
