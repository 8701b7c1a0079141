//! Certificates and keys from PEM text (RFC 7468).

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::failure::into_tls_error;
use crate::tls_error::TlsError;

/// All certificates of a text, of which there is at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(TlsError::InvalidPem("there is no CERTIFICATE in the PEM text".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsError::InvalidPem(why(&error))),
    }
}

/// The first private key of a text.
pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        TlsError::InvalidKey(match error {
            Error::NoItemsFound => "there is no PRIVATE KEY in the PEM text".into(),
            error => why(&error),
        })
    })
}

/// Certificates as roots, each of which has to be usable.
pub(super) fn roots(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| TlsError::InvalidPem(reason(&error)))?;
    }
    Ok(roots)
}

/// Why a certificate of our own cannot be used, without the words that are for a peer's.
pub(super) fn reason(error: &rustls::Error) -> String {
    match into_tls_error(error) {
        TlsError::InvalidCertificate(why) => why,
        error => error.to_string(),
    }
}

/// Why a certificate and a key of our own cannot be used together.
pub(super) fn own_identity(error: &rustls::Error) -> TlsError {
    match into_tls_error(error) {
        TlsError::InvalidCertificate(why) => TlsError::InvalidPem(why),
        TlsError::Other(why) => TlsError::InvalidKey(why),
        error => error,
    }
}

fn why(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => "a section of the PEM text has no end".into(),
        Error::IllegalSectionStart { .. } => "a section of the PEM text begins wrongly".into(),
        Error::Base64Decode(_) => "the PEM text is no Base64".into(),
        Error::SectionTooLarge => "a section of the PEM text is too large".into(),
        error => error.to_string(),
    }
}
