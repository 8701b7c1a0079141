//! A message sent in fragments.

use std::fmt;

use duologue_adapter::{Error, Message, MessageType};

use crate::driver::Driver;
use crate::transport::Transport;

/// A message that is being sent in fragments, made by
/// [`WebSocket::begin_message`](crate::WebSocket::begin_message).
///
/// Until it is [finished](Self::finish), no other message can be sent (RFC 6455 section 5.4); pings
/// and pongs go out in between. Dropping the writer does not end the message:
/// [`WebSocket::resume_message`](crate::WebSocket::resume_message) goes on with it.
pub struct MessageWriter<'a, S> {
    driver: &'a mut Driver<S>,
    /// The type, before the first fragment.
    begins: Option<MessageType>,
    uncompressed: bool,
}

impl<'a, S: Transport> MessageWriter<'a, S> {
    pub(crate) fn begin(driver: &'a mut Driver<S>, message_type: MessageType) -> Self {
        Self { driver, begins: Some(message_type), uncompressed: false }
    }

    pub(crate) fn resume(driver: &'a mut Driver<S>) -> Self {
        Self { driver, begins: None, uncompressed: false }
    }

    /// The message is never compressed, whatever was agreed on: for a secret (RFC 7692 section 8).
    /// To be said before the first fragment.
    #[must_use]
    pub const fn uncompressed(mut self) -> Self {
        self.uncompressed = true;
        self
    }

    /// Queues a fragment, and writes out once [`Config::write_high_water`] is passed. A text may be
    /// cut inside a character. An empty piece sends nothing.
    ///
    /// [`Config::write_high_water`]: crate::Config::write_high_water
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send), and [`Error::Send`] if the text so far is
    /// not UTF-8; the fragment is not queued then.
    pub fn write(&mut self, payload: &[u8]) -> Result<(), Error> {
        if payload.is_empty() {
            return Ok(());
        }
        let (begins, uncompressed) = (&mut self.begins, self.uncompressed);
        self.driver.send(false, |endpoint| match begins {
            Some(message_type) => {
                if uncompressed {
                    endpoint.begin_uncompressed_message(*message_type, payload)?;
                } else {
                    endpoint.begin_message(*message_type, payload)?;
                }
                *begins = None;
                Ok(())
            }
            None => endpoint.continue_message(payload, false),
        })
    }

    /// Writes out what is queued.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::flush`](crate::WebSocket::flush).
    pub fn flush(&mut self) -> Result<(), Error> {
        self.driver.write_out()
    }

    /// Ends the message, and writes out all that is queued. Without a fragment before, this is an
    /// empty message.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send), but never `WouldBlock`; [`Error::Send`] if a
    /// text ends inside a character: the message is then still in progress.
    pub fn finish(self) -> Result<(), Error> {
        let endpoint = &mut self.driver.endpoint;
        match self.begins {
            Some(MessageType::Text) if self.uncompressed => {
                endpoint.send_uncompressed(Message::text(""))?;
            }
            Some(MessageType::Binary) if self.uncompressed => {
                endpoint.send_uncompressed(Message::binary(Vec::new()))?;
            }
            Some(MessageType::Text) => endpoint.send_text("")?,
            Some(MessageType::Binary) => endpoint.send_binary(&[])?,
            None => endpoint.continue_message(&[], true)?,
        }
        self.driver.push()
    }
}

impl<S> fmt::Debug for MessageWriter<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter").field("begins", &self.begins).finish_non_exhaustive()
    }
}
