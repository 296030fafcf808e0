//! What the figures were measured on, and with: they mean nothing without it.

use crate::shared::clock;
use serde::Serialize;
use std::fmt::Write;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::thread;

/// The machine, the compiler and the code. What the system does not tell is empty.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    caches: String,
    memory_gib: f64,
    kernel: String,
    hasher: String,
    target: &'static str,
    rustc: &'static str,
    profile: String,
    rustflags: &'static str,
    revision: String,
    pub(crate) date: String,
}

/// What a plot says of its origin: a line that is seen, and the rest.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) line: String,
    pub(crate) full: String,
}

/// Each name with its version, once; names without one are left out.
pub(crate) fn versions(named: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    let mut all: Vec<_> = named.filter(|(_, version)| !version.is_empty()).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
}

/// The cores that this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

impl Machine {
    pub(crate) fn new() -> Self {
        let profile = format!("{}, opt-level {}", env!("BENCHES_PROFILE"), env!("BENCHES_OPT_LEVEL"));
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores: cores(),
            caches: caches(),
            memory_gib: memory_gib(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            hasher: format!("ahash {}", benches::versions::of("ahash")),
            target: env!("BENCHES_TARGET"),
            rustc: env!("BENCHES_RUSTC"),
            profile,
            rustflags: env!("BENCHES_RUSTFLAGS"),
            revision: revision(),
            date: clock::date(),
        }
    }

    /// For plots.
    pub(crate) fn about(&self, versions: &str) -> About {
        let full = format!("{}- Versions: {versions}\n", self.list());
        About { line: self.line(), full }
    }

    fn line(&self) -> String {
        format!("{}, {} cores, {}, {}", self.cpu, self.cores, self.rustc_short(), self.date)
    }

    fn rustc_short(&self) -> String {
        self.rustc.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// As a Markdown list.
    pub(crate) fn list(&self) -> String {
        let cores = format!("{} that this process may use", self.cores);
        let memory = format!("{:.1} GiB", self.memory_gib);
        let flags = if self.rustflags.is_empty() { "none" } else { self.rustflags };
        let known = [
            ("CPU", self.cpu.as_str()),
            ("Cores", &cores),
            ("Caches", &self.caches),
            ("Memory", &memory),
            ("Kernel", &self.kernel),
            ("Compiler", self.rustc),
            ("Target", self.target),
            ("Hasher of all that take one", &self.hasher),
            ("Profile", &self.profile),
            ("RUSTFLAGS", flags),
            ("Revision", &self.revision),
            ("Date", &self.date),
        ];
        let mut text = String::new();
        for (name, value) in known.iter().filter(|(_, value)| !value.is_empty()) {
            let _ = writeln!(text, "- {name}: {value}");
        }
        text
    }
}

/// The value behind `name` in a file of lines like `name : value`.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

fn memory_gib() -> f64 {
    let kib = field("/proc/meminfo", "MemTotal");
    let kib = kib.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / f64::from(1 << 20)
}

/// Those that the first core sees: `L1 Data 48K, L2 Unified 1024K`.
fn caches() -> String {
    let folder = Path::new("/sys/devices/system/cpu/cpu0/cache");
    let cache = |index: u32| {
        let read = |name: &str| fs::read_to_string(folder.join(format!("index{index}")).join(name)).ok();
        Some(format!("L{} {} {}", read("level")?.trim(), read("type")?.trim(), read("size")?.trim()))
    };
    (0..).map_while(cache).collect::<Vec<_>>().join(", ")
}

/// The commit that is checked out where this runs, if it runs in a repository.
fn revision() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let text = described.ok().filter(|output| output.status.success());
    text.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
