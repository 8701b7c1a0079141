//! The peers over the tokio adapter.

use duologue_tokio::{Accept, ClientOptions, Error, ServerOptions, accept_with, connect_with};
use tokio::net::{TcpListener, TcpStream};

use crate::{Suite, config, judge_case, parse_count};

fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

pub(crate) fn serve(addr: &str) -> Result<(), Error> {
    block_on(async {
        let listener = TcpListener::bind(addr).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A case's error is in the suite's report.
            tokio::spawn(echo(stream));
        }
    })
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let options = ServerOptions::new().with_config(config());
    let mut websocket = accept_with(stream, &options, |_| Accept::new().into()).await?;
    while let Some(message) = websocket.next().await {
        websocket.feed(message?).await?;
    }
    Ok(())
}

pub(crate) fn run_cases(url: &str, agent: &str) -> Result<(), Error> {
    let suite = Suite { url, agent };
    block_on(async {
        let mut websocket = connect_with(&ClientOptions::new(&suite.case_count())?).await?;
        let count = websocket.next().await.transpose()?;
        let count = parse_count(count.as_ref().and_then(|count| count.as_text()))?;
        while websocket.next().await.transpose()?.is_some() {}
        for number in 1..=count {
            judge_case(number, run_case(&suite.case(number)).await)?;
        }
        let mut websocket = connect_with(&ClientOptions::new(&suite.report())?).await?;
        while websocket.next().await.transpose()?.is_some() {}
        Ok(())
    })
}

async fn run_case(url: &str) -> Result<(), Error> {
    let options = ClientOptions::new(url)?.with_config(config());
    let mut websocket = connect_with(&options).await?;
    while let Some(message) = websocket.next().await {
        websocket.feed(message?).await?;
    }
    Ok(())
}
