//! The way in: bytes to events (RFC 6455 sections 5 and 8.1).

use core::mem;

use crate::connection::config::Config;
use crate::connection::control::{CloseFrame, ControlBuffer, ControlPayload};
use crate::connection::event::{Chunk, Event};
use crate::error::ProtocolError;
use crate::frame::{FrameDecoder, FrameHeader, FrameRules, Masker};
use crate::opcode::{MessageType, Opcode};
use crate::utf8::Utf8Validator;

/// The receiving half of a connection: where in which frame of which message it is.
#[derive(Clone, Copy)]
pub(crate) struct Incoming {
    decoder: FrameDecoder,
    rules: FrameRules,
    frame: Option<Frame>,
    message: Option<Message>,
    utf8: Utf8Validator,
    claimed_rsv: u8,
    max_message_length: u64,
    max_empty_fragments: u32,
    /// The control payload that is coming in pieces; after the peer's Close, its body.
    control: ControlBuffer,
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
            max_message_length: config.max_message_length,
            max_empty_fragments: config.max_empty_fragments,
            control: ControlBuffer::EMPTY,
        }
    }

    /// The bits that the extensions agreed on have claimed, on a message's first frame.
    pub(crate) fn claim_rsv(&mut self, claimed_rsv: u8) {
        self.claimed_rsv = claimed_rsv;
        self.rules.claimed_rsv = claimed_rsv;
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

    /// Takes in `input` up to the end of the first event; returns the rest with it.
    #[inline]
    pub(crate) fn receive<'b>(
        &mut self,
        mut input: &'b mut [u8],
    ) -> Result<(&'b mut [u8], Option<Event<'b>>), ProtocolError> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => {
                    let Some((header, length)) = self.decoder.decode(input, &self.rules)? else {
                        return Ok((&mut [], None));
                    };
                    input = mem::take(&mut input).get_mut(length..).unwrap_or_default();
                    if let Some(message_type) = whole_message(&header)
                        && header.payload_length <= input.len() as u64
                    {
                        return receive_whole(&header, message_type, input);
                    }
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
            let event = if frame.opcode.is_control() {
                self.control_event(frame.opcode, payload, whole)?
            } else {
                self.data_event(frame.fin && whole, payload)?
            };
            if event.is_some() || rest.is_empty() {
                return Ok((rest, event));
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
            self.rules.max_message_remainder =
                self.rules.max_message_remainder.saturating_sub(header.payload_length);
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

    /// The event of a piece of a control frame: none before its last piece.
    fn control_event<'b>(
        &mut self,
        opcode: Opcode,
        payload: &'b [u8],
        whole: bool,
    ) -> Result<Option<Event<'b>>, ProtocolError> {
        let carried = !self.control.as_slice().is_empty();
        if !whole || carried || opcode == Opcode::Close {
            self.control.append(payload);
        }
        if !whole {
            return Ok(None);
        }
        let payload = if carried {
            ControlPayload::carried(self.control)
        } else {
            ControlPayload::borrowed(payload)
        };
        Ok(Some(match opcode {
            Opcode::Close => Event::Close(CloseFrame::judge(payload)?),
            Opcode::Ping => Event::Ping(payload),
            _ => Event::Pong(payload),
        }))
    }

    /// The event of a piece of a message: none for an empty piece that ends nothing.
    #[inline]
    fn data_event<'b>(
        &mut self,
        last: bool,
        payload: &'b [u8],
    ) -> Result<Option<Event<'b>>, ProtocolError> {
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
        Ok(Some(Event::Data(Chunk { message_type, payload, text, first, last, compressed })))
    }
}

const RSV1: u8 = 0x40;

/// The type of the message that a frame is the whole of.
#[inline]
fn whole_message(header: &FrameHeader) -> Option<MessageType> {
    match header.opcode {
        Opcode::Text if header.fin => Some(MessageType::Text),
        Opcode::Binary if header.fin => Some(MessageType::Binary),
        _ => None,
    }
}

/// A message in one frame that is at hand as a whole, as most are: nothing need be noted.
#[inline]
fn receive_whole<'b>(
    header: &FrameHeader,
    message_type: MessageType,
    input: &'b mut [u8],
) -> Result<(&'b mut [u8], Option<Event<'b>>), ProtocolError> {
    let length = usize::try_from(header.payload_length).unwrap_or(usize::MAX);
    let Some((payload, rest)) = input.split_at_mut_checked(length) else {
        return Ok((&mut [], None));
    };
    if let Some(masking_key) = header.masking_key {
        Masker::new(masking_key).apply(payload);
    }
    let payload = &*payload;
    let compressed = header.rsv & RSV1 != 0;
    let is_text = message_type == MessageType::Text && !compressed;
    let text = if is_text { Some(whole_text(payload)?) } else { None };
    let chunk = Chunk { message_type, payload, text, first: true, last: true, compressed };
    Ok((rest, Some(Event::Data(chunk))))
}

/// A text that comes whole is validated once, and handed out as what it is.
#[inline]
fn whole_text(payload: &[u8]) -> Result<&str, ProtocolError> {
    core::str::from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)
}
