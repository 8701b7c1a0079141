//! A head's verdict depends on its bytes alone, never on how they were cut, and is found in one
//! pass over them.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod handshake_support;

use duologue_core::handshake::{
    Acceptance, ClientHandshake, ClientRequest, ExtensionConfig, ExtensionList, HandshakeError,
    HeadLimits, NegotiatedExtensions, OriginPolicy, ServerHandshake,
};
use proptest::collection::vec;
use proptest::prelude::*;

use handshake_support::{NONCE, REQUEST, RESPONSE, edited, plain};

/// What one side makes of a head: its length and all that can be read from it, or the refusal.
/// `None` if it is not whole.
type Verdict = Result<Option<(usize, String)>, HandshakeError>;

fn offer() -> ClientRequest<'static> {
    ClientRequest {
        subprotocols: &["chat", "superchat"],
        ..ClientRequest::new("server.example.com", "/chat")
    }
}

/// Reads `bytes` as either side does.
#[derive(Clone, Copy, Debug)]
enum Reader {
    Server(ServerHandshake),
    Client(ClientHandshake),
}

impl Reader {
    fn both(limits: HeadLimits) -> [Self; 2] {
        [
            Self::Server(ServerHandshake::new(limits)),
            Self::Client(ClientHandshake::new(NONCE, limits)),
        ]
    }

    fn receive(&mut self, bytes: &[u8]) -> Verdict {
        match self {
            Self::Server(handshake) => Ok(handshake.receive(bytes)?.map(|request| {
                let mut out = [0; 512];
                let extensions = request.negotiate(ExtensionConfig::default());
                let answer = ServerHandshake::accept(
                    &request,
                    &Acceptance { subprotocol: request.subprotocols().next(), fields: &[] },
                    NegotiatedExtensions::default(),
                    &mut out,
                );
                let read = format!(
                    "{request:?} {:?} {:?} {:?} {:?} {extensions:?} {:?} {answer:?} {:?}",
                    request.path(),
                    request.query(),
                    request.host(),
                    request.origin(),
                    OriginPolicy::SameOrigin { secure: false }.judge(&request),
                    request.fields().collect::<Vec<_>>(),
                );
                (request.head_length(), read)
            })),
            Self::Client(handshake) => Ok(handshake.receive(bytes)?.map(|response| {
                let verdict = response.verify(handshake, &offer());
                let fields: Vec<_> = response.fields().collect();
                (response.head_length(), format!("{response:?} {verdict:?} {fields:?}"))
            })),
        }
    }

