//! The command line, checked against what there is to run.

use crate::shared::machine;
use benches::refusal;
use benches::workload::{self, Entrant, MEMORY, SWEEPING};
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// More threads than this only measure the scheduler.
const MAX_THREADS: usize = 1_024;

/// Compares tollgate with what a user would pick instead, round by round on the same work.
#[derive(Debug, Parser)]
#[command(name = "compare")]
pub(crate) struct Args {
    /// Fewer rounds, shorter runs, one thread and one per core only; less than 3 minutes
    #[arg(long)]
    pub(crate) quick: bool,

    /// End with a line for each target, and exit with 1 when one is missed
    #[arg(long, conflicts_with_all = ["contenders", "threads"])]
    pub(crate) check: bool,

    /// Run these workloads only
    #[arg(long, value_name = "WORKLOAD", value_delimiter = ',')]
    only: Vec<String>,

    /// Run the contenders only whose names begin like these
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    contenders: Vec<String>,

    /// Thread counts [default: 1, 2, 4, ... up to twice the cores]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = thread_count)]
    threads: Vec<usize>,

    /// Rounds [default: 9, with --quick 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: Option<u16>,

    /// Where the report and the plots go
    #[arg(long, value_name = "DIR", default_value = "target/compare")]
    pub(crate) out: PathBuf,

    /// List the workloads and their contenders, and end
    #[arg(long)]
    pub(crate) list: bool,

    /// Have every contender do a little of everything, check what it did, and end
    #[arg(long)]
    pub(crate) self_test: bool,

    /// Measure the memory of this contender in this process, and print the figures
    #[arg(long, value_name = "NAME", hide = true)]
    pub(crate) memory_of: Option<String>,
}

/// How much is run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Ids of the workloads.
    workloads: Vec<&'static str>,
    /// How the names of the contenders begin; all if empty.
    contenders: Vec<String>,
    pub(crate) is_quick: bool,
    /// Ascending.
    pub(crate) threads: Vec<usize>,
    pub(crate) cores: usize,
    pub(crate) rounds: usize,
    /// What a run of the fastest peer takes.
    pub(crate) run: Duration,
    /// What all rounds of all workloads may take together, fills and warm-ups aside.
    pub(crate) budget: Duration,
    /// What each contender's latency is measured for, at each number of threads.
    pub(crate) latency: Duration,
    /// What the pause experiment takes for each contender, and how often it is done.
    pub(crate) pauses: (Duration, usize),
    /// What churn takes where memory is measured.
    pub(crate) memory: Duration,
}

fn thread_count(text: &str) -> Result<usize, String> {
    let count = text.parse::<usize>().map_err(|error| error.to_string())?;
    if (1..=MAX_THREADS).contains(&count) { Ok(count) } else { Err(format!("it must be 1 to {MAX_THREADS}")) }
}

impl Args {
    /// The options of this process; none if it only had to print its help. The error is one line.
    pub(crate) fn read() -> Result<Option<Self>, String> {
        let error = match Self::try_parse() {
            Ok(args) => return Ok(Some(args)),
            Err(error) => error,
        };
        if !error.use_stderr() {
            return error.print().map(|()| None).map_err(|error| error.to_string());
        }
        Err(refusal::in_a_line(&error))
    }

    /// The error is one line.
    pub(crate) fn plan(&self, entrants: &[Entrant]) -> Result<Plan, String> {
        let all = workloads(entrants);
        let chosen = |id: &&'static str| self.only.is_empty() || self.only.iter().any(|name| name == id);
        if let Some(unknown) = self.only.iter().find(|name| !all.contains(&name.as_str())) {
            return Err(format!("there is no workload {unknown:?}; there are {}", all.join(", ")));
        }
        let entering = entering(entrants);
        if let Some(unknown) =
            self.contenders.iter().find(|start| !entering.iter().any(|(_, name)| begins(name, start)))
        {
            return Err(format!("there is no contender {unknown:?}; --list names them"));
        }
        let cores = machine::cores();
        let seconds = |full: f64, quick: f64| Duration::from_secs_f64(if self.quick { quick } else { full });
        let plan = Plan {
            workloads: all.into_iter().filter(chosen).collect(),
            contenders: self.contenders.clone(),
            is_quick: self.quick,
            threads: self.thread_counts(cores),
            cores,
            rounds: self.rounds.map_or(if self.quick { 5 } else { 9 }, usize::from),
            run: seconds(0.060, 0.015),
            budget: seconds(840.0, 60.0),
            latency: seconds(1.0, 0.15),
            pauses: (seconds(2.0, 1.0), if self.quick { 1 } else { 5 }),
            memory: seconds(3.0, 0.5),
        };
        let runs = |(id, name): &(&str, &str)| plan.has_workload(id) && plan.has_contender(name);
        if entering.iter().any(runs) {
            Ok(plan)
        } else {
            Err("none of these contenders enters these workloads".to_owned())
        }
    }

    fn thread_counts(&self, cores: usize) -> Vec<usize> {
        let powers = || (0..).map(|power| 1usize << power).take_while(|count| *count <= 2 * cores);
        let mut counts: Vec<usize> = match (self.threads.is_empty(), self.quick) {
            (false, _) => self.threads.clone(),
            (true, true) => vec![1, cores],
            // The cores themselves, which need not be a power of two, have targets.
            (true, false) => powers().chain([cores, 2 * cores]).collect(),
        };
        counts.sort_unstable();
        counts.dedup();
        counts
    }
}

impl Plan {
    pub(crate) fn has_workload(&self, id: &str) -> bool {
        self.workloads.contains(&id)
    }

    pub(crate) fn has_contender(&self, name: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|start| begins(name, start))
    }

    /// The numbers of threads at which latency is measured, and for which there are targets.
    pub(crate) fn ends(&self) -> Vec<usize> {
        self.threads.iter().copied().filter(|threads| [1, self.cores].contains(threads)).collect()
    }
}

fn begins(name: &str, start: &str) -> bool {
    name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

/// Who enters what: ids of workloads and names of contenders.
fn entering(entrants: &[Entrant]) -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<_> = entrants.iter().map(|entrant| (entrant.workload.id, entrant.name)).collect();
    all.extend(workload::sweeping_entrants().iter().map(|entrant| (SWEEPING.id, entrant.name)));
    all.extend(workload::memory_entrants().iter().map(|entrant| (MEMORY.id, entrant.name)));
    all
}

/// The ids of all workloads, in the order of the report.
pub(crate) fn workloads(entrants: &[Entrant]) -> Vec<&'static str> {
    let mut ids: Vec<_> = entrants.iter().map(|entrant| entrant.workload.id).collect();
    ids.dedup();
    ids.extend([SWEEPING.id, MEMORY.id]);
    ids
}
