//! Memory, garbage and throughput over time, one below the other.

use super::Sample;
use super::report::mib;
use plotters::prelude::*;
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Points = Vec<(f64, f64)>;

const SIZE: (u32, u32) = (1_000, 900);
const BLUE: RGBColor = RGBColor(0x0b, 0x57, 0xd0);
const RED: RGBColor = RGBColor(0xd1, 0x49, 0x5b);

/// A curve, and its name where there is more than one.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    points: Points,
}

pub(super) fn draw(samples: &[Sample], file: &Path) -> Result<(), String> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    panels(&root, samples).map_err(|error| error.to_string())
}

fn panels(root: &Area<'_>, samples: &[Sample]) -> Result<(), Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    let curve = |name, colour, figure: fn(&Sample) -> f64| Curve {
        name,
        colour,
        points: samples.iter().map(|sample| (sample.at.as_secs_f64() / 60.0, figure(sample))).collect(),
    };
    let parts = root.split_evenly((3, 1));
    panel(&parts[0], "Resident memory, MiB", &[curve("", BLUE, |sample| mib(sample.resident))])?;
    panel(&parts[1], "Garbage: values removed, not freed", &[curve("", BLUE, |sample| sample.garbage as f64)])?;
    panel(
        &parts[2],
        "Million operations a second",
        &[
            curve("living structures", BLUE, |sample| sample.churned / 1e6),
            curve("scenarios", RED, |sample| sample.raced / 1e6),
        ],
    )?;
    root.present()?;
    Ok(())
}

fn panel(area: &Area<'_>, title: &str, curves: &[Curve]) -> Result<(), Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let right = points().map(|point| point.0).fold(1e-3, f64::max);
    let top = points().map(|point| point.1).fold(1e-3, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    chart.configure_mesh().x_desc("minutes").light_line_style(TRANSPARENT).draw()?;
    for curve in curves {
        let (colour, points) = (curve.colour, curve.points.iter().copied());
        let drawn = chart.draw_series(LineSeries::new(points, colour))?;
        if !curve.name.is_empty() {
            drawn.label(curve.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
        }
    }
    if curves.len() > 1 {
        chart.configure_series_labels().border_style(TRANSPARENT).background_style(WHITE.mix(0.8)).draw()?;
    }
    Ok(())
}
