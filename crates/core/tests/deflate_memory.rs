//! What compression takes up: idle, after messages, and when the peer means harm.

#![cfg(feature = "deflate")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use flate2::{Compress, Compression, FlushCompress};

use duologue_core::deflate::{DeflateConfig, DeflateParameters, MemoryLevel};
use duologue_core::{CloseCode, Config, Endpoint, MessageType, ProtocolError, READ_SIZE, Step};

use support::counting::{Counting, counted};
use support::deflate::{ALL, CONFIG, TAIL, agreed, alone, bits, compressing, json, noise};
use support::endpoint::{endpoint, put, write_all, written_frames};
use support::pool::Pool;
use support::reference::Heard;
use support::{End, Side, T0, frame, from_peer};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const KIB: isize = 1024;

/// Reads what is at hand, and takes nothing out; returns how many bytes of messages there were.
fn read(endpoint: &mut Endpoint<Side>, in_chunks: bool) -> Result<u64, ProtocolError> {
    let mut length = 0;
    loop {
        let step = if in_chunks { endpoint.next_chunk(T0)? } else { endpoint.next_message(T0)? };
        match step {
            None => return Ok(length),
            Some(Step::Chunk | Step::Message) => {
                length += endpoint.chunk().unwrap().payload.len() as u64;
            }
            Some(_) => {}
        }
    }
}

/// Carries what one end has written to the other, which reads it and lets go of its buffer.
fn carry(from: &mut Endpoint<Side>, to: &mut Endpoint<Side>) -> u64 {
    let (bytes, _) = write_all(from);
    from.release_write_buffer();
    let mut length = 0;
    for piece in bytes.chunks(READ_SIZE) {
        put(to, piece);
        length += read(to, false).unwrap();
    }
    to.release_read_buffer();
    length
}

/// Both ends of a connection.
struct Ends {
    server: Endpoint<Side>,
    client: Endpoint<Side>,
}

impl Ends {
    fn new(parameters: DeflateParameters) -> Self {
        let open = |end| compressing(end, &CONFIG, parameters);
        Self { server: open(End::Server), client: open(End::Client) }
    }

    /// Messages of this length, each of them both ways.
    fn exchange(&mut self, messages: u64, length: usize) {
        for seed in 0..messages {
            let text = json(seed, length);
            self.server.send_text(&text).unwrap();
            assert_eq!(carry(&mut self.server, &mut self.client), text.len() as u64);
            self.client.send_text(&text).unwrap();
            assert_eq!(carry(&mut self.client, &mut self.server), text.len() as u64);
        }
    }
}

/// Bytes held for each end after `exchange`, without what is in the pool, if there is one.
fn held(
    parameters: DeflateParameters,
    pool: Option<&'static Pool>,
    exchange: impl FnOnce(&mut Ends),
) -> isize {
    let (_ends, held, _) = counted(|| {
        let mut ends = Ends::new(parameters);
        if let Some(pool) = pool {
            ends.server.share_codecs(pool);
            ends.client.share_codecs(pool);
        }
        exchange(&mut ends);
        pool.inspect(|pool| pool.clear());
        ends
    });
    held / 2
}

/// What the state of compression takes up at most while it holds no history and no codec.
const STATE: isize = 280;

#[test]
fn connection_that_has_compressed_nothing_holds_no_codec() {
    for end in End::BOTH {
        let (_plain, plain, _) = counted(|| endpoint(end, &CONFIG));
        for parameters in [agreed(), alone()] {
            let (mut compressing, held, _) = counted(|| compressing(end, &CONFIG, parameters));
            assert!(held - plain <= STATE, "{held} bytes, {plain} without");
            // What goes uncompressed takes no more.
            let (_, more, _) = counted(|| {
                compressing.send_uncompressed("secret".into()).unwrap();
                put(&mut compressing, &from_peer(end, b"\x81\x05Hello"));
                assert_eq!(read(&mut compressing, false), Ok(5));
                write_all(&mut compressing);
                compressing.release_read_buffer();
                compressing.release_write_buffer();
            });
            assert_eq!(more, 0);
        }
    }
}

