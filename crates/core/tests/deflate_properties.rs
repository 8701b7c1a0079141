//! Whatever is sent compressed arrives, however it is cut and read, between our own two ends and
//! between one of them and RFC 7692's steps done naively.

#![cfg(feature = "deflate")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

use duologue_core::deflate::{
    CompressionLevel, DeflateConfig, DeflateParameters, MemoryLevel, WindowBits,
};
use duologue_core::{Config, Endpoint, Message, MessageType, Prepared, ProtocolError, Step};

use support::deflate::{
    ALL, CONFIG, TAIL, agreed, alone, compressing, frames_in, json, noise, words,
};
use support::endpoint::{Mode, Reader, put, write_all};
use support::inflater::Naive;
use support::pool::Pool;
use support::reference::Heard;
use support::streams::{cases, cuts, damaged, damages, pieces};
use support::{End, Side, T0, frame, from_peer};

/// How a message is sent.
#[derive(Clone, Debug)]
enum How {
    Whole,
    Uncompressed,
    Prepared(WindowBits),
    /// Cut at these places, with a ping before each further fragment that wants one.
    Fragments(Vec<(Index, bool)>),
}

fn message() -> impl Strategy<Value = Message> {
    let length = prop_oneof![4 => 0_usize..300, 3 => 300_usize..6000, 1 => 6000_usize..65_537];
    (0..3, 0_u64..8, length).prop_map(|(kind, seed, length)| match kind {
        0 => Message::text(words(seed, length)),
        1 => Message::text(json(seed, length)),
        _ => Message::binary(noise(seed, length)),
    })
}

fn window() -> impl Strategy<Value = WindowBits> {
    (8_u8..=15).prop_map(|bits| WindowBits::new(bits).unwrap())
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Whole),
        1 => Just(How::Uncompressed),
        1 => window().prop_map(How::Prepared),
        3 => vec(any::<(Index, bool)>(), 1..5).prop_map(How::Fragments),
    ]
}

fn messages() -> impl Strategy<Value = Vec<(Message, How)>> {
    vec((message(), how()), 1..8)
}

fn deflate() -> impl Strategy<Value = DeflateConfig> {
    let threshold = prop_oneof![Just(0_usize), Just(64), 0_usize..2000];
    (1_u8..=9, 1_u8..=9, threshold).prop_map(|(level, memory_level, threshold)| DeflateConfig {
        level: CompressionLevel::new(level).unwrap(),
        memory_level: MemoryLevel::new(memory_level).unwrap(),
        threshold,
        ..ALL
    })
}

fn parameters() -> impl Strategy<Value = DeflateParameters> {
    (any::<(bool, bool)>(), option::of(window()), option::of(window())).prop_map(
        |((server, client), server_max_window_bits, client_max_window_bits)| DeflateParameters {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            server_max_window_bits,
            client_max_window_bits,
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Server), Just(End::Client)]
}

fn modes() -> impl Strategy<Value = Vec<Mode>> {
    vec(prop_oneof![Just(Mode::Messages), Just(Mode::Lent), Just(Mode::Chunks)], 1..4)
}

/// What `end` refers to: whether to earlier messages, and how far back.
fn direction(end: End, parameters: DeflateParameters) -> (bool, WindowBits) {
    let (alone, bits) = match end {
        End::Server => (parameters.server_no_context_takeover, parameters.server_max_window_bits),
        End::Client => (parameters.client_no_context_takeover, parameters.client_max_window_bits),
    };
    (!alone, bits.unwrap_or(WindowBits::MAX))
}

/// Sends a message as it is to be sent; returns what is to be heard.
fn send(endpoint: &mut Endpoint<Side>, message: &Message, how: &How) -> Vec<Heard> {
    let (message_type, payload) = (message.message_type(), message.payload());
    let mut heard = Vec::new();
    match how {
        How::Whole => endpoint.send(message.clone()).unwrap(),
        How::Uncompressed => endpoint.send_uncompressed(message.clone()).unwrap(),
        How::Prepared(bits) => {
            let prepared = Prepared::new(message).compressed(&ALL, *bits);
            endpoint.send_prepared(&prepared).unwrap();
        }
        How::Fragments(places) => {
            let mut places = places.clone();
            places.sort_by_key(|(place, _)| place.index(payload.len() + 1));
            let mut from = 0;
            for (at, (place, pings)) in places.iter().enumerate() {
                let to = place.index(payload.len() + 1);
                if at == 0 {
                    endpoint.begin_message(message_type, &payload[..to]).unwrap();
                } else {
                    endpoint.continue_message(&payload[from..to], false).unwrap();
                }
                if *pings {
                    endpoint.ping(&payload[from..to.min(from + 125)]).unwrap();
                    heard.push(Heard::Ping(payload[from..to.min(from + 125)].to_vec()));
                }
                from = to;
            }
            endpoint.continue_message(&payload[from..], true).unwrap();
        }
    }
    heard.push(Heard::message(message_type, payload.to_vec()));
    heard
}

