//! Certificates for tests of TLS: an authority, and what it issues. Nothing is kept; each test
//! makes its own.
//!
//! ```
//! use duologue_certificates::{Authority, Validity};
//!
//! let authority = Authority::new("a test")?;
//! let server = authority.issue(&["localhost", "127.0.0.1"], Validity::Now)?;
//! assert!(server.chain.starts_with("-----BEGIN CERTIFICATE-----"));
//! # Ok::<(), duologue_certificates::Error>(())
//! ```
#![forbid(unsafe_code)]

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

pub use rcgen::Error;

/// Who issues certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate. Its issuer is the authority itself, which is no part of the chain.
    pub chain: String,
    /// The private key.
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Now,
    /// Until 2021-02-03.
    Past,
    /// From 2900-01-01 on.
    Future,
}

impl Authority {
    /// An authority of this name.
    ///
    /// # Errors
    ///
    /// Those of the library that makes certificates.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// The authority's own certificate, in PEM: for who trusts it.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for host names and IP addresses, which a server or a client can show.
    ///
    /// # Errors
    ///
    /// Those of the library that makes certificates.
    pub fn issue(&self, names: &[&str], validity: Validity) -> Result<Identity, Error> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let (from, until) = match validity {
            Validity::Now => ((2020, 1, 1), (2900, 1, 1)),
            Validity::Past => ((2020, 1, 1), (2021, 2, 3)),
            Validity::Future => ((2900, 1, 1), (2901, 1, 1)),
        };
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { chain: certificate.pem(), key: key.serialize_pem() })
    }
}
