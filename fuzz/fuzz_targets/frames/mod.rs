//! What any bytes to an open connection are held to: the reference decoder's verdict, however they
//! are cut, in bounded memory and in a bounded number of steps.

use duologue_core::{
    CloseCode, Config, Connection, Endpoint, MAX_SLICES, ProtocolError, READ_SIZE, ReadyState,
    TransportStep,
};

use crate::support::counting::counted;
use crate::support::endpoint::{Mode, Reader, endpoint, put, write_all};
use crate::support::reference::{self, Heard, Verdict};
use crate::support::streams::{TIGHT, pieces};
use crate::support::{
    End, Listener, Sent, Side, T0, close_sent, empty_close_sent, from_peer, opened, pong_sent,
    read_back,
};

const UNLIMITED: Config = Config {
    max_message_length: u64::MAX,
    max_frame_length: u64::MAX,
    max_empty_fragments: u32::MAX,
    ..Config::DEFAULT
};

/// How the bytes come.
struct Manner {
    config: Config,
    /// This end has begun to close before.
    closes_first: bool,
    cuts: Vec<usize>,
    /// How often they come for the bound on memory.
    times: usize,
}

/// Checks `end` on what the first two bytes of `input` choose and the rest of it says.
pub(crate) fn check(end: End, input: &[u8]) {
    let [manner, seed, bytes @ ..] = input else {
        return;
    };
    let mut state = u32::from(*seed);
    let cuts = (0..bytes.len()).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Mostly a few bytes, now and then many.
        if state >> 30 == 0 { (state >> 16) as usize % 300 } else { (state >> 24) as usize % 9 }
    });
    let manner = Manner {
        config: if manner & 1 == 0 { UNLIMITED } else { TIGHT },
        closes_first: manner & 2 != 0,
        cuts: cuts.collect(),
        times: 1 + 4 * usize::from(manner >> 4),
    };
    // Written as a server sends them, and masked on the way, they are easier to hit upon.
    let masked = from_peer(end, bytes);
    let bytes = if input[0] & 4 == 0 { bytes } else { &masked };
    let expected = reference::decode(bytes, &end.receiving_rules(&manner.config));
    check_connection(end, &manner, bytes, &expected);
    check_endpoint(end, &manner, bytes, &expected);
    check_memory(end, &manner, bytes);
}

fn connection(end: End, manner: &Manner) -> Connection<Side> {
    let mut connection = opened(end, &manner.config);
    if manner.closes_first {
        connection.close(CloseCode::GOING_AWAY, "bye", T0).unwrap();
    }
    connection
}

fn check_connection(end: End, manner: &Manner, bytes: &[u8], expected: &Verdict) {
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let sent = expected_sent(end, manner, expected);
    let closed = matches!(expected.heard.last(), Some(Heard::Close(..)));
    let mut seen = Vec::new();
    for pieces in [&[bytes][..], &pieces(bytes, &manner.cuts), &single] {
        let mut connection = connection(end, manner);
        let mut listener = Listener::default();
        listener.drain(&mut connection);
        for piece in pieces {
            listener.feed(&mut connection, piece, T0);
        }
        assert_eq!(listener.error, expected.fault);
        assert_eq!(listener.heard, expected.heard);
        assert_eq!(read_back(end, &listener.transmitted), sent);
        let is_over = expected.fault.is_some() || closed;
        let is_closing = is_over || manner.closes_first;
        let state = if is_closing { ReadyState::Closing } else { ReadyState::Open };
        assert_eq!(connection.ready_state(), state);
        if !is_over {
            assert_eq!(connection.payload_remaining(), expected.lacking);
        }
        connection.receive_eof(T0);
        listener.drain(&mut connection);
        assert_eq!(read_back(end, &listener.transmitted[sent.len()..]), [Sent::CloseTransport]);
        let outcome = connection.close_outcome().unwrap();
        assert_eq!(outcome.failure, expected.fault);
        assert_eq!(outcome.was_clean, closed);
        seen.push((listener, format!("{outcome:?}")));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "a cut shows");

    // A connection by itself allocates nothing.
    let mut copy = bytes.to_vec();
    let ((), held, most) = counted(|| {
        let mut connection = connection(end, manner);
        let mut rest = &mut copy[..];
        while !rest.is_empty() {
            let all = rest.len();
            let taken = connection.receive(rest, T0).map_or(all, |received| received.consumed);
            rest = &mut rest[taken..];
            while connection.poll_transmit().is_some() {}
        }
    });
    assert_eq!((held, most), (0, 0), "a connection has allocated");
}

