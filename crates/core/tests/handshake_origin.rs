//! Judging the Origin (RFC 6455 section 10.2).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod handshake_support;

use duologue_core::handshake::{HandshakeError, OriginPolicy};

use handshake_support::{REQUEST, edited, request, with_first_line};

const SAME_ORIGIN: OriginPolicy<'_> = OriginPolicy::SameOrigin { secure: false };
const LIST: OriginPolicy<'_> =
    OriginPolicy::List(&["https://app.example.com", "https://*.example.org:8443"]);

/// A request to server.example.com with these Origin lines.
fn allowed(policy: &OriginPolicy<'_>, lines: &[&str]) -> bool {
    let bytes = edited(REQUEST, "Origin", lines);
    match policy.judge(&request(&bytes)) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!((error, error.status()), (HandshakeError::ForbiddenOrigin, 403));
            false
        }
    }
}

#[test]
fn g15_origin_is_shown_to_the_application() {
    assert_eq!(request(REQUEST).origin(), Some("http://example.com"));
    let bytes = edited(REQUEST, "Origin", &[]);
    assert_eq!(request(&bytes).origin(), None);
}

#[test]
fn g15_absent_origin_is_no_browser() {
    for policy in [OriginPolicy::Any, SAME_ORIGIN, LIST, OriginPolicy::List(&[])] {
        assert!(allowed(&policy, &[]), "{policy:?}");
    }
}

#[test]
fn g15_any_origin_is_one_origin() {
    assert!(allowed(&OriginPolicy::Any, &["Origin: null"]));
    assert!(allowed(&OriginPolicy::Any, &["Origin: https://evil.example"]));
    assert!(!allowed(&OriginPolicy::Any, &["Origin: https://a", "Origin: https://b"]));
}

#[test]
fn h20_same_origin_is_scheme_host_and_port() {
    for origin in
        ["http://server.example.com", "HTTP://Server.Example.COM", "http://server.example.com:80"]
    {
        assert!(allowed(&SAME_ORIGIN, &[&format!("Origin: {origin}")]), "{origin}");
    }
    for origin in [
        "",
        "null",
        "server.example.com",
        "http://93.184.216.34",
        "https://server.example.com",
        "ws://server.example.com",
        "http://server.example.com:8080",
        "http://server.example.com.evil.org",
        "http://evil-server.example.com",
        "http://example.com",
        "http://server.example.com/",
        "http://server.example.com@evil.org",
        "http://server.example.com http://server.example.com",
    ] {
        assert!(!allowed(&SAME_ORIGIN, &[&format!("Origin: {origin}")]), "{origin}");
    }
    let line = "Origin: http://server.example.com";
    assert!(!allowed(&SAME_ORIGIN, &[line, line]));
}

#[test]
fn h20_same_origin_over_tls_is_https() {
    let policy = OriginPolicy::SameOrigin { secure: true };
    assert!(allowed(&policy, &["Origin: https://server.example.com"]));
    assert!(allowed(&policy, &["Origin: https://server.example.com:443"]));
    assert!(!allowed(&policy, &["Origin: http://server.example.com"]));
    assert!(!allowed(&policy, &["Origin: https://server.example.com:80"]));
}

#[test]
fn h20_same_origin_heeds_a_whole_url_as_target() {
    // RFC 9112 section 3.2.2: the target's host stands above the Host field's.
    let bytes = with_first_line(REQUEST, "GET http://example.com/chat HTTP/1.1");
    assert_eq!(SAME_ORIGIN.judge(&request(&bytes)), Ok(()));
    let bytes = with_first_line(REQUEST, "GET http://other.example.com/chat HTTP/1.1");
    assert_eq!(SAME_ORIGIN.judge(&request(&bytes)), Err(HandshakeError::ForbiddenOrigin));
}

#[test]
fn h20_listed_origins_match_whole_labels() {
    for origin in [
        "https://app.example.com",
        "https://app.example.com:443",
        "https://a.example.org:8443",
        "https://a.b.EXAMPLE.org:8443",
    ] {
        assert!(allowed(&LIST, &[&format!("Origin: {origin}")]), "{origin}");
    }
    for origin in [
        "null",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://example.com",
        "https://evil.app.example.com",
        "https://app.example.com.evil.org",
        "https://example.org:8443",
        "https://a.example.org",
        "https://evil-example.org:8443",
        "https://.example.org:8443",
        "https://evil.net/.example.org:8443",
        "https://evil.net:80.example.org:8443",
        "https://evil.net#.example.org:8443",
    ] {
        assert!(!allowed(&LIST, &[&format!("Origin: {origin}")]), "{origin}");
    }
}
