//! `ws://` and `wss://` addresses (RFC 6455 section 3), parsed as browsers do.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use base64::Engine;
use url::{Host, Url};

/// Where a WebSocket URL leads.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether the scheme is `wss`.
    pub secure: bool,
    /// The host to connect to: a name, or an IP address without brackets.
    pub host: String,
    /// The port to connect to.
    pub port: u16,
    /// The Host field: without the scheme's own port, an IPv6 address in brackets.
    pub authority: String,
    /// The path, `/` if it is empty, and the query.
    pub target: String,
    /// The `Authorization` field that a user and a password in the URL stand for.
    pub authorization: Option<String>,
}

/// What a user and a password became is nobody's to see.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("secure", &self.secure)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// A URL that leads to no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL; the text says why.
    Invalid(String),
    /// Its scheme is not ws, wss, http or https.
    Scheme(String),
    /// It has a fragment, which a WebSocket URL may not have.
    Fragment,
    /// It names no host.
    NoHost,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "not a URL: {why}"),
            Self::Scheme(scheme) => {
                write!(f, "a WebSocket URL begins with ws:// or wss://, not {scheme}:")
            }
            Self::Fragment => f.write_str("a WebSocket URL may not have a fragment"),
            Self::NoHost => f.write_str("the URL names no host"),
        }
    }
}

impl core::error::Error for UrlError {}

impl Address {
    /// Parses a URL. `http` is taken for `ws` and `https` for `wss`.
    ///
    /// # Errors
    ///
    /// [`UrlError`].
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let url = Url::parse(url).map_err(|error| UrlError::Invalid(error.to_string()))?;
        let secure = match url.scheme() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            other => return Err(UrlError::Scheme(String::from(other))),
        };
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        let (host, bracketed) = match url.host() {
            None => return Err(UrlError::NoHost),
            Some(Host::Domain(name)) => (name.to_string(), name.to_string()),
            Some(Host::Ipv4(address)) => (address.to_string(), address.to_string()),
            Some(Host::Ipv6(address)) => (address.to_string(), format!("[{address}]")),
        };
        let authority = match url.port() {
            Some(port) => format!("{bracketed}:{port}"),
            None => bracketed,
        };
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_string(),
        };
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let mut pair = percent_decoded(url.username());
            pair.push(b':');
            pair.extend(percent_decoded(url.password().unwrap_or_default()));
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        });
        let port = url.port_or_known_default().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { secure, host, port, authority, target, authorization })
    }
}

/// The bytes that a URL's user or password stands for.
fn percent_decoded(text: &str) -> alloc::vec::Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_credentials() {
        let address = Address::parse("wss://user:secret@example.com/chat").unwrap();
        let shown = alloc::format!("{address:?}");
        assert!(shown.contains("example.com") && shown.contains("/chat"), "{shown}");
        let authorization = address.authorization.unwrap();
        for hidden in ["user", "secret", authorization.as_str()] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }

    #[test]
    fn g29_host_and_target_are_those_of_the_request() {
        for (url, secure, host, port, authority, target) in [
            ("ws://example.com", false, "example.com", 80, "example.com", "/"),
            ("ws://example.com:80/chat", false, "example.com", 80, "example.com", "/chat"),
            ("wss://example.com:443?a=b", true, "example.com", 443, "example.com", "/?a=b"),
            ("wss://Example.com:80/a b", true, "example.com", 80, "example.com:80", "/a%20b"),
            ("ws://[::1]:9001/", false, "::1", 9001, "[::1]:9001", "/"),
            ("http://127.0.0.1:9001/?", false, "127.0.0.1", 9001, "127.0.0.1:9001", "/?"),
            (
                "https://b\u{fc}cher.example/",
                true,
                "xn--bcher-kva.example",
                443,
                "xn--bcher-kva.example",
                "/",
            ),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.secure, secure, "{url}");
            assert_eq!(address.host, host, "{url}");
            assert_eq!(address.port, port, "{url}");
            assert_eq!(address.authority, authority, "{url}");
            assert_eq!(address.target, target, "{url}");
            assert_eq!(address.authorization, None, "{url}");
        }
    }

    #[test]
    fn g29_what_is_no_websocket_url_is_refused() {
        assert_eq!(Address::parse("ws://a/#"), Err(UrlError::Fragment));
        assert_eq!(Address::parse("ftp://a/"), Err(UrlError::Scheme("ftp".into())));
        assert!(matches!(Address::parse("ws://"), Err(UrlError::Invalid(_))));
        assert!(matches!(Address::parse("example.com"), Err(UrlError::Invalid(_))));
    }

    #[test]
    fn user_and_password_become_basic_authorization() {
        // RFC 7617 section 2: "Aladdin" and "open sesame".
        let address = Address::parse("ws://Aladdin:open%20sesame@a/").unwrap();
        assert_eq!(address.authorization.unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(address.authority, "a");
    }
}