/// What this end sends when it answers each event at once.
fn expected_sent(end: End, manner: &Manner, expected: &Verdict) -> Vec<Sent> {
    let closes_first = manner.closes_first;
    let mut sent = Vec::new();
    if closes_first {
        sent.push(close_sent(1001, "bye"));
    }
    for heard in &expected.heard {
        match heard {
            // RFC 6455 section 5.5.1: nothing follows our Close frame.
            Heard::Ping(payload) if !closes_first => sent.push(pong_sent(payload)),
            Heard::Close(code, _) => {
                if !closes_first {
                    sent.push(code.map_or_else(empty_close_sent, |code| close_sent(code, "")));
                }
                // Section 7.1.1: the server ends TCP first.
                if end == End::Server {
                    sent.push(Sent::ShutdownWrite);
                }
            }
            _ => {}
        }
    }
    if let Some(fault) = expected.fault {
        if !closes_first {
            sent.push(close_sent(fault.close_code().get(), &reason(fault)));
        }
        sent.push(Sent::ShutdownWrite);
    }
    sent
}

/// The reason that the Close frame gives: what the error says, without the numbers in it.
fn reason(fault: ProtocolError) -> String {
    if let ProtocolError::InvalidCloseCode(_) = fault {
        return "invalid close code".into();
    }
    let mut text = fault.to_string();
    text.truncate(text.find(" (close code").unwrap());
    text
}

fn check_endpoint(end: End, manner: &Manner, bytes: &[u8], expected: &Verdict) {
    let heard = expected.heard.iter().map(|heard| match heard {
        Heard::Close(..) => Heard::Close(None, String::new()),
        other => other.clone(),
    });
    let heard: Vec<_> = heard.collect();
    for mode in [Mode::Messages, Mode::Lent, Mode::Chunks] {
        for pieces in [&[bytes][..], &pieces(bytes, &manner.cuts)] {
            let mut endpoint = endpoint(end, &manner.config);
            let mut reader = Reader::default();
            for piece in pieces {
                put(&mut endpoint, piece);
                reader.read(&mut endpoint, mode, T0);
            }
            assert_eq!(reader.heard, heard, "{mode:?}");
            assert_eq!(reader.error, expected.fault, "{mode:?}");
            let (written, _) = write_all(&mut endpoint);
            assert_eq!(reference::decode(&written, &end.sending_rules()).fault, None);
        }
    }
}

/// What `docs/security.md` states, of a connection whose messages are taken and whose output is
/// written.
fn check_memory(end: End, manner: &Manner, bytes: &[u8]) {
    const STATE: usize = 1024;
    const READ: usize = 64 * 1024;
    let limit = usize::try_from(manner.config.max_message_length).unwrap_or(usize::MAX);
    let (steps, come, most) = flooded(end, manner, bytes);
    let write = manner.config.write_high_water + 4096;
    let bound = STATE + READ + 2 * come.min(limit) + write;
    assert!(most <= bound, "{most} bytes held, {come} have come");
    // An event takes two bytes at least; and there may be one error.
    assert!(steps <= come / 2 + 1, "{steps} steps for {come} bytes");
}

/// Reads the bytes `manner.times` times over: how many steps that took, how many bytes came, and
/// how many were held at most.
fn flooded(end: End, manner: &Manner, bytes: &[u8]) -> (usize, usize, usize) {
    let pieces = pieces(bytes, &manner.cuts);
    let ((steps, come), held, most) = counted(|| {
        let mut endpoint = endpoint(end, &manner.config);
        let (mut steps, mut come) = (0, 0);
        for _ in 0..manner.times {
            for piece in pieces.iter().flat_map(|piece| piece.chunks(READ_SIZE)) {
                put(&mut endpoint, piece);
                come += piece.len();
                loop {
                    match endpoint.next_message(T0) {
                        Ok(None) => break,
                        Ok(Some(_)) => drop(endpoint.take_message()),
                        Err(_) => {}
                    }
                    steps += 1;
                }
                write_off(&mut endpoint);
            }
        }
        (steps, come)
    });
    assert_eq!(held, 0, "bytes leaked");
    (steps, come, most.unsigned_abs())
}

/// Writes all that waits, and keeps nothing of it.
fn write_off(endpoint: &mut Endpoint<Side>) {
    while endpoint.transport_step() == TransportStep::Write {
        let mut slices = [&[][..]; MAX_SLICES];
        let count = endpoint.write_slices(&mut slices);
        let length = slices[..count].iter().map(|slice| slice.len()).sum();
        endpoint.wrote(length);
    }
}