    /// Hands in longer and longer starts of `bytes`, and then the whole.
    fn receive_cut(mut self, bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Verdict {
        for cut in cuts {
            match self.receive(&bytes[..cut.min(bytes.len())]) {
                Ok(None) => {}
                verdict => return verdict,
            }
        }
        self.receive(bytes)
    }
}

/// Any cut gives what the whole gives: at each one place, and byte by byte.
fn assert_partition_invariant(bytes: &[u8], limits: HeadLimits) {
    for reader in Reader::both(limits) {
        let whole = reader.receive_cut(bytes, []);
        assert_eq!(reader.receive_cut(bytes, 0..bytes.len()), whole, "{reader:?}");
        for cut in 0..bytes.len() {
            assert_eq!(reader.receive_cut(bytes, [cut]), whole, "{reader:?} cut at {cut}");
        }
    }
}

#[test]
fn rfc_heads_cut_anywhere_are_the_same() {
    for head in [REQUEST, RESPONSE] {
        assert_partition_invariant(head, HeadLimits::DEFAULT);
        assert_partition_invariant(&[head, b"\x81\x02Hi\r\n\r\n"].concat(), HeadLimits::DEFAULT);
        for tight in [
            HeadLimits { max_bytes: 100, ..HeadLimits::DEFAULT },
            HeadLimits { max_line: 30, ..HeadLimits::DEFAULT },
            HeadLimits { max_line: 30, max_bytes: 60, ..HeadLimits::DEFAULT },
            HeadLimits { max_fields: 3, ..HeadLimits::DEFAULT },
        ] {
            assert_partition_invariant(head, tight);
        }
    }
}

#[test]
fn limit_of_nothing_is_judged_at_the_first_byte() {
    let nothing = HeadLimits { max_bytes: 0, max_fields: 0, max_line: 0 };
    assert_partition_invariant(b"GET", nothing);
    assert_partition_invariant(b"\x16\x03", nothing);
    assert_eq!(Reader::both(nothing)[0].receive(b""), Ok(None));
}

#[test]
fn repeated_calls_on_a_whole_head_agree() {
    for (mut reader, head) in Reader::both(HeadLimits::DEFAULT).into_iter().zip([REQUEST, RESPONSE])
    {
        let first = reader.receive(head);
        assert!(matches!(first, Ok(Some(_))), "{first:?}");
        assert_eq!(reader.receive(head), first);
        assert_eq!(reader.receive(&[head, b"\x89\0"].concat()), first);
    }
}

/// RFC 6455's heads, each with one long field or many short ones more: 60 KiB in all.
fn heads_of_60_kib() -> impl Iterator<Item = (Vec<u8>, HandshakeError)> {
    [REQUEST, RESPONSE].into_iter().flat_map(|head| {
        let long = format!("Cookie: {}", "a".repeat(60 * 1024 - head.len()));
        let many = vec!["X: a23456"; 60 * 1024 / 11];
        let lines = vec![format!("X: {}", "a".repeat(4_000)); 15];
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        [
            (edited(head, "X", &[&long]), HandshakeError::FieldTooLong),
            (edited(head, "X", &many), HandshakeError::TooManyFields),
            (edited(head, "X", &lines), HandshakeError::HeadTooLarge),
        ]
    })
}

#[test]
fn h15_head_of_60_kib_is_always_431() {
    for (bytes, error) in heads_of_60_kib() {
        assert!(bytes.len() >= 60_000);
        assert_eq!(error.status(), 431);
        for reader in Reader::both(HeadLimits::DEFAULT) {
            // The two sides' first lines make one of them no HTTP of the other's, but never
            // before the limit is passed.
            assert_eq!(reader.receive_cut(&bytes, []), Err(error));
            assert_eq!(reader.receive_cut(&bytes, 0..bytes.len()), Err(error));
            for cut in (0..bytes.len()).step_by(509) {
                assert_eq!(reader.receive_cut(&bytes, [cut]), Err(error), "cut at {cut}");
            }
        }
    }
}

#[test]
fn h14_head_is_scanned_once() {
    let filler = vec!["X-Filler: 0123456789012345678901234567890123456789"; 90];
    for (index, head) in
        [edited(REQUEST, "X", &filler), edited(RESPONSE, "X", &filler)].into_iter().enumerate()
    {
        let limits = HeadLimits::DEFAULT;
        let mut reader = Reader::both(limits)[index];
        // What was handed in before becomes line feeds, which would be refused at a second look;
        // of the line in progress its first byte stays, and its last one.
        let mut poisoned = Vec::with_capacity(head.len());
        let mut line_start = 0;
        for (at, byte) in head[..head.len() - 1].iter().enumerate() {
            poisoned.push(*byte);
            assert_eq!(reader.receive(&poisoned), Ok(None), "{at}");
            if *byte == b'\n' {
                poisoned[line_start..].fill(b'\n');
                line_start = at + 1;
            } else if at > line_start + 1 {
                poisoned[at - 1] = b'\n';
            }
        }
        // Only when the head is whole it is read as HTTP, once.
        assert!(matches!(reader.receive(&head), Ok(Some(_))));
    }
}

#[test]
fn h14_field_of_20_megabytes_is_refused_at_the_limit() {
    let mut bytes = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: ".to_vec();
    let line_start = bytes.len() - "Cookie: ".len();
    bytes.resize(20 << 20, b'a');
    let limit = line_start + HeadLimits::DEFAULT.max_line;
    for mut reader in Reader::both(HeadLimits::DEFAULT) {
        for length in (0..limit).step_by(100).chain([limit - 1]) {
            assert_eq!(reader.receive(&bytes[..length]), Ok(None));
        }
        assert_eq!(reader.receive(&bytes[..limit]), Err(HandshakeError::FieldTooLong));
    }
    for reader in Reader::both(HeadLimits::DEFAULT) {
        assert_eq!(reader.receive_cut(&bytes, []), Err(HandshakeError::FieldTooLong));
    }
}

/// A megabyte: what takes time by its square does not come back.
const MEGABYTE: usize = 1 << 20;

const UNLIMITED: HeadLimits =
    HeadLimits { max_bytes: 4 * MEGABYTE, max_fields: 100, max_line: 4 * MEGABYTE };

#[test]
fn h16_lists_are_read_in_one_pass() {
    let server = Reader::both(UNLIMITED)[0];
    for (name, value) in [
        // What brought down ws before 7.4.6, and as much as a head of ours may hold.
        ("Sec-WebSocket-Protocol", format!("a{}b", " ".repeat(15_000))),
        ("Sec-WebSocket-Protocol", format!("a{}b", " ".repeat(MEGABYTE))),
        ("Sec-WebSocket-Protocol", format!("a,{}b", " ,".repeat(MEGABYTE))),
        ("Sec-WebSocket-Protocol", "a,".repeat(MEGABYTE)),
        ("Connection", format!("keep-alive{}, upgrade", "\t ".repeat(MEGABYTE))),
        ("Upgrade", format!("{}websocket", "h2c, ".repeat(MEGABYTE / 2))),
        ("Sec-WebSocket-Key", format!("a{}b", " ".repeat(MEGABYTE))),
        // What brought down websocket-extensions before 0.1.4: a quote without an end.
        ("Sec-WebSocket-Extensions", format!("a; b=\"{}", "\\c".repeat(7_500))),
        ("Sec-WebSocket-Extensions", format!("a; b=\"{}", "\\c".repeat(MEGABYTE))),
        ("Sec-WebSocket-Extensions", format!("a{}", "; b=\"c\"".repeat(MEGABYTE / 4))),
        ("Sec-WebSocket-Extensions", format!("a{}b", " ,\t".repeat(MEGABYTE))),
    ] {
        let bytes = edited(REQUEST, name, &[&format!("{name}: {value}")]);
        let verdict = server.receive_cut(&bytes, []);
        assert!(matches!(verdict, Ok(Some((length, _))) if length == bytes.len()), "{name}");
    }
}

#[test]
fn h16_extension_lists_are_walked_in_one_pass() {
    let value = format!("a{}, b", "; c=\"\\d\"".repeat(MEGABYTE / 4));
    let list = ExtensionList::parse(value.as_bytes()).unwrap();
    let counts: Vec<_> = list.map(|extension| extension.parameters().count()).collect();
    assert_eq!(counts, [MEGABYTE / 4, 0]);
}

/// What a head does not take lightly.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n ",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"\"",
    b"\\",
    b"\0",
    b"\xff",
    b"X: 1\r\n",
    b"\r\nHost: a",
    b"\r\nContent-Length: 1",
    b"\r\nConnection: Upgrade",
    b"\r\nSec-WebSocket-Version: 8",
    b"http://a",
];

