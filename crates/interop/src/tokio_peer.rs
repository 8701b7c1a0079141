//! The peers over the tokio adapter.

use duologue_tokio::tls::{self, ServerStream, ServerTls};
use duologue_tokio::{
    ClientOptions, Error, Message, SendError, ServerOptions, WebSocket, accept_with, connect_with,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::options::Options;
use crate::tokio_obeying::obey;
use crate::{Suite, judge_case, parse_count};

pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

pub(crate) fn serve(addr: &str, options: &Options) -> Result<(), Error> {
    block_on(async {
        let tls = options.tls.server()?;
        let listener = TcpListener::bind(addr).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A case's error is in the suite's report.
            tokio::spawn(serve_one(stream, tls.clone(), options.clone()));
        }
    })
}

async fn serve_one(
    stream: TcpStream,
    tls: Option<ServerTls>,
    options: Options,
) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let server = ServerOptions::new().with_config(options.config());
    let stream = match &tls {
        None => ServerStream::from(stream),
        Some(tls) => tls::accept(stream, tls, &server).await?,
    };
    let websocket = accept_with(stream, &server, |request| options.decide(request)).await?;
    echo(websocket, &options).await
}

pub(crate) fn connect(url: &str, options: &Options) -> Result<(), Error> {
    block_on(echo_once(url, options))
}

async fn echo_once(url: &str, options: &Options) -> Result<(), Error> {
    echo(connect_with(&options.client(url)?).await?, options).await
}

async fn echo<S>(mut websocket: WebSocket<S>, options: &Options) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if options.commands() {
        return obey(websocket).await;
    }
    while let Some(message) = websocket.next().await {
        match options.fragment_length() {
            None => websocket.feed(message?).await?,
            Some(length) => send_in_fragments(&mut websocket, &message?, length).await?,
        }
    }
    Ok(())
}

/// Sends a message in fragments, with a ping behind each.
async fn send_in_fragments<S>(
    websocket: &mut WebSocket<S>,
    message: &Message,
    length: usize,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut writer = websocket.begin_message(message.message_type());
    for fragment in message.payload().chunks(length) {
        writer.write(fragment).await?;
        websocket.ping(b"between").await?;
        writer = websocket.resume_message().ok_or(SendError::Closing)?;
    }
    writer.finish().await
}

pub(crate) fn run_cases(url: &str, agent: &str, options: &Options) -> Result<(), Error> {
    let suite = Suite { url, agent };
    block_on(async {
        let mut websocket =
            connect_with(&options.tls.client(ClientOptions::new(&suite.case_count())?)?).await?;
        let count = websocket.next().await.transpose()?;
        let count = parse_count(count.as_ref().and_then(|count| count.as_text()))?;
        while websocket.next().await.transpose()?.is_some() {}
        for number in 1..=count {
            judge_case(number, echo_once(&suite.case(number), options).await)?;
        }
        let mut websocket =
            connect_with(&options.tls.client(ClientOptions::new(&suite.report())?)?).await?;
        while websocket.next().await.transpose()?.is_some() {}
        Ok(())
    })
}
