//! A transport in memory that plays the peer of a [`Session`], gives and takes bytes in the pieces
//! that a test wants, and breaks where it is told to.

use std::io::{ErrorKind, IoSlice};

use duologue_adapter::Role;
use duologue_adapter::handshake::AcceptKey;

use super::random::Random;
use super::session::Session;

/// A valid request, with the key of RFC 6455 section 1.3.
const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// What the adapter asks of its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Read,
    Write,
    Flush,
    Shutdown,
    Close,
}

/// How many bytes a call moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pieces {
    Whole,
    Single,
    Random,
}

/// How a call that could go on is put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    Never,
    /// Before each call that does something there is one that would block.
    Always,
    Random,
}

/// How the transport behaves as long as it works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) pieces: Pieces,
    pub(crate) delay: Delay,
    pub(crate) interrupts: Interrupts,
}

/// Which calls are interrupted, one in four of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupts {
    None,
    /// Reads and writes behind the opening handshake.
    Messages,
    All,
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// The call fails.
    Error(ErrorKind),
    /// A write takes nothing, a read finds the end; other calls fail.
    Zero,
    /// The call fails, and the connection is gone: reads find the end, and writes fail.
    Gone(ErrorKind),
    /// The call never comes to its end, nor does any other of its direction.
    Stall,
}

/// Which call breaks, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The number of the call; those that are put off or interrupted do not count.
    pub(crate) at: usize,
    pub(crate) kind: Break,
    /// Whether further calls of that direction fail too.
    pub(crate) lasts: bool,
}

/// What a call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Done(usize),
    /// Not now; it can be tried again at once.
    Blocked,
    /// Never.
    Stalled,
    Failed(ErrorKind),
}

/// The transport.
#[derive(Debug)]
pub(crate) struct Script {
    manner: Manner,
    random: Random,
    fault: Option<Fault>,
    input: Vec<u8>,
    position: usize,
    /// How much of the input lies behind what decides the end.
    ignored: usize,
    /// The peer of a client waits for the request.
    awaits_request: bool,
    /// What has been written.
    output: Vec<u8>,
    /// How much of that the peer has: the transport holds bytes back until it is flushed.
    flushed: usize,
    /// The calls so far.
    calls: usize,
    /// Those that were put off, too.
    turns: usize,
    most_turns: usize,
    /// For each call, whether it was put off.
    put_off: [bool; 5],
    /// The opening handshake has succeeded.
    pub(crate) opened: bool,
    /// The call that broke.
    pub(crate) struck: Option<(Call, Break)>,
    reading: Option<Break>,
    writing: Option<Break>,
    write_failed: bool,
    pub(crate) written_after_failure: bool,
    pub(crate) shut_down: bool,
}

impl Script {
    pub(crate) fn new(session: &Session, manner: Manner, fault: Option<Fault>, seed: u64) -> Self {
        let awaits_request = !matches!(session.role, Role::Server);
        let mut input = if awaits_request { Vec::new() } else { REQUEST.to_vec() };
        input.extend_from_slice(&session.input);
        input.extend_from_slice(&session.ignored);
        let moved = input.len() + session.output.len() + 1000;
        Self {
            manner,
            random: Random::new(seed),
            fault,
            input,
            position: 0,
            ignored: session.ignored.len(),
            awaits_request,
            output: Vec::new(),
            flushed: 0,
            calls: 0,
            turns: 0,
            most_turns: moved * 20,
            put_off: [false; 5],
            opened: false,
            struck: None,
            reading: None,
            writing: None,
            write_failed: false,
            written_after_failure: false,
            shut_down: false,
        }
    }

    /// How many calls did something, or broke.
    pub(crate) const fn calls(&self) -> usize {
        self.calls
    }

    /// Whether the adapter has read the frame that decides the end.
    pub(crate) const fn is_decided(&self) -> bool {
        !self.awaits_request && self.position + self.ignored >= self.input.len()
    }

    /// What was written behind the head of the handshake, and that head.
    pub(crate) fn written(&self) -> (&[u8], &[u8]) {
        let head = end_of_head(&self.output).unwrap_or(self.output.len());
        let (head, frames) = self.output.split_at(head);
        (frames, head)
    }

    /// Whether the peer has everything that was written.
    pub(crate) const fn is_flushed(&self) -> bool {
        self.flushed == self.output.len()
    }