/// A head of either side, or a plain request, with a few changes.
fn mutated_head() -> impl Strategy<Value = Vec<u8>> {
    let base = prop_oneof![
        Just(REQUEST.to_vec()),
        Just(RESPONSE.to_vec()),
        Just(plain("GET", "/")),
        Just(edited(REQUEST, "X", &["Sec-WebSocket-Extensions: a; b=\"c\", d; e"])),
    ];
    let piece =
        prop_oneof![vec(any::<u8>(), 1..4), prop::sample::select(PIECES).prop_map(<[u8]>::to_vec),];
    let change = (any::<prop::sample::Index>(), 0_usize..12, piece);
    (base, vec(change, 0..4), vec(any::<u8>(), 0..6)).prop_map(|(mut head, changes, behind)| {
        for (at, removed, piece) in changes {
            let at = at.index(head.len() + 1);
            let end = head.len().min(at + removed / 2);
            head.splice(at..end, piece);
        }
        head.extend(behind);
        head
    })
}

fn limits() -> impl Strategy<Value = HeadLimits> {
    prop_oneof![
        Just(HeadLimits::DEFAULT),
        (0_usize..300, 0_usize..9, 0_usize..60).prop_map(|(max_bytes, max_fields, max_line)| {
            HeadLimits { max_bytes, max_fields, max_line }
        }),
    ]
}

