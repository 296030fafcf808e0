//! A job, done by so many threads of the pool at once.

use crate::shared::pool::Pool;
use benches::workload::Job;
use std::sync::Arc;
use std::time::Duration;

/// Operations are a multiple of what the contenders do under one pin.
pub(crate) const MULTIPLE: u64 = 64;

/// One run: seconds, and the sum of what the threads' jobs returned.
pub(crate) fn run(pool: &Pool, job: &Arc<dyn Job>, threads: usize, operations: u64) -> Result<(f64, u64), String> {
    let job = job.clone();
    let run = pool.run(threads, move |thread| job.run(thread, operations))?;
    Ok((run.seconds, run.results.into_iter().fold(0, u64::wrapping_add)))
}

/// Operations a second of all threads together, from runs that take `enough` to tell. The fastest of a few counts: a
/// run that was put aside for a while would make a contender look so slow that it were given next to nothing to do.
pub(crate) fn calibrate(pool: &Pool, job: &Arc<dyn Job>, threads: usize, enough: Duration) -> Result<f64, String> {
    const TRIES: usize = 3;
    let mut operations = MULTIPLE;
    loop {
        let mut shortest = f64::INFINITY;
        for _ in 0..TRIES {
            shortest = shortest.min(run(pool, job, threads, operations)?.0);
            if shortest < enough.as_secs_f64() {
                break;
            }
        }
        if shortest >= enough.as_secs_f64() {
            return Ok((operations * threads as u64) as f64 / shortest);
        }
        operations *= 2;
    }
}
