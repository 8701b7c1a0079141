//! The WebSocket object of browsers (WHATWG WebSockets): its constructor, calls, attributes and
//! events.

#![cfg(feature = "url")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use duologue_core::browser::{
    BinaryType, CloseEvent, Command, Creation, DomException, Event, ExceptionName, Object,
};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{CloseCode, CloseStatus, Message, ReadyState, UrlError};

const NO_PROTOCOLS: &[&str] = &[];

fn connecting() -> Object<&'static str> {
    Object::new(&Creation::new("ws://example.com/", NO_PROTOCOLS).unwrap())
}

fn open() -> Object<&'static str> {
    let mut object = connecting();
    object.opened(None, NegotiatedExtensions::default());
    assert_eq!(object.poll_event(), Some(Event::Open));
    object
}

fn code(code: u16) -> CloseCode {
    CloseCode::new(code).unwrap()
}

fn close(code: u16, reason: &str, was_clean: bool) -> Event<&'static str> {
    let close = CloseEvent { code, reason: reason.into(), was_clean };
    Event::Close { close, cause: None }
}

fn message(text: &str) -> Event<&'static str> {
    Event::Message { data: Message::text(text), binary_type: BinaryType::Blob }
}

fn events(object: &mut Object<&'static str>) -> Vec<Event<&'static str>> {
    core::iter::from_fn(|| object.poll_event()).collect()
}

fn commands(object: &mut Object<&'static str>) -> Vec<Command> {
    core::iter::from_fn(|| object.poll_command()).collect()
}

fn refused(url: &str, protocols: &[&str]) -> DomException {
    let error = Creation::new(url, protocols).unwrap_err();
    assert_eq!(error.name(), ExceptionName::Syntax);
    error
}

#[test]
fn w1_attributes_at_first() {
    let object = connecting();
    assert_eq!(object.ready_state(), ReadyState::Connecting);
    assert_eq!((object.protocol(), object.extensions()), ("", ""));
    assert_eq!(object.buffered_amount(), 0);
    assert_eq!(object.binary_type(), BinaryType::Blob);
}

#[test]
fn w2_url_that_does_not_parse_is_a_syntax_error() {
    for url in ["", "example.com", "//example.com", "ws://", "ws://a b/", "ws://[::1/"] {
        assert!(matches!(refused(url, &[]), DomException::Url(UrlError::Invalid(_))), "{url}");
    }
}

#[test]
fn w3_http_is_taken_for_ws() {
    for (url, expected) in [
        ("http://example.com/a", "ws://example.com/a"),
        ("https://example.com/a", "wss://example.com/a"),
        ("HTTPS://Example.com", "wss://example.com/"),
    ] {
        assert_eq!(Creation::new(url, NO_PROTOCOLS).unwrap().url(), expected);
    }
}

#[test]
fn w4_any_other_scheme_is_a_syntax_error() {
    for url in ["ftp://a/", "file:///a", "about:blank", "mailto:a@b"] {
        assert!(matches!(refused(url, &[]), DomException::Url(UrlError::Scheme(_))), "{url}");
    }
}

#[test]
fn w5_fragment_is_a_syntax_error_even_if_empty() {
    for url in ["ws://a/#b", "ws://a/#", "http://a/#"] {
        assert_eq!(refused(url, &[]), DomException::Url(UrlError::Fragment));
    }
}

#[test]
fn w6_url_is_serialised() {
    for (url, expected) in [
        ("ws://example.com", "ws://example.com/"),
        ("ws://example.com:80/", "ws://example.com/"),
        ("wss://example.com:443/?", "wss://example.com/?"),
        ("https://example.com:443", "wss://example.com/"),
        ("http://example.com:443", "ws://example.com:443/"),
        ("  ws://example.com/a/../b c ", "ws://example.com/b%20c"),
    ] {
        let creation = Creation::new(url, NO_PROTOCOLS).unwrap();
        assert_eq!(creation.url(), expected);
        assert_eq!(Object::<()>::new(&creation).url(), expected);
    }
}

#[test]
fn w7_empty_protocol_is_an_invalid_one() {
    assert!(Creation::new("ws://a/", NO_PROTOCOLS).is_ok());
    assert!(Creation::new("ws://a/", &["chat"]).is_ok());
    assert_eq!(refused("ws://a/", &[""]), DomException::InvalidProtocol);
}

#[test]
fn w8_repeated_protocol_is_a_syntax_error() {
    assert_eq!(refused("ws://a/", &["chat", "b", "chat"]), DomException::RepeatedProtocol);
    assert_eq!(refused("ws://a/", &["chat", "CHAT"]), DomException::RepeatedProtocol);
}

#[test]
fn w9_protocol_that_is_no_token_is_a_syntax_error() {
    for protocol in ["a b", "a,b", "a\"", "\u{e9}", "a\u{7f}", "a:b"] {
        assert_eq!(refused("ws://a/", &[protocol]), DomException::InvalidProtocol, "{protocol}");
    }
}

#[test]
fn w10_failure_to_connect_is_only_an_event() {
    let mut object = connecting();
    object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), true, Some("refused"));
    assert_eq!(object.ready_state(), ReadyState::Connecting);
    let expected = [Event::Error(Some("refused")), close(1006, "", false)];
    assert_eq!(events(&mut object), expected);
    assert_eq!(object.ready_state(), ReadyState::Closed);
}

