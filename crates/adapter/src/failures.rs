//! Why a connection failed, kept until it has ended.

use std::io;

use duologue_core::{CloseOutcome, CloseStatus, ProtocolError};

use crate::Error;

/// What went wrong on a connection: kept as it happens, and told once, when the connection has
/// ended.
///
/// A failure does not end a connection at once: a Close frame that says why is written first, and
/// the peer's own may still be read (RFC 6455 section 7.1.7). An adapter hands over every failure
/// of the protocol and of the transport when it comes, drives the endpoint on, and asks
/// [`conclude`](Self::conclude) when the transport is closed:
///
/// - A connection that broke the protocol fails with [`Error::Protocol`], whatever came after it.
/// - Otherwise one on which the peer's Close frame came ended well, whoever began to close, and
///   however TCP ended after it.
/// - Otherwise it is lost: with the error of the transport, [`Error::Io`] or [`Error::Tls`], or
///   with [`Error::ConnectionLost`] if that only ended, even if this end's Close frame was written
///   (RFC 6455 section 7.1.5: such a connection closed with the code 1006).
///
/// ```
/// use duologue_adapter::{Error, Failures};
///
/// let mut failures = Failures::default();
/// assert!(matches!(failures.conclude(None), Err(Error::ConnectionLost)));
/// assert!(failures.conclude(None).is_ok(), "it is told once");
/// ```
#[derive(Debug, Default)]
pub struct Failures {
    protocol: Option<ProtocolError>,
    io: Option<io::Error>,
    told: bool,
}

impl Failures {
    /// The peer broke the protocol, no longer answers, or no longer reads. The first such error is
    /// kept.
    #[cold]
    pub fn protocol(&mut self, error: ProtocolError) {
        self.protocol.get_or_insert(error);
    }

    /// The transport broke. The first such error is kept.
    #[cold]
    pub fn io(&mut self, error: io::Error) {
        self.io.get_or_insert(error);
    }

    /// Whether it has been told how the connection ended.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        self.told
    }

    /// Tells, once, how a connection ended whose endpoint's
    /// [`close_outcome`](duologue_core::Endpoint::close_outcome) is `outcome`. From the second call
    /// on it is `Ok`.
    ///
    /// # Errors
    ///
    /// As described [above](Self).
    pub fn conclude(&mut self, outcome: Option<CloseOutcome<'_>>) -> Result<(), Error> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(());
        }
        let closed_by_peer = outcome.is_some_and(|outcome| outcome.status != CloseStatus::Abnormal);
        match (self.protocol, self.io.take()) {
            (Some(error), _) => Err(Error::Protocol(error)),
            (None, _) if closed_by_peer => Ok(()),
            (None, Some(error)) => Err(Error::from(error)),
            (None, None) => Err(Error::ConnectionLost),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    fn outcome(status: CloseStatus) -> Option<CloseOutcome<'static>> {
        Some(CloseOutcome {
            status,
            reason: "",
            sent: None,
            initiator: None,
            was_clean: false,
            failure: None,
        })
    }

    #[test]
    fn a_fault_is_told_before_all_else_and_the_first_one_once() {
        let mut failures = Failures::default();
        failures.io(ErrorKind::ConnectionReset.into());
        failures.protocol(ProtocolError::PongTimeout);
        failures.protocol(ProtocolError::WriteStalled);
        let told = failures.conclude(outcome(CloseStatus::NoStatus));
        assert!(matches!(told, Err(Error::Protocol(ProtocolError::PongTimeout))));
        assert!(failures.conclude(outcome(CloseStatus::NoStatus)).is_ok());
    }

    #[test]
    fn the_peers_close_frame_makes_a_good_end_however_tcp_ended() {
        let mut failures = Failures::default();
        failures.io(ErrorKind::ConnectionReset.into());
        assert!(failures.conclude(outcome(CloseStatus::NoStatus)).is_ok());
    }

    #[test]
    fn without_the_peers_close_frame_the_connection_is_lost() {
        let lost = Failures::default().conclude(outcome(CloseStatus::Abnormal));
        assert!(matches!(lost, Err(Error::ConnectionLost)));
        let mut failures = Failures::default();
        failures.io(ErrorKind::ConnectionReset.into());
        failures.io(ErrorKind::BrokenPipe.into());
        let told = failures.conclude(outcome(CloseStatus::Abnormal));
        assert!(matches!(told, Err(Error::Io(e)) if e.kind() == ErrorKind::ConnectionReset));
    }
}
