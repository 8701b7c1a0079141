//! Compressed messages going out (RFC 7692 sections 6 and 7.2.1).

#![cfg(feature = "deflate")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use duologue_core::deflate::{CompressionLevel, DeflateConfig, DeflateParameters, MemoryLevel};
use duologue_core::{
    CloseCode, Config, Endpoint, Message, MessageType, Prepared, ReadyState, SendError,
};

use support::deflate::{
    ALL, CONFIG, SentFrame, agreed, alone, bits, compressing, json, noise, sent_frames, words,
};
use support::endpoint::{Mode, Reader, endpoint, put, write_all};
use support::inflater::Naive;
use support::pool::Pool;
use support::reference::Heard;
use support::{End, Side, T0};

/// A sender with a receiver at the other end, which hears everything that is sent.
struct Line {
    sender: Endpoint<Side>,
    receiver: Endpoint<Side>,
}

impl Line {
    fn new(end: End, config: &Config, parameters: DeflateParameters) -> Self {
        let peer = Config { deflate: Some(ALL), ..*config };
        Self {
            sender: compressing(end, config, parameters),
            receiver: compressing(end.peer(), &peer, parameters),
        }
    }

    /// Carries over what was sent: the frames, and what is heard of them.
    fn carry(&mut self) -> (Vec<SentFrame>, Vec<Heard>) {
        let (bytes, _) = write_all(&mut self.sender);
        put(&mut self.receiver, &bytes);
        let mut reader = Reader::default();
        reader.read(&mut self.receiver, Mode::Messages, T0);
        assert_eq!(reader.error, None);
        (support::deflate::frames_in(&bytes), reader.heard)
    }

    /// Sends a message, asserts that it arrives, and returns its one frame.
    #[track_caller]
    fn send(&mut self, message: impl Into<Message>) -> SentFrame {
        let message = message.into();
        self.sender.send(message.clone()).unwrap();
        self.arrives(&message)
    }

    #[track_caller]
    fn arrives(&mut self, message: &Message) -> SentFrame {
        let (mut frames, heard) = self.carry();
        assert_eq!(heard, [Heard::message(message.message_type(), message.payload().to_vec())]);
        assert_eq!(frames.len(), 1);
        frames.remove(0)
    }
}

fn both(parameters: &[DeflateParameters]) -> impl Iterator<Item = (End, DeflateParameters)> {
    parameters.iter().flat_map(|parameters| End::BOTH.map(|end| (end, *parameters)))
}

#[test]
fn message_at_the_threshold_is_compressed_and_a_shorter_one_is_not() {
    for (end, parameters) in both(&[agreed(), alone()]) {
        for threshold in [0, 1, 64, 1000] {
            let deflate = DeflateConfig { threshold, ..DeflateConfig::DEFAULT };
            let config = Config { deflate: Some(deflate), ..CONFIG };
            for length in [0, 1, 63, 64, 65, 999, 1000, 1001] {
                let mut line = Line::new(end, &config, parameters);
                let first = line.send("a".repeat(length)).first;
                // One letter by itself is not made shorter, and then goes as it is.
                let stays = parameters == alone() && length == 1;
                let compressed = length >= threshold && !stays;
                assert_eq!(first, if compressed { 0xc1 } else { 0x81 }, "{threshold} {length}");
                let bytes = vec![b'a'; length];
                assert_eq!(line.send(bytes.clone()).first & 0x40 != 0, compressed);
                line.sender.send_binary(&bytes).unwrap();
                assert_eq!(line.arrives(&bytes.into()).first & 0x40 != 0, compressed);
            }
        }
    }
}

#[test]
fn rfc_7692_7_2_3_6_empty_message_is_one_byte() {
    for (end, parameters) in both(&[agreed(), alone()]) {
        let mut line = Line::new(end, &CONFIG, parameters);
        assert_eq!(line.send("").payload, [0x00]);
        line.send("Hello, Hello");
        assert_eq!(line.send(Vec::new()), SentFrame { first: 0xc2, payload: vec![0x00] });
    }
}

