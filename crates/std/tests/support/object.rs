//! The browser's object, and what is expected of it.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::net::TcpStream;
use std::task::Poll;
use std::thread;

use duologue_std::browser::{BrowserEvent, BrowserOptions, BrowserSocket};
use duologue_std::{Config, Error, Message, ReadyState};

use crate::clients::{LONG, listen, soon};
use crate::support::accept_raw;

pub(crate) fn new(url: &str) -> BrowserSocket {
    BrowserSocket::new(url, &[""; 0]).unwrap()
}

pub(crate) fn options(url: &str) -> BrowserOptions {
    BrowserOptions::new(url, &[""; 0]).unwrap()
}

pub(crate) fn with_config(url: &str, config: Config) -> BrowserSocket {
    BrowserSocket::with_options(&options(url).with_client(|client| client.with_config(config)))
}

/// The next event; a failure if none comes.
#[track_caller]
pub(crate) fn next(socket: &mut BrowserSocket) -> Option<BrowserEvent> {
    soon(socket.next_timeout(LONG))
}

#[track_caller]
pub(crate) fn expect_open(socket: &mut BrowserSocket) {
    let event = next(socket);
    assert!(matches!(event, Some(BrowserEvent::Open)), "{event:?}");
}

#[track_caller]
pub(crate) fn expect_message(socket: &mut BrowserSocket) -> Message {
    match next(socket) {
        Some(BrowserEvent::Message { data, .. }) => data,
        event => panic!("no message but {event:?}"),
    }
}

#[track_caller]
pub(crate) fn expect_error(socket: &mut BrowserSocket) -> Option<Error> {
    match next(socket) {
        Some(BrowserEvent::Error(cause)) => cause,
        event => panic!("no error but {event:?}"),
    }
}

/// The last event, as code, reason, cleanness and cause; nothing follows.
#[track_caller]
pub(crate) fn expect_close(socket: &mut BrowserSocket) -> (u16, String, bool, Option<Error>) {
    match next(socket) {
        Some(BrowserEvent::Close { code, reason, was_clean, cause }) => {
            assert_eq!(socket.ready_state(), ReadyState::Closed);
            assert!(next(socket).is_none());
            assert!(matches!(socket.try_next(), Poll::Ready(None)));
            (code, reason, was_clean, cause)
        }
        event => panic!("no close but {event:?}"),
    }
}

/// Closed without a Close frame of the peer's.
#[track_caller]
pub(crate) fn expect_abnormal_close(socket: &mut BrowserSocket) {
    let (code, reason, was_clean, cause) = expect_close(socket);
    assert_eq!((code, reason.as_str(), was_clean), (1006, "", false), "{cause:?}");
}

/// A server of bare bytes, after its 101 and what goes out with it.
pub(crate) fn raw_server(behind: Vec<u8>) -> (String, thread::JoinHandle<TcpStream>) {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        accept_raw(&mut stream, &behind);
        stream
    });
    (url, server)
}
