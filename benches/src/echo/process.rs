//! A server as a process of its own, and what the kernel says of it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// How server processes are started.
#[derive(Debug)]
pub(crate) struct Launcher {
    /// A program with the subcommand `serve`, as [`serve`](super::serve) does it, or another that
    /// [`start_with`](Self::start_with) names.
    pub(crate) program: PathBuf,
    /// The core that servers are kept on.
    pub(crate) core: Option<usize>,
}

/// A running server, which ends with its guard.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    clock: ClockId,
    pub(crate) address: SocketAddr,
}

impl Launcher {
    /// Starts a contender of the echo and waits until it listens.
    pub(crate) fn start(&self, contender: &str, broadcast: bool) -> io::Result<ServerProcess> {
        let options: &[&str] = if broadcast { &["--broadcast"] } else { &[] };
        self.start_with("serve", contender, options)
    }

    /// Starts a server by its subcommand and waits until it listens.
    pub(crate) fn start_with(
        &self,
        subcommand: &str,
        contender: &str,
        options: &[&str],
    ) -> io::Result<ServerProcess> {
        let mut command = Command::new(&self.program);
        command.args([subcommand, contender]).args(options);
        if let Some(core) = self.core {
            command.args(["--core", &core.to_string()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let Ok(port) = line.trim().parse::<u16>() else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other(format!("the server {contender} does not start")));
        };
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        let clock = clock_getcpuclockid(pid)?;
        Ok(ServerProcess { child, clock, address: (Ipv4Addr::LOCALHOST, port).into() })
    }
}

impl ServerProcess {
    /// Writes to its input.
    pub(crate) fn tell(&mut self, text: &str) -> io::Result<()> {
        let input = self.child.stdin.as_mut();
        input.ok_or(io::ErrorKind::BrokenPipe)?.write_all(text.as_bytes())
    }

    /// The processor time that all its threads have taken so far, of the program and of the kernel
    /// on its behalf.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        Ok(self.clock.now()?.into())
    }

    /// The memory of the whole process, in bytes: its proportional set size.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = std::fs::read_to_string(path)?;
        text.lines()
            .find_map(|line| {
                line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?.trim().parse().ok()
            })
            .map(|kilobytes: u64| kilobytes * 1024)
            .ok_or_else(|| io::Error::other("the kernel does not tell the set size"))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The end of its input is the end of the server.
        drop(self.child.stdin.take());
        let give_up = Instant::now() + Duration::from_secs(2);
        while Instant::now() < give_up {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
