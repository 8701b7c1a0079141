//! The failures of `rustls` in our words.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::tls_error::TlsError;

/// An error of a stream with its TLS failure in our words: [`crate::Error::from`] then tells it as
/// [`crate::Error::Tls`]. Another error stays as it is.
#[must_use]
pub fn into_tls_io_error(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(failure) => io::Error::new(io::ErrorKind::InvalidData, into_tls_error(failure)),
        None => error,
    }
}

/// A failure of `rustls` in our words.
#[must_use]
pub fn into_tls_error(error: &Error) -> TlsError {
    match error {
        Error::InvalidCertificate(error) => certificate_error(error),
        Error::NoCertificatesPresented => TlsError::ClientCertificateRequired,
        Error::AlertReceived(alert) => alert_error(*alert),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::InvalidEmptyPayload
            | InvalidMessage::MessageTooLarge,
        ) => TlsError::NotTls,
        Error::PeerIncompatible(why) => {
            TlsError::Other(format!("the two ends have no TLS in common: {why:?}"))
        }
        Error::NoApplicationProtocol => {
            TlsError::Other("the peer does not want to speak HTTP/1.1 over TLS".into())
        }
        Error::InconsistentKeys(_) => {
            TlsError::InvalidKey("it is not that of the certificate".into())
        }
        error => TlsError::Other(error.to_string()),
    }
}

fn certificate_error(error: &CertificateError) -> TlsError {
    match error {
        CertificateError::UnknownIssuer => TlsError::UnknownIssuer,
        CertificateError::NotValidForName => {
            TlsError::WrongHost { host: String::new(), names: Vec::new() }
        }
        CertificateError::NotValidForNameContext { expected, presented } => TlsError::WrongHost {
            host: expected.to_str().into_owned(),
            names: presented.iter().map(|name| plain_name(name)).collect(),
        },
        CertificateError::Expired => TlsError::Expired(None),
        CertificateError::ExpiredContext { not_after, .. } => TlsError::Expired(time(*not_after)),
        CertificateError::NotValidYet => TlsError::NotYetValid(None),
        CertificateError::NotValidYetContext { not_before, .. } => {
            TlsError::NotYetValid(time(*not_before))
        }
        CertificateError::Revoked => TlsError::Revoked,
        CertificateError::BadEncoding => {
            TlsError::InvalidCertificate("it cannot be decoded".into())
        }
        CertificateError::BadSignature => {
            TlsError::InvalidCertificate("its signature is wrong".into())
        }
        error => TlsError::InvalidCertificate(error.to_string()),
    }
}

/// A name without the kind of name that stands around it, as in `DnsName("a.example")`.
fn plain_name(name: &str) -> String {
    name.split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .map_or(name, |inner| inner.trim_matches('"'))
        .to_owned()
}

fn time(at: UnixTime) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(at.as_secs()))
}

/// What a peer's alert says (RFC 8446 section 6.2).
fn alert_error(alert: AlertDescription) -> TlsError {
    let refused = |why: &str| TlsError::CertificateRefused(why.into());
    match alert {
        AlertDescription::CertificateRequired => TlsError::ClientCertificateRequired,
        AlertDescription::UnknownCA => refused("it was issued by an authority unknown there"),
        AlertDescription::CertificateExpired => refused("it has expired, or is not valid yet"),
        AlertDescription::CertificateRevoked => refused("it has been revoked"),
        AlertDescription::UnsupportedCertificate => refused("it is of a kind not supported there"),
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => refused("it is not acceptable there"),
        AlertDescription::ProtocolVersion => {
            TlsError::Other("the two ends have no version of TLS in common".into())
        }
        AlertDescription::UnrecognisedName => {
            TlsError::Other("the server does not know the host name".into())
        }
        AlertDescription::NoApplicationProtocol => {
            TlsError::Other("the peer does not want to speak HTTP/1.1 over TLS".into())
        }
        alert => TlsError::Other(format!("the peer ended TLS with the alert {alert:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_without_its_kind() {
        for (name, plain) in [
            ("DnsName(\"a.example\")", "a.example"),
            ("IpAddress(127.0.0.1)", "127.0.0.1"),
            ("a.example", "a.example"),
        ] {
            assert_eq!(plain_name(name), plain);
        }
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        let error = into_tls_io_error(io::ErrorKind::ConnectionReset.into());
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(error.get_ref().is_none());
    }
}
