//! The time that a message takes, and what it comes to on the wire.

use core::time::Duration;

use bytes::Bytes;

use super::records::records;
use super::wire::Setting;
use super::{Candidate, Ends, candidates, takeover_name};
use crate::memory::size_name;
use crate::results::{Figure, Table, figure};
use crate::scale::Scale;
use crate::timing::{processor_time, whole};

const SIZES: [usize; 3] = [128, 930, 16 * 1024];

/// As many as a busy thread may serve.
const MANY: usize = 32;

const NOTE: &str = "\
    Records in JSON, no two the same within 64 KiB on any connection, are sent as text by servers \
    and received by their clients, of 32 connections that take turns, through memory. What is \
    sent in one phase of a round is received in the next, one read a message: both phases are \
    timed by the processor time that they take, and their sum. Level 1, a window of 32 KiB, memory \
    level 8. With takeover a message refers to those before it; without, each is compressed by \
    itself. Everybody checks that text is UTF-8, and every message is compared with what was \
    sent, which counts. Ours: endpoints with the pools of buffers and compressors that the \
    adapters give them. Ours, unshared: each endpoint keeps its own compressor and decompressor. \
    yawc: `send` and `next`, feature `zlib`, which is zlib-rs; without takeover with a \
    `DeflatePool`. sockudo-ws: `CompressedWebSocketStream`. wtx: `Flate2`, which never takes over; \
    feature `flate2`, which is zlib-rs. soketto is left out, for its extension inflates nothing \
    with `flate2` from 1.1.11 on, and chooses the C zlib for all others who use `flate2`. The \
    floors are the engines alone, without frames, one for each end with takeover and else one for \
    all.";

/// A candidate at work.
struct Runner {
    name: &'static str,
    setting: Setting,
    ends: Box<dyn Ends>,
    /// How many messages have been sent.
    sent: usize,
}

impl Runner {
    fn new(candidate: &Candidate, connections: usize, takes_over: bool) -> Self {
        let setting = Setting::new(connections, takes_over, false);
        let ends = (candidate.make)(&setting);
        Self { name: candidate.name, setting, ends, sent: 0 }
    }

    /// Sends so many messages, connection by connection in turn, then receives them; how long
    /// either takes.
    fn exchange(&mut self, messages: &[Bytes], count: usize) -> [Duration; 2] {
        let connections = self.setting.ends.len() / 2;
        let range = self.sent..self.sent + count;
        self.sent += count;
        let turns = |side: usize| {
            let message = |index: usize| &messages[index % messages.len()];
            range.clone().map(move |index| (2 * (index % connections) + side, message(index)))
        };
        let begun = processor_time();
        self.ends.send(&mut turns(0));
        let between = processor_time();
        self.ends.receive(&mut turns(1));
        [between - begun, processor_time() - between]
    }

    /// How many messages a round takes, so that both phases together take as long as two rounds of
    /// others.
    fn calibrate(&mut self, messages: &[Bytes], scale: Scale) -> usize {
        // Until what may be referred to is all there.
        self.exchange(messages, messages.len());
        let count = messages.len().min(1024);
        let taken: Duration = self.exchange(messages, count).iter().sum();
        let each = taken.as_secs_f64() / whole(count as u64);
        let wanted = 2.0 * scale.round().as_secs_f64() / each;
        let candidates = core::iter::successors(Some(64_usize), |count| Some(count * 2));
        candidates.take(8).find(|count| whole(*count as u64) >= wanted).unwrap_or(8192)
    }
}

fn measure(
    row: &str,
    connections: usize,
    takes_over: bool,
    size: usize,
    scale: Scale,
) -> Vec<Figure> {
    let messages = records(connections, size);
    let mut runners: Vec<_> = candidates(takes_over)
        .map(|candidate| Runner::new(candidate, connections, takes_over))
        .collect();
    let counts: Vec<_> =
        runners.iter_mut().map(|runner| runner.calibrate(&messages, scale)).collect();
    let mut samples = vec![[Vec::new(), Vec::new(), Vec::new()]; runners.len()];
    for round in 0..scale.rounds() {
        for turn in 0..runners.len() {
            let index = (round + turn) % runners.len();
            let [sent, received] = runners[index].exchange(&messages, counts[index]);
            let times = [sent, received, sent + received];
            for (samples, time) in samples[index].iter_mut().zip(times) {
                samples.push(time.as_secs_f64() * 1e9 / whole(counts[index] as u64));
            }
        }
    }
    let mut figures = Vec::new();
    for (phase, name) in ["send", "receive", "both"].into_iter().enumerate() {
        let row = format!("{row}, {name}");
        let runners = runners.iter().zip(&samples);
        figures.extend(
            runners.map(|(runner, samples)| figure(&row, runner.name, samples[phase].clone())),
        );
    }
    figures
}

fn rows(mut measure: impl FnMut(&str, bool, usize) -> Vec<Figure>) -> Vec<Figure> {
    let mut figures = Vec::new();
    for takes_over in [true, false] {
        for size in SIZES {
            let row = format!("{}, {}", size_name(size), takeover_name(takes_over));
            figures.extend(measure(&row, takes_over, size));
        }
    }
    figures
}

fn table(id: &str, title: &str, unit: &str, note: &str, figures: Vec<Figure>) -> Table {
    Table {
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        note: note.to_owned(),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}

/// The comparison with many connections in turn.
#[must_use]
pub fn many(scale: Scale) -> Table {
    let figures = rows(|row, takes_over, size| measure(row, MANY, takes_over, size, scale));
    table("deflate", "Compression, 32 connections in turn", "ns a message", NOTE, figures)
}

/// The comparison with one connection.
#[must_use]
pub fn alone(scale: Scale) -> Table {
    let figures = rows(|row, takes_over, size| measure(row, 1, takes_over, size, scale));
    let note = "As above, but one connection only: everything stays in the caches.";
    table("deflate-alone", "Compression, one connection", "ns a message", note, figures)
}

/// What messages come to.
#[must_use]
pub fn size(_: Scale) -> Table {
    let figures = rows(|row, takes_over, size| {
        let messages = records(MANY, size);
        let each = |candidate: &Candidate| {
            let mut runner = Runner::new(candidate, MANY, takes_over);
            runner.exchange(&messages, messages.len());
            let before = runner.setting.sent();
            runner.exchange(&messages, messages.len());
            let bytes = whole(runner.setting.sent() - before) / whole(messages.len() as u64);
            figure(row, candidate.name, vec![bytes])
        };
        candidates(takes_over).map(each).collect()
    });
    let note = "What the messages of the comparison above come to, frames included, after 64 KiB \
        on each connection. The floors have no frames.";
    table("deflate-size", "Compressed messages on the wire", "bytes a message", note, figures)
}
