//! Every transition of a connection's state, in one function (RFC 6455 sections 4, 5.5.1 and 7).
//!
//! ```text
//!                 Opened                LocalClose
//!  Connecting ------------> Open -------------------> CloseSent
//!      |                     |  \                         |
//!      |                     |   \ Fault                  | PeerClose
//!      |           PeerClose |    \--------> Failing      |
//!      |                     v                  |         |
//!      |                 Finishing <------------|---------+
//!      |                     |                  |
//!      +---------------------+------------------+--> Closed   (Eof, Deadline, TransportFailed)
//! ```

use crate::ready_state::ReadyState;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The opening handshake is under way.
    Connecting,
    /// Messages flow.
    Open,
    /// Our Close frame is queued or sent, the peer's has not come.
    CloseSent,
    /// Both sides' Close frames exist; what remains is to end TCP.
    Finishing,
    /// The connection has failed: our Close frame is queued or sent, input is discarded until the
    /// peer ends TCP or the deadline comes, so that the peer can read the Close frame.
    Failing,
    /// Over.
    Closed,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The opening handshake succeeded.
    Opened,
    /// The application closes.
    LocalClose,
    /// The peer's Close frame came.
    PeerClose,
    /// The peer broke a rule, or the application fails the connection (section 7.1.7).
    Fault,
    /// The peer ended its side of TCP.
    Eof,
    /// The opening or the closing deadline passed.
    Deadline,
    /// TCP broke: nothing can be sent any more.
    TransportFailed,
}

/// What a transition asks for, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Queue our Close frame.
    pub(crate) send_close: bool,
    /// End our side of TCP once everything queued is out.
    pub(crate) shutdown_write: bool,
    /// Close TCP once everything queued is out.
    pub(crate) close_transport: bool,
    /// Forget everything queued and close TCP at once.
    pub(crate) abort_transport: bool,
}

const NOTHING: Effects = Effects {
    send_close: false,
    shutdown_write: false,
    close_transport: false,
    abort_transport: false,
};
const SEND_CLOSE: Effects = Effects { send_close: true, ..NOTHING };
const SHUT_DOWN: Effects = Effects { shutdown_write: true, ..NOTHING };
const SEND_CLOSE_AND_SHUT_DOWN: Effects = Effects { shutdown_write: true, ..SEND_CLOSE };
const CLOSE_TRANSPORT: Effects = Effects { close_transport: true, ..NOTHING };
const ABORT_TRANSPORT: Effects = Effects { abort_transport: true, ..NOTHING };

impl Phase {
    /// The phase as everybody knows it.
    pub(crate) const fn ready_state(self) -> ReadyState {
        match self {
            Self::Connecting => ReadyState::Connecting,
            Self::Open => ReadyState::Open,
            Self::CloseSent | Self::Finishing | Self::Failing => ReadyState::Closing,
            Self::Closed => ReadyState::Closed,
        }
    }

    /// Whether frames are still read. After the peer's Close or a fault, input is swallowed
    /// (RFC 6455 sections 5.5.1 and 7.1.7).
    pub(crate) const fn reads_frames(self) -> bool {
        matches!(self, Self::Open | Self::CloseSent)
    }

    /// The phase after `action`, and what is to be done.
    ///
    /// After both Close frames the server ends TCP first and the client waits for it (section
    /// 7.1.1). A side that failed the connection ends its own direction at once, whichever it is.
    pub(crate) const fn after(self, action: Action, is_client: bool) -> (Self, Effects) {
        use Action as A;
        use Phase as P;
        match (self, action) {
            (P::Connecting, A::Opened) => (P::Open, NOTHING),
            (P::Connecting, A::LocalClose | A::Fault | A::Eof) => (P::Closed, CLOSE_TRANSPORT),

            (P::Open, A::LocalClose) => (P::CloseSent, SEND_CLOSE),
            (P::Open, A::PeerClose) if is_client => (P::Finishing, SEND_CLOSE),
            (P::Open, A::PeerClose) => (P::Finishing, SEND_CLOSE_AND_SHUT_DOWN),
            (P::Open, A::Fault) => (P::Failing, SEND_CLOSE_AND_SHUT_DOWN),

            (P::CloseSent, A::PeerClose) if is_client => (P::Finishing, NOTHING),
            (P::CloseSent, A::PeerClose) => (P::Finishing, SHUT_DOWN),
            (P::CloseSent, A::Fault) => (P::Failing, SHUT_DOWN),

            // What is queued still goes out: a peer may send its Close, end its side of TCP, and
            // wait for ours.
            (P::Open | P::CloseSent | P::Finishing | P::Failing, A::Eof) => {
                (P::Closed, CLOSE_TRANSPORT)
            }

            // Past a deadline the transport may be stuck: nothing more is tried.
            (P::Connecting | P::CloseSent | P::Finishing | P::Failing, A::Deadline)
            | (
                P::Connecting | P::Open | P::CloseSent | P::Finishing | P::Failing,
                A::TransportFailed,
            ) => (P::Closed, ABORT_TRANSPORT),

            // Frames are not read while connecting, and no deadline runs while open.
            (P::Connecting, A::PeerClose)
            | (P::Open, A::Opened | A::Deadline)
            | (P::CloseSent, A::Opened | A::LocalClose)
            | (P::Finishing | P::Failing, A::Opened | A::LocalClose | A::PeerClose | A::Fault)
            | (
                P::Closed,
                A::Opened
                | A::LocalClose
                | A::PeerClose
                | A::Fault
                | A::Eof
                | A::Deadline
                | A::TransportFailed,
            ) => (self, NOTHING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: [Action; 7] = [
        Action::Opened,
        Action::LocalClose,
        Action::PeerClose,
        Action::Fault,
        Action::Eof,
        Action::Deadline,
        Action::TransportFailed,
    ];

    /// Every sequence of actions up to `depth`, from `phase`, for one side.
    fn walk(phase: Phase, is_client: bool, depth: u32, closes: u32, ends: u32, seen: &mut u64) {
        *seen += 1;
        assert!(closes <= 1, "a second Close frame");
        assert_eq!(ends, u32::from(phase == Phase::Closed), "one end, with the last state");
        if depth == 0 {
            return;
        }
        for action in ACTIONS {
            let (next, effects) = phase.after(action, is_client);
            assert!(next.ready_state() >= phase.ready_state(), "{phase:?} {action:?}");
            if next == phase {
                assert_eq!(effects, NOTHING, "{phase:?} {action:?}");
            }
            if phase == Phase::Closed {
                assert_eq!(next, Phase::Closed);
            }
            let closes = closes + u32::from(effects.send_close);
            let ends = ends + u32::from(effects.close_transport || effects.abort_transport);
            walk(next, is_client, depth - 1, closes, ends, seen);
        }
    }

    #[test]
    fn every_sequence_to_depth_6_only_goes_forward_and_ends_once() {
        for is_client in [false, true] {
            let mut seen = 0;
            walk(Phase::Connecting, is_client, 6, 0, 0, &mut seen);
            assert_eq!(seen, (7_u64.pow(7) - 1) / 6);
        }
    }

    #[test]
    fn server_ends_tcp_first_and_client_waits() {
        let (_, server) = Phase::CloseSent.after(Action::PeerClose, false);
        let (_, client) = Phase::CloseSent.after(Action::PeerClose, true);
        assert!(server.shutdown_write && !client.shutdown_write);
    }
}
