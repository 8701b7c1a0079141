//! What both ends agree on (RFC 7692 sections 5 and 7.1).

#![cfg(feature = "deflate")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod handshake_support;
mod support;

use proptest::option;
use proptest::prelude::*;

use duologue_core::deflate::{DeflateConfig, DeflateParameters, WindowBits};
use duologue_core::handshake::{
    Acceptance, ClientHandshake, ClientRequest, ExtensionConfig, Field, HandshakeError, HeadLimits,
    NegotiatedExtensions, ServerHandshake,
};
use duologue_core::opening::{Accept, ClientOpening, ConnectRequest, Outcome, ServerOpening};

use handshake_support::{NONCE, REQUEST, RESPONSE, edited, request, written};
use support::deflate::bits;

const FIELD: &str = "Sec-WebSocket-Extensions: ";

const DEFAULT: DeflateConfig = DeflateConfig::DEFAULT;

fn extensions(deflate: DeflateConfig) -> ExtensionConfig {
    let mut extensions = ExtensionConfig::default();
    extensions.deflate = Some(deflate);
    extensions
}

/// The values of `Sec-WebSocket-Extensions` in a head.
fn values(head: &str) -> Vec<&str> {
    head.split("\r\n").filter_map(|line| line.strip_prefix(FIELD)).collect()
}

