//! `wss://` over loopback: what goes through, and how each failure is told.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use duologue_certificates::{Authority, Identity, Validity};
use duologue_std::tls::{self, ClientTls, ServerStream, ServerTls, rustls};
use duologue_std::{
    Accept, ClientOptions, ClientStream, CloseCode, CloseStatus, Config, Error, Message,
    ServerOptions, TlsError, WebSocket, accept_with, connect, connect_with,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// No keepalive, so that nothing but the test itself moves.
const QUIET: Config = Config { keepalive: None, ..Config::DEFAULT };

fn authority() -> Authority {
    Authority::new("the tests' authority").unwrap()
}

fn another_authority() -> Authority {
    Authority::new("another authority").unwrap()
}

fn server_tls(identity: &Identity) -> ServerTls {
    ServerTls::new(identity.chain.as_bytes(), identity.key.as_bytes()).unwrap()
}

/// A client's TLS that trusts one authority.
fn trusting(authority: &Authority) -> ClientTls {
    ClientTls::builder().only_roots(authority.certificate()).build().unwrap()
}

/// A server with a certificate for `localhost` and two addresses, and a client that trusts its
/// authority.
fn good() -> (ServerTls, ClientTls) {
    let authority = authority();
    let names = ["localhost", "127.0.0.1", "::1"];
    let identity = authority.issue(&names, Validity::Now).unwrap();
    (server_tls(&identity), trusting(&authority))
}

/// A listener, and the URL of `host` with its port.
fn listen(host: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://{host}:{}/", listener.local_addr().unwrap().port());
    (listener, url)
}

fn accept_one(listener: &TcpListener, tls: &ServerTls) -> Result<WebSocket<ServerStream>, Error> {
    let (stream, _) = listener.accept()?;
    let options = ServerOptions::new().with_config(QUIET);
    let stream = tls::accept(stream, tls, &options)?;
    accept_with(stream, &options, |_| Accept::new().into())
}

fn accepting(
    listener: TcpListener,
    tls: &ServerTls,
) -> JoinHandle<Result<WebSocket<ServerStream>, Error>> {
    let tls = tls.clone();
    thread::spawn(move || accept_one(&listener, &tls))
}

fn options(url: &str, tls: &ClientTls) -> ClientOptions {
    ClientOptions::new(url).unwrap().with_config(QUIET).with_tls(tls.clone())
}

/// What each end makes of an attempt to connect to `host`.
fn attempt(
    host: &str,
    server: &ServerTls,
    client: &ClientTls,
) -> (Result<WebSocket<ServerStream>, Error>, Result<WebSocket<ClientStream>, Error>) {
    let (listener, url) = listen(host);
    let accepting = accepting(listener, server);
    let connected = connect_with(&options(&url, client));
    (accepting.join().unwrap(), connected)
}

fn opened() -> (WebSocket<ServerStream>, WebSocket<ClientStream>) {
    let (server, client) = good();
    let (server, client) = attempt("localhost", &server, &client);
    (server.unwrap(), client.unwrap())
}

fn echo(mut websocket: WebSocket<ServerStream>) -> JoinHandle<Result<(), Error>> {
    thread::spawn(move || {
        while let Some(message) = websocket.read()? {
            websocket.feed(message)?;
        }
        Ok(())
    })
}

#[track_caller]
fn tls_error<T: std::fmt::Debug>(result: Result<T, Error>) -> TlsError {
    match result {
        Err(Error::Tls(error)) => *error,
        other => panic!("no failure of TLS: {other:?}"),
    }
}

#[test]
fn messages_are_echoed_over_wss_whether_a_name_or_an_address_is_asked_for() {
    let (server, client) = good();
    for host in ["localhost", "LOCALHOST", "127.0.0.1"] {
        let (theirs, ours) = attempt(host, &server, &client);
        let (theirs, mut ours) = (theirs.unwrap(), ours.unwrap());
        assert!(ours.get_ref().is_tls() && theirs.get_ref().is_tls(), "{host}");
        assert!(ours.get_ref().tcp().nodelay().unwrap(), "{host}");
        assert!(theirs.get_ref().tcp().nodelay().unwrap(), "{host}");
        assert_eq!(ours.get_ref().peer_certificates().len(), 1);
        assert!(theirs.get_ref().peer_certificates().is_empty());
        let server = echo(theirs);
        ours.send("over TLS").unwrap();
        assert_eq!(ours.read().unwrap(), Some(Message::text("over TLS")), "{host}");
        ours.close(CloseCode::NORMAL, "bye").unwrap();
        assert!(ours.close_outcome().unwrap().was_clean, "{host}");
        server.join().unwrap().unwrap();
    }
}

#[test]
fn an_ipv6_address_is_verified_too() {
    // There may be no IPv6 here.
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let url = format!("wss://[::1]:{}/", listener.local_addr().unwrap().port());
    let (server, client) = good();
    let accepting = accepting(listener, &server);
    connect_with(&options(&url, &client)).unwrap();
    accepting.join().unwrap().unwrap();
}

#[test]
fn tls_1_2_will_do() {
    let authority = authority();
    let identity = authority.issue(&["localhost"], Validity::Now).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let server = ServerTls::from_config(Arc::new(config));
    let (theirs, ours) = attempt("localhost", &server, &trusting(&authority));
    let (server, mut ours) = (echo(theirs.unwrap()), ours.unwrap());
    ours.send("1.2").unwrap();
    assert_eq!(ours.read().unwrap(), Some(Message::text("1.2")));
    ours.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().unwrap();
}

#[test]
fn a_mebibyte_goes_both_ways() {
    let (theirs, mut ours) = opened();
    let server = echo(theirs);
    let payload: Vec<u8> = (0..=250_u8).cycle().take(1 << 20).collect();
    for _ in 0..3 {
        ours.send(payload.clone()).unwrap();
        assert_eq!(ours.read().unwrap(), Some(Message::binary(payload.clone())));
    }
    ours.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().unwrap();
}

/// Both ends send 8 MiB at the same time, and neither reads less for that.
#[test]
fn halves_of_both_ends_send_at_the_same_time() {
    const PART: usize = 1 << 20;
    let (theirs, ours) = opened();
    let (mut their_read, mut their_write) = theirs.split().unwrap();
    let (mut our_read, mut our_write) = ours.split().unwrap();
    let sending_there = thread::spawn(move || {
        for index in 0..8_u8 {
            their_write.send(vec![index; PART]).unwrap();
        }
        their_write
    });
    let sending_here = thread::spawn(move || {
        for index in 0..8_u8 {
            our_write.send(vec![!index; PART]).unwrap();
        }
        our_write
    });
    let reading_there = thread::spawn(move || {
        for index in 0..8_u8 {
            assert_eq!(their_read.read().unwrap(), Some(Message::binary(vec![!index; PART])));
        }
        their_read
    });
    for index in 0..8_u8 {
        assert_eq!(our_read.read().unwrap(), Some(Message::binary(vec![index; PART])));
    }
    let mut their_read = reading_there.join().unwrap();
    let _their_write = sending_there.join().unwrap();
    let mut our_write = sending_here.join().unwrap();
    our_write.start_close(CloseCode::NORMAL, "").unwrap();
    let there = thread::spawn(move || their_read.read().unwrap());
    assert_eq!(our_read.read().unwrap(), None);
    assert!(our_read.close_outcome().unwrap().was_clean);
    assert_eq!(there.join().unwrap(), None);
}

/// The read half answers pings while the write half waits for a peer that does not read.
#[test]
fn a_half_that_waits_to_write_does_not_keep_the_other_one_from_reading() {
    const PART: usize = 1 << 20;
    let (theirs, ours) = opened();
    let (mut their_read, mut their_write) = theirs.split().unwrap();
    let (mut our_read, mut our_write) = ours.split().unwrap();
    // More than the sockets' buffers hold, before the peer begins to read.
    let sending = thread::spawn(move || {
        for _ in 0..32 {
            our_write.send(vec![7; PART]).unwrap();
        }
    });
    for index in 0..100_u8 {
        their_write.send(vec![index]).unwrap();
        assert_eq!(our_read.read().unwrap(), Some(Message::binary(vec![index])));
    }
    for _ in 0..32 {
        assert_eq!(their_read.read().unwrap().unwrap().len(), PART);
    }
    sending.join().unwrap();
}

#[test]
fn a_non_blocking_stream_says_so_and_loses_nothing() {
    let (theirs, mut ours) = opened();
    ours.get_ref().tcp().set_nonblocking(true).unwrap();
    let nothing = ours.read();
    assert!(matches!(&nothing, Err(error) if error.is_would_block()), "{nothing:?}");
    // The peer begins to read when the sockets' buffers are full.
    let payload: Vec<u8> = (0..=250_u8).cycle().take(8 << 20).collect();
    ours.send(payload.clone()).unwrap();
    let unsent = ours.flush();
    assert!(matches!(&unsent, Err(error) if error.is_would_block()), "{unsent:?}");
    let server = echo(theirs);
    let mut back = None;
    let begun = Instant::now();
    while back.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing comes back");
        match ours.read() {
            Ok(message) => back = message,
            Err(error) if error.is_would_block() => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(back, Some(Message::binary(payload)));
    ours.get_ref().tcp().set_nonblocking(false).unwrap();
    ours.close(CloseCode::NORMAL, "").unwrap();
    server.join().unwrap().unwrap();
}

/// A peer that takes nothing is found out by the stall timeout although TLS holds back what TCP
/// does not take.
#[test]
fn a_peer_that_takes_nothing_is_found_out() {
    let (server, client) = good();
    let (listener, url) = listen("localhost");
    let accepting = accepting(listener, &server);
    let config = Config { write_stall_timeout: Duration::from_millis(200), ..QUIET };
    let mut ours = connect_with(&options(&url, &client).with_config(config)).unwrap();
    let _theirs = accepting.join().unwrap().unwrap();
    let failed = (0..1000).find_map(|_| ours.send(vec![0; 1 << 20]).err());
    assert!(matches!(failed, Some(Error::Protocol(_))), "{failed:?}");
}

#[test]
fn an_unknown_issuer_is_told_at_both_ends() {
    let (server, _) = good();
    let (theirs, ours) = attempt("localhost", &server, &trusting(&another_authority()));
    assert_eq!(tls_error(ours), TlsError::UnknownIssuer);
    let TlsError::CertificateRefused(why) = tls_error(theirs) else { panic!("not refused") };
    assert_eq!(why, "it was issued by an authority unknown there");
}

/// Whatever the platform trusts, it is not this test's authority.
#[test]
fn the_platforms_certificates_are_the_default() {
    let (server, _) = good();
    let (listener, url) = listen("localhost");
    let accepting = accepting(listener, &server);
    let refused = tls_error(connect(&url));
    assert!(
        matches!(refused, TlsError::UnknownIssuer | TlsError::NoPlatformRoots(_)),
        "{refused:?}"
    );
    accepting.join().unwrap().unwrap_err();
}

#[test]
fn h31_certificate_for_other_hosts_is_refused_and_told_with_their_names() {
    let authority = authority();
    let server = server_tls(&authority.issue(&["a.example", "10.0.0.1"], Validity::Now).unwrap());
    for host in ["localhost", "127.0.0.1"] {
        let (_, ours) = attempt(host, &server, &trusting(&authority));
        assert_eq!(
            ours.unwrap_err().to_string(),
            format!(
                "TLS failed: the server's certificate is for other host names than {host}: \
                 a.example, 10.0.0.1"
            )
        );
    }
}

#[test]
fn a_certificate_outside_of_its_time_is_told_with_the_day() {
    let authority = authority();
    for (validity, expected) in [
        (Validity::Past, "TLS failed: the certificate expired on 2021-02-03"),
        (Validity::Future, "TLS failed: the certificate is not valid before 2900-01-01"),
    ] {
        let server = server_tls(&authority.issue(&["localhost"], validity).unwrap());
        let (_, ours) = attempt("localhost", &server, &trusting(&authority));
        assert_eq!(ours.unwrap_err().to_string(), expected);
    }
}

/// A server that asks for client certificates of one authority, and that authority.
fn demanding() -> (Authority, ServerTls) {
    let authority = authority();
    let identity = authority.issue(&["localhost"], Validity::Now).unwrap();
    let server = ServerTls::with_client_roots(
        identity.chain.as_bytes(),
        identity.key.as_bytes(),
        authority.certificate().as_bytes(),
    );
    (authority, server.unwrap())
}

#[test]
fn a_client_certificate_is_asked_for_and_verified() {
    let (authority, server) = demanding();
    let showing = |identity: Identity| {
        ClientTls::builder()
            .only_roots(authority.certificate())
            .client_certificate(identity.chain, identity.key)
            .build()
            .unwrap()
    };

    let me = authority.issue(&["me"], Validity::Now).unwrap();
    let (theirs, ours) = attempt("localhost", &server, &showing(me.clone()));
    let expected = CertificateDer::from_pem_slice(me.chain.as_bytes()).unwrap();
    assert_eq!(theirs.unwrap().get_ref().peer_certificates(), [expected.to_vec()]);
    ours.unwrap();

    let (theirs, ours) = attempt("localhost", &server, &trusting(&authority));
    assert_eq!(tls_error(theirs), TlsError::ClientCertificateRequired);
    assert_eq!(tls_error(ours), TlsError::ClientCertificateRequired);

    let stranger = another_authority().issue(&["me"], Validity::Now).unwrap();
    let (theirs, ours) = attempt("localhost", &server, &showing(stranger));
    assert_eq!(tls_error(theirs), TlsError::UnknownIssuer);
    assert!(matches!(tls_error(ours), TlsError::CertificateRefused(_)));
}

#[test]
fn plain_http_at_either_end_is_no_tls() {
    let (server, client) = good();
    let (listener, url) = listen("localhost");
    let plain = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        stream
    });
    assert_eq!(tls_error(connect_with(&options(&url, &client))), TlsError::NotTls);
    drop(plain.join().unwrap());

    let (listener, url) = listen("localhost");
    let accepting = accepting(listener, &server);
    let refused = connect(&url.replace("wss:", "ws:"));
    assert!(matches!(refused, Err(Error::Opening(_) | Error::Io(_))), "{refused:?}");
    assert_eq!(tls_error(accepting.join().unwrap()), TlsError::NotTls);
}

