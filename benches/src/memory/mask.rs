//! Masking in place.

use core::hint::black_box;

use duologue_core::frame::Masker;

use crate::memory::size_name;
use crate::results::Table;
use crate::scale::Scale;
use crate::timing::{Contender, measure};

const SIZES: [usize; 5] = [16, 125, 1024, 16 * 1024, 64 * 1024];
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// A buffer whose first byte after `skip` bytes is aligned to a cache line, and `skip` past it.
struct Aligned {
    bytes: Vec<u8>,
    from: usize,
    size: usize,
}

impl Aligned {
    fn new(size: usize, skip: usize) -> Self {
        let bytes = vec![7; size + 64 + skip];
        let from = bytes.as_ptr().align_offset(64) + skip;
        Self { bytes, from, size }
    }

    #[inline]
    fn get(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..self.from + self.size]
    }
}

/// The key as it lies for a payload's byte number `phase`, for those who keep no phase themselves.
fn turned(phase: u8) -> [u8; 4] {
    let mut key = KEY;
    key.rotate_left(usize::from(phase));
    key
}

fn masking<'a>(
    name: &str,
    size: usize,
    skip: usize,
    mut mask: impl FnMut(&mut [u8]) + 'a,
) -> Contender<'a> {
    let mut buffer = Aligned::new(size, skip);
    Contender::of_steps(name, move || mask(black_box(buffer.get())))
}

fn contenders(size: usize, skip: usize, phase: u8) -> Vec<Contender<'static>> {
    let key = turned(phase);
    let source = Aligned::new(size, skip);
    vec![
        masking("ours", size, skip, move |data| Masker::new(black_box(key)).apply(data)),
        masking("yawc", size, skip, move |data| yawc::mask::apply_mask(data, black_box(key))),
        masking("sockudo-ws", size, skip, move |data| {
            sockudo_ws::mask::apply_mask(data, black_box(key));
        }),
        masking("fastwebsockets", size, skip, move |data| {
            fastwebsockets::unmask(data, black_box(key));
        }),
        masking("websocket-sans-io", size, skip, move |data| {
            websocket_sans_io::apply_mask(black_box(KEY), data, black_box(phase));
        }),
        masking("memcpy (floor)", size, skip, move |data| {
            data.copy_from_slice(black_box(&source.bytes[source.from..source.from + size]));
        }),
    ]
}

/// The comparison.
#[must_use]
pub fn table(scale: Scale) -> Table {
    let mut figures = Vec::new();
    for size in SIZES {
        for (skip, alignment) in [(0, "aligned"), (1, "unaligned")] {
            for phase in [0, 3] {
                let row = format!("{}, {alignment}, phase {phase}", size_name(size));
                figures.extend(measure(&row, scale, contenders(size, skip, phase)));
            }
        }
    }
    Table {
        id: "mask".to_owned(),
        title: "Masking in place".to_owned(),
        unit: "ns a payload".to_owned(),
        note: "A payload is masked where it lies, on a cache line's boundary or one byte past it, \
               beginning with the key's first byte (phase 0) or its last (phase 3); whoever keeps \
               no phase is given the key turned, for nothing. The masking of tungstenite (which \
               is, line for line, that of fastwebsockets), tokio-websockets, wtx and ws-framer is \
               private, and is measured only as a part of receiving; soketto's goes byte by byte."
            .to_owned(),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_contenders_mask_alike() {
        for phase in 0..4 {
            let data: Vec<u8> = (0..=255).collect();
            let expected: Vec<u8> = data
                .iter()
                .enumerate()
                .map(|(index, byte)| byte ^ KEY[(index + usize::from(phase)) % 4])
                .collect();
            let key = turned(phase);
            type Mask<'a> = &'a dyn Fn(&mut [u8]);
            let masks: [Mask<'_>; 5] = [
                &|data| Masker::new(key).apply(data),
                &|data| yawc::mask::apply_mask(data, key),
                &|data| sockudo_ws::mask::apply_mask(data, key),
                &|data| fastwebsockets::unmask(data, key),
                &|data| websocket_sans_io::apply_mask(KEY, data, phase),
            ];
            for mask in masks {
                let mut masked = data.clone();
                mask(&mut masked);
                assert_eq!(masked, expected);
            }
        }
    }
}
