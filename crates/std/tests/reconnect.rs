//! The client that connects again, over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that goes wrong fails"
)]

#[path = "support/clients.rs"]
mod clients;
mod support;

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use clients::{
    LONG, Watch, Watched, accept_from, echo, eventually, listen, nowhere, promptly, serve, soon,
    with_opening_timeout,
};
use duologue_std::reconnect::{
    CloseEvent, Ending, ReconnectEvent, ReconnectOptions, ReconnectPolicy, ReconnectingHandle,
    ReconnectingSocket, UnsentReason, WhileDown,
};
use duologue_std::{
    ClientOptions, CloseCode, Config, Error, HttpResponse, Message, ReadyState, Request,
    ServerOptions, WebSocket, accept_with,
};
use support::read_to_end;

/// Attempts in quick succession.
const QUICK: ReconnectPolicy = ReconnectPolicy {
    first_delay: Duration::from_millis(5),
    jitter: 0.0,
    factor: 1.0,
    ..ReconnectPolicy::DEFAULT
};

/// A delay that no test waits for.
const SLOW: ReconnectPolicy = ReconnectPolicy {
    first_delay: Duration::from_secs(3600),
    max_delay: Duration::from_secs(3600),
    ..QUICK
};

fn options(url: &str) -> ReconnectOptions {
    ReconnectOptions::new(ClientOptions::new(url).unwrap()).with_policy(QUICK)
}

/// The next event; a failure if none comes.
#[track_caller]
fn next(socket: &mut ReconnectingSocket) -> Option<ReconnectEvent> {
    soon(socket.next_timeout(LONG))
}

#[track_caller]
fn expect_up(socket: &mut ReconnectingSocket) {
    let event = next(socket);
    assert!(matches!(event, Some(ReconnectEvent::Up { .. })), "{event:?}");
}

#[track_caller]
fn expect_message(socket: &mut ReconnectingSocket) -> Message {
    match next(socket) {
        Some(ReconnectEvent::Message(message)) => message,
        event => panic!("no message but {event:?}"),
    }
}

/// Down, with another attempt to come: how it ended, and how many messages were given up.
#[track_caller]
fn expect_down(socket: &mut ReconnectingSocket) -> (CloseEvent, Option<Error>, usize) {
    match next(socket) {
        Some(ReconnectEvent::Down { close, cause, dropped, retry_in: Some(_) }) => {
            (close, cause, dropped)
        }
        event => panic!("not down but {event:?}"),
    }
}

/// Down for good.
#[track_caller]
fn expect_end(socket: &mut ReconnectingSocket) -> (CloseEvent, Option<Error>) {
    match next(socket) {
        Some(ReconnectEvent::Down { close, cause, retry_in: None, .. }) => {
            assert_eq!(socket.ready_state(), ReadyState::Closed);
            assert!(next(socket).is_none());
            assert!(matches!(socket.try_next(), Poll::Ready(None)));
            (close, cause)
        }
        event => panic!("no end but {event:?}"),
    }
}

/// Ends TCP, so that not even the Close frame of a dropped connection goes out.
fn kill(server: &WebSocket<TcpStream>) {
    server.get_ref().shutdown(Shutdown::Both).unwrap();
}

#[test]
fn a_connection_that_is_lost_is_made_again() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        for round in 0..3_u32 {
            let mut server = accept_from(&listener, &ServerOptions::new());
            server.send(round.to_string()).unwrap();
            let answer = server.read().unwrap().unwrap();
            assert_eq!(answer, Message::text(format!("answer {round}")));
            if round == 2 {
                return server.close(CloseCode::NORMAL, "done").unwrap();
            }
            kill(&server);
        }
    });
    let mut socket = ReconnectingSocket::new(&options(&url));
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    for round in 0..3_u32 {
        expect_up(&mut socket);
        assert_eq!(socket.ready_state(), ReadyState::Open);
        assert_eq!(expect_message(&mut socket), Message::text(round.to_string()));
        socket.send(format!("answer {round}")).unwrap();
        if round < 2 {
            let (close, cause, dropped) = expect_down(&mut socket);
            assert_eq!((close.code, dropped), (1006, 0));
            assert!(matches!(cause, Some(Error::ConnectionLost | Error::Io(_))), "{cause:?}");
        }
    }
    let (close, cause) = expect_end(&mut socket);
    assert_eq!((close.code, close.reason.as_str(), close.was_clean), (1000, "done", true));
    assert!(cause.is_none());
    server.join().unwrap();
}