#[test]
fn a_server_that_goes_away_ends_the_handshake() {
    let (_, client) = good();
    let (listener, url) = listen("localhost");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    });
    assert_eq!(tls_error(connect_with(&options(&url, &client))), TlsError::Ended);
    server.join().unwrap();
}

/// A client has one deadline for TCP, TLS and the opening handshake; this server takes the client's
/// first words and never answers.
#[test]
fn the_clients_deadline_covers_the_tls_handshake() {
    let (_, client) = good();
    let (listener, url) = listen("localhost");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).unwrap();
        (stream, first)
    });
    let timeout = Duration::from_millis(300);
    let begun = Instant::now();
    let config = Config { opening_timeout: timeout, ..QUIET };
    let refused = connect_with(&options(&url, &client).with_config(config));
    assert!(matches!(refused, Err(Error::OpeningTimeout)), "{refused:?}");
    assert!(begun.elapsed() >= timeout);
    // RFC 8446 section 5.1: a record of the handshake begins with 22.
    assert_eq!(server.join().unwrap().1, [22]);
}

#[test]
fn a_client_that_says_nothing_meets_the_servers_deadline() {
    let (server, _) = good();
    let (listener, _) = listen("localhost");
    let _silent = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let config = Config { opening_timeout: Duration::from_millis(200), ..QUIET };
    let refused = tls::accept(stream, &server, &ServerOptions::new().with_config(config));
    assert!(matches!(refused, Err(Error::OpeningTimeout)), "{refused:?}");
}

