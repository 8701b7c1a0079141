//! Judging the Origin (RFC 6455 section 10.2), against cross-site use of a server.

use crate::handshake::HandshakeError;
use crate::handshake::request::Request;

/// Which web pages may connect.
///
/// A browser says with `Origin` which page opens the connection, and the page cannot change that.
/// A request without one does not come from a browser; it is let through, for such a client could
/// say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginPolicy<'a> {
    /// Every page.
    Any,
    /// Only pages of this server: scheme, host and port are those of the request. `secure` tells
    /// whether the connection runs over TLS, so that the scheme is `https`.
    SameOrigin {
        /// Whether the connection runs over TLS.
        secure: bool,
    },
    /// Only pages with one of these origins, such as `https://example.com`; a `*` at the start of
    /// the host, as in `https://*.example.com`, stands for one or more labels.
    List(&'a [&'a str]),
}

impl OriginPolicy<'_> {
    /// Judges a request.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::ForbiddenOrigin`], which is answered with 403.
    pub fn judge(&self, request: &Request<'_>) -> Result<(), HandshakeError> {
        let mut origins = request.fields().filter(|field| field.is("origin"));
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        let allowed = origins.next().is_none()
            && core::str::from_utf8(origin.value)
                .is_ok_and(|origin| self.allows(origin, request.host().unwrap_or_default()));
        if allowed { Ok(()) } else { Err(HandshakeError::ForbiddenOrigin) }
    }

    /// Whether a page of `origin` may connect to the server called `host`, as in the Host field.
    #[must_use]
    pub fn allows(&self, origin: &str, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::SameOrigin { secure } => {
                let scheme = if *secure { "https" } else { "http" };
                let own = |(s, h): (&str, &str)| {
                    s.eq_ignore_ascii_case(scheme)
                        && without_default_port(scheme, h)
                            .eq_ignore_ascii_case(without_default_port(scheme, host))
                };
                !host.is_empty() && split_scheme(origin).is_some_and(own)
            }
            Self::List(patterns) => patterns.iter().any(|pattern| matches(pattern, origin)),
        }
    }
}

/// The scheme of a URL or an origin, and what stands behind `://`.
pub(super) fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    Some((scheme, rest.strip_prefix("//")?))
}

fn without_default_port<'a>(scheme: &str, host: &'a str) -> &'a str {
    let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    host.strip_suffix(port).unwrap_or(host)
}

fn matches(pattern: &str, origin: &str) -> bool {
    let (Some((pattern_scheme, pattern_host)), Some((scheme, host))) =
        (split_scheme(pattern), split_scheme(origin))
    else {
        return false;
    };
    if !pattern_scheme.eq_ignore_ascii_case(scheme) {
        return false;
    }
    let pattern_host = without_default_port(scheme, pattern_host);
    let host = without_default_port(scheme, host);
    match pattern_host.strip_prefix('*') {
        None => pattern_host.eq_ignore_ascii_case(host),
        Some(suffix) => {
            let split = host.len().checked_sub(suffix.len());
            let parts = split.and_then(|at| host.split_at_checked(at));
            suffix.starts_with('.')
                && parts.is_some_and(|(labels, end)| {
                    let is_label_byte =
                        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
                    end.eq_ignore_ascii_case(suffix)
                        && !labels.is_empty()
                        && !labels.starts_with('.')
                        && labels.bytes().all(is_label_byte)
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_origin_compares_scheme_host_and_port() {
        let plain = OriginPolicy::SameOrigin { secure: false };
        let secure = OriginPolicy::SameOrigin { secure: true };
        assert!(plain.allows("http://example.com", "Example.com"));
        assert!(plain.allows("http://example.com", "example.com:80"));
        assert!(plain.allows("http://127.0.0.1:9001", "127.0.0.1:9001"));
        assert!(secure.allows("https://example.com:443", "example.com"));
        for origin in [
            "null",
            "https://example.com",
            "http://example.com:8080",
            "http://example.com.evil.org",
            "http://evil-example.com",
            "http://93.184.216.34",
            "http://",
            "",
        ] {
            assert!(!plain.allows(origin, "example.com"), "{origin}");
        }
        assert!(!plain.allows("http://", ""));
    }

    #[test]
    fn patterns_stand_for_whole_labels() {
        let policy = OriginPolicy::List(&["https://*.example.com", "http://localhost:3000"]);
        for origin in ["https://a.example.com", "https://a.b.EXAMPLE.com", "http://localhost:3000"]
        {
            assert!(policy.allows(origin, ""), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://evilexample.com",
            "https://.example.com",
            "https://evil.org/.example.com",
            "https://evil.org?.example.com",
            "https://a.example.com:8443",
            "http://a.example.com",
            "http://localhost",
            "null",
        ] {
            assert!(!policy.allows(origin, ""), "{origin}");
        }
    }
}
