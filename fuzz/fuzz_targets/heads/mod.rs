//! What the heads of requests and of responses have in common: the naive reading of one.

use duologue_core::handshake::{Field, HeadLimits};

use crate::support::counting::counted;

/// Limits that are soon met.
pub(crate) const LIMITS: HeadLimits = HeadLimits { max_bytes: 1024, max_fields: 8, max_line: 256 };

/// More than what the buffers of an opening handshake take before anything comes.
pub(crate) const ROOM: usize = 4096;

/// The ends of what has come, call after call: all at once, in two pieces as the first two bytes of
/// `input` say, and byte by byte; and the rest of `input`.
pub(crate) fn cuts(input: &[u8]) -> Option<([Vec<usize>; 3], &[u8])> {
    let (cut, bytes) = input.split_first_chunk()?;
    let cut = usize::from(u16::from_be_bytes(*cut)).min(bytes.len());
    Some(([vec![bytes.len()], vec![cut, bytes.len()], (0..=bytes.len()).collect()], bytes))
}

/// What `run` returns, which allocates nothing.
pub(crate) fn without_memory<T>(run: impl FnOnce() -> T) -> T {
    let (result, _, most) = counted(run);
    assert_eq!(most, 0, "a handshake has allocated");
    result
}

/// A head that was accepted, read again with nothing but the standard library.
pub(crate) struct Naive<'b> {
    pub(crate) first_line: &'b str,
    pub(crate) fields: Vec<(&'b str, &'b [u8])>,
}

impl<'b> Naive<'b> {
    /// Reads `head`, and checks its form and its limits (RFC 9112 sections 2.2 and 5).
    pub(crate) fn read(head: &'b [u8]) -> Self {
        assert!(head.len() <= LIMITS.max_bytes);
        assert_eq!(head.windows(4).position(|four| four == b"\r\n\r\n"), Some(head.len() - 4));
        let mut lines = Vec::new();
        let mut rest = &head[..head.len() - 2];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            assert!(end < LIMITS.max_line, "a long line");
            assert_eq!(rest[end - 1], b'\r', "a bare line feed");
            lines.push(&rest[..end - 1]);
            rest = &rest[end + 1..];
        }
        let (first, fields) = lines.split_first().unwrap();
        assert!(fields.len() <= LIMITS.max_fields);
        let fields = fields.iter().map(|line| {
            let colon = line.iter().position(|byte| *byte == b':').unwrap();
            let name = core::str::from_utf8(&line[..colon]).unwrap();
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
            (name, line[colon + 1..].trim_ascii())
        });
        // A response's reason may hold any bytes above ASCII.
        let first_line = core::str::from_utf8(first)
            .or_else(|error| core::str::from_utf8(&first[..error.valid_up_to()]))
            .unwrap();
        Self { first_line, fields: fields.collect() }
    }

    /// The values of the fields called `name`.
    pub(crate) fn values(&self, name: &str) -> Vec<&'b [u8]> {
        let named = self.fields.iter().filter(|field| field.0.eq_ignore_ascii_case(name));
        named.map(|field| field.1).collect()
    }

    /// Whether the fields called `name` list `word`.
    pub(crate) fn lists(&self, name: &str, word: &str) -> bool {
        let is_word = |item: &[u8]| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
        self.values(name).join(&b","[..]).split(|byte| *byte == b',').any(is_word)
    }

    /// The same fields as were given out.
    pub(crate) fn compare(&self, fields: impl Iterator<Item = Field<'b>>) {
        let given: Vec<_> = fields.map(|field| (field.name, field.value.trim_ascii())).collect();
        assert_eq!(given, self.fields);
    }
}
