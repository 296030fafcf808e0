//! What the runs gave, in the form in which it is reported.

use crate::latency::Latency;
use crate::memory::MemoryResults;
use crate::pauses::PauseResults;
use crate::ratio;
use crate::shared::machine::Machine;
use crate::shared::stats::Spread;
use crate::targets::Verdict;
use benches::workload::{Entrant, Role, Target, Workload};
use serde::{Serialize, Serializer};

/// Everything. `report.json` is this.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) workloads: Vec<WorkloadResults>,
    pub(crate) pauses: Option<PauseResults>,
    pub(crate) memory: Option<MemoryResults>,
    pub(crate) targets: Vec<Verdict>,
    /// Wrong results, panics, children that failed: whoever is named here was not compared.
    pub(crate) faults: Vec<String>,
    pub(crate) seconds: f64,
    /// Cores that other processes used meanwhile, on average.
    pub(crate) cores_used_by_others: Option<f64>,
}

/// How much was run.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) threads: Vec<usize>,
    /// Two reads of the clock with nothing between them, which every latency contains.
    pub(crate) clock_nanoseconds: u64,
}

/// A workload at all numbers of threads.
#[derive(Debug, Serialize)]
pub(crate) struct WorkloadResults {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) operation: &'static str,
    #[serde(skip)]
    pub(crate) targets: &'static [Target],
    pub(crate) cells: Vec<Cell>,
    pub(crate) latencies: Vec<Latency>,
}

/// A workload at one number of threads.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) threads: usize,
    pub(crate) series: Vec<Series>,
}

/// A contender in a cell, over all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    #[serde(serialize_with = "role_name")]
    pub(crate) role: Role,
    /// The other workload that this was measured in, for a target that compares the two.
    pub(crate) from: Option<&'static str>,
    /// What it does not do, measured.
    pub(crate) lacks: String,
    /// Fewer than the cell's for what is sequential.
    pub(crate) threads: usize,
    /// In a run, by each thread.
    pub(crate) operations: u64,
    /// Operations a second of all threads together, by round.
    pub(crate) rates: Vec<f64>,
    pub(crate) spread: Spread,
    /// Throughput of tollgate over this one's: the median over rounds.
    pub(crate) tollgate_over_it: Option<f64>,
    /// Throughput over that of the floor on its one thread: the median over rounds.
    pub(crate) over_floor: Option<f64>,
    /// Why it does not count.
    pub(crate) fault: Option<String>,
}

/// For serde.
pub(crate) fn role_name<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word(*role))
}

/// What a contender is to tollgate, in a word or two.
pub(crate) fn word(role: Role) -> &'static str {
    match role {
        Role::Tollgate => "tollgate",
        Role::Variant => "variant",
        Role::Peer => "peer",
        Role::ExactPeer => "exact peer",
        Role::InexactPeer => "inexact peer",
        Role::Upstream => "upstream",
        Role::Part => "does a part",
        Role::Floor => "floor",
        Role::Limit => "limit",
    }
}

impl WorkloadResults {
    pub(crate) fn new(workload: &'static Workload) -> Self {
        let Workload { id, title, operation, targets } = *workload;
        Self { id, title, operation, targets, cells: Vec::new(), latencies: Vec::new() }
    }

    pub(crate) fn cell(&self, threads: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.threads == threads)
    }

    /// The cell with the most threads, but no more than there are cores.
    pub(crate) fn widest(&self, cores: usize) -> Option<&Cell> {
        let within = self.cells.iter().rev().find(|cell| cell.threads <= cores);
        within.or(self.cells.first())
    }
}

impl Cell {
    /// Those that count: no faults, no reference from elsewhere.
    pub(crate) fn ranked(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| series.fault.is_none() && series.from.is_none())
    }

    pub(crate) fn tollgate(&self) -> Option<&Series> {
        self.ranked().find(|series| series.role == Role::Tollgate)
    }

    pub(crate) fn floor(&self) -> Option<&Series> {
        self.ranked().find(|series| series.role == Role::Floor)
    }

    /// The fastest of those that fit.
    pub(crate) fn best(&self, fits: impl Fn(&Series) -> bool) -> Option<&Series> {
        let fitting = self.ranked().filter(|series| fits(series));
        fitting.max_by(|left, right| left.spread.median.total_cmp(&right.spread.median))
    }

    /// Works out the ratios, when all rounds are done.
    pub(crate) fn compare(&mut self) {
        let rates = |series: Option<&Series>| series.map(|series| series.rates.clone()).unwrap_or_default();
        let (tollgate, floor) = (rates(self.tollgate()), rates(self.floor()));
        for series in self.series.iter_mut().filter(|series| series.fault.is_none()) {
            series.spread = Spread::of(&series.rates);
            series.tollgate_over_it = ratio::ratio(&tollgate, &series.rates);
            series.over_floor = ratio::ratio(&series.rates, &floor);
        }
    }
}

impl Series {
    pub(crate) fn new(entrant: &Entrant, threads: usize, lacks: &str) -> Self {
        Self {
            name: entrant.name,
            version: entrant.version,
            role: entrant.role,
            from: None,
            lacks: lacks.to_owned(),
            threads,
            operations: 0,
            rates: Vec::new(),
            spread: Spread::default(),
            tollgate_over_it: None,
            over_floor: None,
            fault: None,
        }
    }

    /// Its name, and which workload it comes from if that is another.
    pub(crate) fn label(&self) -> String {
        match self.from {
            Some(id) => format!("{} in {id}", self.name),
            None => self.name.to_owned(),
        }
    }
}
