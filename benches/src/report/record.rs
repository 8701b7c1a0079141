//! A run, with all that is needed to compare it with another.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::results::Table;
use crate::scale::Scale;

/// The lock file tells exactly what is measured beside us.
const LOCK: &str = include_str!("../../../Cargo.lock");

const PEERS: [&str; 14] = [
    "embedded-websocket",
    "fastwebsockets",
    "hyper",
    "simdutf8",
    "sockudo-ws",
    "soketto",
    "tokio",
    "tokio-tungstenite",
    "tokio-websockets",
    "tungstenite",
    "websocket-sans-io",
    "ws-framer",
    "wtx",
    "yawc",
];

/// What was measured when, where and with what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The day, such as `2026-01-31`, in UTC.
    pub date: String,
    /// Whether it was a quick or a full run.
    pub scale: String,
    /// The processor's name.
    pub processor: String,
    /// How many of its cores there are.
    pub cores: usize,
    /// The operating system's kernel.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// The commit, with a plus sign if files differ from it.
    pub commit: String,
    /// The peers' versions.
    pub peers: Vec<(String, String)>,
    /// The figures.
    pub tables: Vec<Table>,
}

impl Record {
    /// A record of `tables`, made now and here.
    #[must_use]
    pub fn new(scale: Scale, tables: Vec<Table>) -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let commit = output("git", &["rev-parse", "--short", "HEAD"]);
        let dirty = !output("git", &["status", "--porcelain"]).is_empty();
        Self {
            date: date(seconds / 86_400),
            scale: scale.name().to_owned(),
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: output("uname", &["-sr"]),
            rustc: output("rustc", &["--version"]),
            commit: if dirty { format!("{commit}+") } else { commit },
            peers: versions(LOCK),
            tables,
        }
    }

    /// The name of its file: the day, the processor, and whether it was a quick run.
    #[must_use]
    pub fn file_stem(&self) -> String {
        let mut slug = String::new();
        for part in self.processor.split(|c: char| !c.is_ascii_alphanumeric()) {
            if !part.is_empty() {
                slug.push('-');
                slug.push_str(&part.to_ascii_lowercase());
            }
        }
        let quick = if self.scale == Scale::Quick.name() { "-quick" } else { "" };
        format!("{}{slug}-{}-cores{quick}", self.date, self.cores)
    }

    /// When the tables were measured, if that was without the others.
    #[must_use]
    pub fn apart(&self) -> String {
        format!(
            "Measured by itself on {}, in a {} run on {} ({} cores), commit {}.",
            self.date, self.scale, self.processor, self.cores, self.commit
        )
    }

    /// Where and with what, in a sentence or two.
    #[must_use]
    pub fn description(&self) -> String {
        let peers: Vec<String> =
            self.peers.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "A {} run on {} ({} cores, {}), {}, commit {}; release, lto=fat, codegen-units=1, no \
             target-cpu flag. Medians of rounds in which the contenders take turns. Beside us: {}.",
            self.scale,
            self.processor,
            self.cores,
            self.kernel,
            self.rustc,
            self.commit,
            peers.join(", ")
        )
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names = info.lines().filter_map(|line| line.split_once(':'));
    names
        .into_iter()
        .find(|(field, _)| field.trim() == "model name")
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// The versions of the peers in a lock file.
fn versions(lock: &str) -> Vec<(String, String)> {
    let mut versions = Vec::new();
    for package in lock.split("[[package]]") {
        let value = |field: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(field))?;
            Some(line.trim_matches(|c| c == ' ' || c == '=' || c == '"').to_owned())
        };
        if let (Some(name), Some(version)) = (value("name = "), value("version = "))
            && PEERS.contains(&name.as_str())
        {
            versions.push((name, version));
        }
    }
    versions
}

/// The day that is so many days after 1970-01-01, in the Gregorian calendar.
fn date(mut days: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        let cases = [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (20_819, "2027-01-01"),
        ];
        for (days, text) in cases {
            assert_eq!(date(days), text);
        }
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let versions = versions(LOCK);
        let found = |name: &str| versions.iter().any(|(found, _)| found == name);
        assert!(found("tungstenite") && found("yawc") && !found("serde"));
        let lock = "[[package]]\nname = \"wtx\"\nversion = \"1.2.3\"\n";
        assert_eq!(super::versions(lock), [("wtx".to_owned(), "1.2.3".to_owned())]);
    }

    #[test]
    fn a_record_survives_its_file() {
        let record = Record::new(Scale::Quick, Vec::new());
        let json = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&json).unwrap();
        assert_eq!(read.description(), record.description());
        assert!(record.file_stem().ends_with("-quick"));
    }
}
