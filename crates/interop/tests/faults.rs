//! Both adapters, as client and as server, over loopback and through the proxy that breaks
//! connections: each end is told the right end, in time, and leaves no descriptor behind.
//!
//! `FAULT_SESSIONS` sets how many sessions each adapter has, `FAULT_WORKERS` how many at once.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong fails"
)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use duologue_interop::fault_proxy::{Fault, LONGEST, relay};
use duologue_std::{
    ClientOptions, CloseCode, CloseOutcome, CloseStatus, Config, Error, Keepalive, Message,
    ProtocolError, ServerOptions,
};
use tokio::runtime::Runtime;

/// Deadlines that a test can wait for.
const IMPATIENT: Config = Config {
    opening_timeout: Duration::from_millis(1000),
    closing_timeout: Duration::from_millis(500),
    write_stall_timeout: Duration::from_millis(500),
    keepalive: Some(Keepalive {
        interval: Duration::from_millis(400),
        timeout: Duration::from_millis(400),
        always: false,
    }),
    ..Config::DEFAULT
};

/// The longest that an end can take, by its deadlines and those of the other end, whose last bytes
/// begin its own anew: opening, and for each end silence, a ping without an answer, and closing.
const LATEST: Duration = Duration::from_millis(1000 + 2 * (400 + 400 + 500));

/// How much later than its deadlines an end may be.
const SLACK: Duration = Duration::from_secs(1);

/// What an end was told.
#[derive(Debug)]
struct Told {
    opened: bool,
    failure: Option<Error>,
    /// The close status, and whether the connection closed cleanly.
    outcome: Option<(CloseStatus, bool)>,
    took: Duration,
}

impl Told {
    fn new(
        begun: Instant,
        opened: bool,
        failure: Option<Error>,
        outcome: Option<CloseOutcome<'_>>,
    ) -> Self {
        let outcome = outcome.map(|outcome| (outcome.status, outcome.was_clean));
        Self { opened, failure, outcome, took: begun.elapsed() }
    }
}

/// What both ends know of a session beforehand.
#[derive(Clone, Copy)]
struct Session {
    number: u64,
    fault: Fault,
}

impl Session {
    fn config(&self) -> Config {
        match self.fault {
            // A busy machine must not make a fault out of none.
            Fault::None | Fault::Slice(_) | Fault::Delay(_) => Config::DEFAULT,
            _ => IMPATIENT,
        }
    }

    fn messages(&self) -> impl Iterator<Item = Message> + use<> {
        let number = usize::try_from(self.number).unwrap();
        (0..number % 6 + 1).map(move |index| {
            let length = [0, 5, 126, 1000, 9000, 20_000][(number / 6 + index) % 6];
            Message::binary(vec![u8::try_from(index).unwrap(); length])
        })
    }

    /// The server closes after its last message, or else the client does.
    const fn server_closes(&self) -> bool {
        self.number.is_multiple_of(5)
    }
}

/// Asserts that `told` is what may be told after this fault.
fn judge(session: &Session, struck: bool, is_server: bool, told: &Told) {
    let context = || format!("{}, struck: {struck}, server: {is_server}: {told:?}", session.fault);
    if !struck {
        let clean = (CloseStatus::Code(CloseCode::NORMAL), true);
        assert!(told.failure.is_none() && told.outcome == Some(clean), "{}", context());
        return;
    }
    assert!(told.took < LATEST + SLACK, "{}", context());
    let Some(failure) = &told.failure else {
        // Without an error there was a Close frame of the peer's.
        let closed = matches!(told.outcome, Some((CloseStatus::Code(_), _)));
        assert!(told.opened && closed, "{}", context());
        return;
    };
    assert!(!matches!(told.outcome, Some((_, true))), "{}", context());
    let is_right = match session.fault {
        Fault::Reset(..) => matches!(failure, Error::Io(_)),
        // The end of a direction is the peer's end. Its own end comes back as one, or as a reset if
        // something was still on its way to it.
        Fault::End(..) => match failure {
            Error::ConnectionLost | Error::Io(_) => true,
            Error::Opening(_) => !is_server && !told.opened,
            _ => false,
        },
        Fault::Stall(..) | Fault::HalfOpen(..) => match failure {
            Error::Protocol(error) => {
                let silent = [ProtocolError::PongTimeout, ProtocolError::WriteStalled];
                told.opened && silent.contains(error)
            }
            Error::OpeningTimeout => !told.opened,
            Error::Handshake(_) => is_server && !told.opened,
            // The server's 408.
            Error::Opening(_) => !is_server && !told.opened,
            Error::ConnectionLost | Error::Io(_) => true,
            _ => false,
        },
        Fault::None | Fault::Slice(_) | Fault::Delay(_) => false,
    };
    assert!(is_right, "{}", context());
}

