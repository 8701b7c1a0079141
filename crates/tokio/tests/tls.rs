//! `wss://` over loopback: what goes through, and how each failure is told.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use duologue_certificates::{Authority, Identity, Validity};
use duologue_core::handshake::AcceptKey;
use duologue_tokio::tls::{self, ClientTls, ServerStream, ServerTls, rustls};
use duologue_tokio::{
    Accept, ClientOptions, ClientStream, CloseCode, CloseStatus, Config, Error, Message,
    ServerOptions, TlsError, WebSocket, accept_with, client, connect, connect_with,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use support::QUIET;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

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

/// An authority, a server with its certificate for `localhost` and two addresses, and a client that
/// trusts it.
fn good() -> (Authority, ServerTls, ClientTls) {
    let authority = authority();
    let names = ["localhost", "127.0.0.1", "::1"];
    let identity = authority.issue(&names, Validity::Now).unwrap();
    let (server, client) = (server_tls(&identity), trusting(&authority));
    (authority, server, client)
}

/// A listener, and the URL of `host` with its port.
async fn listen(host: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{host}:{}/", listener.local_addr().unwrap().port());
    (listener, url)
}

async fn accept_one(
    listener: TcpListener,
    tls: ServerTls,
) -> Result<WebSocket<ServerStream>, Error> {
    let (stream, _) = listener.accept().await?;
    let options = ServerOptions::new().with_config(QUIET);
    let stream = tls::accept(stream, &tls, &options).await?;
    accept_with(stream, &options, |_| Accept::new().into()).await
}

fn options(url: &str, tls: &ClientTls) -> ClientOptions {
    ClientOptions::new(url).unwrap().with_config(QUIET).with_tls(tls.clone())
}

/// What each end makes of an attempt to connect to `host`.
async fn attempt(
    host: &str,
    server: &ServerTls,
    client: &ClientTls,
) -> (Result<WebSocket<ServerStream>, Error>, Result<WebSocket<ClientStream>, Error>) {
    let (listener, url) = listen(host).await;
    let accepting = tokio::spawn(accept_one(listener, server.clone()));
    let connected = connect_with(&options(&url, client)).await;
    (accepting.await.unwrap(), connected)
}

async fn opened() -> (WebSocket<ServerStream>, WebSocket<ClientStream>) {
    let (_authority, server, client) = good();
    let (server, client) = attempt("localhost", &server, &client).await;
    (server.unwrap(), client.unwrap())
}

fn echo(mut websocket: WebSocket<ServerStream>) -> JoinHandle<Result<(), Error>> {
    tokio::spawn(async move {
        while let Some(message) = websocket.next().await {
            websocket.feed(message?).await?;
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

#[tokio::test]
async fn messages_are_echoed_over_wss_whether_a_name_or_an_address_is_asked_for() {
    let (_authority, server, client) = good();
    for host in ["localhost", "LOCALHOST", "127.0.0.1"] {
        let (theirs, ours) = attempt(host, &server, &client).await;
        let (theirs, mut ours) = (theirs.unwrap(), ours.unwrap());
        assert!(ours.get_ref().is_tls() && theirs.get_ref().is_tls(), "{host}");
        assert!(ours.get_ref().tcp().nodelay().unwrap(), "{host}");
        assert!(theirs.get_ref().tcp().nodelay().unwrap(), "{host}");
        assert_eq!(ours.get_ref().peer_certificates().len(), 1);
        assert!(theirs.get_ref().peer_certificates().is_empty());
        let server = echo(theirs);
        ours.send("over TLS").await.unwrap();
        assert_eq!(ours.next().await.unwrap().unwrap(), Message::text("over TLS"), "{host}");
        ours.close(CloseCode::NORMAL, "bye").await.unwrap();
        assert!(ours.close_outcome().unwrap().was_clean, "{host}");
        server.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_ipv6_address_is_verified_too() {
    // There may be no IPv6 here.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    let url = format!("wss://[::1]:{}/", listener.local_addr().unwrap().port());
    let (_authority, server, client) = good();
    let accepting = tokio::spawn(accept_one(listener, server));
    connect_with(&options(&url, &client)).await.unwrap();
    accepting.await.unwrap().unwrap();
}

#[tokio::test]
async fn tls_1_2_will_do() {
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
    let (theirs, ours) = attempt("localhost", &server, &trusting(&authority)).await;
    let (server, mut ours) = (echo(theirs.unwrap()), ours.unwrap());
    ours.send("1.2").await.unwrap();
    assert_eq!(ours.next().await.unwrap().unwrap(), Message::text("1.2"));
    ours.close(CloseCode::NORMAL, "").await.unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_mebibyte_goes_both_ways() {
    let (theirs, mut ours) = opened().await;
    let server = echo(theirs);
    let payload: Vec<u8> = (0..=250_u8).cycle().take(1 << 20).collect();
    for _ in 0..3 {
        ours.send(payload.clone()).await.unwrap();
        assert_eq!(ours.next().await.unwrap().unwrap(), Message::binary(payload.clone()));
    }
    ours.close(CloseCode::NORMAL, "").await.unwrap();
    server.await.unwrap().unwrap();
}

/// Both ends send 8 MiB at the same time, and neither reads less for that.
#[tokio::test]
async fn halves_of_both_ends_send_at_the_same_time() {
    const PART: usize = 1 << 20;
    let (theirs, ours) = opened().await;
    let (mut their_read, mut their_write) = theirs.split();
    let (mut our_read, mut our_write) = ours.split();
    let sending_there = tokio::spawn(async move {
        for index in 0..8_u8 {
            their_write.send(vec![index; PART]).await.unwrap();
        }
        their_write
    });
    let sending_here = tokio::spawn(async move {
        for index in 0..8_u8 {
            our_write.send(vec![!index; PART]).await.unwrap();
        }
        our_write
    });
    let reading_there = tokio::spawn(async move {
        for index in 0..8_u8 {
            let message = their_read.next().await.unwrap().unwrap();
            assert_eq!(message, Message::binary(vec![!index; PART]));
        }
        their_read
    });
    for index in 0..8_u8 {
        let message = our_read.next().await.unwrap().unwrap();
        assert_eq!(message, Message::binary(vec![index; PART]));
    }
    let mut their_read = reading_there.await.unwrap();
    let _their_write = sending_there.await.unwrap();
    let mut our_write = sending_here.await.unwrap();
    our_write.close(CloseCode::NORMAL, "").await.unwrap();
    let there = tokio::spawn(async move { their_read.next().await.is_none() });
    assert!(our_read.next().await.is_none());
    assert!(there.await.unwrap());
}

#[tokio::test]
async fn an_unknown_issuer_is_told_at_both_ends() {
    let (_authority, server, _) = good();
    let (theirs, ours) = attempt("localhost", &server, &trusting(&another_authority())).await;
    assert_eq!(tls_error(ours), TlsError::UnknownIssuer);
    let TlsError::CertificateRefused(why) = tls_error(theirs) else { panic!("not refused") };
    assert_eq!(why, "it was issued by an authority unknown there");
}

/// Whatever the platform trusts, it is not this test's authority.
#[tokio::test]
async fn the_platforms_certificates_are_the_default() {
    let (_authority, server, _) = good();
    let (listener, url) = listen("localhost").await;
    let accepting = tokio::spawn(accept_one(listener, server));
    let refused = tls_error(connect(&url).await);
    accepting.abort();
    assert!(
        matches!(refused, TlsError::UnknownIssuer | TlsError::NoPlatformRoots(_)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn roots_can_be_added_to_the_platforms() {
    let (authority, server, _) = good();
    let client = ClientTls::builder().add_roots(authority.certificate()).build().unwrap();
    let (theirs, ours) = attempt("localhost", &server, &client).await;
    theirs.unwrap();
    ours.unwrap();
}

#[tokio::test]
async fn h31_certificate_for_other_hosts_is_refused_and_told_with_their_names() {
    let authority = authority();
    let identity = authority.issue(&["a.example", "10.0.0.1"], Validity::Now).unwrap();
    let server = server_tls(&identity);
    for host in ["localhost", "127.0.0.1"] {
        let (_, ours) = attempt(host, &server, &trusting(&authority)).await;
        let text = ours.unwrap_err().to_string();
        assert_eq!(
            text,
            format!(
                "TLS failed: the server's certificate is for other host names than {host}: \
                 a.example, 10.0.0.1"
            )
        );
    }
}

#[tokio::test]
async fn a_certificate_outside_of_its_time_is_told_with_the_day() {
    let authority = authority();
    for (validity, expected) in [
        (Validity::Past, "TLS failed: the certificate expired on 2021-02-03"),
        (Validity::Future, "TLS failed: the certificate is not valid before 2900-01-01"),
    ] {
        let server = server_tls(&authority.issue(&["localhost"], validity).unwrap());
        let (_, ours) = attempt("localhost", &server, &trusting(&authority)).await;
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

#[tokio::test]
async fn a_client_certificate_that_is_asked_for_and_given_lets_in() {
    let (authority, server) = demanding();
    let me = authority.issue(&["me"], Validity::Now).unwrap();
    let client = ClientTls::builder()
        .only_roots(authority.certificate())
        .client_certificate(me.chain.clone(), me.key)
        .build()
        .unwrap();
    let (theirs, ours) = attempt("localhost", &server, &client).await;
    let shown = theirs.unwrap().get_ref().peer_certificates();
    let expected = CertificateDer::from_pem_slice(me.chain.as_bytes()).unwrap();
    assert_eq!(shown, [expected.to_vec()]);
    ours.unwrap();
}

#[tokio::test]
async fn a_client_certificate_that_is_missing_is_told_at_both_ends() {
    let (authority, server) = demanding();
    let (theirs, ours) = attempt("localhost", &server, &trusting(&authority)).await;
    assert_eq!(tls_error(theirs), TlsError::ClientCertificateRequired);
    assert_eq!(tls_error(ours), TlsError::ClientCertificateRequired);
}

#[tokio::test]
async fn a_client_certificate_of_an_unknown_authority_is_told_at_both_ends() {
    let (authority, server) = demanding();
    let me = another_authority().issue(&["me"], Validity::Now).unwrap();
    let client = ClientTls::builder()
        .only_roots(authority.certificate())
        .client_certificate(me.chain, me.key)
        .build()
        .unwrap();
    let (theirs, ours) = attempt("localhost", &server, &client).await;
    assert_eq!(tls_error(theirs), TlsError::UnknownIssuer);
    let TlsError::CertificateRefused(why) = tls_error(ours) else { panic!("not refused") };
    assert_eq!(why, "it was issued by an authority unknown there");
}

#[tokio::test]
async fn a_server_that_speaks_plain_http_is_no_tls() {
    let (_authority, _, client) = good();
    let (listener, url) = listen("localhost").await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    assert_eq!(tls_error(connect_with(&options(&url, &client)).await), TlsError::NotTls);
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_server_that_goes_away_ends_the_handshake() {
    let (_authority, _, client) = good();
    let (listener, url) = listen("localhost").await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
    });
    assert_eq!(tls_error(connect_with(&options(&url, &client)).await), TlsError::Ended);
    server.await.unwrap();
}

#[tokio::test]
async fn a_client_that_speaks_plain_http_is_no_tls() {
    let (_authority, server, _) = good();
    let (listener, url) = listen("localhost").await;
    let accepting = tokio::spawn(accept_one(listener, server));
    let refused = connect(&url.replace("wss:", "ws:")).await;
    assert!(matches!(refused, Err(Error::Opening(_) | Error::Io(_))), "{refused:?}");
    assert_eq!(tls_error(accepting.await.unwrap()), TlsError::NotTls);
}

/// A client has one deadline for TCP, TLS and the opening handshake; this server takes the client's
/// first words and never answers.
#[tokio::test]
async fn the_clients_deadline_covers_the_tls_handshake() {
    let (_authority, _, client) = good();
    let (listener, url) = listen("localhost").await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        (stream, first)
    });
    let config = Config { opening_timeout: Duration::from_millis(300), ..QUIET };
    let refused = connect_with(&options(&url, &client).with_config(config)).await;
    assert!(matches!(refused, Err(Error::OpeningTimeout)), "{refused:?}");
    // RFC 8446 section 5.1: a record of the handshake begins with 22.
    let (_stream, first) = server.await.unwrap();
    assert_eq!(first, [22]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_meets_the_servers_deadline() {
    let (_authority, server, _) = good();
    let (near, _far) = support::tcp().await;
    let begun = tokio::time::Instant::now();
    let refused = tls::accept(near, &server, &ServerOptions::new()).await;
    assert!(matches!(refused, Err(Error::OpeningTimeout)), "{refused:?}");
    assert!(begun.elapsed() >= Config::DEFAULT.opening_timeout);
}

#[tokio::test]
async fn close_codes_are_told_both_ways() {
    let (mut theirs, mut ours) = opened().await;
    let server = tokio::spawn(async move {
        assert!(theirs.next().await.is_none());
        theirs
    });
    ours.close(CloseCode::new(4000).unwrap(), "enough").await.unwrap();
    let theirs = server.await.unwrap();
    let outcome = theirs.close_outcome().unwrap();
    assert_eq!(outcome.status, CloseStatus::Code(CloseCode::new(4000).unwrap()));
    assert_eq!(outcome.reason, "enough");
    assert!(outcome.was_clean && ours.close_outcome().unwrap().was_clean);

    let (mut theirs, mut ours) = opened().await;
    let server = tokio::spawn(async move { theirs.close(CloseCode::GOING_AWAY, "later").await });
    assert!(ours.next().await.is_none());
    let outcome = ours.close_outcome().unwrap();
    assert_eq!(outcome.status, CloseStatus::Code(CloseCode::GOING_AWAY));
    assert!(outcome.was_clean);
    server.await.unwrap().unwrap();
}

/// Ends TCP below TLS, as when a process is killed.
#[cfg(unix)]
fn cut(stream: &TcpStream) {
    use std::os::fd::AsFd;
    let socket = stream.as_fd().try_clone_to_owned().unwrap();
    std::net::TcpStream::from(socket).shutdown(std::net::Shutdown::Both).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_is_killed_is_a_lost_connection() {
    let (theirs, mut ours) = opened().await;
    cut(theirs.get_ref().tcp());
    let end = ours.next().await.unwrap();
    assert!(matches!(end, Err(Error::ConnectionLost)), "{end:?}");
    assert_eq!(ours.close_outcome().unwrap().status, CloseStatus::Abnormal);
    assert!(!ours.close_outcome().unwrap().was_clean);
}

/// A server answers the Close frame and ends TCP without an end of TLS: the closing handshake tells
/// that it was done.
#[cfg(unix)]
#[tokio::test]
async fn an_end_without_an_end_of_tls_after_the_closing_handshake_is_clean() {
    let (_authority, server, client) = good();
    let (listener, url) = listen("localhost").await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let options = ServerOptions::new();
        let mut stream = tls::accept(stream, &server, &options).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            AcceptKey::for_key(key.unwrap().as_bytes()).as_str()
        );
        support::write(&mut stream, response.as_bytes()).await;
        let close = support::read_frame(&mut stream).await.unwrap();
        support::write(&mut stream, &support::unmasked(close.first, &close.payload)).await;
        cut(stream.tcp());
    });
    let mut ours = connect_with(&options(&url, &client)).await.unwrap();
    ours.close(CloseCode::NORMAL, "").await.unwrap();
    assert!(ours.close_outcome().unwrap().was_clean);
    server.await.unwrap();
}

#[tokio::test]
async fn a_stream_of_the_callers_own_can_carry_it_too() {
    let (_authority, server, client_tls) = good();
    let (near, far) = support::tcp().await;
    let accepting = tokio::spawn(async move {
        let options = ServerOptions::new();
        let stream = tls::accept(near, &server, &options).await.unwrap();
        accept_with(stream, &options, |_| Accept::new().into()).await
    });
    let name = ClientTls::server_name("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(client_tls.config()));
    let stream = connector.connect(name, far).await.unwrap();
    let options = ClientOptions::new("wss://localhost/").unwrap();
    let mut ours = client(stream, &options).await.unwrap();
    let server = echo(accepting.await.unwrap().unwrap());
    ours.send("own").await.unwrap();
    assert_eq!(ours.next().await.unwrap().unwrap(), Message::text("own"));
    ours.close(CloseCode::NORMAL, "").await.unwrap();
    server.await.unwrap().unwrap();
}

/// RFC 6455 section 4.1: a client names the host in the TLS handshake (Server Name Indication). An
/// address is none (RFC 6066 section 3).
#[tokio::test]
async fn a_client_names_the_host_and_http_1_1_in_the_tls_handshake() {
    let (_authority, server, client) = good();
    for (host, named) in [("localhost", Some("localhost")), ("127.0.0.1", None)] {
        let (listener, url) = listen(host).await;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(server.config()));
        let accepting = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor.accept(stream).await.unwrap()
        });
        let connecting = tokio::spawn({
            let options = options(&url, &client);
            async move { connect_with(&options).await }
        });
        let stream = accepting.await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.server_name(), named);
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        connecting.abort();
    }
}

#[test]
fn what_is_no_certificate_and_no_key_is_told() {
    let authority = authority();
    let one = authority.issue(&["localhost"], Validity::Now).unwrap();
    let other = authority.issue(&["localhost"], Validity::Now).unwrap();
    let error = |chain: &str, key: &str| {
        ServerTls::new(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(
        error("", &one.key),
        "no usable certificate: there is no CERTIFICATE in the PEM text"
    );
    assert_eq!(
        error(&one.chain, &one.chain),
        "no usable private key: there is no PRIVATE KEY in the PEM text"
    );
    assert_eq!(
        error(&one.chain, &other.key),
        "no usable private key: it is not that of the certificate"
    );
    let cut = one.chain.get(..100).unwrap();
    assert_eq!(error(cut, &one.key), "no usable certificate: a section of the PEM text has no end");
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let refused = ClientTls::builder().only_roots(nonsense).build().unwrap_err();
    assert_eq!(refused, TlsError::InvalidPem("it cannot be decoded".into()));
}
