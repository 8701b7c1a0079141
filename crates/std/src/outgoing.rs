//! The head of an opening handshake on its way out.

use duologue_adapter::{Error, Timestamp};

use crate::transport::Transport;
use crate::wire::{Progress, SURE_WAIT, Wire};

/// A request or a response, of which a part may be written.
#[derive(Debug)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    flushed: bool,
}

impl Outgoing {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, written: 0, flushed: false }
    }

    /// Whether all of it is out.
    pub(crate) const fn is_done(&self) -> bool {
        self.flushed
    }

    /// One write, or at the end a flush.
    pub(crate) fn advance<S: Transport>(
        &mut self,
        wire: &mut Wire<S>,
        deadline: Timestamp,
    ) -> Result<Progress, Error> {
        let patience = deadline.saturating_since(wire.clock.now());
        if patience.is_zero() {
            return Ok(Progress::TimedOut);
        }
        let patience = patience.max(SURE_WAIT);
        let rest = self.bytes.get(self.written..).unwrap_or_default();
        let progress = if rest.is_empty() {
            let progress = wire.flush(patience, patience)?;
            self.flushed = matches!(progress, Progress::Bytes(_));
            progress
        } else {
            let progress = wire.write(&[rest], Some(patience))?;
            if let Progress::Bytes(count) = progress {
                self.written = self.written.saturating_add(count);
            }
            progress
        };
        // A wait may end early; the deadline decides.
        Ok(if progress == Progress::TimedOut { Progress::Bytes(0) } else { progress })
    }
}
