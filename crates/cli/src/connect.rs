//! `duologue connect`: a client for the terminal, and for pipes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::future::pending;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use duologue_tokio::{
    ClientOptions, ClientStream, CloseCode, CloseStatus, Config, Error, Event, Keepalive, Message,
    ReadHalf, TlsError, WriteHalf, connect_with,
};
use tokio::sync::{mpsc, oneshot};

use crate::compression::Compression;
use crate::signals::Signals;
use crate::terminal::{HELP, Input, Output, Reading, parse_code, parse_reason, read_lines};
use crate::tls::ClientFiles;
use crate::{EXIT_STATUS, NOT_CLEAN, NOT_CONNECTED, WRONG_USE};

#[derive(Args, Clone, Debug)]
#[command(override_usage = "duologue connect [OPTIONS] <URL>", after_help = EXIT_STATUS)]
pub(crate) struct Options {
    /// Where to connect: `ws://HOST[:PORT]/PATH`, or wss://; the scheme may be left out.
    #[arg(required_unless_present = "close")]
    url: Option<String>,
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
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = parse_seconds)]
    ping_interval: Duration,
    /// Tell of every ping and pong, not only of the pongs to /ping.
    #[arg(short = 'P', long)]
    show_pings: bool,
    /// The code, and perhaps the reason, to close with at the end of the input.
    #[arg(long, num_args = 1..=2, value_names = ["CODE", "REASON"])]
    close: Vec<String>,
    /// Send this text first; may be given several times. Without -i, the input is not read then.
    #[arg(short = 'x', long, value_name = "TEXT", allow_hyphen_values = true)]
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
    /// Write binary messages to new files in this directory, and print their names.
    #[arg(long, value_name = "DIR")]
    save_binary: Option<PathBuf>,
    /// Take lines that begin with / as commands (/help lists them); so it is in a terminal.
    #[arg(long)]
    slash: bool,
    /// Go on receiving for this many seconds after the end of the input before closing. Replies of
    /// a server that answers in order come in any case, before its Close; for one that takes its
    /// time over them, wait.
    #[arg(short, long, value_name = "SECONDS", default_value = "0", value_parser = parse_seconds)]
    wait: Duration,
    /// The largest message accepted, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Config::DEFAULT.max_message_length)]
    max_message: u64,
    #[command(flatten)]
    compression: Compression,
    #[command(flatten)]
    tls: ClientFiles,
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

