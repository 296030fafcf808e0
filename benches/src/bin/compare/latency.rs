//! Latency of single operations: closed loop, the clock read around each.
//!
//! Every figure contains one read of the clock, which the report states; it is not subtracted. A contender that shares
//! a pin among 64 operations elsewhere has one for each operation here.

use crate::args::Plan;
use crate::results::Cell;
use crate::rounds::Starter;
use crate::shared::clock;
use crate::shared::pool::Pool;
use crate::shared::progress::Progress;
use benches::workload::{Entrant, Job, Role};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The contenders take turns so often.
const TURNS: u32 = 5;
/// Longer latencies count as this.
const LONGEST: u64 = 60_000_000_000;
/// Significant digits.
const DIGITS: u8 = 3;
/// Where the plotted curve has points: shares of the operations that are slower.
const TAIL: [f64; 17] = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.2, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5];

/// A contender's latencies at one number of threads, in nanoseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) name: &'static str,
    #[serde(skip)]
    pub(crate) role: Role,
    pub(crate) threads: usize,
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) p9999: u64,
    pub(crate) max: u64,
    /// Pairs of a share and the latency that this share of the operations exceeds.
    pub(crate) tail: Vec<(f64, u64)>,
}

/// An empty histogram; its bounds are constants that fit together.
pub(crate) fn histogram() -> Result<Histogram<u64>, String> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).map_err(|error| error.to_string())
}

/// The slower shares and what they exceed, as far as there are enough operations to tell.
pub(crate) fn tail(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let told = |share: &f64| share * histogram.len() as f64 >= 1.0;
    TAIL.into_iter().filter(told).map(|share| (share, histogram.value_at_quantile(1.0 - share))).collect()
}

/// The time between two reads of the clock with nothing between them: the median.
pub(crate) fn clock_cost() -> u64 {
    let mut costs: Vec<u64> = (0..10_001).map(|_| nanos(clock::now(), clock::now())).collect();
    let (_, median, _) = costs.select_nth_unstable(5_000);
    *median
}

pub(crate) fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from((to - from).as_nanos()).unwrap_or(LONGEST)
}

/// In the names of contenders for whom an operation alone is not what a user does: a run is a task that they spawn.
const SPAWNED: &str = "tokio";

/// Whose latency is worth the time: tollgate, upstream, and the best of each kind of peer with the runner-up.
pub(crate) fn chosen<'s, 'e>(cell: &Cell, starters: &'s [Starter<'e>]) -> Vec<&'s Starter<'e>> {
    let best = |role: Role| {
        cell.best(|series| series.role == role && !series.name.contains(SPAWNED)).map(|series| series.name)
    };
    let mut names: Vec<_> = [Role::Tollgate, Role::ExactPeer, Role::InexactPeer, Role::Upstream].map(best).to_vec();
    let mut peers: Vec<_> = cell.ranked().filter(|series| series.role == Role::Peer).collect();
    peers.sort_by(|left, right| right.spread.median.total_cmp(&left.spread.median));
    names.extend(peers.into_iter().take(2).map(|series| Some(series.name)));
    let is_chosen = |starter: &&Starter<'_>| starter.from.is_none() && names.contains(&Some(starter.entrant.name));
    starters.iter().filter(is_chosen).collect()
}

/// A contender at work.
struct Line {
    name: &'static str,
    role: Role,
    job: Arc<dyn Job>,
    seen: Histogram<u64>,
}

impl Line {
    fn new(starter: &Starter<'_>, threads: usize) -> Result<Self, String> {
        let Entrant { name, role, make, .. } = *starter.entrant;
        Ok(Self { name, role, job: Arc::from(make(threads)), seen: histogram()? })
    }
}

/// Measures these contenders at one number of threads, in turns.
pub(crate) fn measure(
    pool: &Pool,
    plan: &Plan,
    starters: &[&Starter<'_>],
    threads: usize,
    progress: &Progress,
) -> Result<Vec<Latency>, String> {
    let mut lines: Vec<_> = starters.iter().map(|starter| Line::new(starter, threads)).collect::<Result<_, _>>()?;
    for turn in 1..=TURNS {
        progress.say(&format!("{threads} threads, latency, turn {turn} of {TURNS}"));
        for line in &mut lines {
            let watched = watch(pool, &line.job, threads, plan.latency / TURNS, &mut line.seen);
            watched.map_err(|error| format!("{}, latency at {threads} threads: {error}", line.name))?;
        }
    }
    Ok(lines.iter().map(|line| Latency::new(line.name, line.role, threads, &line.seen)).collect())
}

/// One contender's turn.
fn watch(
    pool: &Pool,
    job: &Arc<dyn Job>,
    threads: usize,
    time: Duration,
    seen: &mut Histogram<u64>,
) -> Result<(), String> {
    let working = job.clone();
    let run = pool.run(threads, move |thread| {
        let mut seen = histogram()?;
        let (begun, mut sum) = (clock::now(), 0u64);
        loop {
            let start = clock::now();
            sum = sum.wrapping_add(working.one(thread));
            let end = clock::now();
            seen.saturating_record(nanos(start, end));
            if end - begun >= time {
                return Ok::<_, String>((seen, sum));
            }
        }
    })?;
    let (mut operations, mut total) = (0, 0u64);
    for result in run.results {
        let (part, sum) = result?;
        operations += part.len();
        total = total.wrapping_add(sum);
        seen.add(part).map_err(|error| error.to_string())?;
    }
    job.check(operations, total)
}

impl Latency {
    fn new(name: &'static str, role: Role, threads: usize, seen: &Histogram<u64>) -> Self {
        let at = |quantile| seen.value_at_quantile(quantile);
        Self {
            name,
            role,
            threads,
            count: seen.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: seen.max(),
            tail: tail(seen),
        }
    }
}
