//! How the cost of a message grows with its size and the number of its fragments.

use bytes::Bytes;
use duologue_core::MessageType;

use crate::memory::batch::Batch;
use crate::memory::{binary, receive, send, size_name};
use crate::results::{Figure, Table};
use crate::scale::Scale;
use crate::timing::{Contender, measure};

/// 64 KiB: one byte a fragment at the end.
const FRAGMENTED: usize = 64 * 1024;

fn named<'a>(contenders: Vec<Contender<'a>>, how: &str) -> impl Iterator<Item = Contender<'a>> {
    let ours = contenders.into_iter().filter(|contender| contender.name().starts_with("ours"));
    ours.map(move |contender| {
        let name = format!("{how}{}", contender.name().trim_start_matches("ours"));
        contender.renamed(&name)
    })
}

/// One byte to 64 MiB.
#[must_use]
pub fn sizes(scale: Scale) -> Table {
    let mut figures: Vec<Figure> = Vec::new();
    for power in 0..=13 {
        let size = 4_usize.pow(power);
        let batch = Batch::new(MessageType::Binary, size, 1);
        let payload = Bytes::from(binary(size));
        let contenders = named(receive::ours(&batch), "receive")
            .chain(named(send::ours_of_server(&payload), "send"))
            .chain(named(send::ours_of_client(&payload), "send as a client"))
            .collect();
        figures.extend(measure(&size_name(size), scale, contenders));
    }
    Table {
        id: "growth-size".to_owned(),
        title: "How cost grows with a message's size".to_owned(),
        unit: "ns a message".to_owned(),
        note: "Ours alone, as in the comparisons above: a binary message of one frame.".to_owned(),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}

/// One to 65,536 fragments.
#[must_use]
pub fn fragments(scale: Scale) -> Table {
    let mut figures = Vec::new();
    for power in 0..=8 {
        let count = 4_usize.pow(power);
        let batch = Batch::new(MessageType::Binary, FRAGMENTED, count);
        let contenders = named(receive::ours(&batch), "receive").collect();
        figures.extend(measure(&count.to_string(), scale, contenders));
    }
    Table {
        id: "growth-fragments".to_owned(),
        title: "How cost grows with the fragments of a message".to_owned(),
        unit: "ns a message of 64 KiB".to_owned(),
        note: "Ours alone: a binary message of 64 KiB in frames of equal size.".to_owned(),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}
