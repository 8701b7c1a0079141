//! The endpoint's side of compression: which messages go out compressed, and how.

use alloc::boxed::Box;

use crate::deflate::{CodecPool, DeflateConfig, Deflating, Inflating};
use crate::error::SendError;
use crate::handshake::NegotiatedExtensions;
use crate::message::endpoint::Endpoint;
use crate::message::inflation::Inflation;
use crate::message::prepared::{Form, Prepared};
use crate::message::sending::append_frame;
use crate::message::types::Message;
use crate::message::write_queue::SHARE_FROM;
use crate::opcode::MessageType;
use crate::role::Role;

impl<R: Role> Endpoint<R> {
    /// Makes ready for what was agreed on. Nothing but two small states is allocated yet.
    pub(super) fn begin_compression(&mut self, extensions: NegotiatedExtensions) {
        let Some(parameters) = extensions.deflate else {
            self.deflating = None;
            return;
        };
        let (outgoing, incoming) = if self.connection.role().is_client() {
            (parameters.of_client(), parameters.of_server())
        } else {
            (parameters.of_server(), parameters.of_client())
        };
        let inflating = Inflating::new(incoming, self.connection.max_message_length());
        self.read.inflation = Some(Box::new(Inflation::new(inflating)));
        let new = || Box::new(Deflating::new(&DeflateConfig::DEFAULT));
        let deflating = self.deflating.get_or_insert_with(new);
        deflating.agree(parameters, outgoing);
        if let Some(pool) = deflating.pool() {
            self.share_codecs(pool);
        }
    }

    /// From now on compressors and decompressors come from `pool`, and go back there as soon as no
    /// message needs them. Without a pool the endpoint keeps its own. Call it when it is
    /// [open](Self::open).
    pub fn share_codecs(&mut self, pool: &'static dyn CodecPool) {
        if let Some(deflating) = &mut self.deflating {
            deflating.share(pool);
        }
        if let Some(inflation) = &mut self.read.inflation {
            inflation.share(pool);
        }
    }

    /// Queues a message that is never compressed, whatever was agreed on: a secret that must not
    /// show in the size of what is sent, next to what somebody else has chosen (RFC 7692
    /// section 8). No later message refers to it either.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_uncompressed(&mut self, message: Message) -> Result<(), SendError> {
        self.send_plain(message)
    }

    /// Whether a message of `length` bytes goes out compressed.
    #[inline]
    pub(super) fn compresses(&self, length: usize) -> bool {
        self.deflating.as_ref().is_some_and(|deflating| deflating.wants(length))
    }

    #[inline(never)]
    pub(super) fn send_compressed(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        // Once compressed it has to be sent: later messages refer to it.
        self.connection.may_begin_message()?;
        let Some(deflating) = &mut self.deflating else {
            return self.send_plain_slice(message_type, payload);
        };
        if let Some(data) = deflating.message(payload) {
            let length = data.len() as u64;
            let frame = self.connection.begin_compressed_message(message_type, true, length)?;
            append_frame(&mut self.write, frame, data);
        } else {
            let length = payload.len() as u64;
            let frame = self.connection.begin_message(message_type, true, length)?;
            append_frame(&mut self.write, frame, payload);
        }
        deflating.release();
        Ok(())
    }

    /// Queues a prepared message in its compressed form, or compresses it if it has none that
    /// suits.
    #[inline(never)]
    pub(super) fn send_prepared_compressed(
        &mut self,
        prepared: &Prepared,
    ) -> Result<(), SendError> {
        let (message_type, payload) = (prepared.message_type(), prepared.payload());
        let kind = self.deflating.as_ref().map(|deflating| deflating.kind());
        let form = kind.and_then(|kind| prepared.form_for(kind.window_bits));
        let (whole, data) = match form {
            None => return self.send_compressed(message_type, payload),
            Some(Form::Plain) => return self.send_prepared_plain(prepared),
            Some(Form::Compressed { frame, data }) => (frame, data),
        };
        let length = data.len() as u64;
        let frame = self.connection.begin_compressed_message(message_type, true, length)?;
        if self.connection.role().is_client() {
            append_frame(&mut self.write, frame, data);
        } else if whole.len() < SHARE_FROM {
            self.write.append(|out| out.extend_from_slice(whole));
        } else {
            self.write.share(whole.clone());
        }
        if let Some(deflating) = &mut self.deflating {
            deflating.passed_by(payload);
        }
        Ok(())
    }

    pub(super) fn begin_compressed(
        &mut self,
        message_type: MessageType,
        payload: &[u8],
    ) -> Result<(), SendError> {
        self.connection.may_begin_message()?;
        if let Some(deflating) = &mut self.deflating {
            let data = deflating.fragment(payload, false);
            let length = data.len() as u64;
            let frame = self.connection.begin_compressed_message(message_type, false, length)?;
            append_frame(&mut self.write, frame, data);
        }
        Ok(())
    }

    pub(super) fn continue_compressed(
        &mut self,
        payload: &[u8],
        fin: bool,
    ) -> Result<(), SendError> {
        self.connection.may_continue_message()?;
        if let Some(deflating) = &mut self.deflating {
            let data = deflating.fragment(payload, fin);
            let frame = self.connection.continue_message(fin, data.len() as u64)?;
            append_frame(&mut self.write, frame, data);
            deflating.release();
        }
        Ok(())
    }
}
