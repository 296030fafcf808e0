//! Long, seeded, self-checking runs of every structure of tollgate on real threads.
//!
//! Each scenario runs in short rounds: a fresh structure, threads that start together and do a fixed number of random
//! operations, and an exact check when they are done. Exit 1 when a promise broke, 2 for bad arguments.
//! `soak` runs them for hours, beside structures that live as long.

mod bodies;
mod deadline;
mod fifo;
mod handles;
mod linearize;
mod map;
mod meter;
mod mutate;
mod posture;
mod retention;
mod revocation;
mod run;
mod sessions;
mod soak;
mod traces;

use clap::{Parser, Subcommand, ValueEnum};
use run::{Report, Scenario, broken};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tollgate::map::ShardedMap;

/// A scenario that is so much over its time is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Tries to break tollgate's promises with many threads, and says whether it did.
#[derive(Parser)]
#[command(name = "stress", args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Time for all scenarios together.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=604_800))]
    seconds: u64,
    /// Threads of a scenario (default: as many as cores, 4 at least).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Decides what the threads do, though not how they interleave.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Fails if more memory than this was ever resident.
    #[arg(long, value_name = "MIB")]
    max_rss: Option<u64>,
    /// Scenarios to run (default: all).
    #[arg(value_name = "SCENARIO", value_enum)]
    scenarios: Vec<Name>,
}

#[derive(Subcommand)]
enum Command {
    /// Checks recorded histories against sequential models
    Linearize(linearize::Options),
    /// Weakens orderings and drops re-checks, one at a time, and says whether a model breaks
    Mutate(mutate::Options),
    /// Runs everything for hours, beside structures that live as long, and holds memory to be flat
    Soak(soak::Options),
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    Map,
    Fifo,
    Deadline,
    Meter,
    Sessions,
    Revocation,
    Traces,
    Bodies,
    Handles,
    Posture,
    Retention,
}

impl Name {
    fn scenario(self) -> Scenario {
        match self {
            Self::Map => Scenario { name: "map", round: map::round },
            Self::Fifo => Scenario { name: "fifo", round: fifo::round },
            Self::Deadline => Scenario { name: "deadline", round: deadline::round },
            Self::Meter => Scenario { name: "meter", round: meter::round },
            Self::Sessions => Scenario { name: "sessions", round: sessions::round },
            Self::Revocation => Scenario { name: "revocation", round: revocation::round },
            Self::Traces => Scenario { name: "traces", round: traces::round },
            Self::Bodies => Scenario { name: "bodies", round: bodies::round },
            Self::Handles => Scenario { name: "handles", round: handles::round },
            Self::Posture => Scenario { name: "posture", round: posture::round },
            Self::Retention => Scenario { name: "retention", round: retention::round },
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match &options.command {
        Some(Command::Linearize(options)) => return linearize::run(options),
        Some(Command::Mutate(options)) => return mutate::run(options),
        Some(Command::Soak(options)) => return soak::run(options),
        None => {}
    }
    let chosen: &[Name] = if options.scenarios.is_empty() { Name::value_variants() } else { &options.scenarios };
    let threads = options.threads.map_or_else(default_threads, usize::from);
    let time = Duration::from_secs(options.seconds) / chosen.len() as u32;
    println!("seed {}, {threads} threads, {} s", options.seed, options.seconds);
    let mut kept = true;
    for name in chosen {
        kept &= show(name.scenario(), options.seed, threads, time);
    }
    collect();
    kept &= memory_kept(options.max_rss);
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Has the collector free what the scenarios have left to it, some of which leaves more to it: what nobody frees then has
/// leaked.
fn collect() {
    let map = ShardedMap::<(), ()>::new();
    (0..10_000).for_each(|_| map.pin().flush());
}

fn default_threads() -> usize {
    thread::available_parallelism().map_or(4, |cores| cores.get().max(4))
}

/// Runs a scenario and prints its line. False if a promise broke.
fn show(scenario: Scenario, seed: u64, threads: usize, time: Duration) -> bool {
    let Report { operations, rounds, outcome } = attempt(scenario, seed, 0, threads, time);
    let verdict = outcome.as_ref().map_or_else(|what| format!("BROKEN: {what}"), |()| "ok".to_owned());
    println!("{:<10} {operations:>12} operations {rounds:>8} rounds  {verdict}", scenario.name);
    outcome.is_ok()
}

/// Runs a scenario, from its round number `first` on.
fn attempt(scenario: Scenario, seed: u64, first: u64, threads: usize, time: Duration) -> Report {
    let (done, ended) = mpsc::channel();
    // On a thread of its own, left behind if it is stuck: the end of the process is the end of it.
    thread::spawn(move || done.send(scenario.run(seed, first, threads, time)));
    ended.recv_timeout(time + PATIENCE).unwrap_or_else(|_| {
        let outcome = broken(format_args!("expected an end, saw none {} s after its time", PATIENCE.as_secs()));
        Report { operations: 0, rounds: 0, outcome }
    })
}

/// Prints the peak of resident memory. False if it is over the limit, or unknown though limited.
fn memory_kept(limit: Option<u64>) -> bool {
    let peak = peak_rss_mib();
    let within = limit.is_none_or(|limit| peak.is_some_and(|peak| peak <= limit));
    let verdict = if within { "ok" } else { "BROKEN" };
    let peak = peak.map_or_else(|| "unknown".to_owned(), |peak| format!("{peak} MiB"));
    let limit = limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit} MiB"));
    println!("memory     peak {peak}, limit {limit}  {verdict}");
    within
}

/// The process's peak of resident memory, rounded up, where the system tells it.
fn peak_rss_mib() -> Option<u64> {
    status_kib("VmHWM:").or_else(|| status_kib("VmRSS:")).map(|kib| kib.div_ceil(1024))
}

/// A figure that the system tells of this process, in KiB.
fn status_kib(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let figure = status.lines().find_map(|line| line.strip_prefix(name))?;
    figure.split_whitespace().next()?.parse().ok()
}