#[test]
fn connection_without_takeover_holds_no_codec_between_messages() {
    let pool = Pool::plain();
    let before = held(alone(), None, |_| ());
    let after = held(alone(), Some(pool), |ends| {
        ends.exchange(20, 930);
        ends.exchange(2, 100_000);
    });
    assert_eq!(after, before);
    assert!(after <= STATE, "{after}");
}

#[test]
fn connection_with_takeover_holds_its_history_only() {
    let pool = Pool::plain();
    // Of what it has sent 2 KiB, of what it has received the window.
    let most = 35_128;
    let few = held(agreed(), Some(pool), |ends| ends.exchange(100, 930));
    assert!(few <= most, "{few} after 100 messages");
    let many = held(agreed(), Some(pool), |ends| ends.exchange(10, 1 << 20));
    assert!(many <= most, "{many} after 10 MiB");
    // With less behind it, it takes less.
    let one = held(agreed(), Some(pool), |ends| ends.exchange(1, 930));
    assert!(one <= STATE + 2 * KIB, "{one} after one message");
    let narrow = DeflateParameters {
        server_max_window_bits: Some(bits(9)),
        client_max_window_bits: Some(bits(9)),
        ..agreed()
    };
    let few = held(narrow, Some(pool), |ends| ends.exchange(100, 930));
    assert!(few <= STATE + 2 * KIB, "{few} with windows of 512 bytes");
}

#[test]
fn connection_without_a_pool_holds_one_codec_each_way() {
    for parameters in [agreed(), alone()] {
        let few = held(parameters, None, |ends| ends.exchange(2, 930));
        let many = held(parameters, None, |ends| ends.exchange(200, 930));
        assert!(many <= few + 36 * KIB, "{few}, then {many}");
        assert!(few <= 512 * KIB, "{few}");
        // The output buffer of a large message is not kept.
        let large = held(parameters, None, |ends| ends.exchange(1, 1 << 20));
        assert!(large <= few + 100 * KIB, "{few}, then {large}");
    }
}

#[test]
fn compressor_with_less_memory_and_window_takes_less() {
    let of = |level, window| {
        let memory_level = MemoryLevel::new(level).unwrap();
        let deflate = DeflateConfig { memory_level, ..ALL };
        let config = Config { deflate: Some(deflate), ..CONFIG };
        let narrow = DeflateParameters { server_max_window_bits: Some(bits(window)), ..alone() };
        let (_endpoint, held, _) = counted(|| {
            let mut endpoint = compressing(End::Server, &config, narrow);
            endpoint.send_text(&json(1, 930)).unwrap();
            write_all(&mut endpoint);
            endpoint.release_write_buffer();
            endpoint
        });
        held
    };
    assert!(of(9, 15) <= 512 * KIB, "{}", of(9, 15));
    assert!(of(1, 9) <= of(8, 9) && of(8, 9) <= of(8, 12) && of(8, 12) <= of(8, 15));
    // The other engine takes the same for all of them.
    #[cfg(feature = "zlib-rs")]
    assert!(of(1, 9) < of(8, 15) / 2, "{} and {}", of(1, 9), of(8, 15));
}

/// The data of one message that inflates to this many MiB of zeros.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let zeros = vec![0; 1 << 20];
    let mut compress = Compress::new(Compression::best(), false);
    let mut next = || {
        let mut data = Vec::with_capacity(1 << 16);
        compress.compress_vec(&zeros, &mut data, FlushCompress::Sync).unwrap();
        assert!(data.ends_with(&TAIL));
        data
    };
    // The second MiB refers to zeros before it, and so can stand for every further one.
    let (mut data, further) = (next(), next());
    data.extend(further.repeat(mebibytes - 1));
    data.truncate(data.len() - TAIL.len());
    data
}

/// How a server takes `bytes`, up to a fault; with the bytes of messages that came out, and the
/// most memory that was held meanwhile.
fn defused(config: &Config, bytes: &[u8], in_chunks: bool) -> (Option<ProtocolError>, u64, isize) {
    let ((error, length), _, peak) = counted(|| {
        let mut endpoint = compressing(End::Server, config, agreed());
        let mut length = 0;
        for piece in bytes.chunks(READ_SIZE) {
            put(&mut endpoint, piece);
            match read(&mut endpoint, in_chunks) {
                Ok(more) => length += more,
                Err(error) => {
                    let frames = written_frames(End::Server, &mut endpoint);
                    assert!(matches!(frames[..], [Heard::Close(Some(1009), _)]));
                    return (Some(error), length);
                }
            }
        }
        (None, length)
    });
    (error, length, peak)
}

