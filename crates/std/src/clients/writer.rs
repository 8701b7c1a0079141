//! The thread that writes what the application sends.

use duologue_adapter::machine::{Command, Machine, Shared};
use duologue_adapter::{CloseCode, Endpoint, ReadyState};

use super::counted::Counted;
use super::link::Link;
use crate::split::WriteHalf;
use crate::transport::TryClone;

/// Carries out what the machine commands, until the connection is over.
pub(super) fn write<S: TryClone, M: Machine>(
    link: &Link<S, M>,
    mut half: WriteHalf<Counted<S, M>>,
) {
    link.writes_here();
    let mut peer_closes = false;
    link.wait(None, || {
        carry_out(link, &mut half);
        if half.ready_state() != ReadyState::Open && !peer_closes {
            peer_closes = true;
            link.while_open(|shared| shared.tell(Machine::peer_closes));
        }
        link.is_over().then_some(())
    });
}

/// What became of the next command.
enum Step {
    /// A message is queued.
    Queued,
    /// What is queued has to be written first.
    NoRoom,
    /// The closing handshake is to begin.
    Close(Option<(CloseCode, String)>),
    /// There is none.
    Nothing,
}

/// Sends what is to be sent, and begins to close. A failure to write shows when reading ends.
fn carry_out<S: TryClone, M: Machine>(link: &Link<S, M>, half: &mut WriteHalf<Counted<S, M>>) {
    // A command is only taken when it can be carried out: a message that was taken by a connection
    // that is closing would be lost.
    let next = |endpoint: &mut Endpoint| match link.while_open(|shared| step(shared, endpoint)) {
        Some(step) => step,
        None => Step::Nothing,
    };
    while let Some(step) = half.queue_if_open(next) {
        match step {
            Step::Queued => {}
            Step::NoRoom => {
                if half.flush().is_err() {
                    return;
                }
            }
            Step::Close(close) => {
                // The machine has judged the reason.
                let _ = match close {
                    Some((code, reason)) => half.start_close(code, &reason),
                    None => half.start_close_without_code(),
                };
                return;
            }
            Step::Nothing => {
                // That all is out is only certain while nothing has failed, on either half.
                if half.flush().is_ok() && half.queue_if_open(|_| ()).is_some() {
                    link.while_open(Shared::all_written);
                }
                return;
            }
        }
    }
}

/// Queues the next message.
fn step<M: Machine>(shared: &Shared<M>, endpoint: &mut Endpoint) -> Step {
    if !endpoint.has_room() {
        return Step::NoRoom;
    }
    match shared.poll_command() {
        Some(Command::Send(message)) => {
            let payload = message.len() as u64;
            let begin = position(shared, endpoint);
            // It can only be refused by a connection that is closing, which this one is not.
            let _ = endpoint.send(message);
            shared.queued(payload, begin, position(shared, endpoint));
            Step::Queued
        }
        Some(Command::Close(close)) => Step::Close(close),
        // The driver sees to it.
        Some(Command::Abort) | None => Step::Nothing,
    }
}

/// Where in the stream of bytes the next message begins. The read half may be writing: what it has
/// written is told by the transport first and then by the endpoint, and so may be counted twice for
/// a moment, which lets `bufferedAmount` fall late rather than early.
fn position<M: Machine>(shared: &Shared<M>, endpoint: &Endpoint) -> u64 {
    shared.position().saturating_add(endpoint.buffered_amount() as u64)
}
