//! A server's side of TLS.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::{ALPN, pem, provider};
use crate::tls_error::TlsError;

/// How a server speaks TLS: who it is, and whether its clients have to show a certificate.
///
/// TLS 1.2 and 1.3 are spoken. A clone shares everything.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// A server with the certificate of a PEM text, which stands first in it and those of its
    /// issuers behind it, and with its private key. Clients show no certificate.
    ///
    /// # Errors
    ///
    /// [`TlsError::InvalidPem`], [`TlsError::InvalidKey`].
    pub fn new(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        Self::build(chain_pem, key_pem, WebPkiClientVerifier::no_client_auth())
    }

    /// As [`new`](Self::new), for clients that have to show a certificate issued by one of the
    /// authorities in a PEM text.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_client_roots(
        chain_pem: &[u8],
        key_pem: &[u8],
        client_roots_pem: &[u8],
    ) -> Result<Self, TlsError> {
        let roots = pem::roots(pem::certificates(client_roots_pem)?)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| TlsError::InvalidPem(error.to_string()))?;
        Self::build(chain_pem, key_pem, verifier)
    }

    /// A configuration of one's own, taken as it is. It should name `http/1.1` and nothing else in
    /// `alpn_protocols`, or nothing at all.
    #[must_use]
    pub const fn from_config(config: Arc<ServerConfig>) -> Self {
        Self { config }
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    fn build(
        chain_pem: &[u8],
        key_pem: &[u8],
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Other(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(pem::certificates(chain_pem)?, pem::private_key(key_pem)?)
            .map_err(|error| pem::own_identity(&error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config: Arc::new(config) })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
