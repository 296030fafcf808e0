//! The plots: throughput over threads, latency by percentile, pauses over time, and all workloads at a glance.

use crate::latency::Latency;
use crate::pauses::{PauseResults, Pauses, SLOT};
use crate::ratio;
use crate::results::{Cell, Report, Series, WorkloadResults};
use crate::shared::canvas::{Anchor, Canvas, FAINT, Label, Stroke};
use crate::shared::chart::{self, Axis, Chart, Curve};
use crate::shared::machine::{self, About};
use crate::shared::stats::Spread;
use crate::shared::text;
use benches::workload::Role;
use std::path::Path;

/// Numbers the contenders of a plot, which gives them their colours: tollgate is 0. Floors and limits are grey.
fn curves<T>(shown: &[&T], identity: fn(&T) -> (&'static str, Role), curve: impl Fn(&T, Curve) -> Curve) -> Vec<Curve> {
    let mut coloured: Vec<_> = shown.iter().map(|one| identity(one)).collect();
    coloured.retain(|(_, role)| !matches!(role, Role::Floor | Role::Limit));
    coloured.sort_by_key(|(_, role)| *role != Role::Tollgate);
    let plain = |one: &&T| {
        let (name, role) = identity(one);
        match coloured.iter().position(|other| *other == (name, role)) {
            Some(number) => curve(one, Curve::numbered(name, number)),
            None => curve(one, grey(name)),
        }
    };
    let mut curves: Vec<_> = shown.iter().map(plain).collect();
    // The first is drawn last, on top.
    curves.sort_by_key(|curve| curve.stroke.colour != chart::colour(0));
    curves
}

/// The line of what is there to compare with, but does not compete.
fn grey(label: &str) -> Curve {
    let stroke = Stroke { colour: FAINT, width: 1.2, dashed: true };
    Curve { stroke, has_dots: false, ..Curve::numbered(label, 1) }
}

/// Over the decades that hold the heights of all `curves`, each decade named by `name`.
fn decades(title: &str, curves: &[Curve], name: fn(f64) -> String) -> Axis {
    let (low, high) = curves
        .iter()
        .flat_map(|curve| &curve.points)
        .map(|point| point.1)
        .filter(|value| *value > 0.0)
        .fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
    let (first, last) = (low.log10().floor() as i32, (high.log10().ceil() as i32));
    let last = last.max(first + 1);
    let ticks = (first..=last).map(|decade| 10f64.powi(decade)).map(|value| (value, name(value))).collect();
    Axis { title: title.to_owned(), is_log: true, low: 10f64.powi(first), high: 10f64.powi(last), ticks }
}

/// Of everybody who was measured.
fn versions(report: &Report) -> String {
    let series = report.workloads.iter().flat_map(|results| &results.cells).flat_map(|cell| &cell.series);
    let sets = report.pauses.iter().flat_map(|pauses| &pauses.entrants);
    machine::versions(series.map(|one| (one.name, one.version)).chain(sets.map(|one| (one.name, one.version))))
}

/// Draws them all into a folder.
pub(crate) fn all(report: &Report, folder: &Path) -> Result<(), String> {
    let about = report.machine.about(&versions(report));
    for results in &report.workloads {
        throughput(results, &about).save(&folder.join(format!("throughput-{}.svg", results.id)))?;
        let widest = results.latencies.iter().map(|one| one.threads).max();
        if let Some(threads) = widest {
            let file = folder.join(format!("latency-{}.svg", results.id));
            latency(results, threads, &about).save(&file)?;
        }
    }
    if let Some(pauses) = &report.pauses {
        pauses_over_time(pauses, &about).save(&folder.join("pauses.svg"))?;
    }
    if report.workloads.is_empty() { Ok(()) } else { overview(report, &about).save(&folder.join("overview.svg")) }
}

fn throughput(results: &WorkloadResults, about: &About) -> Chart {
    let ticks = results.cells.iter().map(|cell| (cell.threads as f64, cell.threads.to_string())).collect();
    let shown: Vec<_> = results.cells.first().map(|cell| cell.ranked().collect()).unwrap_or_default();
    let curve = |shown: &Series, curve: Curve| {
        let at = |cell: &Cell| {
            let Spread { min, median, max, .. } = cell.ranked().find(|series| series.name == shown.name)?.spread;
            Some(((cell.threads as f64, median / 1e6), (min / 1e6, max / 1e6)))
        };
        let (points, spread) = results.cells.iter().filter_map(at).unzip();
        let label = format!("{} {}", shown.name, shown.version).trim_end().to_owned();
        Curve { label, spread, ..curve.through(points) }
    };
    let curves = curves(&shown, |series| (series.name, series.role), curve);
    let most = results.cells.last().map_or(0, |cell| cell.threads);
    let top = curves.iter().flat_map(|curve| &curve.spread).map(|spread| spread.1).fold(0.0, f64::max);
    Chart {
        title: results.title.to_owned(),
        about: about.clone(),
        x: Axis::named("threads", ticks),
        y: Axis::from_zero("million operations a second", top),
        curves,
        figures: (format!("at {most} threads"), text::short),
    }
}

/// By how many nines: each decade of the axis is ten times rarer.
fn latency(results: &WorkloadResults, threads: usize, about: &About) -> Chart {
    let shown: Vec<_> = results.latencies.iter().filter(|one| one.threads == threads).collect();
    let curve = |one: &Latency, curve: Curve| {
        let points = one.tail.iter().map(|(share, nanos)| (1.0 / share, *nanos as f64)).collect();
        Curve { has_dots: false, figure: one.p999 as f64, ..curve.through(points) }
    };
    let curves = curves(&shown, |one| (one.name, one.role), curve);
    let places = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"].into_iter().enumerate();
    let places = places.map(|(nines, name)| (10f64.powi(nines as i32), name.to_owned())).collect();
    Chart {
        title: format!("{}: latency at {threads} threads", results.title),
        about: about.clone(),
        x: Axis::named("of the operations are faster", places),
        y: decades("latency, one clock read included", &curves, text::nanos),
        curves,
        figures: ("p99.9".to_owned(), text::nanos),
    }
}

fn pauses_over_time(results: &PauseResults, about: &About) -> Chart {
    let curve = |one: &Pauses, curve: Curve| {
        let at = |slot: usize| slot as f64 * SLOT.as_secs_f64();
        let slots = one.slots.iter().enumerate().filter(|(_, longest)| **longest > 0);
        let points = slots.map(|(slot, longest)| (at(slot), *longest as f64)).collect();
        Curve { has_dots: false, figure: ratio::median(&one.worst), ..curve.through(points) }
    };
    let shown: Vec<_> = results.entrants.iter().collect();
    let curves = curves(&shown, |one| (one.name, one.role), curve);
    Chart {
        title: "The longest wait in every 10 ms, while 1M entries expire".to_owned(),
        about: about.clone(),
        x: Axis::from_zero("seconds", results.seconds),
        y: decades("from when the check was due", &curves, text::nanos),
        curves,
        figures: ("worst".to_owned(), text::nanos),
    }
}

const PANEL: (f64, f64) = (460.0, 138.0);
const COLUMNS: usize = 2;
/// Of a panel: what the names take, and the longest bar.
const NAMES: f64 = 236.0;
const BAR: f64 = 150.0;
const HEAD: f64 = 58.0;
/// From bar to bar.
const ROW: f64 = 20.0;
/// Bars of a panel: tollgate and the best of the others.
const BARS: usize = 5;

/// For a README: a panel for each workload, a bar for each of the fastest at as many threads as cores.
fn overview(report: &Report, about: &About) -> Canvas {
    let rows = report.workloads.len().div_ceil(COLUMNS);
    let mut canvas = Canvas::new(COLUMNS as f64 * PANEL.0 + 20.0, HEAD + rows as f64 * PANEL.1, &about.full);
    let widest = report.workloads.iter().filter_map(|results| results.widest(report.machine.cores)).next();
    let threads = widest.map_or(0, |cell| cell.threads);
    let title = format!("Million operations a second at {threads} threads: tollgate and the fastest others");
    canvas.word(Label::new(20.0, 24.0, 16.0, Anchor::Start).bold(), &title);
    canvas.word(
        Label::new(20.0, 43.0, 11.0, Anchor::Start).faint(),
        &format!("{}; dashed: the floor, without any lock, on one thread", about.line),
    );
    for (number, results) in report.workloads.iter().enumerate() {
        let corner = (20.0 + (number % COLUMNS) as f64 * PANEL.0, HEAD + (number / COLUMNS) as f64 * PANEL.1);
        if let Some(cell) = results.widest(report.machine.cores) {
            panel(&mut canvas, corner, results.title, cell);
        }
    }
    canvas
}

fn panel(canvas: &mut Canvas, (left, top): (f64, f64), title: &str, cell: &Cell) {
    let mut bars: Vec<&Series> = cell.ranked().filter(|one| one.role.is_peer() || one.role == Role::Upstream).collect();
    bars.sort_by(|one, other| other.spread.median.total_cmp(&one.spread.median));
    bars.truncate(BARS - 1);
    bars.splice(0..0, cell.tollgate());
    let floor = cell.floor().map(|floor| floor.spread.median);
    let longest = bars.iter().map(|one| one.spread.median).chain(floor).fold(1.0, f64::max);
    canvas.word(Label::new(left, top + 12.0, 12.0, Anchor::Start).bold(), title);
    let height = bars.len() as f64 * ROW;
    for (row, series) in bars.into_iter().enumerate() {
        let y = top + 20.0 + row as f64 * ROW;
        let is_own = series.role == Role::Tollgate;
        let name = Label::new(left + NAMES, y + 12.0, 10.5, Anchor::End);
        canvas.word(if is_own { name.bold() } else { name }, series.name);
        let width = BAR * series.spread.median / longest;
        canvas.rectangle(
            (left + NAMES + 6.0, y + 2.0),
            (width, 14.0),
            if is_own { chart::colour(0) } else { "#b6bdc6" },
        );
        let figure = Label::new(left + NAMES + BAR + 48.0, y + 13.0, 10.5, Anchor::End);
        canvas.word(figure, &text::short(series.spread.median / 1e6));
    }
    if let Some(floor) = floor {
        let x = left + NAMES + 6.0 + BAR * floor / longest;
        let dashes = Stroke { colour: FAINT, width: 1.0, dashed: true };
        canvas.line(&[(x, top + 20.0), (x, top + 20.0 + height)], dashes);
    }
}