#[test]
fn h06_bomb_of_1_gib_ends_with_1009_at_the_limit() {
    let data = bomb(1024);
    assert!(data.len() < 5 << 18, "{}", data.len());
    let whole = frame(0xC2, &data);
    let fragments: Vec<u8> = data
        .chunks(10_000)
        .enumerate()
        .flat_map(|(at, data)| frame(if at == 0 { 0x42 } else { 0x00 }, data))
        .collect();
    for frames in [whole, fragments] {
        let bytes = from_peer(End::Server, &frames);
        for limit in [0, 1000, 1 << 20, 16 << 20] {
            let config = Config { max_message_length: limit, ..CONFIG };
            for in_chunks in [false, true] {
                let (error, length, peak) = defused(&config, &bytes, in_chunks);
                assert_eq!(error, Some(ProtocolError::MessageTooBig));
                assert!(length <= limit, "{length} of {limit} came out");
                // The decompressor is in it, the buffers, and what may be referred to.
                let most = isize::try_from(2 * limit).unwrap() + 128 * KIB;
                assert!(peak <= most, "{peak} bytes with a limit of {limit}");
            }
        }
    }
}

#[test]
fn h06_bomb_that_is_allowed_streams_through_in_flat_memory() {
    const MEBIBYTES: usize = 256;
    let bytes = from_peer(End::Server, &frame(0xC2, &bomb(MEBIBYTES)));
    let config = Config { max_message_length: u64::MAX, ..CONFIG };
    let (error, length, peak) = defused(&config, &bytes, true);
    assert_eq!((error, length), (None, (MEBIBYTES as u64) << 20));
    assert!(peak <= 160 * KIB, "{peak}");
}

#[test]
fn h13_connections_that_end_in_the_middle_of_messages_leave_nothing() {
    let pool = Pool::plain();
    let open_and_close = |round: u32| {
        let mut ends = Ends::new(if round.is_multiple_of(2) { agreed() } else { alone() });
        // One in eight without a pool, where codecs are made anew.
        if !round.is_multiple_of(8) {
            ends.server.share_codecs(pool);
            ends.client.share_codecs(pool);
        }
        let text = "Hello, Hello, Hello, Hello";
        ends.client.send_text(text).unwrap();
        ends.server.begin_message(MessageType::Text, text.as_bytes()).unwrap();
        carry(&mut ends.server, &mut ends.client);
        let (bytes, _) = write_all(&mut ends.client);
        put(&mut ends.server, &bytes[..bytes.len() - 3]);
        read(&mut ends.server, round.is_multiple_of(3)).unwrap();
        match round % 5 {
            0 => ends.server.close(CloseCode::NORMAL, "", T0).unwrap(),
            1 => ends.server.transport_failed(T0),
            2 => {
                put(&mut ends.server, b"\xff\xff\xff\xff\xff\xff\xff\xff");
                read(&mut ends.server, false).unwrap_err();
            }
            3 => ends.client.receive_eof(T0),
            _ => {}
        }
    };
    (0..100).for_each(open_and_close);
    let ((), held, peak) = counted(|| (0..20_000).for_each(open_and_close));
    // What is in the pool may have become another's, of another age.
    assert!(held.abs() <= 1024 * KIB && peak <= 2048 * KIB, "{held} held, {peak} at most");
    pool.clear();
    let ((), held, _) = counted(|| (0..1000).for_each(open_and_close));
    let ((), freed, _) = counted(|| pool.clear());
    assert_eq!(held, -freed, "all that is held is in the pool");
}

#[test]
fn connection_in_the_middle_of_messages_is_freed_whole() {
    let ((), held, _) = counted(|| {
        let mut ends = Ends::new(agreed());
        let noise = noise(1, 100_000);
        ends.server.begin_message(MessageType::Binary, &noise).unwrap();
        assert_eq!(carry(&mut ends.server, &mut ends.client), 0);
        ends.client.begin_message(MessageType::Binary, &noise).unwrap();
        assert_eq!(carry(&mut ends.client, &mut ends.server), 0);
    });
    assert_eq!(held, 0);
}
