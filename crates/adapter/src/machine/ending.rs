//! How a connection ended, as its driver knows it.

use duologue_core::reconnect::CloseEvent;
use duologue_core::{CloseCode, CloseOutcome};

use crate::error::Error;
use crate::tls_error::TlsError;

/// How a connection ended, or why there was none.
#[derive(Debug)]
pub struct Ending {
    /// What the peer's Close frame told.
    pub close: CloseEvent,
    /// Why, if it did not end by a closing handshake.
    pub cause: Option<Error>,
    /// Whether it was up, and was not given up at the application's wish.
    pub was_open: bool,
    /// How many messages it was handed of which it had not begun to write any byte. Filled in by
    /// [`Shared::closed`](crate::machine::Shared::closed).
    pub unbegun: usize,
}

impl Ending {
    /// The attempt to connect failed.
    #[must_use]
    pub const fn not_connected(cause: Error) -> Self {
        Self { close: CloseEvent::abnormal(), cause: Some(cause), was_open: false, unbegun: 0 }
    }

    /// The connection, or the attempt, was given up at the application's wish.
    #[must_use]
    pub const fn aborted() -> Self {
        Self { close: CloseEvent::abnormal(), cause: None, was_open: false, unbegun: 0 }
    }

    /// The connection ended with this outcome, and with this error if a reading method gave one.
    #[must_use]
    pub fn of(outcome: Option<CloseOutcome<'_>>, cause: Option<Error>) -> Self {
        let close = outcome.map_or_else(CloseEvent::abnormal, |outcome| {
            CloseEvent::new(outcome.status, outcome.reason, outcome.was_clean)
        });
        Self { close, cause, was_open: true, unbegun: 0 }
    }

    /// Whether this end failed the connection (RFC 6455 section 7.1.7), or never had one; rather
    /// than that it was closed or lost.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        match &self.cause {
            None => false,
            Some(Error::ConnectionLost | Error::Io(_)) => !self.was_open,
            Some(_) => true,
        }
    }

    /// Whether to connect again makes sense, unless the application knows better:
    ///
    /// - not after a closing handshake with 1000, by which the peer has said that it is done
    ///   (RFC 6455 section 7.4.1), nor with 1008, by which it refuses;
    /// - not after 401, 403 or 407 in answer to the request, which the same request would meet
    ///   again;
    /// - not where no connection can be made as things are: a URL or a field that cannot be sent,
    ///   TLS that is not there, or a certificate that is not trusted, be it the server's or ours,
    ///   unless it is only too early or too late for it;
    /// - after everything else, and so after whatever ended a connection that was up.
    #[must_use]
    pub fn is_worth_retrying(&self) -> bool {
        let final_code = [CloseCode::NORMAL, CloseCode::POLICY_VIOLATION]
            .iter()
            .any(|code| self.close.code == code.get());
        if final_code && self.cause.is_none() {
            return false;
        }
        match &self.cause {
            Some(Error::Opening(failure)) => {
                let status = failure.response.as_ref().map(|response| response.status);
                !matches!(status, Some(401 | 403 | 407))
            }
            Some(Error::InvalidRequest(_) | Error::Url(_) | Error::TlsUnavailable) => false,
            // A certificate may be renewed, or a clock set right.
            Some(Error::Tls(error)) => {
                let untrusted = matches!(
                    **error,
                    TlsError::UnknownIssuer
                        | TlsError::WrongHost { .. }
                        | TlsError::Revoked
                        | TlsError::InvalidCertificate(_)
                        | TlsError::ClientCertificateRequired
                        | TlsError::CertificateRefused(_)
                        | TlsError::InvalidPem(_)
                        | TlsError::InvalidKey(_)
                        | TlsError::NoPlatformRoots(_)
                );
                self.was_open || !untrusted
            }
            Some(_) | None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use duologue_core::handshake::HandshakeError;
    use duologue_core::opening::{OpeningFailure, ResponseHead};
    use duologue_core::{CloseStatus, ProtocolError};

    use super::*;

    fn closed(code: u16) -> Ending {
        let status = CloseCode::new(code).map_or(CloseStatus::Abnormal, CloseStatus::Code);
        let close = CloseEvent::new(status, "", code != 1006);
        Ending { close, cause: None, was_open: true, unbegun: 0 }
    }

    fn refused(status: u16) -> Ending {
        let response = ResponseHead { status, fields: Vec::new(), body: bytes::Bytes::new() };
        let error = HandshakeError::UnexpectedStatus(status);
        Ending::not_connected(OpeningFailure { error, response: Some(Box::new(response)) }.into())
    }

    fn tls(error: TlsError) -> Ending {
        Ending::not_connected(Error::Tls(Box::new(error)))
    }

    #[test]
    fn what_the_peer_has_decided_is_not_tried_again() {
        for (code, retried) in
            [(1000, false), (1001, true), (1006, true), (1008, false), (1011, true), (3000, true)]
        {
            assert_eq!(closed(code).is_worth_retrying(), retried, "{code}");
        }
        for (status, retried) in
            [(401, false), (403, false), (407, false), (404, true), (429, true), (503, true)]
        {
            assert_eq!(refused(status).is_worth_retrying(), retried, "{status}");
        }
    }

    #[test]
    fn what_waiting_cannot_mend_is_not_tried_again() {
        assert!(!Ending::not_connected(Error::TlsUnavailable).is_worth_retrying());
        for (error, retried) in [
            (TlsError::UnknownIssuer, false),
            (TlsError::WrongHost { host: String::new(), names: Vec::new() }, false),
            (TlsError::Revoked, false),
            (TlsError::ClientCertificateRequired, false),
            (TlsError::CertificateRefused(String::new()), false),
            (TlsError::InvalidKey(String::new()), false),
            (TlsError::Expired(None), true),
            (TlsError::NotYetValid(None), true),
            (TlsError::NotTls, true),
            (TlsError::Ended, true),
            (TlsError::Other("an internal error".into()), true),
        ] {
            let ending = tls(error);
            assert_eq!(ending.is_worth_retrying(), retried, "{:?}", ending.cause);
        }
        let up = Ending::of(None, Some(Error::Tls(Box::new(TlsError::Revoked))));
        assert!(up.is_worth_retrying(), "it was up");
    }

    #[test]
    fn what_was_lost_is_tried_again_and_is_no_failure_unless_it_was_never_up() {
        let reset = || Error::Io(io::ErrorKind::ConnectionReset.into());
        assert!(Ending::not_connected(reset()).is_worth_retrying());
        assert!(Ending::not_connected(reset()).is_failure());
        for cause in [reset(), Error::ConnectionLost] {
            let lost = Ending::of(None, Some(cause));
            assert!(lost.is_worth_retrying() && !lost.is_failure());
        }
        let pong = Ending::of(None, Some(Error::Protocol(ProtocolError::PongTimeout)));
        assert!(pong.is_worth_retrying() && pong.is_failure());
        assert!(!closed(1000).is_failure());
    }
}
