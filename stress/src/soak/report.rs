//! What a soak has found, as text: a few lines for the terminal, and tables in Markdown.

use super::verdict::{Course, follow, median};
use super::{Sample, Soak, plot};
use crate::peak_rss_mib;
use crate::run::{Broken, Checked};
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

/// The allocator keeps what it once had, so a rare moment of much garbage raises resident memory for good.
const SLACK_RESIDENT: u64 = 16 << 20;
/// Garbage that comes and goes as threads are put aside while they are pinned.
const SLACK_GARBAGE: u64 = 10_000;
/// Entries of deadline queues whose key is gone may be as many as the others.
const SLACK_BESIDE: u64 = 10_000;
/// About what all threads remove in a second: one that is put aside while it is pinned holds up the rest for as long.
const MOST_GARBAGE: u64 = 200_000;
/// Rows of the table of samples.
const ROWS: usize = 60;

/// What was judged, and how.
struct Judgement {
    what: &'static str,
    kept: bool,
    told: String,
}

/// Judges the run, prints how it ended, and writes `soak.md` and `soak.svg` to a directory.
pub(super) fn write(soak: &Soak, outcome: Checked, out: &Path) -> Result<ExitCode, String> {
    let judgements = judge(&soak.samples, outcome);
    for Judgement { what, kept, told } in &judgements {
        println!("{what:<10} {told}  {}", verdict(*kept));
    }
    let (table, picture) = (out.join("soak.md"), out.join("soak.svg"));
    std::fs::write(&table, markdown(soak, &judgements)).map_err(|error| error.to_string())?;
    plot::draw(&soak.samples, &picture)?;
    println!("{} and {}", table.display(), picture.display());
    let kept = judgements.iter().all(|judgement| judgement.kept);
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict(kept: bool) -> &'static str {
    if kept { "ok" } else { "BROKEN" }
}

fn judge(samples: &[Sample], outcome: Checked) -> Vec<Judgement> {
    let kept = outcome.is_ok();
    let told = outcome.map_or_else(|Broken(what)| what, |()| "every check held".to_owned());
    let resident: Vec<_> = samples.iter().map(|sample| sample.resident).collect();
    let garbage: Vec<_> = samples.iter().map(|sample| sample.garbage).collect();
    let beside: Vec<_> = samples.iter().map(|sample| sample.beside).collect();
    let most = garbage.iter().copied().max().unwrap_or_default();
    vec![
        Judgement { what: "promises", kept, told },
        flat("memory", follow(&resident, SLACK_RESIDENT), |bytes| format!("{:.1} MiB", mib(bytes))),
        flat("garbage", follow(&garbage, SLACK_GARBAGE), |values| format!("{values} values")),
        flat("entries", follow(&beside, SLACK_BESIDE), |entries| format!("{entries} beside what is bounded")),
        Judgement {
            what: "most of it",
            kept: most <= MOST_GARBAGE,
            told: format!("{most} values at once, {MOST_GARBAGE} are allowed"),
        },
    ]
}

fn flat(what: &'static str, course: Option<Course>, shown: impl Fn(u64) -> String) -> Judgement {
    let Some(course) = course else { return Judgement { what, kept: false, told: "too few samples to judge".into() } };
    let [second, last, most] = [course.second, course.last, course.most].map(shown);
    let told = format!("{second} in the second quarter, {last} in the last, {most} are allowed (medians)");
    Judgement { what, kept: course.is_flat(), told }
}

pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn markdown(soak: &Soak, judgements: &[Judgement]) -> String {
    let seconds = soak.samples.last().map_or(0, |sample| sample.at.as_secs());
    let mut text = format!(
        "# Soak\n\nSeed {}, {} threads in scenarios and {} that churn, {seconds} s, {} samples. Peak of resident memory: {}.\n\n",
        soak.seed,
        soak.threads,
        soak.threads,
        soak.samples.len(),
        peak_rss_mib().map_or_else(|| "unknown".to_owned(), |peak| format!("{peak} MiB")),
    );
    table(
        &mut text,
        &["judged", "", "verdict"],
        judgements.iter().map(|judgement| {
            vec![judgement.what.to_owned(), judgement.told.clone(), verdict(judgement.kept).to_owned()]
        }),
    );
    text.push_str("\n## Living structures\n\nHeld, after the first quarter.\n\n");
    table(
        &mut text,
        &["structure", "least", "most", "may hold"],
        soak.world.all.iter().zip(&soak.held).map(|(living, held)| {
            let (least, most) =
                held.map_or_else(Default::default, |(least, most)| (least.to_string(), most.to_string()));
            let cap = living.held().1.map_or_else(|| "not bounded".to_owned(), |cap| cap.to_string());
            vec![living.name().to_owned(), least, most, cap]
        }),
    );
    text.push_str("\n## Scenarios\n\n");
    table(
        &mut text,
        &["scenario", "rounds", "operations"],
        soak.tallies
            .iter()
            .map(|tally| vec![tally.name.to_owned(), tally.rounds.to_string(), tally.operations.to_string()]),
    );
    text.push_str("\n## Over time\n\nMedians, and the most of garbage. Operations in millions a second.\n\n");
    let per_row = soak.samples.len().div_ceil(ROWS).max(1);
    let head = ["until, s", "resident, MiB", "garbage, values", "most", "churn", "scenarios"];
    table(&mut text, &head, soak.samples.chunks(per_row).map(row));
    text
}

fn row(samples: &[Sample]) -> Vec<String> {
    let middle = |figure: fn(&Sample) -> u64| median(&samples.iter().map(figure).collect::<Vec<_>>());
    let millions = |figure: fn(&Sample) -> u64| format!("{:.2}", middle(figure) as f64 / 1e6);
    let most = samples.iter().map(|sample| sample.garbage).max().unwrap_or_default();
    vec![
        samples.last().map_or(0, |sample| sample.at.as_secs()).to_string(),
        format!("{:.1}", mib(middle(|sample| sample.resident))),
        middle(|sample| sample.garbage).to_string(),
        most.to_string(),
        millions(|sample| sample.churned as u64),
        millions(|sample| sample.raced as u64),
    ]
}

/// A table whose first column is words.
fn table(text: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(text, "| {} |\n|---{}|", head.join(" | "), "|--:".repeat(head.len() - 1));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}