/// Hands `bytes` to `endpoint` in pieces, read in turns of `modes`.
fn read(endpoint: &mut Endpoint<Side>, reader: &mut Reader, pieces: &[&[u8]], modes: &[Mode]) {
    for (at, piece) in pieces.iter().enumerate() {
        put(endpoint, piece);
        reader.read(endpoint, modes[at % modes.len()], T0);
    }
}

/// The payloads of the data messages in `bytes`, each with whether it is compressed.
fn payloads(bytes: &[u8]) -> Vec<(bool, Vec<u8>)> {
    let mut payloads: Vec<(bool, Vec<u8>)> = Vec::new();
    for frame in frames_in(bytes).into_iter().filter(|frame| frame.first & 8 == 0) {
        if frame.first & 0x0F == 0 {
            assert_eq!(frame.first & 0x70, 0, "RSV1 on a continuation");
            payloads.last_mut().unwrap().1.extend(frame.payload);
        } else {
            payloads.push((frame.first & 0x40 != 0, frame.payload));
        }
    }
    payloads
}

/// RFC 7692 section 7.2.1, step by step.
fn naively_compressed(compress: &mut Compress, payload: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(2 * payload.len() + 100);
    compress.compress_vec(payload, &mut data, FlushCompress::Sync).unwrap();
    assert!(data.len() < data.capacity());
    assert_eq!(data.split_off(data.len() - 4), TAIL);
    data
}

/// RFC 7692 section 7.2.2, step by step.
fn naively_inflated(decompress: &mut Decompress, data: &[u8], length: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(length + 100);
    let data = [data, &TAIL].concat();
    let before = decompress.total_in();
    decompress.decompress_vec(&data, &mut payload, FlushDecompress::Sync).unwrap();
    assert_eq!(decompress.total_in() - before, data.len() as u64);
    payload
}

