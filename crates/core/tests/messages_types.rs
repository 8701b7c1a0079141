//! The messages themselves: what they are made of, equal and show; and what an endpoint shows.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use bytes::Bytes;

use duologue_core::{Config, Message, MessageType, Step, Utf8Bytes};

use support::endpoint::{endpoint, put};
use support::{End, T0, from_peer};

#[test]
fn text_keeps_its_bytes_where_they_lie() {
    let literal = "K\u{f6}ln";
    let address = literal.as_ptr();
    let text = Utf8Bytes::from_static(literal);
    assert_eq!(text.as_str().as_ptr(), address);
    assert_eq!(text.clone().into_bytes().as_ptr(), address);
    let bytes = Bytes::from(text);
    assert_eq!((&bytes[..], bytes.as_ptr()), (&b"K\xc3\xb6ln"[..], address));
    let again = Utf8Bytes::try_from(bytes).unwrap();
    assert_eq!(again.as_str().as_ptr(), address);
}

#[test]
fn text_is_utf_8_or_none() {
    // The first byte of a character alone, a byte of none, and half a surrogate pair.
    for bytes in [&b"Hi\xc3"[..], b"\xff", b"\xed\xa0\x80"] {
        let refused = Utf8Bytes::try_from(Bytes::copy_from_slice(bytes)).unwrap_err();
        assert_eq!(refused.to_string(), "not UTF-8");
    }
}

#[test]
fn text_compares_and_shows_as_a_str() {
    let text = Utf8Bytes::from("a \"quoted\" word");
    assert!(text == *"a \"quoted\" word" && text == "a \"quoted\" word");
    assert!(text != *"a word" && text != "a word");
    assert_eq!((AsRef::<str>::as_ref(&text), text.len()), ("a \"quoted\" word", 15));
    assert_eq!(format!("{text}|{text:>17}"), "a \"quoted\" word|  a \"quoted\" word");
    assert_eq!(format!("{text:?}"), r#""a \"quoted\" word""#);
}

#[test]
fn message_is_what_it_was_made_from() {
    let text = Message::Text(Utf8Bytes::from("Hello"));
    assert_eq!(Message::from("Hello"), text);
    assert_eq!(Message::from(String::from("Hello")), text);
    assert_eq!(Message::from(Utf8Bytes::from("Hello")), text);
    assert_eq!((text.is_text(), text.as_text(), text.len()), (true, Some("Hello"), 5));
    assert_eq!(text.message_type(), MessageType::Text);

    let binary = Message::Binary(Bytes::from_static(b"Hello"));
    assert_eq!(Message::from(&b"Hello"[..]), binary);
    assert_eq!(Message::from(b"Hello".to_vec()), binary);
    assert_eq!(Message::from(Bytes::from_static(b"Hello")), binary);
    // The same bytes, and yet not the same message.
    assert_ne!(binary, text);
    assert_eq!((binary.is_text(), binary.as_text(), binary.len()), (false, None, 5));
    assert_eq!(binary.message_type(), MessageType::Binary);
    assert_eq!(binary.into_payload(), text.into_payload());

    assert!(Message::text("").is_empty() && Message::binary(Bytes::new()).is_empty());
    assert!(!Message::text(" ").is_empty() && !Message::binary(&b"\0"[..]).is_empty());
}

#[test]
fn lent_message_is_copied_as_what_it_is() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &Config::DEFAULT);
        // Text "Hi", and the binary message of the same bytes.
        put(&mut endpoint, &from_peer(end, b"\x81\x02Hi\x82\x02Hi"));
        for expected in [Message::text("Hi"), Message::binary(&b"Hi"[..])] {
            assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Message)));
            let lent = endpoint.message().unwrap();
            assert_eq!(lent.to_message(), expected);
            assert_eq!(lent.text(), expected.as_text());
        }
    }
}

#[test]
fn endpoint_shows_its_state_and_no_payload() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &Config::DEFAULT);
        // A message that is not taken, the begin of another, and one that waits to be written.
        put(&mut endpoint, &from_peer(end, b"\x81\x06secret\x01\x06secret"));
        assert_eq!(endpoint.next_message(T0), Ok(Some(Step::Message)));
        endpoint.send_text("secret").unwrap();
        let shown = format!("{endpoint:?}");
        let queued = endpoint.buffered_amount();
        assert!(shown.starts_with("Endpoint { connection: Connection { phase: Open"), "{shown}");
        assert!(shown.ends_with(&format!("buffered_amount: {queued}, .. }}")), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
    }
}
