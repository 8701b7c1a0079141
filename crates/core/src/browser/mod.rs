//! The `WebSocket` object of browsers (WHATWG WebSockets), as a pure state machine.
//!
//! [`Creation`] is the constructor: it judges the URL and the protocols, and says what to connect
//! to.
//! [`Object`] is the rest: calls and what happens on the connection go in; [`Command`]s for the
//! connection and [`Event`]s for the application come out. As in a browser, what happens becomes
//! visible, in `readyState` too, when its event is dispatched: by [`Object::poll_event`].
//!
//! ```
//! use duologue_core::browser::{CloseEvent, Command, Creation, Event, Object};
//! use duologue_core::handshake::NegotiatedExtensions;
//! use duologue_core::{CloseStatus, Message, ReadyState};
//!
//! let creation = Creation::new("http://example.com/chat", &["chat", "superchat"])?;
//! assert_eq!(creation.url(), "ws://example.com/chat");
//! let mut object = Object::<()>::new(&creation);
//! assert!(object.send(Message::text("too early")).is_err());
//!
//! // The driver connects, and tells of it.
//! object.opened(Some("chat"), NegotiatedExtensions::default());
//! assert_eq!(object.ready_state(), ReadyState::Connecting);
//! assert_eq!(object.poll_event(), Some(Event::Open));
//! assert_eq!((object.ready_state(), object.protocol()), (ReadyState::Open, "chat"));
//!
//! object.send(Message::text("Hello"))?;
//! object.close();
//! assert_eq!(object.poll_command(), Some(Command::Send(Message::text("Hello"))));
//! assert_eq!(object.poll_command(), Some(Command::Close(None)));
//! object.transmitted(5);
//! object.closed(CloseEvent::new(CloseStatus::NoStatus, "", true), false, None);
//! let Some(Event::Close { close, .. }) = object.poll_event() else { panic!() };
//! assert_eq!((close.code, close.was_clean), (1005, true));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod creation;
mod exception;
mod object;

pub use crate::command::{CloseEvent, Command};
pub use creation::Creation;
pub use exception::{DomException, ExceptionName};
pub use object::{BinaryType, Event, Object};