proptest! {
    #![proptest_config(cases(250))]

    #[test]
    fn any_messages_arrive_however_they_are_cut_and_read(
        end in end(),
        deflate in deflate(),
        parameters in parameters(),
        messages in messages(),
        cuts in cuts(),
        modes in modes(),
    ) {
        let config = Config { deflate: Some(deflate), ..CONFIG };
        let mut sender = compressing(end, &config, parameters);
        let mut receiver = compressing(end.peer(), &config, parameters);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (message, how) in &messages {
            expected.extend(send(&mut sender, message, how));
            bytes.extend(write_all(&mut sender).0);
        }
        let mut reader = Reader::default();
        read(&mut receiver, &mut reader, &pieces(&bytes, &cuts), &modes);
        prop_assert_eq!(reader.error, None);
        prop_assert_eq!(&reader.heard, &expected);
        // It is heard alike whole.
        let mut receiver = compressing(end.peer(), &config, parameters);
        let mut reader = Reader::default();
        read(&mut receiver, &mut reader, &[&bytes], &modes);
        prop_assert_eq!((reader.error, reader.heard), (None, expected));
    }

    #[test]
    fn any_messages_sent_are_read_by_naive_steps(
        end in end(),
        deflate in deflate(),
        parameters in parameters(),
        messages in messages(),
    ) {
        let (takes_over, window_bits) = direction(end, parameters);
        let config = Config { deflate: Some(deflate), ..CONFIG };
        let mut sender = compressing(end, &config, parameters);
        for (message, how) in &messages {
            send(&mut sender, message, how);
        }
        let (bytes, _) = write_all(&mut sender);
        let payloads = payloads(&bytes);
        prop_assert_eq!(payloads.len(), messages.len());
        let (mut decompress, mut naive) = (Decompress::new(false), Naive::default());
        for ((is_compressed, data), (message, how)) in payloads.iter().zip(&messages) {
            let expected = message.payload();
            if !is_compressed {
                prop_assert_eq!(data, expected);
                continue;
            }
            prop_assert!(!matches!(how, How::Uncompressed));
            if !takes_over {
                decompress.reset(false);
                naive.reset();
            }
            prop_assert_eq!(naively_inflated(&mut decompress, data, expected.len()), expected);
            let inflated = naive.message(data);
            prop_assert_eq!(inflated.as_deref(), Ok(expected));
        }
        prop_assert!(naive.farthest <= window_bits.window(), "{} bytes", naive.farthest);
    }

    #[test]
    fn any_messages_compressed_by_naive_steps_are_read(
        end in end(),
        takes_over: bool,
        level in 0_u32..=9,
        messages in vec((message(), vec((any::<Index>(), any::<bool>()), 0..5)), 1..8),
        cuts in cuts(),
        modes in modes(),
    ) {
        let mut compress = Compress::new(Compression::new(level), false);
        let (mut frames, mut expected) = (Vec::new(), Vec::new());
        for (message, places) in &messages {
            if !takes_over {
                compress.reset();
            }
            let data = naively_compressed(&mut compress, message.payload());
            let message_type = message.message_type();
            let mut first = if message_type == MessageType::Text { 0x41 } else { 0x42 };
            let mut places = places.clone();
            places.sort_by_key(|(place, _)| place.index(data.len() + 1));
            let mut from = 0;
            for (place, pings) in places {
                let to = place.index(data.len() + 1);
                frames.extend(frame(first, &data[from..to]));
                if pings {
                    frames.extend_from_slice(b"\x89\x01p");
                    expected.push(Heard::Ping(b"p".to_vec()));
                }
                (first, from) = (0, to);
            }
            frames.extend(frame(0x80 | first, &data[from..]));
            expected.push(Heard::message(message_type, message.payload().to_vec()));
        }
        let agreed = if takes_over { agreed() } else { alone() };
        let mut receiver = compressing(end, &CONFIG, agreed);
        let mut reader = Reader::default();
        let bytes = from_peer(end, &frames);
        read(&mut receiver, &mut reader, &pieces(&bytes, &cuts), &modes);
        prop_assert_eq!(reader.error, None);
        prop_assert_eq!(reader.heard, expected);
    }

    #[test]
    fn any_connections_that_share_a_pool_do_not_mix(
        seed: u32,
        ends in vec((end(), deflate(), parameters()), 2..5),
        turns in vec((any::<Index>(), message(), how(), modes()), 1..20),
        cuts in cuts(),
    ) {
        let pool = Pool::fickle(seed);
        let mut lines: Vec<_> = ends
            .iter()
            .map(|(end, deflate, parameters)| {
                let config = Config { deflate: Some(*deflate), ..CONFIG };
                let mut sender = compressing(*end, &config, *parameters);
                let mut receiver = compressing(end.peer(), &config, *parameters);
                sender.share_codecs(pool);
                receiver.share_codecs(pool);
                (sender, receiver, Reader::default(), Vec::new(), Vec::new())
            })
            .collect();
        // Half of what one line has to carry comes only when others have had their turn.
        for (line, message, how, modes) in &turns {
            let line = line.index(lines.len());
            let (sender, receiver, reader, late, expected) = &mut lines[line];
            expected.extend(send(sender, message, how));
            let bytes = [core::mem::take(late), write_all(sender).0].concat();
            let (now, later) = bytes.split_at(bytes.len() - bytes.len() / 2);
            *late = later.to_vec();
            read(receiver, reader, &pieces(now, &cuts), modes);
        }
        for (_, receiver, reader, late, expected) in &mut lines {
            read(receiver, reader, &[late], &[Mode::Messages]);
            prop_assert_eq!(reader.error, None);
            prop_assert_eq!(&reader.heard, &*expected);
        }
        pool.clear();
    }
}

/// What came out of an endpoint of the messages and control frames that were whole, and the fault.
fn transcript(
    end: End,
    config: &Config,
    takes_over: bool,
    pieces: &[&[u8]],
    mode: Mode,
) -> (Vec<Heard>, Option<ProtocolError>, Vec<u8>) {
    let agreed = if takes_over { agreed() } else { alone() };
    let mut endpoint = compressing(end, config, agreed);
    let mut reader = Reader::default();
    read(&mut endpoint, &mut reader, pieces, &[mode]);
    (reader.heard, reader.error, write_all(&mut endpoint).0)
}

/// A few messages in compressed frames with damaged data, pings between them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let data = (message(), damages(), any::<bool>()).prop_map(|(message, damages, is_junk)| {
        let payload = message.payload();
        if is_junk {
            return noise(payload.len() as u64, payload.len().min(400));
        }
        let mut compress = Compress::new(Compression::fast(), false);
        damaged(naively_compressed(&mut compress, &payload[..payload.len().min(3000)]), &damages)
    });
    vec((data, any::<bool>(), option::of(any::<Index>())), 1..5).prop_map(|messages| {
        let mut frames = Vec::new();
        for (data, is_text, place) in messages {
            let mut first = if is_text { 0xC1 } else { 0xC2 };
            let mut rest = data.as_slice();
            if let Some(place) = place {
                let (start, end) = rest.split_at(place.index(rest.len() + 1));
                frames.extend(frame(first & 0x7F, start));
                frames.extend_from_slice(b"\x89\x01p");
                (first, rest) = (0x80, end);
            }
            frames.extend(frame(first, rest));
        }
        frames
    })
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn any_data_gives_the_same_transcript_however_it_is_cut(
        end in end(),
        takes_over: bool,
        frames in hostile(),
        max_message_length in prop_oneof![Just(16_u64 << 20), 0_u64..3000],
        cuts in cuts(),
    ) {
        let config = Config { max_message_length, ..CONFIG };
        let bytes = from_peer(end, &frames);
        let transcript =
            |pieces: &[&[u8]], mode| transcript(end, &config, takes_over, pieces, mode);
        let whole = transcript(&[&bytes], Mode::Messages);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let cut = pieces(&bytes, &cuts);
        for mode in [Mode::Messages, Mode::Lent, Mode::Chunks] {
            prop_assert_eq!(&transcript(&[&bytes], mode), &whole);
            prop_assert_eq!(&transcript(&single, mode), &whole);
            prop_assert_eq!(&transcript(&cut, mode), &whole);
        }
    }
}

