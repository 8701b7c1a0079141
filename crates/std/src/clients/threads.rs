//! The threads of a connection.

use std::io;
use std::sync::Arc;
use std::thread;

use duologue_adapter::machine::{Ending, Machine};

use super::link::{End, Link};
use crate::transport::Transport;

/// Starts a thread that belongs to a connection, which ends as `work` says, or by its panic.
pub(super) fn spawn<S, M>(
    name: &str,
    link: &Arc<Link<S, M>>,
    work: impl FnOnce(&Arc<Link<S, M>>) -> Option<Ending> + Send + 'static,
) -> io::Result<()>
where
    S: Transport + Send + 'static,
    M: Machine,
{
    let guard = Guard(Arc::clone(link));
    let work = move || {
        let guard = guard;
        if let Some(ending) = work(&guard.0) {
            guard.0.end(End::Ended(ending));
        }
    };
    thread::Builder::new().name(name.into()).spawn(work).map(drop)
}

/// Tells of a panic.
struct Guard<S: Transport, M: Machine>(Arc<Link<S, M>>);

impl<S: Transport, M: Machine> Drop for Guard<S, M> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(End::Panicked);
        }
    }
}
