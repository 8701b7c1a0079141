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
    /// Whether it was up.
    pub was_open: bool,
}

impl Ending {
    /// The attempt to connect failed.
    #[must_use]
    pub const fn not_connected(cause: Error) -> Self {
        Self { close: CloseEvent::abnormal(), cause: Some(cause), was_open: false }
    }

    /// The connection, or the attempt, was given up at the application's wish.
    #[must_use]
    pub const fn aborted() -> Self {
        Self { close: CloseEvent::abnormal(), cause: None, was_open: false }
    }

    /// The connection ended with this outcome, and with this error if a reading method gave one.
    #[must_use]
    pub fn of(outcome: Option<CloseOutcome<'_>>, cause: Option<Error>) -> Self {
        let close = outcome.map_or_else(CloseEvent::abnormal, |outcome| {
            CloseEvent::new(outcome.status, outcome.reason, outcome.was_clean)
        });
        Self { close, cause, was_open: true }
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
    /// - not where the request could not even be made: a URL or a field that cannot be sent, or
    ///   TLS that is not there or does not trust the server;
    /// - after everything else.
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
            // A certificate may be renewed, or a clock set right; nothing else changes by waiting.
            Some(Error::Tls(error)) => {
                matches!(**error, TlsError::Expired(_) | TlsError::NotYetValid(_) | TlsError::Ended)
            }
            Some(_) | None => true,
        }
    }
}