/// The ends as an adapter has them.
trait Adapter: Copy + Send + Sync + 'static {
    fn client(self, runtime: &Runtime, address: SocketAddr, session: Session) -> Told;
    fn server(self, runtime: &Runtime, stream: TcpStream, session: Session) -> Told;
}

#[derive(Clone, Copy)]
struct Blocking;

impl Adapter for Blocking {
    fn client(self, _: &Runtime, address: SocketAddr, session: Session) -> Told {
        let begun = Instant::now();
        let options = ClientOptions::new(&format!("ws://{address}/")).unwrap();
        let options = options.with_config(session.config());
        let mut websocket = match duologue_std::connect_with(&options) {
            Ok(websocket) => websocket,
            Err(error) => return Told::new(begun, false, Some(error), None),
        };
        let mut sent = session.messages();
        let failure = loop {
            let message = sent.next();
            if let Some(message) = &message {
                // That it fails shows in what is read.
                let _ = websocket.send(message.clone());
            } else if !session.server_closes() {
                let _ = websocket.start_close(CloseCode::NORMAL, "");
            }
            match websocket.read() {
                Ok(None) => break None,
                Err(error) => break Some(error),
                echo => assert_eq!(echo.unwrap(), message),
            }
        };
        assert!(matches!(websocket.read(), Ok(None)), "told once");
        Told::new(begun, true, failure, websocket.close_outcome())
    }

    fn server(self, _: &Runtime, stream: TcpStream, session: Session) -> Told {
        let begun = Instant::now();
        let options = ServerOptions::new().with_config(session.config());
        let accepted =
            duologue_std::accept_with(stream, &options, |_| duologue_std::Accept::new().into());
        let mut websocket = match accepted {
            Ok(websocket) => websocket,
            Err(error) => return Told::new(begun, false, Some(error), None),
        };
        let mut expected = session.messages().peekable();
        let failure = loop {
            match websocket.read() {
                Ok(None) => break None,
                Err(error) => break Some(error),
                Ok(Some(message)) => {
                    assert_eq!(Some(&message), expected.next().as_ref());
                    let _ = websocket.send(message);
                }
            }
            if expected.peek().is_none() && session.server_closes() {
                let _ = websocket.start_close(CloseCode::NORMAL, "");
            }
        };
        assert!(matches!(websocket.read(), Ok(None)), "told once");
        Told::new(begun, true, failure, websocket.close_outcome())
    }
}

#[derive(Clone, Copy)]
struct Async;

impl Adapter for Async {
    fn client(self, runtime: &Runtime, address: SocketAddr, session: Session) -> Told {
        runtime.block_on(async {
            let begun = Instant::now();
            let options = ClientOptions::new(&format!("ws://{address}/")).unwrap();
            let options = options.with_config(session.config());
            let mut websocket = match duologue_tokio::connect_with(&options).await {
                Ok(websocket) => websocket,
                Err(error) => return Told::new(begun, false, Some(error), None),
            };
            let mut sent = session.messages();
            let failure = loop {
                let message = sent.next();
                if let Some(message) = &message {
                    let _ = websocket.send(message.clone()).await;
                } else if !session.server_closes() {
                    let _ = websocket.start_close(CloseCode::NORMAL, "");
                }
                match websocket.next().await {
                    None => break None,
                    Some(Err(error)) => break Some(error),
                    Some(Ok(echo)) => assert_eq!(Some(echo), message),
                }
            };
            assert!(websocket.next().await.is_none(), "told once");
            Told::new(begun, true, failure, websocket.close_outcome())
        })
    }

