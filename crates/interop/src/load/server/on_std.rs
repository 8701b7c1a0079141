//! Over the blocking adapter: a thread for each connection, which reads and answers; and the write
//! halves where whoever stops the server finds them.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use duologue_std::{CloseCode, Error, Event, Message, WriteHalf, accept_with};
use nix::sys::signal::{SigSet, Signal};

use super::watched::{Blocked, Watched};
use super::{Pings, Server, decide, listen};
use crate::tokio_peer::block_on;

/// The stack of a connection's thread, in bytes; the kernel gives it the pages that it touches.
pub(in crate::load) const STACK: usize = 64 * 1024;

/// So many threads accept connections: each has to share the processors with those that serve.
const ACCEPTING: usize = 8;

/// How long to wait before something is tried again.
const AGAIN: Duration = Duration::from_millis(20);

type Writer = Arc<Mutex<WriteHalf<Watched<TcpStream>>>>;

pub(super) fn serve(server: &Arc<Server>, address: SocketAddr) -> Result<(), Error> {
    // Blocked before there is another thread, the signal comes to whoever waits for it.
    let mut terminate = SigSet::empty();
    terminate.add(Signal::SIGTERM);
    terminate.thread_block().map_err(std::io::Error::from)?;
    let listener = block_on(async { Ok(listen(address).await?.into_std()?) })?;
    listener.set_nonblocking(false)?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let service = Arc::new(Service {
        server: Arc::clone(server),
        stopping: AtomicBool::new(false),
        writers: Mutex::default(),
        next: AtomicU64::new(0),
    });
    // The receiver ends when the last connection has dropped its sender.
    let (alive, all_gone) = mpsc::channel();
    let listener = Arc::new(listener);
    let accepting = [(); ACCEPTING].map(|()| {
        let (service, listener, alive) =
            (Arc::clone(&service), Arc::clone(&listener), alive.clone());
        thread::spawn(move || service.accept_all(&listener, &alive))
    });
    drop(alive);
    terminate.wait().map_err(std::io::Error::from)?;
    service.stopping.store(true, Ordering::SeqCst);
    // One more connection ends a wait for the next.
    let _last = [(); ACCEPTING].map(|()| TcpStream::connect(address));
    for accepting in accepting {
        let _ = accepting.join();
    }
    let over = Instant::now() + server.config.closing_timeout + Duration::from_secs(1);
    service.stop_all(over);
    let _ = all_gone.recv_timeout(over.saturating_duration_since(Instant::now()));
    Ok(())
}

struct Service {
    server: Arc<Server>,
    stopping: AtomicBool,
    /// Of all connections that are open.
    writers: Mutex<HashMap<u64, Writer>>,
    next: AtomicU64,
}

impl Service {
    fn accept_all(self: &Arc<Self>, listener: &TcpListener, alive: &mpsc::Sender<()>) {
        loop {
            let accepted = listener.accept();
            if self.is_stopping() {
                return;
            }
            let (service, alive) = (Arc::clone(self), alive.clone());
            let served = accepted.and_then(|(stream, _)| {
                let begun = Instant::now();
                let run = move || {
                    service.run(stream, begun);
                    drop(alive);
                };
                thread::Builder::new().stack_size(STACK).spawn(run)
            });
            if served.is_err() {
                // Such as that no descriptor is free, which passes.
                thread::sleep(AGAIN);
            }
        }
    }

    fn run(&self, stream: TcpStream, begun: Instant) {
        let blocked = Blocked::default();
        let ended = self.echo(Watched::new(stream, blocked.clone()));
        self.server.ended(begun, &blocked, ended);
    }

    /// Serves one connection. Returns when it was closed for too many pings, if it was.
    fn echo(&self, stream: Watched<TcpStream>) -> Result<Option<Instant>, Error> {
        let mut limited = false;
        let websocket = accept_with(stream, &self.server.options, decide(&mut limited))?;
        let (mut reader, writer) = websocket.split()?;
        let writer = Arc::new(Mutex::new(writer));
        let _registered = self.register(&writer);
        if self.is_stopping() {
            // It may have come too late for who stops the others.
            stop(&mut lock(&writer));
        }
        let mut pings = Pings::default();
        loop {
            match reader.read_event()? {
                None => return Ok(None),
                Some(Event::Message(message)) => self.take(&writer, message)?,
                Some(Event::Ping(_)) if limited && pings.are_too_many() => {
                    let too_many = Instant::now();
                    let _ =
                        lock(&writer).start_close(CloseCode::POLICY_VIOLATION, "too many pings");
                    // Whether it answers or not, it goes.
                    while let Ok(Some(_)) = reader.read_event() {}
                    return Ok(Some(too_many));
                }
                Some(_) => {}
            }
        }
    }

    /// What is taken is echoed; what comes once the server stops is not taken.
    fn take(&self, writer: &Writer, message: Message) -> Result<(), Error> {
        let mut writer = lock(writer);
        if !self.is_stopping() {
            self.server.write_down(&message)?;
            writer.send(message)?;
            self.server.accepted();
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn register(&self, writer: &Writer) -> Registered<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.writers).insert(number, Arc::clone(writer));
        Registered { service: self, number }
    }

    /// Tells every connection that the server stops; one that is just sending, when it has sent.
    /// Gives up when the time is `over`.
    fn stop_all(&self, over: Instant) {
        let mut left: Vec<Writer> = lock(&self.writers).values().cloned().collect();
        while !left.is_empty() && Instant::now() < over {
            left.retain(|writer| match writer.try_lock() {
                Ok(mut writer) => {
                    stop(&mut writer);
                    false
                }
                Err(TryLockError::WouldBlock) => true,
                Err(TryLockError::Poisoned(_)) => false,
            });
            thread::sleep(AGAIN);
        }
    }
}

/// A connection that is told when the server stops, until this is dropped.
struct Registered<'a> {
    service: &'a Service,
    number: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        lock(&self.service.writers).remove(&self.number);
    }
}

fn stop(writer: &mut WriteHalf<Watched<TcpStream>>) {
    // One that has ended meanwhile need not be told.
    let _ = writer.start_close(CloseCode::GOING_AWAY, "the server stops");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