    /// Whether a call can go on now; if not, what comes of it.
    fn begin(&mut self, call: Call) -> Result<(), Turn> {
        self.turns += 1;
        assert!(self.turns < self.most_turns, "no progress: {call:?} again and again");
        let interruptible = match self.manner.interrupts {
            Interrupts::None => false,
            Interrupts::Messages => self.opened && matches!(call, Call::Read | Call::Write),
            Interrupts::All => true,
        };
        if interruptible && self.random.one_in(4) {
            return Err(Turn::Failed(ErrorKind::Interrupted));
        }
        let put_off = match self.manner.delay {
            Delay::Never => false,
            Delay::Always => !self.put_off[call as usize],
            Delay::Random => self.random.one_in(3),
        };
        self.put_off[call as usize] = put_off;
        if put_off {
            return Err(Turn::Blocked);
        }
        self.calls += 1;
        if let Some(fault) =
            self.fault.filter(|fault| self.struck.is_none() && self.calls > fault.at)
        {
            self.struck = Some((call, fault.kind));
            let lasting = match fault.kind {
                Break::Error(_) => fault.lasts.then_some(fault.kind),
                // An end is the end, and a stall never ends.
                Break::Zero if call == Call::Read => Some(fault.kind),
                Break::Zero | Break::Gone(_) => None,
                Break::Stall => Some(fault.kind),
            };
            match call {
                _ if matches!(fault.kind, Break::Gone(_)) => {
                    self.reading = Some(Break::Zero);
                    self.writing = Some(Break::Error(ErrorKind::BrokenPipe));
                }
                Call::Read => self.reading = lasting,
                _ => self.writing = lasting,
            }
            self.write_failed = call != Call::Read && fault.kind != Break::Stall;
            return self.broken(call, fault.kind);
        }
        match (call, self.reading, self.writing) {
            (Call::Read, Some(broken), _)
            | (Call::Write | Call::Flush | Call::Shutdown, _, Some(broken)) => {
                self.broken(call, broken)
            }
            _ => Ok(()),
        }
    }

    fn broken(&mut self, call: Call, kind: Break) -> Result<(), Turn> {
        if kind == Break::Stall {
            // It is the clock that bounds this.
            self.turns = 0;
        }
        Err(match (kind, call) {
            (Break::Error(kind) | Break::Gone(kind), _) => Turn::Failed(kind),
            (Break::Zero, Call::Read | Call::Write) => Turn::Done(0),
            (Break::Zero, _) => Turn::Failed(ErrorKind::Other),
            (Break::Stall, _) => Turn::Stalled,
        })
    }

    /// How many of `most` bytes a call moves, at least one of them.
    fn piece(&mut self, most: usize) -> usize {
        match self.manner.pieces {
            Pieces::Whole => most,
            Pieces::Single => most.min(1),
            Pieces::Random => match self.random.below(4) {
                0 => most.min(1),
                1 => most,
                _ => self.random.below(most).max(1).min(most),
            },
        }
    }

    /// Gives bytes into `room`; 0 is the end.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Turn {
        if self.awaits_request && self.reading.is_none() {
            let Some(end) = end_of_head(&self.output[..self.flushed]) else {
                // Nothing comes before the request is out; who waits for it here waits for ever.
                self.turns += 1;
                return Turn::Stalled;
            };
            self.awaits_request = false;
            self.input.splice(..0, switching(&self.output[..end]));
        }
        if let Err(turn) = self.begin(Call::Read) {
            return turn;
        }
        let left = self.input.len() - self.position;
        let count = self.piece(left.min(room.len()));
        room[..count].copy_from_slice(&self.input[self.position..][..count]);
        self.position += count;
        Turn::Done(count)
    }

    /// Takes bytes.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> Turn {
        if let Err(turn) = self.begin(Call::Write) {
            return turn;
        }
        assert!(!self.shut_down, "nothing is written behind the end");
        self.written_after_failure |= self.write_failed;
        let mut left = self.piece(slices.iter().map(|slice| slice.len()).sum());
        let taken = left;
        for slice in slices {
            let count = slice.len().min(left);
            self.output.extend_from_slice(&slice[..count]);
            left -= count;
        }
        Turn::Done(taken)
    }

    pub(crate) fn flush(&mut self) -> Turn {
        if let Err(turn) = self.begin(Call::Flush) {
            return turn;
        }
        self.flushed = self.output.len();
        Turn::Done(0)
    }

    pub(crate) fn shut_down(&mut self) -> Turn {
        if let Err(turn) = self.begin(Call::Shutdown) {
            return turn;
        }
        self.flushed = self.output.len();
        self.shut_down = true;
        Turn::Done(0)
    }

    /// Both directions end, without a flush.
    pub(crate) fn close(&mut self) -> Turn {
        if let Err(turn) = self.begin(Call::Close) {
            return turn;
        }
        self.shut_down = true;
        Turn::Done(0)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

/// The 101 to a request.
fn switching(request: &[u8]) -> Vec<u8> {
    let request = std::str::from_utf8(request).unwrap();
    let key = request.split("Sec-WebSocket-Key: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let accept = AcceptKey::for_key(key.as_bytes());
    let start = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: ";
    [&start[..], accept.as_bytes(), b"\r\n\r\n"].concat()
}
