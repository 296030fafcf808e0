//! Whether tollgate reached what it should.

use crate::memory::{Bytes, Memory, MemoryResults};
use crate::pauses::{PauseResults, Pauses};
use crate::ratio;
use crate::results::{Cell, Series, WorkloadResults};
use crate::shared::text;
use benches::workload::{Against, MEMORY, Role, SWEEPING, Target};
use serde::Serialize;

/// Below the pauses of a lock that is held through a sweep, by this much.
const BELOW_LOCK: f64 = 100.0;
/// In the names of the contenders that hold one lock through a sweep.
const LOCK: &str = "RwLock";

/// One target, and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) workload: &'static str,
    /// None where threads do not matter.
    pub(crate) threads: Option<usize>,
    /// With whom tollgate was compared.
    pub(crate) against: String,
    /// Why with this one, and by what.
    pub(crate) as_what: String,
    /// How many times better tollgate is; none if one of the two was not measured.
    pub(crate) ratio: Option<f64>,
    pub(crate) at_least: f64,
    pub(crate) met: bool,
}

impl Verdict {
    fn new(
        (workload, threads): (&'static str, Option<usize>),
        against: Option<String>,
        as_what: String,
        ratio: Option<f64>,
        at_least: f64,
    ) -> Self {
        let met = ratio.is_some_and(|ratio| ratio >= at_least);
        let against = against.unwrap_or("nobody".to_owned());
        Self { workload, threads, against, as_what, ratio, at_least, met }
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
            "{verdict} {}{threads}: {} of {} wanted, against {} ({})",
            self.workload,
            self.ratio.map_or("nothing measured".to_owned(), |ratio| format!("{}x", text::ratio(ratio))),
            format_args!("{}x", text::ratio(self.at_least)),
            self.against,
            self.as_what,
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
        let ratio = tollgate.zip(other).and_then(|(one, other)| ratio::ratio(&one.rates, &other.rates));
        let against = other.map(Series::label);
        let as_what = kind(target.against).to_owned();
        Verdict::new((results.id, Some(threads)), against, as_what, ratio, target.at_least)
    };
    results.targets.iter().map(verdict).collect()
}

fn opponent(cell: &Cell, against: Against) -> Option<&Series> {
    match against {
        Against::BestPeer => cell.best(|series| series.role.is_peer()),
        Against::BestExactPeer => cell.best(|series| series.role == Role::ExactPeer),
        Against::BestInexactPeer => cell.best(|series| series.role == Role::InexactPeer),
        Against::Floor => cell.floor(),
        Against::Limit(name) => cell.ranked().find(|series| series.role == Role::Limit && series.name == name),
        Against::Upstream => cell.best(|series| series.role == Role::Upstream),
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
    let verdicts = ["p99.9", "worst"].into_iter().flat_map(|what| {
        let figure = |one: &Pauses| if what == "worst" { one.worst.clone() } else { one.p999.clone() };
        let middle = |one: &&Pauses| ratio::median(&figure(one));
        let best = |fits: fn(&Pauses) -> bool| {
            let fitting = results.entrants.iter().filter(|one| one.role.is_peer() && fits(one));
            fitting.min_by(|left, right| middle(left).total_cmp(&middle(right)))
        };
        let verdict = |other: Option<&Pauses>, kind: &str, at_least: f64| {
            let ratio = tollgate.zip(other).and_then(|(one, other)| ratio::ratio(&figure(other), &figure(one)));
            let against = other.map(|other| other.name.to_owned());
            Verdict::new((SWEEPING.id, None), against, format!("{kind}, {what}"), ratio, at_least)
        };
        let lock = best(|one| one.name.contains(LOCK));
        [verdict(best(|_| true), "best peer", 1.0), verdict(lock, "best held lock", BELOW_LOCK)]
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
    let against = smallest.map(|smallest| smallest.name.to_owned());
    Verdict::new((MEMORY.id, None), against, "smallest lock-free peer, bytes per entry".to_owned(), ratio, 1.0)
}
