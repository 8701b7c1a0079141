//! Compression: permessage-deflate (RFC 7692).

mod broadcast;
mod engines;
mod memory;
mod ours;
mod peers;
mod records;
mod speed;
mod wire;

use bytes::Bytes;

pub use broadcast::table as broadcast;
pub use memory::table as memory;
pub use speed::{alone, many, size};

use wire::Setting;

/// The compression level of all contenders: the fastest one.
const LEVEL: u8 = 1;

/// Which end is to do something next, and with which message.
type Turns<'a, 'b> = &'a mut (dyn Iterator<Item = (usize, &'b Bytes)> + 'a);

/// Both ends of many connections: of each the server, then its client.
trait Ends {
    /// Each end sends its message.
    fn send(&mut self, turns: Turns<'_, '_>);

    /// Each end receives a message, which has to be the one that is given.
    fn receive(&mut self, turns: Turns<'_, '_>);
}

/// Somebody who compresses.
#[derive(Clone, Copy)]
struct Candidate {
    name: &'static str,
    /// Whether it can let messages refer to those before them.
    can_take_over: bool,
    make: fn(&Setting) -> Box<dyn Ends>,
}

const CANDIDATES: &[Candidate] = &[
    Candidate { name: "ours", can_take_over: true, make: |setting| ours(setting, true) },
    Candidate { name: "ours, unshared", can_take_over: true, make: |setting| ours(setting, false) },
    Candidate { name: "yawc", can_take_over: true, make: peers::yawc },
    Candidate { name: "sockudo-ws", can_take_over: true, make: peers::sockudo_ws },
    Candidate { name: "wtx", can_take_over: false, make: peers::wtx },
    Candidate { name: "zlib-rs (floor)", can_take_over: true, make: engines::zlib_rs },
    Candidate { name: "miniz_oxide (floor)", can_take_over: true, make: engines::miniz_oxide },
];

fn ours(setting: &Setting, pooled: bool) -> Box<dyn Ends> {
    Box::new(ours::Ours::new(setting, pooled))
}

fn candidates(takes_over: bool) -> impl Iterator<Item = &'static Candidate> {
    CANDIDATES.iter().filter(move |candidate| candidate.can_take_over || !takes_over)
}

/// How rows are called.
const fn takeover_name(takes_over: bool) -> &'static str {
    if takes_over { "takeover" } else { "no takeover" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::records;

    #[test]
    fn every_candidate_compresses_and_inflates_in_both_directions() {
        for takes_over in [true, false] {
            for candidate in candidates(takes_over) {
                for length in [128, 930, 16 * 1024] {
                    let setting = Setting::new(3, takes_over, length == 930);
                    let mut ends = (candidate.make)(&setting);
                    let messages = records(3, length);
                    for (round, message) in messages.iter().enumerate() {
                        // Both ends of each connection, and several messages at once.
                        let (one, other) = (round % 6, (round % 6) ^ 1);
                        let sent = [message, &messages[0]];
                        ends.send(&mut sent.map(|message| (one, message)).into_iter());
                        ends.receive(&mut sent.map(|message| (other, message)).into_iter());
                    }
                    let plain = 2 * messages.len() * length;
                    let share =
                        crate::timing::whole(setting.sent()) / crate::timing::whole(plain as u64);
                    // Short messages may go as they are where nothing helps to compress them.
                    let expected = match (length, takes_over) {
                        (128, true) => 0.2..0.7,
                        (128, false) => 0.7..1.05,
                        (_, true) => 0.1..0.35,
                        (_, false) => 0.15..0.7,
                    };
                    let name = candidate.name;
                    assert!(expected.contains(&share), "{name}, {length}, {takes_over}: {share}");
                }
            }
        }
    }
}
