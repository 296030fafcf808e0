//! The report as Markdown.

use crate::latency::Latency;
use crate::memory::{Bytes, MemoryResults};
use crate::pauses::{PauseResults, Pauses};
use crate::ratio;
use crate::results::{Cell, Report, Series, WorkloadResults, word};
use crate::shared::machine::Machine;
use crate::shared::others;
use crate::shared::text::{code, grouped, nanos, ratio, short, table};
use crate::targets::Verdict;
use benches::workload::{MEMORY, Role, SWEEPING};
use std::fmt::Write;

/// What every number means, for whoever opens the report alone.
const READING: &str = "\
Figures are million operations a second of all threads together, the median over the rounds with the lowest and the
highest behind it. `tollgate/it` is tollgate's throughput over that contender's, `it/floor` that contender's over the
floor's on its one thread: medians of the ratios within the rounds. Ratios, not absolute figures, carry over to other
machines. The floor is the sequential structure without any lock; a limit does the same work on private data, or the
least that the hardware must do. What a contender does not do was measured in this run, not looked up.
";

/// All of it.
pub(crate) fn markdown(report: &Report) -> String {
    let mut parts = vec![head(report), overview(report)];
    if !report.targets.is_empty() {
        parts.push(format!("## Targets\n\n{}", verdicts(&report.targets)));
    }
    parts.extend(report.workloads.iter().map(|results| workload(results, &report.machine)));
    parts.extend(report.pauses.as_ref().map(pauses));
    parts.extend(report.memory.as_ref().map(memory));
    if !report.faults.is_empty() {
        let faults: Vec<_> = report.faults.iter().map(|fault| format!("- {fault}\n")).collect();
        parts.push(format!(
            "## Faults\n\nThese did not do what they should, and were not compared.\n\n{}",
            faults.concat()
        ));
    }
    parts.join("\n")
}

fn head(report: &Report) -> String {
    let settings = &report.settings;
    let threads: Vec<_> = settings.threads.iter().map(ToString::to_string).collect();
    let busy =
        others::warning(report.cores_used_by_others).map_or(String::new(), |what| format!("\nWarning: {what}.\n"));
    format!(
        "# tollgate beside what a user would pick instead\n\n{}- Run: {}{} rounds at {} threads, {:.0} s in all\n- Clock: each \
         latency contains one read, {} ns\n{busy}\n{READING}",
        report.machine.list(),
        if settings.quick { "quick, " } else { "" },
        settings.rounds,
        threads.join(", "),
        report.seconds,
        settings.clock_nanoseconds,
    )
}

/// One row for each workload: the table for a README.
fn overview(report: &Report) -> String {
    if report.workloads.is_empty() {
        return String::new();
    }
    let wide = report.machine.cores;
    let counts: &[usize] = if wide == 1 { &[1] } else { &[1, wide] };
    let mut head = vec!["workload".to_owned(), "floor".to_owned()];
    for &threads in counts {
        let name = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
        head.extend([format!("tollgate, {name}"), format!("best peer, {name}"), "ratio".to_owned()]);
    }
    let row = |results: &WorkloadResults| {
        let floor =
            results.cells.first().and_then(Cell::floor).map_or("".to_owned(), |floor| rate(floor.spread.median));
        let mut row = vec![results.title.to_owned(), floor];
        for &threads in counts {
            let cell = results.cell(threads);
            let (tollgate, best) =
                (cell.and_then(Cell::tollgate), cell.and_then(|cell| cell.best(|series| series.role.is_peer())));
            row.push(tollgate.map_or(String::new(), |one| rate(one.spread.median)));
            row.push(best.map_or(String::new(), |best| format!("{} {}", code(best.name), rate(best.spread.median))));
            let over = best.and_then(|best| best.tollgate_over_it);
            row.push(over.map_or(String::new(), |over| format!("**{}**", ratio(over))));
        }
        row
    };
    let rows: Vec<_> = report.workloads.iter().map(row).collect();
    format!(
        "## Overview\n\nMillion operations a second.\n\n{}\n![throughput](overview.svg)\n",
        table(&head, &[], &rows)
    )
}

fn verdicts(verdicts: &[Verdict]) -> String {
    let head = ["workload", "threads", "against", "ratio", "target", "verdict"].map(str::to_owned);
    let row = |verdict: &Verdict| {
        vec![
            verdict.workload.to_owned(),
            verdict.threads.map_or(String::new(), |threads| threads.to_string()),
            format!("{}, {}", code(&verdict.against), verdict.as_what),
            verdict.ratio.map_or("none".to_owned(), ratio),
            format!(">= {}", ratio(verdict.at_least)),
            if verdict.met { "met" } else { "**missed**" }.to_owned(),
        ]
    };
    table(&head, &["against", "verdict"], &verdicts.iter().map(row).collect::<Vec<_>>())
}

/// Operations a second, in millions.
fn rate(value: f64) -> String {
    short(value / 1e6)
}

fn workload(results: &WorkloadResults, machine: &Machine) -> String {
    let mut text = format!("## {}\n\n`{}`. One operation: {}.\n\n", results.title, results.id, results.operation);
    text.push_str(&throughput(results, machine.cores));
    let _ = write!(text, "\n![throughput](throughput-{}.svg)\n", results.id);
    if !results.latencies.is_empty() {
        let _ = write!(text, "\n{}\n![latency](latency-{}.svg)\n", latencies(&results.latencies), results.id);
    }
    text
}

