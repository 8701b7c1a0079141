//! `duologue connect`: a client for the terminal, and for pipes.

use std::future::pending;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use duologue_tokio::{
    ClientOptions, CloseCode, Config, Error, Event, Keepalive, Message, ReadHalf, WriteHalf,
    connect_with,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::terminal::{HELP, Input, Output, Reading, parse_code, parse_reason, read_lines};
use crate::{NOT_CLEAN, NOT_CONNECTED};

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where to connect: `ws://HOST[:PORT]/PATH`
    url: String,
    /// A further header field, as "Name: value"; may be given several times.
    #[arg(short = 'H', long, value_name = "FIELD", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// A subprotocol to offer; may be given several times, the preferred one first.
    #[arg(short, long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// The Origin to claim.
    #[arg(short, long)]
    origin: Option<String>,
    /// Send a ping after this many seconds of silence; the connection fails if nothing comes back
    /// for as long. 0 sends none.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    ping_interval: u64,
    /// The code, and perhaps the reason, to close with at the end of the input.
    #[arg(long, num_args = 1..=2, value_names = ["CODE", "REASON"])]
    close: Vec<String>,
    /// Send this text first; may be given several times. Without -i, the input is not read then.
    #[arg(short = 'x', long, value_name = "TEXT")]
    execute: Vec<String>,
    /// Send this file first, as a binary message; may be given several times. Without -i, the input
    /// is not read then.
    #[arg(long, value_name = "FILE")]
    send_file: Vec<PathBuf>,
    /// Read the input although -x or --send-file is given.
    #[arg(short, long)]
    interactive: bool,
    /// Each line of input is a binary message in hexadecimal digits.
    #[arg(long)]
    hex: bool,
    /// Write binary messages to files in this directory, and print their names.
    #[arg(long, value_name = "DIR")]
    save_binary: Option<PathBuf>,
    /// Take lines that begin with / as commands (/help lists them); so it is in a terminal.
    #[arg(long)]
    slash: bool,
    /// Go on receiving for this many seconds after the end of the input before closing.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 0.0)]
    wait: f64,
    /// The largest message accepted, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT.max_message_length)]
    max_message: u64,
    /// Tell nothing but messages and failures.
    #[arg(short, long)]
    quiet: bool,
}

fn parse_header(field: &str) -> Result<(String, String), String> {
    match field.split_once(':') {
        Some((name, value)) => Ok((name.trim().into(), value.trim().into())),
        None => Err("a header field is given as \"Name: value\"".into()),
    }
}

/// Connects, and carries lines and messages until the end.
pub(crate) async fn run(options: Options) -> ExitCode {
    let mut output = Output::new(options.quiet, options.save_binary.clone());
    let (client, closing, first) = match prepare(&options) {
        Ok(prepared) => prepared,
        Err(why) => {
            output.failure(&why);
            return ExitCode::from(NOT_CONNECTED);
        }
    };
    let websocket = match connect_with(&client).await {
        Ok(websocket) => websocket,
        Err(error) => {
            output.failure(&why_not_connected(&options.url, &error));
            return ExitCode::from(NOT_CONNECTED);
        }
    };
    output.note(&match websocket.subprotocol() {
        Some(name) => format!("connected to {} ({name})", options.url),
        None => format!("connected to {}", options.url),
    });
    let commands = options.slash || io::stdin().is_terminal();
    if commands && io::stdin().is_terminal() {
        output.note(&format!("{HELP}\nCtrl-D ends"));
    }
    let (mut incoming, outgoing) = websocket.split();
    let (mistakes, told) = mpsc::channel(16);
    let sender = Sender {
        outgoing,
        closing,
        reading: Reading { hex: options.hex, commands },
        read_input: options.interactive || first.is_empty(),
        wait: Duration::from_secs_f64(options.wait.clamp(0.0, 1e9)),
        mistakes,
    };
    let result = carry(&mut incoming, sender.run(first), told, &mut output).await;
    conclude(&incoming, result, &output)
}

type Closing = (CloseCode, String);

/// What the arguments amount to, or what is wrong with them.
fn prepare(options: &Options) -> Result<(ClientOptions, Closing, Vec<Message>), String> {
    let mut client = ClientOptions::new(&options.url).map_err(|e| e.to_string())?;
    for (name, value) in &options.header {
        client = client.field(name, value);
    }
    for name in &options.subprotocol {
        client = client.subprotocol(name);
    }
    if let Some(origin) = &options.origin {
        client = client.origin(origin);
    }
    let interval = Duration::from_secs(options.ping_interval);
    let config = Config {
        max_message_length: options.max_message,
        max_frame_length: options.max_message,
        keepalive: (options.ping_interval > 0).then_some(Keepalive { interval, timeout: interval }),
        ..Config::DEFAULT
    };
    let code = options.close.first().map_or(Ok(CloseCode::NORMAL), |code| parse_code(code))?;
    let reason = options.close.get(1).map_or(Ok(String::new()), |reason| parse_reason(reason))?;
    let mut first: Vec<Message> = options.execute.iter().map(|text| text.as_str().into()).collect();
    for path in &options.send_file {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        first.push(bytes.into());
    }
    Ok((client.with_config(config), (code, reason), first))
}

