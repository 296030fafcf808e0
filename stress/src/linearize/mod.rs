//! Records what threads ask of a structure and are answered, and looks for an order that explains it.
//!
//! A window is a few calls by every thread on a fresh structure, which is read once more when all is quiet: short enough to
//! be checked in full, and there are as many as time allows. The seed decides what each thread does in each window, though
//! not how they interleave. A window that cannot be decided within a bound counts as such, and is never taken for good.
//!
//! Every call ends within its window: none is pending, so the checker knows none.
//!
//! # Calls of several steps
//!
//! Where a module says that a call takes effect at several instants (a FIFO insert evicts, then links; a sweep takes entries
//! one by one; a check looks a token up, then judges), the model has a step for each. What others see between them is
//! checked as everything else is.
//!
//! # Calls over many entries
//!
//! Where a module promises one instant for many (`close_for_agent`, `revoke_principal` for what is tracked,
//! `downgrade_all`), sessions, tokens or agents are checked together, and the instant with them. A walk of a map is a get of
//! each entry that it met. A sweep is left to forget what it may: the model says what that is, and when. Left out while
//! others move, since they promise bounds and no instant, and looked at when all is quiet: `len`, `snapshot` and `stats`.
//!
//! Left to the scenarios, the model checkers, the faults and the fuzzing: sets and stores that are full (but for the FIFO
//! map, sessions of an agent and agents), maps that are bounded by bytes, sweeps of the queue that stop at a limit, trims.

mod check;
mod deadline;
mod fifo;
mod map;
mod meter;
mod order;
mod posture;
mod record;
mod revocation;
mod sessions;

use crate::run::{Checked, broken, start};
use check::{Undecided, explain, explained};
use clap::ValueEnum;
use record::{History, Subject, record};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A subject that is so much over its time is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Checks recorded histories against sequential models.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Time for all subjects together.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=604_800))]
    seconds: u64,
    /// Threads of a window.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=8))]
    threads: u8,
    /// Decides what the threads do, though not how they interleave.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The first window to check, as a failure names it.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1 << 40))]
    window: u64,
    /// What to check (default: everything).
    #[arg(value_name = "SUBJECT", value_enum)]
    subjects: Vec<Name>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    Map,
    Fifo,
    FifoOrder,
    Deadline,
    Meter,
    Sessions,
    Revocation,
    Posture,
}

/// What was checked in a subject's time.
#[derive(Default)]
struct Report {
    /// The number of the next window.
    next: u64,
    windows: u64,
    histories: u64,
    calls: u64,
    overlapped: u64,
    undecided: u64,
}

/// A subject's rounds: its name, seed, threads and time, and where to report to.
type Run = fn(&'static str, u64, usize, Duration, &mut Report) -> Checked;

impl Name {
    fn run(self) -> (&'static str, Run) {
        match self {
            Self::Map => ("map", rounds::<map::Map>),
            Self::Fifo => ("fifo", rounds::<fifo::Fifo>),
            Self::Sessions => ("sessions", rounds::<sessions::Sessions>),
            Self::FifoOrder => ("fifo-order", order::rounds),
            Self::Deadline => ("deadline", rounds::<deadline::Deadlines>),
            Self::Revocation => ("revocation", rounds::<revocation::Revocations>),
            Self::Posture => ("posture", rounds::<posture::Postures>),
            Self::Meter => ("meter", rounds::<meter::Budget>),
        }
    }
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let chosen: &[Name] = if options.subjects.is_empty() { Name::value_variants() } else { &options.subjects };
    let (seed, threads) = (options.seed, usize::from(options.threads));
    let time = Duration::from_secs(options.seconds) / chosen.len() as u32;
    println!("seed {seed}, {threads} threads, {} s", options.seconds);
    let mut kept = true;
    for name in chosen {
        kept &= show(*name, seed, threads, time, options.window);
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Checks a subject and prints its line. False if a history was rejected, or could not be decided.
fn show(name: Name, seed: u64, threads: usize, time: Duration, next: u64) -> bool {
    let (name, rounds) = name.run();
    let (done, ended) = mpsc::channel();
    // On a thread of its own, left behind if it is stuck: the end of the process is the end of it.
    thread::spawn(move || {
        let mut report = Report { next, ..Report::default() };
        let outcome = rounds(name, seed, threads, time, &mut report);
        done.send((report, outcome))
    });
    let (report, outcome) = ended.recv_timeout(time + PATIENCE).unwrap_or_else(|_| {
        let what = format_args!("expected an end, saw none {} s after its time", PATIENCE.as_secs());
        (Report::default(), broken(what))
    });
    let Report { windows, histories, calls, overlapped, undecided, .. } = report;
    let verdict = match &outcome {
        Err(what) => format!("BROKEN: {what}"),
        Ok(()) if undecided > 0 => format!("UNDECIDED: {undecided} histories took too many steps"),
        Ok(()) => "ok".to_owned(),
    };
    let percent = 100 * overlapped / calls.max(1);
    println!(
        "{name:<10} {windows:>9} windows {histories:>10} histories {calls:>10} calls, {percent:>2} % overlapped  {verdict}"
    );
    outcome.is_ok() && undecided == 0
}

/// Checks windows until `time` is over or one is rejected.
fn rounds<S: Subject>(name: &'static str, seed: u64, threads: usize, time: Duration, report: &mut Report) -> Checked {
    let start = start();
    while report.windows == 0 || start.elapsed() < time {
        for history in record::<S>(name, seed, threads, report.next)? {
            report.windows += 1;
            report.next = history.window + 1;
            report.calls += history.calls;
            report.overlapped += history.overlapped;
            check(history, report)?;
        }
    }
    Ok(())
}

/// Checks a window, part by part.
fn check<S: Subject>(history: History<S>, report: &mut Report) -> Checked {
    let mut parts: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for event in history.events {
        parts.entry(S::part(&event.step)).or_default().push(event);
    }
    for events in parts.into_values() {
        report.histories += 1;
        match explained(&history.start, &events) {
            Ok(true) => {}
            Ok(false) => return broken(format_args!("window {}: {}", history.window, explain(&history.start, events))),
            Err(Undecided) => report.undecided += 1,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_windows_of_every_subject_are_explained() {
        for &name in Name::value_variants() {
            assert!(show(name, 1, 3, Duration::ZERO, 0));
        }
    }
}
