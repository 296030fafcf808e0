//! Throughput: all contenders of a workload take turns, round by round.
//!
//! What disturbs the machine for longer than a run disturbs the neighbours in the round alike, and ratios are taken
//! within the round. All contenders are filled before the first round and dropped after the last.

use crate::args::Plan;
use crate::results::{Cell, Series};
use crate::shared::clock;
use crate::shared::pool::Pool;
use crate::shared::progress::Progress;
use crate::shared::work::{self, MULTIPLE};
use benches::workload::{Entrant, Job, Role};
use std::sync::Arc;
use std::time::Duration;

/// Whoever is slower than the fastest by more than this does fewer operations than the others.
const SLOW: f64 = 20.0;
/// How many runs of the fastest one run of such a contender may take.
const SLOW_RUN: f64 = 4.0;
/// A shorter run than this measures the barrier.
const SHORTEST: Duration = Duration::from_millis(3);
/// Before it is timed, a contender does this share of the run, to have its data in the cache again.
const WARM_UP: u64 = 4;

/// Who runs in a cell.
#[derive(Clone, Copy)]
pub(crate) struct Starter<'e> {
    pub(crate) entrant: &'e Entrant,
    pub(crate) lacks: &'e str,
    /// The workload that it comes from, if that is another.
    pub(crate) from: Option<&'static str>,
}

/// The time that the rounds may take, which cells that need less leave to the others.
#[derive(Debug)]
pub(crate) struct Allowance {
    pub(crate) left: Duration,
    pub(crate) cells: u32,
}

impl Allowance {
    fn next(&self) -> Duration {
        self.left / self.cells.max(1)
    }

    fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
        self.cells = self.cells.saturating_sub(1);
    }
}

/// A contender at work.
struct Line {
    series: Series,
    job: Arc<dyn Job>,
    /// Operations a second, as calibrated.
    rate: f64,
}

impl Line {
    fn new(starter: Starter<'_>, threads: usize) -> Self {
        let threads = threads.min(starter.entrant.max_threads);
        let series = Series { from: starter.from, ..Series::new(starter.entrant, threads, starter.lacks) };
        Self { series, job: Arc::from((starter.entrant.make)(threads)), rate: 0.0 }
    }

    /// Finds out how fast it is.
    fn calibrate(&mut self, pool: &Pool, enough: Duration) -> Result<(), String> {
        self.rate = work::calibrate(pool, &self.job, self.series.threads, enough)?;
        Ok(())
    }

    /// One round's turn.
    fn turn(&mut self, pool: &Pool) -> Result<(), String> {
        let Series { threads, operations, .. } = self.series;
        work::run(pool, &self.job, threads, (operations / WARM_UP).max(1))?;
        let (seconds, sum) = work::run(pool, &self.job, threads, operations)?;
        let all = operations * threads as u64;
        self.job.check(all, sum)?;
        self.series.rates.push(all as f64 / seconds);
        Ok(())
    }

    /// Runs a step unless an earlier one failed.
    fn attempt(&mut self, step: impl FnOnce(&mut Self) -> Result<(), String>) {
        if self.series.fault.is_none() {
            self.series.fault = step(self).err();
        }
    }

    fn counts(&self) -> bool {
        self.series.fault.is_none()
    }
}

/// The rate of the fastest that is compared; of the fastest of all if only others run.
fn fastest(lines: &[Line]) -> f64 {
    let is_beside = |line: &Line| matches!(line.series.role, Role::Variant | Role::Floor | Role::Limit | Role::Part);
    let of = |with_all: bool| {
        let rates = lines.iter().filter(|line| line.counts() && (with_all || !is_beside(line))).map(|line| line.rate);
        rates.fold(0.0, f64::max)
    };
    if of(false) > 0.0 { of(false) } else { of(true) }
}

/// Sets the operations of each: the same for all but the very slow, so that the fastest takes `wanted`, or less if the
/// rounds would otherwise take longer than `allowed`.
fn share_out(lines: &mut [Line], threads: usize, rounds: usize, wanted: Duration, allowed: Duration) {
    let fastest = fastest(lines);
    // How many times the run of the fastest each one takes.
    let length = |line: &Line| if line.rate * SLOW < fastest { SLOW_RUN } else { fastest / line.rate };
    let round: f64 = lines.iter().filter(|line| line.counts()).map(length).sum();
    let round = round * (1.0 + 1.0 / WARM_UP as f64);
    let affordable = allowed.as_secs_f64() / rounds as f64 / round.max(1.0);
    let run = wanted.as_secs_f64().min(affordable).max(SHORTEST.as_secs_f64());
    for line in lines.iter_mut().filter(|line| line.counts()) {
        let operations = run * length(line) * line.rate / threads as f64;
        line.series.operations = (operations as u64).next_multiple_of(MULTIPLE).max(MULTIPLE);
    }
}

/// Measures a workload at one number of threads.
pub(crate) fn measure(
    pool: &Pool,
    plan: &Plan,
    starters: &[Starter<'_>],
    threads: usize,
    allowance: &mut Allowance,
    progress: &Progress,
) -> Cell {
    let mut lines: Vec<_> = starters.iter().map(|&starter| Line::new(starter, threads)).collect();
    for line in &mut lines {
        line.attempt(|line| line.calibrate(pool, plan.run / 8));
    }
    share_out(&mut lines, threads, plan.rounds, plan.run, allowance.next());
    let begun = clock::now();
    for round in 1..=plan.rounds {
        progress.say(&format!("{threads} threads, round {round} of {}", plan.rounds));
        for line in &mut lines {
            line.attempt(|line| line.turn(pool));
            progress.step();
        }
    }
    allowance.spend(begun.elapsed());
    let mut cell = Cell { threads, series: lines.into_iter().map(|line| line.series).collect() };
    cell.compare();
    cell
}
