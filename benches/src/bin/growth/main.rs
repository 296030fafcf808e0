//! How the cost of tollgate's operations grows: with entries, threads, the cap, the batch and the number of limits.
//!
//! ```text
//! cargo run --release -p benches --bin growth                   # all curves, within 10 minutes
//! cargo run --release -p benches --bin growth -- --only cap     # one of them
//! ```
//!
//! The page and a plot for each curve go to `target/growth`. Exit status: 0 when all went well, 1 when a result was
//! wrong or a file cannot be written, 2 for bad options.

mod caps;
mod curve;
mod maps;
mod sessions;
#[path = "../shared/mod.rs"]
mod shared;
mod stage;
mod threads;

use crate::curve::Curve;
use crate::shared::machine::{self, Machine};
use crate::shared::others::{self, Others};
use crate::shared::pool::Pool;
use crate::shared::progress::Progress;
use crate::stage::Stage;
use benches::refusal;
use clap::Parser;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measures how the cost of tollgate's operations grows.
#[derive(Debug, Parser)]
#[command(name = "growth")]
struct Args {
    /// Measure these curves only: entries-get, entries-insert, threads, cap, batch, limits
    #[arg(long, value_name = "CURVE", value_delimiter = ',', value_parser = IDS)]
    only: Vec<String>,

    /// Where the page and the plots go
    #[arg(long, value_name = "DIR", default_value = "target/growth")]
    out: PathBuf,
}

const IDS: [&str; 6] = ["entries-get", "entries-insert", "threads", "cap", "batch", "limits"];

/// A curve's name, its steps of progress, and how it is measured.
type Plan = (&'static str, usize, fn(&Stage) -> Result<Curve, String>);

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if !error.use_stderr() => return ExitCode::from(u8::from(error.print().is_err())),
        Err(error) => return fail(&refusal::in_a_line(&error), 2),
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => fail(&what, 1),
    }
}

fn fail(what: &str, status: u8) -> ExitCode {
    // Nothing is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "growth: {what}");
    ExitCode::from(status)
}

fn run(args: &Args) -> Result<(), String> {
    let (others, machine) = (Others::watch(), Machine::new());
    let counts = threads::counts();
    let plans: [Plan; 6] = [
        (IDS[0], maps::STEPS, maps::get),
        (IDS[1], maps::STEPS, maps::insert),
        (IDS[2], counts.len(), threads::curve),
        (IDS[3], caps::CAPS.len(), caps::curve),
        (IDS[4], sessions::BATCHES.len(), sessions::by_batch),
        (IDS[5], sessions::LIMITS.len(), sessions::by_limits),
    ];
    let is_chosen = |plan: &&Plan| args.only.is_empty() || args.only.iter().any(|id| id == plan.0);
    let chosen: Vec<_> = plans.iter().filter(is_chosen).collect();
    let most = counts.iter().copied().max().unwrap_or(1);
    let pool = Pool::new(most).map_err(|error| format!("{most} threads cannot be started: {error}"))?;
    let stage = Stage { pool, progress: Progress::new(chosen.iter().map(|plan| plan.1).sum()) };
    let mut curves = Vec::new();
    for (id, _, measure) in chosen {
        stage.progress.subject(id);
        curves.push(measure(&stage).map_err(|what| format!("{id}: {what}"))?);
    }
    stage.progress.end();
    let warning = others::warning(others.cores());
    write(&curves, &machine, warning.as_deref(), &args.out)
}

fn write(curves: &[Curve], machine: &Machine, warning: Option<&str>, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    let names = ["tollgate", "scc", "dashmap", "hashbrown", "parking_lot"];
    let versions = machine::versions(names.into_iter().map(|name| (name, benches::versions::of(name))));
    let about = machine.about(&versions);
    let warning = warning.map_or(String::new(), |what| format!("warning: {what}\n"));
    let parts: Vec<_> = curves.iter().map(Curve::markdown).collect();
    let page = format!(
        "# How the cost grows\n\n{}\n{warning}\nAbsolute figures belong to this machine; where a curve bends, and how much, carries \
         over as far as its caches are alike.\n\n{}",
        about.full,
        parts.join("\n"),
    );
    let file = folder.join("growth.md");
    fs::write(&file, page).map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    for curve in curves {
        curve.draw(&about, folder)?;
    }
    let said = writeln!(io::stdout(), "{warning}the page is {}", file.display());
    said.map_err(|error| format!("the output cannot be written: {error}"))
}
