//! The commands that a peer started with `--commands` takes, and the lines it prints.
//!
//! Each text message to it is a command. A binary message comes back as it is.
//!
//! | text message        | what the peer does                                         |
//! |---------------------|------------------------------------------------------------|
//! | `text PAYLOAD`      | sends PAYLOAD as a text message                            |
//! | `fragments A\|B\|C` | sends a text message in fragments: A, B, C, and an empty end |
//! | `ping PAYLOAD`      | sends a Ping frame                                         |
//! | `pong PAYLOAD`      | sends a Pong frame that no ping asked for                  |
//! | `close CODE REASON` | begins the closing handshake                               |
//! | `close`             | the same with an empty Close frame                         |
//!
//! PAYLOAD and REASON run to the end of the message, and may be empty; A, B and C may not. Any
//! other text ends the connection with 1008 and a reason that says what is wrong with it.
//!
//! What the other end cannot see goes to the standard output, a line each, with line breaks and
//! the like escaped:
//!
//! | line                                | when                                        |
//! |-------------------------------------|---------------------------------------------|
//! | `opened SUBPROTOCOL`                | after the opening handshake; none is empty  |
//! | `ping PAYLOAD`, `pong PAYLOAD`      | a control frame has come                    |
//! | `failed ERROR`                      | the connection has failed                   |
//! | `closed CODE clean\|unclean REASON` | at the end: the other end's code and reason |
//!
//! CODE is 1005 where the Close frame had none, and 1006 where none came (RFC 6455 section 7.1.5).

use std::fmt;

use duologue_tokio::{CloseCode, CloseOutcome, Error, Event, Message, Utf8Bytes};

/// What a text message tells the peer to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Text(&'a str),
    Fragments(Vec<&'a str>),
    Ping(&'a str),
    Pong(&'a str),
    Close(CloseCode, &'a str),
    CloseWithoutCode,
}

/// Why a text message is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandError {
    Unknown,
    CloseCode,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such command",
            Self::CloseCode => "this code may not stand in a Close frame",
        })
    }
}

impl<'a> Command<'a> {
    /// The command that `text` is.
    pub(crate) fn parse(text: &'a str) -> Result<Self, CommandError> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        match name {
            "text" => Ok(Self::Text(rest)),
            "fragments" => Ok(Self::Fragments(rest.split('|').collect())),
            "ping" => Ok(Self::Ping(rest)),
            "pong" => Ok(Self::Pong(rest)),
            "close" if rest.is_empty() => Ok(Self::CloseWithoutCode),
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let code = code.parse().ok().and_then(CloseCode::new);
                code.map(|code| Self::Close(code, reason)).ok_or(CommandError::CloseCode)
            }
            _ => Err(CommandError::Unknown),
        }
    }
}

/// What is to be done about an event.
pub(crate) enum Reaction {
    /// The message comes back.
    Return(Message),
    /// The text is a command.
    Obey(Utf8Bytes),
    /// Nothing: it has been told.
    None,
}

/// Tells of a control frame, and says what is to be done about a message.
pub(crate) fn react(event: Event) -> Reaction {
    match event {
        Event::Message(Message::Text(text)) => return Reaction::Obey(text),
        Event::Message(message) => return Reaction::Return(message),
        Event::Ping(payload) => tell("ping", &String::from_utf8_lossy(&payload)),
        Event::Pong(payload) => tell("pong", &String::from_utf8_lossy(&payload)),
    }
    Reaction::None
}

fn tell(what: &str, detail: &str) {
    println!("{what} {}", detail.escape_debug());
}

/// Tells that the connection is open.
pub(crate) fn tell_opened(subprotocol: Option<&str>) {
    tell("opened", subprotocol.unwrap_or_default());
}

/// Tells how the connection ended.
pub(crate) fn tell_closed(result: &Result<(), Error>, outcome: Option<CloseOutcome<'_>>) {
    if let Err(error) = result {
        tell("failed", &error.to_string());
    }
    if let Some(CloseOutcome { status, was_clean, reason, .. }) = outcome {
        let clean = if was_clean { "clean" } else { "unclean" };
        tell("closed", &format!("{status} {clean} {reason}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_read_with_the_rest_of_its_text() {
        for (text, command) in [
            ("text", Command::Text("")),
            ("text  two  spaces ", Command::Text(" two  spaces ")),
            ("fragments a|b c|d", Command::Fragments(vec!["a", "b c", "d"])),
            ("ping abc", Command::Ping("abc")),
            ("pong", Command::Pong("")),
            ("close", Command::CloseWithoutCode),
            ("close 1000", Command::Close(CloseCode::NORMAL, "")),
            ("close 1001 bye, bye", Command::Close(CloseCode::GOING_AWAY, "bye, bye")),
        ] {
            assert_eq!(Command::parse(text), Ok(command), "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_told_so() {
        for text in ["", " ", "Text a", "textual", "kill"] {
            assert_eq!(Command::parse(text), Err(CommandError::Unknown), "{text}");
        }
        for text in
            ["close now", "close  1000", "close 1005", "close 1006 x", "close 2999", "close -1"]
        {
            assert_eq!(Command::parse(text), Err(CommandError::CloseCode), "{text}");
        }
    }
}
