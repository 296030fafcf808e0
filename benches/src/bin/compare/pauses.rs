//! How long a reader waits while a million entries expire under it.
//!
//! Open loop: a reader has a check to do every 10 us, whether the one before has ended or not, and each is timed from
//! when it was due. So a pause of a millisecond counts against the hundred checks that it delayed, not against one.
//! Meanwhile a writer revokes 10,000 ids a second, and a sweeper forgets, ten times in all, what has expired.

use crate::args::Plan;
use crate::latency;
use crate::results;
use crate::shared::clock;
use crate::shared::pool::Pool;
use crate::shared::progress::Progress;
use crate::shared::stats::Spread;
use crate::wait;
use benches::load::{key, pick};
use benches::workload::{Role, Sweeping, SweepingEntrant, now_ns};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Entries that expire in the course of the experiment.
const EXPIRING: u64 = 1_000_000;
/// A check is due at each.
const PERIOD: Duration = Duration::from_micros(10);
/// A revocation is due at each.
const WRITE_PERIOD: Duration = Duration::from_micros(100);
/// Sweeps, evenly spread.
const SWEEPS: u32 = 10;
/// The longest pause is kept for each slot of this length.
pub(crate) const SLOT: Duration = Duration::from_millis(10);
/// Between the first insert of the fill and the first expiry.
const FILL: Duration = Duration::from_millis(2_000);
/// Whoever writes and fills has key spaces of their own.
const FILLER: u64 = 0;
const WRITER: u64 = 1;
/// The name of the set that does nothing: what remains is the machine's own doing.
pub(crate) const NOTHING: &str = "no store at all";

/// The whole experiment.
#[derive(Debug, Serialize)]
pub(crate) struct PauseResults {
    pub(crate) seconds: f64,
    pub(crate) entrants: Vec<Pauses>,
}

/// A contender over all runs. Latencies in nanoseconds, one for each run.
#[derive(Debug, Serialize)]
pub(crate) struct Pauses {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    #[serde(serialize_with = "results::role_name")]
    pub(crate) role: Role,
    pub(crate) p50: Vec<f64>,
    pub(crate) p999: Vec<f64>,
    pub(crate) worst: Vec<f64>,
    /// How long each whole sweep took, over all runs.
    pub(crate) sweeps: Spread,
    /// The longest latency of each slot, in the last run.
    pub(crate) slots: Vec<u64>,
}

/// What a thread of the experiment brings back.
enum Seen {
    Reader(Histogram<u64>, Vec<u64>),
    Writer,
    Sweeper(Vec<f64>),
}

/// The set that does nothing.
struct Nothing;

impl Sweeping for Nothing {
    fn check(&self, id: u128) -> bool {
        black_box(id) == 0
    }

    fn revoke(&self, id: u128, expires_at: u64) {
        black_box((id, expires_at));
    }

    fn sweep(&self, now: u64) {
        black_box(now);
    }
}

/// The machine by itself, in the place of a contender.
pub(crate) fn nothing() -> SweepingEntrant {
    SweepingEntrant { name: NOTHING, version: "", role: Role::Floor, make: |_| Box::new(Nothing) }
}

/// Runs the experiment with each contender in turn, so often as planned.
pub(crate) fn measure(
    pool: &Pool,
    plan: &Plan,
    entrants: &[SweepingEntrant],
    progress: &Progress,
) -> Result<PauseResults, String> {
    let (time, repeats) = plan.pauses;
    let mut all: Vec<_> = entrants.iter().map(|entrant| (Pauses::new(entrant), Vec::new())).collect();
    for repeat in 1..=repeats {
        for (entrant, (pauses, sweeps)) in entrants.iter().zip(&mut all) {
            progress.say(&format!("{}, run {repeat} of {repeats}", entrant.name));
            for seen in once(pool, entrant, time).map_err(|error| format!("{}: {error}", entrant.name))? {
                pauses.add(seen, sweeps);
            }
            progress.step();
        }
    }
    let entrants = all.into_iter().map(|(pauses, sweeps)| Pauses { sweeps: Spread::of(&sweeps), ..pauses }).collect();
    Ok(PauseResults { seconds: time.as_secs_f64(), entrants })
}

