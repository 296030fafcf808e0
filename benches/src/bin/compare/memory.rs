//! Heap bytes of a map, measured in a process of its own for each, so that no other's garbage counts.

use crate::args::Plan;
use crate::results;
use crate::shared::clock;
use crate::shared::heap;
use crate::shared::progress::Progress;
use crate::wait;
use benches::workload::{MemoryEntrant, Role};
use serde::{Deserialize, Serialize};
use std::env;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Entries of the map.
pub(crate) const LIVE: u64 = 1_000_000;
/// Between two looks at the heap.
const SAMPLE: Duration = Duration::from_millis(5);
/// Operations of churn between two looks at the clock.
const SLICE: u64 = 1_024;

/// All maps.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryResults {
    pub(crate) live: u64,
    pub(crate) entrants: Vec<Memory>,
}

/// A map's.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    #[serde(serialize_with = "results::role_name")]
    pub(crate) role: Role,
    pub(crate) lock_free: bool,
    pub(crate) bytes: Bytes,
}

/// Heap bytes, as the child process found them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Bytes {
    /// With all entries in.
    pub(crate) filled: u64,
    /// The most that was seen in churn.
    pub(crate) peak: u64,
    /// When the threads have ended.
    pub(crate) after: u64,
    /// How often the heap was looked at in churn.
    pub(crate) samples: u64,
    /// Operations of churn: an insert and a removal each.
    pub(crate) operations: u64,
}

impl Bytes {
    pub(crate) fn per_entry(bytes: u64) -> f64 {
        bytes as f64 / LIVE as f64
    }

    pub(crate) fn peak_over_filled(&self) -> f64 {
        self.peak as f64 / self.filled.max(1) as f64
    }
}

/// Runs this program once for each of them. The failures come apart, a line each.
pub(crate) fn measure(entrants: &[MemoryEntrant], plan: &Plan, progress: &Progress) -> (MemoryResults, Vec<String>) {
    let (mut measured, mut faults) = (Vec::new(), Vec::new());
    for entrant in entrants {
        progress.say(entrant.name);
        match child(entrant.name, plan.is_quick) {
            Ok(bytes) => measured.push(Memory {
                name: entrant.name,
                version: entrant.version,
                role: entrant.role,
                lock_free: entrant.lock_free,
                bytes,
            }),
            Err(what) => faults.push(format!("memory, {}: {what}", entrant.name)),
        }
        progress.step();
    }
    (MemoryResults { live: LIVE, entrants: measured }, faults)
}

fn child(name: &str, is_quick: bool) -> Result<Bytes, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--memory-of", name]).args(is_quick.then_some("--quick"));
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("its process ended with {}: {}", output.status, said(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("its process gave no figures: {error}"))
}

/// What a process said before it ended: of a panic, what it was about, and not where the sources are on this machine.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines = text.trim().lines();
    let first = lines.next().unwrap_or_default();
    let about = if first.contains("panicked at") { lines.next() } else { None };
    about.unwrap_or(first).to_owned()
}

/// What the child process does: fills the map, lets threads churn in it, and looks at the heap meanwhile.
pub(crate) fn measure_here(entrant: &MemoryEntrant, plan: &Plan) -> Result<Bytes, String> {
    let in_use = || heap::in_use().ok_or("this system's allocator does not tell what is in use");
    let before = in_use()?;
    let job = (entrant.fill)(LIVE, plan.cores);
    let above = |bytes: u64| bytes.saturating_sub(before);
    let filled = above(in_use()?);
    let (mut peak, mut samples) = (filled, 0);
    let end = clock::now() + plan.memory;
    let operations = thread::scope(|scope| {
        let job = job.as_ref();
        let running: Vec<_> = (0..plan.cores)
            .map(|thread| {
                scope.spawn(move || {
                    let (mut operations, mut sum) = (0, 0u64);
                    while clock::now() < end {
                        sum = sum.wrapping_add(job.run(thread, SLICE));
                        operations += SLICE;
                    }
                    (operations, sum)
                })
            })
            .collect();
        while clock::now() < end {
            peak = peak.max(above(heap::in_use().unwrap_or_default()));
            samples += 1;
            wait::sleep(SAMPLE);
        }
        let ended = running.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned()));
        let ended = ended.collect::<Result<Vec<(u64, u64)>, String>>()?;
        let operations = ended.iter().map(|one| one.0).sum();
        job.check(operations, ended.iter().fold(0, |sum, one| sum.wrapping_add(one.1)))?;
        Ok::<u64, String>(operations)
    })?;
    Ok(Bytes { filled, peak, after: above(in_use()?), samples, operations })
}
