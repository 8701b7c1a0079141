//! What the generator sends and what has to come back, prepared before anything is measured.

/// A sequence of masked frames that is sent over and over, and its echo.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) sent: Cycle,
    pub(crate) echoed: Cycle,
}

/// Bytes that repeat, in frames of one length.
#[derive(Debug)]
pub(crate) struct Cycle {
    /// The bytes twice, so that any part of up to one cycle is in one piece.
    bytes: Vec<u8>,
    frame_length: usize,
}

impl Cycle {
    fn new(frames: &[Vec<u8>]) -> Self {
        let once = frames.concat();
        Self { bytes: [once.as_slice(), once.as_slice()].concat(), frame_length: frames[0].len() }
    }

    /// The bytes of one cycle.
    pub(crate) fn length(&self) -> usize {
        self.bytes.len() / 2
    }

    pub(crate) fn frame_length(&self) -> usize {
        self.frame_length
    }

    /// The bytes from `offset` on, which is less than [`length`](Self::length): `wanted` of them,
    /// or one cycle if that is less.
    pub(crate) fn part(&self, offset: usize, wanted: usize) -> &[u8] {
        &self.bytes[offset..offset + wanted.min(self.length())]
    }

    /// Where one is `count` bytes behind `offset`.
    pub(crate) fn advance(&self, offset: usize, count: usize) -> usize {
        (offset + count) % self.length()
    }
}

/// The frames of one cycle take no more, but there is at least one.
const CYCLE_LENGTH: usize = 512 * 1024;

/// The frames of one cycle are no more: payloads and keys repeat then.
const CYCLE_FRAMES: usize = 64;

impl Traffic {
    /// Binary messages of `payload_length` bytes and their echoes, unmasked; `raw` if they come
    /// back as they were sent, from a server that knows nothing of frames.
    pub(crate) fn new(payload_length: usize, raw: bool) -> Self {
        let count = (CYCLE_LENGTH / (payload_length + 14)).clamp(1, CYCLE_FRAMES);
        let mut random = XorShift(0x9e37_79b9_7f4a_7c15);
        let mut masked = Vec::new();
        let mut unmasked = Vec::new();
        for _ in 0..count {
            let payload: Vec<u8> = (0..payload_length).map(|_| random.byte()).collect();
            let key = [random.byte(), random.byte(), random.byte(), random.byte()];
            masked.push(frame(&payload, Some(key)));
            unmasked.push(frame(&payload, None));
        }
        let sent = Cycle::new(&masked);
        let echoed = Cycle::new(if raw { &masked } else { &unmasked });
        Self { sent, echoed }
    }
}

/// A whole binary message in one frame (RFC 6455 section 5.2), written independently of the crate
/// that is measured.
fn frame(payload: &[u8], masking_key: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![0x82];
    let mask = if masking_key.is_some() { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..=125 => frame.push(mask | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            frame.push(mask | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(mask | 127);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    match masking_key {
        None => frame.extend(payload),
        Some(key) => {
            frame.extend(key);
            frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
    }
    frame
}

/// Numbers that are equal in each run, and alike in nothing else.
struct XorShift(u64);

impl XorShift {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_rfc() {
        // RFC 6455 section 5.7, with the opcode of a binary message.
        let key = [0x37, 0xfa, 0x21, 0x3d];
        assert_eq!(frame(b"Hello", Some(key)), b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(frame(b"Hello", None), b"\x82\x05Hello");
        assert_eq!(frame(&[0; 256], None)[..4], [0x82, 0x7e, 0x01, 0x00]);
        assert_eq!(frame(&[0; 65536], None)[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn any_part_of_a_cycle_is_in_one_piece() {
        let cycle = Traffic::new(20, false).echoed;
        assert_eq!((cycle.frame_length(), cycle.length()), (22, 64 * 22));
        let offset = cycle.advance(0, 64 * 22 - 1);
        assert_eq!(cycle.part(offset, 2), [cycle.part(offset, 1), cycle.part(0, 1)].concat());
        assert_eq!(cycle.part(offset, usize::MAX).len(), cycle.length());
        assert_eq!(cycle.advance(offset, 1), 0);
    }
}
