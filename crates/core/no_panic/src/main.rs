//! The core, called in every way, in a program whose panic handler calls a function that does not
//! exist: it links only if the optimiser has shown that no panic can be reached.
//!
//! All input is opaque to the compiler. The program is never run.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;
use core::time::Duration;

use duologue_core::frame::{FrameDecoder, FrameHeader, FrameRules, Masker};
use duologue_core::handshake::{
    AcceptKey, Acceptance, ClientHandshake, ClientRequest, ExtensionConfig, ExtensionList, Field,
    HeadLimits, HttpVersion, NegotiatedExtensions, OriginPolicy, Request, SecWebSocketKey,
    ServerHandshake, ServerResponse, Upgrade, reason_phrase, verify_parsed,
};
use duologue_core::reconnect::{Backoff, ReconnectPolicy};
use duologue_core::{
    Client, CloseCode, CloseStatus, Config, Connection, Event, MaskingKeySource, MessageType, Role,
    Server, Timestamp, Utf8Validator,
};

unsafe extern "C" {
    /// There is no such function anywhere.
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it does not link.
    unsafe { a_panic_can_be_reached() }
}

/// Keys that the compiler knows nothing of.
struct Keys;

impl MaskingKeySource for Keys {
    fn next_masking_key(&mut self) -> [u8; 4] {
        black_box([0; 4])
    }
}

/// A slice of unknown content and, up to 4,096, unknown length.
fn bytes(buffer: &mut [u8; 4096]) -> &mut [u8] {
    let buffer = black_box(buffer);
    let length = black_box(buffer.len());
    buffer.get_mut(..length).unwrap_or_default()
}

fn text(buffer: &mut [u8; 4096]) -> &str {
    core::str::from_utf8(bytes(buffer)).unwrap_or_default()
}

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    frames();
    masking();
    utf8();
    connection(Server);
    connection(Client(Keys));
    server();
    client();
    reconnecting();
    small_things();
    #[cfg(feature = "negative-control")]
    {
        let mut buffer = [0; 4096];
        let bytes = bytes(&mut buffer);
        black_box(bytes[black_box(7)]);
    }
    0
}

fn frames() {
    let mut buffer = [0; 4096];
    let bytes = bytes(&mut buffer);
    let _ = black_box(FrameHeader::decode(bytes));
    let rules = black_box(FrameRules::ANY);
    let _ = black_box(FrameHeader::decode_with(bytes, &rules));
    let mut decoder = black_box(FrameDecoder::new());
    if let Ok(Some((header, _))) = decoder.decode(bytes, &rules) {
        black_box(header.encode().as_slice());
    }
}

fn masking() {
    let (mut source, mut target) = ([0; 4096], [0; 4096]);
    let mut masker = black_box(Masker::new([1, 2, 3, 4]));
    masker.apply(bytes(&mut target));
    black_box(masker.apply_to(bytes(&mut source), bytes(&mut target)));
}

fn utf8() {
    let mut buffer = [0; 4096];
    let mut validator = black_box(Utf8Validator::new());
    let _ = black_box(validator.validate(bytes(&mut buffer)));
    let _ = black_box(validator.finish());
}

fn now() -> Timestamp {
    black_box(Timestamp::from_nanos(black_box(1)))
}

fn connection<R: Role>(role: R) {
    let (mut input, mut reason) = ([0; 4096], [0; 4096]);
    let mut connection = black_box(Connection::new(role, &black_box(Config::DEFAULT), now()));
    connection.open(black_box(NegotiatedExtensions::default()), now());
    // In any order and any state: the compiler knows neither how often nor with what.
    while black_box(true) {
        match black_box(0_u8) {
            0 => {
                if let Ok(received) = connection.receive(bytes(&mut input), now()) {
                    event(received.event);
                }
            }
            1 => connection.receive_eof(now()),
            2 => connection.transport_failed(now()),
            3 => drop(black_box(connection.handle_timeout(now()))),
            4 => drop(black_box(connection.poll_transmit())),
            5 => connection.restart_closing_timeout(now()),
            6 => drop(black_box(connection.begin_message(
                black_box(MessageType::Text),
                black_box(true),
                black_box(1),
            ))),
            7 => drop(black_box(connection.continue_message(black_box(true), black_box(1)))),
            8 => drop(black_box(connection.ping(bytes(&mut input)))),
            9 => drop(black_box(connection.pong(bytes(&mut input)))),
            10 => drop(black_box(connection.close(code(), text(&mut reason), now()))),
            11 => connection.close_without_code(now()),
            12 => drop(black_box(connection.fail(code(), text(&mut reason), now()))),
            13 => {
                black_box(connection.next_deadline());
                black_box(connection.round_trip_time());
                black_box(connection.payload_remaining());
                black_box(connection.ready_state());
            }
            _ => {
                black_box(connection.close_outcome());
            }
        }
    }
}

