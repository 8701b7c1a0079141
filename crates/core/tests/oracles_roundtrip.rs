//! What is encoded decodes to itself, in the shortest form; what one end sends, the other hears.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;

use duologue_core::frame::{Decoded, FrameHeader};
use duologue_core::{EitherRole, MessageType, Opcode};

use support::reference::{self, Rules};

fn opcode() -> impl Strategy<Value = Opcode> {
    (0_u8..6).prop_map(|at| Opcode::from_nibble(if at < 3 { at } else { at + 5 }).unwrap())
}

/// Lengths of every magnitude, and those at which the form changes.
fn length() -> impl Strategy<Value = u64> {
    let border = prop_oneof![Just(125), Just(126), Just(0xFFFF), Just(0x1_0000)];
    let any_magnitude = (any::<u64>(), 1_u32..64).prop_map(|(length, shift)| length >> shift);
    prop_oneof![border, any_magnitude]
}

proptest! {
    #![proptest_config(support::streams::cases(4000))]

    #[test]
    fn header_decodes_to_itself_and_is_the_shortest(
        fin: bool,
        rsv in 0_u8..8,
        opcode in opcode(),
        masking_key in any::<Option<[u8; 4]>>(),
        length in length(),
    ) {
        let control = opcode.is_control();
        let header = FrameHeader {
            fin: fin || control,
            rsv: rsv << 4,
            opcode,
            masking_key,
            payload_length: if control { length % 126 } else { length },
        };
        let encoded = header.encode();
        let shortest = match header.payload_length {
            0..126 => 2,
            126..0x1_0000 => 4,
            _ => 10,
        } + if masking_key.is_some() { 4 } else { 0 };
        prop_assert_eq!(encoded.as_slice().len(), shortest);
        let complete = Decoded::Complete { header, length: shortest };
        prop_assert_eq!(FrameHeader::decode(encoded.as_slice()), Ok(complete));
        for cut in 0..shortest {
            let partial = FrameHeader::decode(&encoded.as_slice()[..cut]);
            prop_assert_eq!(partial, Ok(Decoded::Partial));
        }
    }

    #[test]
    fn frame_that_is_begun_is_read_back_by_the_reference(
        client: bool,
        text: bool,
        payload in vec(0_u8..0x80, 0..400),
        cuts in support::streams::cuts(),
    ) {
        let end = if client { support::End::Client } else { support::End::Server };
        let mut connection = support::opened(end, &duologue_core::Config::DEFAULT);
        let message_type = if text { MessageType::Text } else { MessageType::Binary };
        let pieces = support::streams::pieces(&payload, &cuts);
        let mut bytes = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let (fin, length) = (at + 1 == pieces.len(), piece.len() as u64);
            let frame = match at {
                0 => connection.begin_message(message_type, fin, length),
                _ => connection.continue_message(fin, length),
            }
            .unwrap();
            prop_assert_eq!(frame.masker.is_some(), client);
            bytes.extend_from_slice(frame.header.as_slice());
            let mut piece = piece.to_vec();
            if let Some(mut masker) = frame.masker {
                masker.apply(&mut piece);
            }
            bytes.extend(piece);
        }
        let verdict = reference::decode(&bytes, &Rules { masked: client, ..Rules::UNLIMITED });
        prop_assert_eq!((verdict.fault, verdict.at_rest), (None, true));
        prop_assert_eq!(verdict.heard, [reference::Heard::message(message_type, payload)]);
        prop_assert_eq!(matches!(end.role(), EitherRole::Client(_)), client);
    }
}

#[cfg(feature = "alloc")]
mod endpoints {
    use super::*;

    use duologue_core::{Config, Message, Prepared};
    use support::End;
    use support::endpoint::{Mode, Reader, endpoint, put, write_all};
    use support::reference::Heard;
    use support::streams::{cuts, payload, pieces};

    /// How a message is sent.
    #[derive(Clone, Debug)]
    enum Manner {
        Slice,
        Owned,
        Prepared,
        Fragments(Vec<usize>),
    }

    fn manner() -> impl Strategy<Value = Manner> {
        prop_oneof![
            Just(Manner::Slice),
            Just(Manner::Owned),
            Just(Manner::Prepared),
            cuts().prop_map(Manner::Fragments),
        ]
    }

    proptest! {
        #![proptest_config(support::streams::cases(400))]

        #[test]
        fn messages_of_one_end_are_heard_by_the_other(
            from_client: bool,
            messages in vec((payload(5000), manner()), 0..6),
            cuts in cuts(),
            in_chunks: bool,
        ) {
            let from = if from_client { End::Client } else { End::Server };
            let mut sender = endpoint(from, &Config::DEFAULT);
            let mut expected = Vec::new();
            for ((opcode, payload), manner) in messages {
                let message_type =
                    if opcode == 1 { MessageType::Text } else { MessageType::Binary };
                expected.push(Heard::message(message_type, payload.clone()));
                let message = || match message_type {
                    MessageType::Text => Message::text(String::from_utf8(payload.clone()).unwrap()),
                    MessageType::Binary => Message::binary(payload.clone()),
                };
                match manner {
                    Manner::Slice => match message_type {
                        MessageType::Text => {
                            sender.send_text(core::str::from_utf8(&payload).unwrap()).unwrap();
                        }
                        MessageType::Binary => sender.send_binary(&payload).unwrap(),
                    },
                    Manner::Owned => sender.send(message()).unwrap(),
                    Manner::Prepared => {
                        sender.send_prepared(&Prepared::new(&message())).unwrap();
                    }
                    Manner::Fragments(cuts) => {
                        let pieces = pieces(&payload, &cuts);
                        let (last, others) = pieces.split_last().unwrap();
                        sender.begin_message(message_type, b"").unwrap();
                        for piece in others {
                            sender.continue_message(piece, false).unwrap();
                        }
                        sender.continue_message(last, true).unwrap();
                    }
                }
            }
            let queued = sender.buffered_amount();
            let (bytes, _) = write_all(&mut sender);
            prop_assert_eq!(bytes.len(), queued);
            prop_assert_eq!(sender.buffered_amount(), 0);

            let mut receiver = endpoint(from.peer(), &Config::DEFAULT);
            let mut reader = Reader::default();
            let mode = if in_chunks { Mode::Chunks } else { Mode::Messages };
            for piece in pieces(&bytes, &cuts) {
                put(&mut receiver, piece);
                reader.read(&mut receiver, mode, support::T0);
            }
            prop_assert_eq!(reader.error, None);
            prop_assert_eq!(reader.heard, expected);
        }
    }
}
