//! Numbers and tables for people.

use std::fmt::Write;

/// Three significant digits; whole numbers from a hundred on.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.01 => format!("{value:.4}"),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => grouped(value.round() as u64),
    }
}

/// A ratio with two decimals, more only where two would say nothing.
pub(crate) fn ratio(value: f64) -> String {
    if (0.1..100.0).contains(&value) { format!("{value:.2}") } else { short(value) }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds in the unit that suits them.
pub(crate) fn nanos(value: f64) -> String {
    let (size, unit) = match value {
        value if value < 999.5 => (1.0, "ns"),
        value if value < 999.5e3 => (1e3, "us"),
        value if value < 999.5e6 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let value = value / size;
    if value.fract() == 0.0 { format!("{value:.0} {unit}") } else { format!("{} {unit}", short(value)) }
}

/// A name as Markdown's code: some have angle brackets.
pub(crate) fn code(name: &str) -> String {
    format!("`{name}`")
}

/// A Markdown table; the first column is text, the others are aligned to the right unless named in `left`.
pub(crate) fn table(head: &[String], left: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let rule = |(place, title): (usize, &String)| {
        if place == 0 || left.contains(&title.as_str()) { "---" } else { "--:" }
    };
    let rules: Vec<_> = head.iter().enumerate().map(rule).collect();
    let _ = writeln!(text, "| {} |", rules.join(" | "));
    for row in rows {
        let _ =
            writeln!(text, "| {} |", row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "));
    }
    text
}
