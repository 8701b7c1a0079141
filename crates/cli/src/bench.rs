//! `duologue bench`: a load on an echo server, and how long it takes to answer.

mod connection;
mod summary;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use duologue_tokio::{ClientOptions, ClientStream, Config, Error, WebSocket, connect_with};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::compression::Compression;
use crate::connect::why_not_connected;
use crate::signals::Signals;
use crate::tls::ClientFiles;
use crate::{EXIT_STATUS, NOT_CLEAN, NOT_CONNECTED, WRONG_USE, tell_failure};
use connection::{Driver, Plan};
use summary::{Summary, Tally, number};

/// So many connections are opened at the same time.
const OPENING: usize = 64;

/// How long the connections have to close at the end: the closing timeout, and a moment.
const GRACE: Duration = Config::DEFAULT.closing_timeout.saturating_add(Duration::from_secs(1));

#[derive(Args, Clone, Debug)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Options {
    /// The echo server: `ws://HOST[:PORT]/PATH`, or wss://; the scheme may be left out.
    url: String,
    /// How many connections there are.
    #[arg(short, long, value_name = "NUMBER", default_value = "10", value_parser = parse_count)]
    connections: usize,
    /// The length of each message, in bytes.
    #[arg(short, long, value_name = "BYTES", default_value_t = 125)]
    size: usize,
    /// How many messages may be on their way on each connection: sent, and their echo not there.
    #[arg(short, long, value_name = "NUMBER", default_value = "1", value_parser = parse_count)]
    in_flight: usize,
    /// How long to go on, in seconds.
    #[arg(short, long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    duration: Duration,
    /// Send so many messages a second, over all connections, as long as no more than the allowed
    /// number are on their way; the latency of one that had to wait for that counts from when it
    /// was due. Without it, a message is sent as soon as it may.
    #[arg(short, long, value_name = "MESSAGES", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Send text.
    #[arg(long, conflicts_with = "binary")]
    text: bool,
    /// Send binary messages; so it is without --text.
    #[arg(long)]
    binary: bool,
    #[command(flatten)]
    compression: Compression,
    #[command(flatten)]
    tls: ClientFiles,
}

fn parse_count(count: &str) -> Result<usize, String> {
    match count.parse() {
        Ok(count) if (1..=1_000_000).contains(&count) => Ok(count),
        _ => Err("a number from 1 to 1000000 is needed".into()),
    }
}

fn parse_seconds(seconds: &str) -> Result<Duration, String> {
    match seconds.parse() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e6 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds above 0, up to 1e6, is needed".into()),
    }
}

fn parse_rate(rate: &str) -> Result<f64, String> {
    match rate.parse() {
        Ok(rate) if (1e-3..=1e9).contains(&rate) => Ok(rate),
        _ => Err("a number of messages a second from 0.001 to 1e9 is needed".into()),
    }
}

/// Opens the connections, keeps up the load, and tells what came of it.
pub(crate) async fn run(options: Options) -> ExitCode {
    let url = match options.url.as_str() {
        url if url.contains("://") => url.into(),
        url => format!("ws://{url}"),
    };
    let client = match ClientOptions::new(&url) {
        Ok(client) => client.with_config(config(&options)),
        Err(error) => {
            tell_failure(&format!("{url}: {error}"));
            return ExitCode::from(WRONG_USE);
        }
    };
    let client = match options.tls.apply(client) {
        Ok(client) => client,
        Err(why) => {
            tell_failure(&why);
            return ExitCode::from(WRONG_USE);
        }
    };
    let websockets = match open(&client, options.connections).await {
        Ok(websockets) => websockets,
        Err((opened, error)) => {
            let opened = if opened == 0 { String::new() } else { format!(" ({opened} are open)") };
            tell_failure(&format!(
                "cannot connect to {url}: {}{opened}",
                why_not_connected(&error)
            ));
            let wrong_use = matches!(error, Error::InvalidRequest(_));
            return ExitCode::from(if wrong_use { WRONG_USE } else { NOT_CONNECTED });
        }
    };
    note(&format!("{} to {url}", count(options.connections, "connection")));
    let (summary, failure) = load(&options, websockets).await;
    let told = writeln!(io::stdout(), "{summary}");
    if let Some(failure) = failure {
        tell_failure(&failure);
        return ExitCode::from(NOT_CLEAN);
    }
    if told.is_err() { ExitCode::from(WRONG_USE) } else { ExitCode::SUCCESS }
}