#[test]
fn a_server_that_comes_later_is_found() {
    let (listener, url) = listen();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut socket = ReconnectingSocket::new(&options(&url));
    let (close, cause, _) = expect_down(&mut socket);
    assert_eq!(close.code, 1006);
    assert!(matches!(cause, Some(Error::Io(_))), "{cause:?}");
    let listener = TcpListener::bind(address).unwrap();
    let server = thread::spawn(move || echo(accept_from(&listener, &ServerOptions::new())));
    loop {
        match next(&mut socket) {
            Some(ReconnectEvent::Up { .. }) => break,
            Some(ReconnectEvent::Down { retry_in: Some(_), .. }) => {}
            event => panic!("{event:?}"),
        }
    }
    socket.close(CloseCode::NORMAL, "").unwrap();
    expect_end(&mut socket);
    server.join().unwrap().unwrap();
}

#[test]
fn a_message_without_a_connection_is_refused() {
    let options = options(&nowhere()).with_policy(SLOW);
    let mut socket = ReconnectingSocket::new(&options);
    expect_down(&mut socket);
    assert_eq!(socket.ready_state(), ReadyState::Connecting);
    let unsent = socket.send("to nobody").unwrap_err();
    assert_eq!((unsent.message, unsent.reason), (Message::text("to nobody"), UnsentReason::Down));
    socket.close(CloseCode::NORMAL, "").unwrap();
    expect_end(&mut socket);
    assert_eq!(socket.send("later").unwrap_err().reason, UnsentReason::Closed);
}

#[test]
fn messages_kept_while_down_come_in_order_and_once() {
    let (listener, url) = listen();
    let options = options(&url).with_while_down(WhileDown::Keep(100));
    let mut socket = ReconnectingSocket::new(&options);
    for number in 0..100_u32 {
        socket.send(number.to_string()).unwrap();
    }
    assert_eq!(socket.send("one too many").unwrap_err().reason, UnsentReason::Down);
    let server = thread::spawn(move || {
        let mut server = accept_from(&listener, &ServerOptions::new());
        for number in 0..101_u32 {
            assert_eq!(server.read().unwrap().unwrap(), Message::text(number.to_string()));
        }
        assert!(server.read().unwrap().is_none());
    });
    expect_up(&mut socket);
    socket.send("100").unwrap();
    socket.close(CloseCode::NORMAL, "").unwrap();
    let (close, _) = expect_end(&mut socket);
    assert_eq!((close.code, close.was_clean), (1000, true));
    assert_eq!(socket.buffered_amount(), 0);
    server.join().unwrap();
}

#[test]
fn messages_that_no_connection_was_handed_go_out_with_the_next() {
    let (listener, url) = listen();
    let client = ClientOptions::new(&url).unwrap();
    let options = ReconnectOptions::new(client)
        .with_policy(QUICK)
        .with_max_buffered(1 << 30)
        .with_while_down(WhileDown::Keep(1000));
    let mut socket = ReconnectingSocket::new(&options);
    let first = thread::spawn(move || (accept_from(&listener, &ServerOptions::new()), listener));
    expect_up(&mut socket);
    let (first, listener) = first.join().unwrap();
    // The first server reads nothing: some is in the sockets' buffers, and most is not begun.
    for number in 0..200_u32 {
        let mut message = vec![0; 1 << 20];
        message[..4].copy_from_slice(&number.to_be_bytes());
        socket.send(message).unwrap();
    }
    eventually("the first is begun", || socket.buffered_amount() < 200 << 20);
    drop(first);
    let (_, _, dropped) = expect_down(&mut socket);
    // What the connection was handed, one message at a time, and had not begun is told.
    assert!(dropped <= 1, "{dropped}");
    let mut second = accept_from(&listener, &ServerOptions::new());
    expect_up(&mut socket);
    let number_of =
        |message: Message| u32::from_be_bytes(message.payload()[..4].try_into().unwrap());
    let begin = number_of(second.read().unwrap().unwrap());
    assert!(begin > 0 && begin < 100, "{begin}");
    for number in begin + 1..200 {
        assert_eq!(number_of(second.read().unwrap().unwrap()), number);
    }
    eventually("all is out", || socket.buffered_amount() == 0);
}