/// One run of one contender.
fn once(pool: &Pool, entrant: &SweepingEntrant, time: Duration) -> Result<Vec<Seen>, String> {
    let set: Arc<dyn Sweeping> = Arc::from((entrant.make)(EXPIRING + writes(time)));
    let (filling, filling_ns) = (clock::now(), now_ns());
    let in_nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let first_ns = filling_ns + in_nanos(FILL);
    for number in 0..EXPIRING {
        let offset = u128::from(number) * time.as_nanos() / u128::from(EXPIRING);
        set.revoke(key(FILLER, number), first_ns + offset as u64);
    }
    wait::sleep((filling + FILL).saturating_duration_since(clock::now()));
    // Past the end, so that what is written stays.
    let late_ns = first_ns + in_nanos(time) * 100;
    let shared = set.clone();
    let run = pool.run(3, move |thread| {
        let begun = clock::now();
        match thread {
            0 => read(shared.as_ref(), begun, time),
            1 => Ok(write(shared.as_ref(), begun, time, late_ns)),
            _ => Ok(sweep(shared.as_ref(), begun, time)),
        }
    })?;
    run.results.into_iter().collect()
}

fn writes(time: Duration) -> u64 {
    (time.as_nanos() / WRITE_PERIOD.as_nanos()) as u64
}

/// Checks on schedule.
fn read(set: &dyn Sweeping, begun: Instant, time: Duration) -> Result<Seen, String> {
    let mut seen = latency::histogram()?;
    let mut slots = vec![0; (time.as_nanos() / SLOT.as_nanos()) as usize + 1];
    let checks = time.as_nanos() / PERIOD.as_nanos();
    for number in 0..checks as u32 {
        let due = begun + PERIOD * number;
        clock::spin_until(due);
        black_box(set.check(key(FILLER, pick(0, u64::from(number), EXPIRING))));
        let waited = latency::nanos(due, clock::now());
        seen.saturating_record(waited);
        let slot = &mut slots[((due - begun).as_nanos() / SLOT.as_nanos()) as usize];
        *slot = waited.max(*slot);
    }
    Ok(Seen::Reader(seen, slots))
}

/// Revokes on schedule; what came due while it slept or waited, it does at once.
fn write(set: &dyn Sweeping, begun: Instant, time: Duration, expires_at: u64) -> Seen {
    for number in 0..writes(time) {
        let due = begun + WRITE_PERIOD * number as u32;
        wait::sleep(due.saturating_duration_since(clock::now()));
        set.revoke(key(WRITER, number), expires_at);
    }
    Seen::Writer
}

/// Sweeps on schedule, or at once if the last sweep took too long.
fn sweep(set: &dyn Sweeping, begun: Instant, time: Duration) -> Seen {
    let one = |number: u32| {
        let due = begun + time * number / (SWEEPS + 1);
        wait::sleep(due.saturating_duration_since(clock::now()));
        let start = clock::now();
        set.sweep(now_ns());
        start.elapsed().as_nanos() as f64
    };
    Seen::Sweeper((1..=SWEEPS).map(one).collect())
}

impl Pauses {
    fn new(entrant: &SweepingEntrant) -> Self {
        Self {
            name: entrant.name,
            version: entrant.version,
            role: entrant.role,
            p50: Vec::new(),
            p999: Vec::new(),
            worst: Vec::new(),
            sweeps: Spread::default(),
            slots: Vec::new(),
        }
    }

    fn add(&mut self, seen: Seen, sweeps: &mut Vec<f64>) {
        match seen {
            Seen::Reader(histogram, slots) => {
                self.p50.push(histogram.value_at_quantile(0.5) as f64);
                self.p999.push(histogram.value_at_quantile(0.999) as f64);
                self.worst.push(histogram.max() as f64);
                self.slots = slots;
            }
            Seen::Writer => {}
            Seen::Sweeper(times) => sweeps.extend(times),
        }
    }
}
