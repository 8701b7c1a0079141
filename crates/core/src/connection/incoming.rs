//! The way in: bytes to events (RFC 6455 sections 5 and 8.1).

use core::mem;

use crate::connection::config::Config;
use crate::connection::control::{CloseFrame, ControlBuffer, ControlPayload};
use crate::connection::event::{Chunk, Event};
use crate::error::ProtocolError;
use crate::frame::{FrameDecoder, FrameHeader, FrameRules, Masker, RSV1};
use crate::opcode::{MessageType, Opcode};
use crate::utf8::{self, Utf8Validator};

/// The receiving half of a connection: where in which frame of which message it is.
#[derive(Clone, Copy)]
pub(crate) struct Incoming {
    decoder: FrameDecoder,
    rules: FrameRules,
    frame: Option<Frame>,
    message: Option<Message>,
    utf8: Utf8Validator,
    claimed_rsv: u8,
    /// Frames are read, and this is between messages, with nothing carried: what comes next may be
    /// a whole message.
    at_rest: bool,
    max_message_length: u64,
    max_empty_fragments: u32,
    /// The control payload that is coming in pieces; after the peer's Close, its body.
    control: ControlBuffer,
}

/// What bytes came to. Unlike an [`Event`] it is small, and costs nothing to pass on.
pub(crate) enum Arrival<'b> {
    /// A piece of a message.
    Data(Chunk<'b>),
    /// A whole control frame: its payload, if it came in one piece.
    Control(Opcode, Option<&'b [u8]>),
}

/// The frame whose payload is coming.
#[derive(Clone, Copy)]
struct Frame {
    remaining: u64,
    masker: Option<Masker>,
    opcode: Opcode,
    fin: bool,
}

/// The message whose fragments are coming.
#[derive(Clone, Copy)]
struct Message {
    message_type: MessageType,
    /// Whether a chunk of it has been handed out.
    begun: bool,
    compressed: bool,
    empty_fragments: u32,
}

impl Incoming {
    pub(crate) fn new(config: &Config, is_client: bool) -> Self {
        Self {
            decoder: FrameDecoder::new(),
            rules: FrameRules {
                claimed_rsv: 0,
                claimed_control_rsv: 0,
                masked: Some(!is_client),
                continuing: Some(false),
                max_frame_length: config.max_frame_length,
                max_message_remainder: config.max_message_length,
            },
            frame: None,
            message: None,
            utf8: Utf8Validator::new(),
            claimed_rsv: 0,
            at_rest: false,
            max_message_length: config.max_message_length,
            max_empty_fragments: config.max_empty_fragments,
            control: ControlBuffer::EMPTY,
        }
    }

    /// Frames are read from now on. The extensions agreed on have claimed these bits, on a
    /// message's first frame.
    pub(crate) fn open(&mut self, claimed_rsv: u8) {
        self.claimed_rsv = claimed_rsv;
        self.rules.claimed_rsv = claimed_rsv;
        self.at_rest = true;
    }

    /// No frames are read any more.
    pub(crate) fn stop(&mut self) {
        self.at_rest = false;
    }

    /// The bits of a compressed message's first frame; 0 if there are none.
    #[cfg(feature = "deflate")]
    pub(crate) const fn claimed_rsv(&self) -> u8 {
        self.claimed_rsv
    }

    #[cfg(feature = "deflate")]
    pub(crate) const fn max_message_length(&self) -> u64 {
        self.max_message_length
    }

    /// Payload bytes of the current data frame that have not come yet; 0 between frames.
    pub(crate) fn payload_remaining(&self) -> u64 {
        match self.frame {
            Some(frame) if !frame.opcode.is_control() => frame.remaining,
            _ => 0,
        }
    }

    /// The body of the peer's Close frame; meaningful once that has come.
    pub(crate) fn close_body(&self) -> &[u8] {
        self.control.as_slice()
    }

    /// Looks whether `input` begins with a message in one frame that is at hand whole, as most are,
    /// and keeps to every rule: then nothing need be noted. Otherwise nothing is touched.
    #[inline]
    pub(crate) fn peek_whole(&self, input: &[u8], is_client: bool) -> Option<WholeMessage> {
        let [first, second, behind @ ..] = input else {
            return None;
        };
        let message_type = match *first {
            FIN_TEXT => MessageType::Text,
            FIN_BINARY => MessageType::Binary,
            _ => return None,
        };
        let mask_bit = if is_client { 0 } else { MASK };
        let (length, payload_at) = match *second ^ mask_bit {
            short @ 0..=125 => (usize::from(short), 2_usize),
            126 => match behind.first_chunk::<2>().map(|length| u16::from_be_bytes(*length)) {
                Some(medium @ 126..) => (usize::from(medium), 4),
                _ => return None,
            },
            _ => return None,
        };
        let payload_at = if is_client { payload_at } else { payload_at.wrapping_add(4) };
        let fits = length <= input.len().wrapping_sub(payload_at) && payload_at <= input.len();
        // At rest, what the message may still take is all that a message may take.
        let limit = self.rules.max_frame_length.min(self.rules.max_message_remainder);
        (self.at_rest && fits && length as u64 <= limit).then_some(WholeMessage {
            message_type,
            payload_at,
            length,
        })
    }

    /// Takes in `input` up to the end of the first piece of a message, or control frame; returns the
    /// rest with it.
    #[inline]
    pub(crate) fn receive<'b>(
        &mut self,
        input: &'b mut [u8],
    ) -> Result<(&'b mut [u8], Option<Arrival<'b>>), ProtocolError> {
        let result = self.receive_frames(input);
        self.at_rest =
            self.frame.is_none() && self.message.is_none() && self.decoder.is_at_boundary();
        result
    }

    #[inline]
    fn receive_frames<'b>(
        &mut self,
        mut input: &'b mut [u8],
    ) -> Result<(&'b mut [u8], Option<Arrival<'b>>), ProtocolError> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => {
                    let Some((header, length)) = self.decoder.decode(input, &self.rules)? else {
                        return Ok((&mut [], None));
                    };
                    input = mem::take(&mut input).get_mut(length..).unwrap_or_default();
                    self.begin(&header)?
                }
            };
            if frame.remaining > 0 && input.is_empty() {
                self.frame = Some(frame);
                return Ok((&mut [], None));
            }
            let available = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(input.len());
            let Some((payload, rest)) = mem::take(&mut input).split_at_mut_checked(available)
            else {
                return Ok((&mut [], None));
            };
            if let Some(masker) = &mut frame.masker {
                masker.apply(payload);
            }
            let whole = available as u64 == frame.remaining;
            frame.remaining = frame.remaining.wrapping_sub(available as u64);
            self.frame = if whole { None } else { Some(frame) };
            let arrival = if frame.opcode.is_control() {
                self.take_in_control(frame.opcode, payload, whole)
            } else {
                self.take_in_data(frame.fin && whole, payload)?.map(Arrival::Data)
            };
            if arrival.is_some() || rest.is_empty() {
                return Ok((rest, arrival));
            }
            input = rest;
        }
    }

    /// Notes that a frame begins. Its header is already judged but for the rules on empty
    /// fragments, which need the count.
    #[inline]
    fn begin(&mut self, header: &FrameHeader) -> Result<Frame, ProtocolError> {
        let frame = Frame {
            remaining: header.payload_length,
            masker: header.masking_key.map(Masker::new),
            opcode: header.opcode,
            fin: header.fin,
        };
        let message_type = match header.opcode {
            Opcode::Text => MessageType::Text,
            Opcode::Binary => MessageType::Binary,
            Opcode::Continuation => {
                self.count_fragment(header)?;
                return Ok(frame);
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.control = ControlBuffer::EMPTY;
                return Ok(frame);
            }
        };
        self.message = Some(Message {
            message_type,
            begun: false,
            compressed: header.rsv & RSV1 != 0,
            empty_fragments: 0,
        });
        if !header.fin {
            self.rules.continuing = Some(true);
            // An extension's bits stand on a message's first frame (RFC 7692 section 6).
            self.rules.claimed_rsv = 0;
            self.rules.max_message_remainder = if header.rsv & RSV1 == 0 {
                self.rules.max_message_remainder.saturating_sub(header.payload_length)
            } else {
                u64::MAX
            };
        }
        Ok(frame)
    }

    fn count_fragment(&mut self, header: &FrameHeader) -> Result<(), ProtocolError> {
        self.rules.max_message_remainder =
            self.rules.max_message_remainder.saturating_sub(header.payload_length);
        if header.payload_length == 0
            && !header.fin
            && let Some(message) = &mut self.message
        {
            message.empty_fragments = message.empty_fragments.saturating_add(1);
            if message.empty_fragments > self.max_empty_fragments {
                return Err(ProtocolError::TooManyEmptyFragments);
            }
        }
        Ok(())
    }

    /// Takes in a piece of a control frame, which arrives with its last one.
    fn take_in_control<'b>(
        &mut self,
        opcode: Opcode,
        payload: &'b [u8],
        whole: bool,
    ) -> Option<Arrival<'b>> {
        let carried = !self.control.as_slice().is_empty();
        if !whole || carried || opcode == Opcode::Close {
            self.control.append(payload);
        }
        whole.then(|| Arrival::Control(opcode, (!carried).then_some(payload)))
    }

    /// The event of a control frame that has just arrived.
    pub(crate) fn control_event<'b>(
        &self,
        opcode: Opcode,
        payload: Option<&'b [u8]>,
    ) -> Result<Event<'b>, ProtocolError> {
        let payload = match payload {
            Some(payload) => ControlPayload::borrowed(payload),
            None => ControlPayload::carried(self.control),
        };
        Ok(match opcode {
            Opcode::Close => Event::Close(CloseFrame::judge(payload)?),
            Opcode::Ping => Event::Ping(payload),
            _ => Event::Pong(payload),
        })
    }

    /// Takes in a piece of a message: nothing arrives with an empty one that ends nothing.
    #[inline]
    fn take_in_data<'b>(
        &mut self,
        last: bool,
        payload: &'b [u8],
    ) -> Result<Option<Chunk<'b>>, ProtocolError> {
        let Some(message) = &mut self.message else {
            return Ok(None);
        };
        let message_type = message.message_type;
        let compressed = message.compressed;
        let first = !message.begun;
        let is_text = message_type == MessageType::Text && !compressed;
        let mut text = None;
        if is_text && first && last {
            text = Some(whole_text(payload)?);
        } else if is_text {
            self.utf8.validate(payload).map_err(|_| ProtocolError::InvalidUtf8)?;
            if last {
                self.utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
            }
        }
        if last {
            self.message = None;
            self.rules.continuing = Some(false);
            self.rules.claimed_rsv = self.claimed_rsv;
            self.rules.max_message_remainder = self.max_message_length;
        } else if payload.is_empty() {
            return Ok(None);
        } else {
            message.begun = true;
        }
        Ok(Some(Chunk { message_type, payload, text, first, last, compressed }))
    }
}

