//! The opening handshake that tutorials show, byte for byte on both sides.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod handshake_support;

use duologue_core::handshake::{
    Acceptance, ClientHandshake, ClientRequest, HandshakeError, HeadLimits, SecWebSocketKey,
};
use duologue_core::opening::{Accept, ClientOpening, ConnectRequest, Outcome, ServerOpening};

use handshake_support::{accepted, request, written};

/// What the client sends. The order of the fields is free; this is the order in which ours come.
const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    \r\n";

/// The same request in the order in which tutorials print it.
const PRINTED_REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Origin: http://example.com\r\n\
    \r\n";

/// What the server answers.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\
    Sec-WebSocket-Protocol: chat\r\n\
    \r\n";

/// The bytes whose base64 is the key of the request.
const NONCE: [u8; 16] = *b"\xc7\x72\x49\x1c\xc6\xc3\x2f\x51\x33\x2e\x48\x7d\x18\x18\x57\x0f";

fn offer() -> ClientRequest<'static> {
    ClientRequest {
        origin: Some("http://example.com"),
        subprotocols: &["chat", "superchat"],
        ..ClientRequest::new("server.example.com", "/chat")
    }
}

fn owned_offer() -> ConnectRequest {
    ConnectRequest::new("server.example.com", "/chat")
        .origin("http://example.com")
        .subprotocol("chat")
        .subprotocol("superchat")
}

#[test]
fn the_servers_answer_is_the_tutorials_to_the_byte() {
    for bytes in [REQUEST, PRINTED_REQUEST] {
        let chosen = request(bytes.as_bytes()).choose_subprotocol(&["chat"]);
        let acceptance = Acceptance { subprotocol: chosen, fields: &[] };
        assert_eq!(accepted(bytes.as_bytes(), &acceptance).unwrap(), RESPONSE);
    }
}

#[test]
fn the_clients_request_is_the_tutorials_to_the_byte() {
    assert_eq!(SecWebSocketKey::from_nonce(NONCE).as_bytes(), b"x3JJHMbDL1EzLkh9GBhXDw==");
    let client = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    assert_eq!(written(|out| client.write_request(&offer(), out)).unwrap(), REQUEST);
}

#[test]
fn the_client_takes_the_tutorials_response_and_no_other_accept_value() {
    let verdict = |response: &str| {
        let mut client = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
        let response = client.receive(response.as_bytes())?.expect("a whole head");
        response.verify(&client, &offer()).map(|upgraded| upgraded.subprotocol.map(str::to_owned))
    };
    assert_eq!(verdict(RESPONSE), Ok(Some("chat".to_owned())));
    // The accept value of RFC 6455 section 1.3, which belongs to another key.
    let other = RESPONSE.replace("HSmrc0sMlYUkAGmm5OPpG2HaGWk=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(verdict(&other), Err(HandshakeError::WrongAccept));
    let unasked = RESPONSE.replace("Protocol: chat", "Protocol: soap");
    assert_eq!(verdict(&unasked), Err(HandshakeError::UnofferedSubprotocol));
}

#[test]
fn both_sides_go_through_the_tutorial_byte_by_byte() {
    let mut client = ClientOpening::new(owned_offer(), HeadLimits::DEFAULT, NONCE).unwrap();
    assert_eq!(core::str::from_utf8(client.request_bytes()), Ok(REQUEST));

    let mut server = ServerOpening::new(HeadLimits::DEFAULT);
    for byte in REQUEST.bytes() {
        assert!(!server.poll().unwrap());
        server.read_room().extend_from_slice(&[byte]);
    }
    assert!(server.poll().unwrap());
    let outcome = server.decide(|request| {
        Accept::new().subprotocol(request.choose_subprotocol(&["superchat", "chat"])).into()
    });
    let Outcome::Accepted(accepted) = outcome else { panic!("refused: {outcome:?}") };
    assert_eq!(core::str::from_utf8(&accepted.response), Ok(RESPONSE));
    assert_eq!(accepted.subprotocol.as_deref(), Some("chat"));

    for &byte in &accepted.response {
        assert!(client.poll().unwrap().is_none());
        client.read_room().extend_from_slice(&[byte]);
    }
    let opened = client.poll().unwrap().expect("the whole response");
    assert_eq!(opened.subprotocol.as_deref(), Some("chat"));
    assert!(opened.leftover.is_empty());
}
