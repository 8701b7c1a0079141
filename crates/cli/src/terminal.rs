//! Lines in, messages out: what the person or the pipe at the other side sees.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use duologue_tokio::{CloseCode, Message};
use tokio::sync::mpsc;

use crate::{hex, tell_failure};

/// What a line of input asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Send(Message),
    Ping(String),
    Close(Option<CloseCode>, String),
    Help,
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
    pub(crate) fn parse(self, line: Vec<u8>) -> Input {
        let Ok(line) = String::from_utf8(line) else {
            return Input::Mistake("not UTF-8; --hex and --send-file send bytes".into());
        };
        if self.commands
            && let Some(command) = line.strip_prefix('/')
        {
            return parse_command(command);
        }
        if !self.hex {
            return Input::Send(Message::text(line));
        }
        match hex::decode(&line) {
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
        // The pong to it is thus told from those to keepalive pings, which are empty.
        "ping" if rest.is_empty() => Input::Ping("ping".into()),
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
        "help" => Input::Help,
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
/// channel closes at the end of the input. What is no UTF-8 may be in a line.
pub(crate) fn read_lines() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (lines, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = match input.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => Ok(without_line_end(line)),
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if lines.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn without_line_end(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    line
}

/// `text` as a terminal may show it: a peer's control characters could move the cursor, or worse.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let dangerous = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(dangerous) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if dangerous(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown.into()
}

/// Where messages and notes go.
#[derive(Debug)]
pub(crate) struct Output {
    terminal: bool,
    /// Input and output mix on a terminal, so that each needs a mark.
    mixed: bool,
    quiet: bool,
    save_to: Option<PathBuf>,
    saved: usize,
}

impl Output {
    pub(crate) fn new(quiet: bool, save_to: Option<PathBuf>) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { terminal, mixed: terminal && io::stdin().is_terminal(), quiet, save_to, saved: 0 }
    }

    /// Shows a message: a text as a line, binary as hexadecimal digits or in a file.
    ///
    /// # Errors
    ///
    /// `None` if nobody reads on; else what went wrong, in words.
    pub(crate) fn message(&mut self, message: &Message) -> Result<(), Option<String>> {
        let line: Cow<'_, str> = match (message.as_text(), &self.save_to) {
            (Some(text), _) if self.terminal => visible(text),
            (Some(text), _) => text.into(),
            (None, None) => hex::encode(message.payload()).into(),
            (None, Some(directory)) => save(directory, &mut self.saved, message.payload())
                .map_err(|error| Some(format!("cannot write to {}: {error}", directory.display())))?
                .display()
                .to_string()
                .into(),
        };
        let lead = match (self.mixed, message.is_text()) {
            (false, _) => "",
            (true, true) => "< ",
            (true, false) => "< (binary) ",
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{lead}{line}").and_then(|()| out.flush()).map_err(|error| {
            (error.kind() != io::ErrorKind::BrokenPipe)
                .then(|| format!("cannot write to the output: {error}"))
        })
    }

    /// Tells the person something that is no message.
    pub(crate) fn note(&self, note: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{}", visible(note));
        }
    }

    /// Tells of a failure, quiet or not.
    pub(crate) fn failure(&self, failure: &str) {
        tell_failure(&visible(failure));
    }
}

/// Writes `bytes` to the next file of `directory` that is not there yet.
fn save(directory: &Path, saved: &mut usize, bytes: &[u8]) -> io::Result<PathBuf> {
    loop {
        *saved += 1;
        let path = directory.join(format!("{:06}.bin", *saved));
        match File::create_new(&path) {
            Ok(mut file) => return file.write_all(bytes).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Reading = Reading { hex: false, commands: false };
    const COMMANDS: Reading = Reading { hex: false, commands: true };

    #[test]
    fn line_without_commands_is_a_message() {
        assert_eq!(PLAIN.parse("/ping".into()), Input::Send("/ping".into()));
        assert_eq!(PLAIN.parse("".into()), Input::Send("".into()));
        let hex = Reading { hex: true, commands: false };
        assert_eq!(hex.parse("00 ff".into()), Input::Send(Message::binary(vec![0, 255])));
        assert!(matches!(hex.parse("0".into()), Input::Mistake(_)));
    }

    #[test]
    fn line_that_is_not_utf8_is_a_mistake() {
        for reading in [PLAIN, COMMANDS, Reading { hex: true, commands: false }] {
            assert!(matches!(reading.parse(vec![b'a', 0xff]), Input::Mistake(_)), "{reading:?}");
        }
    }

    #[test]
    fn line_end_of_either_kind_is_taken_off_once() {
        for (line, expected) in
            [("a\n", "a"), ("a\r\n", "a"), ("a\r", "a\r"), ("a", "a"), ("\n", ""), ("\r\r\n", "\r")]
        {
            assert_eq!(without_line_end(line.into()), expected.as_bytes(), "{line:?}");
        }
    }

    #[test]
    fn control_characters_on_a_terminal_are_escaped() {
        assert_eq!(visible("a\tb\nc \u{e9}"), "a\tb\nc \u{e9}");
        assert_eq!(visible("\u{1b}[2Jx\u{9b}"), "\\u{1b}[2Jx\\u{9b}");
    }

    #[test]
    fn line_with_a_slash_is_a_command() {
        assert_eq!(COMMANDS.parse("/ping a b".into()), Input::Ping("a b".into()));
        assert_eq!(COMMANDS.parse("//ping".into()), Input::Send("/ping".into()));
        assert_eq!(COMMANDS.parse("/help".into()), Input::Help);
        assert_eq!(COMMANDS.parse("/close".into()), Input::Close(None, String::new()));
        assert_eq!(
            COMMANDS.parse("/close 1000 good bye".into()),
            Input::Close(Some(CloseCode::NORMAL), "good bye".into())
        );
        for line in ["/close 1005", "/close x", "/nothing", "/binary 0", "/file /does/not/exist"] {
            assert!(matches!(COMMANDS.parse(line.into()), Input::Mistake(_)), "{line}");
        }
    }
}
