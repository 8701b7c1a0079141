//! An HTTP/1.1 head that arrives cut at any byte: where it ends, within limits.

use crate::handshake::HandshakeError;
use crate::handshake::field::{Field, is_token_byte, trim};

/// The most fields that are ever accepted.
pub(crate) const MOST_FIELDS: usize = 100;

/// Limits on the head of a request or a response, each inclusive (RFC 6455 section 10.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes in all. Default 16 KiB.
    pub max_bytes: usize,
    /// Header fields, 100 at most. Default 100.
    pub max_fields: usize,
    /// Bytes of one line, its CRLF included. Default 8 KiB.
    pub max_line: usize,
}

impl HeadLimits {
    /// The defaults, each stated at its field.
    pub const DEFAULT: Self =
        Self { max_bytes: 16 * 1024, max_fields: MOST_FIELDS, max_line: 8 * 1024 };
}

impl HeadLimits {
    /// Whether `head`, which was parsed into `fields`, is so short that no limit can be broken, and
    /// its lines are ended by nothing but CRLF, right behind what they hold.
    pub(crate) fn plainly_allow(&self, head: &[u8], fields: &[httparse::Header<'_>]) -> bool {
        let ends_line = |at| head.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n"));
        let start = head.as_ptr().addr();
        let end_of = |value: &[u8]| value.as_ptr_range().end.addr().wrapping_sub(start);
        fields.len() <= self.max_fields
            && head.len() <= self.max_line.min(self.max_bytes)
            && head.first().is_some_and(|byte| is_token_byte(*byte))
            && find_line_feed(head).is_some_and(|at| ends_line(at.wrapping_sub(1)))
            && fields.iter().all(|field| ends_line(end_of(field.value)))
            && head.ends_with(b"\r\n\r\n")
    }
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Finds the end of a head, looking at each byte once however they arrive.
///
/// Its verdict depends on the bytes alone, never on how they were cut: every limit is judged at
/// the byte that breaks it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadScanner {
    limits: HeadLimits,
    /// Bytes looked at.
    scanned: usize,
    /// Where the line in progress begins.
    line_start: usize,
    /// Lines completed, the first one included.
    lines: usize,
}

impl HeadScanner {
    pub(crate) const fn new(limits: HeadLimits) -> Self {
        Self { limits, scanned: 0, line_start: 0, lines: 0 }
    }

    /// The limits, if nothing has been looked at yet.
    pub(crate) fn limits_at_start(&self) -> Option<&HeadLimits> {
        (self.scanned == 0).then_some(&self.limits)
    }

    /// Looks at what is new in `bytes`, which holds everything received so far; the head's length,
    /// once it is whole.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, HandshakeError> {
        if self.scanned == 0 {
            match bytes.first() {
                None => return Ok(None),
                // What cannot start a method or a version is no HTTP: a TLS greeting, say.
                Some(byte) if !is_token_byte(*byte) => return Err(HandshakeError::Malformed),
                Some(_) => {}
            }
        }
        loop {
            let line_end = self.line_start.saturating_add(self.limits.max_line);
            let end = line_end.min(self.limits.max_bytes);
            let window = bytes.get(self.scanned..end.min(bytes.len())).unwrap_or_default();
            let Some(at) = find_line_feed(window) else {
                self.scanned = self.scanned.saturating_add(window.len());
                return if bytes.len() < end { Ok(None) } else { Err(self.over(line_end)) };
            };
            let line_feed = self.scanned.saturating_add(at);
            let Some([line @ .., b'\r']) = bytes.get(self.line_start..line_feed) else {
                return Err(HandshakeError::Malformed);
            };
            let next = line_feed.saturating_add(1);
            match line.first() {
                None if self.lines > 0 => return Ok(Some(next)),
                // An empty first line, or a folded one (RFC 9112 section 5.2).
                None | Some(b' ' | b'\t') => return Err(HandshakeError::Malformed),
                Some(_) if self.lines > self.limits.max_fields.min(MOST_FIELDS) => {
                    return Err(HandshakeError::TooManyFields);
                }
                Some(_) => {}
            }
            self.lines = self.lines.saturating_add(1);
            self.line_start = next;
            self.scanned = next;
        }
    }

    /// The limit that the line in progress goes over.
    const fn over(&self, line_end: usize) -> HandshakeError {
        if line_end > self.limits.max_bytes {
            HandshakeError::HeadTooLarge
        } else if self.lines == 0 {
            HandshakeError::RequestLineTooLong
        } else {
            HandshakeError::FieldTooLong
        }
    }
}

/// Where the first line feed is. Blocks are looked through without a branch on each byte.
fn find_line_feed(bytes: &[u8]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut before = 0_usize;
    for block in blocks {
        if block.iter().fold(false, |found, byte| found | (*byte == b'\n')) {
            return block
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|at| before.saturating_add(at));
        }
        before = before.saturating_add(block.len());
    }
    rest.iter().position(|byte| *byte == b'\n').map(|at| before.saturating_add(at))
}

/// The fields of a head that is known to be well-formed, in order.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'b> {
    lines: &'b [u8],
}

impl<'b> Fields<'b> {
    /// The fields of a whole head: what stands behind its first line.
    pub(crate) fn of(head: &'b [u8]) -> Self {
        let first = find_line_feed(head).unwrap_or(head.len());
        Self { lines: head.get(first.saturating_add(1)..).unwrap_or_default() }
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Field<'b>;

    fn next(&mut self) -> Option<Field<'b>> {
        let end = find_line_feed(self.lines)?;
        let line = self.lines.get(..end)?;
        self.lines = self.lines.get(end.saturating_add(1)..).unwrap_or_default();
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        let value = value.strip_prefix(b":")?;
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        Some(Field { name: core::str::from_utf8(name).ok()?, value: trim(value) })
    }
}
