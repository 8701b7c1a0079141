//! One message to many connections.

use core::hint::black_box;

use bytes::Bytes;
use duologue_core::deflate::WindowBits;
use duologue_core::{Message, Prepared};

use super::candidates;
use super::ours::{DEFLATE, Ours};
use super::records::records;
use super::wire::Setting;
use crate::memory::size_name;
use crate::results::Table;
use crate::scale::Scale;
use crate::timing::{Contender, measure, whole};

const CONNECTIONS: usize = 32;

const SIZES: [usize; 3] = [128, 930, 16 * 1024];

fn prepared(message: &Bytes, compressed: bool) -> Prepared {
    let text = core::str::from_utf8(message).unwrap();
    let prepared = Prepared::new(&Message::text(text));
    if compressed { prepared.compressed(&DEFLATE, WindowBits::MAX) } else { prepared }
}

/// Ours, which prepares each message once.
fn preparing<'a>(name: &str, messages: &'a [Bytes], compressed: bool) -> Contender<'a> {
    let setting = Setting::new(CONNECTIONS, compressed, false);
    let mut ours = Ours::new(&setting, true);
    let mut messages = messages.iter().cycle();
    Contender::new(name, whole(CONNECTIONS as u64), move |iterations| {
        for _ in 0..iterations {
            let message = black_box(messages.next().unwrap());
            ours.broadcast(&prepared(message, compressed));
            setting.clear();
        }
    })
}

fn contenders(messages: &[Bytes]) -> Vec<Contender<'_>> {
    let mut contenders = vec![preparing("ours, prepared", messages, true)];
    for candidate in candidates(true) {
        let setting = Setting::new(CONNECTIONS, true, false);
        let mut ends = (candidate.make)(&setting);
        let mut messages = messages.iter().cycle();
        let run = move |iterations| {
            for _ in 0..iterations {
                let message = black_box(messages.next().unwrap());
                ends.send(&mut (0..CONNECTIONS).map(|index| (2 * index, message)));
                setting.clear();
            }
        };
        contenders.push(Contender::new(candidate.name, whole(CONNECTIONS as u64), run));
    }
    contenders
}

/// The comparison.
#[must_use]
pub fn table(scale: Scale) -> Table {
    let mut figures = Vec::new();
    for size in SIZES {
        let messages = records(CONNECTIONS, size);
        let contenders = contenders(&messages).into_iter().map(Contender::by_processor_time);
        figures.extend(measure(&size_name(size), scale, contenders.collect()));
    }
    Table {
        id: "deflate-broadcast".to_owned(),
        title: "One compressed message to 32 connections".to_owned(),
        unit: "ns a delivery".to_owned(),
        note: "Each message goes to all of 32 clients that have agreed on compression with \
               takeover. Ours prepared: `Prepared::compressed` once for each message, which is in \
               the figure, and `send_prepared`. All others compress it on each connection, as in \
               the comparison above."
            .to_owned(),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::deflate::Ends;

    #[test]
    fn a_prepared_message_goes_out_compressed_and_is_inflated() {
        let setting = Setting::new(3, true, false);
        let mut ours = Ours::new(&setting, true);
        for message in &records(3, 930)[..4] {
            let before = setting.sent();
            ours.broadcast(&prepared(message, true));
            assert!(setting.sent() - before < 3 * 700);
            ours.receive(&mut (0..3).map(|index| (2 * index + 1, message)));
        }
    }

    #[test]
    fn every_contender_runs() {
        let messages = records(CONNECTIONS, 930);
        for mut contender in contenders(&messages) {
            contender.run(3);
        }
    }
}