#[test]
fn an_answer_of_401_or_403_is_final_and_503_is_not() {
    for (status, is_final) in [(401, true), (403, true), (503, false)] {
        let (listener, url) = listen();
        let server = thread::spawn(move || {
            let refuse = |_: &Request<'_>| HttpResponse::text(status, "not now").into();
            let stream = listener.accept().unwrap().0;
            assert!(accept_with(stream, &ServerOptions::new(), refuse).is_err());
        });
        let mut socket = ReconnectingSocket::new(&options(&url).with_policy(SLOW));
        let (close, cause) = if is_final {
            expect_end(&mut socket)
        } else {
            let (close, cause, _) = expect_down(&mut socket);
            (close, cause)
        };
        assert_eq!(close.code, 1006);
        match cause {
            Some(Error::Opening(failure)) => assert_eq!(failure.response.unwrap().status, status),
            cause => panic!("{cause:?}"),
        }
        server.join().unwrap();
    }
}

#[test]
fn a_close_with_1000_or_1008_is_final_and_1012_is_not() {
    for (code, is_final) in [(1000, true), (1008, true), (1012, false)] {
        let (url, server) = serve(move |mut server: WebSocket<TcpStream>| {
            server.close(CloseCode::new(code).unwrap(), "").unwrap();
        });
        let mut socket = ReconnectingSocket::new(&options(&url).with_policy(SLOW));
        expect_up(&mut socket);
        let close = if is_final { expect_end(&mut socket).0 } else { expect_down(&mut socket).0 };
        assert_eq!((close.code, close.was_clean), (code, true));
        server.join().unwrap();
    }
}

#[test]
fn a_judge_that_panics_ends_the_client() {
    let url = nowhere();
    let options = options(&url).retry_if(|_| panic!("a judge that panics, as the test wants"));
    let mut socket = ReconnectingSocket::new(&options);
    let event = next(&mut socket);
    assert!(matches!(event, Some(ReconnectEvent::Down { retry_in: None, .. })), "{event:?}");
    assert!(next(&mut socket).is_none());
}

#[test]
fn an_application_may_judge_for_itself() {
    let (listener, url) = listen();
    let server = thread::spawn(move || {
        for _ in 0..2 {
            let mut server = accept_from(&listener, &ServerOptions::new());
            server.close(CloseCode::NORMAL, "").unwrap();
        }
    });
    let judged = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&judged);
    let options = options(&url).retry_if(move |ending: &Ending| {
        assert_eq!(ending.close.code, 1000);
        counter.fetch_add(1, Ordering::SeqCst) == 0
    });
    let mut socket = ReconnectingSocket::new(&options);
    expect_up(&mut socket);
    expect_down(&mut socket);
    expect_up(&mut socket);
    expect_end(&mut socket);
    assert_eq!(judged.load(Ordering::SeqCst), 2);
    server.join().unwrap();
}

#[test]
fn attempts_end_after_as_many_as_were_wanted() {
    let policy = ReconnectPolicy { max_attempts: Some(3), ..QUICK };
    let mut socket = ReconnectingSocket::new(&options(&nowhere()).with_policy(policy));
    let started = Instant::now();
    for _ in 0..3 {
        expect_down(&mut socket);
    }
    let (close, cause) = expect_end(&mut socket);
    assert_eq!(close.code, 1006);
    assert!(matches!(cause, Some(Error::Io(_))), "{cause:?}");
    assert!(started.elapsed() >= Duration::from_millis(15), "three delays of 5 ms");
}

