//! The binary as a child process, and bare sockets to talk to it with. Every wait is bounded.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test, but not marked as one"
)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use duologue_core::opening::Outcome;
use duologue_tokio::{Decision, Request, ServerOptions};

/// Longer than anything here takes, on a slow machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running `duologue`, which ends with its guard.
pub(crate) struct Duologue {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

/// How a `duologue` ended, and what of its output nobody had read before.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Checks the exit status, and that nothing panicked.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        assert_eq!(self.status, Some(status), "{self:?}");
        self
    }

    /// Checks that there is such a piece of text among the errors and notes.
    #[track_caller]
    pub(crate) fn tells(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in {self:?}");
        self
    }
}

/// The lines of an output as they come. Dropped, it leaves the pipe to break.
struct Lines {
    receiver: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { receiver, thread: Some(thread) }
    }

    fn rest(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the reader does not panic");
        }
        self.receiver.try_iter().collect()
    }
}

impl Duologue {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_duologue"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdin = child.stdin.take();
        let stdout = Lines::of(child.stdout.take().expect("piped"));
        let stderr = Lines::of(child.stderr.take().expect("piped"));
        Self { child, stdin, stdout, stderr }
    }

    /// Writes to its input and leaves that open. That it reads no more is no failure.
    pub(crate) fn write(&mut self, input: impl AsRef<[u8]>) {
        let mut stdin = self.stdin.as_ref().expect("the input is open");
        let _ = stdin.write_all(input.as_ref());
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The next line of its standard output, without the line end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let line = self.stdout.receiver.recv_timeout(PATIENCE).expect("a line comes");
        line.trim_end_matches('\n').into()
    }

    /// Waits until a line of its errors and notes holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_note(&mut self, text: &str) {
        loop {
            let line = self.stderr.receiver.recv_timeout(PATIENCE).expect("the note comes");
            if line.contains(text) {
                return;
            }
        }
    }

    /// Nobody reads its output any more.
    pub(crate) fn break_output(&mut self) {
        self.stdout = Lines::of(io::empty());
    }

    /// Nobody reads its errors and notes any more.
    pub(crate) fn break_notes(&mut self) {
        self.stderr = Lines::of(io::empty());
    }

    /// Sends a signal such as `INT`.
    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh runs").success());
    }

    /// Waits for the end. Its input stays as it is: open, unless it was ended.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let give_up = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            assert!(Instant::now() < give_up, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        Ended { status: status.code(), stdout: self.stdout.rest(), stderr: self.stderr.rest() }
    }

    /// Ends its input and waits for the end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ended {
        self.end_input();
        self.wait()
    }
}

impl Drop for Duologue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `duologue` over an input that is all there.
#[track_caller]
pub(crate) fn run(arguments: &[&str], input: impl AsRef<[u8]>) -> Ended {
    let mut duologue = Duologue::start(arguments);
    duologue.write(input);
    duologue.finish()
}

/// A running `duologue serve` and where it listens.
pub(crate) struct Server {
    pub(crate) process: Duologue,
    pub(crate) address: SocketAddr,
}

impl Server {
    #[track_caller]
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let arguments = [&["serve", "--addr", "127.0.0.1:0"], arguments].concat();
        let mut process = Duologue::start(&arguments);
        let line = process.line();
        let address = line.strip_prefix("listening on ").expect("the address comes first");
        let address = address.parse().expect("it is an address");
        Self { process, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// A socket of a client that has sent `request`.
    pub(crate) fn request(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }

    /// The whole answer to a request, up to the end of the connection: head and body.
    pub(crate) fn answer(&self, request: &str) -> (String, String) {
        let mut answer = String::new();
        self.request(request).read_to_string(&mut answer).expect("an answer, then the end");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.into(), body.into())
    }

    /// A socket that is past the opening handshake, and the head of the response.
    pub(crate) fn websocket(&self, fields: &str) -> (TcpStream, String) {
        let mut stream = self.request(&upgrade_request("/", fields));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("the head goes on");
            head.extend(byte);
        }
        (stream, String::from_utf8(head).expect("text"))
    }
}

/// The request of RFC 6455 section 1.3, with further fields, each with its line end.
pub(crate) fn upgrade_request(target: &str, fields: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

/// A listening socket that does the opening handshake and leaves the rest to the test.
pub(crate) struct RawServer {
    listener: std::net::TcpListener,
}

impl RawServer {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("it can be told");
        Self { listener }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/", self.listener.local_addr().expect("it listens"))
    }

    /// The next connection.
    pub(crate) fn accept_tcp(&self) -> TcpStream {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("it can be told");
                    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
                    return stream;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < give_up, "nobody connects");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The next connection, past the opening handshake if `decide` lets it.
    pub(crate) fn accept(&self, decide: impl FnOnce(&Request<'_>) -> Decision) -> TcpStream {
        let mut stream = self.accept_tcp();
        let mut opening = ServerOptions::new().opening();
        while !opening.poll().expect("it is a request") {
            let mut bytes = [0; 1024];
            let count = stream.read(&mut bytes).expect("the request goes on");
            assert!(count > 0, "the request is cut off");
            opening.read_room().extend_from_slice(&bytes[..count]);
        }
        let response = match opening.decide(decide) {
            Outcome::Accepted(accepted) => accepted.response,
            Outcome::Refused(refused) => refused.response,
        };
        stream.write_all(&response).expect("it is read");
        stream
    }
}

/// The next frame: its first byte, whether it was masked, and its payload, unmasked.
#[track_caller]
pub(crate) fn read_frame(stream: &mut TcpStream) -> (u8, bool, Vec<u8>) {
    let mut exactly = |count: usize| {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).expect("the frame goes on");
        bytes
    };
    let head = exactly(2);
    let length = match head[1] & 0x7f {
        126 => exactly(2).into_iter().fold(0, |length, byte| length << 8 | usize::from(byte)),
        127 => exactly(8).into_iter().fold(0, |length, byte| length << 8 | usize::from(byte)),
        length => usize::from(length),
    };
    let masked = head[1] & 0x80 != 0;
    let key = if masked { exactly(4) } else { vec![0; 4] };
    let mut payload = exactly(length);
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    (head[0], masked, payload)
}

/// Checks that the next frame is a Close with this code and reason.
#[track_caller]
pub(crate) fn expect_close(stream: &mut TcpStream, code: u16, reason: &str) {
    let (first, _, payload) = read_frame(stream);
    assert_eq!(first, 0x88, "a Close frame, and not {payload:?}");
    assert_eq!(payload, [&code.to_be_bytes()[..], reason.as_bytes()].concat());
}

/// Checks that the connection ends here.
#[track_caller]
pub(crate) fn expect_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end without a reset");
    assert_eq!(rest, b"", "nothing comes before the end");
}
