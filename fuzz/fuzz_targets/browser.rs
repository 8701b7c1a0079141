//! The `WebSocket` object of browsers: any calls and events, in any order, keep the rules of the
//! WHATWG standard.
#![no_main]

#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use duologue_core::browser::{
    BinaryType, CloseEvent, Command, Creation, DomException, Event, Object,
};
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{CloseCode, CloseStatus, Message, ReadyState};
use libfuzzer_sys::fuzz_target;
use support::counting::{Counting, counted};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What an object takes besides its URL and what it holds for others.
const STATE: usize = 4096;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    url: &'a str,
    protocols: Vec<&'a str>,
    max_buffered: Option<u16>,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Send(u16, bool),
    Close,
    CloseWith(u16, &'a str),
    Discard,
    GiveUp,
    SetBinaryType(bool),
    Opened(Option<&'a str>),
    Received(&'a [u8]),
    PeerCloses,
    Transmitted(u32),
    Closed { code: u16, was_clean: bool, failed: bool },
    Dispatch,
    Command,
}

/// What has been seen of an object.
#[derive(Default)]
struct Rules {
    opened: bool,
    failed: bool,
    over: bool,
    /// It was to be closed before it was open.
    closed_early: bool,
    /// A command that ends the connection was given.
    ended: bool,
    /// Messages that came and were not dispatched, in order.
    waiting: VecDeque<Message>,
    sent: VecDeque<usize>,
    aborted: bool,
    /// The driver has told that the connection is over.
    told_over: bool,
    /// The protocol of the first `opened`.
    protocol: Option<String>,
}

impl Rules {
    fn step(&mut self, object: &mut Object<u8>, step: &Step<'_>) {
        let before = object.ready_state();
        let buffered = object.buffered_amount();
        let mut may_change = false;
        match *step {
            Step::Send(length, text) => {
                let payload = "x".repeat(length.into());
                let message = if text {
                    Message::text(payload)
                } else {
                    Message::binary(payload.into_bytes())
                };
                let sent = object.send(message);
                if before == ReadyState::Connecting {
                    assert_eq!(sent, Err(DomException::StillConnecting));
                    assert_eq!(object.buffered_amount(), buffered);
                } else {
                    // It grows in every other state, and is never an error.
                    assert_eq!(sent, Ok(()));
                    assert_eq!(object.buffered_amount(), buffered + u64::from(length));
                }
                if before == ReadyState::Open && !object.is_aborted() && !self.told_over {
                    self.sent.push_back(length.into());
                }
                // A message past the bound ends the connection.
                may_change = object.is_aborted();
            }
            Step::Close => {
                object.close();
                assert!(object.ready_state() >= ReadyState::Closing);
                may_change = true;
            }
            Step::CloseWith(code, reason) => {
                let valid_code = code == 1000 || (3000..5000).contains(&code);
                let expected = match (valid_code, reason.len() <= 123) {
                    (false, _) => Err(DomException::CloseCode(code)),
                    (true, false) => Err(DomException::CloseReasonTooLong),
                    (true, true) => Ok(()),
                };
                assert_eq!(object.close_with(code, reason), expected);
                may_change = expected.is_ok();
                assert!(!may_change || object.ready_state() >= ReadyState::Closing);
            }
            Step::Discard => {
                object.discard();
                may_change = true;
            }
            Step::GiveUp => {
                object.give_up();
                may_change = true;
                assert!(self.told_over || object.ready_state() >= ReadyState::Closing);
            }
            Step::SetBinaryType(buffer) => {
                let types = [BinaryType::Blob, BinaryType::ArrayBuffer];
                object.set_binary_type(types[usize::from(buffer)]);
            }
            Step::Opened(protocol) => {
                object.opened(protocol, NegotiatedExtensions::default());
                self.protocol.get_or_insert_with(|| protocol.unwrap_or_default().into());
            }
            Step::Received(bytes) => {
                let message = Message::from(bytes);
                self.waiting.push_back(message.clone());
                object.received(message);
            }
            Step::PeerCloses => object.peer_closes(),
            Step::Transmitted(bytes) => {
                object.transmitted(bytes.into());
                assert!(object.buffered_amount() <= buffered);
            }
            Step::Closed { code, was_clean, failed } => {
                let status = CloseCode::new(code).map_or(CloseStatus::Abnormal, CloseStatus::Code);
                object.closed(CloseEvent::new(status, "", was_clean), failed, Some(7));
                // What was not handed to the connection never will be.
                self.told_over = true;
                self.sent.clear();
            }
            Step::Dispatch => {
                let event = object.poll_event();
                may_change = true;
                self.note(object, event);
            }
            Step::Command => {
                let command = object.poll_command();
                self.obey(object, command);
            }
        }
        let after = object.ready_state();
        assert!(after >= before, "{before:?} to {after:?}");
        assert!(after == before || may_change, "{step:?} shows at once");
        let closed_now = before == ReadyState::Connecting && after == ReadyState::Closing;
        self.closed_early |= closed_now;
        self.aborted |= object.is_aborted();
        assert!(!closed_now || object.is_aborted(), "the attempt is to be given up");
        assert_eq!(self.aborted, object.is_aborted(), "given up for good");
    }

    fn obey(&mut self, object: &Object<u8>, command: Option<Command>) {
        let Some(command) = command else {
            let was_told = self.ended || self.told_over;
            assert!(!object.is_aborted() || was_told, "the command to give up was lost");
            return;
        };
        assert!(!self.ended || command == Command::Abort, "{command:?} after the end");
        match command {
            Command::Send(message) => {
                assert!(!object.is_aborted(), "nothing is sent any more");
                assert_eq!(self.sent.pop_front(), Some(message.len()), "in the order of sending");
            }
            Command::Close(_) => {
                assert!(self.sent.is_empty(), "what was sent goes out first");
                self.ended = true;
            }
            Command::Abort => {
                assert!(object.is_aborted());
                self.ended = true;
            }
        }
    }

    fn note(&mut self, object: &Object<u8>, event: Option<Event<u8>>) {
        let state = object.ready_state();
        let Some(event) = event else {
            assert_eq!(object.backlog(), 0, "something waits");
            return;
        };
        assert!(!self.over, "an event after close");
        match event {
            Event::Open => {
                assert!(!self.opened && !self.closed_early);
                assert_eq!(state, ReadyState::Open);
                assert_eq!(Some(object.protocol()), self.protocol.as_deref());
                self.opened = true;
            }
            Event::Message { data, binary_type } => {
                assert!(self.opened && !self.failed);
                assert_eq!(state, ReadyState::Open);
                assert_eq!(binary_type, object.binary_type());
                // Others may have come to nothing before it, in this order.
                while let Some(message) = self.waiting.pop_front() {
                    if message == data {
                        return;
                    }
                }
                panic!("a message that never came");
            }
            Event::Error(_) => {
                assert!(!self.failed);
                assert_eq!(state, ReadyState::Closed);
                self.failed = true;
            }
            Event::Close { close, cause } => {
                assert_eq!(state, ReadyState::Closed);
                assert!(self.opened || self.failed, "what never opened has failed");
                assert!(self.opened || close == CloseEvent::abnormal());
                assert!(!self.failed || cause.is_none(), "the cause is told once");
                self.over = true;
            }
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let fallback = || Creation::new("ws://a/", &[] as &[&str]).unwrap();
    let creation = match Creation::new(input.url, &input.protocols) {
        Ok(creation) => {
            assert!(creation.url().starts_with("ws://") || creation.url().starts_with("wss://"));
            assert!(!creation.url().contains('#'));
            // What it is serialised as is itself valid, and means the same.
            let again = Creation::new(creation.url(), &input.protocols).unwrap();
            assert_eq!(again, creation);
            creation
        }
        Err(_) => fallback(),
    };
    let mut object = Object::new(&creation);
    if let Some(bytes) = input.max_buffered {
        object = object.with_max_buffered(bytes.into());
    }
    let mut rules = Rules::default();
    for step in &input.steps {
        rules.step(&mut object, step);
    }
    // Whatever is left shows, and in as many steps as there were before.
    for _ in 0..2 * input.steps.len() {
        rules.step(&mut object, &Step::Dispatch);
        rules.step(&mut object, &Step::Command);
    }
    assert!(object.poll_event().is_none() && object.poll_command().is_none());

    // What is taken at once takes no more memory than one of them.
    let mut largest = 0;
    let (object, _, most) = counted(|| {
        let mut object = Object::<u8>::new(&creation);
        object.opened(None, NegotiatedExtensions::default());
        for step in &input.steps {
            if let Step::Received(bytes) = step {
                largest = largest.max(bytes.len());
                object.received(Message::from(*bytes));
            }
            while object.poll_event().is_some() {}
        }
        object
    });
    assert_eq!(object.backlog(), 0);
    assert!(most.unsigned_abs() <= STATE + creation.url().len() + largest);
});
