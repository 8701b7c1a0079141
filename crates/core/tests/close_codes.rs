//! The body of a Close frame: codes and reasons (RFC 6455 sections 5.5.1 and 7.4).

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::{CloseCode, CloseStatus, Config, ProtocolError, ReadyState};

use support::reference::Heard;
use support::{
    End, Listener, T0, ZERO_KEY, assert_fails, assert_fails_with, empty_close_sent, frame,
    from_peer, listen, listen_byte_by_byte, masked, opened, read_back,
};

const CONFIG: Config = Config::DEFAULT;

/// What `end` hears in a Close frame with `body`, in pieces of at most `piece` bytes.
fn hears(end: End, body: &[u8], piece: usize) -> Listener {
    let mut connection = opened(end, &CONFIG);
    let mut listener = Listener::default();
    for bytes in from_peer(end, &frame(0x88, body)).chunks(piece) {
        listener.feed(&mut connection, bytes, T0);
    }
    assert_eq!(connection.ready_state(), ReadyState::Closing);
    listener
}

fn body(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason].concat()
}

#[test]
fn g51_close_body_of_one_byte_fails_with_1002() {
    for end in End::BOTH {
        for byte in [0x00, 0x03, 0xFF] {
            let error = ProtocolError::CloseBodyTooShort;
            assert_fails(end, &CONFIG, &[0x88, 0x01, byte], error, 1002);
        }
    }
}

#[test]
fn g51_empty_close_body_is_heard_as_1005() {
    for end in End::BOTH {
        for piece in [1, 100] {
            let listener = hears(end, b"", piece);
            assert_eq!(listener.heard, [Heard::Close(None, String::new())]);
            assert_eq!(read_back(end, &listener.transmitted)[0], empty_close_sent());
        }
    }
}

#[test]
fn g52_every_code_is_heard_or_fails_with_1002() {
    for end in End::BOTH {
        for code in 0..=u16::MAX {
            let listener = hears(end, &body(code, b""), 100);
            if matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                assert_eq!(listener.heard, [Heard::Close(Some(code), String::new())]);
                assert_eq!(listener.error, None);
            } else {
                assert_eq!(listener.heard, [], "{code}");
                assert_eq!(listener.error, Some(ProtocolError::InvalidCloseCode(code)));
                assert_eq!(listener.error.unwrap().close_code().get(), 1002);
            }
        }
    }
}

#[test]
fn g52_close_body_cut_at_every_byte_is_judged_as_a_whole() {
    for end in End::BOTH {
        for (code, reason) in [(1000, ""), (1001, "bye"), (4999, "κόσμε"), (3000, "x")] {
            for piece in 1..20 {
                let listener = hears(end, &body(code, reason.as_bytes()), piece);
                assert_eq!(listener.heard, [Heard::Close(Some(code), reason.to_owned())]);
            }
        }
    }
}

#[test]
fn g53_reason_that_is_not_utf_8_fails_with_1007() {
    for end in End::BOTH {
        for reason in [&b"\xff"[..], b"bye\xc3", b"\xed\xa0\x80", b"\xc0\xaf"] {
            let error = ProtocolError::CloseReasonNotUtf8;
            assert_fails(end, &CONFIG, &frame(0x88, &body(1000, reason)), error, 1007);
        }
    }
}

#[test]
fn g53_longest_reason_is_heard() {
    let reason = "é".repeat(61) + "x"; // 123 bytes
    for end in End::BOTH {
        for piece in [1, 64, 200] {
            let listener = hears(end, &body(1000, reason.as_bytes()), piece);
            assert_eq!(listener.heard, [Heard::Close(Some(1000), reason.clone())]);
        }
    }
}

#[test]
fn g54_codes_that_are_only_reported_cannot_be_made() {
    for code in [1005, 1006, 1015, 1004, 0, 999, 1016, 2999, 5000, u16::MAX] {
        assert_eq!(CloseCode::new(code), None, "{code}");
    }
    assert_eq!(CloseStatus::NoStatus.to_u16(), 1005);
    assert_eq!(CloseStatus::Abnormal.to_u16(), 1006);
}

#[test]
fn g54_every_code_that_can_be_made_is_sent_as_it_is() {
    for end in End::BOTH {
        for code in (0..=u16::MAX).filter_map(CloseCode::new) {
            let mut connection = opened(end, &CONFIG);
            connection.close(code, "", T0).unwrap();
            let sent = support::drained(end, &mut connection);
            assert_eq!(sent, [support::close_sent(code.get(), "")]);
        }
    }
}

#[test]
fn g54_every_fault_has_a_code_that_may_be_sent() {
    for error in [
        ProtocolError::ReservedBits,
        ProtocolError::TooManyEmptyFragments,
        ProtocolError::InvalidCloseCode(1005),
        ProtocolError::InvalidUtf8,
        ProtocolError::FrameTooBig,
        ProtocolError::PongTimeout,
        ProtocolError::WriteStalled,
    ] {
        let code = error.close_code();
        assert_eq!(CloseCode::new(code.get()), Some(code));
        assert!(error.to_string().ends_with(&format!("(close code {code})")), "{error}");
    }
}

#[test]
fn h23_close_payload_is_checked() {
    let server = || opened(End::Server, &CONFIG);
    // One byte; "K" is the masking key of zeros.
    let bytes = b"\x88\x81\x00\x00\x00\x00\x03";
    assert_fails_with(End::Server, &server, bytes, ProtocolError::CloseBodyTooShort, 1002);
    for code in [1005, 1006, 1015, 999, 2999, 5000] {
        let bytes = masked(&frame(0x88, &body(code, b"")), ZERO_KEY);
        let error = ProtocolError::InvalidCloseCode(code);
        assert_fails_with(End::Server, &server, &bytes, error, 1002);
    }
    // 1000, and a reason that is not UTF-8.
    let bytes = b"\x88\x83\x00\x00\x00\x00\x03\xe8\xff";
    assert_fails_with(End::Server, &server, bytes, ProtocolError::CloseReasonNotUtf8, 1007);
}

#[test]
fn close_of_125_bytes_byte_by_byte_is_told_once() {
    for end in End::BOTH {
        let bytes = from_peer(end, &frame(0x88, &body(1000, &[b'x'; 123])));
        for listen in [listen, listen_byte_by_byte] {
            let mut connection = opened(end, &CONFIG);
            let listener = listen(&mut connection, &bytes);
            assert_eq!(listener.heard, [Heard::Close(Some(1000), "x".repeat(123))]);
        }
    }
}