/// The first byte of a text, or a binary message, in one frame without an extension.
const FIN_TEXT: u8 = 0x81;
const FIN_BINARY: u8 = 0x82;

/// The bit of the second byte that says that the payload is masked.
const MASK: u8 = 0x80;

/// Where a message in one frame lies in the input.
#[derive(Clone, Copy)]
pub(crate) struct WholeMessage {
    pub(crate) message_type: MessageType,
    pub(crate) payload_at: usize,
    pub(crate) length: usize,
}

impl WholeMessage {
    /// The bytes that its frame takes up.
    #[inline]
    pub(crate) const fn frame_length(self) -> usize {
        self.payload_at.wrapping_add(self.length)
    }

    /// Unmasks and validates it in `input`, which [`Incoming::peek_whole`] has looked at.
    #[inline(always)]
    pub(crate) fn open<'b>(
        self,
        input: &'b mut [u8],
        is_client: bool,
    ) -> Result<Chunk<'b>, ProtocolError> {
        let (header, rest) = input.split_at_mut_checked(self.payload_at).unwrap_or_default();
        let payload = rest.get_mut(..self.length).unwrap_or_default();
        if !is_client && let Some(masking_key) = header.last_chunk::<4>() {
            Masker::new(*masking_key).apply(payload);
        }
        let payload = &*payload;
        let message_type = self.message_type;
        let text = match message_type {
            MessageType::Text => Some(whole_text(payload)?),
            MessageType::Binary => None,
        };
        Ok(Chunk { message_type, payload, text, first: true, last: true, compressed: false })
    }
}

/// A text that comes whole is validated once, and handed out as what it is.
#[inline]
fn whole_text(payload: &[u8]) -> Result<&str, ProtocolError> {
    utf8::whole(payload).ok_or(ProtocolError::InvalidUtf8)
}
