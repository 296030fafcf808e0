//! Whether a figure stayed where it was.

/// What a figure did: its medians in the second quarter of the run, by when everything is full, and in the last one.
#[derive(Debug, PartialEq)]
pub(super) struct Course {
    pub(super) second: u64,
    pub(super) last: u64,
    /// What the last may be.
    pub(super) most: u64,
}

impl Course {
    pub(super) fn is_flat(&self) -> bool {
        self.last <= self.most
    }
}

/// Follows a figure that may end a tenth, and `slack`, above where it was. What grows all the time shows if it grows
/// by more than that in half of the run: in an hour, by a tenth of a byte an operation. None if there are too
/// few figures.
pub(super) fn follow(figures: &[u64], slack: u64) -> Option<Course> {
    let quarter = figures.len() / 4;
    if quarter == 0 {
        return None;
    }
    let second = median(&figures[quarter..2 * quarter]);
    let last = median(&figures[figures.len() - quarter..]);
    Some(Course { second, last, most: second + second / 10 + slack })
}

/// The upper one, where there are two. Of no figures, zero.
pub(super) fn median(figures: &[u64]) -> u64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_flat(figure: impl Fn(u64) -> u64) -> bool {
        let figures: Vec<_> = (0..100).map(figure).collect();
        follow(&figures, 10).is_some_and(|course| course.is_flat())
    }

    #[test]
    fn what_fills_and_stays_is_flat_however_it_jumps() {
        assert!(is_flat(|at| 1_000 * at.min(20)));
        assert!(is_flat(|at| if at % 3 == 0 { 90_000 } else { 1_000 }));
        assert!(is_flat(|at| 10_000 - at));
    }

    #[test]
    fn what_grows_on_is_not_flat() {
        assert!(!is_flat(|at| 10 * at));
        assert!(!is_flat(|at| 1_000 + 8 * at));
        assert!(!is_flat(|at| if at < 80 { 1_000 } else { 1_111 }));
    }

    #[test]
    fn a_tenth_and_the_slack_are_allowed_and_no_more() {
        let course = |last| follow(&[0, 1_000, 1_000, last], 10);
        assert_eq!(course(1_110), Some(Course { second: 1_000, last: 1_110, most: 1_110 }));
        assert_eq!((course(1_110).unwrap().is_flat(), course(1_111).unwrap().is_flat()), (true, false));
    }

    #[test]
    fn too_few_figures_tell_nothing() {
        assert_eq!(follow(&[1, 1, 1], 10), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(&[]), median(&[3]), median(&[9, 1, 5]), median(&[4, 1, 2, 3])), (0, 3, 5, 3));
    }
}
