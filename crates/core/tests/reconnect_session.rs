//! A client that stays connected, driven by hand under a virtual clock.

#![cfg(feature = "alloc")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use core::time::Duration;

use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::reconnect::{
    CloseEvent, Command, Next, ReconnectPolicy, Session, SessionConfig, SessionEvent, UnsentReason,
    WhileDown,
};
use duologue_core::{CloseCode, Message, ReadyState, SendError, Timestamp};

const T0: Timestamp = Timestamp::ZERO;

/// 1 s, then 2 s, and no third attempt; nothing left to chance.
const CONFIG: SessionConfig = SessionConfig {
    policy: ReconnectPolicy {
        first_delay: Duration::from_secs(1),
        factor: 2.0,
        jitter: 0.0,
        max_delay: Duration::from_secs(30),
        max_attempts: Some(2),
        reset_after: Duration::from_secs(10),
    },
    while_down: WhileDown::Refuse,
    max_buffered: 1000,
};

const KEEPING: SessionConfig = SessionConfig { while_down: WhileDown::Keep(2), ..CONFIG };

/// Why a connection failed.
#[derive(Debug, PartialEq, Eq)]
struct Cause(&'static str);

fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

fn ended(code: u16) -> CloseEvent {
    CloseEvent { code, reason: String::new(), was_clean: code != 1006 }
}

fn session(config: SessionConfig) -> Session<Cause> {
    Session::new(config)
}

fn open(session: &mut Session<Cause>, now: Timestamp) {
    assert_eq!(session.next_action(), Next::Connect);
    session.opened(Some("chat"), NegotiatedExtensions::default(), now);
    let up = SessionEvent::Up {
        subprotocol: Some("chat".into()),
        extensions: NegotiatedExtensions::default(),
    };
    assert_eq!(session.poll_event(), Some(up));
    assert_eq!(session.ready_state(), ReadyState::Open);
}

fn lose(session: &mut Session<Cause>, now: Timestamp) {
    session.closed(ended(1006), Some(Cause("lost")), 0, true, now, 0);
}

fn down(dropped: usize, retry_in: Option<u64>) -> Option<SessionEvent<Cause>> {
    Some(SessionEvent::Down {
        close: ended(1006),
        cause: Some(Cause("lost")),
        dropped,
        retry_in: retry_in.map(Duration::from_secs),
    })
}

fn refused(session: &mut Session<Cause>, text: &str) -> UnsentReason {
    let unsent = session.send(Message::text(text)).unwrap_err();
    assert_eq!(unsent.message, Message::text(text), "the message comes back");
    unsent.reason
}

fn sends(session: &mut Session<Cause>) -> Vec<String> {
    std::iter::from_fn(|| session.poll_command())
        .map(|command| match command {
            Command::Send(message) => message.as_text().unwrap().into(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn session_connects_again_after_each_loss_until_no_attempt_is_left() {
    let mut session = session(CONFIG);
    open(&mut session, T0);
    lose(&mut session, after(3));
    assert_eq!(session.poll_event(), down(0, Some(1)));
    assert_eq!(session.ready_state(), ReadyState::Connecting);
    assert_eq!(session.next_action(), Next::Wait(after(4)));
    session.handle_timeout(after(3));
    assert_eq!(session.next_action(), Next::Wait(after(4)));
    session.handle_timeout(after(4));
    open(&mut session, after(4));
    lose(&mut session, after(5));
    assert_eq!(session.poll_event(), down(0, Some(2)));
    session.handle_timeout(after(7));
    // This time the attempt fails.
    lose(&mut session, after(8));
    assert_eq!(session.poll_event(), down(0, None));
    assert_eq!((session.next_action(), session.poll_event()), (Next::Stop, None));
    assert_eq!(session.ready_state(), ReadyState::Closed);
    assert_eq!(refused(&mut session, "late"), UnsentReason::Closed);
}

#[test]
fn connection_that_was_up_for_a_while_begins_anew() {
    let mut session = session(CONFIG);
    let mut now = T0;
    for _ in 0..10 {
        open(&mut session, now);
        now = now + Duration::from_secs(10);
        lose(&mut session, now);
        assert_eq!(session.poll_event(), down(0, Some(1)));
        now = now + Duration::from_secs(1);
        session.handle_timeout(now);
    }
}

#[test]
fn failure_that_no_attempt_can_mend_is_the_end() {
    let mut session = session(CONFIG);
    session.closed(ended(1006), Some(Cause("401")), 0, false, T0, 0);
    let Some(SessionEvent::Down { cause, retry_in, .. }) = session.poll_event() else { panic!() };
    assert_eq!((cause, retry_in), (Some(Cause("401")), None));
    assert_eq!(session.next_action(), Next::Stop);
}

#[test]
fn messages_are_refused_while_down_and_the_unsent_are_dropped() {
    let mut session = session(CONFIG);
    assert_eq!(refused(&mut session, "early"), UnsentReason::Down);
    open(&mut session, T0);
    for text in ["one", "two", "three"] {
        session.send(Message::text(text)).unwrap();
    }
    assert_eq!(session.poll_command(), Some(Command::Send(Message::text("one"))));
    assert_eq!(session.buffered_amount(), 11);
    session.transmitted(2);
    assert_eq!(session.buffered_amount(), 9);
    lose(&mut session, after(1));
    assert_eq!(session.poll_event(), down(2, Some(1)));
    assert_eq!((session.buffered_amount(), session.poll_command()), (0, None));
    assert_eq!(refused(&mut session, "down"), UnsentReason::Down);
    session.handle_timeout(after(2));
    open(&mut session, after(2));
    assert_eq!(session.poll_command(), None);
}

#[test]
fn messages_are_kept_while_down_up_to_a_number_and_go_out_in_order() {
    let mut session = session(KEEPING);
    session.send(Message::text("one")).unwrap();
    session.send(Message::text("two")).unwrap();
    assert_eq!(refused(&mut session, "three"), UnsentReason::Down);
    assert_eq!(session.poll_command(), None, "there is no connection yet");
    open(&mut session, T0);
    assert_eq!(session.poll_command(), Some(Command::Send(Message::text("one"))));
    session.send(Message::text("three")).unwrap();
    session.send(Message::text("four")).unwrap();
    // What was handed over is not sent again; the rest is, even if it is more than may be kept.
    lose(&mut session, after(1));
    assert_eq!(session.poll_event(), down(0, Some(1)));
    assert_eq!(refused(&mut session, "five"), UnsentReason::Down);
    session.handle_timeout(after(2));
    open(&mut session, after(2));
    assert_eq!(sends(&mut session), ["two", "three", "four"]);
}

#[test]
fn bytes_that_wait_are_bounded_but_one_message_always_fits() {
    let mut session = session(CONFIG);
    open(&mut session, T0);
    let large = "x".repeat(10_000);
    session.send(Message::text(large.as_str())).unwrap();
    assert_eq!(refused(&mut session, "more"), UnsentReason::Full);
    assert_eq!(sends(&mut session), [large]);
    assert_eq!(refused(&mut session, "more"), UnsentReason::Full);
    session.transmitted(9_900);
    session.send(Message::text("y".repeat(700).as_str())).unwrap();
    // Empty ones count, too.
    session.send(Message::text("")).unwrap();
    session.send(Message::text("")).unwrap();
    assert_eq!(refused(&mut session, "z"), UnsentReason::Full);
    assert_eq!(refused(&mut session, ""), UnsentReason::Full);
    assert_eq!(session.buffered_amount(), 800);
}

#[test]
fn what_the_connection_had_not_begun_to_write_is_told_as_dropped() {
    for config in [CONFIG, KEEPING] {
        let mut session = session(config);
        open(&mut session, T0);
        for text in ["one", "two", "three"] {
            session.send(Message::text(text)).unwrap();
        }
        session.poll_command();
        session.poll_command();
        session.closed(ended(1006), Some(Cause("lost")), 1, true, after(1), 0);
        let dropped = if config == KEEPING { 1 } else { 2 };
        assert_eq!(session.poll_event(), down(dropped, Some(1)));
    }
}

#[test]
fn events_that_nobody_takes_become_one() {
    let mut session = session(CONFIG);
    open(&mut session, T0);
    for round in 0..1000 {
        let now = after(20 * round);
        session.send(Message::text("unsent")).unwrap();
        lose(&mut session, now);
        session.handle_timeout(now + Duration::from_secs(1));
        session.opened(None, NegotiatedExtensions::default(), now + Duration::from_secs(1));
        session.transmitted(0);
    }
    let Some(SessionEvent::Down { dropped, .. }) = session.poll_event() else { panic!() };
    assert_eq!(dropped, 1000);
    assert!(matches!(session.poll_event(), Some(SessionEvent::Up { .. })));
    assert_eq!(session.poll_event(), None);
}

#[test]
fn giving_up_ends_without_a_closing_handshake() {
    let mut up = session(CONFIG);
    open(&mut up, T0);
    up.send(Message::text("unsent")).unwrap();
    up.give_up();
    assert!(up.is_aborted());
    assert_eq!(up.poll_command(), Some(Command::Abort));
    up.closed(ended(1006), None, 0, true, T0, 0);
    let Some(SessionEvent::Down { dropped, retry_in, .. }) = up.poll_event() else { panic!() };
    assert_eq!((dropped, retry_in, up.next_action()), (1, None, Next::Stop));

    let mut waiting = session(CONFIG);
    lose(&mut waiting, T0);
    waiting.give_up();
    assert_eq!(waiting.next_action(), Next::Stop);
}

#[test]
fn waiting_can_be_cut_short() {
    let mut session = session(CONFIG);
    session.retry_now();
    lose(&mut session, T0);
    assert_eq!(session.poll_event(), down(0, Some(1)));
    assert_eq!(session.next_action(), Next::Wait(after(1)));
    session.retry_now();
    open(&mut session, T0);
    session.retry_now();
    assert_eq!(session.ready_state(), ReadyState::Open);
}

#[test]
fn close_goes_out_behind_what_was_sent_and_is_the_end() {
    let mut session = session(CONFIG);
    open(&mut session, T0);
    session.send(Message::text("last")).unwrap();
    session.close(Some((CloseCode::NORMAL, "bye"))).unwrap();
    session.close(None).unwrap();
    assert_eq!(session.ready_state(), ReadyState::Closing);
    assert!(!session.is_aborted());
    assert_eq!(refused(&mut session, "after"), UnsentReason::Closed);
    assert_eq!(session.poll_command(), Some(Command::Send(Message::text("last"))));
    let close = Command::Close(Some((CloseCode::NORMAL, "bye".into())));
    assert_eq!((session.poll_command(), session.poll_command()), (Some(close), None));
    // What the peer still sends is delivered.
    session.received(Message::text("theirs"));
    assert_eq!(session.poll_event(), Some(SessionEvent::Message(Message::text("theirs"))));
    session.closed(ended(1000), None, 0, true, after(1), 0);
    let end = SessionEvent::Down { close: ended(1000), cause: None, dropped: 0, retry_in: None };
    assert_eq!((session.poll_event(), session.next_action()), (Some(end), Next::Stop));
}

#[test]
fn close_without_a_connection_ends_at_once() {
    // While an attempt is made: the driver gives it up. A 101 that comes all the same is ignored.
    let mut connecting = session(CONFIG);
    connecting.close(None).unwrap();
    assert!(connecting.is_aborted());
    assert_eq!(connecting.poll_command(), Some(Command::Abort));
    connecting.opened(None, NegotiatedExtensions::default(), T0);
    assert_eq!(connecting.poll_event(), None);
    connecting.closed(ended(1006), None, 0, true, T0, 0);
    assert_eq!(connecting.next_action(), Next::Stop);
    assert!(matches!(connecting.poll_event(), Some(SessionEvent::Down { retry_in: None, .. })));

    // Between attempts, with a message kept.
    let mut waiting = session(KEEPING);
    lose(&mut waiting, T0);
    assert_eq!(waiting.poll_event(), down(0, Some(1)));
    waiting.send(Message::text("kept")).unwrap();
    waiting.close(Some((CloseCode::NORMAL, ""))).unwrap();
    assert_eq!(waiting.next_action(), Next::Stop);
    let Some(SessionEvent::Down { dropped, retry_in, .. }) = waiting.poll_event() else { panic!() };
    assert_eq!((dropped, retry_in), (1, None));
    waiting.handle_timeout(after(100));
    assert_eq!((waiting.next_action(), waiting.poll_event()), (Next::Stop, None));
}

#[test]
fn close_reason_past_123_bytes_is_refused_in_every_state() {
    let mut session = session(CONFIG);
    let reason = "x".repeat(124);
    for _ in 0..2 {
        let refused = session.close(Some((CloseCode::NORMAL, reason.as_str())));
        assert_eq!(refused, Err(SendError::CloseReasonTooLong));
        session.close(None).unwrap();
    }
}

#[test]
fn backlog_counts_what_waits_to_be_taken() {
    let mut session = session(CONFIG);
    open(&mut session, T0);
    session.received(Message::text("12345"));
    session.received(Message::text(""));
    let two = session.backlog();
    assert!(two > 5);
    session.poll_event();
    assert!(session.backlog() > 0 && session.backlog() < two);
    session.poll_event();
    assert_eq!(session.backlog(), 0);
}

/// What may happen to a session.
#[derive(Clone, Copy, Debug)]
enum Input {
    Send,
    Close,
    Time,
    Opened,
    Lost,
    Refused,
    Command,
}

const INPUTS: [Input; 7] = [
    Input::Send,
    Input::Close,
    Input::Time,
    Input::Opened,
    Input::Lost,
    Input::Refused,
    Input::Command,
];

/// Every sequence of inputs up to this length.
const DEPTH: u32 = 7;

/// Runs a sequence and checks the rules that hold for every one.
fn run(config: SessionConfig, inputs: &[Input]) {
    let mut session = session(config);
    let mut now = T0;
    let (mut accepted, mut handed, mut dropped, mut ends) = (0_usize, 0, 0, 0);
    let mut was_over = false;
    for input in inputs {
        let waits = matches!(session.next_action(), Next::Wait(_));
        match input {
            Input::Send => accepted += usize::from(session.send(Message::text("hello")).is_ok()),
            Input::Close => session.close(None).unwrap(),
            Input::Time => {
                now = now + Duration::from_secs(100);
                session.handle_timeout(now);
                assert!(!matches!(session.next_action(), Next::Wait(at) if at <= now));
            }
            // A driver tells of a connection only when it was to make one.
            Input::Opened | Input::Lost | Input::Refused if waits => {}
            Input::Opened => session.opened(None, NegotiatedExtensions::default(), now),
            Input::Lost => lose(&mut session, now),
            Input::Refused => session.closed(ended(1008), None, 0, false, now, 0),
            Input::Command => {
                let command = session.poll_command();
                handed += usize::from(matches!(command, Some(Command::Send(_))));
                let idle =
                    matches!(session.ready_state(), ReadyState::Connecting | ReadyState::Closed);
                assert!(!idle || command.is_none(), "{inputs:?}");
            }
        }
        while let Some(event) = session.poll_event() {
            assert_eq!(ends, 0, "nothing follows the end: {inputs:?}");
            if let SessionEvent::Down { dropped: count, retry_in, .. } = event {
                dropped += count;
                ends += usize::from(retry_in.is_none());
            }
        }
        let is_over = session.next_action() == Next::Stop;
        assert!(is_over || !was_over, "over is over: {inputs:?}");
        assert_eq!(is_over, session.ready_state() == ReadyState::Closed);
        assert_eq!(is_over, ends == 1, "the end is told: {inputs:?}");
        was_over = is_over;
    }
    // Each message that was taken was handed over once, or dropped and told of, or still waits.
    while let Some(command) = session.poll_command() {
        match command {
            Command::Send(_) => handed += 1,
            Command::Abort => break,
            Command::Close(_) => {}
        }
    }
    let waits = accepted - handed - dropped;
    let may_wait = session.ready_state() == ReadyState::Connecting || session.is_aborted();
    assert!(waits == 0 || may_wait, "{inputs:?}");
}

#[test]
fn every_sequence_of_inputs_keeps_the_rules() {
    let mut sequence = Vec::new();
    for length in 1..=DEPTH {
        for mut index in 0..INPUTS.len().pow(length) {
            sequence.clear();
            for _ in 0..length {
                sequence.push(INPUTS[index % INPUTS.len()]);
                index /= INPUTS.len();
            }
            run(CONFIG, &sequence);
            run(KEEPING, &sequence);
        }
    }
}

#[test]
fn session_that_nobody_can_reach_closes_with_1001() {
    let mut up = session(CONFIG);
    open(&mut up, T0);
    up.send(Message::text("last")).unwrap();
    up.discard();
    assert_eq!(up.poll_command(), Some(Command::Send(Message::text("last"))));
    let close = Command::Close(Some((CloseCode::GOING_AWAY, "".into())));
    assert_eq!((up.poll_command(), up.poll_command()), (Some(close), None));

    let mut waiting = session(CONFIG);
    lose(&mut waiting, T0);
    waiting.discard();
    assert_eq!(waiting.next_action(), Next::Stop);
}

#[test]
fn giving_up_what_is_over_changes_nothing() {
    let mut over = session(CONFIG);
    lose(&mut over, T0);
    over.give_up();
    while over.poll_event().is_some() {}
    over.give_up();
    over.retry_now();
    assert_eq!((over.next_action(), over.poll_event()), (Next::Stop, None));

    let mut abandoned = session(CONFIG);
    abandoned.give_up();
    abandoned.give_up();
    assert!(abandoned.is_aborted());
    assert_eq!((abandoned.poll_command(), abandoned.poll_event()), (Some(Command::Abort), None));
}

#[test]
fn refused_message_says_why() {
    let mut session = session(CONFIG);
    let why = |session: &mut Session<Cause>| {
        session.send(Message::binary(vec![0; 900])).unwrap_err().to_string()
    };
    assert_eq!(why(&mut session), "there is no connection to send the message with");
    open(&mut session, T0);
    session.send(Message::text("first")).unwrap();
    session.send(Message::binary(vec![0; 500])).unwrap();
    assert_eq!(why(&mut session), "too many bytes wait to be sent already");
    session.close(None).unwrap();
    assert_eq!(why(&mut session), "the session is closed");
}
