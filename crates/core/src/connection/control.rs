//! Control frames: what they carry in, and their form on the way out (RFC 6455 section 5.5).

use core::fmt;

use crate::close_code::{CloseCode, CloseStatus};
use crate::error::ProtocolError;
use crate::frame::{FrameHeader, MAX_CONTROL_PAYLOAD, Masker};
use crate::opcode::Opcode;

/// At most 125 bytes, kept by value.
#[derive(Clone, Copy)]
pub(crate) struct ControlBuffer {
    bytes: [u8; MAX_CONTROL_PAYLOAD],
    length: u8,
}

impl ControlBuffer {
    pub(crate) const EMPTY: Self = Self { bytes: [0; MAX_CONTROL_PAYLOAD], length: 0 };

    /// A copy of `payload`; `None` if it is longer than a control frame may carry.
    pub(crate) fn new(payload: &[u8]) -> Option<Self> {
        let mut buffer = Self::EMPTY;
        (buffer.append(payload) == payload.len()).then_some(buffer)
    }

    /// Appends what there is room for; returns how many bytes that is.
    pub(crate) fn append(&mut self, payload: &[u8]) -> usize {
        let room = self.bytes.get_mut(usize::from(self.length)..).unwrap_or_default();
        let length = room.len().min(payload.len());
        if let (Some(to), Some(from)) = (room.get_mut(..length), payload.get(..length)) {
            to.copy_from_slice(from);
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 125")]
        let added = length as u8;
        self.length = self.length.wrapping_add(added);
        length
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// The payload of a control frame that came in, at most 125 bytes.
///
/// It lies in the caller's buffer, or, if it came in pieces, in this value.
#[derive(Clone, Copy)]
pub struct ControlPayload<'b>(Place<'b>);

#[derive(Clone, Copy)]
enum Place<'b> {
    Borrowed(&'b [u8]),
    Carried(ControlBuffer),
}

impl<'b> ControlPayload<'b> {
    pub(crate) const fn borrowed(payload: &'b [u8]) -> Self {
        Self(Place::Borrowed(payload))
    }

    pub(crate) const fn carried(payload: ControlBuffer) -> Self {
        Self(Place::Carried(payload))
    }

    /// The same payload, kept in this value.
    #[must_use]
    pub fn to_owned(&self) -> ControlPayload<'static> {
        let mut copy = ControlBuffer::EMPTY;
        copy.append(self.as_slice());
        ControlPayload::carried(copy)
    }

    /// The payload.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Place::Borrowed(payload) => payload,
            Place::Carried(payload) => payload.as_slice(),
        }
    }
}

impl AsRef<[u8]> for ControlPayload<'_> {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl core::ops::Deref for ControlPayload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for ControlPayload<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for ControlPayload<'_> {}

impl fmt::Debug for ControlPayload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlPayload({:02x?})", self.as_slice())
    }
}

/// The peer's Close frame, already judged (RFC 6455 sections 5.5.1 and 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'b>(ControlPayload<'b>);

impl<'b> CloseFrame<'b> {
    /// Judges a Close frame's body.
    pub(crate) fn judge(payload: ControlPayload<'b>) -> Result<Self, ProtocolError> {
        match payload.as_slice() {
            [] => {}
            [_] => return Err(ProtocolError::CloseBodyTooShort),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if CloseCode::new(code).is_none() {
                    return Err(ProtocolError::InvalidCloseCode(code));
                }
                if core::str::from_utf8(reason).is_err() {
                    return Err(ProtocolError::CloseReasonNotUtf8);
                }
            }
        }
        Ok(Self(payload))
    }

    /// The code, or [`CloseStatus::NoStatus`] for an empty body.
    #[must_use]
    pub fn status(&self) -> CloseStatus {
        close_status(self.0.as_slice())
    }

    /// The reason, often empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        close_reason(self.0.as_slice())
    }
}

/// The status of a judged Close frame's body.
pub(crate) fn close_status(body: &[u8]) -> CloseStatus {
    body.first_chunk()
        .and_then(|code| CloseCode::new(u16::from_be_bytes(*code)))
        .map_or(CloseStatus::NoStatus, CloseStatus::Code)
}

/// The reason of a judged Close frame's body.
pub(crate) fn close_reason(body: &[u8]) -> &str {
    body.get(2..).and_then(|reason| core::str::from_utf8(reason).ok()).unwrap_or_default()
}

const MAX_CONTROL_FRAME: usize = 2 + 4 + MAX_CONTROL_PAYLOAD;

/// A control frame as it stands on the wire, at most 131 bytes, on the stack.
#[derive(Clone, Copy)]
pub struct ControlFrame {
    bytes: [u8; MAX_CONTROL_FRAME],
    length: u8,
}

impl ControlFrame {
    /// Encodes and, for a client, masks a control frame.
    pub(crate) fn encode(
        opcode: Opcode,
        payload: &ControlBuffer,
        masking_key: Option<[u8; 4]>,
    ) -> Self {
        let payload = payload.as_slice();
        let header = FrameHeader {
            fin: true,
            rsv: 0,
            opcode,
            masking_key,
            payload_length: payload.len() as u64,
        }
        .encode();
        let header = header.as_slice();
        let mut frame = Self { bytes: [0; MAX_CONTROL_FRAME], length: 0 };
        if let Some((head, body)) = frame.bytes.split_at_mut_checked(header.len()) {
            head.copy_from_slice(header);
            // A key of zeros changes nothing: what a server sends is not masked.
            Masker::new(masking_key.unwrap_or_default()).apply_to(payload, body);
        }
        #[expect(clippy::cast_possible_truncation, reason = "6 and 125 at most")]
        let length = header.len().wrapping_add(payload.len()) as u8;
        frame.length = length;
        frame
    }

    /// The frame's bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl AsRef<[u8]> for ControlFrame {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for ControlFrame {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for ControlFrame {}

impl fmt::Debug for ControlFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlFrame({:02x?})", self.as_slice())
    }
}
