//! Errors, by who is at fault: the peer ([`ProtocolError`]) or our caller ([`SendError`]).

use core::fmt;

use crate::close_code::CloseCode;

/// What the peer did wrong. The connection has failed itself by the time the caller sees it
/// (RFC 6455 section 7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set that no extension has claimed (section 5.2).
    ReservedBits,
    /// An opcode of 3-7 or 11-15 (section 5.2).
    ReservedOpcode,
    /// A control frame without FIN (section 5.5).
    FragmentedControlFrame,
    /// A control frame of over 125 bytes (section 5.5).
    ControlFrameTooLong,
    /// A length that is not in its shortest form (section 5.2).
    NonMinimalLength,
    /// A 64-bit length with the top bit set (section 5.2).
    LengthTopBitSet,
    /// A client's frame that is not masked (section 5.1).
    UnmaskedFrameFromClient,
    /// A server's frame that is masked (section 5.1).
    MaskedFrameFromServer,
    /// A continuation frame with nothing to continue (section 5.4).
    UnexpectedContinuation,
    /// A new message inside an unfinished one (section 5.4).
    ExpectedContinuation,
    /// A frame that declares more than the limit (section 10.4).
    FrameTooBig,
    /// A message that grows past the limit (section 10.4).
    MessageTooBig,
    /// A message with more empty fragments than the limit.
    TooManyEmptyFragments,
    /// Text that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// A compressed message that is not DEFLATE (RFC 7692 section 7.2.2).
    CorruptDeflate,
    /// A Close frame with a body of one byte (section 5.5.1).
    CloseBodyTooShort,
    /// A Close frame with a code that may not be sent (section 7.4).
    InvalidCloseCode(u16),
    /// A Close frame whose reason is not UTF-8 (section 5.5.1).
    CloseReasonNotUtf8,
    /// No byte came within the time allowed after a keepalive ping.
    PongTimeout,
    /// The peer accepted no byte within the time allowed while bytes waited to be written.
    WriteStalled,
}

impl ProtocolError {
    /// The code of the Close frame that answers the fault.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::FragmentedControlFrame
            | Self::ControlFrameTooLong
            | Self::NonMinimalLength
            | Self::LengthTopBitSet
            | Self::UnmaskedFrameFromClient
            | Self::MaskedFrameFromServer
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::CloseBodyTooShort
            | Self::InvalidCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::InvalidUtf8 | Self::CorruptDeflate | Self::CloseReasonNotUtf8 => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::TooManyEmptyFragments | Self::WriteStalled => CloseCode::POLICY_VIOLATION,
            Self::FrameTooBig | Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::PongTimeout => CloseCode::INTERNAL_ERROR,
        }
    }

    /// What the Close frame gives as its reason, at most 123 bytes.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::FragmentedControlFrame => "fragmented control frame",
            Self::ControlFrameTooLong => "control frame too long",
            Self::NonMinimalLength => "length not minimal",
            Self::LengthTopBitSet => "length out of range",
            Self::UnmaskedFrameFromClient => "frame not masked",
            Self::MaskedFrameFromServer => "frame masked",
            Self::UnexpectedContinuation => "nothing to continue",
            Self::ExpectedContinuation => "message not finished",
            Self::FrameTooBig => "frame too big",
            Self::MessageTooBig => "message too big",
            Self::TooManyEmptyFragments => "too many empty fragments",
            Self::InvalidUtf8 => "text not UTF-8",
            Self::CorruptDeflate => "compressed data corrupt",
            Self::CloseBodyTooShort => "close body of one byte",
            Self::InvalidCloseCode(_) => "invalid close code",
            Self::CloseReasonNotUtf8 => "close reason not UTF-8",
            Self::PongTimeout => "keepalive timeout",
            Self::WriteStalled => "peer accepts no data",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.close_code();
        match self {
            Self::InvalidCloseCode(received) => {
                write!(f, "invalid close code {received} (close code {code})")
            }
            other => write!(f, "{} (close code {code})", other.reason()),
        }
    }
}

impl core::error::Error for ProtocolError {}

/// What our caller asked for that the connection cannot do. Nothing has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendError {
    /// The opening handshake is not complete.
    NotOpen,
    /// A Close frame has been sent, or the connection is over (RFC 6455 section 5.5.1).
    Closing,
    /// A message is being sent in fragments and has not ended (section 5.4).
    MessageInProgress,
    /// There is no message in fragments to go on with.
    NoMessageInProgress,
    /// A control frame's payload of over 125 bytes (section 5.5).
    ControlPayloadTooLong,
    /// A close reason of over 123 bytes (section 5.5).
    CloseReasonTooLong,
    /// A text message's bytes are not UTF-8 (section 8.1).
    InvalidUtf8,
    /// More would wait to be sent than may.
    BufferFull,
    /// A compressed message, where no extension was agreed on for it (RFC 7692 section 6).
    CompressionNotAgreed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "the connection is not open yet",
            Self::Closing => "the connection is closing or closed",
            Self::MessageInProgress => "a message in fragments has not ended",
            Self::NoMessageInProgress => "no message in fragments has begun",
            Self::ControlPayloadTooLong => "a control frame carries at most 125 bytes",
            Self::CloseReasonTooLong => "a close reason has at most 123 bytes",
            Self::InvalidUtf8 => "the text is not UTF-8",
            Self::BufferFull => "more would wait to be sent than may",
            Self::CompressionNotAgreed => "compression was not agreed on",
        })
    }
}

impl core::error::Error for SendError {}