/// The sending side: what comes first, then the input, then Close.
struct Sender {
    outgoing: WriteHalf<TcpStream>,
    closing: Closing,
    reading: Reading,
    read_input: bool,
    wait: Duration,
    mistakes: mpsc::Sender<String>,
}

impl Sender {
    async fn run(mut self, first: Vec<Message>) -> Result<(), Error> {
        for message in first {
            self.outgoing.send(message).await?;
        }
        if self.read_input && self.send_input().await? {
            return Ok(());
        }
        tokio::time::sleep(self.wait).await;
        // What the peer sends before it answers the Close is still received.
        let (code, reason) = &self.closing;
        self.outgoing.close(*code, reason).await
    }

    /// Sends what the input says; whether it said to close.
    async fn send_input(&mut self) -> Result<bool, Error> {
        let mut lines = read_lines();
        while let Some(line) = lines.recv().await {
            match self.reading.parse(&line?) {
                Input::Send(message) => self.outgoing.send(message).await?,
                Input::Ping(payload) => self.outgoing.ping(payload.as_bytes()).await?,
                Input::Close(code, reason) => {
                    let code = code.unwrap_or(self.closing.0);
                    self.outgoing.close(code, &reason).await?;
                    return Ok(true);
                }
                Input::Mistake(why) => {
                    let _ = self.mistakes.send(why).await;
                }
            }
        }
        Ok(false)
    }
}

/// Receives until the end of the connection, and sends at the same time.
async fn carry(
    incoming: &mut ReadHalf<TcpStream>,
    sending: impl Future<Output = Result<(), Error>>,
    mut mistakes: mpsc::Receiver<String>,
    output: &mut Output,
) -> Result<(), Error> {
    tokio::pin!(sending);
    let mut sent = None;
    loop {
        tokio::select! {
            event = incoming.next_event() => match event {
                Some(Ok(Event::Message(message))) => output.message(&message)?,
                Some(Ok(Event::Ping(payload))) => output.note(&note("ping", &payload)),
                Some(Ok(Event::Pong(payload))) => output.note(&note("pong", &payload)),
                Some(Err(error)) => return Err(error),
                None => return sent.unwrap_or(Ok(())),
            },
            result = async { if sent.is_none() { (&mut sending).await } else { pending().await } } => {
                // That the peer closes while we send is no failure; the receiving side tells.
                sent = Some(match result {
                    Err(Error::Send(_)) => Ok(()),
                    result => result,
                });
            }
            Some(mistake) = mistakes.recv() => output.note(&mistake),
        }
    }
}

fn note(what: &str, payload: &[u8]) -> String {
    match payload {
        [] => format!("({what})"),
        payload => format!("({what} {})", String::from_utf8_lossy(payload).escape_debug()),
    }
}

fn conclude(
    incoming: &ReadHalf<TcpStream>,
    result: Result<(), Error>,
    output: &Output,
) -> ExitCode {
    if let Err(error) = result {
        output.failure(&error.to_string());
        return ExitCode::from(NOT_CLEAN);
    }
    match incoming.close_outcome() {
        Some((status, reason, true)) => {
            let reason = if reason.is_empty() { String::new() } else { format!(" {reason}") };
            output.note(&format!("closed: {status}{reason}"));
            ExitCode::SUCCESS
        }
        Some((status, ..)) => {
            output.failure(&format!("the server did not close cleanly ({status})"));
            ExitCode::from(NOT_CLEAN)
        }
        None => ExitCode::from(NOT_CLEAN),
    }
}

fn why_not_connected(url: &str, error: &Error) -> String {
    match error {
        Error::Io(io) if io.kind() == io::ErrorKind::ConnectionRefused => {
            format!("cannot connect to {url}: the connection was refused; is the server running?")
        }
        Error::Opening(failure) => {
            let body = failure.response.as_ref().map_or("".into(), |response| {
                String::from_utf8_lossy(&response.body).trim().to_owned()
            });
            let first_line = body.lines().next().unwrap_or_default();
            let location = failure.response.as_ref().and_then(|response| {
                response.field("location").map(|to| String::from_utf8_lossy(to).into_owned())
            });
            let mut text = format!("cannot connect to {url}: {error}");
            if let Some(location) = location {
                text = format!("{text}; it points to {location}");
            }
            if !first_line.is_empty() {
                text = format!("{text}: {}", first_line.chars().take(200).collect::<String>());
            }
            text
        }
        error => format!("cannot connect to {url}: {error}"),
    }
}
