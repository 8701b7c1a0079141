//! UTF-8 validation.

use core::hint::black_box;

use duologue_core::Utf8Validator;

use crate::memory::{size_name, text};
use crate::results::Table;
use crate::scale::Scale;
use crate::timing::{Contender, measure};

const SIZES: [usize; 5] = [16, 125, 1024, 16 * 1024, 64 * 1024];

fn contenders(text: &str) -> Vec<Contender<'_>> {
    let bytes = text.as_bytes();
    vec![
        Contender::of_steps("ours", || {
            let mut validator = Utf8Validator::new();
            validator.validate(black_box(bytes)).unwrap();
            validator.finish().unwrap();
        }),
        Contender::of_steps("core::str", || {
            black_box(core::str::from_utf8(black_box(bytes)).unwrap());
        }),
        Contender::of_steps("simdutf8 basic", || {
            black_box(simdutf8::basic::from_utf8(black_box(bytes)).unwrap());
        }),
        Contender::of_steps("simdutf8 compat", || {
            black_box(simdutf8::compat::from_utf8(black_box(bytes)).unwrap());
        }),
    ]
}

/// The comparison.
#[must_use]
pub fn table(scale: Scale) -> Table {
    let mut figures = Vec::new();
    for size in SIZES {
        for (mixed, script) in [(false, "ASCII"), (true, "mixed")] {
            let text = text(size, mixed);
            let row = format!("{}, {script}", size_name(size));
            figures.extend(measure(&row, scale, contenders(&text)));
        }
    }
    Table {
        id: "utf8".to_owned(),
        title: "UTF-8 validation".to_owned(),
        unit: "ns a text".to_owned(),
        note:
            "Ours is the validator that goes on over pieces cut anywhere, here with one piece and \
               its end. The others validate a whole text only; simdutf8's basic form does not tell \
               where the fault is. Mixed text has characters of one to four bytes."
                .to_owned(),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}
