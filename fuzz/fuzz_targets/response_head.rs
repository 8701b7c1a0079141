//! The head of a server's response, whole and cut: the same verdict, without allocation, and what
//! is accepted holds what RFC 6455 section 4.1 wants.
#![no_main]

mod heads;
#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use duologue_core::deflate::DeflateConfig;
use duologue_core::handshake::{
    ClientHandshake, ClientRequest, ExtensionConfig, HandshakeError, ServerResponse,
};
use duologue_core::opening::{ClientOpening, ConnectRequest};
use heads::{LIMITS, Naive, ROOM, cuts, without_memory};
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The nonce of RFC 6455 section 1.3, so that its answer is the one of the seeds.
const NONCE: [u8; 16] = *b"the sample nonce";

fn response<'b>(
    bytes: &'b [u8],
    ends: &[usize],
) -> Result<Option<ServerResponse<'b>>, HandshakeError> {
    let mut handshake = ClientHandshake::new(NONCE, LIMITS);
    for end in ends {
        if let Some(response) = handshake.receive(&bytes[..*end])? {
            return Ok(Some(response));
        }
    }
    Ok(None)
}

/// What can be told of a verdict, with each of the requests that it may answer.
fn told(verdict: &Result<Option<ServerResponse<'_>>, HandshakeError>) -> String {
    match verdict {
        Ok(Some(response)) => {
            let verdicts = requests().map(|request| verify(response, &request));
            format!("{} {} {verdicts:?}", response.head_length(), response.status())
        }
        Ok(None) => "more".into(),
        Err(error) => format!("{error:?}"),
    }
}

/// A request that offers nothing, and one that offers what there is.
fn requests() -> [ClientRequest<'static>; 2] {
    let plain = ClientRequest::new("a", "/");
    let mut extensions = ExtensionConfig::default();
    extensions.deflate = Some(DeflateConfig::DEFAULT);
    let all = ClientRequest { subprotocols: &["chat", "superchat"], extensions, ..plain };
    [plain, all]
}

fn verify(
    response: &ServerResponse<'_>,
    request: &ClientRequest<'_>,
) -> Result<(Option<String>, bool), HandshakeError> {
    let handshake = ClientHandshake::new(NONCE, LIMITS);
    let upgraded = without_memory(|| response.verify(&handshake, request))?;
    Ok((upgraded.subprotocol.map(String::from), upgraded.extensions.deflate.is_some()))
}

fn check(response: &ServerResponse<'_>, bytes: &[u8]) {
    let naive = Naive::read(&bytes[..response.head_length()]);
    naive.compare(response.fields());
    let mut words = naive.first_line.split(' ');
    assert!(words.next().is_some_and(|version| version.starts_with("HTTP/1.")));
    assert_eq!(words.next().and_then(|status| status.parse().ok()), Some(response.status()));
    for request in requests() {
        let Ok((subprotocol, has_deflate)) = verify(response, &request) else {
            continue;
        };
        assert_eq!(response.status(), 101);
        assert!(naive.lists("upgrade", "websocket") && naive.lists("connection", "upgrade"));
        let accept = ClientHandshake::new(NONCE, LIMITS).expected_accept();
        assert_eq!(naive.values("sec-websocket-accept"), [accept.as_bytes()]);
        match subprotocol {
            // Section 4.1: one of those that were asked for.
            Some(name) => assert!(request.subprotocols.contains(&name.as_str())),
            None => assert!(naive.values("sec-websocket-protocol").is_empty()),
        }
        assert!(!has_deflate || request.extensions.deflate.is_some());
    }
}

/// The buffered opening comes to the same verdict, keeps what came behind the head, and holds no
/// more than a few times what has come.
fn check_opening(
    bytes: &[u8],
    ends: &[usize],
    verdict: &Result<Option<ServerResponse<'_>>, HandshakeError>,
) {
    let mut come = 0;
    let (result, _, most) = counted(|| {
        let mut opening = ClientOpening::new(ConnectRequest::new("a", "/"), LIMITS, NONCE).unwrap();
        let mut result = Ok(None);
        for end in ends {
            opening.read_room().extend_from_slice(&bytes[come..*end]);
            come = *end;
            result = opening.poll();
            if !matches!(result, Ok(None)) {
                break;
            }
        }
        result
    });
    // The buffer, and the fields and a body, which are given out as they are.
    assert!(most.unsigned_abs() <= 3 * (come + ROOM), "{most} bytes for {come}");
    match (result, verdict) {
        (Ok(None), Ok(None)) => {}
        (Err(failure), Err(error)) => assert_eq!((failure.error, failure.response), (*error, None)),
        (Ok(Some(opened)), Ok(Some(response))) => {
            assert!(verify(response, &requests()[0]).is_ok());
            assert_eq!(opened.leftover, bytes[response.head_length()..come]);
        }
        (Err(failure), Ok(Some(response))) => {
            assert_eq!(Err(failure.error), verify(response, &requests()[0]));
            let head = failure.response.unwrap();
            assert_eq!(head.status, response.status());
            assert!(bytes[response.head_length()..come].starts_with(&head.body));
        }
        (result, _) => panic!("{result:?}"),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((ends, bytes)) = cuts(input) else {
        return;
    };
    let [whole, twice, single] =
        ends.each_ref().map(|ends| without_memory(|| response(bytes, ends)));
    assert_eq!(told(&whole), told(&twice));
    assert_eq!(told(&whole), told(&single));
    for ends in &ends {
        check_opening(bytes, ends, &whole);
    }
    match whole {
        Ok(Some(response)) => check(&response, bytes),
        Ok(None) => assert!(bytes.len() < LIMITS.max_bytes),
        Err(_) => {}
    }
});