fn event(event: Option<Event<'_>>) {
    match event {
        Some(Event::Data(chunk)) => {
            black_box((chunk.payload(), chunk.text(), chunk.is_first(), chunk.is_last()));
        }
        Some(Event::Ping(payload) | Event::Pong(payload)) => {
            black_box(payload.to_owned().as_slice());
        }
        Some(Event::Close(close)) => {
            black_box((close.status(), close.reason()));
        }
        _ => {}
    }
}

fn code() -> CloseCode {
    CloseCode::new(black_box(1000)).unwrap_or(CloseCode::NORMAL)
}

fn server() {
    let (mut input, mut out, mut name) = ([0; 4096], [0; 4096], [0; 4096]);
    let mut handshake = black_box(ServerHandshake::new(black_box(HeadLimits::DEFAULT)));
    while black_box(true) {
        match handshake.receive(bytes(&mut input)) {
            Ok(Some(request)) => {
                request_of(&request, bytes(&mut out), text(&mut name));
            }
            Ok(None) => {}
            Err(error) => {
                let _ = black_box(error.response().write(bytes(&mut out), black_box(true)));
                black_box((error.status(), reason_phrase(error.status())));
            }
        }
    }
}

fn request_of(request: &Request<'_>, out: &mut [u8], name: &str) {
    black_box((request.path(), request.query(), request.host(), request.origin()));
    black_box((request.field(name), request.wants_upgrade(), request.head_length()));
    let subprotocol = black_box(request.choose_subprotocol(black_box(&[name])));
    let extensions = request.negotiate(black_box(ExtensionConfig::default())).unwrap_or_default();
    let fields = [Field::new(name, name)];
    let acceptance = Acceptance { subprotocol, fields: &fields };
    let _ = black_box(ServerHandshake::accept(request, &acceptance, extensions, out));
    for policy in
        [OriginPolicy::SameOrigin { secure: black_box(true) }, OriginPolicy::List(&[name])]
    {
        let _ = black_box(policy.judge(request));
    }
    let parsed = Upgrade::of_parsed(name, black_box(HttpVersion::Http11), request.fields());
    if let Ok(upgrade) = parsed {
        let _ = black_box(upgrade.accept(&acceptance, extensions, out));
    }
}

fn client() {
    let (mut input, mut out, mut name) = ([0; 4096], [0; 4096], [0; 4096]);
    let name = text(&mut name);
    let mut handshake = ClientHandshake::new(black_box([0; 16]), black_box(HeadLimits::DEFAULT));
    let fields = [Field::new(name, name)];
    let request = ClientRequest {
        origin: Some(name),
        subprotocols: &[name],
        fields: &fields,
        require_subprotocol: black_box(true),
        ..ClientRequest::new(name, name)
    };
    let _ = black_box(handshake.write_request(&request, bytes(&mut out)));
    while black_box(true) {
        if let Ok(Some(response)) = handshake.receive(bytes(&mut input)) {
            black_box((response.head_length(), response.status(), response.field(name)));
            response_of(&response, &handshake, &request);
        }
    }
}

fn response_of(
    response: &ServerResponse<'_>,
    handshake: &ClientHandshake,
    request: &ClientRequest<'_>,
) {
    let _ = black_box(response.verify(handshake, request));
    let _ = black_box(verify_parsed(
        response.status(),
        response.fields(),
        handshake.expected_accept(),
        request,
    ));
}

fn reconnecting() {
    let mut backoff = black_box(Backoff::new(ReconnectPolicy {
        factor: black_box(2.0),
        jitter: black_box(0.5),
        first_delay: black_box(Duration::MAX),
        ..ReconnectPolicy::DEFAULT
    }));
    backoff.connected(now());
    black_box(backoff.disconnected(now(), black_box(1)));
}

fn small_things() {
    let mut buffer = [0; 4096];
    let bytes = bytes(&mut buffer);
    black_box(AcceptKey::for_key(bytes).as_str());
    black_box(SecWebSocketKey::from_nonce(black_box([0; 16])).accept().as_bytes());
    black_box(CloseStatus::NoStatus.to_u16());
    if let Ok(list) = ExtensionList::parse(bytes) {
        for extension in list {
            for parameter in extension.parameters() {
                black_box(parameter.name);
            }
        }
    }
}