proptest! {
    #[test]
    fn any_cut_of_any_head_gives_the_same_verdict(
        head in mutated_head(),
        limits in limits(),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(head.len() + 1)).collect();
        cuts.sort_unstable();
        for reader in Reader::both(limits) {
            let whole = reader.receive_cut(&head, []);
            prop_assert_eq!(reader.receive_cut(&head, cuts.iter().copied()), whole.clone());
            prop_assert_eq!(reader.receive_cut(&head, 0..head.len()), whole);
        }
    }

    /// The fields are walked without keeping a table of them, and come out as `httparse` reads
    /// them.
    #[test]
    fn fields_are_those_that_httparse_reads(head in mutated_head()) {
        let mut server = ServerHandshake::new(HeadLimits::DEFAULT);
        if let Ok(Some(request)) = server.receive(&head) {
            let mut fields = [httparse::EMPTY_HEADER; 100];
            let mut parsed = httparse::Request::new(&mut fields);
            let length = parsed.parse(&head).unwrap().unwrap();
            prop_assert_eq!(length, request.head_length());
            let expected: Vec<_> = parsed.headers.iter().map(|h| (h.name, h.value)).collect();
            let fields: Vec<_> = request.fields().map(|f| (f.name, f.value)).collect();
            prop_assert_eq!(fields, expected);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        for reader in Reader::both(HeadLimits::DEFAULT) {
            let verdict = reader.receive_cut(&bytes, []);
            prop_assert_eq!(reader.receive_cut(&bytes, 0..bytes.len()), verdict);
        }
        if let Ok(list) = ExtensionList::parse(&bytes) {
            for extension in list {
                for value in extension.parameters().filter_map(|parameter| parameter.value) {
                    prop_assert!(value.bytes().count() > 0);
                }
            }
        }
    }

    #[test]
    fn arbitrary_field_values_never_panic(
        value in "[ -~\t]{0,200}",
        name in prop::sample::select(&[
            "Host", "Upgrade", "Connection", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
            "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
        ]),
    ) {
        let readers = Reader::both(HeadLimits::DEFAULT);
        for (reader, head) in readers.into_iter().zip([REQUEST, RESPONSE]) {
            let bytes = edited(head, name, &[&format!("{name}: {value}")]);
            let verdict = reader.receive_cut(&bytes, []);
            prop_assert_eq!(reader.receive_cut(&bytes, 0..bytes.len()), verdict);
        }
    }

    #[test]
    fn whatever_client_request_is_written_is_accepted(
        authority in "[a-z]{1,8}(:[0-9]{1,4})?",
        target in "/[!-~]{0,30}",
        origin in prop::option::of("[!-~]{1,20}"),
        name in "[!-~]{1,8}",
        value in "[ -~]{0,20}",
        subprotocol in "[!-~]{1,8}",
    ) {
        let fields = [duologue_core::handshake::Field::new(&name, &value)];
        let subprotocols = [subprotocol.as_str()];
        let offer = ClientRequest {
            origin: origin.as_deref(),
            subprotocols: &subprotocols,
            fields: &fields,
            ..ClientRequest::new(&authority, &target)
        };
        let mut out = [0; 512];
        let client = ClientHandshake::new(NONCE, HeadLimits::DEFAULT);
        // What cannot be sent is refused; what is sent is understood.
        if let Ok(length) = client.write_request(&offer, &mut out) {
            let mut server = ServerHandshake::new(HeadLimits::DEFAULT);
            let request = server.receive(&out[..length]).unwrap().unwrap();
            prop_assert_eq!(request.target(), &target);
            prop_assert_eq!(request.host(), Some(authority.as_str()));
            prop_assert_eq!(request.subprotocols().collect::<Vec<_>>(), subprotocols);
            prop_assert_eq!(request.fields().last().unwrap().value, value.trim().as_bytes());
            prop_assert_eq!(request.upgrade().unwrap().accept_key(), client.expected_accept());
        }
    }
}