#[test]
fn close_while_waiting_is_prompt() {
    let mut socket = ReconnectingSocket::new(&options(&nowhere()).with_policy(SLOW));
    expect_down(&mut socket);
    promptly(|| {
        socket.close(CloseCode::NORMAL, "").unwrap();
        expect_end(&mut socket);
    });
}

#[test]
fn close_while_connecting_is_prompt_and_closes_the_socket() {
    let (listener, url) = listen();
    let mut socket = ReconnectingSocket::new(&options(&url));
    let (mut raw, _) = listener.accept().unwrap();
    raw.set_read_timeout(Some(LONG)).unwrap();
    raw.read_exact(&mut [0]).unwrap();
    promptly(|| {
        socket.close(CloseCode::NORMAL, "").unwrap();
        let (close, cause) = expect_end(&mut socket);
        assert_eq!(close, CloseEvent::abnormal());
        assert!(cause.is_none());
        read_to_end(&mut raw);
    });
}

#[test]
fn close_from_another_thread_carries_code_and_reason_behind_what_was_sent() {
    let (url, server) = serve(|mut server: WebSocket<TcpStream>| {
        let mut count = 0;
        while server.read().unwrap().is_some() {
            count += 1;
        }
        let outcome = server.close_outcome().unwrap();
        (count, outcome.status.to_u16(), outcome.reason.to_owned())
    });
    let mut socket = ReconnectingSocket::new(&options(&url));
    expect_up(&mut socket);
    let handle: ReconnectingHandle = socket.handle().clone();
    let closer = thread::spawn(move || {
        for _ in 0..100 {
            handle.send("one of many").unwrap();
        }
        assert!(handle.close(CloseCode::NORMAL, &"long".repeat(31)).is_err());
        handle.close(CloseCode::new(4001).unwrap(), "that is all").unwrap();
    });
    let (close, cause) = expect_end(&mut socket);
    assert_eq!((close.code, close.was_clean), (4001, true), "{cause:?}");
    closer.join().unwrap();
    assert_eq!(server.join().unwrap(), (100, 4001, "that is all".to_owned()));
}

#[test]
fn a_dropped_client_closes_with_1001_and_leaves_no_thread() {
    let (url, server) = serve(|mut server: WebSocket<TcpStream>| {
        assert!(server.read().unwrap().is_none());
        server.close_outcome().unwrap().status.to_u16()
    });
    let (watch, token) = Watch::new();
    let mut socket = ReconnectingSocket::with_connector(&options(&url), move |client| {
        let address = client.address();
        Ok(Watched::new(TcpStream::connect((address.host.as_str(), address.port))?, &token))
    });
    expect_up(&mut socket);
    drop(socket);
    assert_eq!(server.join().unwrap(), 1001);
    watch.assert_all_gone();
}

#[test]
fn a_client_dropped_while_waiting_leaves_no_thread() {
    let (watch, token) = Watch::new();
    let options = options(&nowhere()).with_policy(SLOW);
    let mut socket = ReconnectingSocket::with_connector(&options, move |client| {
        let address = client.address();
        Ok(Watched::new(TcpStream::connect((address.host.as_str(), address.port))?, &token))
    });
    expect_down(&mut socket);
    promptly(|| {
        drop(socket);
        watch.assert_all_gone();
    });
}

#[test]
fn a_client_dropped_while_connecting_leaves_no_thread() {
    let (listener, url) = listen();
    let (watch, token) = Watch::new();
    let socket = ReconnectingSocket::with_connector(&options(&url), move |client| {
        let address = client.address();
        Ok(Watched::new(TcpStream::connect((address.host.as_str(), address.port))?, &token))
    });
    let (mut raw, _) = listener.accept().unwrap();
    raw.read_exact(&mut [0]).unwrap();
    promptly(|| {
        drop(socket);
        watch.assert_all_gone();
    });
}

