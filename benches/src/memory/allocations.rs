//! Allocations in the steady state.

use bytes::Bytes;
use duologue_core::MessageType;

use crate::counting;
use crate::memory::batch::Batch;
use crate::memory::{binary, receive, send, size_name};
use crate::results::{Figure, Table, figure, names};
use crate::scale::Scale;
use crate::timing::{Contender, whole};

const SIZES: [usize; 3] = [16, 1024, 16 * 1024];

/// The messages after which nothing is made ready any more, and those that are counted.
const MESSAGES: f64 = 20_000.0;

fn counted(row: &str, contenders: Vec<Contender<'_>>) -> Vec<Figure> {
    let mut figures = Vec::new();
    for mut contender in contenders {
        if contender.name().contains("floor") {
            continue;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "20,000 at most"
        )]
        let iterations = (MESSAGES / contender.units()).ceil() as u64;
        contender.run(iterations);
        let (calls, _) = counting::count(|| contender.run(iterations));
        let each = whole(calls) / (whole(iterations) * contender.units());
        figures.push(figure(row, contender.name(), vec![each]));
    }
    figures
}

/// The comparison. It needs [`counting::Counting`] as the program's allocator.
#[must_use]
pub fn table(_: Scale) -> Table {
    let mut figures = Vec::new();
    for size in SIZES {
        let batch = Batch::new(MessageType::Binary, size, 1);
        let row = format!("receive, {}", size_name(size));
        figures.extend(counted(&row, receive::contenders(&batch)));
    }
    for size in SIZES {
        let payload = Bytes::from(binary(size));
        let row = format!("send as a server, {}", size_name(size));
        figures.extend(counted(&row, send::server_contenders(&payload)));
    }
    for size in SIZES {
        let payload = Bytes::from(binary(size));
        let row = format!("send as a client, {}", size_name(size));
        figures.extend(counted(&row, send::client_contenders(&payload)));
    }
    Table {
        id: "allocations".to_owned(),
        title: "Allocations in the steady state".to_owned(),
        unit: "allocations a message".to_owned(),
        note: "Calls of the allocator, growing a buffer included, over 20,000 messages after as \
               many that are not counted; the contenders are those of receiving and sending, and \
               marked are those that skip rules of receiving."
            .to_owned(),
        smaller_is_better: true,
        lenient: names(&receive::LENIENT),
        figures,
    }
}
