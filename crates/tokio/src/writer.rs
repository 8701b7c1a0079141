//! Sending a message whose length is not known beforehand.

use std::future::poll_fn;

use duologue_adapter::Error;
use duologue_core::MessageType;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::driver::Driver;

/// A message being sent in fragments (RFC 6455 section 5.4), as
/// [`WebSocket::begin_message`](crate::WebSocket::begin_message) starts it.
///
/// Pings, pongs and a Close may go out between the fragments. It must be
/// [`finish`](Self::finish)ed: dropped before, it leaves the message open, and then no other can be
/// sent ([`SendError::MessageInProgress`](duologue_core::SendError::MessageInProgress)). One can go
/// on with it, by [`WebSocket::resume_message`](crate::WebSocket::resume_message), or close the
/// connection.
#[derive(Debug)]
pub struct MessageWriter<'a, S: AsyncRead + AsyncWrite + Unpin> {
    driver: &'a mut Driver<S>,
    message_type: MessageType,
    begun: bool,
    uncompressed: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> MessageWriter<'a, S> {
    pub(crate) const fn new(driver: &'a mut Driver<S>, message_type: MessageType) -> Self {
        Self { driver, message_type, begun: false, uncompressed: false }
    }

    /// Goes on with the message in progress, whose type has been sent.
    pub(crate) const fn resume(driver: &'a mut Driver<S>) -> Self {
        Self { driver, message_type: MessageType::Binary, begun: true, uncompressed: false }
    }

    /// The message is never compressed, whatever was agreed on: for a secret (RFC 7692 section 8).
    /// To be said before the first fragment.
    #[must_use]
    pub const fn uncompressed(mut self) -> Self {
        self.uncompressed = true;
        self
    }

    /// Queues a fragment; waits only while more than the high-water mark is queued. A text may be
    /// cut inside a character. An empty piece sends nothing. Cancel-safe: the fragment is queued
    /// whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Send`], for a text with
    /// [`SendError::InvalidUtf8`](duologue_core::SendError::InvalidUtf8) where it is not UTF-8;
    /// [`Error::Io`].
    pub async fn write(&mut self, payload: &[u8]) -> Result<(), Error> {
        if payload.is_empty() {
            return Ok(());
        }
        poll_fn(|context| self.driver.poll_ready(context)).await?;
        let (begun, message_type, uncompressed) =
            (self.begun, self.message_type, self.uncompressed);
        self.driver.queue(|endpoint| match (begun, uncompressed) {
            (true, _) => endpoint.continue_message(payload, false),
            (false, true) => endpoint.begin_uncompressed_message(message_type, payload),
            (false, false) => endpoint.begin_message(message_type, payload),
        })?;
        self.begun = true;
        Ok(())
    }

    /// Ends the message and waits until it is written. Cancel-safe: the message is ended at once,
    /// whatever is queued, and only written later.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); also for a text that ends inside a character, which is then still
    /// in progress.
    pub async fn finish(self) -> Result<(), Error> {
        let (begun, message_type, uncompressed) =
            (self.begun, self.message_type, self.uncompressed);
        // These few bytes do not wait for room: dropped while they did, the message could never be
        // ended.
        self.driver.queue(|endpoint| {
            match (begun, uncompressed) {
                (true, _) => {}
                (false, true) => endpoint.begin_uncompressed_message(message_type, &[])?,
                (false, false) => endpoint.begin_message(message_type, &[])?,
            }
            endpoint.continue_message(&[], true)
        })?;
        poll_fn(|context| self.driver.poll_flush(context)).await
    }
}
