//! The peers over the tokio adapter.

use duologue_tokio::{
    Accept, ClientOptions, Error, Message, SendError, ServerOptions, WebSocket, accept_with,
    connect_with,
};
use tokio::net::{TcpListener, TcpStream};

use crate::options::Options;
use crate::{Suite, judge_case, parse_count};

fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

pub(crate) fn serve(addr: &str, options: Options) -> Result<(), Error> {
    block_on(async {
        let listener = TcpListener::bind(addr).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A case's error is in the suite's report.
            tokio::spawn(serve_one(stream, options));
        }
    })
}

async fn serve_one(stream: TcpStream, options: Options) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let server = ServerOptions::new().with_config(options.config());
    echo(accept_with(stream, &server, |_| Accept::new().into()).await?, options).await
}

pub(crate) fn connect(url: &str, options: Options) -> Result<(), Error> {
    block_on(echo_once(url, options))
}

async fn echo_once(url: &str, options: Options) -> Result<(), Error> {
    let client = ClientOptions::new(url)?.with_config(options.config());
    echo(connect_with(&client).await?, options).await
}

async fn echo(mut websocket: WebSocket<TcpStream>, options: Options) -> Result<(), Error> {
    while let Some(message) = websocket.next().await {
        match options.fragment_length() {
            None => websocket.feed(message?).await?,
            Some(length) => send_in_fragments(&mut websocket, &message?, length).await?,
        }
    }
    Ok(())
}

/// Sends a message in fragments, with a ping behind each.
async fn send_in_fragments(
    websocket: &mut WebSocket<TcpStream>,
    message: &Message,
    length: usize,
) -> Result<(), Error> {
    let mut writer = websocket.begin_message(message.message_type());
    for fragment in message.payload().chunks(length) {
        writer.write(fragment).await?;
        websocket.ping(b"between").await?;
        writer = websocket.resume_message().ok_or(SendError::Closing)?;
    }
    writer.finish().await
}

pub(crate) fn run_cases(url: &str, agent: &str, options: Options) -> Result<(), Error> {
    let suite = Suite { url, agent };
    block_on(async {
        let mut websocket = connect_with(&ClientOptions::new(&suite.case_count())?).await?;
        let count = websocket.next().await.transpose()?;
        let count = parse_count(count.as_ref().and_then(|count| count.as_text()))?;
        while websocket.next().await.transpose()?.is_some() {}
        for number in 1..=count {
            judge_case(number, echo_once(&suite.case(number), options).await)?;
        }
        let mut websocket = connect_with(&ClientOptions::new(&suite.report())?).await?;
        while websocket.next().await.transpose()?.is_some() {}
        Ok(())
    })
}
