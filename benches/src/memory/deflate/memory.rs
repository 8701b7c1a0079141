//! The memory that compression takes.

use bytes::Bytes;

use super::records::records;
use super::wire::Setting;
use super::{Candidate, Ends, candidates, takeover_name};
use crate::counting;
use crate::results::{Table, figure};
use crate::scale::Scale;
use crate::timing::whole;

const CONNECTIONS: usize = 64;

/// What each end sends and receives: how it is called, how many messages, and of which size.
const TRAFFIC: [(&str, usize, usize); 2] =
    [("10 messages of 930 B", 10, 930), ("2 MiB in messages of 16 KiB", 128, 16 * 1024)];

/// Every end sends a message, which the other end receives at once.
fn exchange(ends: &mut dyn Ends, messages: &[Bytes], count: usize) {
    let mut messages = messages.iter().cycle();
    for _ in 0..count {
        for index in 0..2 * CONNECTIONS {
            let message = messages.next().unwrap();
            ends.send(&mut core::iter::once((index, message)));
            ends.receive(&mut core::iter::once((index ^ 1, message)));
        }
    }
}

/// Bytes of heap that each end holds, and those that are left when all ends are gone.
fn held(candidate: &Candidate, takes_over: bool, count: usize, size: usize) -> (f64, f64) {
    let setting = Setting::new(CONNECTIONS, takes_over, true);
    let messages = records(2 * CONNECTIONS, size);
    let (mut ends, made) = counting::kept(|| (candidate.make)(&setting));
    let ((), grown) = counting::kept(|| exchange(&mut *ends, &messages, count));
    let ((), dropped) = counting::kept(|| drop(ends));
    let shared = (made + grown + dropped).max(0).unsigned_abs();
    let each = whole(dropped.unsigned_abs()) / whole(2 * CONNECTIONS as u64);
    (each, whole(shared))
}

/// The comparison. It needs [`counting::Counting`] as the program's allocator.
#[must_use]
pub fn table(_: Scale) -> Table {
    let mut figures = Vec::new();
    let mut shared = Vec::new();
    for takes_over in [true, false] {
        for (what, count, size) in TRAFFIC {
            let row = format!("{}, {what}", takeover_name(takes_over));
            for candidate in candidates(takes_over) {
                // In a thread of its own, whose pools are empty.
                let measured = std::thread::scope(|scope| {
                    let work = || held(candidate, takes_over, count, size);
                    scope.spawn(work).join().unwrap()
                });
                figures.push(figure(&row, candidate.name, vec![measured.0]));
                // A pool's own handle is none.
                if measured.1 > 4096.0 {
                    let row = format!("{row}: shared by all");
                    shared.push(figure(&row, candidate.name, vec![measured.1]));
                }
            }
        }
    }
    figures.append(&mut shared);
    Table {
        id: "deflate-memory".to_owned(),
        title: "Memory that compression takes".to_owned(),
        unit: "bytes of heap a connection".to_owned(),
        note: "64 connections in one thread, each end of which has sent and received so much in \
               turn with the others, as in the comparison of time; what the allocator was asked \
               for and has not been given back, for each end. It is what goes when the ends go: \
               what is left then, such as pools, is shared by all of them and stands below, in \
               all. yawc has buffers of 1 KiB, as it advises for many idle connections."
            .to_owned(),
        smaller_is_better: true,
        lenient: Vec::new(),
        figures,
    }
}