#[test]
fn without_agreement_nothing_is_compressed() {
    for end in End::BOTH {
        let mut endpoint = endpoint(end, &CONFIG);
        let text = words(1, 2000);
        endpoint.send_text(&text).unwrap();
        endpoint.send_uncompressed(Message::text(text.clone())).unwrap();
        let prepared = Prepared::new(&Message::text(text.clone())).compressed(&ALL, bits(15));
        endpoint.send_prepared(&prepared).unwrap();
        let expected = SentFrame { first: 0x81, payload: text.into() };
        assert_eq!(sent_frames(&mut endpoint), [expected.clone(), expected.clone(), expected]);
    }
}

#[test]
fn context_is_taken_over_only_if_agreed_on() {
    for end in End::BOTH {
        let text = json(1, 3000);
        let mut line = Line::new(end, &CONFIG, agreed());
        let first = line.send(text.as_str()).payload;
        assert!(line.send(text.as_str()).payload.len() < first.len() / 4);
        let mut line = Line::new(end, &CONFIG, alone());
        let first = line.send(text.as_str()).payload;
        assert_eq!(line.send(text.as_str()).payload, first);
        assert_eq!(Naive::default().message(&first).unwrap(), text.as_bytes());
    }
}

#[test]
fn g59_rsv1_stands_on_the_first_of_the_fragments_only() {
    let text = words(2, 900);
    for (end, parameters) in both(&[agreed(), alone()]) {
        let mut line = Line::new(end, &CONFIG, parameters);
        for _ in 0..2 {
            let (start, rest) = text.as_bytes().split_at(300);
            let (middle, last) = rest.split_at(300);
            line.sender.begin_message(MessageType::Text, start).unwrap();
            line.sender.ping(b"p").unwrap();
            line.sender.continue_message(middle, false).unwrap();
            line.sender.continue_message(last, true).unwrap();
            let (frames, heard) = line.carry();
            let firsts: Vec<u8> = frames.iter().map(|frame| frame.first).collect();
            assert_eq!(firsts, [0x41, 0x89, 0x00, 0x80]);
            assert_eq!(heard, [Heard::Ping(b"p".to_vec()), Heard::text(&text)]);
        }
        // One below the threshold begins a message whose length nobody knows: it is compressed.
        line.sender.begin_message(MessageType::Binary, b"a").unwrap();
        line.sender.continue_message(b"", true).unwrap();
        let (frames, heard) = line.carry();
        assert_eq!((frames[0].first, frames[1].payload.as_slice()), (0x42, &[0x00][..]));
        assert_eq!(heard, [Heard::Binary(b"a".to_vec())]);
    }
}

#[test]
fn each_fragment_can_be_inflated_when_it_comes() {
    for (end, parameters) in both(&[agreed(), alone()]) {
        let mut line = Line::new(end, &CONFIG, parameters);
        line.sender.begin_message(MessageType::Text, b"Hel").unwrap();
        let (mut sent, mut so_far) = (String::from("Hel"), Vec::new());
        for (fragment, fin) in [("lo, ", false), ("Hello", false), ("!", true)] {
            put(&mut line.receiver, &write_all(&mut line.sender).0);
            while line.receiver.next_chunk(T0).unwrap().is_some() {
                so_far.extend_from_slice(line.receiver.chunk().unwrap().payload);
            }
            assert_eq!(so_far, sent.as_bytes());
            line.sender.continue_message(fragment.as_bytes(), fin).unwrap();
            sent.push_str(fragment);
        }
    }
}

