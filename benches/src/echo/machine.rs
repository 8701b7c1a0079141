//! What the measurements ask of the machine: a core for each side, and many open files.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// The generator's core, until it is dropped, and the one left to the servers.
#[derive(Debug)]
pub(crate) struct Cores {
    before: CpuSet,
    /// The servers' core; `None` if there is but one for all.
    pub(crate) servers: Option<usize>,
}

impl Cores {
    /// Keeps this thread on the last of its cores; the servers are to have the first.
    pub(crate) fn divide() -> nix::Result<Self> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        let cores: Vec<usize> =
            (0..CpuSet::count()).filter(|core| before.is_set(*core).unwrap_or(false)).collect();
        let (Some(first), Some(last)) = (cores.first(), cores.last()) else {
            return Ok(Self { before, servers: None });
        };
        if first == last {
            return Ok(Self { before, servers: None });
        }
        pin(*last)?;
        Ok(Self { before, servers: Some(*first) })
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        // That it fails has no consequence but a slower run.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
    }
}

/// Keeps this thread, and those that it will start, on one core.
pub(crate) fn pin(core: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Raises the limit of open files as far as it goes, also for the processes to be started. How many
/// connections one process can hold.
pub(crate) fn connections_possible() -> usize {
    let Ok((mut soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 500 };
    if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        soft = hard;
    }
    // Some files are no connections.
    usize::try_from(soft).unwrap_or(usize::MAX).saturating_sub(100)
}
