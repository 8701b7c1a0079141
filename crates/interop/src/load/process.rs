//! The server as a process: its beginning, its end, and what the kernel tells of it.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A server that was asked to stop is given so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server tells at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastWords {
    /// Messages that it took.
    pub(super) accepted: u64,
    /// Clients dropped because their opening handshake took too long,
    pub(super) slow: Dropped,
    /// because they took nothing for too long,
    pub(super) stalled: Dropped,
    /// and because they sent too many pings.
    pub(super) limited: Dropped,
}

/// Clients that the server got rid of for one reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropped {
    pub(super) count: usize,
    /// How long past its deadline the last one was dropped.
    pub(super) late: Duration,
}

impl LastWords {
    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split_whitespace().map_while(|number| number.parse::<u64>().ok());
        let accepted = numbers.next()?;
        let mut dropped = || {
            let count = numbers.next()?.try_into().ok()?;
            Some(Dropped { count, late: Duration::from_millis(numbers.next()?) })
        };
        Some(Self { accepted, slow: dropped()?, stalled: dropped()?, limited: dropped()? })
    }
}

/// A running server, killed with its guard.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(super) fn start(arguments: &[String]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("load-server")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").and_then(|at| at.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other("the server does not start"));
        };
        Ok(Self { child, output, address })
    }

    /// Asks it to stop, with SIGTERM.
    pub(super) fn terminate(&self) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(pid), Signal::SIGTERM)?)
    }

    /// Waits for its end, which has to come soon.
    pub(super) async fn last_words(&mut self) -> io::Result<LastWords> {
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other("the server does not end"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        LastWords::parse(&line)
            .ok_or_else(|| io::Error::other("the server tells nothing at its end"))
    }

    /// Ends it without a word, as `kill -9` does.
    pub(super) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Its memory in bytes: the resident set size. (The proportional one would have the kernel walk
    /// through the stacks of thousands of threads, and hold up who begins another meanwhile.)
    pub(super) fn memory(&self) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kilobytes = text.lines().find_map(|line| {
            line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
        });
        let kilobytes = kilobytes.ok_or(io::ErrorKind::Unsupported)?;
        Ok(kilobytes * 1024)
    }

    /// How many files it has open.
    pub(super) fn descriptors(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }

    /// Waits until it has no more than so many files open; how long that took, or `None` if it was
    /// too long.
    pub(super) async fn until_descriptors(
        &self,
        most: usize,
        patience: Duration,
    ) -> io::Result<Option<Duration>> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.descriptors()? <= most {
                return Ok(Some(begun.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
