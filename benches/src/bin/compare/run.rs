//! The whole run: every planned workload at every planned number of threads, then the two experiments.

use crate::args::{self, Plan};
use crate::latency;
use crate::memory;
use crate::pauses;
use crate::results::{Report, Settings, WorkloadResults};
use crate::rounds::{self, Allowance, Starter};
use crate::shared::clock;
use crate::shared::machine::Machine;
use crate::shared::others::Others;
use crate::shared::pool::Pool;
use crate::shared::progress::Progress;
use crate::targets;
use benches::workload::{self, Against, Entrant, MEMORY, MemoryEntrant, Role, SWEEPING, SweepingEntrant};

/// What all of it needs.
struct Stage<'a> {
    plan: &'a Plan,
    entrants: &'a [Entrant],
    pool: Pool,
    progress: Progress,
}

/// Runs what is planned. An error is a failure of the machine; contenders that fail are among the report's faults.
pub(crate) fn everything(entrants: &[Entrant], plan: &Plan) -> Result<Report, String> {
    let (begun, others) = (clock::now(), Others::watch());
    // Three at least, for the pause experiment.
    let most = plan.threads.iter().copied().max().unwrap_or(1).max(3);
    let pool = Pool::new(most).map_err(|error| format!("{most} threads cannot be started: {error}"))?;
    let (sets, maps) = (sets(plan), maps(plan));
    let ids: Vec<_> = args::workloads(entrants).into_iter().filter(|id| plan.has_workload(id)).collect();
    let ids: Vec<_> = ids.into_iter().filter(|id| ![SWEEPING.id, MEMORY.id].contains(id)).collect();
    let runs = ids.iter().map(|id| starting(entrants, plan, id).count()).sum::<usize>() * plan.threads.len();
    let steps = runs * plan.rounds + sets.len() * plan.pauses.1 + maps.len();
    let stage = Stage { plan, entrants, pool, progress: Progress::new(steps) };
    let mut report = Report {
        machine: Machine::new(),
        settings: Settings {
            quick: plan.is_quick,
            rounds: plan.rounds,
            threads: plan.threads.clone(),
            clock_nanoseconds: latency::clock_cost(),
        },
        workloads: Vec::new(),
        pauses: None,
        memory: None,
        targets: Vec::new(),
        faults: Vec::new(),
        seconds: 0.0,
        cores_used_by_others: None,
    };
    let mut allowance = Allowance { left: plan.budget, cells: (ids.len() * plan.threads.len()) as u32 };
    for id in ids {
        report.workloads.extend(stage.workload(id, &mut allowance, &mut report.faults));
    }
    stage.experiments(&sets, &maps, &mut report)?;
    stage.progress.end();
    report.targets = judge(&report, plan.cores);
    report.cores_used_by_others = others.cores();
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// The contenders of a workload that are to run.
fn starting<'e>(entrants: &'e [Entrant], plan: &'e Plan, id: &'e str) -> impl Iterator<Item = &'e Entrant> {
    entrants.iter().filter(move |entrant| entrant.workload.id == id && plan.has_contender(entrant.name))
}

/// The sets of the pause experiment, if it is planned, and the machine by itself.
fn sets(plan: &Plan) -> Vec<SweepingEntrant> {
    if !plan.has_workload(SWEEPING.id) {
        return Vec::new();
    }
    let chosen = workload::sweeping_entrants().into_iter().filter(|entrant| plan.has_contender(entrant.name));
    [pauses::nothing()].into_iter().chain(chosen).collect()
}

/// The maps whose memory is to be measured.
fn maps(plan: &Plan) -> Vec<MemoryEntrant> {
    if !plan.has_workload(MEMORY.id) {
        return Vec::new();
    }
    workload::memory_entrants().into_iter().filter(|entrant| plan.has_contender(entrant.name)).collect()
}

impl Stage<'_> {
    /// One workload at all numbers of threads, and its latencies. None if nobody enters it.
    fn workload(&self, id: &str, allowance: &mut Allowance, faults: &mut Vec<String>) -> Option<WorkloadResults> {
        let entrants: Vec<_> = starting(self.entrants, self.plan, id).collect();
        let mut results = WorkloadResults::new(entrants.first()?.workload);
        self.progress.subject(id);
        let lacks: Vec<_> = entrants.iter().map(|entrant| (entrant.lacks)()).collect();
        let own = entrants.iter().zip(&lacks).map(|(entrant, lacks)| Starter { entrant, lacks, from: None });
        let starters: Vec<_> = own.chain(self.references(&results)).collect();
        for &threads in &self.plan.threads {
            let cell = rounds::measure(&self.pool, self.plan, &starters, threads, allowance, &self.progress);
            for series in &cell.series {
                let fault = series.fault.as_ref();
                faults.extend(fault.map(|what| format!("{id}, {}, {threads} threads: {what}", series.label())));
            }
            results.cells.push(cell);
        }
        for threads in self.plan.ends() {
            let chosen = results.cell(threads).map(|cell| latency::chosen(cell, &starters)).unwrap_or_default();
            match latency::measure(&self.pool, self.plan, &chosen, threads, &self.progress) {
                Ok(latencies) => results.latencies.extend(latencies),
                Err(what) => faults.push(format!("{id}, {what}")),
            }
        }
        Some(results)
    }

    /// tollgate in the other workloads that a target compares this one with: it runs in the same rounds.
    fn references(&self, results: &WorkloadResults) -> impl Iterator<Item = Starter<'_>> {
        let other = |target: &workload::Target| match target.against {
            Against::SelfAt(id) => Some(id),
            _ => None,
        };
        let starter = |id: &'static str| {
            let mut tollgates = starting(self.entrants, self.plan, id).filter(|one| one.role == Role::Tollgate);
            tollgates.next().map(|entrant| Starter { entrant, lacks: "", from: Some(id) })
        };
        let mut ids: Vec<_> = results.targets.iter().filter_map(other).collect();
        ids.dedup();
        ids.into_iter().filter_map(starter)
    }

    fn experiments(&self, sets: &[SweepingEntrant], maps: &[MemoryEntrant], report: &mut Report) -> Result<(), String> {
        if !sets.is_empty() {
            self.progress.subject(SWEEPING.id);
            report.pauses = Some(pauses::measure(&self.pool, self.plan, sets, &self.progress)?);
        }
        if !maps.is_empty() {
            self.progress.subject(MEMORY.id);
            let (measured, faults) = memory::measure(maps, self.plan, &self.progress);
            report.memory = Some(measured);
            report.faults.extend(faults);
        }
        Ok(())
    }
}

fn judge(report: &Report, cores: usize) -> Vec<targets::Verdict> {
    let mut verdicts: Vec<_> =
        report.workloads.iter().flat_map(|results| targets::of_workload(results, cores)).collect();
    verdicts.extend(report.pauses.iter().flat_map(targets::of_pauses));
    verdicts.extend(report.memory.iter().map(targets::of_memory));
    verdicts
}
