//! The same bytes to us and to other implementations: the same messages, and an error for the same
//! streams, but for the differences that `differences.md` lists.
#![no_main]

mod peers;
#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use duologue_core::{Config, ProtocolError as Fault};
use libfuzzer_sys::fuzz_target;
use peers::{Accepted, LIMIT, Peer, Verdict};
use support::reference::Heard;
use support::{End, Listener, T0, from_peer, opened};

const CONFIG: Config = Config {
    max_message_length: LIMIT as u64,
    max_frame_length: LIMIT as u64,
    max_empty_fragments: u32::MAX,
    ..Config::DEFAULT
};

/// A frame, read without any judgement.
#[derive(Clone, Copy, Debug)]
struct Frame {
    first: u8,
    length: u64,
    /// Whether all of it has come.
    is_whole: bool,
}

impl Frame {
    fn fin(self) -> bool {
        self.first & 0x80 != 0
    }

    fn opcode(self) -> u8 {
        self.first & 0x0F
    }
}

/// What we make of a stream.
struct Ours {
    heard: Vec<Accepted>,
    fault: Option<Fault>,
    /// The frames up to the one at fault, or all.
    frames: Vec<Frame>,
    /// The code of the Close frame that was accepted.
    close_code: Option<u16>,
}

/// We and one of the peers, at odds.
struct Case<'a> {
    peer: Peer,
    ours: &'a Ours,
    theirs: &'a Verdict,
}

