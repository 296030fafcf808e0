//! Is it slower than before? Counts the instructions of tollgate's hot operations under callgrind.
//!
//! ```text
//! cargo run --release -p benches --bin count               # show them beside the baseline
//! cargo run --release -p benches --bin count -- --check    # and exit with 1 if one is more than 3 % above it
//! cargo run --release -p benches --bin count -- --save     # make them the baseline
//! ```
//!
//! Each operation runs in a process of its own under valgrind, twice: what is done more often in the second run is all
//! that differs, so that starting, setting up and valgrind itself drop out. Exit status: 0 when all went well, 1 when
//! something is slower, a result was wrong or a file cannot be written, 2 for bad options, and where there is no
//! valgrind or no baseline to check against.

mod operations;

use crate::operations::{OPERATIONS, Operation, TIMES};
use benches::refusal;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::{self, Command, ExitCode};
use std::{env, fs};

/// In percent. The same build varies by a tenth of it; see the README.
const TOLERANCE: f64 = 3.0;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baselines/instructions.txt");

/// Counts the instructions of tollgate's hot operations, and compares them with the stored baseline.
#[derive(Debug, Parser)]
#[command(name = "count")]
struct Args {
    /// Make what is counted the baseline, benches/baselines/instructions.txt
    #[arg(long, conflicts_with_all = ["check", "only"])]
    save: bool,

    /// Exit with 1 when an operation is more than 3 % above its baseline
    #[arg(long)]
    check: bool,

    /// Count these operations only
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,

    /// Do this operation in this process, to be counted
    #[arg(long, value_name = "NAME", hide = true, requires = "times", value_parser = names())]
    run: Option<String>,

    /// So many times
    #[arg(long, value_name = "N", hide = true, requires = "run")]
    times: Option<u64>,
}

/// Why nothing came of it, with the exit status.
type Failure = (String, u8);
/// Instructions by operation, sorted by name.
type Counts = BTreeMap<String, f64>;

fn names() -> PossibleValuesParser {
    OPERATIONS.map(|(name, _)| name).into()
}

fn main() -> ExitCode {
    let done = match Args::try_parse() {
        Ok(args) => match (&args.run, args.times) {
            (Some(name), Some(times)) => run(name, times),
            _ => count(&args),
        },
        Err(error) if !error.use_stderr() => error.print().map_err(unwritable),
        Err(error) => Err((refusal::in_a_line(&error), 2)),
    };
    let Err((what, status)) = done else { return ExitCode::SUCCESS };
    say(&what);
    ExitCode::from(status)
}

fn say(what: &str) {
    // Nothing is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "count: {what}");
}

fn unwritable(error: io::Error) -> Failure {
    (format!("the output cannot be written: {error}"), 1)
}

/// What is counted, in a process of its own. An operation that fails takes another path than the one that is meant.
fn run(name: &str, times: u64) -> Result<(), Failure> {
    let done = chosen(&[name.to_owned()]).map(|(_, operation)| operation(times)).sum::<u64>();
    if done == times { Ok(()) } else { Err((format!("{name} went well {done} times of {times}"), 1)) }
}

fn chosen(only: &[String]) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|wanted| wanted == name))
}

fn count(args: &Args) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        return Err(("this is a debug build, whose instructions say nothing: use cargo run --release".to_owned(), 2));
    }
    let before = baseline()?;
    let unknown = chosen(&args.only).find(|(name, _)| !before.contains_key(*name));
    if let Some((name, _)) = unknown.filter(|_| args.check) {
        return Err((format!("there is no baseline of {name} to check against; --save makes one"), 2));
    }
    let mut out = io::stdout();
    let (mut counts, mut slower) = (Counts::new(), Vec::new());
    for &(name, _) in chosen(&args.only) {
        let now = per_operation(name)?;
        // Not before it is known that something can be counted.
        if counts.is_empty() {
            let head = format!("{:<26}{:>10}{:>10}{:>10}", "instructions per operation", "baseline", "now", "change");
            writeln!(out, "{head}").map_err(unwritable)?;
        }
        let old = before.get(name);
        let change = old.map(|old| 100.0 * (now / old - 1.0));
        let old = old.map_or("-".to_owned(), |old| format!("{old:.1}"));
        let shown = change.map_or("-".to_owned(), |change| format!("{:+.1} %", tenths(change)));
        writeln!(out, "{name:<26}{old:>10}{now:>10.1}{shown:>10}").map_err(unwritable)?;
        counts.insert(name.to_owned(), now);
        if change.is_some_and(|change| change > TOLERANCE) {
            slower.push(format!("{name} ({shown})"));
        }
    }
    if args.save {
        save(&counts)
    } else if args.check && !slower.is_empty() {
        Err((format!("more than {TOLERANCE} % above the baseline: {}", slower.join(", ")), 1))
    } else {
        Ok(())
    }
}

