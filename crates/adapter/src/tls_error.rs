//! What can go wrong with TLS, in words that tell what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Why there is no TLS connection, or no longer one.
///
/// The certificate that a variant speaks of is the server's where a client tells it, and the
/// client's where a server does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// No authority that is trusted here has issued the certificate.
    UnknownIssuer,
    /// The server's certificate is for other names.
    WrongHost {
        /// The name or the IP address that was asked for; empty where the platform does not tell.
        host: String,
        /// The names that the certificate is for; empty where the platform does not tell.
        names: Vec<String>,
    },
    /// The certificate is no longer valid; since when, as far as that is known.
    Expired(Option<SystemTime>),
    /// The certificate is not valid yet; from when on it is, as far as that is known.
    NotYetValid(Option<SystemTime>),
    /// The authority has revoked the certificate.
    Revoked,
    /// The certificate is not acceptable for another reason.
    InvalidCertificate(String),
    /// The server asks for a client certificate, and the client has shown none.
    ClientCertificateRequired,
    /// The peer does not accept the certificate that it was shown, for this reason.
    CertificateRefused(String),
    /// What came is no TLS: perhaps the peer speaks plain HTTP on this port.
    NotTls,
    /// The peer ended the connection before TLS was established.
    Ended,
    /// What was given as certificates is no PEM text with certificates, or they cannot be used.
    InvalidPem(String),
    /// What was given as a private key is none, or is not that of the certificate.
    InvalidKey(String),
    /// The platform's trusted certificates cannot be had.
    NoPlatformRoots(String),
    /// Something else, such as that the two ends have no version of TLS in common.
    Other(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => {
                f.write_str("the certificate was issued by an unknown authority")
            }
            Self::WrongHost { host, names } => write_wrong_host(f, host, names),
            Self::Expired(None) => f.write_str("the certificate has expired"),
            Self::Expired(Some(at)) => {
                f.write_str("the certificate expired on ")?;
                write_date(f, *at)
            }
            Self::NotYetValid(None) => f.write_str("the certificate is not valid yet"),
            Self::NotYetValid(Some(at)) => {
                f.write_str("the certificate is not valid before ")?;
                write_date(f, *at)
            }
            Self::Revoked => f.write_str("the certificate has been revoked"),
            Self::InvalidCertificate(why) => write!(f, "the certificate is not valid: {why}"),
            Self::ClientCertificateRequired => {
                f.write_str("the server asks for a client certificate, and there was none")
            }
            Self::CertificateRefused(why) => write!(f, "the peer refused our certificate: {why}"),
            Self::NotTls => f.write_str("the peer does not speak TLS"),
            Self::Ended => f.write_str("the peer ended the connection within the TLS handshake"),
            Self::InvalidPem(why) => write!(f, "no usable certificate: {why}"),
            Self::InvalidKey(why) => write!(f, "no usable private key: {why}"),
            Self::NoPlatformRoots(why) => {
                write!(f, "the platform's trusted certificates are not to be had: {why}")
            }
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl StdError for TlsError {}

fn write_wrong_host(f: &mut fmt::Formatter<'_>, host: &str, names: &[String]) -> fmt::Result {
    f.write_str("the server's certificate is for other host names")?;
    if !host.is_empty() {
        write!(f, " than {host}")?;
    }
    if !names.is_empty() {
        write!(f, ": {}", names.join(", "))?;
    }
    Ok(())
}

/// Writes a day, as 2026-01-31, in UTC.
fn write_date(f: &mut fmt::Formatter<'_>, at: SystemTime) -> fmt::Result {
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date(seconds / (24 * 60 * 60));
    write!(f, "{year:04}-{month:02}-{day:02}")
}

/// The year, month and day of a day since 1970-01-01. The year is counted from March, so that the
/// day that some years have more is the last one; 400 years are one cycle of 146,097 days.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = cycle * 400 + year;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_become_dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_089, (2025, 1, 1)),
            (20_453, (2025, 12, 31)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }

    #[test]
    fn each_failure_says_what_failed() {
        let at = UNIX_EPOCH + Duration::from_secs(20_089 * 86_400 + 5);
        let names = vec!["a.example".to_owned(), "b.example".to_owned()];
        for (error, text) in [
            (TlsError::Expired(Some(at)), "the certificate expired on 2025-01-01"),
            (TlsError::NotYetValid(Some(at)), "the certificate is not valid before 2025-01-01"),
            (
                TlsError::WrongHost { host: "c.example".into(), names },
                "the server's certificate is for other host names than c.example: a.example, \
                 b.example",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