#[test]
fn w17_established_connection_has_its_attributes_at_the_event() {
    let mut object = connecting();
    object.opened(Some("chat"), NegotiatedExtensions::default());
    assert_eq!((object.ready_state(), object.protocol()), (ReadyState::Connecting, ""));
    assert_eq!(object.poll_event(), Some(Event::Open));
    assert_eq!((object.ready_state(), object.protocol()), (ReadyState::Open, "chat"));
    assert_eq!(object.poll_event(), None);
}

#[cfg(feature = "deflate")]
#[test]
fn w15_offer_and_extensions_are_those_of_a_browser() {
    use duologue_core::deflate::{DeflateConfig, DeflateParameters};
    use duologue_core::handshake::{ExtensionConfig, HeadLimits};
    use duologue_core::opening::ClientOpening;

    let mut extensions = ExtensionConfig::default();
    extensions.deflate = Some(DeflateConfig::DEFAULT);
    let request = Creation::new("ws://a/", &["chat"]).unwrap().request(extensions);
    let opening = ClientOpening::new(request, HeadLimits::DEFAULT, [0; 16]).unwrap();
    let request = String::from_utf8(opening.request_bytes().to_vec()).unwrap();
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    assert!(request.contains(offer), "{request}");
    assert!(request.contains("\r\nSec-WebSocket-Protocol: chat\r\n"), "{request}");

    let mut agreed = NegotiatedExtensions::default();
    agreed.deflate = Some(DeflateParameters::default());
    let mut object = connecting();
    object.opened(None, agreed);
    assert_eq!(object.poll_event(), Some(Event::Open));
    assert_eq!(object.extensions(), "permessage-deflate");
}

#[test]
fn w18_close_while_connecting_fails() {
    let mut object = connecting();
    object.close_with(3000, "bye").unwrap();
    assert_eq!(object.ready_state(), ReadyState::Closing);
    assert_eq!(commands(&mut object), [Command::Abort]);
    assert_eq!(events(&mut object), []);
    object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), false, None);
    assert_eq!(events(&mut object), [Event::Error(None), close(1006, "", false)]);
}

#[test]
fn w19_no_open_after_close_while_connecting() {
    for close_first in [true, false] {
        let mut object = connecting();
        if close_first {
            object.close();
        }
        object.opened(Some("chat"), NegotiatedExtensions::default());
        object.received(Message::text("a"));
        if !close_first {
            object.close();
        }
        assert_eq!(events(&mut object), []);
        object.closed(CloseEvent::new(CloseStatus::Code(code(1000)), "", true), false, None);
        assert_eq!(events(&mut object), [Event::Error(None), close(1006, "", false)]);
        assert_eq!(object.protocol(), "");
    }
}

#[test]
fn w20_code_that_may_not_be_given_is_an_invalid_access() {
    let mut object = open();
    for code in [0, 999, 1001, 1005, 1006, 1015, 2999, 5000, u16::MAX] {
        let error = object.close_with(code, "").unwrap_err();
        assert_eq!(
            (&error, error.name()),
            (&DomException::CloseCode(code), ExceptionName::InvalidAccess)
        );
    }
    assert_eq!(object.ready_state(), ReadyState::Open);
    for allowed in [1000, 3000, 4999] {
        let mut object = open();
        object.close_with(allowed, "bye").unwrap();
        assert_eq!(commands(&mut object), [Command::Close(Some((code(allowed), "bye".into())))]);
    }
}