/// Rounded as the tables and the baseline have it; nothing is less than zero by less than that.
fn tenths(number: f64) -> f64 {
    (10.0 * number).round() / 10.0 + 0.0
}

fn per_operation(name: &str) -> Result<f64, Failure> {
    let [few, many] = TIMES;
    let (less, more) = (instructions(name, few)?, instructions(name, many)?);
    Ok(tenths((more as f64 - less as f64) / (many - few) as f64))
}

/// Of a whole process that does the operation so many times.
fn instructions(name: &str, times: u64) -> Result<u64, Failure> {
    let failed = |what: String| (format!("{name} cannot be counted: {what}"), 1);
    let this = env::current_exe().map_err(|error| failed(error.to_string()))?;
    // A folder that is made here, so that nobody else's file is in the way.
    let folder = env::temp_dir().join(format!("tollgate-count-{}", process::id()));
    fs::create_dir(&folder).map_err(|error| failed(format!("{}: {error}", folder.display())))?;
    let file = folder.join("callgrind.out");
    let ended = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--dump-line=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(this)
        .args(["--run", name, "--times", &times.to_string()])
        .output();
    let counted = fs::read_to_string(&file);
    // Whatever is left in a temporary folder does no harm.
    let _ = fs::remove_dir_all(&folder);
    let output = match ended {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(("valgrind is not installed, whose callgrind counts the instructions".to_owned(), 2));
        }
        ended => ended.map_err(|error| failed(format!("valgrind: {error}")))?,
    };
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}, {}", output.status, text.lines().last().unwrap_or("without a word"))));
    }
    let counted = counted.map_err(|error| failed(format!("callgrind left no result: {error}")))?;
    let summary = counted.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse().ok());
    summary.ok_or_else(|| failed("callgrind's result has no summary".to_owned()))
}

/// What else the counts depend on, as the baseline's header has it.
fn built_with() -> String {
    format!("# {}, {} {}", env!("BENCHES_RUSTC"), env!("BENCHES_TARGET"), env!("BENCHES_RUSTFLAGS"))
        .trim_end()
        .to_owned()
}

/// The stored baseline, empty if there is none. Warns of one that another compiler made.
fn baseline() -> Result<Counts, Failure> {
    let text = match fs::read_to_string(BASELINE) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Counts::new()),
        text => text.map_err(|error| (format!("{BASELINE}: {error}"), 2))?,
    };
    if !text.lines().any(|line| line == built_with()) {
        say("warning: the baseline is of another compiler, target or flags: part of what changed may be theirs");
    }
    let entry = |line: &str| {
        let (name, instructions) = line.split_once(' ')?;
        let instructions = instructions.trim().parse().ok().filter(|count: &f64| count.is_normal())?;
        Some((name.to_owned(), instructions))
    };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| entry(line).ok_or_else(|| (format!("{BASELINE}: this is no count: {line:?}"), 2))).collect()
}

fn save(counts: &Counts) -> Result<(), Failure> {
    let mut text =
        format!("# Instructions per operation, counted by callgrind. Made by count --save.\n{}\n", built_with());
    counts.iter().for_each(|(name, count)| text.push_str(&format!("{name:<26}{count:>10.1}\n")));
    let file = Path::new(BASELINE);
    let made = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(file, text));
    made.map_err(|error| (format!("{BASELINE}: {error}"), 1))
}
