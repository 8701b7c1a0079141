//! Lines in, messages out: what the person or the pipe at the other side sees.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use duologue_tokio::{CloseCode, Message};
use tokio::sync::mpsc;

use crate::hex;

/// What a line of input asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Send(Message),
    Ping(String),
    Close(Option<CloseCode>, String),
    /// The line cannot be carried out; the text says why.
    Mistake(String),
}

/// How lines are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Each line is a binary message in hexadecimal digits.
    pub(crate) hex: bool,
    /// Lines that begin with `/` are commands.
    pub(crate) commands: bool,
}

/// What the commands are, for whoever asks.
pub(crate) const HELP: &str = "\
/ping [TEXT]            send a ping
/binary HEX             send a binary message
/file PATH              send a file as a binary message
/close [CODE [REASON]]  close and end
//TEXT                  send /TEXT";

impl Reading {
    pub(crate) fn parse(self, line: &str) -> Input {
        if self.commands && let Some(command) = line.strip_prefix('/') {
            return parse_command(command);
        }
        if !self.hex {
            return Input::Send(Message::text(line));
        }
        match hex::decode(line) {
            Ok(bytes) => Input::Send(Message::binary(bytes)),
            Err(why) => Input::Mistake(why),
        }
    }
}

fn parse_command(command: &str) -> Input {
    if command.starts_with('/') {
        return Input::Send(Message::text(command));
    }
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    match name {
        "ping" if rest.len() > 125 => Input::Mistake("a ping carries at most 125 bytes".into()),
        "ping" => Input::Ping(rest.into()),
        "binary" => match hex::decode(rest) {
            Ok(bytes) => Input::Send(Message::binary(bytes)),
            Err(why) => Input::Mistake(why),
        },
        "file" => match fs::read(rest) {
            Ok(bytes) => Input::Send(Message::binary(bytes)),
            Err(error) => Input::Mistake(format!("{rest}: {error}")),
        },
        "close" | "quit" => {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            if code.is_empty() {
                return Input::Close(None, String::new());
            }
            match parse_code(code).and_then(|code| parse_reason(reason).map(|r| (code, r))) {
                Ok((code, reason)) => Input::Close(Some(code), reason),
                Err(why) => Input::Mistake(why),
            }
        }
        "help" => Input::Mistake(HELP.into()),
        _ => Input::Mistake(format!("there is no command /{name}; /help lists them")),
    }
}

/// A close code that may be sent.
pub(crate) fn parse_code(code: &str) -> Result<CloseCode, String> {
    code.parse().ok().and_then(CloseCode::new).ok_or_else(|| {
        format!("{code} is no close code: 1000-1003, 1007-1014 and 3000-4999 may be sent")
    })
}

/// A reason that fits.
pub(crate) fn parse_reason(reason: &str) -> Result<String, String> {
    if reason.len() <= 123 {
        Ok(reason.into())
    } else {
        Err("a close reason has at most 123 bytes".into())
    }
}

/// Reads lines on a thread of their own: a terminal cannot be waited for in any other way. The
/// channel closes at the end of the input.
pub(crate) fn read_lines() -> mpsc::Receiver<io::Result<String>> {
    let (lines, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Where messages and notes go.
#[derive(Debug)]
pub(crate) struct Output {
    /// A person reads along.
    interactive: bool,
    quiet: bool,
    save_to: Option<PathBuf>,
    saved: usize,
}

impl Output {
    pub(crate) fn new(quiet: bool, save_to: Option<PathBuf>) -> Self {
        let interactive = io::stdout().is_terminal() && io::stdin().is_terminal();
        Self { interactive, quiet, save_to, saved: 0 }
    }

    /// Shows a message: a text as a line, binary as hexadecimal digits or in a file.
    pub(crate) fn message(&mut self, message: &Message) -> io::Result<()> {
        let line = match (message.as_text(), &self.save_to) {
            (Some(text), _) => text.to_owned(),
            (None, None) => hex::encode(message.payload()),
            (None, Some(directory)) => {
                self.saved += 1;
                let path = directory.join(format!("{:06}.bin", self.saved));
                fs::write(&path, message.payload())?;
                path.display().to_string()
            }
        };
        let lead = match (self.interactive, message.is_text()) {
            (false, _) => "",
            (true, true) => "< ",
            (true, false) => "< (binary) ",
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{lead}{line}")?;
        out.flush()
    }

    /// Tells the person something that is no message.
    pub(crate) fn note(&self, note: &str) {
        if !self.quiet {
            eprintln!("{note}");
        }
    }

    /// Tells of a failure, quiet or not.
    pub(crate) fn failure(&self, failure: &str) {
        eprintln!("duologue: {failure}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Reading = Reading { hex: false, commands: false };
    const COMMANDS: Reading = Reading { hex: false, commands: true };

    #[test]
    fn lines_are_messages() {
        assert_eq!(PLAIN.parse("/ping"), Input::Send("/ping".into()));
        assert_eq!(PLAIN.parse(""), Input::Send("".into()));
        let hex = Reading { hex: true, commands: false };
        assert_eq!(hex.parse("00 ff"), Input::Send(Message::binary(vec![0, 255])));
        assert!(matches!(hex.parse("0"), Input::Mistake(_)));
    }

    #[test]
    fn commands_begin_with_a_slash() {
        assert_eq!(COMMANDS.parse("/ping a b"), Input::Ping("a b".into()));
        assert_eq!(COMMANDS.parse("//ping"), Input::Send("/ping".into()));
        assert_eq!(COMMANDS.parse("/close"), Input::Close(None, String::new()));
        assert_eq!(
            COMMANDS.parse("/close 1000 good bye"),
            Input::Close(Some(CloseCode::NORMAL), "good bye".into())
        );
        for line in ["/close 1005", "/close x", "/nothing", "/binary 0", "/file /does/not/exist"] {
            assert!(matches!(COMMANDS.parse(line), Input::Mistake(_)), "{line}");
        }
    }
}