#[test]
fn w21_reason_of_over_123_bytes_is_a_syntax_error() {
    let mut object = open();
    // 41 characters of three bytes each fit; one byte more does not.
    let longest = "\u{20ac}".repeat(41);
    let error = object.close_with(1000, &(longest.clone() + "a")).unwrap_err();
    assert_eq!(error.name(), ExceptionName::Syntax);
    assert_eq!(object.ready_state(), ReadyState::Open);
    object.close_with(1000, &longest).unwrap();
}

#[test]
fn w22_code_then_reason_are_judged_in_every_state() {
    let long = "a".repeat(124);
    let mut closing = open();
    closing.close();
    let mut closed = open();
    closed.closed(CloseEvent::new(CloseStatus::NoStatus, "", true), false, None);
    let _ = events(&mut closed);
    for mut object in [connecting(), open(), closing, closed] {
        let state = object.ready_state();
        assert_eq!(object.close_with(1001, &long), Err(DomException::CloseCode(1001)));
        assert_eq!(object.close_with(1000, &long), Err(DomException::CloseReasonTooLong));
        assert_eq!(object.ready_state(), state);
    }
}

#[test]
fn w23_close_when_closing_or_closed_does_nothing() {
    let mut object = open();
    object.close();
    object.close_with(3000, "again").unwrap();
    assert_eq!(commands(&mut object), [Command::Close(None)]);
    object.closed(CloseEvent::new(CloseStatus::NoStatus, "", true), false, None);
    assert_eq!(events(&mut object), [close(1005, "", true)]);
    object.close();
    assert_eq!(commands(&mut object), []);
}

#[test]
fn w25_queued_messages_go_before_close() {
    let mut object = open();
    object.send(Message::text("a")).unwrap();
    object.send(Message::binary(vec![1])).unwrap();
    object.close();
    let expected = [
        Command::Send(Message::text("a")),
        Command::Send(Message::binary(vec![1])),
        // W24: without a code and a reason, the Close frame is empty.
        Command::Close(None),
    ];
    assert_eq!(commands(&mut object), expected);
}

#[test]
fn w27_send_while_connecting_is_an_invalid_state() {
    let mut object = connecting();
    let error = object.send(Message::text("a")).unwrap_err();
    assert_eq!(error.name(), ExceptionName::InvalidState);
    assert_eq!((object.buffered_amount(), commands(&mut object).len()), (0, 0));
}

#[test]
fn w28_send_when_closing_or_closed_only_grows_the_buffered_amount() {
    let mut object = open();
    object.close();
    object.send(Message::text("abc")).unwrap();
    assert_eq!(object.buffered_amount(), 3);
    assert_eq!(commands(&mut object), [Command::Close(None)]);
    object.closed(CloseEvent::new(CloseStatus::NoStatus, "", true), false, None);
    let _ = events(&mut object);
    object.send(Message::text("de")).unwrap();
    assert_eq!(object.buffered_amount(), 5);
    assert_eq!(commands(&mut object), []);
}

#[test]
fn w29_buffered_amount_counts_bytes_of_payload() {
    let mut object = open();
    object.send(Message::text("\u{20ac}")).unwrap();
    assert_eq!(object.buffered_amount(), 3);
    object.send(Message::binary(vec![0; 1000])).unwrap();
    assert_eq!(object.buffered_amount(), 1003);
}

#[test]
fn w30_buffered_amount_falls_as_bytes_go_out_and_never_resets() {
    let mut object = open();
    object.send(Message::binary(vec![0; 10])).unwrap();
    object.transmitted(4);
    assert_eq!(object.buffered_amount(), 6);
    object.close();
    object.send(Message::binary(vec![0; 100])).unwrap();
    // What was never sent does not go out.
    object.transmitted(50);
    assert_eq!(object.buffered_amount(), 100);
    object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), true, Some("reset"));
    let _ = events(&mut object);
    assert_eq!(object.buffered_amount(), 100);
}

#[test]
fn w31_full_buffer_is_an_error_and_the_end() {
    let creation = Creation::new("ws://a/", NO_PROTOCOLS).unwrap();
    let mut object = Object::<&str>::new(&creation).with_max_buffered(10);
    object.opened(None, NegotiatedExtensions::default());
    assert_eq!(object.poll_event(), Some(Event::Open));
    object.send(Message::binary(vec![0; 10])).unwrap();
    object.transmitted(5);
    object.send(Message::binary(vec![0; 5])).unwrap();
    object.send(Message::binary(vec![0; 1])).unwrap();
    assert_eq!(object.buffered_amount(), 11);
    assert_eq!(commands(&mut object).last(), Some(&Command::Abort));
    object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), false, None);
    assert_eq!(events(&mut object), [Event::Error(None), close(1006, "", false)]);
}