#[test]
fn empty_fragment_anywhere_in_a_message_changes_nothing() {
    let text = words(3, 600);
    let (start, end_of_it) = text.as_bytes().split_at(300);
    let pool = Pool::plain();
    for (end, parameters) in both(&[agreed(), alone()]) {
        for shared in [false, true] {
            for fragments in [
                &[&b""[..], start, end_of_it][..],
                &[start, b"", end_of_it],
                &[start, end_of_it, b""],
                &[b"", start, b"", b"", end_of_it, b""],
                &[b"", b"", b""],
                &[b"", text.as_bytes()],
            ] {
                let mut line = Line::new(end, &CONFIG, parameters);
                if shared {
                    line.sender.share_codecs(pool);
                    line.receiver.share_codecs(pool);
                }
                // What came before may not be referred to without takeover.
                line.send(text.as_str());
                for _ in 0..2 {
                    let (first, rest) = fragments.split_first().unwrap();
                    line.sender.begin_message(MessageType::Binary, first).unwrap();
                    for (at, fragment) in rest.iter().enumerate() {
                        let fin = at + 1 == rest.len();
                        line.sender.continue_message(fragment, fin).unwrap();
                    }
                    assert_eq!(line.carry().1, [Heard::Binary(fragments.concat())]);
                }
                line.send(text.as_str());
            }
        }
    }
}

#[test]
fn h12_opted_out_message_never_enters_the_window() {
    let (before, secret, after) = (json(1, 900), "token=4f1c0a55d2".repeat(20), json(2, 900));
    for (end, parameters) in both(&[agreed(), alone()]) {
        for shared in [false, true] {
            let sent = |with_secret: bool| {
                let mut line = Line::new(end, &CONFIG, parameters);
                if shared {
                    line.sender.share_codecs(Pool::plain());
                    line.receiver.share_codecs(Pool::plain());
                }
                let mut frames = vec![line.send(before.as_str())];
                if with_secret {
                    let message = Message::text(secret.clone());
                    line.sender.send_uncompressed(message.clone()).unwrap();
                    let frame = line.arrives(&message);
                    assert_eq!((frame.first, frame.payload.as_slice()), (0x81, secret.as_bytes()));
                }
                frames.push(line.send(format!("{after}{secret}")));
                frames.push(line.send(secret.as_str()));
                frames
            };
            let frames = sent(true);
            assert_eq!(frames, sent(false));
            assert!(frames.iter().all(|frame| frame.first == 0xc1));
            let mut inflater = Naive::default();
            for (frame, text) in frames.iter().zip([before.clone(), format!("{after}{secret}")]) {
                assert_eq!(inflater.message(&frame.payload).unwrap(), text.as_bytes());
            }
        }
    }
}

#[test]
fn message_below_the_threshold_never_enters_the_window() {
    for end in End::BOTH {
        let config = Config { deflate: Some(DeflateConfig::DEFAULT), ..CONFIG };
        let text = words(4, 500);
        let sent = |with_short: bool| {
            let mut line = Line::new(end, &config, agreed());
            line.send(text.as_str());
            if with_short {
                assert_eq!(line.send(&text[..60]).first, 0x81);
            }
            line.send(text.as_str())
        };
        assert_eq!(sent(true), sent(false));
    }
}

/// Everything that sends a message is refused for `error`, and queues nothing.
fn assert_refused(endpoint: &mut Endpoint<Side>, error: SendError) {
    let text = json(7, 500);
    let prepared = Prepared::new(&Message::text(text.clone())).compressed(&ALL, bits(15));
    assert_eq!(endpoint.send_text(&text), Err(error));
    assert_eq!(endpoint.send(Message::binary(text.clone())), Err(error));
    assert_eq!(endpoint.send_uncompressed(Message::text(text.clone())), Err(error));
    assert_eq!(endpoint.send_prepared(&prepared), Err(error));
    assert_eq!(endpoint.send_prepared(&Prepared::new(&Message::text(text.clone()))), Err(error));
    assert_eq!(endpoint.begin_message(MessageType::Text, text.as_bytes()), Err(error));
}