fn parse_seconds(seconds: &str) -> Result<Duration, String> {
    // Within these bounds, a time that far away can be told.
    seconds
        .parse()
        .ok()
        .filter(|seconds| (0.0..=1e9).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds from 0 to 1e9 is needed".into())
}

/// Connects, and carries lines and messages until the end.
pub(crate) async fn run(options: Options) -> ExitCode {
    let output = Output::new(options.quiet, options.save_binary.clone());
    let prepared = match prepare(&options) {
        Ok(prepared) => prepared,
        Err(why) => {
            output.failure(&why);
            return ExitCode::from(WRONG_USE);
        }
    };
    let url = prepared.url;
    let websocket = match connect_with(&prepared.client).await {
        Ok(websocket) => websocket,
        Err(error) => {
            output.failure(&format!("cannot connect to {url}: {}", why_not_connected(&error)));
            let wrong_use = matches!(error, Error::InvalidRequest(_));
            return ExitCode::from(if wrong_use { WRONG_USE } else { NOT_CONNECTED });
        }
    };
    // Until now a signal ended the process; from now on it ends the connection.
    let signals = Signals::new().ok();
    let agreed = [websocket.subprotocol().unwrap_or_default(), &websocket.extensions().to_string()]
        .into_iter()
        .filter(|agreed| !agreed.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    output.note(&if agreed.is_empty() {
        format!("connected to {url}")
    } else {
        format!("connected to {url} ({agreed})")
    });
    let person = io::stdin().is_terminal();
    let commands = options.slash || person;
    let read_input = options.interactive || prepared.first.is_empty();
    if read_input && person {
        output.note(&format!("{HELP}\nCtrl-D ends"));
    }
    let (incoming, outgoing) = websocket.split();
    let (tell, told) = mpsc::channel(16);
    let (stop, stopped) = oneshot::channel();
    let pings = Pings::default();
    let sender = Sender {
        outgoing,
        closing: prepared.closing,
        reading: Reading { hex: options.hex, commands },
        read_input,
        wait: options.wait,
        tell,
        pings: Rc::clone(&pings),
    };
    let session = Session {
        incoming,
        stop: Some(stop),
        signals,
        show_pings: options.show_pings,
        pings,
        output,
        mistaken: false,
    };
    session.run(sender.run(prepared.first, stopped), told, person).await
}

type Closing = (CloseCode, String);

/// What the arguments amount to.
struct Prepared {
    url: String,
    client: ClientOptions,
    closing: Closing,
    first: Vec<Message>,
}

fn prepare(options: &Options) -> Result<Prepared, String> {
    let (url, close) = url_and_close(options)?;
    let url = if url.contains("://") { url.into() } else { format!("ws://{url}") };
    let mut client = ClientOptions::new(&url).map_err(|error| format!("{url}: {error}"))?;
    for (name, value) in &options.header {
        client = client.field(name, value);
    }
    for name in &options.subprotocol {
        client = client.subprotocol(name);
    }
    if let Some(origin) = &options.origin {
        client = client.origin(origin);
    }
    let interval = options.ping_interval;
    let config = Config {
        max_message_length: options.max_message,
        keepalive: (!interval.is_zero()).then_some(Keepalive {
            interval,
            timeout: interval,
            always: false,
        }),
        ..options.compression.apply(Config::DEFAULT)
    };
    let code = close.first().map_or(Ok(CloseCode::NORMAL), |code| parse_code(code))?;
    let reason = close.get(1).map_or(Ok(String::new()), |reason| parse_reason(reason))?;
    let mut first: Vec<Message> = options.execute.iter().map(|text| text.as_str().into()).collect();
    for path in &options.send_file {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        first.push(bytes.into());
    }
    if let Some(directory) = &options.save_binary {
        fs::create_dir_all(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let client = options.tls.apply(client.with_config(config))?;
    Ok(Prepared { url, client, closing: (code, reason), first })
}

/// The URL, and the code and the reason to close with. In `--close CODE URL`, which has no other
/// URL, what stands in the reason's place is the URL.
fn url_and_close(options: &Options) -> Result<(&str, &[String]), String> {
    match (&options.url, options.close.as_slice()) {
        (Some(url), close) => Ok((url, close)),
        (None, [code @ .., url]) if !code.is_empty() => Ok((url, code)),
        (None, _) => Err("there is no URL to connect to".into()),
    }
}

/// What the person's pings carried whose pongs have not come. Those of the keepalive are not here.
type Pings = Rc<RefCell<VecDeque<String>>>;

/// What the sending side has to say to the person.
enum Told {
    Note(&'static str),
    Mistake(String),
}

/// The sending side: what comes first, then the input, then Close.
struct Sender {
    outgoing: WriteHalf<ClientStream>,
    closing: Closing,
    reading: Reading,
    read_input: bool,
    wait: Duration,
    tell: mpsc::Sender<Told>,
    pings: Pings,
}

impl Sender {
    /// Sends all there is, or until `stop`, and then closes. The code of the Close frame; `None` if
    /// the connection ended before, of which the receiving side tells.
    async fn run(mut self, first: Vec<Message>, stop: oneshot::Receiver<()>) -> Option<CloseCode> {
        let sent = tokio::select! {
            sent = self.send_all(first) => sent,
            _ = stop => Ok(()),
        };
        sent.ok()?;
        // What the peer sends before it answers the Close is still received.
        let (code, reason) = self.closing;
        self.outgoing.close(code, &reason).await.ok()?;
        Some(code)
    }

    async fn send_all(&mut self, first: Vec<Message>) -> Result<(), Error> {
        for message in first {
            self.outgoing.send(message).await?;
        }
        if self.read_input && self.send_input().await? {
            return Ok(());
        }
        tokio::time::sleep(self.wait).await;
        Ok(())
    }

    /// Sends what the input says; whether it said to close.
    async fn send_input(&mut self) -> Result<bool, Error> {
        let mut lines = read_lines();
        let mut number = 0_usize;
        while let Some(line) = lines.recv().await {
            number += 1;
            let input = match line {
                Ok(line) => self.reading.parse(line),
                Err(error) => Input::Mistake(format!("cannot be read: {error}")),
            };
            match input {
                Input::Send(message) => self.outgoing.send(message).await?,
                Input::Ping(payload) => {
                    self.pings.borrow_mut().push_back(payload.clone());
                    self.outgoing.ping(payload.as_bytes()).await?;
                }
                Input::Close(code, reason) => {
                    if let Some(code) = code {
                        self.closing = (code, reason);
                    }
                    return Ok(true);
                }
                Input::Help => self.tell(Told::Note(HELP)).await,
                Input::Mistake(why) => {
                    self.tell(Told::Mistake(format!("line {number}: {why}"))).await;
                }
            }
        }
        Ok(false)
    }

    async fn tell(&self, told: Told) {
        // The receiver lives as long as the session, which drives this side.
        let _ = self.tell.send(told).await;
    }
}

/// The receiving side, which drives the sending one too and sees the connection to its end.
struct Session {
    incoming: ReadHalf<ClientStream>,
    /// Tells the sending side to close now; `None` when it has been told.
    stop: Option<oneshot::Sender<()>>,
    signals: Option<Signals>,
    show_pings: bool,
    pings: Pings,
    output: Output,
    /// Something was not sent or not shown.
    mistaken: bool,
}

impl Session {
    /// `person`: a mistake was corrected by whoever made it.
    async fn run(
        mut self,
        sending: impl Future<Output = Option<CloseCode>>,
        mut told: mpsc::Receiver<Told>,
        person: bool,
    ) -> ExitCode {
        tokio::pin!(sending);
        let mut sent = None;
        // Nobody may be there to read, or the disk may be full.
        let mut writing = true;
        let result = loop {
            tokio::select! {
                event = self.incoming.next_event() => match event {
                    Some(Ok(Event::Message(message))) if writing => {
                        writing = self.show(&message);
                    }
                    Some(Ok(event)) => self.note(&event),
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                },
                code = async {
                    if sent.is_none() { (&mut sending).await } else { pending().await }
                } => sent = Some(code),
                Some(told) = told.recv() => self.hear(told, person),
                () = signal(&mut self.signals) => {
                    if self.stop.take().is_none_or(|stop| stop.send(()).is_err()) {
                        self.output.failure("ended without a closing handshake");
                        return ExitCode::from(NOT_CLEAN);
                    }
                    self.output.note("closing; Ctrl-C ends at once");
                }
            }
        };
        while let Ok(told) = told.try_recv() {
            self.hear(told, person);
        }
        self.conclude(result, sent.flatten())
    }

    /// Shows a message; whether further ones can be shown. If not, the connection is closed.
    fn show(&mut self, message: &Message) -> bool {
        let Err(why) = self.output.message(message) else { return true };
        if let Some(why) = why {
            self.output.failure(&why);
            self.mistaken = true;
        }
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        false
    }

    fn note(&self, event: &Event) {
        let (what, payload) = match event {
            Event::Ping(payload) if self.show_pings => ("ping", payload),
            Event::Pong(payload) if self.is_asked_for(payload) || self.show_pings => {
                ("pong", payload)
            }
            _ => return,
        };
        self.output.note(&match &**payload {
            [] => format!("({what})"),
            payload => format!("({what} {})", String::from_utf8_lossy(payload).escape_debug()),
        });
    }

    /// Whether a pong answers a ping of the person's. A peer may answer only the last of several
    /// (RFC 6455 section 5.5.3).
    fn is_asked_for(&self, payload: &[u8]) -> bool {
        let mut pings = self.pings.borrow_mut();
        let place = pings.iter().position(|ping| ping.as_bytes() == payload);
        place.is_some_and(|place| pings.drain(..=place).next().is_some())
    }

    fn hear(&mut self, told: Told, person: bool) {
        match told {
            Told::Note(note) => self.output.note(note),
            Told::Mistake(mistake) => {
                self.output.failure(&mistake);
                self.mistaken |= !person;
            }
        }
    }

    /// Tells how the connection ended. `ours` is the code that we closed with.
    fn conclude(&self, result: Result<(), Error>, ours: Option<CloseCode>) -> ExitCode {
        if let Err(error) = result {
            self.output.failure(&error.to_string());
            return ExitCode::from(NOT_CLEAN);
        }
        let (status, reason, clean) =
            self.incoming.close_outcome().unwrap_or((CloseStatus::Abnormal, String::new(), false));
        let reason = if reason.is_empty() { reason } else { format!(" {reason}") };
        if !clean {
            self.output.failure(&format!("the server did not close cleanly ({status})"));
            return ExitCode::from(NOT_CLEAN);
        }
        if tells_of_an_error(status, ours) {
            self.output.failure(&format!("the server closed with {status}{reason}"));
            return ExitCode::from(NOT_CLEAN);
        }
        self.output.note(&format!("closed: {status}{reason}"));
        if self.mistaken { ExitCode::from(WRONG_USE) } else { ExitCode::SUCCESS }
    }
}

/// Whether a peer's close code says that something went wrong (RFC 6455 section 7.4.1), and is not
/// our own code that came back.
fn tells_of_an_error(status: CloseStatus, ours: Option<CloseCode>) -> bool {
    match status {
        CloseStatus::Code(code) => (1002..=1015).contains(&code.get()) && Some(code) != ours,
        CloseStatus::NoStatus | CloseStatus::Abnormal => false,
    }
}

/// Waits for a signal; forever, if none can be caught.
pub(crate) async fn signal(signals: &mut Option<Signals>) {
    match signals {
        Some(signals) => signals.next().await,
        None => pending().await,
    }
}

/// Why there is no connection, in words for a person.
pub(crate) fn why_not_connected(error: &Error) -> String {
    match error {
        Error::Io(io) if io.kind() == io::ErrorKind::ConnectionRefused => {
            "the connection was refused; is the server running?".into()
        }
        Error::Tls(failure) => match **failure {
            TlsError::UnknownIssuer => format!("{error}; --ca FILE trusts another one"),
            TlsError::ClientCertificateRequired => format!("{error}; --cert and --key give one"),
            TlsError::NotTls => format!("{error}; is it a ws:// server?"),
            _ => error.to_string(),
        },
        Error::Opening(failure) => {
            let mut text = error.to_string();
            let Some(response) = &failure.response else { return text };
            if let Some(location) = response.field("location") {
                text = format!("{text}; it points to {}", String::from_utf8_lossy(location));
            }
            let body = String::from_utf8_lossy(&response.body);
            if let Some(line) = body.trim().lines().next() {
                text = format!("{text}: {}", line.chars().take(200).collect::<String>());
            }
            text
        }
        error => error.to_string(),
    }
}
