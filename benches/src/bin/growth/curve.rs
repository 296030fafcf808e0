//! A curve: how the cost of something grows with something else.

use crate::shared::chart::{Axis, Chart, Curve as Line};
use crate::shared::machine::About;
use crate::shared::stats::Spread;
use crate::shared::text::{self, code, short, table};
use std::path::Path;

/// What is measured along one axis.
#[derive(Debug)]
pub(crate) struct Curve {
    /// On the command line, and in the names of files.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What grows.
    pub(crate) grows: &'static str,
    /// What the figures are.
    pub(crate) unit: &'static str,
    /// What bends the curve, and what was done.
    pub(crate) reading: String,
    /// Of the columns; the first is tollgate's.
    pub(crate) names: Vec<&'static str>,
    /// Of what stands behind the figures, in the table only.
    pub(crate) more: Vec<&'static str>,
    pub(crate) points: Vec<Point>,
}

/// The figures at one place of the axis.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) place: f64,
    pub(crate) name: String,
    /// One for each name.
    pub(crate) figures: Vec<Spread>,
    /// One for each further column.
    pub(crate) more: Vec<String>,
}

impl Curve {
    pub(crate) fn markdown(&self) -> String {
        let Self { id, title, reading, unit, .. } = self;
        format!(
            "## {title}\n\n{reading}\n\nIn {unit}, the median with its quartiles.\n\n{}\n![{title}]({id}.svg)\n",
            self.table()
        )
    }

    fn table(&self) -> String {
        let first = self.names.first().copied().unwrap_or_default();
        let mut head = vec![self.grows.to_owned()];
        head.extend(self.names.iter().map(|name| code(name)));
        head.push(format!("{first} over the row above"));
        head.extend(self.more.iter().map(|&title| title.to_owned()));
        let row = |(number, point): (usize, &Point)| {
            let mut row = vec![point.name.clone()];
            row.extend(point.figures.iter().map(|one| {
                format!("{} ({} to {})", short(one.median), short(one.lower_quartile), short(one.upper_quartile))
            }));
            let above = number.checked_sub(1).and_then(|above| self.points[above].figures.first());
            let step = above.zip(point.figures.first()).map(|(above, one)| text::ratio(one.median / above.median));
            row.push(step.unwrap_or_default());
            row.extend(point.more.iter().cloned());
            row
        };
        table(&head, &[], &self.points.iter().enumerate().map(row).collect::<Vec<_>>())
    }

    pub(crate) fn draw(&self, about: &About, folder: &Path) -> Result<(), String> {
        let line = |(number, name): (usize, &&'static str)| {
            let figures = || self.points.iter().filter_map(|point| Some((point.place, point.figures.get(number)?)));
            let spread = figures().map(|(_, one)| (one.lower_quartile, one.upper_quartile)).collect();
            Line { spread, ..Line::numbered(name, number).through(figures().map(|(x, one)| (x, one.median)).collect()) }
        };
        let curves: Vec<_> = self.names.iter().enumerate().map(line).collect();
        let top = curves.iter().flat_map(|curve| &curve.spread).map(|spread| spread.1).fold(0.0, f64::max);
        let chart = Chart {
            title: self.title.to_owned(),
            about: about.clone(),
            x: Axis::named(self.grows, self.points.iter().map(|point| (point.place, point.name.clone())).collect()),
            y: Axis::from_zero(self.unit, top),
            figures: (self.points.last().map_or(String::new(), |point| format!("at {}", point.name)), short),
            curves,
        };
        chart.save(&folder.join(format!("{}.svg", self.id)))
    }
}
