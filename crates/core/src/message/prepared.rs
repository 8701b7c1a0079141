//! A message framed once and sent to many.

use alloc::vec::Vec;

use bytes::Bytes;

#[cfg(feature = "deflate")]
use crate::deflate::{DeflateConfig, Deflating, WindowBits};
use crate::frame::FrameHeader;
#[cfg(feature = "deflate")]
use crate::frame::RSV1;
use crate::message::types::Message;
use crate::opcode::MessageType;

/// A whole message in its frame, ready to be sent on any number of connections.
///
/// A server sends the frame as it is: to queue it costs a reference, or below 4 KiB a copy. A
/// client has to mask each frame with a key of its own (RFC 6455 section 5.3), so it frames the
/// payload anew.
///
/// With [`compressed`](Self::compressed) it is compressed once as well, instead of on each
/// connection that has agreed on compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    message_type: MessageType,
    frame: Bytes,
    payload_at: usize,
    #[cfg(feature = "deflate")]
    compressed: Vec<CompressedFrame>,
}

/// A compressed form.
#[cfg(feature = "deflate")]
#[derive(Clone, Debug, PartialEq, Eq)]
struct CompressedFrame {
    window_bits: WindowBits,
    /// The frame, and where in it the payload begins; `None` if it would be no smaller.
    frame: Option<(Bytes, usize)>,
}

impl Prepared {
    /// Frames `message`. The payload is copied, once.
    #[must_use]
    pub fn new(message: &Message) -> Self {
        let message_type = message.message_type();
        let (frame, payload_at) = frame(message_type, 0, message.payload());
        Self {
            message_type,
            frame,
            payload_at,
            #[cfg(feature = "deflate")]
            compressed: Vec::new(),
        }
    }

    /// Compresses it as well, as hard as `config` says, for connections on which this end may refer
    /// back by `window_bits` or more, and that take messages of this length compressed. It may be
    /// done for several sizes of window; the largest that a connection allows is sent.
    ///
    /// It refers to nothing outside itself, so it can be sent on any of them, whether or not
    /// context is taken over (RFC 7692 section 7.1.1): where it is, later messages refer to this
    /// one and no longer to those before it. If compressing does not make it smaller, it is sent as
    /// it is.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compressed(mut self, config: &DeflateConfig, window_bits: WindowBits) -> Self {
        let mut deflating = Deflating::new(config);
        deflating.limit_window(window_bits);
        let data = deflating.message(self.payload());
        let frame = data.map(|data| frame(self.message_type, RSV1, data));
        self.compressed.retain(|other| other.window_bits != window_bits);
        self.compressed.push(CompressedFrame { window_bits, frame });
        self
    }

    /// It is never compressed, whatever is agreed on: for a secret (RFC 7692 section 8).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn uncompressed(mut self) -> Self {
        self.compressed =
            alloc::vec![CompressedFrame { window_bits: WindowBits::MIN, frame: None }];
        self
    }

    /// The form that suits a window of `window_bits` best.
    #[cfg(feature = "deflate")]
    pub(super) fn form_for(&self, window_bits: WindowBits) -> Option<Form<'_>> {
        let suitable = self.compressed.iter().filter(|form| form.window_bits <= window_bits);
        let form = suitable.max_by_key(|form| form.window_bits)?;
        Some(match &form.frame {
            None => Form::Plain,
            Some((frame, payload_at)) => {
                Form::Compressed { frame, data: frame.get(*payload_at..).unwrap_or_default() }
            }
        })
    }

    /// Whether it is text or binary.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// The payload's bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.frame.get(self.payload_at..).unwrap_or_default()
    }

    /// The frame as a server sends it.
    #[must_use]
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }
}

/// How a prepared message is sent where compression was agreed on.
#[cfg(feature = "deflate")]
pub(super) enum Form<'a> {
    /// As it is.
    Plain,
    /// In this frame, or by a client with this data.
    Compressed { frame: &'a Bytes, data: &'a [u8] },
}

/// A payload in a frame that is not masked, and where in it the payload begins.
fn frame(message_type: MessageType, rsv: u8, payload: &[u8]) -> (Bytes, usize) {
    let header = FrameHeader {
        fin: true,
        rsv,
        opcode: message_type.into(),
        masking_key: None,
        payload_length: payload.len() as u64,
    }
    .encode();
    let header = header.as_slice();
    let mut frame = Vec::with_capacity(header.len().saturating_add(payload.len()));
    frame.extend_from_slice(header);
    frame.extend_from_slice(payload);
    (frame.into(), header.len())
}

impl From<Message> for Prepared {
    fn from(message: Message) -> Self {
        Self::new(&message)
    }
}
