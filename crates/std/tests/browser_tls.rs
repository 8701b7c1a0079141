//! The browser's object over `wss://`, over loopback.
#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that goes wrong fails")]

#[path = "support/clients.rs"]
mod clients;

use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clients::{LONG, eventually, promptly, soon};
use duologue_certificates::{Authority, Validity};
use duologue_std::browser::{BrowserEvent, BrowserOptions, BrowserSocket};
use duologue_std::tls::{self, ClientTls, ServerStream, ServerTls};
use duologue_std::{Accept, Config, Error, ServerOptions, TlsError, WebSocket, accept_with};

/// A server with TLS, in a thread, and an object that trusts its authority, or not.
fn connected(
    is_trusted: bool,
) -> (JoinHandle<Result<WebSocket<ServerStream>, Error>>, BrowserSocket) {
    let authority = Authority::new("the tests' authority").unwrap();
    let identity = authority.issue(&["127.0.0.1"], Validity::Now).unwrap();
    let tls = ServerTls::new(identity.chain.as_bytes(), identity.key.as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let options = ServerOptions::new();
        let stream = tls::accept(listener.accept()?.0, &tls, &options)?;
        accept_with(stream, &options, |_| Accept::new().into())
    });
    let other = Authority::new("another authority").unwrap();
    let root = if is_trusted { authority.certificate() } else { other.certificate() };
    let tls = ClientTls::builder().only_roots(root).build().unwrap();
    let config = Config { deflate: None, ..Config::DEFAULT };
    let options = BrowserOptions::new(&url, &[""; 0])
        .unwrap()
        .with_max_buffered(32 << 20)
        .with_client(|client| client.with_config(config).with_tls(tls));
    (server, BrowserSocket::with_options(&options))
}

fn next(socket: &mut BrowserSocket) -> Option<BrowserEvent> {
    soon(socket.next_timeout(LONG))
}

#[test]
fn an_echo_over_wss_comes_and_closes() {
    let (server, mut socket) = connected(true);
    let server = thread::spawn(move || {
        let mut server = server.join().unwrap().unwrap();
        while let Some(message) = server.read().unwrap() {
            server.feed(message).unwrap();
        }
    });
    assert!(matches!(next(&mut socket), Some(BrowserEvent::Open)));
    for size in [0, 5, 100_000, 4 << 20] {
        socket.send(vec![7; size]).unwrap();
        match next(&mut socket) {
            Some(BrowserEvent::Message { data, .. }) => assert_eq!(data.len(), size),
            event => panic!("{event:?}"),
        }
        eventually("all is out", || socket.buffered_amount() == 0);
    }
    socket.close_with(3000, "bye").unwrap();
    match next(&mut socket) {
        Some(BrowserEvent::Close { code: 3000, was_clean: true, .. }) => {}
        event => panic!("{event:?}"),
    }
    server.join().unwrap();
}

#[test]
fn a_server_that_is_not_trusted_is_an_error_with_the_cause() {
    let (server, mut socket) = connected(false);
    match next(&mut socket) {
        Some(BrowserEvent::Error(Some(Error::Tls(error)))) => {
            assert_eq!(*error, TlsError::UnknownIssuer);
        }
        event => panic!("{event:?}"),
    }
    assert!(matches!(next(&mut socket), Some(BrowserEvent::Close { code: 1006, .. })));
    assert!(server.join().unwrap().is_err());
}

#[test]
fn too_much_to_send_ends_the_connection_though_the_peer_does_not_read() {
    let (server, mut socket) = connected(true);
    let server = server.join().unwrap().unwrap();
    assert!(matches!(next(&mut socket), Some(BrowserEvent::Open)));
    socket.send(vec![1; 24 << 20]).unwrap();
    let mut last = u64::MAX;
    eventually("the writer is stuck", || {
        let now = socket.buffered_amount();
        thread::sleep(Duration::from_millis(100));
        let stands = now == last;
        last = now;
        stands
    });
    promptly(|| {
        socket.send(vec![1; 32 << 20]).unwrap();
        assert!(matches!(next(&mut socket), Some(BrowserEvent::Error(Some(_)))));
        assert!(matches!(next(&mut socket), Some(BrowserEvent::Close { code: 1006, .. })));
        assert!(next(&mut socket).is_none());
    });
    drop(server);
}
