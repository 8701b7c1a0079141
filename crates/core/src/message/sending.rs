//! The endpoint's way out: messages, whole and in fragments, pings and pongs, queued.

use bytes::Bytes;

use crate::connection::OutgoingFrame;
use crate::error::SendError;
use crate::message::endpoint::Endpoint;
use crate::message::prepared::Prepared;
use crate::message::types::Message;
use crate::message::write_queue::{SHARE_FROM, WriteQueue};
use crate::opcode::MessageType;
use crate::role::Role;
use crate::utf8::Utf8Validator;

impl<R: Role> Endpoint<R> {
    /// Queues a message. A longer one is not copied: by a server from 4 KiB on, and by a client, if
    /// nobody else holds its bytes, masked where it lies.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing is queued then. Queueing itself knows no bound: see
    /// [`has_room`](Self::has_room).
    // Inlined down to the copy, as `take_message` is: a small message is read where it lies.
    #[inline(always)]
    pub fn send(&mut self, message: Message) -> Result<(), SendError> {
        #[cfg(feature = "deflate")]
        if self.compresses(message.len()) {
            return self.send_compressed(message.message_type(), message.payload());
        }
        self.send_plain(message)
    }

    /// As [`send`](Self::send), of the message in `place`, if there is one: it is taken out. For a
    /// caller that keeps a message until there is room for it; a small one is read where it lies.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); the message is taken out all the same.
    #[inline(always)]
    pub fn send_from(&mut self, place: &mut Option<Message>) -> Result<(), SendError> {
        let Some(message) = place else {
            return Ok(());
        };
        if message.len() < SHARE_FROM {
            let sent = self.send_slice(message.message_type(), message.payload());
            *place = None;
            return sent;
        }
        place.take().map_or(Ok(()), |message| self.send(message))
    }

    /// Queues a message as it is.
    #[inline(always)]
    pub(super) fn send_plain(&mut self, message: Message) -> Result<(), SendError> {
        let message_type = message.message_type();
        let payload = message.into_payload();
        if payload.len() < SHARE_FROM {
            return self.send_plain_slice(message_type, &payload);
        }
        self.send_large(message_type, payload)
    }

    #[inline(never)]
    fn send_large(&mut self, message_type: MessageType, payload: Bytes) -> Result<(), SendError> {
        let frame = self.connection.begin_message(message_type, true, payload.len() as u64)?;
        let Some(mut masker) = frame.masker else {
            self.write.append(|out| frame.header.append_to(out));
            self.write.share(payload);
            return Ok(());
        };
        match payload.try_into_mut() {
            Ok(mut payload) => {
                masker.apply(&mut payload);
                self.write.append(|out| frame.header.append_to(out));
                self.write.share(payload.freeze());
            }
            Err(payload) => self.append_frame(frame, &payload),
        }
        Ok(())
    }

