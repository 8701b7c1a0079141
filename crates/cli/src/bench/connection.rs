//! One connection of a load.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use duologue_tokio::{ClientStream, CloseCode, Error, MessageType, WebSocket};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::summary::Tally;

/// What all connections have in common.
#[derive(Debug)]
pub(super) struct Plan {
    payload: String,
    message_type: MessageType,
    in_flight: usize,
}

impl Plan {
    pub(super) fn new(size: usize, text: bool, in_flight: usize) -> Self {
        let payload = ('a'..='z').cycle().take(size).collect();
        let message_type = if text { MessageType::Text } else { MessageType::Binary };
        Self { payload, message_type, in_flight }
    }
}

#[derive(Debug)]
pub(super) struct Driver {
    pub(super) websocket: WebSocket<ClientStream>,
    pub(super) plan: Arc<Plan>,
    pub(super) tally: Arc<Tally>,
    /// Where this connection's latencies are noted.
    pub(super) shard: usize,
    /// The time between messages, and when the first one is due; `None` if they are sent as soon as
    /// they may.
    pub(super) schedule: Option<(Duration, Instant)>,
}

impl Driver {
    /// Sends and receives until `end`, and then closes.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    pub(super) async fn run(mut self, end: Instant) -> Result<(), String> {
        // Every method of a connection can be dropped at any point.
        match timeout_at(end, self.load()).await {
            Ok(Ok(never)) => match never {},
            Ok(Err(why)) => Err(why),
            // Echoes that come after the end are not counted.
            Err(_) => match self.websocket.close(CloseCode::NORMAL, "").await {
                Ok(()) => Ok(()),
                Err(error) => Err(format!("a connection did not close: {error}")),
            },
        }
    }

    async fn load(&mut self) -> Result<std::convert::Infallible, String> {
        // When each message was sent, or should have been, whose echo has not come.
        let mut outstanding = VecDeque::new();
        // Since when there is room for another one.
        let mut room_since = Instant::now();
        loop {
            let mut due = None;
            while outstanding.len() < self.plan.in_flight {
                let now = Instant::now();
                let sent_at = match &mut self.schedule {
                    None => now,
                    Some((interval, next)) if *next <= now => {
                        // Who had to wait for an echo waits since it was due. That a timer came
                        // late is no fault of the server's.
                        let sent_at = if room_since > *next { *next } else { now };
                        *next += *interval;
                        sent_at
                    }
                    Some((_, next)) => {
                        due = Some(*next);
                        break;
                    }
                };
                self.send().await.map_err(|error| failed(&error))?;
                outstanding.push_back(sent_at);
            }
            let full = outstanding.len() == self.plan.in_flight;
            match due {
                None => self.receive(&mut outstanding).await?,
                Some(due) => tokio::select! {
                    received = self.receive(&mut outstanding) => received?,
                    () = sleep_until(due) => {}
                },
            }
            if full {
                room_since = Instant::now();
            }
        }
    }

    async fn send(&mut self) -> Result<(), Error> {
        let payload = &self.plan.payload;
        match self.plan.message_type {
            MessageType::Text => self.websocket.feed_text(payload).await,
            MessageType::Binary => self.websocket.feed_binary(payload.as_bytes()).await,
        }
    }

    /// Receives one echo. Cancel-safe.
    async fn receive(&mut self, outstanding: &mut VecDeque<Instant>) -> Result<(), String> {
        match self.websocket.next_ref().await {
            Some(Ok(message)) => {
                if message.message_type() != self.plan.message_type
                    || message.payload() != self.plan.payload.as_bytes()
                {
                    return Err("what came back is not what was sent: is it an echo server?".into());
                }
            }
            Some(Err(error)) => return Err(failed(&error)),
            None => {
                let outcome = self.websocket.close_outcome();
                let status =
                    outcome.map_or_else(String::new, |outcome| format!(" with {}", outcome.status));
                return Err(format!("the server closed a connection{status}"));
            }
        }
        let Some(sent_at) = outstanding.pop_front() else {
            return Err("more came back than was sent: is it an echo server?".into());
        };
        self.tally.note(self.shard, sent_at.elapsed());
        Ok(())
    }
}

fn failed(error: &Error) -> String {
    format!("a connection failed: {error}")
}