#[test]
fn w32_empty_message_goes_out_and_adds_nothing() {
    let mut object = open();
    object.send(Message::text("")).unwrap();
    assert_eq!(object.buffered_amount(), 0);
    assert_eq!(commands(&mut object), [Command::Send(Message::text(""))]);
}

#[test]
fn w33_message_is_delivered_only_while_open() {
    let mut object = open();
    object.received(Message::text("before"));
    object.received(Message::text("not dispatched yet"));
    assert_eq!(object.poll_event(), Some(message("before")));
    object.close();
    object.received(Message::text("after"));
    assert_eq!(events(&mut object), []);
}

#[test]
fn w34_binary_type_is_read_at_dispatch() {
    let mut object = open();
    object.received(Message::binary(vec![1]));
    object.received(Message::binary(vec![2]));
    object.set_binary_type(BinaryType::ArrayBuffer);
    let Some(Event::Message { binary_type, .. }) = object.poll_event() else { panic!() };
    assert_eq!(binary_type, BinaryType::ArrayBuffer);
    object.set_binary_type(BinaryType::Blob);
    let Some(Event::Message { binary_type, .. }) = object.poll_event() else { panic!() };
    assert_eq!(binary_type, BinaryType::Blob);
}

#[test]
fn w35_peers_close_is_closing_without_an_event() {
    let mut object = open();
    object.peer_closes();
    assert_eq!(events(&mut object), []);
    assert_eq!(object.ready_state(), ReadyState::Closing);
}

#[test]
fn w36_closed_comes_before_its_events_and_once() {
    let mut object = open();
    object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), true, Some("reset"));
    object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), true, Some("again"));
    assert_eq!(object.ready_state(), ReadyState::Open);
    assert_eq!(object.poll_event(), Some(Event::Error(Some("reset"))));
    assert_eq!(object.ready_state(), ReadyState::Closed);
    assert_eq!(events(&mut object), [close(1006, "", false)]);
}

#[test]
fn w36_lost_connection_is_no_failure_and_its_cause_comes_with_close() {
    let mut object = open();
    object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), false, Some("reset"));
    let close = CloseEvent { code: 1006, reason: String::new(), was_clean: false };
    assert_eq!(events(&mut object), [Event::Close { close, cause: Some("reset") }]);
}

#[test]
fn w36_connection_that_is_over_keeps_nothing_that_was_to_be_sent() {
    let mut object = open();
    object.send(Message::text("queued")).unwrap();
    object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), false, Some("reset"));
    // The end has not been dispatched yet.
    assert_eq!(object.ready_state(), ReadyState::Open);
    object.send(Message::text("late")).unwrap();
    assert_eq!((object.buffered_amount(), commands(&mut object)), (10, vec![]));
}

#[test]
fn w33_messages_that_wait_are_let_go_when_it_is_closed() {
    let mut object = open();
    object.received(Message::text("waits"));
    assert!(object.backlog() > 0);
    object.close();
    assert_eq!(object.backlog(), 0);
    object.received(Message::text("comes"));
    assert_eq!((object.backlog(), events(&mut object)), (0, vec![]));
}

#[test]
fn connection_that_is_given_up_has_failed() {
    let mut object = open();
    object.send(Message::text("unsent")).unwrap();
    object.give_up();
    assert!(object.is_aborted());
    assert_eq!(
        (object.ready_state(), commands(&mut object)),
        (ReadyState::Closing, vec![Command::Abort])
    );
    object.closed(CloseEvent::abnormal(), true, None);
    assert_eq!(events(&mut object), [Event::Error(None), close(1006, "", false)]);
}

#[test]
fn w38_code_and_reason_are_the_peers() {
    for (status, reason, was_clean, code) in [
        (CloseStatus::Code(code(4000)), "because", true, 4000),
        (CloseStatus::NoStatus, "", true, 1005),
        (CloseStatus::Abnormal, "", false, 1006),
    ] {
        let mut object = open();
        object.peer_closes();
        object.closed(CloseEvent::new(status, reason, was_clean), false, None);
        assert_eq!(events(&mut object), [close(code, reason, was_clean)]);
    }
}

#[test]
fn w39_messages_before_the_close_are_delivered_before_it() {
    let mut object = open();
    object.received(Message::text("a"));
    object.received(Message::text("b"));
    object.peer_closes();
    object.closed(CloseEvent::new(CloseStatus::Code(code(1000)), "", true), false, None);
    assert_eq!(events(&mut object), [message("a"), message("b"), close(1000, "", true)]);
}

