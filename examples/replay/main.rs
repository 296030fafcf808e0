//! Replays recorded agent sessions through the seven stores from several threads, and proves its own accounting.
//!
//! ```text
//! cargo run --release --example replay                             # a small recording of its own
//! cargo run --release --example replay -- --json FILE.chat.jsonl   # recorded sessions, one a line
//! cargo run --release --example replay -- --help                   # budgets, rates, caps, threads
//! ```
//!
//! Each recorded session gets a token and a session; each of its assistant messages is one batch of calls, admitted
//! all or nothing; each admitted call becomes a trace. The request that a message answers is kept as a body, in parts;
//! its large results are kept by handle, and looked into once. A refused call takes the session's agent down a posture,
//! an admitted one takes it up again, with approval. At its end the token is revoked, and one more call with it has to be
//! refused, which is an emergency for the agent. The raw data of sessions that are over is swept for retention.
//!
//! Copies that do not fit into the session store at once are replayed day after day. One simulated clock drives all
//! sessions, so that every figure but the timings is the same for any number of threads (once postures' records are
//! dropped, their number depends on who appends while others trim; so does what a full body store has evicted).
//!
//! Exit status: 0 when every sum closes, 1 when one does not (or a store failed), 2 for bad input or options.

mod drive;
mod gateway;
mod keep;
mod options;
mod recording;
mod report;
mod sample;
mod schedule;
mod stores;
mod tally;

use crate::gateway::Gateway;
use crate::options::Options;
use crate::recording::Recording;
use crate::report::{Report, Run};
use crate::stores::{Retained, Stores};
use crate::tally::Tally;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// More sessions than this at once are taken for a slip of the keyboard.
const MAX_SESSIONS: u64 = 10_000_000;

/// What a revocation is remembered beyond its token, by default.
const GRACE: Duration = Duration::from_secs(60);

/// Why the replay did not come to its report. Each prints as one line.
#[derive(Debug)]
enum Failure {
    /// The input or an option is at fault.
    Input(String),
    /// A store, or the machine, is at fault.
    Run(String),
}

fn main() -> ExitCode {
    let outcome = match Options::read() {
        Ok(Some(options)) => replay(&options),
        Ok(None) => return ExitCode::SUCCESS,
        Err(what) => Err(Failure::Input(what)),
    };
    let (lines, status) = match outcome {
        Ok(faults) if faults.is_empty() => return ExitCode::SUCCESS,
        Ok(faults) => (faults, 1),
        Err(Failure::Run(what)) => (vec![format!("replay: {what}")], 1),
        Err(Failure::Input(what)) => (vec![what], 2),
    };
    for line in lines {
        // Nothing is left to tell if standard error is closed.
        let _ = writeln!(io::stderr(), "{line}");
    }
    ExitCode::from(status)
}

/// Replays the input, prints the report, and returns what does not add up in it.
fn replay(options: &Options) -> Result<Vec<String>, Failure> {
    let recordings = input(options).map_err(Failure::Input)?;
    let copies = options.repeat;
    let sessions = (recordings.len() as u64).saturating_mul(copies);
    if sessions > MAX_SESSIONS {
        let what = format!("replay: {sessions} sessions are more than the {MAX_SESSIONS} that can be replayed");
        return Err(Failure::Input(what));
    }
    let ticks = schedule::ticks(&recordings);
    let each = recordings.len() as u64;
    let at_once = options.session_cap.map_or(copies, |cap| (cap / each).clamp(1, copies));
    let remembered = options.token_life().saturating_add(GRACE);
    let days = schedule::days(&ticks, copies, at_once, remembered).ok_or_else(|| {
        Failure::Input(format!("replay: time-limit {} leaves no time for {copies} copies", options.time_limit))
    })?;
    let stores = Stores::new(options, each * at_once, days[0].at(ticks.first().map_or(0, |tick| tick.at_ms)))?;
    let threads = options.threads();
    let bar = progress(recording::turns(&recordings) * copies);

    let begun = stopwatch();
    let mut tally = Tally::new().map_err(Failure::Run)?;
    let mut retained = Retained::default();
    let mut yesterday: Option<Gateway<'_>> = None;
    for day in days {
        if let Some(yesterday) = yesterday.take() {
            stores.clock.set(day.at(ticks.first().map_or(0, |tick| tick.at_ms)));
            yesterday.forget_agents().and_then(|()| stores.close_day()).map_err(Failure::Run)?;
        }
        let gateway = Gateway::new(&stores, options, &recordings, day);
        tally.add(&drive::drive(&gateway, &ticks, threads, options.seed, &bar)?).map_err(Failure::Run)?;
        gateway.hand_over().and_then(|()| stores.retain(&mut retained)).map_err(Failure::Run)?;
        yesterday = Some(gateway);
    }
    let seconds = begun.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let run = Run { sessions, turns: recording::turns(&recordings) * copies, threads, seconds };
    let report = Report::new(&run, &tally, &stores, &retained);
    let text = if options.json { report.json().map_err(Failure::Run)? } else { report.to_string() };
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    written.map_err(|error| Failure::Run(format!("the report cannot be written: {error}")))?;

    let recorded_calls = recording::calls(&recordings) * copies;
    Ok(report.faults(&tally, recorded_calls))
}

/// Everything there is to replay, read and validated before anything runs.
fn input(options: &Options) -> Result<Vec<Recording>, String> {
    let Some(first) = options.files.first() else {
        return recording::parse("(sample)", sample::sample().as_bytes());
    };
    let mut recordings = Vec::new();
    for file in &options.files {
        recordings.append(&mut recording::read(file)?);
    }
    if recordings.is_empty() {
        return Err(format!("{}:1: there is no session to replay", first.display()));
    }
    Ok(recordings)
}

/// A bar on a terminal, nothing elsewhere.
fn progress(turns: u64) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    ProgressBar::with_draw_target(Some(turns), target)
}

/// The real time, for what the report says about speed. The stores never see it.
#[expect(clippy::disallowed_methods, reason = "latency and throughput are measured in real time")]
fn stopwatch() -> Instant {
    Instant::now()
}