#[test]
fn a_connector_that_is_too_slow_is_never_called_twice_at_once() {
    let (listener, url) = listen();
    let (watch, token) = Watch::new();
    let (go_on, stuck) = mpsc::channel::<()>();
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let client = ClientOptions::new(&url).unwrap().with_config(with_opening_timeout(100));
    let options = ReconnectOptions::new(client).with_policy(QUICK);
    let mut socket = ReconnectingSocket::with_connector(&options, move |client| {
        if counter.fetch_add(1, Ordering::SeqCst) == 0 {
            stuck.recv().unwrap();
        }
        let address = client.address();
        Ok(Watched::new(TcpStream::connect((address.host.as_str(), address.port))?, &token))
    });
    for _ in 0..3 {
        let (_, cause, _) = expect_down(&mut socket);
        assert!(matches!(cause, Some(Error::OpeningTimeout)), "{cause:?}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let server = thread::spawn(move || {
        // The stream that came too late is closed without a request.
        let (mut late, _) = listener.accept().unwrap();
        late.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(read_to_end(&mut late), b"");
        echo(accept_from(&listener, &ServerOptions::new())).is_ok()
    });
    go_on.send(()).unwrap();
    loop {
        match next(&mut socket) {
            Some(ReconnectEvent::Up { .. }) => break,
            Some(ReconnectEvent::Down { retry_in: Some(_), .. }) => {}
            event => panic!("{event:?}"),
        }
    }
    assert!(calls.load(Ordering::SeqCst) >= 2);
    socket.close(CloseCode::NORMAL, "").unwrap();
    expect_end(&mut socket);
    assert!(server.join().unwrap());
    watch.assert_all_gone();
}

#[test]
fn a_connector_that_panics_ends_the_attempts() {
    let (watch, token) = Watch::new();
    let options = options("ws://localhost/");
    let connect = move |_: &ClientOptions| -> Result<Watched, Error> {
        let _token = &token;
        panic!("a connector that panics, as this test wants");
    };
    let mut socket = ReconnectingSocket::with_connector(&options, connect);
    promptly(|| expect_end(&mut socket));
    watch.assert_all_gone();
}

#[test]
fn a_connector_that_panics_when_nobody_waits_any_more_ends_the_attempts() {
    let (go_on, stuck) = mpsc::channel::<()>();
    let client = ClientOptions::new("ws://localhost/").unwrap();
    let client = client.with_config(with_opening_timeout(50));
    let options = ReconnectOptions::new(client).with_policy(QUICK);
    let connect = move |_: &ClientOptions| -> Result<TcpStream, Error> {
        stuck.recv().unwrap();
        panic!("a connector that panics, as this test wants");
    };
    let mut socket = ReconnectingSocket::with_connector(&options, connect);
    let (_, cause, _) = expect_down(&mut socket);
    assert!(matches!(cause, Some(Error::OpeningTimeout)), "{cause:?}");
    go_on.send(()).unwrap();
    loop {
        match next(&mut socket) {
            Some(ReconnectEvent::Down { .. }) => {}
            None => break,
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(socket.ready_state(), ReadyState::Closed);
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_and_connected_to_again() {
    let (listener, url) = listen();
    let timeout = Duration::from_millis(300);
    let config =
        Config { write_stall_timeout: timeout, closing_timeout: timeout, ..Config::DEFAULT };
    let client = ClientOptions::new(&url).unwrap().with_config(config);
    let options = ReconnectOptions::new(client).with_policy(QUICK).with_max_buffered(1 << 30);
    let mut socket = ReconnectingSocket::new(&options);
    let server = thread::spawn(move || {
        let first = accept_from(&listener, &ServerOptions::new());
        let second = accept_from(&listener, &ServerOptions::new());
        drop(first);
        second
    });
    expect_up(&mut socket);
    let message = Message::binary(vec![1; 1 << 20]);
    for _ in 0..200 {
        assert!(socket.send(message.clone()).is_ok());
    }
    let (close, cause, dropped) = promptly(|| expect_down(&mut socket));
    assert_eq!(close.code, 1006);
    assert!(matches!(cause, Some(Error::Protocol(_))), "{cause:?}");
    assert!(dropped > 0, "what no connection had begun to write is told");
    assert_eq!(socket.buffered_amount(), 0);
    expect_up(&mut socket);
    drop(socket);
    let mut second = server.join().unwrap();
    assert!(second.read().unwrap().is_none());
    assert_eq!(second.close_outcome().unwrap().status.to_u16(), 1001);
}
