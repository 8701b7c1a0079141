//! Why a connection failed, kept until it has ended.

use std::io;

use duologue_adapter::{Error, ProtocolError};

/// The first failures of each kind.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    protocol: Option<ProtocolError>,
    io: Option<io::Error>,
    told: bool,
}

impl Failures {
    /// The peer broke the protocol, no longer answers, or no longer reads.
    #[cold]
    pub(crate) fn protocol(&mut self, error: ProtocolError) {
        self.protocol.get_or_insert(error);
    }

    /// The transport broke.
    #[cold]
    pub(crate) fn io(&mut self, error: io::Error) {
        self.io.get_or_insert(error);
    }

    /// Tells, once, how a connection ended: well, if the peer's Close frame came, however TCP ended
    /// after it.
    pub(crate) fn conclude(&mut self, closed_by_peer: bool) -> Result<(), Error> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(());
        }
        match (self.protocol, self.io.take()) {
            (Some(error), _) => Err(Error::Protocol(error)),
            (None, _) if closed_by_peer => Ok(()),
            (None, Some(error)) => Err(Error::Io(error)),
            (None, None) => Err(Error::ConnectionLost),
        }
    }
}