/// What is in flight may be queued, so that sending never waits while nothing is received.
fn config(options: &Options) -> Config {
    let length = u64::try_from(options.size).unwrap_or(u64::MAX);
    let default = options.compression.apply(Config::DEFAULT);
    Config {
        max_message_length: length.max(default.max_message_length),
        max_frame_length: length.max(default.max_frame_length),
        write_high_water: (options.size.saturating_add(14))
            .saturating_mul(options.in_flight)
            .max(default.write_high_water),
        ..default
    }
}

/// Opens `count` connections; else how many there were, and why there are no more.
async fn open(
    client: &ClientOptions,
    count: usize,
) -> Result<Vec<WebSocket<ClientStream>>, (usize, Error)> {
    let client = Arc::new(client.clone());
    let mut opening = JoinSet::new();
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        while opening.len() < OPENING && open.len() + opening.len() < count {
            let client = Arc::clone(&client);
            opening.spawn(async move { connect_with(&client).await });
        }
        match opening.join_next().await {
            Some(Ok(Ok(websocket))) => open.push(websocket),
            Some(Ok(Err(error))) => return Err((open.len(), error)),
            Some(Err(error)) => return Err((open.len(), Error::Io(error.into()))),
            None => break,
        }
    }
    Ok(open)
}

/// Keeps up the load on all connections; what was measured, and the first failure.
async fn load(
    options: &Options,
    websockets: Vec<WebSocket<ClientStream>>,
) -> (Summary, Option<String>) {
    let mut signals = Signals::new().ok();
    let tally = Arc::new(Tally::default());
    let start = Instant::now();
    let end = start + options.duration;
    let connections = websockets.len();
    let plan = Arc::new(Plan::new(options.size, options.text, options.in_flight));
    let interval = options.rate.map(|rate| Duration::from_secs_f64(connections as f64 / rate));
    let mut lanes = JoinSet::new();
    for (index, websocket) in websockets.into_iter().enumerate() {
        // The connections take turns.
        let offset = interval.map(|interval| interval.mul_f64(index as f64 / connections as f64));
        let driver = Driver {
            websocket,
            plan: Arc::clone(&plan),
            tally: Arc::clone(&tally),
            shard: index,
            schedule: interval.zip(offset.map(|offset| start + offset)),
        };
        lanes.spawn(driver.run(end));
    }
    let mut progress = interval_at(start + Duration::from_secs(1), Duration::from_secs(1));
    progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = (start, 0);
    let mut failure = None;
    let mut measured_until = None;
    loop {
        tokio::select! {
            lane = lanes.join_next() => match lane {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(why))) => {
                    failure.get_or_insert(why);
                }
                Some(Err(error)) => {
                    failure.get_or_insert_with(|| error.to_string());
                }
            },
            now = progress.tick() => {
                if now < end {
                    let messages = tally.messages();
                    note(&line(options, now - start, messages - told.1, now - told.0));
                    told = (now, messages);
                }
            }
            () = crate::connect::signal(&mut signals) => {
                measured_until = Some(Instant::now().min(end));
                break;
            }
            () = tokio::time::sleep_until(end + GRACE) => {
                failure.get_or_insert_with(|| "the server does not let go of connections".into());
                break;
            }
        }
        // The others go on to the end.
        if lanes.is_empty() {
            break;
        }
    }
    let elapsed = measured_until.unwrap_or(end.min(Instant::now())) - start;
    let latency = tally.latency();
    if failure.is_none() && latency.is_empty() {
        failure = Some("no message came back: is it an echo server?".into());
    }
    let load = format!(
        "{}, {} B {}, {} in flight each",
        count(connections, "connection"),
        options.size,
        if options.text { "text" } else { "binary" },
        options.in_flight,
    );
    (Summary { load, elapsed, size: options.size, latency }, failure)
}

/// The progress of the last moments.
fn line(options: &Options, since_start: Duration, messages: u64, elapsed: Duration) -> String {
    let rate = messages as f64 / elapsed.as_secs_f64();
    format!(
        "{:4.0} s {:>12} messages/s {:>10.1} MB/s",
        since_start.as_secs_f64(),
        number(rate),
        rate * options.size as f64 / 1e6,
    )
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Tells the person something. That nobody can be told is no failure.
fn note(note: &str) {
    let _ = writeln!(io::stderr(), "{note}");
}
