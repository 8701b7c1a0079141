//! The head of a client's request, whole and cut: the same verdict, without allocation, and what is
//! accepted holds what RFC 6455 section 4.2.1 wants.
#![no_main]

mod heads;
#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use duologue_core::handshake::{
    Acceptance, ClientHandshake, ExtensionConfig, HandshakeError, OriginPolicy, Request,
    ServerHandshake,
};
use duologue_core::opening::{Accept, Decision, Outcome, ServerOpening};
use heads::{LIMITS, Naive, ROOM, cuts, without_memory};
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn request<'b>(bytes: &'b [u8], ends: &[usize]) -> Result<Option<Request<'b>>, HandshakeError> {
    let mut handshake = ServerHandshake::new(LIMITS);
    for end in ends {
        if let Some(request) = handshake.receive(&bytes[..*end])? {
            return Ok(Some(request));
        }
    }
    Ok(None)
}

/// What can be told of a verdict.
fn told(verdict: &Result<Option<Request<'_>>, HandshakeError>) -> String {
    match verdict {
        Ok(Some(request)) => {
            format!("{} {:?}", request.head_length(), request.upgrade().map(|u| u.accept_key()))
        }
        Ok(None) => "more".into(),
        Err(error) => format!("{error:?}"),
    }
}

fn check(request: &Request<'_>, bytes: &[u8]) {
    let naive = Naive::read(&bytes[..request.head_length()]);
    naive.compare(request.fields());
    let first_line = [request.method(), request.target()].join(" ");
    assert!(naive.first_line.starts_with(&first_line));
    let _ = request.choose_subprotocol(&["chat"]);
    let _ = OriginPolicy::SameOrigin { secure: false }.judge(request);
    let extensions = request.negotiate(ExtensionConfig::default());
    assert_eq!(request.wants_upgrade(), naive.lists("upgrade", "websocket"));
    let upgrade = match request.upgrade() {
        Ok(upgrade) => upgrade,
        Err(error) => return refuse(error),
    };
    assert_eq!(request.method(), "GET");
    assert!(naive.first_line.ends_with(" HTTP/1.1"));
    assert!(naive.lists("upgrade", "websocket") && naive.lists("connection", "upgrade"));
    assert_eq!(naive.values("host").len(), 1);
    assert_eq!(naive.values("sec-websocket-version"), [b"13"]);
    let keys = naive.values("sec-websocket-key");
    assert!(keys.len() == 1 && keys[0].len() == 24 && keys[0].ends_with(b"=="));
    assert!(extensions.is_ok());
    // The answer is a response that a client can read.
    let mut out = [0; 512];
    let acceptance = Acceptance::default();
    let length = upgrade.accept(&acceptance, extensions.unwrap(), &mut out).unwrap();
    let mut client = ClientHandshake::new([0; 16], LIMITS);
    let response = client.receive(&out[..length]).unwrap().unwrap();
    assert_eq!((response.status(), response.head_length()), (101, length));
    assert_eq!(response.field("sec-websocket-accept"), Some(upgrade.accept_key().as_bytes()));
}

/// A refusal has a status of its own, and is a response.
fn refuse(error: HandshakeError) {
    assert!((400..600).contains(&error.status()));
    let mut out = [0; 1024];
    let length = error.response().write(&mut out, false).unwrap();
    let mut client = ClientHandshake::new([0; 16], LIMITS);
    let response = client.receive(&out[..length]).unwrap().unwrap();
    assert_eq!(response.status(), error.status());
}

/// The buffered opening comes to the same verdict, keeps what came behind the head, and holds no
/// more than about twice what has come.
fn check_opening(
    bytes: &[u8],
    ends: &[usize],
    verdict: &Result<Option<Request<'_>>, HandshakeError>,
) {
    let mut come = 0;
    let (outcome, _, most) = counted(|| {
        let mut opening = ServerOpening::new(LIMITS);
        let mut is_whole = Ok(false);
        for end in ends {
            opening.read_room().extend_from_slice(&bytes[come..*end]);
            come = *end;
            is_whole = opening.poll();
            if is_whole != Ok(false) {
                break;
            }
        }
        assert_eq!(is_whole, verdict.as_ref().map(Option::is_some).map_err(|error| *error));
        matches!(is_whole, Ok(true))
            .then(|| opening.decide(|_| Decision::Accept(Accept::default())))
    });
    assert!(most.unsigned_abs() <= 2 * (come + ROOM), "{most} bytes for {come}");
    let Ok(Some(request)) = verdict else {
        return;
    };
    match (outcome.unwrap(), request.upgrade()) {
        (Outcome::Accepted(accepted), Ok(_)) => {
            assert_eq!(accepted.leftover, bytes[request.head_length()..come]);
        }
        (Outcome::Refused(refused), Err(error)) => assert_eq!(refused.error, error),
        (outcome, upgrade) => panic!("{outcome:?} for {upgrade:?}"),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((ends, bytes)) = cuts(input) else {
        return;
    };
    let [whole, twice, single] =
        ends.each_ref().map(|ends| without_memory(|| request(bytes, ends)));
    assert_eq!(told(&whole), told(&twice));
    assert_eq!(told(&whole), told(&single));
    for ends in &ends {
        check_opening(bytes, ends, &whole);
    }
    match whole {
        Ok(Some(request)) => check(&request, bytes),
        Ok(None) => assert!(bytes.len() < LIMITS.max_bytes),
        Err(error) => refuse(error),
    }
});
