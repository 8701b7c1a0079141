//! TLS over TCP, for two threads.
//!
//! `rustls` keeps one state for both directions. Three locks, and nobody waits for TCP under the
//! first:
//!
//! - `session`: the state of TLS. Held for as long as it takes to encrypt or to decrypt what is at
//!   hand.
//! - `outgoing`: the right to write to TCP, with the ciphertext that TCP has not taken. Whoever has
//!   it may take `session` too; never the other way round. So ciphertext goes out in the order in
//!   which it was made.
//! - `incoming`: the right to read from TCP, with the ciphertext that is not decrypted yet. It is
//!   taken before `session`, and never together with `outgoing` while TCP is waited for.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use duologue_adapter::TlsError;
use duologue_adapter::tls::into_tls_error;
use duologue_adapter::tls::rustls::Connection;

use crate::driver::LAST_WORDS;
use crate::transport::{Transport, TryClone};

/// The most plaintext that is encrypted before TCP has taken what was encrypted before it.
const MOST_PLAINTEXT: usize = 64 * 1024;

/// How much ciphertext is read at once: a record of TLS is at most a little more than 16 KiB.
const READ_CIPHERTEXT: usize = 32 * 1024;

/// How large a buffer for ciphertext on its way out is kept while there is none.
const KEPT: usize = 4 * 1024;

/// A handle to a stream of TLS. All handles are of the same stream; one may read while another one
/// writes.
pub(crate) struct TlsStream {
    tcp: TcpStream,
    shared: Arc<Shared>,
}

struct Shared {
    session: Mutex<Connection>,
    outgoing: Mutex<Outgoing>,
    incoming: Mutex<Incoming>,
}

/// Ciphertext on its way out.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    /// The end of our direction has been said.
    ended: bool,
}

/// Ciphertext on its way in.
#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    /// What of `bytes` is still to be decrypted.
    start: usize,
    end: usize,
    /// TCP has ended.
    eof: bool,
    /// What failed behind plaintext that was told first.
    failure: Option<io::Error>,
}

