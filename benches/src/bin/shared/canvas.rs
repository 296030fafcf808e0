//! A drawing of lines, boxes and words, written as SVG.

use std::fmt::Write;
use std::fs;
use std::path::Path;

pub(crate) const INK: &str = "#1f2328";
pub(crate) const FAINT: &str = "#656d76";
pub(crate) const GRID: &str = "#e4e7eb";

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    pub(crate) colour: &'static str,
    pub(crate) width: f64,
    pub(crate) dashed: bool,
}

/// Which point of a word stands at its place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Where a word stands, and how it looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) size: f64,
    pub(crate) anchor: Anchor,
    pub(crate) colour: &'static str,
    pub(crate) bold: bool,
}

impl Label {
    pub(crate) fn new(x: f64, y: f64, size: f64, anchor: Anchor) -> Self {
        Self { x, y, size, anchor, colour: INK, bold: false }
    }

    pub(crate) fn faint(self) -> Self {
        Self { colour: FAINT, ..self }
    }

    pub(crate) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A drawing on white ground, so that it can be read on a dark page too.
#[derive(Debug)]
pub(crate) struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

impl Canvas {
    /// `about` is for whoever reads the file, and is not drawn.
    pub(crate) fn new(width: f64, height: f64, about: &str) -> Self {
        let mut canvas = Self { width, height, body: format!("<desc>{}</desc>\n", escaped(about)) };
        canvas.rectangle((0.0, 0.0), (width, height), "#ffffff");
        canvas
    }

    pub(crate) fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), fill: &str) {
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"/>"#
        );
    }

    pub(crate) fn line(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let places: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dashes = if stroke.dashed { r#" stroke-dasharray="5 4""# } else { "" };
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" stroke-linejoin="round"{dashes}/>"#,
            places.join(" "),
            stroke.colour,
            stroke.width,
        );
    }

    pub(crate) fn dot(&mut self, (x, y): (f64, f64), radius: f64, fill: &str) {
        let _ = writeln!(self.body, r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}"/>"#);
    }

    pub(crate) fn word(&mut self, label: Label, text: &str) {
        self.turned_word(label, text, "");
    }

    /// A word that is read from below.
    pub(crate) fn upright_word(&mut self, label: Label, text: &str) {
        let turn = format!(r#" transform="rotate(-90 {:.1} {:.1})""#, label.x, label.y);
        self.turned_word(label, text, &turn);
    }

    fn turned_word(&mut self, label: Label, text: &str, turn: &str) {
        let anchor = match label.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if label.bold { r#" font-weight="600""# } else { "" };
        let text = escaped(text);
        let Label { x, y, size, colour, .. } = label;
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}{turn}>{text}</text>"#
        );
    }

    /// The error is one line.
    pub(crate) fn save(&self, file: &Path) -> Result<(), String> {
        let Self { width, height, body } = self;
        let text = format!(
            concat!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" "#,
                r#"viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif">"#,
                "\n{body}</svg>\n"
            ),
            width = width,
            height = height,
            body = body,
        );
        fs::write(file, text).map_err(|error| format!("{} cannot be written: {error}", file.display()))
    }
}
