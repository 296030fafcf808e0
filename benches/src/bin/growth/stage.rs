//! The measuring: jobs that take turns, round by round.

use crate::shared::pool::Pool;
use crate::shared::progress::Progress;
use crate::shared::stats::Spread;
use crate::shared::work::{self, MULTIPLE};
use benches::workload::Job;
use std::sync::Arc;
use std::time::Duration;

const ROUNDS: usize = 7;
/// What each takes in a round.
const RUN: Duration = Duration::from_millis(40);
/// A run of this length tells how many operations make a [`RUN`].
const CALIBRATION: Duration = Duration::from_millis(10);

/// What all curves need.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) pool: Pool,
    pub(crate) progress: Progress,
}

/// A job, and by how many threads it is done.
pub(crate) struct Line {
    pub(crate) job: Arc<dyn Job>,
    pub(crate) threads: usize,
}

impl Line {
    pub(crate) fn new(job: Box<dyn Job>, threads: usize) -> Self {
        Self { job: Arc::from(job), threads }
    }
}

impl Stage {
    /// Operations a second of all threads together: of each line, by round.
    fn rates(&self, lines: &[Line]) -> Result<Vec<Vec<f64>>, String> {
        let operations = |line: &Line| {
            let rate = work::calibrate(&self.pool, &line.job, line.threads, CALIBRATION)?;
            let each = (rate * RUN.as_secs_f64() / line.threads as f64) as u64;
            Ok::<_, String>(each.next_multiple_of(MULTIPLE))
        };
        let operations = lines.iter().map(operations).collect::<Result<Vec<_>, _>>()?;
        let mut rates = vec![Vec::new(); lines.len()];
        for _ in 0..ROUNDS {
            for ((line, &operations), rates) in lines.iter().zip(&operations).zip(&mut rates) {
                let (seconds, sum) = work::run(&self.pool, &line.job, line.threads, operations)?;
                let all = operations * line.threads as u64;
                line.job.check(all, sum)?;
                rates.push(all as f64 / seconds);
            }
        }
        Ok(rates)
    }

    /// Nanoseconds for one operation of a thread.
    pub(crate) fn nanos(&self, lines: &[Line]) -> Result<Vec<Spread>, String> {
        let rates = self.rates(lines)?;
        let of = |(line, rates): (&Line, Vec<f64>)| {
            let nanos: Vec<_> = rates.iter().map(|rate| 1e9 * line.threads as f64 / rate).collect();
            Spread::of(&nanos)
        };
        Ok(lines.iter().zip(rates).map(of).collect())
    }

    /// Million operations a second, of all threads together.
    pub(crate) fn millions(&self, lines: &[Line]) -> Result<Vec<Spread>, String> {
        let rates = self.rates(lines)?;
        Ok(rates
            .into_iter()
            .map(|rates| Spread::of(&rates.iter().map(|rate| rate / 1e6).collect::<Vec<_>>()))
            .collect())
    }
}