/// A thread that panicked with a lock leaves nothing half done behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TlsStream {
    /// A stream whose TLS handshake has not begun.
    pub(super) fn new(tcp: TcpStream, session: Connection) -> Self {
        let shared = Shared {
            session: Mutex::new(session),
            outgoing: Mutex::new(Outgoing::default()),
            incoming: Mutex::new(Incoming::default()),
        };
        Self { tcp, shared: Arc::new(shared) }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(crate) fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let session = lock(&self.shared.session);
        let certificates = session.peer_certificates().unwrap_or_default();
        certificates.iter().map(|certificate| certificate.to_vec()).collect()
    }

    /// One step of the TLS handshake; whether it is done. Waits for TCP, once at most each way, as
    /// long as its timeouts let it.
    pub(super) fn shake_hands(&mut self) -> io::Result<bool> {
        self.flush()?;
        if !lock(&self.shared.session).is_handshaking() {
            return Ok(true);
        }
        let mut incoming = lock(&self.shared.incoming);
        if incoming.is_empty() {
            if incoming.eof {
                return Err(io::Error::new(ErrorKind::InvalidData, TlsError::Ended));
            }
            incoming.fill(&mut self.tcp)?;
        }
        let decrypted = incoming.decrypt(&mut lock(&self.shared.session));
        drop(incoming);
        if let Err(error) = decrypted {
            self.last_alert();
            return Err(error);
        }
        Ok(false)
    }

    /// Sends the alert that says why TLS failed, if nobody else writes.
    fn last_alert(&mut self) {
        if let Some(mut outgoing) = try_lock(&self.shared.outgoing) {
            let _ = outgoing.drain(&mut self.tcp, &self.shared.session);
        }
    }
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Outgoing {
    /// Keeps a small buffer, so that an idle connection does not hold a large one.
    fn reset(&mut self) {
        self.written = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }

    /// Writes to TCP until it has taken everything that was encrypted.
    ///
    /// A timeout and a socket that would block are both told as `WouldBlock`, and lose nothing.
    fn drain(&mut self, tcp: &mut TcpStream, session: &Mutex<Connection>) -> io::Result<()> {
        loop {
            let rest = self.bytes.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.reset();
                let mut session = lock(session);
                if !session.wants_write() {
                    return Ok(());
                }
                while session.wants_write() {
                    session.write_tls(&mut self.bytes)?;
                }
                continue;
            }
            match tcp.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written = self.written.saturating_add(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Err(ErrorKind::WouldBlock.into());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Incoming {
    const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Reads once from TCP, where all that came before is decrypted. While nothing comes, a
    /// non-blocking stream holds no buffer.
    fn fill(&mut self, tcp: &mut TcpStream) -> io::Result<()> {
        if self.bytes.is_empty() {
            self.bytes.resize(READ_CIPHERTEXT, 0);
        }
        let count = tcp.read(&mut self.bytes).inspect_err(|_| self.bytes = Vec::new())?;
        self.eof = count == 0;
        self.start = 0;
        self.end = count;
        Ok(())
    }

    /// Hands ciphertext to `rustls` until there is plaintext, or nothing is left.
    fn decrypt(&mut self, session: &mut Connection) -> io::Result<()> {
        loop {
            let mut rest = self.bytes.get(self.start..self.end).unwrap_or_default();
            let before = rest.len();
            if before == 0 && !self.eof {
                return Ok(());
            }
            // At the end of TCP this hands over nothing, by which `rustls` learns of it.
            session.read_tls(&mut rest)?;
            self.start = self.start.saturating_add(before.saturating_sub(rest.len()));
            let state = session
                .process_new_packets()
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, into_tls_error(&error)))?;
            if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() || self.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut guard = lock(&self.shared.incoming);
        let incoming = &mut *guard;
        if let Some(failure) = incoming.failure.take() {
            drop(guard);
            self.last_alert();
            return Err(failure);
        }
        let mut filled = 0;
        loop {
            {
                let mut session = lock(&self.shared.session);
                loop {
                    let room = buffer.get_mut(filled..).unwrap_or_default();
                    match session.reader().read(room) {
                        // The end of TLS, or no room left.
                        Ok(0) => return Ok(filled),
                        Ok(count) => filled = filled.saturating_add(count),
                        // An end of TCP without an end of TLS. The closing handshake tells whether
                        // a WebSocket ended as it should, and its frames say how long they are.
                        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                            return Ok(filled);
                        }
                        Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                        Err(_) if incoming.is_empty() => break,
                        Err(_) => match incoming.decrypt(&mut session) {
                            Ok(()) => {}
                            // What came before the failure is told first.
                            Err(error) if filled > 0 => {
                                incoming.failure = Some(error);
                                return Ok(filled);
                            }
                            Err(error) => {
                                drop(session);
                                drop(guard);
                                self.last_alert();
                                return Err(error);
                            }
                        },
                    }
                }
            }
            if filled > 0 {
                return Ok(filled);
            }
            // Nobody who writes has to wait for this.
            incoming.fill(&mut self.tcp)?;
            if incoming.eof {
                incoming.decrypt(&mut lock(&self.shared.session))?;
            }
        }
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    /// Takes plaintext when TCP has taken all ciphertext before. What it takes is encrypted and on
    /// its way; [`flush`](Self::flush) tells when TCP has taken that too.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut outgoing = lock(&self.shared.outgoing);
        outgoing.drain(&mut self.tcp, &self.shared.session)?;
        if outgoing.ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut taken = 0_usize;
        {
            let mut session = lock(&self.shared.session);
            for slice in slices {
                let most = MOST_PLAINTEXT.saturating_sub(taken);
                let piece = slice.get(..most).unwrap_or(slice);
                let count = session.writer().write(piece)?;
                taken = taken.saturating_add(count);
                if count < slice.len() {
                    break;
                }
            }
        }
        match outgoing.drain(&mut self.tcp, &self.shared.session) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        lock(&self.shared.outgoing).drain(&mut self.tcp, &self.shared.session)
    }
}

impl Transport for TlsStream {
    fn supports_timeouts(&self) -> bool {
        true
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.tcp.set_read_timeout(timeout)
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.tcp.set_write_timeout(timeout)
    }

    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        self.tcp.set_nodelay(nodelay)
    }

    /// Says the end of TLS (RFC 8446 section 6.1: `close_notify`), then ends TCP's direction.
    fn shutdown_write(&mut self) -> io::Result<()> {
        let mut outgoing = lock(&self.shared.outgoing);
        if !std::mem::replace(&mut outgoing.ended, true) {
            lock(&self.shared.session).send_close_notify();
        }
        outgoing.drain(&mut self.tcp, &self.shared.session)?;
        self.tcp.shutdown(Shutdown::Write)
    }

    /// Says the end of TLS, if that can be done without waiting, and ends TCP: another thread may
    /// be waiting for it.
    fn close(&mut self) -> io::Result<()> {
        if let Some(mut outgoing) = try_lock(&self.shared.outgoing)
            && !std::mem::replace(&mut outgoing.ended, true)
        {
            lock(&self.shared.session).send_close_notify();
            let _ = self.tcp.set_write_timeout(Some(LAST_WORDS));
            let _ = outgoing.drain(&mut self.tcp, &self.shared.session);
        }
        self.tcp.shutdown(Shutdown::Both)
    }
}

impl TryClone for TlsStream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { tcp: self.tcp.try_clone()?, shared: Arc::clone(&self.shared) })
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}
