//! Threads: what tollgate does a second with one thread to four for each core.

use crate::curve::{Curve, Point};
use crate::shared::machine;
use crate::stage::{Line, Stage};
use benches::workload::{self, Entrant, Role};

/// One of each kind of operation.
const WORKLOADS: [&str; 7] =
    ["map_get_hit", "map_mixed", "map_churn", "fifo_insert", "revocation_check", "admit_10k", "admit_hot"];

/// Powers of two up to four times the cores, and the cores.
pub(crate) fn counts() -> Vec<usize> {
    let cores = machine::cores();
    let powers = (0..).map(|power| 1usize << power).take_while(|count| *count <= 4 * cores);
    let mut counts: Vec<_> = powers.chain([cores, 4 * cores]).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// All of the workloads, by threads.
pub(crate) fn curve(stage: &Stage) -> Result<Curve, String> {
    let entrants = workload::entrants();
    let own = |id: &&str| entrants.iter().find(|one| one.workload.id == *id && one.role == Role::Tollgate);
    let own: Vec<&Entrant> = WORKLOADS.iter().filter_map(own).collect();
    let mut points = Vec::new();
    for threads in counts() {
        stage.progress.say(&format!("{threads} threads"));
        let lines: Vec<_> = own.iter().map(|entrant| Line::new((entrant.make)(threads), threads)).collect();
        points.push(Point {
            place: threads as f64,
            name: threads.to_string(),
            figures: stage.millions(&lines)?,
            more: Vec::new(),
        });
        stage.progress.step();
    }
    let reading = format!(
        "tollgate alone, on the work of `compare`. The machine has {} cores. Up to there a curve that rises in proportion \
         shares no line that is written; one that rises less, stays flat or falls has threads that write the same lines, \
         and the hot session, where all write one word, shows the worst of it. Beyond the cores nothing can rise; what is \
         lock-free must not fall either, since nobody waits for a thread that was put to sleep in the middle.",
        machine::cores()
    );
    Ok(Curve {
        id: "threads",
        title: "Throughput, by threads",
        grows: "threads",
        unit: "million operations a second",
        reading,
        names: own.iter().map(|entrant| entrant.workload.id).collect(),
        more: Vec::new(),
        points,
    })
}