#[test]
fn w40_object_that_is_discarded_ends_with_1001() {
    let mut object = open();
    object.discard();
    let expected = [Command::Close(Some((CloseCode::GOING_AWAY, String::new())))];
    assert_eq!(commands(&mut object), expected);
    let mut object = connecting();
    object.discard();
    assert_eq!(commands(&mut object), [Command::Abort]);
}

/// Something that an application or a driver does.
#[derive(Clone, Copy, Debug)]
enum Input {
    Send,
    Close,
    Opened,
    Received,
    PeerCloses,
    ClosedCleanly,
    Failed,
    Dispatch,
}

const INPUTS: [Input; 8] = [
    Input::Send,
    Input::Close,
    Input::Opened,
    Input::Received,
    Input::PeerCloses,
    Input::ClosedCleanly,
    Input::Failed,
    Input::Dispatch,
];

/// The rules, checked against everything that an object does.
#[derive(Default)]
struct Rules {
    events: Vec<Event<&'static str>>,
    closed_locally: bool,
    ended_connection: bool,
}

impl Rules {
    fn step(&mut self, object: &mut Object<&'static str>, input: Input) {
        let before = object.ready_state();
        let buffered = object.buffered_amount();
        match input {
            Input::Send => {
                let sent = object.send(Message::text("abc"));
                assert_eq!(sent.is_err(), before == ReadyState::Connecting);
                let grown = if sent.is_ok() { 3 } else { 0 };
                assert_eq!(object.buffered_amount(), buffered + grown);
            }
            Input::Close => {
                object.close();
                assert!(object.ready_state() >= ReadyState::Closing);
                self.closed_locally = true;
            }
            Input::Opened => object.opened(None, NegotiatedExtensions::default()),
            Input::Received => object.received(Message::text("x")),
            Input::PeerCloses => object.peer_closes(),
            Input::ClosedCleanly => {
                object.closed(CloseEvent::new(CloseStatus::NoStatus, "", true), false, None);
            }
            Input::Failed => {
                object.closed(CloseEvent::new(CloseStatus::Abnormal, "", false), true, Some("why"));
            }
            Input::Dispatch => {
                if let Some(event) = object.poll_event() {
                    self.note(object.ready_state(), event);
                }
            }
        }
        let after = object.ready_state();
        // W41: never backwards; and only a call or a dispatched event changes it.
        assert!(after >= before, "{before:?} to {after:?}");
        let may_change = matches!(input, Input::Close | Input::Dispatch);
        assert!(after == before || may_change, "{input:?}");
        for command in core::iter::from_fn(|| object.poll_command()) {
            assert!(!self.ended_connection, "{command:?} after the end");
            self.ended_connection = !matches!(command, Command::Send(_));
        }
    }

    fn note(&mut self, state: ReadyState, event: Event<&'static str>) {
        let last = self.events.last();
        assert!(!matches!(last, Some(Event::Close { .. })), "an event after close");
        match event {
            Event::Open => {
                assert!(last.is_none() && !self.closed_locally);
                assert_eq!(state, ReadyState::Open);
            }
            Event::Message { .. } => {
                assert!(matches!(last, Some(Event::Open | Event::Message { .. })));
                assert_eq!(state, ReadyState::Open);
            }
            Event::Error(_) => {
                assert!(!matches!(last, Some(Event::Error(_))));
                assert_eq!(state, ReadyState::Closed);
            }
            Event::Close { ref close, .. } => {
                assert_eq!(state, ReadyState::Closed);
                let was_open = matches!(self.events.first(), Some(Event::Open));
                let failed = matches!(last, Some(Event::Error(_)));
                assert!(was_open || failed, "what never opened has failed");
                assert_eq!(close.was_clean, !failed);
                assert_eq!(close.code, if failed { 1006 } else { 1005 });
            }
        }
        self.events.push(event);
    }
}

#[test]
fn w41_every_sequence_of_inputs_to_depth_7_keeps_the_rules() {
    let sequences = INPUTS.len().pow(7);
    for number in 0..sequences {
        let (mut object, mut rules) = (connecting(), Rules::default());
        let mut rest = number;
        for _ in 0..7 {
            rules.step(&mut object, INPUTS[rest % INPUTS.len()]);
            rest /= INPUTS.len();
        }
        // Whatever is left to be dispatched keeps them too.
        for _ in 0..10 {
            rules.step(&mut object, Input::Dispatch);
        }
    }
}
