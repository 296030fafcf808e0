//! What is said of several rounds: the middle, and how many times one is the other.

use crate::shared::stats::Spread;

/// The middle of a sample, 0 if there is none.
pub(crate) fn median(samples: &[f64]) -> f64 {
    Spread::of(samples).median
}

/// The median over rounds of the ratio within the round: what slows one round down slows both sides of it.
pub(crate) fn ratio(upper: &[f64], lower: &[f64]) -> Option<f64> {
    let ratios: Vec<_> =
        upper.iter().zip(lower).filter(|(_, lower)| **lower > 0.0).map(|(upper, lower)| upper / lower).collect();
    (!ratios.is_empty()).then(|| median(&ratios))
}
