//! A naive inflater, straight from RFC 1951: one bit after the other, everything kept, and the
//! largest distance noted.

use super::deflate::TAIL;

/// The extra bits and the base of each length code from 257 on (RFC 1951 section 3.2.5).
const LENGTHS: ([u32; 29], [usize; 29]) = (
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0],
    [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115,
        131, 163, 195, 227, 258,
    ],
);

/// The order in which the lengths of the code for lengths stand (RFC 1951 section 3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The data is not what a compressor of messages makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Up to a block that says that it is the last one, nothing was wrong.
    pub(crate) is_final: bool,
}

const MALFORMED: Malformed = Malformed { is_final: false };

/// A code: how many symbols there are of each length, and the symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|length| counts[*length] += 1);
        counts[0] = 0;
        let of = |length| (0..lengths.len()).filter(move |symbol| lengths[*symbol] == length);
        Self { counts, symbols: (1..16).flat_map(of).collect() }
    }
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<usize, Malformed> {
        let byte = *self.data.get(self.at / 8).ok_or(MALFORMED)?;
        self.at += 1;
        Ok(usize::from(byte >> ((self.at - 1) % 8) & 1))
    }

    fn number(&mut self, bits: u32) -> Result<usize, Malformed> {
        (0..bits).try_fold(0, |number, at| Ok(number | self.bit()? << at))
    }

    fn symbol(&mut self, code: &Code) -> Result<usize, Malformed> {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            value |= self.bit()?;
            if value < first + count {
                return Ok(code.symbols[index + value - first]);
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        Err(MALFORMED)
    }
}

/// Inflates one direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Naive {
    /// Everything inflated so far that may be referred to.
    output: Vec<u8>,
    /// The largest distance referred back by.
    pub(crate) farthest: usize,
}

impl Naive {
    /// The next message may refer to nothing before it.
    pub(crate) fn reset(&mut self) {
        self.output.clear();
    }

    /// Inflates the whole data of a message (RFC 7692 section 7.2.2), none of whose blocks says
    /// that it is the last one. What was cut off must have been the rest of an empty block.
    pub(crate) fn message(&mut self, data: &[u8]) -> Result<Vec<u8>, Malformed> {
        let from = self.output.len();
        let data = [data, &TAIL].concat();
        let mut bits = Bits { data: &data, at: 0 };
        let mut ends_empty = false;
        while bits.at < 8 * data.len() {
            if bits.bit()? == 1 {
                return Err(Malformed { is_final: true });
            }
            let (kind, before) = (bits.number(2)?, self.output.len());
            match kind {
                0 => self.stored(&mut bits)?,
                1 => {
                    let lengths = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
                    self.coded(&mut bits, &Code::new(&lengths), &Code::new(&[5; 30]))?;
                }
                2 => {
                    let (literals, distances) = dynamic(&mut bits)?;
                    self.coded(&mut bits, &literals, &distances)?;
                }
                _ => return Err(MALFORMED),
            }
            ends_empty = kind == 0 && self.output.len() == before;
        }
        if ends_empty { Ok(self.output[from..].to_vec()) } else { Err(MALFORMED) }
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Result<(), Malformed> {
        let at = bits.at.div_ceil(8);
        bits.at = 8 * at;
        let (length, complement) = (bits.number(16)?, bits.number(16)?);
        if length ^ complement != 0xFFFF {
            return Err(MALFORMED);
        }
        self.output.extend_from_slice(bits.data.get(at + 4..at + 4 + length).ok_or(MALFORMED)?);
        bits.at += 8 * length;
        Ok(())
    }

    fn coded(
        &mut self,
        bits: &mut Bits<'_>,
        literals: &Code,
        distances: &Code,
    ) -> Result<(), Malformed> {
        loop {
            let length = match bits.symbol(literals)? {
                256 => return Ok(()),
                symbol @ 0..256 => {
                    self.output.push(u8::try_from(symbol).unwrap());
                    continue;
                }
                symbol => {
                    let extra = LENGTHS.0.get(symbol - 257).ok_or(MALFORMED)?;
                    LENGTHS.1[symbol - 257] + bits.number(*extra)?
                }
            };
            let distance = match bits.symbol(distances)? {
                code @ 0..4 => code + 1,
                code => {
                    let extra = u32::try_from(code / 2 - 1).unwrap();
                    ((2 + code % 2) << extra) + 1 + bits.number(extra)?
                }
            };
            self.farthest = self.farthest.max(distance);
            let start = self.output.len().checked_sub(distance).ok_or(MALFORMED)?;
            (start..start + length).for_each(|at| self.output.push(self.output[at]));
        }
    }
}

/// The two codes at the head of a block (RFC 1951 section 3.2.7).
fn dynamic(bits: &mut Bits<'_>) -> Result<(Code, Code), Malformed> {
    let literals = bits.number(5)? + 257;
    let all = literals + bits.number(5)? + 1;
    let count = bits.number(4)? + 4;
    let mut code = [0; 19];
    for place in &ORDER[..count] {
        code[*place] = bits.number(3)?;
    }
    let code = Code::new(&code);
    let mut lengths = Vec::new();
    while lengths.len() < all {
        let (length, times) = match bits.symbol(&code)? {
            16 => (*lengths.last().ok_or(MALFORMED)?, 3 + bits.number(2)?),
            17 => (0, 3 + bits.number(3)?),
            18 => (0, 11 + bits.number(7)?),
            length => (length, 1),
        };
        lengths.extend([length].repeat(times));
    }
    if lengths.len() > all {
        return Err(MALFORMED);
    }
    Ok((Code::new(&lengths[..literals]), Code::new(&lengths[literals..])))
}