#[test]
fn send_inside_a_message_is_refused_and_leaves_the_context() {
    let text = words(5, 500);
    for (end, parameters) in both(&[agreed(), alone()]) {
        let sent = |refused: bool| {
            let mut line = Line::new(end, &CONFIG, parameters);
            let mut frames = vec![line.send(text.as_str())];
            if refused {
                let error = line.sender.continue_message(b"text", true);
                assert_eq!(error, Err(SendError::NoMessageInProgress));
                let error = line.sender.begin_message(MessageType::Text, b"\xff");
                assert_eq!(error, Err(SendError::InvalidUtf8));
            }
            line.sender.begin_message(MessageType::Text, text.as_bytes()).unwrap();
            if refused {
                assert_refused(&mut line.sender, SendError::MessageInProgress);
                let error = line.sender.continue_message(b"text\xff", true);
                assert_eq!(error, Err(SendError::InvalidUtf8));
            }
            line.sender.continue_message(text.as_bytes(), true).unwrap();
            let (more, heard) = line.carry();
            assert_eq!(heard, [Heard::text(&text.repeat(2))]);
            frames.extend(more);
            frames.push(line.send(text.as_str()));
            frames
        };
        assert_eq!(sent(true), sent(false));
    }
}

#[test]
fn send_when_closing_or_not_open_is_refused() {
    for end in End::BOTH {
        let mut endpoint = Endpoint::new(end.role(), &CONFIG, T0);
        assert_refused(&mut endpoint, SendError::NotOpen);
        let mut endpoint = compressing(end, &CONFIG, agreed());
        endpoint.begin_message(MessageType::Text, b"Hello").unwrap();
        endpoint.close(CloseCode::NORMAL, "", T0).unwrap();
        let queued = endpoint.buffered_amount();
        assert_refused(&mut endpoint, SendError::Closing);
        assert_eq!(endpoint.continue_message(b"Hello", true), Err(SendError::Closing));
        assert_eq!(endpoint.buffered_amount(), queued);
        assert_eq!(endpoint.ready_state(), ReadyState::Closing);
    }
}

#[test]
fn continuation_refused_when_closing_takes_no_compressor() {
    for end in End::BOTH {
        let pool = Pool::plain();
        let mut endpoint = compressing(end, &CONFIG, agreed());
        endpoint.share_codecs(pool);
        endpoint.send_text("Hello").unwrap();
        // A fragment without a payload needs no compressor yet.
        endpoint.begin_message(MessageType::Text, b"").unwrap();
        endpoint.close(CloseCode::NORMAL, "", T0).unwrap();
        let (counts, capacity) = (pool.counts(), endpoint.buffer_capacity());
        assert_eq!(counts, (1, 0));
        assert_eq!(endpoint.continue_message(b"Hello", false), Err(SendError::Closing));
        assert_eq!((pool.counts(), endpoint.buffer_capacity()), (counts, capacity));
    }
}

#[test]
fn what_does_not_compress_goes_as_it_is_unless_it_is_in_the_window() {
    let noise = noise(1, 5000);
    for end in End::BOTH {
        let mut line = Line::new(end, &CONFIG, alone());
        for _ in 0..3 {
            let frame = line.send(noise.clone());
            assert_eq!((frame.first, frame.payload), (0x82, noise.clone()));
            assert_eq!(line.send(json(1, 500)).first, 0xc1);
        }
        // Where context is taken over, the compressor has seen it, so the other end has to.
        let mut line = Line::new(end, &CONFIG, agreed());
        let frame = line.send(noise.clone());
        assert_eq!(frame.first, 0xc2);
        // The fastest way to compress takes nine bits for each byte that it has no place for.
        assert!(frame.payload.len() < noise.len() / 8 * 9 + 32);
        assert!(line.send(noise.clone()).payload.len() < noise.len() / 4);
    }
}

