//! Curves over two axes, with a legend that is sorted by a figure.

use crate::shared::canvas::{Anchor, Canvas, FAINT, GRID, INK, Label, Stroke};
use crate::shared::machine::About;
use crate::shared::text;
use std::path::Path;

const WIDTH: f64 = 1060.0;
const HEIGHT: f64 = 460.0;
const MARGIN: f64 = 20.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 400.0;

/// Told apart on white; tollgate's own comes first.
const COLOURS: [&str; 12] = [
    "#0b57d0", "#d1495b", "#2a9d54", "#b8860b", "#7b2cbf", "#008b9a", "#e07a1f", "#8a5a44", "#c2378f", "#5b7f00",
    "#4a5a8a", "#a02c2c",
];

/// The colour of the contender with this number; 0 is tollgate.
pub(crate) fn colour(number: usize) -> &'static str {
    COLOURS[number % COLOURS.len()]
}

/// One axis: how a value becomes a place, and which values are named.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) title: String,
    pub(crate) is_log: bool,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Where lines are drawn across, and what they are called.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From zero to a round number that is not below `high`.
    pub(crate) fn from_zero(title: &str, high: f64) -> Self {
        let step = round_step(high.max(1e-9) / 5.0);
        let count = (high / step).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|tick| f64::from(tick) * step).map(|value| (value, plain(value))).collect();
        Self { title: title.to_owned(), is_log: false, low: 0.0, high: count * step, ticks }
    }

    /// Over places that are named one by one, on a logarithmic scale.
    pub(crate) fn named(title: &str, ticks: Vec<(f64, String)>) -> Self {
        let low = ticks.first().map_or(1.0, |tick| tick.0);
        let high = ticks.last().map_or(10.0, |tick| tick.0);
        // One place alone stands in the middle.
        let (low, high) = if low < high { (low, high) } else { (low / 2.0, high * 2.0) };
        Self { title: title.to_owned(), is_log: true, low, high, ticks }
    }

    /// 0 at the low end, 1 at the high end.
    fn place(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }
}

/// 1, 2 or 5 times a power of ten, not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= least).unwrap_or(10.0 * power)
}

fn plain(value: f64) -> String {
    if value >= 1_000.0 { text::grouped(value as u64) } else { format!("{}", (value * 1e6).round() / 1e6) }
}

/// A contender's line.
#[derive(Debug)]
pub(crate) struct Curve {
    pub(crate) label: String,
    pub(crate) stroke: Stroke,
    pub(crate) points: Vec<(f64, f64)>,
    /// How far each point spreads, from and to.
    pub(crate) spread: Vec<(f64, f64)>,
    /// Whether the points are few enough to be marked.
    pub(crate) has_dots: bool,
    /// What the legend gives behind the name, and sorts by; at first the height of the last point.
    pub(crate) figure: f64,
}

impl Curve {
    /// Thicker for number 0, which is tollgate.
    pub(crate) fn numbered(label: &str, number: usize) -> Self {
        let width = if number == 0 { 3.0 } else { 1.6 };
        let stroke = Stroke { colour: colour(number), width, dashed: number >= COLOURS.len() };
        let label = label.to_owned();
        Self { label, stroke, points: Vec::new(), spread: Vec::new(), has_dots: true, figure: 0.0 }
    }

    pub(crate) fn through(self, points: Vec<(f64, f64)>) -> Self {
        let figure = points.last().map_or(0.0, |point| point.1);
        Self { points, figure, ..self }
    }
}

/// A whole plot.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) about: About,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) curves: Vec<Curve>,
    /// What the figures of the legend are, and how they are written.
    pub(crate) figures: (String, fn(f64) -> String),
}

impl Chart {
    pub(crate) fn save(&self, file: &Path) -> Result<(), String> {
        let mut canvas = Canvas::new(WIDTH, HEIGHT, &self.about.full);
        canvas.word(Label::new(MARGIN, 26.0, 16.0, Anchor::Start).bold(), &self.title);
        canvas.word(Label::new(MARGIN, 45.0, 11.0, Anchor::Start).faint(), &self.about.line);
        self.axes(&mut canvas);
        // The first curve is drawn last, on top.
        for curve in self.curves.iter().rev() {
            self.curve(&mut canvas, curve);
        }
        self.legend(&mut canvas);
        canvas.save(file)
    }

    fn across(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (RIGHT - LEFT)
    }

    fn up(&self, value: f64) -> f64 {
        BOTTOM - self.y.place(value) * (BOTTOM - TOP)
    }

    fn axes(&self, canvas: &mut Canvas) {
        let grid = Stroke { colour: GRID, width: 1.0, dashed: false };
        for (value, name) in &self.y.ticks {
            let y = self.up(*value);
            canvas.line(&[(LEFT, y), (RIGHT, y)], grid);
            canvas.word(Label::new(LEFT - 8.0, y + 4.0, 11.0, Anchor::End).faint(), name);
        }
        for (value, name) in &self.x.ticks {
            let x = self.across(*value);
            canvas.line(&[(x, TOP), (x, BOTTOM)], grid);
            canvas.word(Label::new(x, BOTTOM + 18.0, 11.0, Anchor::Middle).faint(), name);
        }
        canvas.line(&[(LEFT, BOTTOM), (RIGHT, BOTTOM)], Stroke { colour: FAINT, width: 1.0, dashed: false });
        let below = Label::new(f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0, 12.0, Anchor::Middle);
        canvas.word(below, &self.x.title);
        let beside = Label::new(18.0, f64::midpoint(TOP, BOTTOM), 12.0, Anchor::Middle);
        canvas.upright_word(beside, &self.y.title);
    }

    fn curve(&self, canvas: &mut Canvas, curve: &Curve) {
        let points: Vec<_> = curve.points.iter().map(|(x, y)| (self.across(*x), self.up(*y))).collect();
        let thin = Stroke { width: 1.0, dashed: false, ..curve.stroke };
        for ((x, _), (low, high)) in points.iter().zip(&curve.spread) {
            canvas.line(&[(*x, self.up(*low)), (*x, self.up(*high))], thin);
        }
        canvas.line(&points, curve.stroke);
        if curve.has_dots {
            points.iter().for_each(|point| canvas.dot(*point, curve.stroke.width + 1.0, curve.stroke.colour));
        }
    }

    fn legend(&self, canvas: &mut Canvas) {
        let mut sorted: Vec<_> = self.curves.iter().collect();
        sorted.sort_by(|left, right| right.figure.total_cmp(&left.figure));
        let step = (BOTTOM - TOP).min(sorted.len() as f64 * 20.0) / sorted.len().max(1) as f64;
        let head = Label::new(WIDTH - 10.0, TOP - 6.0, 11.0, Anchor::End).faint();
        canvas.word(head, &self.figures.0);
        for (row, curve) in sorted.into_iter().enumerate() {
            let y = TOP + (row as f64 + 0.5) * step;
            canvas.line(&[(RIGHT + 16.0, y), (RIGHT + 40.0, y)], curve.stroke);
            let name = Label::new(RIGHT + 46.0, y + 4.0, 11.5, Anchor::Start);
            let name = if curve.stroke.width > 2.0 { name.bold() } else { name };
            canvas.word(name, &curve.label);
            let figure = Label { colour: INK, ..Label::new(WIDTH - 10.0, y + 4.0, 11.5, Anchor::End) };
            canvas.word(figure, &(self.figures.1)(curve.figure));
        }
    }
}
