//! What else the machine did meanwhile: a benchmark on a busy machine measures its neighbours.

use crate::shared::clock;
use std::fs;
use std::time::Instant;

/// Fields of time in `/proc` count in hundredths of a second.
const TICKS: f64 = 100.0;
/// Cores that others may use before figures suffer.
const QUIET: f64 = 0.1;

/// A look at the clocks, to be compared with a later one.
#[derive(Debug)]
pub(crate) struct Others {
    begun: Instant,
    /// Seconds of cores that others have used since the machine started, if the system tells.
    used: Option<f64>,
}

impl Others {
    pub(crate) fn watch() -> Self {
        Self { begun: clock::now(), used: used_by_others() }
    }

    /// The cores that others used since, on average.
    pub(crate) fn cores(&self) -> Option<f64> {
        let used = (used_by_others()? - self.used?).max(0.0);
        Some(used / self.begun.elapsed().as_secs_f64().max(0.01))
    }
}

/// What to say of so many cores that others used; nothing if the machine was quiet.
pub(crate) fn warning(cores: Option<f64>) -> Option<String> {
    let cores = cores.filter(|cores| *cores >= QUIET)?;
    Some(format!(
        "other processes used {cores:.1} cores meanwhile; figures on all cores, latencies and pauses are theirs too"
    ))
}

fn used_by_others() -> Option<f64> {
    Some((busy(&fs::read_to_string("/proc/stat").ok()?)? - own(&fs::read_to_string("/proc/self/stat").ok()?)?) / TICKS)
}

/// All cores together: everything but idling and waiting for a device.
fn busy(stat: &str) -> Option<f64> {
    let ticks: Vec<f64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|text| text.parse().ok()).collect();
    // User, nice, system, idle, waiting, interrupts (two kinds), stolen; what follows is contained in the first two.
    (ticks.len() >= 8).then(|| ticks[..3].iter().chain(&ticks[5..8]).sum())
}

/// This process, and the children that it has waited for.
fn own(stat: &str) -> Option<f64> {
    // The name, in brackets, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> = fields.split_whitespace().skip(11).take(4).filter_map(|text| text.parse().ok()).collect();
    (ticks.len() == 4).then(|| ticks.iter().sum())
}