/// The form of a prepared message goes out that was compressed for it, on any connection, and
/// messages before and after it arrive.
#[test]
fn prepared_message_is_compressed_once_for_all() {
    let pool = Pool::plain();
    for length in [200, 3000, 200_000] {
        let text = json(3, length);
        let message = Message::text(text.clone());
        let prepared =
            Prepared::new(&message).compressed(&ALL, bits(15)).compressed(&ALL, bits(10));
        let mut forms = Vec::new();
        for (end, parameters) in both(&[agreed(), alone()]) {
            for shared in [false, true] {
                let mut line = Line::new(end, &CONFIG, parameters);
                if shared {
                    line.sender.share_codecs(pool);
                    line.receiver.share_codecs(pool);
                }
                for round in 0..3 {
                    line.send(words(round, 800));
                    line.sender.send_prepared(&prepared).unwrap();
                    let frame = line.arrives(&message);
                    assert_eq!(frame.first, 0xc1);
                    assert!(frame.payload.len() < text.len());
                    forms.push(frame);
                    line.sender.send_prepared(&prepared).unwrap();
                    line.sender.send_prepared(&prepared).unwrap();
                    let heard = line.carry().1;
                    assert_eq!(heard, [Heard::text(&text), Heard::text(&text)]);
                    line.send(text.as_str());
                    let (start, rest) = text.split_at(150);
                    line.sender.begin_message(MessageType::Text, start.as_bytes()).unwrap();
                    line.sender.continue_message(rest.as_bytes(), true).unwrap();
                    assert_eq!(line.carry().1, [Heard::text(&text)]);
                }
            }
        }
        forms.dedup();
        assert_eq!(forms.len(), 1, "one form for all");
        let mut inflater = Naive::default();
        assert_eq!(inflater.message(&forms[0].payload).unwrap(), text.as_bytes());
    }
}

#[test]
fn clients_prepared_message_is_masked_anew() {
    let message = Message::text(json(3, 3000));
    let prepared = Prepared::new(&message).compressed(&ALL, bits(15));
    let mut line = Line::new(End::Client, &CONFIG, agreed());
    line.sender.send_prepared(&prepared).unwrap();
    line.sender.send_prepared(&prepared).unwrap();
    let (bytes, _) = write_all(&mut line.sender);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!((first[0], first[1] & 0x80), (0xc1, 0x80));
    assert_ne!(first, second, "two keys");
    put(&mut line.receiver, &bytes);
    let mut reader = Reader::default();
    reader.read(&mut line.receiver, Mode::Messages, T0);
    assert_eq!((reader.error, reader.heard.len()), (None, 2));
}

#[test]
fn prepared_message_that_no_form_suits_is_compressed_by_itself() {
    let text = json(3, 3000);
    let message = Message::text(text.clone());
    for prepared in [
        Prepared::new(&message),
        Prepared::new(&message).compressed(&ALL, bits(15)).compressed(&ALL, bits(13)),
    ] {
        for (end, own) in End::BOTH.into_iter().flat_map(|end| [(end, 8), (end, 9), (end, 12)]) {
            let narrow = DeflateParameters {
                server_max_window_bits: Some(bits(own)),
                client_max_window_bits: Some(bits(own)),
                ..agreed()
            };
            let mut line = Line::new(end, &CONFIG, narrow);
            let mut inflater = Naive::default();
            for _ in 0..3 {
                line.sender.send_prepared(&prepared).unwrap();
                let frame = line.arrives(&message);
                assert_eq!(frame.first, 0xc1);
                assert_eq!(inflater.message(&frame.payload).unwrap(), text.as_bytes());
                let reached = inflater.farthest;
                assert!(reached <= bits(own).window(), "{reached} for {own} bits");
            }
        }
    }
    // One that does not become smaller has no form, and one below the threshold needs none.
    let noise = Message::binary(noise(1, 3000));
    for (message, first) in [(&noise, 0x82), (&Message::text("Hello, Hello, Hello"), 0x81)] {
        let config = Config { deflate: Some(DeflateConfig::DEFAULT), ..CONFIG };
        let mut line = Line::new(End::Server, &config, alone());
        let prepared = Prepared::new(message).compressed(&DeflateConfig::DEFAULT, bits(15));
        line.sender.send_prepared(&prepared).unwrap();
        assert_eq!(line.arrives(message).first, first);
    }
}

