//! A client's side of TLS.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;

use super::{ALPN, pem, provider};
use crate::tls_error::TlsError;

/// How a client speaks TLS: whom it trusts, and who it is.
///
/// TLS 1.2 and 1.3 are spoken. The server's certificate has to be for the URL's host, a name or an
/// IP address, and to come from a trusted authority. A clone shares everything, sessions to resume
/// among them; so make one, and use it for every connection.
///
/// ```
/// # use duologue_adapter::tls::ClientTls;
/// # fn connect(authority: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let tls = ClientTls::builder().only_roots(authority).build()?;
/// let options = duologue_adapter::ClientOptions::new("wss://example.com/")?.with_tls(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// What has to be chosen; at first, the platform's trusted certificates and no certificate of
    /// one's own.
    #[must_use]
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder::default()
    }

    /// A configuration of one's own, taken as it is. It should name `http/1.1` and nothing else in
    /// `alpn_protocols`, or nothing at all.
    #[must_use]
    pub const fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { config }
    }

    /// What `wss://` uses where nothing was chosen: the platform's trusted certificates. They are
    /// read once, when they are first needed.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoPlatformRoots`].
    pub fn platform() -> Result<Self, TlsError> {
        static PLATFORM: Mutex<Option<ClientTls>> = Mutex::new(None);
        let mut platform = PLATFORM.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = &*platform {
            return Ok(tls.clone());
        }
        let tls = Self::builder().build()?;
        *platform = Some(tls.clone());
        Ok(tls)
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The name that the server's certificate is to be for.
    ///
    /// # Errors
    ///
    /// [`TlsError::Other`] if no certificate could be for it.
    pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
        // A name may be written with a dot behind it, which is no part of it in a certificate
        // (RFC 6066 section 3).
        let name = host.strip_suffix('.').unwrap_or(host);
        ServerName::try_from(name.to_owned())
            .map_err(|_| TlsError::Other(format!("{host:?} is no host name that TLS can verify")))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

/// What a client's TLS is made from.
#[derive(Default)]
pub struct ClientTlsBuilder {
    added: Vec<Vec<u8>>,
    only: bool,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl ClientTlsBuilder {
    /// Trusts the certificates in this PEM text too, besides those that are trusted otherwise.
    #[must_use]
    pub fn add_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.added.push(pem.into());
        self
    }

    /// Trusts the certificates in this PEM text instead of the platform's; with
    /// [`add_roots`](Self::add_roots) further ones.
    #[must_use]
    pub fn only_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.only = true;
        self.add_roots(pem)
    }

    /// Shows this certificate to a server that asks for one: a PEM text with the certificate first
    /// and those of its issuers behind it, and one with its private key.
    #[must_use]
    pub fn client_certificate(
        mut self,
        chain_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.identity = Some((chain_pem.into(), key_pem.into()));
        self
    }

    /// Reads what was given.
    ///
    /// # Errors
    ///
    /// [`TlsError::InvalidPem`], [`TlsError::InvalidKey`], [`TlsError::NoPlatformRoots`].
    pub fn build(self) -> Result<ClientTls, TlsError> {
        let mut added: Vec<CertificateDer<'static>> = Vec::new();
        for text in &self.added {
            added.extend(pem::certificates(text)?);
        }
        let verifier: Arc<dyn ServerCertVerifier> = if self.only {
            let roots = Arc::new(pem::roots(added)?);
            WebPkiServerVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|error| TlsError::InvalidPem(error.to_string()))?
        } else {
            platform(added)?
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Other(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(pem::certificates(chain)?, pem::private_key(key)?)
                .map_err(|error| pem::own_identity(&error))?,
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(ClientTls { config: Arc::new(config) })
    }
}

/// The key is nobody's to see.
impl fmt::Debug for ClientTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTlsBuilder").field("only", &self.only).finish_non_exhaustive()
    }
}

/// Verification as the platform does it, by its trusted certificates and the given ones.
#[cfg(not(target_os = "android"))]
fn platform(added: Vec<CertificateDer<'static>>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    // A root that cannot be used is the caller's mistake, not the platform's.
    pem::roots(added.clone())?;
    let verifier = Verifier::new_with_extra_roots(added, provider())
        .map_err(|error| TlsError::NoPlatformRoots(pem::reason(&error)))?;
    Ok(Arc::new(verifier))
}

#[cfg(target_os = "android")]
fn platform(added: Vec<CertificateDer<'static>>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    if !added.is_empty() {
        let why = "on Android, roots can only be given instead of the platform's";
        return Err(TlsError::InvalidPem(why.into()));
    }
    let verifier = Verifier::new(provider())
        .map_err(|error| TlsError::NoPlatformRoots(pem::reason(&error)))?;
    Ok(Arc::new(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_certificate_has_no_dot_at_its_end() {
        for (host, name) in [
            ("a.example.", "a.example"),
            ("a.example", "a.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
        ] {
            assert_eq!(ClientTls::server_name(host).unwrap().to_str(), name);
        }
        let refused = ClientTls::server_name("a..example").unwrap_err().to_string();
        assert_eq!(refused, "\"a..example\" is no host name that TLS can verify");
    }

    #[test]
    fn nothing_of_a_private_key_is_shown() {
        let builder = ClientTls::builder().client_certificate("chain", "secret");
        assert!(!format!("{builder:?}").contains("secret"));
    }
}