    fn server(self, runtime: &Runtime, stream: TcpStream, session: Session) -> Told {
        stream.set_nonblocking(true).unwrap();
        runtime.block_on(async {
            let begun = Instant::now();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let options = ServerOptions::new().with_config(session.config());
            let decide = |_: &duologue_tokio::Request<'_>| duologue_tokio::Accept::new().into();
            let mut websocket = match duologue_tokio::accept_with(stream, &options, decide).await {
                Ok(websocket) => websocket,
                Err(error) => return Told::new(begun, false, Some(error), None),
            };
            let mut expected = session.messages().peekable();
            let failure = loop {
                match websocket.next().await {
                    None => break None,
                    Some(Err(error)) => break Some(error),
                    Some(Ok(message)) => {
                        assert_eq!(Some(&message), expected.next().as_ref());
                        let _ = websocket.send(message).await;
                    }
                }
                if expected.peek().is_none() && session.server_closes() {
                    let _ = websocket.start_close(CloseCode::NORMAL, "");
                }
            };
            assert!(websocket.next().await.is_none(), "told once");
            Told::new(begun, true, failure, websocket.close_outcome())
        })
    }
}

/// One session through the proxy; returns whether its fault struck.
fn run(
    adapter: impl Adapter,
    runtime: &Runtime,
    listeners: &[TcpListener; 2],
    session: Session,
) -> bool {
    let [proxy, server] = listeners;
    let struck = Arc::new(AtomicBool::new(false));
    let (to_proxy, to_server) = (proxy.local_addr().unwrap(), server.local_addr().unwrap());
    thread::scope(|scope| {
        let client = scope.spawn(move || adapter.client(runtime, to_proxy, session));
        let (near, _) = proxy.accept().unwrap();
        let far = TcpStream::connect(to_server).unwrap();
        let (accepted, _) = server.accept().unwrap();
        let relay = {
            let struck = Arc::clone(&struck);
            near.set_nonblocking(true).unwrap();
            far.set_nonblocking(true).unwrap();
            runtime.spawn(async move {
                let near = tokio::net::TcpStream::from_std(near).unwrap();
                let far = tokio::net::TcpStream::from_std(far).unwrap();
                relay(near, far, session.fault, LONGEST, &struck).await;
            })
        };
        let told_server = adapter.server(runtime, accepted, session);
        let told_client = client.join().unwrap();
        // What is stalled never ends by itself.
        relay.abort();
        assert!(runtime.block_on(relay).err().is_none_or(|error| error.is_cancelled()));
        let struck = struck.load(Ordering::SeqCst);
        judge(&session, struck, true, &told_server);
        judge(&session, struck, false, &told_client);
        struck
    })
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |count| count.parse().expect("a number"))
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs the sessions of one adapter, many at once.
fn run_all(name: &str, adapter: impl Adapter) {
    let sessions = from_environment("FAULT_SESSIONS", 300);
    let workers = from_environment("FAULT_WORKERS", 24);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let before = open_descriptors();
    let (next, struck) = (AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
                let listeners = [listener(), listener()];
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= sessions {
                        return;
                    }
                    let session = Session { number, fault: Fault::choose(0, number) };
                    let broken = run(adapter, &runtime, &listeners, session);
                    struck.fetch_add(u64::from(broken), Ordering::SeqCst);
                }
            });
        }
    });
    let took = begun.elapsed();
    let struck = struck.into_inner();
    println!("{name}: {sessions} sessions, {struck} of them broken, in {took:.1?}");
    assert_eq!(open_descriptors(), before, "descriptors leak");
    assert!(struck > sessions / 5);
}

/// One after the other: the descriptors of the whole process are counted.
#[test]
fn sessions_over_broken_connections_end_as_they_should_and_in_time() {
    run_all("tokio", Async);
    run_all("std", Blocking);
}