/// Sorted by the cell with the most threads within the cores; the references stand last.
fn throughput(results: &WorkloadResults, cores: usize) -> String {
    let Some(widest) = results.widest(cores) else { return String::new() };
    let mut order: Vec<&Series> = widest.series.iter().collect();
    let is_reference = |series: &Series| series.from.is_some() || matches!(series.role, Role::Floor | Role::Limit);
    order.sort_by(|left, right| {
        let by_rate = right.spread.median.total_cmp(&left.spread.median);
        is_reference(left).cmp(&is_reference(right)).then(by_rate)
    });
    let mut head: Vec<_> = ["contender", "version", "is"].map(str::to_owned).to_vec();
    for cell in &results.cells {
        head.extend([format!("{} T (range)", cell.threads), "tollgate/it".to_owned(), "it/floor".to_owned()]);
    }
    head.push("does not".to_owned());
    let rows: Vec<_> = order.into_iter().map(|series| throughput_row(results, series)).collect();
    table(&head, &["version", "is", "does not"], &rows)
}

fn throughput_row(results: &WorkloadResults, shown: &Series) -> Vec<String> {
    let mut row = vec![code(&shown.label()), shown.version.to_owned(), word(shown.role).to_owned()];
    for cell in &results.cells {
        let same = |series: &&Series| series.name == shown.name && series.from == shown.from;
        let Some(series) = cell.series.iter().find(same).filter(|series| series.fault.is_none()) else {
            row.extend(["fault".to_owned(), String::new(), String::new()]);
            continue;
        };
        let spread = series.spread;
        row.push(format!("{} ({} to {})", rate(spread.median), rate(spread.min), rate(spread.max)));
        let over = series.tollgate_over_it.filter(|_| series.role != Role::Tollgate || series.from.is_some());
        row.push(over.map_or(String::new(), ratio));
        row.push(series.over_floor.filter(|_| series.role != Role::Floor).map_or(String::new(), ratio));
    }
    row.push(shown.lacks.clone());
    row
}

fn latencies(latencies: &[Latency]) -> String {
    let head = ["latency", "threads", "operations", "p50", "p90", "p99", "p99.9", "p99.99", "worst"].map(str::to_owned);
    let row = |one: &Latency| {
        let mut row = vec![code(one.name), one.threads.to_string(), grouped(one.count)];
        row.extend([one.p50, one.p90, one.p99, one.p999, one.p9999, one.max].map(|value| nanos(value as f64)));
        row
    };
    table(&head, &[], &latencies.iter().map(row).collect::<Vec<_>>())
}

fn pauses(results: &PauseResults) -> String {
    let head = ["contender", "version", "p50", "p99.9", "worst", "whole sweep (range)"].map(str::to_owned);
    let row = |one: &Pauses| {
        let middle = |of_runs: &[f64]| nanos(ratio::median(of_runs));
        let sweeps = one.sweeps;
        let sweeps = format!("{} ({} to {})", nanos(sweeps.median), nanos(sweeps.min), nanos(sweeps.max));
        vec![code(one.name), one.version.to_owned(), middle(&one.p50), middle(&one.p999), middle(&one.worst), sweeps]
    };
    let rows: Vec<_> = results.entrants.iter().map(row).collect();
    format!(
        "## {}\n\n`{}`. A check every 10 us, timed from when it was due; a writer at 10,000 a second; ten sweeps in {} s.\n\
         Medians over the runs. The first row is what the machine does to a reader that asks nobody.\n\n{}\n\
         ![pauses](pauses.svg)\n",
        SWEEPING.title,
        SWEEPING.id,
        results.seconds,
        table(&head, &["version"], &rows),
    )
}

fn memory(results: &MemoryResults) -> String {
    let head = [
        "map",
        "version",
        "lock-free",
        "bytes per entry",
        "peak in churn",
        "peak/filled",
        "garbage at the peak",
        "after churn",
    ];
    let row = |one: &crate::memory::Memory| {
        let bytes = one.bytes;
        vec![
            code(one.name),
            one.version.to_owned(),
            if one.lock_free { "yes" } else { "no" }.to_owned(),
            short(Bytes::per_entry(bytes.filled)),
            short(Bytes::per_entry(bytes.peak)),
            ratio(bytes.peak_over_filled()),
            format!("{} KiB", grouped(bytes.peak.saturating_sub(bytes.filled) / 1_024)),
            short(Bytes::per_entry(bytes.after)),
        ]
    };
    let rows: Vec<_> = results.entrants.iter().map(row).collect();
    format!(
        "## {}\n\n`{}`. Heap bytes as the allocator counts them, per live entry, each map in a process of its own. Churn\n\
         inserts new keys and removes the oldest on all cores; the peak is the most that was seen every 5 ms, and includes\n\
         what the table itself grew by. After churn the threads have ended.\n\n{}",
        MEMORY.title,
        MEMORY.id,
        table(&head.map(str::to_owned), &["version", "lock-free"], &rows),
    )
}