/// Where they go on, and we do not: entries of `differences.md`.
const THEY_GO_ON: [fn(&Case<'_>) -> bool; 10] = [
    waits_for_the_rest_of_the_frame,
    lets_texts_be_anything,
    accepts_unmasked_frames,
    accepts_masked_frames,
    accepts_lengths_that_are_not_minimal,
    accepts_any_close_code,
    accepts_long_control_frames,
    begins_a_message_inside_another,
    ends_texts_inside_a_character,
    loses_the_message_around_a_pong,
];

/// Where they stop, and we do not, or not yet: entries of `differences.md`.
const THEY_STOP: [fn(&Case<'_>) -> bool; 3] = [
    loses_the_message_around_a_pong,
    refuses_close_code_1014,
    judges_half_a_close_code_by_its_header,
];

/// Entry 1: we judge each byte as it comes, and they whole headers or frames.
fn waits_for_the_rest_of_the_frame(case: &Case<'_>) -> bool {
    let is_cut = case.ours.frames.last().is_some_and(|frame| !frame.is_whole);
    case.ours.fault.is_some()
        && is_cut
        && case.theirs.error.is_none()
        && case.theirs.heard == case.ours.heard
}

/// Entry 2: soketto leaves UTF-8 to its caller.
fn lets_texts_be_anything(case: &Case<'_>) -> bool {
    case.peer == Peer::Soketto && case.ours.fault == Some(Fault::InvalidUtf8)
}

/// Entry 3: a server that does not insist on masking.
fn accepts_unmasked_frames(case: &Case<'_>) -> bool {
    matches!(case.peer, Peer::Fastwebsockets | Peer::Soketto)
        && case.ours.fault == Some(Fault::UnmaskedFrameFromClient)
}

/// Entry 4: a client that takes masked frames.
fn accepts_masked_frames(case: &Case<'_>) -> bool {
    matches!(case.peer, Peer::Fastwebsockets | Peer::Soketto)
        && case.ours.fault == Some(Fault::MaskedFrameFromServer)
}

/// Entry 5: any form of a length will do.
fn accepts_lengths_that_are_not_minimal(case: &Case<'_>) -> bool {
    let is_long_form = match case.ours.fault {
        Some(Fault::NonMinimalLength) => true,
        // A control frame cannot have a longer form at all.
        Some(Fault::ControlFrameTooLong) => {
            case.ours.frames.last().is_some_and(|frame| frame.length <= 125)
        }
        _ => false,
    };
    case.peer != Peer::TokioWebsockets && is_long_form
}

/// Entry 6: a Close frame whose code may not be sent, or that holds half of one.
fn accepts_any_close_code(case: &Case<'_>) -> bool {
    match case.ours.fault {
        Some(Fault::InvalidCloseCode(_)) => {
            matches!(case.peer, Peer::Tungstenite | Peer::Soketto)
        }
        Some(Fault::CloseBodyTooShort) => case.peer == Peer::Soketto,
        _ => false,
    }
}

/// Entry 7: a Pong or a Close of over 125 bytes.
fn accepts_long_control_frames(case: &Case<'_>) -> bool {
    case.peer == Peer::Fastwebsockets
        && case.ours.fault == Some(Fault::ControlFrameTooLong)
        && case.ours.frames.last().is_some_and(|frame| frame.opcode() != 9)
}

/// Entry 8: the first fragment of another message drops the one in progress.
fn begins_a_message_inside_another(case: &Case<'_>) -> bool {
    case.peer == Peer::Fastwebsockets
        && case.ours.fault == Some(Fault::ExpectedContinuation)
        && case.ours.frames.last().is_some_and(|frame| !frame.fin())
}

/// Entry 9: what is left of a character when a text in fragments ends is dropped, or let through
/// if the last fragment is empty.
fn ends_texts_inside_a_character(case: &Case<'_>) -> bool {
    let is_last = |frame: &Frame| frame.fin() && frame.opcode() == 0;
    case.ours.fault == Some(Fault::InvalidUtf8)
        && case.ours.frames.last().is_some_and(|frame| match case.peer {
            Peer::Fastwebsockets => is_last(frame),
            Peer::TokioWebsockets => is_last(frame) && frame.length == 0,
            Peer::Tungstenite | Peer::Soketto => false,
        })
}

/// Entry 10: a Pong between fragments makes it forget the message.
fn loses_the_message_around_a_pong(case: &Case<'_>) -> bool {
    let mut in_message = false;
    let mut lost = false;
    for frame in &case.ours.frames {
        match frame.opcode() {
            0..=2 => in_message = !frame.fin(),
            10 => lost |= in_message,
            _ => {}
        }
    }
    case.peer == Peer::Soketto && lost
}

/// Entry 11: a code that was registered after RFC 6455.
fn refuses_close_code_1014(case: &Case<'_>) -> bool {
    case.peer == Peer::Fastwebsockets
        && case.ours.fault.is_none()
        && case.ours.close_code == Some(1014)
}

/// Entry 12: a Close frame of one byte is refused before that byte has come.
fn judges_half_a_close_code_by_its_header(case: &Case<'_>) -> bool {
    let is_half = |frame: &Frame| frame.opcode() == 8 && frame.length == 1 && !frame.is_whole;
    case.peer == Peer::TokioWebsockets
        && case.ours.fault.is_none()
        && case.ours.frames.last().is_some_and(is_half)
}

fn ours(end: End, bytes: &[u8]) -> Ours {
    let mut connection = opened(end, &CONFIG);
    let mut listener = Listener::default();
    let mut judged = bytes.len();
    for (at, byte) in bytes.iter().enumerate() {
        listener.feed(&mut connection, &[*byte], T0);
        if listener.error.is_some() {
            judged = at + 1;
            break;
        }
    }
    let heard = listener.heard.iter().filter_map(|heard| match heard {
        Heard::Text(text) => Some(Accepted::Text(text.as_bytes().to_vec())),
        Heard::Binary(bytes) => Some(Accepted::Binary(bytes.clone())),
        Heard::Close(..) => Some(Accepted::Close),
        Heard::Ping(_) | Heard::Pong(_) => None,
    });
    let close_code = match listener.heard.last() {
        Some(Heard::Close(code, _)) => *code,
        _ => None,
    };
    let frames = frames(bytes, judged);
    Ours { heard: heard.collect(), fault: listener.error, frames, close_code }
}

/// The frames of which at least the first byte lies before `judged`.
fn frames(bytes: &[u8], judged: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < judged {
        let first = bytes[at];
        let second = bytes.get(at + 1).copied().unwrap_or_default();
        let (extended, short) = match second & 0x7F {
            126 => (2, 0),
            127 => (8, 0),
            short => (0, u64::from(short)),
        };
        let length = bytes.iter().skip(at + 2).take(extended);
        let length = length.fold(short, |length, byte| length << 8 | u64::from(*byte));
        let header = 2 + extended + if second & 0x80 == 0 { 0 } else { 4 };
        let payload = usize::try_from(length).unwrap_or(usize::MAX);
        let end = at.saturating_add(header).saturating_add(payload);
        frames.push(Frame { first, length, is_whole: end <= bytes.len() });
        at = end;
    }
    frames
}

fn compare(end: End, bytes: &[u8]) {
    let ours = ours(end, bytes);
    for peer in Peer::ALL {
        let theirs = peer.read(end, bytes);
        if ours.fault.is_some() == theirs.error.is_some() && ours.heard == theirs.heard {
            continue;
        }
        let case = Case { peer, ours: &ours, theirs: &theirs };
        // Up to where the first of the two has stopped, they are of one mind all the same.
        let goes_on = ours.fault.is_some() && theirs.heard.starts_with(&ours.heard);
        let stops = theirs.error.is_some() && ours.heard.starts_with(&theirs.heard);
        let is_known = goes_on && THEY_GO_ON.iter().any(|known| known(&case))
            || stops && THEY_STOP.iter().any(|known| known(&case));
        assert!(
            is_known,
            "{peer:?} at its {end:?}: {theirs:?}; we: {:?} {:?}, {:?}",
            ours.heard,
            ours.fault,
            ours.frames.last(),
        );
    }
}

fuzz_target!(|input: &[u8]| {
    let [manner, bytes @ ..] = input else {
        return;
    };
    let end = if manner & 1 == 0 { End::Server } else { End::Client };
    // Written as a server sends them, and masked on the way, frames are easier to hit upon.
    let masked = from_peer(end, bytes);
    compare(end, if manner & 2 == 0 { bytes } else { &masked });
});