#[test]
fn any_short_data_is_read_as_by_the_naive_inflater() {
    let pool = Pool::plain();
    let one = (0..=255_u8).map(|byte| vec![byte]);
    let two = (0..=u16::MAX).map(|bytes| bytes.to_be_bytes().to_vec());
    // A block with fixed codes, a stored one and one with codes of its own, and then anything.
    let more = (0..30_000).map(|seed| {
        let mut data = noise(seed, 3 + usize::try_from(seed % 20).unwrap());
        data[0] = [0xf2, 0x00, 0x04][usize::try_from(seed % 3).unwrap()] | data[0] & 0xf8;
        data
    });
    let open = || {
        let mut endpoint = compressing(End::Client, &CONFIG, alone());
        endpoint.share_codecs(pool);
        endpoint
    };
    let mut endpoint = open();
    for data in one.chain(two).chain(more) {
        let expected = Naive::default().message(&data);
        put(&mut endpoint, &frame(0xC2, &data));
        match (endpoint.next_message(T0), expected) {
            (Ok(step), Ok(expected)) => {
                assert_eq!(step, Some(Step::Message));
                assert_eq!(endpoint.message().unwrap().payload(), expected, "{data:02x?}");
                assert_eq!(endpoint.next_message(T0), Ok(None));
            }
            // What ends with such a block is judged by examples.
            (Ok(_), Err(malformed)) => assert!(malformed.is_final, "{data:02x?}"),
            (Err(error), expected) => {
                assert_eq!(error, ProtocolError::CorruptDeflate);
                assert!(expected.is_err(), "{data:02x?}");
                endpoint = open();
            }
        }
    }
    pool.clear();
}

#[test]
fn codec_that_was_missed_once_is_not_gone_on_with() {
    // The pool has nothing in one turn, and in the next what it had before.
    for seed in 0..200 {
        let pool = Pool::fickle(seed);
        let mut sender = compressing(End::Server, &CONFIG, agreed());
        let mut receiver = compressing(End::Client, &CONFIG, agreed());
        sender.share_codecs(pool);
        receiver.share_codecs(pool);
        let mut reader = Reader::default();
        for round in 0..10 {
            sender.send_text(&json(round, 300)).unwrap();
            put(&mut receiver, &write_all(&mut sender).0);
            reader.read(&mut receiver, Mode::Messages, T0);
            assert_eq!(reader.error, None, "in round {round} with seed {seed}");
            assert_eq!(reader.heard.pop(), Some(Heard::text(&json(round, 300))));
        }
        pool.clear();
    }
}

#[test]
fn nothing_of_another_connection_can_be_referred_to() {
    // Refers back by five bytes, to before the first byte of its own connection.
    let reaching = frame(0xC2, b"\xf2\x00\x11\x00\x00");
    for end in End::BOTH {
        for (ours, theirs) in [(agreed(), agreed()), (alone(), agreed()), (agreed(), alone())] {
            let pool = Pool::plain();
            let mut other = compressing(end, &CONFIG, ours);
            other.share_codecs(pool);
            let mut reader = Reader::default();
            let secret = frame(0xC1, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
            read(&mut other, &mut reader, &[&from_peer(end, &secret)], &[Mode::Messages]);
            assert_eq!(reader.heard, [Heard::text("Hello")]);
            assert_eq!(pool.counts(), (0, 1), "it has been given back");

            let mut hostile = compressing(end, &CONFIG, theirs);
            hostile.share_codecs(pool);
            let mut reader = Reader::default();
            read(&mut hostile, &mut reader, &[&from_peer(end, &reaching)], &[Mode::Messages]);
            assert_eq!(reader.error, Some(ProtocolError::CorruptDeflate));
            assert_eq!(reader.heard, []);
            assert_eq!(pool.counts(), (0, 1), "it was used, and given back");
            // What failed in it is not left behind.
            let mut reader = Reader::default();
            read(&mut other, &mut reader, &[&from_peer(end, &secret)], &[Mode::Messages]);
            assert_eq!((reader.error, reader.heard.len()), (None, 1));
            pool.clear();
        }
    }
}
