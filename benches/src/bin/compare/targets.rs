//! Whether tollgate reached what it should.

use crate::memory::{Bytes, Memory, MemoryResults};
use crate::pauses::{PauseResults, Pauses};
use crate::results::{Cell, Series, WorkloadResults};
use crate::shared::stats;
use crate::shared::text;
use benches::workload::{Against, MEMORY, Role, SWEEPING, Target};
use serde::Serialize;

/// Below the pauses of a lock that is held through a sweep, by this much.
const BELOW_LOCK: f64 = 100.0;
/// The contender that holds its lock through a sweep.
const LOCK: &str = "RwLock";

/// One target, and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) workload: &'static str,
    /// None where threads do not matter.
    pub(crate) threads: Option<usize>,
    /// With whom tollgate was compared, and by what.
    pub(crate) against: String,
    /// How many times better tollgate is; none if one of the two was not measured.
    pub(crate) ratio: Option<f64>,
    pub(crate) at_least: f64,
    pub(crate) met: bool,
}

impl Verdict {
    fn new(workload: &'static str, threads: Option<usize>, against: String, ratio: Option<f64>, at_least: f64) -> Self {
        let met = ratio.is_some_and(|ratio| ratio >= at_least);
        Self { workload, threads, against, ratio, at_least, met }
    }

    /// For the terminal.
    pub(crate) fn line(&self) -> String {
        let verdict = if self.met { "met   " } else { "MISSED" };
        let threads = match self.threads {
            Some(1) => ", 1 thread".to_owned(),
            Some(threads) => format!(", {threads} threads"),
            None => String::new(),
        };
        format!(
            "{verdict} {}{threads}: {} of {} wanted, against {}",
            self.workload,
            self.ratio.map_or("nothing measured".to_owned(), |ratio| format!("{}x", text::ratio(ratio))),
            format_args!("{}x", text::ratio(self.at_least)),
            self.against,
        )
    }
}

/// The targets of a workload.
pub(crate) fn of_workload(results: &WorkloadResults, cores: usize) -> Vec<Verdict> {
    let verdict = |target: &Target| {
        let threads = if target.threads == 1 { 1 } else { cores };
        let cell = results.cell(threads);
        let other = cell.and_then(|cell| opponent(cell, target.against));
        let tollgate = cell.and_then(Cell::tollgate);
        let ratio = tollgate.zip(other).and_then(|(one, other)| stats::ratio(&one.rates, &other.rates));
        let name = other.map_or("nobody".to_owned(), Series::label);
        let against = format!("{name} ({})", kind(target.against));
        Verdict::new(results.id, Some(threads), against, ratio, target.at_least)
    };
    results.targets.iter().map(verdict).collect()
}

fn opponent(cell: &Cell, against: Against) -> Option<&Series> {
    match against {
        Against::BestPeer => cell.best(Role::is_peer),
        Against::BestExactPeer => cell.best(|role| role == Role::ExactPeer),
        Against::BestInexactPeer => cell.best(|role| role == Role::InexactPeer),
        Against::Floor => cell.floor(),
        Against::Limit(name) => cell.ranked().find(|series| series.role == Role::Limit && series.name == name),
        Against::Upstream => cell.best(|role| role == Role::Upstream),
        Against::SelfAt(id) => cell.series.iter().find(|series| series.from == Some(id) && series.fault.is_none()),
    }
}

fn kind(against: Against) -> &'static str {
    match against {
        Against::BestPeer => "best peer",
        Against::BestExactPeer => "best exact peer",
        Against::BestInexactPeer => "best inexact peer",
        Against::Floor => "floor",
        Against::Limit(_) => "limit",
        Against::Upstream => "upstream",
        Against::SelfAt(_) => "tollgate itself",
    }
}

/// The targets of the pause experiment.
pub(crate) fn of_pauses(results: &PauseResults) -> Vec<Verdict> {
    let tollgate = results.entrants.iter().find(|entrant| entrant.role == Role::Tollgate);
    let lock = results.entrants.iter().find(|entrant| entrant.name.starts_with(LOCK));
    let verdicts = ["p99.9", "worst"].into_iter().flat_map(|what| {
        let figure = |one: &Pauses| if what == "worst" { one.worst.clone() } else { one.p999.clone() };
        let middle = |one: &&Pauses| stats::median(&figure(one));
        let peers = results.entrants.iter().filter(|entrant| entrant.role.is_peer());
        let best = peers.min_by(|left, right| middle(left).total_cmp(&middle(right)));
        let verdict = |other: Option<&Pauses>, kind: &str, at_least: f64| {
            let ratio = tollgate.zip(other).and_then(|(one, other)| stats::ratio(&figure(other), &figure(one)));
            let name = other.map_or("nobody", |other| other.name);
            Verdict::new(SWEEPING.id, None, format!("{name} ({kind}), {what}"), ratio, at_least)
        };
        [verdict(best, "best peer", 1.0), verdict(lock, "held lock", BELOW_LOCK)]
    });
    verdicts.collect()
}

/// The target of memory: at or below the smallest peer that is lock-free.
pub(crate) fn of_memory(results: &MemoryResults) -> Verdict {
    let tollgate = results.entrants.iter().find(|entrant| entrant.role == Role::Tollgate);
    let peers = results.entrants.iter().filter(|entrant| entrant.lock_free && entrant.role.is_peer());
    let smallest = peers.min_by_key(|entrant| entrant.bytes.filled);
    let size = |memory: &Memory| Bytes::per_entry(memory.bytes.filled);
    let ratio = tollgate.zip(smallest).map(|(one, other)| size(other) / size(one));
    let name = smallest.map_or("nobody", |smallest| smallest.name);
    Verdict::new(MEMORY.id, None, format!("{name} (smallest lock-free peer), bytes per entry"), ratio, 1.0)
}
