//! The constructor: what may be connected to, and with which protocols.

use alloc::string::String;
use alloc::vec::Vec;

use url::Url;

use crate::address::{Address, UrlError};
use crate::browser::exception::DomException;
use crate::handshake::{ExtensionConfig, is_token};
use crate::opening::ConnectRequest;

/// A valid URL and valid protocols: what an object is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    url: String,
    address: Address,
    protocols: Vec<String>,
}

impl Creation {
    /// Judges a URL and the protocols to offer; one protocol is a list of one.
    ///
    /// # Errors
    ///
    /// A [`DomException`] with the name `SyntaxError`.
    pub fn new<P: AsRef<str>>(url: &str, protocols: &[P]) -> Result<Self, DomException> {
        let address = Address::parse(url)?;
        for (index, protocol) in protocols.iter().enumerate() {
            if !is_token(protocol.as_ref().as_bytes()) {
                return Err(DomException::InvalidProtocol);
            }
            let earlier = protocols.get(..index).unwrap_or_default();
            if earlier.iter().any(|other| other.as_ref().eq_ignore_ascii_case(protocol.as_ref())) {
                return Err(DomException::RepeatedProtocol);
            }
        }
        let url = serialised(url, &address)?;
        let protocols = protocols.iter().map(|protocol| String::from(protocol.as_ref())).collect();
        Ok(Self { url, address, protocols })
    }

    /// The URL, serialised, with the scheme `ws` or `wss`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it leads.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The request to open the connection with: with the URL's credentials, for no cache to answer,
    /// and its answer must choose one of the protocols, if any are offered.
    #[must_use]
    pub fn request(&self, extensions: ExtensionConfig) -> ConnectRequest {
        let request = ConnectRequest::new(&self.address.authority, &self.address.target)
            .extensions(extensions)
            .require_subprotocol(true)
            .field("Pragma", "no-cache")
            .field("Cache-Control", "no-cache");
        let request = match &self.address.authorization {
            Some(authorization) => request.field("Authorization", authorization),
            None => request,
        };
        self.protocols.iter().fold(request, ConnectRequest::subprotocol)
    }
}

/// The URL with `http` taken for `ws`, and `https` for `wss`.
fn serialised(url: &str, address: &Address) -> Result<String, UrlError> {
    use alloc::string::ToString;
    let mut url = Url::parse(url).map_err(|error| UrlError::Invalid(error.to_string()))?;
    // Between these schemes it always works.
    let _ = url.set_scheme(if address.secure { "wss" } else { "ws" });
    Ok(url.into())
}
