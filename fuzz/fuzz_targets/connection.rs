//! Whole connections: both ends joined under a virtual clock, with calls of the application,
//! delays, short writes, pauses, losses and cuts. They come to rest, and nothing is lost or
//! invented.
#![no_main]

#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use core::time::Duration;

use arbitrary::Arbitrary;
use duologue_core::{CloseStatus, Config, Keepalive, MessageType, ReadyState, Timestamp};
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};
use support::endpoint::Mode;
use support::pair::{Command, Half, LinkPlan, Pair};
use support::reference::{self, Heard};
use support::{End, T0};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Commands are given within this time; then both ends close.
const SCRIPT: Duration = Duration::from_secs(20);

/// The longest payload of a command, past the limit of a message.
const LONGEST: usize = 12_000;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    keepalive: Option<(u16, u16, bool)>,
    closing: u16,
    stall: u16,
    high_water: u16,
    automatic_pong: bool,
    links: [Link; 2],
    client_closes_first: bool,
    script: Vec<(u16, bool, Call<'a>)>,
}

#[derive(Arbitrary, Debug)]
struct Link {
    delay: u16,
    capacity: u16,
    writes: Vec<u16>,
    mode: u8,
}

/// What an application does, or the network; a payload comes as often as the number beside it says.
#[derive(Arbitrary, Debug)]
enum Call<'a> {
    Text(&'a str, u8),
    Binary(&'a [u8], u8),
    BeginText(&'a str),
    BeginBinary(&'a [u8], u8),
    Continue(&'a [u8], bool),
    Ping(&'a [u8]),
    Close(u16),
    CloseWithoutCode,
    Fail(u16),
    PauseReading(bool),
    BlackHole,
    Cut,
    Reset,
}

fn repeated(bytes: &[u8], times: u8) -> Vec<u8> {
    let most = LONGEST / bytes.len().max(1);
    bytes.repeat((1 + usize::from(times)).min(most))
}

impl Call<'_> {
    fn command(&self) -> Command {
        let code = |code: u16| 3000 + code % 2000;
        match *self {
            Self::Text(text, times) => {
                Command::Send(MessageType::Text, repeated(text.as_bytes(), times))
            }
            Self::Binary(bytes, times) => {
                Command::Send(MessageType::Binary, repeated(bytes, times))
            }
            Self::BeginText(text) => Command::Begin(MessageType::Text, text.into()),
            Self::BeginBinary(bytes, times) => {
                Command::Begin(MessageType::Binary, repeated(bytes, times))
            }
            Self::Continue(bytes, fin) => Command::Continue(bytes.to_vec(), fin),
            Self::Ping(payload) => Command::Ping(payload.to_vec()),
            Self::Close(number) => Command::Close(code(number)),
            Self::CloseWithoutCode => Command::CloseWithoutCode,
            Self::Fail(number) => Command::Fail(code(number)),
            Self::PauseReading(paused) => Command::PauseReading(paused),
            Self::BlackHole => Command::BlackHole,
            Self::Cut => Command::Cut,
            Self::Reset => Command::Reset,
        }
    }
}

impl Link {
    fn plan(&self) -> LinkPlan {
        let mut writes: Vec<_> =
            self.writes.iter().take(4).map(|most| usize::from(*most)).collect();
        // A transport that never takes anything would only show the stall deadline.
        writes.push(3000);
        LinkPlan {
            delay: millis(self.delay % 2000),
            capacity: 64 + usize::from(self.capacity),
            writes,
            mode: [Mode::Messages, Mode::Lent, Mode::Chunks][usize::from(self.mode) % 3],
        }
    }
}

fn millis(millis: u16) -> Duration {
    Duration::from_millis(millis.into())
}

impl Input<'_> {
    fn config(&self) -> Config {
        let timeout = |number: u16| millis(1 + number % 9000);
        Config {
            // More often than this it would be nothing but pings.
            keepalive: self.keepalive.map(|(interval, pong, always)| Keepalive {
                interval: timeout(interval) + millis(100),
                timeout: timeout(pong) + millis(100),
                always,
            }),
            closing_timeout: timeout(self.closing),
            write_stall_timeout: timeout(self.stall),
            write_high_water: 1 + usize::from(self.high_water),
            max_message_length: 9000,
            max_frame_length: 8000,
            max_empty_fragments: 3,
            automatic_pong: self.automatic_pong,
            ..Config::DEFAULT
        }
    }

    fn script(&self) -> Vec<(Timestamp, End, Command)> {
        let end = |client| if client { End::Client } else { End::Server };
        let call = |(at, client, call): &(u16, bool, Call<'_>)| {
            (T0 + millis(at % 20_000), end(*client), call.command())
        };
        let mut script: Vec<_> = self.script.iter().take(40).map(call).collect();
        script.sort_by_key(|(at, ..)| *at);
        let first = end(self.client_closes_first);
        script.push((T0 + SCRIPT, first, Command::Close(1001)));
        script.push((T0 + SCRIPT + millis(1), first.peer(), Command::Close(1000)));
        script
    }
}

/// Checks one end after all is over; `peer` is the other.
fn check(half: &Half, peer: &Half) {
    assert_eq!(half.terminals, 1, "exactly one terminal step");
    assert!(half.shutdowns <= 1, "sending ends once");
    let endpoint = &half.endpoint;
    assert_eq!(endpoint.ready_state(), ReadyState::Closed);
    assert_eq!(endpoint.next_deadline(), None);

    // What it sent: frames that keep the rules, and nothing behind Close.
    let verdict = reference::decode(&half.emitted, &half.end.sending_rules());
    assert_eq!(verdict.fault, None);
    let closed = matches!(verdict.heard.last(), Some(Heard::Close(..)));
    let outcome = endpoint.close_outcome().unwrap();
    if closed {
        let all_but_one = &half.emitted[..half.emitted.len() - 1];
        let before = reference::decode(all_but_one, &half.end.sending_rules());
        assert_ne!(before.heard, verdict.heard, "bytes behind Close");
        assert!(outcome.sent.is_some());
    }

    // An end that calls itself clean has written its own Close frame and read the peer's.
    if outcome.was_clean {
        assert!(closed && outcome.status != CloseStatus::Abnormal);
    }

    // What it sent whole comes to the peer in this order, all of it if the peer came to its Close.
    let is_message = |heard: &&Heard| matches!(heard, Heard::Text(_) | Heard::Binary(_));
    let heard: Vec<_> = peer.reader.heard.iter().filter(is_message).collect();
    assert!(heard.len() <= half.messages.len());
    assert!(heard.iter().zip(&half.messages).all(|(heard, sent)| *heard == sent));
    let peers = peer.endpoint.close_outcome().unwrap();
    if peers.status != CloseStatus::Abnormal {
        assert_eq!(heard.len(), half.messages.len(), "a message was lost before Close");
        assert_eq!(outcome.sent, Some(peers.status));
    }
}

/// How many bytes of payload `script` hands to the ends.
fn payload_bytes(script: &[(Timestamp, End, Command)]) -> usize {
    let payload = |command: &Command| match command {
        Command::Send(_, payload) | Command::Begin(_, payload) => payload.len(),
        Command::Continue(payload, _) | Command::Ping(payload) => payload.len(),
        _ => 0,
    };
    script.iter().map(|(_, _, command)| payload(command)).sum()
}

fuzz_target!(|input: Input<'_>| {
    let config = input.config();
    let plans = [input.links[0].plan(), input.links[1].plan()];
    let slowest = plans[0].delay.max(plans[1].delay);
    let script = input.script();
    let (pair, _, most) = counted(|| {
        let mut pair = Pair::new(&config, plans);
        pair.run(&script, 1_000_000);
        pair
    });
    let elapsed = pair.now.saturating_since(T0);
    let emitted: usize = pair.halves.iter().map(|half| half.emitted.len()).sum();

    // Closing has its deadline. What is behind the end of input has the stall deadline, anew with
    // each byte that goes out, and all that can go out by then are some packets.
    let packets = u32::try_from(60 + emitted).unwrap();
    let timeouts = config.closing_timeout + config.write_stall_timeout * packets;
    assert!(elapsed <= SCRIPT + timeouts + slowest * packets);

    // Each step is a command, a packet, which has a byte at least, or a deadline, and no two of an
    // end are due within a millisecond.
    let deadlines = 4 * usize::try_from(elapsed.as_millis()).unwrap();
    let steps = usize::try_from(pair.steps).unwrap();
    assert!(steps <= 100 + script.len() + 2 * emitted + deadlines, "{steps} steps");

    // The buffers of two ends, and what the harness keeps of payloads and of all that was sent.
    let kept = 16 * payload_bytes(&script) + 64 * emitted;
    assert!(most.unsigned_abs() <= 512 * 1024 + kept, "{most} bytes held");

    let [server, client] = &pair.halves;
    check(server, client);
    check(client, server);
});
