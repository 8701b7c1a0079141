//! What an application chooses about its connections.

use duologue_core::handshake::{ExtensionConfig, HandshakeError, HeadLimits};
use duologue_core::opening::{ClientOpening, ConnectRequest, OpeningFailure, ServerOpening};
use duologue_core::{Address, Config};

use crate::error::Error;
use crate::os_keys::nonce;

/// What a client connects to, and how.
///
/// [`Config::opening_timeout`] is one deadline for the TCP connection and the handshake together.
///
/// ```
/// use duologue_adapter::{ClientOptions, Config};
///
/// let options = ClientOptions::new("ws://example.com/chat?room=1")?
///     .subprotocol("chat.v2")
///     .subprotocol("chat.v1")
///     .field("Authorization", "Bearer abc")
///     .with_config(Config { max_message_length: 1 << 20, ..Config::DEFAULT });
/// assert_eq!(options.address().port, 80);
/// # Ok::<(), duologue_adapter::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientOptions {
    address: Address,
    request: ConnectRequest,
    config: Config,
    head_limits: HeadLimits,
    tcp_nodelay: bool,
    #[cfg(feature = "rustls")]
    tls: Option<crate::tls::ClientTls>,
}

impl ClientOptions {
    /// Options for a `ws://` or `wss://` URL, with the defaults. A user and a password in it
    /// become an `Authorization` field, unless one is added with [`field`](Self::field).
    ///
    /// # Errors
    ///
    /// [`Error::Url`].
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self::for_address(Address::parse(url)?))
    }

    /// Options for a URL that has been read already, with the defaults.
    #[must_use]
    pub fn for_address(address: Address) -> Self {
        let request = ConnectRequest::new(&address.authority, &address.target);
        Self::for_request(address, request)
    }

    /// Options for a request that is made already, with the defaults. The extensions that it offers
    /// are those of the configuration.
    #[must_use]
    pub fn for_request(address: Address, request: ConnectRequest) -> Self {
        Self {
            address,
            request,
            config: Config::DEFAULT,
            head_limits: HeadLimits::DEFAULT,
            tcp_nodelay: true,
            #[cfg(feature = "rustls")]
            tls: None,
        }
    }

    /// Adds a subprotocol to the offer, less preferred than those before it.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.request = self.request.subprotocol(name);
        self
    }

    /// Whether it is a failure when the server chooses none of the subprotocols offered. Default
    /// no.
    #[must_use]
    pub fn require_subprotocol(mut self, required: bool) -> Self {
        self.request = self.request.require_subprotocol(required);
        self
    }

    /// Adds a field to the request, such as `Cookie`. The handshake's own are not allowed, which is
    /// told when connecting.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request = self.request.field(name, value);
        self
    }

    /// Sets the Origin (RFC 6455 section 10.2).
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.request = self.request.origin(origin);
        self
    }

    /// Sets limits, timeouts and keepalive.
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the limits on the response's head.
    #[must_use]
    pub fn with_head_limits(mut self, limits: HeadLimits) -> Self {
        self.head_limits = limits;
        self
    }

    /// Whether `TCP_NODELAY` is set. Default yes: frames are already gathered before they are
    /// written, and waiting for more would only delay them.
    #[must_use]
    pub fn with_tcp_nodelay(mut self, nodelay: bool) -> Self {
        self.tcp_nodelay = nodelay;
        self
    }

    /// Sets how TLS is spoken, for a `wss://` URL. Default: with the platform's trusted
    /// certificates.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_tls(mut self, tls: crate::tls::ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How TLS is spoken.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoPlatformRoots`](crate::TlsError::NoPlatformRoots), if nothing was set.
    #[cfg(feature = "rustls")]
    pub fn tls(&self) -> Result<crate::tls::ClientTls, crate::TlsError> {
        self.tls.clone().map_or_else(crate::tls::ClientTls::platform, Ok)
    }

    /// Where the URL leads.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The limits, timeouts and keepalive.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether `TCP_NODELAY` is to be set.
    #[must_use]
    pub const fn tcp_nodelay(&self) -> bool {
        self.tcp_nodelay
    }

    /// The opening handshake, with a fresh nonce.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`].
    pub fn opening(&self) -> Result<ClientOpening, Error> {
        let mut request = self.request.clone();
        // RFC 9110 section 11.6.2: a request has one Authorization at most.
        if let Some(authorization) = &self.address.authorization
            && !request.has_field("Authorization")
        {
            request = request.field("Authorization", authorization);
        }
        let request = request.extensions(extensions(&self.config));
        Ok(ClientOpening::new(request, self.head_limits, nonce())?)
    }

    /// The error for a transport that ends inside the handshake.
    #[must_use]
    pub fn ended_early() -> Error {
        OpeningFailure::from(HandshakeError::EndedEarly).into()
    }
}

/// How a server receives a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    config: Config,
    head_limits: HeadLimits,
    tcp_nodelay: bool,
}

impl ServerOptions {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self { config: Config::DEFAULT, head_limits: HeadLimits::DEFAULT, tcp_nodelay: true }
    }

    /// Sets limits, timeouts and keepalive.
    #[must_use]
    pub const fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the limits on the request's head.
    #[must_use]
    pub const fn with_head_limits(mut self, limits: HeadLimits) -> Self {
        self.head_limits = limits;
        self
    }

    /// Whether `TCP_NODELAY` is set. Default yes, as for a client.
    #[must_use]
    pub const fn with_tcp_nodelay(mut self, nodelay: bool) -> Self {
        self.tcp_nodelay = nodelay;
        self
    }

    /// The limits, timeouts and keepalive.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether `TCP_NODELAY` is to be set.
    #[must_use]
    pub const fn tcp_nodelay(&self) -> bool {
        self.tcp_nodelay
    }

    /// The opening handshake.
    #[must_use]
    pub fn opening(&self) -> ServerOpening {
        ServerOpening::new(self.head_limits).extensions(extensions(&self.config))
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The extensions that the configuration turns on.
fn extensions(config: &Config) -> ExtensionConfig {
    let mut extensions = ExtensionConfig::default();
    extensions.deflate = config.deflate;
    extensions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(options: &ClientOptions) -> String {
        String::from_utf8(options.opening().unwrap().request_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_urls_credentials_become_an_authorization() {
        let options = ClientOptions::new("ws://user:pass@localhost/").unwrap();
        assert!(request(&options).contains("\r\nAuthorization: Basic dXNlcjpwYXNz\r\n"));
    }

    #[test]
    fn an_authorization_of_the_callers_wins_over_the_urls() {
        for name in ["Authorization", "authorization"] {
            let options = ClientOptions::new("ws://user:pass@localhost/").unwrap();
            let request = request(&options.field(name, "Bearer abc"));
            assert!(request.contains(&format!("\r\n{name}: Bearer abc\r\n")), "{request}");
            assert!(!request.contains("Basic"), "{request}");
        }
    }
}