/// Noise in which pieces come again after just so many bytes as the window has, or a few more or
/// less; what comes again longest ago is still there.
fn echoes(window: usize) -> Vec<u8> {
    let mut bytes = noise(window as u64, window + 600);
    for offset in [-400_isize, -262, -261, -250, -130, -3, -2, -1, 0, 1, 2, 3, 260] {
        let distance = window.saturating_add_signed(offset).clamp(1, bytes.len());
        let from = bytes.len() - distance;
        bytes.extend_from_within(from..from + distance.min(100));
        bytes.extend(noise(distance as u64, 40));
    }
    bytes.extend(words(window as u64, 2 * window).into_bytes());
    bytes.extend(vec![b'x'; window / 2]);
    bytes
}

/// Compresses `messages` with every kind of compressor of a window of `own` bits; asserts that the
/// naive inflater reads them, and returns how far back it had to go at most.
fn farthest(own: u8, messages: &[Vec<u8>], levels: &[u8], pool: Option<&'static Pool>) -> usize {
    let mut farthest = 0;
    for (level, memory) in levels.iter().flat_map(|level| [(*level, 1), (*level, 8), (*level, 9)]) {
        let deflate = DeflateConfig {
            level: CompressionLevel::new(level).unwrap(),
            memory_level: MemoryLevel::new(memory).unwrap(),
            ..ALL
        };
        let config = Config { deflate: Some(deflate), ..CONFIG };
        let narrow = DeflateParameters { server_max_window_bits: Some(bits(own)), ..agreed() };
        let mut sender = compressing(End::Server, &config, narrow);
        if let Some(pool) = pool {
            sender.share_codecs(pool);
        }
        let mut inflater = Naive::default();
        for message in messages {
            sender.send_binary(message).unwrap();
            if let Some(pool) = pool {
                // Another compressor goes on from what is remembered of this one's history.
                pool.clear();
            }
            let frame = &sent_frames(&mut sender)[0];
            assert_eq!(inflater.message(&frame.payload).as_ref(), Ok(message));
        }
        let reached = inflater.farthest;
        assert!(reached <= bits(own).window(), "{reached} for {own} bits at level {level}");
        farthest = farthest.max(reached);
    }
    farthest
}

#[test]
fn g63_compressor_keeps_to_its_window() {
    for own in 8..=15 {
        let window = bits(own).window();
        let echoes = echoes(window);
        let (start, rest) = echoes.split_at(window - 10);
        let messages = [start, rest, &rest[..window / 2]].map(<[u8]>::to_vec);
        let reached = farthest(own, &messages, &[1, 2, 3, 4, 5, 6, 7, 8, 9], None);
        // The windows that matter most are used almost to their ends, so the echoes are heard.
        if own == 15 || cfg!(feature = "zlib-rs") && own > 9 {
            assert!(reached > window - 400, "{reached} of {window}");
        }
    }
}

#[test]
fn g63_compressor_that_goes_on_from_a_history_keeps_to_its_window() {
    let pool = Pool::plain();
    for own in 8..=15 {
        let window = bits(own).window().min(4096);
        let echoes = echoes(window);
        let messages: Vec<_> = echoes.chunks(window / 2 + 7).map(<[u8]>::to_vec).collect();
        farthest(own, &messages, &[1, 2, 6, 9], Some(pool));
    }
}

#[test]
fn prepared_secret_is_never_compressed() {
    for (end, parameters) in both(&[agreed(), alone()]) {
        let mut line = Line::new(end, &CONFIG, parameters);
        let secret = Message::text(words(9, 2000));
        let prepared = Prepared::new(&secret).compressed(&ALL, bits(15)).uncompressed();
        line.sender.send_prepared(&prepared).unwrap();
        assert_eq!(line.arrives(&secret).first, 0x81);
    }
}
