//! A naive decoder, straight from RFC 6455 section 5: the whole stream at hand, one byte after the
//! other, every rule judged as soon as its bytes are there.

use duologue_core::{CloseStatus, MessageType, ProtocolError as Fault};

/// What a receiver holds its peer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) masked: bool,
    pub(crate) max_frame: u64,
    pub(crate) max_message: u64,
    pub(crate) max_empty: u32,
}

impl Rules {
    pub(crate) const UNLIMITED: Self =
        Self { masked: false, max_frame: u64::MAX, max_message: u64::MAX, max_empty: u32::MAX };
}

/// A message or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl Heard {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn message(message_type: MessageType, payload: Vec<u8>) -> Self {
        match message_type {
            MessageType::Text => Self::Text(String::from_utf8(payload).unwrap()),
            MessageType::Binary => Self::Binary(payload),
        }
    }

    pub(crate) fn close(status: CloseStatus, reason: &str) -> Self {
        let code = match status {
            CloseStatus::Code(code) => Some(code.get()),
            CloseStatus::NoStatus | CloseStatus::Abnormal => None,
        };
        Self::Close(code, reason.to_owned())
    }
}

/// What a stream amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) heard: Vec<Heard>,
    pub(crate) fault: Option<Fault>,
    /// Whether the stream ends between two messages, or goes on behind a Close frame.
    pub(crate) at_rest: bool,
    /// Payload bytes that the last data frame still lacks.
    pub(crate) lacking: u64,
}

/// The message in progress.
struct Message {
    is_text: bool,
    payload: Vec<u8>,
    declared: u64,
    empty: u32,
}

struct Header {
    fin: bool,
    opcode: u8,
    length: u64,
    key: [u8; 4],
}

/// Decodes a whole stream.
pub(crate) fn decode(bytes: &[u8], rules: &Rules) -> Verdict {
    let mut verdict = Verdict { heard: vec![], fault: None, at_rest: false, lacking: 0 };
    verdict.fault = run(&mut bytes.iter().copied(), rules, &mut verdict).err();
    verdict
}

fn run(
    bytes: &mut (impl Iterator<Item = u8> + Clone),
    rules: &Rules,
    verdict: &mut Verdict,
) -> Result<(), Fault> {
    let mut message: Option<Message> = None;
    loop {
        verdict.at_rest = message.is_none() && bytes.clone().next().is_none();
        let Some(header) = header(bytes, rules, message.as_ref())? else {
            return Ok(());
        };
        let taken = usize::try_from(header.length).unwrap_or(usize::MAX);
        let key = header.key.into_iter().cycle();
        let payload: Vec<u8> = bytes.take(taken).zip(key).map(|(byte, key)| byte ^ key).collect();
        let lacking = header.length - payload.len() as u64;
        if header.opcode >= 8 {
            if lacking > 0 {
                return Ok(());
            }
            verdict.heard.push(match header.opcode {
                9 => Heard::Ping(payload),
                10 => Heard::Pong(payload),
                _ => {
                    verdict.heard.push(close(payload)?);
                    verdict.at_rest = true;
                    return Ok(());
                }
            });
            continue;
        }
        let current = message.get_or_insert(Message {
            is_text: header.opcode == 1,
            payload: vec![],
            declared: 0,
            empty: 0,
        });
        current.declared += header.length;
        if header.opcode == 0 && header.length == 0 && !header.fin {
            current.empty += 1;
            if current.empty > rules.max_empty {
                return Err(Fault::TooManyEmptyFragments);
            }
        }
        current.payload.extend(payload);
        let ends = header.fin && lacking == 0;
        // Section 8.1: text fails at the first byte that no text could have there.
        if current.is_text
            && let Err(error) = core::str::from_utf8(&current.payload)
            && (ends || error.error_len().is_some())
        {
            return Err(Fault::InvalidUtf8);
        }
        if ends && let Some(Message { is_text, payload, .. }) = message.take() {
            let message_type = if is_text { MessageType::Text } else { MessageType::Binary };
            verdict.heard.push(Heard::message(message_type, payload));
        }
        if lacking > 0 {
            verdict.lacking = lacking;
            return Ok(());
        }
    }
}

fn header(
    bytes: &mut impl Iterator<Item = u8>,
    rules: &Rules,
    message: Option<&Message>,
) -> Result<Option<Header>, Fault> {
    let Some(first) = bytes.next() else {
        return Ok(None);
    };
    let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
    let is_control = opcode >= 8;
    match opcode {
        3..=7 | 11..=15 => return Err(Fault::ReservedOpcode),
        _ if first & 0x70 != 0 => return Err(Fault::ReservedBits),
        8..=10 if !fin => return Err(Fault::FragmentedControlFrame),
        0 if message.is_none() => return Err(Fault::UnexpectedContinuation),
        1..=2 if message.is_some() => return Err(Fault::ExpectedContinuation),
        _ => {}
    }
    let Some(second) = bytes.next() else {
        return Ok(None);
    };
    match (second & 0x80 != 0, rules.masked) {
        (false, true) => return Err(Fault::UnmaskedFrameFromClient),
        (true, false) => return Err(Fault::MaskedFrameFromServer),
        _ => {}
    }
    let (more, least) = match second & 0x7F {
        126 => (2, 126),
        127 => (8, 65_536),
        _ => (0, 0),
    };
    if is_control && more > 0 {
        return Err(Fault::ControlFrameTooLong);
    }
    let mut length = if more > 0 { 0 } else { u64::from(second & 0x7F) };
    for at in 0..more {
        let Some(byte) = bytes.next() else {
            return Ok(None);
        };
        if more == 8 && at == 0 && byte & 0x80 != 0 {
            return Err(Fault::LengthTopBitSet);
        }
        length = length << 8 | u64::from(byte);
    }
    if length < least {
        return Err(Fault::NonMinimalLength);
    }
    if !is_control {
        if length > rules.max_frame {
            return Err(Fault::FrameTooBig);
        }
        if length > rules.max_message - message.map_or(0, |message| message.declared) {
            return Err(Fault::MessageTooBig);
        }
    }
    let mut key = [0; 4];
    for place in key.iter_mut().filter(|_| rules.masked) {
        let Some(byte) = bytes.next() else {
            return Ok(None);
        };
        *place = byte;
    }
    Ok(Some(Header { fin, opcode, length, key }))
}

/// Judges the body of a Close frame (sections 5.5.1 and 7.4, and the IANA registry).
fn close(mut body: Vec<u8>) -> Result<Heard, Fault> {
    if body.is_empty() {
        return Ok(Heard::Close(None, String::new()));
    }
    if body.len() == 1 {
        return Err(Fault::CloseBodyTooShort);
    }
    let reason = body.split_off(2);
    let code = u16::from(body[0]) * 256 + u16::from(body[1]);
    let reserved = matches!(code, 1004..=1006 | 1015);
    if reserved || !(1000..=1014).contains(&code) && !(3000..5000).contains(&code) {
        return Err(Fault::InvalidCloseCode(code));
    }
    let reason = String::from_utf8(reason).map_err(|_| Fault::CloseReasonNotUtf8)?;
    Ok(Heard::Close(Some(code), reason))
}