/// The RFC's request with these offers, a line for each.
fn offering(offers: &[&str]) -> Vec<u8> {
    let lines: Vec<_> = offers.iter().map(|offer| format!("{FIELD}{offer}")).collect();
    edited(REQUEST, "-", &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a server agrees to of these offers, with its answer as it is written.
fn answer(server: DeflateConfig, offers: &[&str]) -> (NegotiatedExtensions, Option<String>) {
    let bytes = offering(offers);
    let request = request(&bytes);
    let agreed = request.negotiate(extensions(server)).unwrap();
    let direct = offers.iter().map(|offer| Field::new("sec-websocket-EXTENSIONS", offer));
    assert_eq!(extensions(server).negotiate(direct), Ok(agreed));
    let accepted = Acceptance::default();
    let head = written(|out| ServerHandshake::accept(&request, &accepted, agreed, out)).unwrap();
    let values = values(&head);
    assert!(values.len() <= 1);
    assert_eq!(agreed.to_string(), values.concat());
    assert_eq!(agreed.claimed_rsv(), if values.is_empty() { 0 } else { 0x40 });
    (agreed, values.first().map(|value| (*value).to_owned()))
}

#[track_caller]
fn assert_answers(server: DeflateConfig, offers: &[&str], expected: Option<&str>) {
    assert_eq!(answer(server, offers).1.as_deref(), expected, "{offers:?}");
}

/// The offer that a client writes.
fn offer(client: DeflateConfig) -> String {
    let handshake = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    let request = asking(client);
    let head = written(|out| handshake.write_request(&request, out)).unwrap();
    let values = values(&head);
    assert_eq!(values.len(), 1);
    values[0].to_owned()
}

fn asking(client: DeflateConfig) -> ClientRequest<'static> {
    let mut request = ClientRequest::new("server.example.com", "/chat");
    request.subprotocols = &["chat"];
    request.extensions = extensions(client);
    request
}

/// What a client makes of a response with these lines.
fn verdict(
    client: &ClientRequest<'_>,
    answers: &[&str],
) -> Result<Option<DeflateParameters>, HandshakeError> {
    let lines: Vec<_> = answers.iter().map(|answer| format!("{FIELD}{answer}")).collect();
    let bytes = edited(RESPONSE, "-", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let mut handshake = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    let response = handshake.receive(&bytes).unwrap().unwrap();
    response.verify(&handshake, client).map(|upgraded| upgraded.extensions.deflate)
}

#[track_caller]
fn assert_fails(client: DeflateConfig, answers: &[&str], error: HandshakeError) {
    assert_eq!(verdict(&asking(client), answers), Err(error), "{answers:?}");
}

fn with_bits(server: u8, client: u8) -> DeflateConfig {
    DeflateConfig {
        server_max_window_bits: bits(server),
        client_max_window_bits: bits(client),
        ..DEFAULT
    }
}

const STRICT: DeflateConfig =
    DeflateConfig { server_no_context_takeover: true, client_no_context_takeover: true, ..DEFAULT };

/// Parameters that neither an offer nor a response may have.
const BAD: [&str; 26] = [
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=08",
    "server_max_window_bits=015",
    "server_max_window_bits=0",
    "server_max_window_bits=1",
    "server_max_window_bits=100",
    "server_max_window_bits=+9",
    "server_max_window_bits=-9",
    "server_max_window_bits=x",
    "server_max_window_bits=\"7\"",
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=08",
    "client_max_window_bits=99999999999999999999",
    "client_max_window_bits=\"1\\6\"",
    "client_max_window_bits=10; client_max_window_bits=10",
    "server_no_context_takeover=1",
    "server_no_context_takeover=true",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover=\"0\"",
    "client_no_context_takeover; client_no_context_takeover",
    "window_bits=10",
    "server_max_window_bit=10",
];

/// Values that the grammar of all extensions has no place for.
const MALFORMED: [&str; 5] = [
    "server_max_window_bits=",
    "client_max_window_bits=\"\"",
    "server_max_window_bits=\"1 5\"",
    "client_no_context_takeover=",
    "server_max_window_bits=\"15",
];

#[test]
fn g61_offer_is_answered_with_its_parameters() {
    for (offer, expected) in [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits=15",
            "permessage-deflate; client_max_window_bits=15",
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        (
            "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
        ),
        (
            "permessage-deflate;client_no_context_takeover ;\tserver_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
    ] {
        assert_answers(DEFAULT, &[offer], Some(expected));
    }
    for bits in 8..=15 {
        let text = format!(
            "permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}"
        );
        assert_answers(DEFAULT, &[&text], Some(&text));
    }
}

#[test]
fn g61_quoted_value_is_as_good_as_a_token() {
    for (value, bits) in
        [("\"15\"", 15), ("\"1\\5\"", 15), ("\"\\1\\5\"", 15), ("\"8\"", 8), ("\"1\\0\"", 10)]
    {
        let quoted = format!("permessage-deflate; server_max_window_bits={value}");
        let plain = format!("permessage-deflate; server_max_window_bits={bits}");
        assert_answers(DEFAULT, &[&quoted], Some(&plain));
        let own = with_bits(15, 15);
        assert_eq!(verdict(&asking(own), &[&quoted]), verdict(&asking(own), &[&plain]));
        let agreed = verdict(&asking(own), &[&quoted]).unwrap().unwrap();
        assert_eq!(agreed.server_max_window_bits, WindowBits::new(bits));
    }
}

#[test]
fn h10_offer_with_a_bad_parameter_is_declined() {
    for bad in BAD {
        for offer in [
            format!("permessage-deflate; {bad}"),
            format!("permessage-deflate; {bad}; client_no_context_takeover"),
            format!("permessage-deflate; client_no_context_takeover; {bad}"),
        ] {
            assert_answers(DEFAULT, &[&offer], None);
            // What stands beside it is not touched by that.
            let next = "permessage-deflate; server_max_window_bits=9";
            assert_answers(DEFAULT, &[&format!("{offer}, {next}")], Some(next));
            assert_answers(DEFAULT, &[&format!("{next}, {offer}")], Some(next));
            assert_answers(DEFAULT, &[&offer, next], Some(next));
        }
    }
}

#[test]
fn h10_offer_against_the_grammar_is_refused() {
    for value in MALFORMED {
        let bytes = offering(&[&format!("permessage-deflate; {value}")]);
        let request = request(&bytes);
        assert_eq!(request.upgrade().unwrap_err(), HandshakeError::MalformedExtensions, "{value}");
        let negotiated = request.negotiate(extensions(DEFAULT));
        assert_eq!(negotiated, Err(HandshakeError::MalformedExtensions));
    }
}

#[test]
fn g61_first_offer_that_can_be_kept_is_taken() {
    let (first, second) = (
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=12",
    );
    let (unknown, deflate) = ("permessage-deflate; unknown", "permessage-deflate");
    for (offers, expected) in [
        (&[first, second][..], first),
        (&[second, first], second),
        (&[unknown, first, second], first),
        (&[unknown, unknown, "permessage-foo", second, deflate], second),
        (&["x-webkit-deflate-frame; no_context_takeover", "mux; a=\"b\"", first], first),
        (&["deflate-frame", "permessage-bzip2", deflate, second], deflate),
    ] {
        assert_answers(DEFAULT, &[&offers.join(", ")], Some(expected));
        assert_answers(DEFAULT, offers, Some(expected));
        let (start, end) = offers.split_at(offers.len() / 2);
        assert_answers(DEFAULT, &[&start.join(","), &end.join(" ,")], Some(expected));
    }
}

#[test]
fn g61_other_extensions_are_passed_over() {
    for offers in [
        &[][..],
        &[""],
        &["permessage-foo"],
        &["permessage-deflate2", "permessage-deflat", "x-permessage-deflate"],
        &["foo; permessage-deflate"],
        &["foo; client_max_window_bits"],
    ] {
        assert_answers(DEFAULT, offers, None);
    }
    // A server that is not willing passes over all of them.
    let bytes = offering(&["permessage-deflate"]);
    let agreed = request(&bytes).negotiate(ExtensionConfig::default()).unwrap();
    assert_eq!(agreed, NegotiatedExtensions::default());
}

#[test]
fn g62_of_the_offer_and_its_own_settings_a_server_takes_the_stricter() {
    let deflate = "permessage-deflate";
    for (server, offer, expected) in [
        // Its own window it makes smaller unasked.
        (with_bits(10, 15), "", "; server_max_window_bits=10"),
        (with_bits(10, 15), "; server_max_window_bits=12", "; server_max_window_bits=10"),
        (with_bits(12, 15), "; server_max_window_bits=10", "; server_max_window_bits=10"),
        (with_bits(8, 15), "; server_max_window_bits=15", "; server_max_window_bits=8"),
        // The client's it makes smaller only if the client has said that it can keep to that.
        (with_bits(15, 10), "", ""),
        (with_bits(15, 10), "; server_max_window_bits=15", "; server_max_window_bits=15"),
        (with_bits(15, 10), "; client_max_window_bits", "; client_max_window_bits=10"),
        (with_bits(15, 10), "; client_max_window_bits=12", "; client_max_window_bits=10"),
        (with_bits(15, 12), "; client_max_window_bits=10", "; client_max_window_bits=10"),
        (with_bits(15, 8), "; client_max_window_bits=\"15\"", "; client_max_window_bits=8"),
        // To compress each message by itself it can ask of any client.
        (STRICT, "", "; server_no_context_takeover; client_no_context_takeover"),
        (
            STRICT,
            "; client_no_context_takeover",
            "; server_no_context_takeover; client_no_context_takeover",
        ),
        (DEFAULT, "; server_no_context_takeover", "; server_no_context_takeover"),
        (DEFAULT, "; client_no_context_takeover", "; client_no_context_takeover"),
    ] {
        let (offer, expected) = (format!("{deflate}{offer}"), format!("{deflate}{expected}"));
        assert_answers(server, &[&offer], Some(&expected));
    }
}

#[test]
fn client_offers_what_it_is_told_to() {
    for (client, expected) in [
        (DEFAULT, "permessage-deflate; client_max_window_bits"),
        (
            STRICT,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits",
        ),
        (
            with_bits(10, 15),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
        ),
        (with_bits(9, 8), "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8"),
    ] {
        assert_eq!(offer(client), expected);
    }
    let handshake = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
    let request = ClientRequest::new("server.example.com", "/chat");
    let head = written(|out| handshake.write_request(&request, out)).unwrap();
    assert_eq!(values(&head), [""; 0]);
}

#[test]
fn g62_client_takes_what_fits_its_offer() {
    let parameters = DeflateParameters::default();
    let (some, ask) = (|number| Some(bits(number)), with_bits(12, 11));
    for (client, answer, expected) in [
        (DEFAULT, "", parameters),
        (
            DEFAULT,
            "; server_max_window_bits=15",
            DeflateParameters { server_max_window_bits: some(15), ..parameters },
        ),
        // A server may make its own window smaller, and ask for what every client can do.
        (
            DEFAULT,
            "; server_max_window_bits=8",
            DeflateParameters { server_max_window_bits: some(8), ..parameters },
        ),
        (
            DEFAULT,
            "; client_max_window_bits=8",
            DeflateParameters { client_max_window_bits: some(8), ..parameters },
        ),
        (
            DEFAULT,
            "; client_no_context_takeover; server_no_context_takeover",
            DeflateParameters {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                ..parameters
            },
        ),
        // What the client has said of itself it keeps to, though the server does not repeat it.
        (
            DeflateConfig { client_no_context_takeover: true, ..ask },
            "; server_max_window_bits=12",
            DeflateParameters {
                client_no_context_takeover: true,
                server_max_window_bits: some(12),
                client_max_window_bits: some(11),
                ..parameters
            },
        ),
        (
            ask,
            "; server_max_window_bits=9; client_max_window_bits=9",
            DeflateParameters {
                server_max_window_bits: some(9),
                client_max_window_bits: some(9),
                ..parameters
            },
        ),
    ] {
        let answer = format!("permessage-deflate{answer}");
        assert_eq!(verdict(&asking(client), &[&answer]), Ok(Some(expected)), "{answer}");
    }
    assert_eq!(verdict(&asking(DEFAULT), &[]), Ok(None), "declined");
    assert_eq!(verdict(&asking(DEFAULT), &[" , "]), Ok(None), "declined");
}

#[test]
fn h10_response_with_a_bad_parameter_fails() {
    // In a response every size has its value (RFC 7692 section 7.1.2.2).
    for bad in BAD.into_iter().chain(["client_max_window_bits"]) {
        for answer in [
            format!("permessage-deflate; {bad}"),
            format!("permessage-deflate; {bad}; client_no_context_takeover"),
            format!("permessage-deflate; client_no_context_takeover; {bad}"),
        ] {
            assert_fails(DEFAULT, &[&answer], HandshakeError::UnacceptableExtension);
        }
    }
    for value in MALFORMED {
        let answer = format!("permessage-deflate; {value}");
        assert_fails(DEFAULT, &[&answer], HandshakeError::MalformedExtensions);
    }
}

#[test]
fn g62_response_that_does_not_fit_the_offer_fails() {
    let error = HandshakeError::UnacceptableExtension;
    for (client, answer) in [
        // A server's window is at most as large as was offered, also if it says nothing of it.
        (with_bits(10, 15), ""),
        (with_bits(10, 15), "; server_max_window_bits=11"),
        (with_bits(8, 15), "; server_max_window_bits=15"),
        // So is what it asks of the client.
        (with_bits(15, 10), "; client_max_window_bits=11"),
        // What was asked of it and not granted.
        (STRICT, ""),
        (STRICT, "; client_no_context_takeover"),
    ] {
        assert_fails(client, &[&format!("permessage-deflate{answer}")], error);
    }
}

#[test]
fn response_with_an_extension_twice_or_unoffered_fails() {
    let error = HandshakeError::UnacceptableExtension;
    assert_fails(DEFAULT, &["permessage-deflate, permessage-deflate"], error);
    assert_fails(DEFAULT, &["permessage-deflate", "permessage-deflate"], error);
    let error = HandshakeError::UnofferedExtension;
    assert_fails(DEFAULT, &["permessage-foo"], error);
    assert_fails(DEFAULT, &["permessage-deflate, permessage-foo"], error);
    assert_fails(DEFAULT, &["permessage-deflate", "permessage-foo"], error);
    assert_fails(DEFAULT, &["x-webkit-deflate-frame"], error);
    let mut unwilling = asking(DEFAULT);
    unwilling.extensions = ExtensionConfig::default();
    assert_eq!(verdict(&unwilling, &["permessage-deflate"]), Err(error));
}

/// What both ends of the opening handshake over owned buffers come to.
fn open(client: ExtensionConfig, server: ExtensionConfig) -> [NegotiatedExtensions; 2] {
    let request = ConnectRequest::new("server.example.com", "/chat").extensions(client);
    let mut client = ClientOpening::new(request, HeadLimits::DEFAULT, NONCE).unwrap();
    let mut server = ServerOpening::new(HeadLimits::DEFAULT).extensions(server);
    server.read_room().extend_from_slice(client.request_bytes());
    assert_eq!(server.poll(), Ok(true));
    let outcome = server.decide(|_| Accept::new().into());
    let Outcome::Accepted(accepted) = outcome else { panic!("{outcome:?}") };
    client.read_room().extend_from_slice(&accepted.response);
    let opened = client.poll().unwrap().unwrap();
    [accepted.extensions, opened.extensions]
}

#[test]
fn opening_agrees_only_if_both_are_willing() {
    let (willing, unwilling) = (extensions(DEFAULT), ExtensionConfig::default());
    for (client, server) in [(willing, unwilling), (unwilling, willing), (unwilling, unwilling)] {
        assert_eq!(open(client, server), [NegotiatedExtensions::default(); 2]);
    }
    let [server, client] = open(willing, willing);
    assert_eq!(
        (server.deflate, client.deflate),
        (Some(DeflateParameters::default()), server.deflate)
    );
    let small = extensions(with_bits(12, 9));
    for agreed in [open(willing, small), open(small, willing)].concat() {
        let agreed = agreed.deflate.unwrap();
        assert_eq!(agreed.server_max_window_bits, WindowBits::new(12));
        assert_eq!(agreed.client_max_window_bits, WindowBits::new(9));
    }
}

fn config() -> impl Strategy<Value = DeflateConfig> {
    (any::<bool>(), any::<bool>(), 8_u8..=15, 8_u8..=15).prop_map(|(server, client, s, c)| {
        DeflateConfig {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            ..with_bits(s, c)
        }
    })
}

/// A parameter as anybody may write it, good or bad.
fn parameter() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("server_no_context_takeover"),
        Just("client_no_context_takeover"),
        Just("server_max_window_bits"),
        Just("client_max_window_bits"),
    ];
    let value = (6_u8..=16, any::<bool>()).prop_map(|(bits, quoted)| {
        if quoted { format!("=\"{bits}\"") } else { format!("={bits}") }
    });
    (name, option::of(value)).prop_map(|(name, value)| name.to_owned() + &value.unwrap_or_default())
}

fn offers() -> impl Strategy<Value = String> {
    let offer = proptest::collection::vec(parameter(), 0..4)
        .prop_map(|parameters| [vec!["permessage-deflate".into()], parameters].concat().join("; "));
    proptest::collection::vec(offer, 0..4).prop_map(|offers| offers.join(", "))
}

fn size(bits: Option<WindowBits>) -> WindowBits {
    bits.unwrap_or(WindowBits::MAX)
}

proptest! {
    #![proptest_config(support::streams::cases(1000))]

    #[test]
    fn any_two_configurations_agree_on_the_same(client in config(), server in config()) {
        let [of_server, of_client] = open(extensions(client), extensions(server));
        prop_assert_eq!(of_server, of_client);
        let agreed = of_server.deflate.unwrap();
        let answer = answer(server, &[&offer(client)]);
        prop_assert_eq!(answer.0.deflate, Some(agreed));
        prop_assert_eq!(verdict(&asking(client), &[&answer.1.unwrap()]), Ok(Some(agreed)));
        for config in [client, server] {
            prop_assert!(size(agreed.server_max_window_bits) <= config.server_max_window_bits);
            prop_assert!(size(agreed.client_max_window_bits) <= config.client_max_window_bits);
            prop_assert!(agreed.server_no_context_takeover >= config.server_no_context_takeover);
            prop_assert!(agreed.client_no_context_takeover >= config.client_no_context_takeover);
        }
    }

    #[test]
    fn any_answer_keeps_to_an_offer(server in config(), offers in offers()) {
        let (agreed, _) = answer(server, &[&offers]);
        let Some(agreed) = agreed.deflate else { return Ok(()) };
        // One of the offers at least has everything that the answer may not have unasked.
        let fits = offers.split(", ").any(|offer| {
            let sizes = |name: &str| {
                let values = offer.split("; ").filter_map(|parameter| parameter.strip_prefix(name));
                values.map(|value| value.trim_matches(['=', '"']).to_owned()).next()
            };
            let size_of_client = sizes("client_max_window_bits");
            let most = |size: Option<String>| size.and_then(|s| s.parse().ok()).unwrap_or(15);
            size(agreed.server_max_window_bits).get() <= most(sizes("server_max_window_bits"))
                && agreed.client_max_window_bits.is_none_or(|bits| {
                    size_of_client.is_some() && bits.get() <= most(size_of_client)
                })
                && (agreed.server_no_context_takeover
                    || !offer.contains("server_no_context_takeover"))
        });
        prop_assert!(fits, "{:?} for {}", agreed, offers);
    }
}
