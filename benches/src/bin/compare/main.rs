//! Compares tollgate with what a user would pick instead.
//!
//! ```text
//! cargo run --release -p benches --bin compare                 # everything, within 30 minutes
//! cargo run --release -p benches --bin compare -- --quick      # within 3
//! cargo run --release -p benches --bin compare -- --check      # ends with a line for each target
//! cargo run --release -p benches --bin compare -- --help       # some workloads, some contenders, some threads
//! ```
//!
//! The report, its figures as JSON, and the plots go to `target/compare`.
//!
//! Exit status: 0 when all went well, 1 when a target is missed (with `--check`), a contender did not do what it should
//! or a file cannot be written, 2 for bad options.

mod args;
mod latency;
mod memory;
mod pauses;
mod plot;
mod ratio;
mod report;
mod results;
mod rounds;
mod run;
#[path = "../shared/mod.rs"]
mod shared;
mod targets;
mod wait;

use crate::args::{Args, Plan};
use crate::results::Report;
use crate::shared::others;
use benches::workload::{self, Entrant, MEMORY, Role, SWEEPING};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Why it ends early. Each prints as one line.
enum Failure {
    /// An option is at fault.
    Options(String),
    /// Something else is.
    Run(String),
}

fn main() -> ExitCode {
    let outcome = match Args::read() {
        Ok(Some(args)) => start(&args),
        Ok(None) => return ExitCode::SUCCESS,
        Err(what) => Err(Failure::Options(what)),
    };
    let (what, status) = match outcome {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => return ExitCode::from(1),
        Err(Failure::Run(what)) => (what, 1),
        Err(Failure::Options(what)) => (what, 2),
    };
    // Nothing is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "compare: {what}");
    ExitCode::from(status)
}

/// Does what was asked for. False if something was not as it should be, which has been said by then.
fn start(args: &Args) -> Result<bool, Failure> {
    let entrants = workload::entrants();
    let plan = args.plan(&entrants).map_err(Failure::Options)?;
    if args.list {
        return say(&list(&entrants)).map(|()| true);
    }
    if args.self_test {
        return self_test();
    }
    if let Some(name) = &args.memory_of {
        return memory_of(name, &plan).map(|()| true);
    }
    let report = run::everything(&entrants, &plan).map_err(Failure::Run)?;
    write(&report, &args.out).map_err(Failure::Run)?;
    let mut text = report.faults.iter().map(|fault| format!("fault: {fault}\n")).collect::<String>();
    text.extend(others::warning(report.cores_used_by_others).map(|what| format!("warning: {what}\n")));
    let report_file = args.out.join("report.md");
    text.push_str(&format!("{:.0} s; the report is {}\n", report.seconds, report_file.display()));
    let mut is_well = report.faults.is_empty();
    if args.check {
        text.extend(report.targets.iter().map(|verdict| verdict.line() + "\n"));
        is_well &= report.targets.iter().all(|verdict| verdict.met);
    }
    say(&text).map(|()| is_well)
}

fn say(text: &str) -> Result<(), Failure> {
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    written.map_err(|error| Failure::Run(format!("the output cannot be written: {error}")))
}

fn list(entrants: &[Entrant]) -> String {
    let mut text = String::new();
    let mut line = |id: &str, name: &str, version: &str, role: Role| {
        text.push_str(&format!("{id:28}{:32}{version:12}{}\n", name, results::word(role)));
    };
    for entrant in entrants {
        line(entrant.workload.id, entrant.name, entrant.version, entrant.role);
    }
    for entrant in workload::sweeping_entrants() {
        line(SWEEPING.id, entrant.name, entrant.version, entrant.role);
    }
    for entrant in workload::memory_entrants() {
        line(MEMORY.id, entrant.name, entrant.version, entrant.role);
    }
    text
}

fn self_test() -> Result<bool, Failure> {
    match workload::self_test() {
        Ok(()) => say("every contender did what it should\n").map(|()| true),
        Err(wrong) => say(&wrong.iter().map(|line| format!("{line}\n")).collect::<String>()).map(|()| false),
    }
}

/// The child process of the memory workload.
fn memory_of(name: &str, plan: &Plan) -> Result<(), Failure> {
    let entrants = workload::memory_entrants();
    let entrant = entrants.iter().find(|entrant| entrant.name == name);
    let entrant = entrant.ok_or_else(|| Failure::Options(format!("there is no map {name:?}")))?;
    let bytes = memory::measure_here(entrant, plan).map_err(Failure::Run)?;
    let text = serde_json::to_string(&bytes).map_err(|error| Failure::Run(error.to_string()))?;
    say(&text)
}

/// The report, the figures and the plots.
fn write(report: &Report, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let save = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| format!("{} cannot be written: {error}", file.display()))
    };
    save("report.md", &report::markdown(report))?;
    save("report.json", &serde_json::to_string_pretty(report).map_err(|error| error.to_string())?)?;
    plot::all(report, folder)
}