    /// Queues a text message, copied.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.send_slice(MessageType::Text, text.as_bytes())
    }

    /// Queues a binary message, copied.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.send_slice(MessageType::Binary, bytes)
    }

    #[inline]
    fn send_slice(&mut self, message_type: MessageType, payload: &[u8]) -> Result<(), SendError> {
        #[cfg(feature = "deflate")]
        if self.compresses(payload.len()) {
            return self.send_compressed(message_type, payload);
        }
        self.send_plain_slice(message_type, payload)
    }

    /// Queues a copy of a message as it is.
    #[inline]
    pub(super) fn send_plain_slice(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let frame = self.connection.begin_message(message_type, true, payload.len() as u64)?;
        self.append_frame(frame, payload);
        Ok(())
    }

    /// Queues a prepared message.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<(), SendError> {
        #[cfg(feature = "deflate")]
        if self.compresses(prepared.payload().len()) {
            return self.send_prepared_compressed(prepared);
        }
        self.send_prepared_plain(prepared)
    }

    /// Queues a prepared message as it is.
    pub(super) fn send_prepared_plain(&mut self, prepared: &Prepared) -> Result<(), SendError> {
        if self.connection.role().is_client() {
            return self.send_plain_slice(prepared.message_type(), prepared.payload());
        }
        let length = prepared.payload().len() as u64;
        self.connection.begin_message(prepared.message_type(), true, length)?;
        let frame = prepared.frame();
        if frame.len() < SHARE_FROM {
            self.write.append(|out| out.extend_from_slice(frame));
        } else {
            self.write.share(frame.clone());
        }
        Ok(())
    }

    /// Queues the first fragment of a message whose length need not be known.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`SendError::InvalidUtf8`] if no text can start with `payload`.
    pub fn begin_message(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let mut text = (message_type == MessageType::Text).then(Utf8Validator::new);
        check_text(&mut text, payload, false)?;
        #[cfg(feature = "deflate")]
        if self.deflating.is_some() {
            self.begin_compressed(message_type, payload)?;
            self.outgoing_text = text;
            return Ok(());
        }
        self.begin_plain(message_type, payload)?;
        self.outgoing_text = text;
        Ok(())
    }

    /// As [`begin_message`](Self::begin_message), of a message that is never compressed in any of
    /// its fragments: a secret, as with [`send_uncompressed`](Self::send_uncompressed).
    ///
    /// # Errors
    ///
    /// As [`begin_message`](Self::begin_message).
    #[cfg(feature = "deflate")]
    pub fn begin_uncompressed_message(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        let mut text = (message_type == MessageType::Text).then(Utf8Validator::new);
        check_text(&mut text, payload, false)?;
        self.begin_plain(message_type, payload)?;
        self.outgoing_text = text;
        Ok(())
    }

    fn begin_plain(&mut self, message_type: MessageType, payload: &[u8]) -> Result<(), SendError> {
        let frame = self.connection.begin_message(message_type, false, payload.len() as u64)?;
        self.append_frame(frame, payload);
        Ok(())
    }

    /// Queues a further fragment of the message begun, its last one if `fin`. A text may be cut
    /// inside a character.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`SendError::InvalidUtf8`] if the text so far is not UTF-8, or ends
    /// inside a character: the fragment is not queued, and the message is still in progress.
    pub fn continue_message(&mut self, payload: &[u8], fin: bool) -> Result<(), SendError> {
        let mut text = self.outgoing_text;
        check_text(&mut text, payload, fin)?;
        #[cfg(feature = "deflate")]
        if self.deflating.as_ref().is_some_and(|deflating| deflating.in_message()) {
            self.continue_compressed(payload, fin)?;
            self.outgoing_text = text;
            return Ok(());
        }
        let frame = self.connection.continue_message(fin, payload.len() as u64)?;
        self.outgoing_text = text;
        self.append_frame(frame, payload);
        Ok(())
    }

    /// Queues a ping with at most 125 bytes of payload.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing is queued then.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let frame = self.connection.ping(payload)?;
        self.write.append(|out| out.extend_from_slice(frame.as_slice()));
        Ok(())
    }

    /// Queues an unsolicited pong with at most 125 bytes of payload.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        let frame = self.connection.pong(payload)?;
        self.write.append(|out| out.extend_from_slice(frame.as_slice()));
        Ok(())
    }

    #[inline]
    fn append_frame(&mut self, frame: OutgoingFrame, payload: &[u8]) {
        append_frame(&mut self.write, frame, payload);
    }
}

/// Queues a frame with a copy of its payload.
#[inline]
pub(super) fn append_frame(write: &mut WriteQueue, frame: OutgoingFrame, payload: &[u8]) {
    write.append(|out| {
        frame.header.append_to(out);
        match frame.masker {
            Some(mut masker) => masker.append_to(payload, out),
            None => out.extend_from_slice(payload),
        }
    });
}

/// Validates a piece of a text being sent.
fn check_text(
    text: &mut Option<Utf8Validator>,
    payload: &[u8],
    fin: bool,
) -> Result<(), SendError> {
    let Some(validator) = text else {
        return Ok(());
    };
    validator.validate(payload).map_err(|_| SendError::InvalidUtf8)?;
    if fin {
        validator.finish().map_err(|_| SendError::InvalidUtf8)?;
        *text = None;
    }
    Ok(())
}
