//! The peers over the blocking adapter.

use duologue_tokio::Error;

pub(crate) fn serve(_addr: &str) -> Result<(), Error> {
    Err(Error::ConnectionLost)
}

pub(crate) fn run_cases(_url: &str, _agent: &str) -> Result<(), Error> {
    Err(Error::ConnectionLost)
}
