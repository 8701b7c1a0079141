//! What must be true of a session when it has ended, whatever happened to its transport.

use std::io::ErrorKind;

use duologue_adapter::handshake::HandshakeError;
use duologue_adapter::{CloseOutcome, CloseStatus, Error, ProtocolError, Role, SendError};

use super::scripted::{Break, Call, Script};
use super::session::{CLOSED, Ending, Session, Told, unmask};

/// What the application saw.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Why there was no connection.
    pub(crate) refused: Option<Error>,
    pub(crate) events: Vec<Told>,
    pub(crate) failed_sends: Vec<Error>,
    /// How the connection ended: with this error, or well.
    pub(crate) failure: Option<Error>,
    pub(crate) outcome: Option<Outcome>,
}

/// The part of a [`CloseOutcome`] that is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: CloseStatus,
    /// Whether this end's Close frame counts as sent, where that is told.
    pub(crate) sent: Option<bool>,
    pub(crate) was_clean: bool,
}

impl From<CloseOutcome<'_>> for Outcome {
    fn from(outcome: CloseOutcome<'_>) -> Self {
        let CloseOutcome { status, sent, was_clean, .. } = outcome;
        Self { status, sent: Some(sent.is_some()), was_clean }
    }
}

/// Asserts that the report is what this session must come to over this transport.
pub(crate) fn judge(session: &Session, script: &Script, report: &Report) {
    let stalled = matches!(script.struck, Some((_, Break::Stall)));
    judge_output(session, script, report, stalled);
    assert!(session.events.starts_with(&report.events), "told what was not sent, or twice");
    if let Some(refused) = &report.refused {
        assert!(!script.opened && report.events.is_empty());
        assert!(is_right_refusal(session, script, refused), "{refused:?}");
        return;
    }
    let decided = script.is_decided();
    if decided && !stalled {
        assert_eq!(report.events, session.events);
    }
    judge_end(session, script, report, stalled);
    judge_sends(script, &report.failed_sends);
    let outcome = report.outcome.expect("an outcome at the end");
    let closed_by_peer = decided && session.ending != Ending::Fault;
    if closed_by_peer && !stalled {
        assert_eq!(outcome.status, CloseStatus::Code(CLOSED));
    } else if !closed_by_peer {
        assert_eq!(outcome.status, CloseStatus::Abnormal);
    }
    // RFC 6455 section 7.1.4: clean is what ended with both Close frames.
    assert!(!outcome.was_clean || outcome.sent != Some(false) && closed_by_peer, "{outcome:?}");
    if script.struck.is_none() {
        assert!(outcome.sent != Some(false) && outcome.was_clean == closed_by_peer, "{outcome:?}");
    }
}

/// What was written is a beginning of what is to be written; without a fault, all of it.
fn judge_output(session: &Session, script: &Script, report: &Report, stalled: bool) {
    assert!(!script.written_after_failure, "written on behind a gap");
    let (frames, head) = script.written();
    let frames = match session.role {
        Role::Server => frames.to_vec(),
        Role::Client(_) => unmask(frames),
    };
    if !stalled {
        assert!(session.output.starts_with(&frames), "wrote something else");
    }
    let whole = frames == session.output;
    if let Some(outcome) = report.outcome.filter(|_| !stalled) {
        let claimed = outcome.was_clean || outcome.sent == Some(true);
        assert!(!claimed || whole, "a Close frame counts as sent that was not written");
    }
    if script.struck.is_none() {
        let first = if matches!(session.role, Role::Server) { "HTTP/1.1 101 " } else { "GET " };
        assert!(head.starts_with(first.as_bytes()) && head.ends_with(b"\r\n\r\n"));
        assert!(whole, "{} of {} bytes", frames.len(), session.output.len());
        assert!(script.is_flushed(), "held back by the transport");
    }
}

fn is_right_refusal(session: &Session, script: &Script, refused: &Error) -> bool {
    let is_server = matches!(session.role, Role::Server);
    match (script.struck, refused) {
        (Some((Call::Read, Break::Zero)), Error::ConnectionLost)
        | (Some((Call::Read, Break::Stall)), Error::Handshake(HandshakeError::TimedOut)) => {
            is_server
        }
        (Some((Call::Read, Break::Zero)), Error::Opening(failure)) => {
            !is_server && failure.error == HandshakeError::EndedEarly
        }
        (Some((_, Break::Stall)), Error::OpeningTimeout) => true,
        (Some((call, kind)), Error::Io(error)) => Some(error.kind()) == kind_of(call, kind),
        _ => false,
    }
}

/// The kind of error that a call fails with when it breaks.
const fn kind_of(call: Call, kind: Break) -> Option<ErrorKind> {
    match (call, kind) {
        (_, Break::Error(kind) | Break::Gone(kind)) => Some(kind),
        (Call::Read, Break::Zero) | (_, Break::Stall) => None,
        (Call::Write, Break::Zero) => Some(ErrorKind::WriteZero),
        (_, Break::Zero) => Some(ErrorKind::Other),
    }
}

/// The one error at the end, or none.
fn judge_end(session: &Session, script: &Script, report: &Report, stalled: bool) {
    let failure = report.failure.as_ref();
    let right = match (script.struck, failure) {
        // The peer or the transport takes or gives nothing any more: a deadline ends it.
        (_, Some(Error::Protocol(ProtocolError::WriteStalled | ProtocolError::PongTimeout))) => {
            stalled
        }
        (_, Some(Error::ConnectionLost)) if stalled => true,
        // What the peer has said decides, whatever broke behind it or in the other direction.
        _ if script.is_decided() => match session.ending {
            Ending::Peer | Ending::Application => failure.is_none(),
            Ending::Fault => {
                matches!(failure, Some(Error::Protocol(ProtocolError::ReservedOpcode)))
            }
        },
        (Some((Call::Read, Break::Zero)), Some(Error::ConnectionLost)) => true,
        (
            Some((Call::Read, Break::Error(kind)) | (_, Break::Gone(kind))),
            Some(Error::Io(error)),
        ) => error.kind() == kind,
        _ => false,
    };
    assert!(right, "ended with {failure:?}, decided: {}", script.is_decided());
}

/// Sending fails when writing has failed, and not otherwise.
fn judge_sends(script: &Script, failed: &[Error]) {
    for error in failed {
        let right = match (script.struck, error) {
            (Some((_, Break::Stall)), error) => matches!(
                error,
                Error::Send(SendError::Closing | SendError::MessageInProgress)
                    | Error::ConnectionLost
                    | Error::Io(_)
                    | Error::Protocol(ProtocolError::WriteStalled)
            ),
            // A message in fragments that could not go on stays open.
            (Some((call, _)), Error::Send(SendError::Closing | SendError::MessageInProgress)) => {
                call != Call::Read
            }
            (Some((call, kind)), Error::Io(error)) => {
                let kinds = [kind_of(call, kind), Some(ErrorKind::BrokenPipe)];
                call != Call::Read && kinds.contains(&Some(error.kind()))
            }
            _ => false,
        };
        assert!(right, "sending failed with {error:?}");
    }
}