#[test]
fn close_codes_are_told_both_ways() {
    let (mut theirs, mut ours) = opened();
    let server = thread::spawn(move || {
        assert_eq!(theirs.read().unwrap(), None);
        theirs
    });
    ours.close(CloseCode::new(4000).unwrap(), "enough").unwrap();
    let theirs = server.join().unwrap();
    let outcome = theirs.close_outcome().unwrap();
    assert_eq!(outcome.status, CloseStatus::Code(CloseCode::new(4000).unwrap()));
    assert_eq!(outcome.reason, "enough");
    assert!(outcome.was_clean && ours.close_outcome().unwrap().was_clean);

    let (mut theirs, mut ours) = opened();
    let server = thread::spawn(move || theirs.close(CloseCode::GOING_AWAY, "later"));
    assert_eq!(ours.read().unwrap(), None);
    let outcome = ours.close_outcome().unwrap();
    assert_eq!(outcome.status, CloseStatus::Code(CloseCode::GOING_AWAY));
    assert!(outcome.was_clean);
    server.join().unwrap().unwrap();
}

/// TCP ends below TLS, as when a process is killed.
#[test]
fn a_server_that_is_killed_is_a_lost_connection() {
    let (theirs, mut ours) = opened();
    theirs.get_ref().tcp().shutdown(Shutdown::Both).unwrap();
    let end = ours.read();
    assert!(matches!(end, Err(Error::ConnectionLost)), "{end:?}");
    assert_eq!(ours.close_outcome().unwrap().status, CloseStatus::Abnormal);
    assert!(!ours.close_outcome().unwrap().was_clean);
}

/// The last words of a dropped connection, with the end of TLS behind them.
#[test]
fn a_dropped_connection_says_goodbye() {
    let (mut theirs, ours) = opened();
    drop(ours);
    assert_eq!(theirs.read().unwrap(), None);
    let outcome = theirs.close_outcome().unwrap();
    assert_eq!(outcome.status, CloseStatus::Code(CloseCode::GOING_AWAY));
}
