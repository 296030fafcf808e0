//! Which deadlines a bucket holds, by its name.

#![forbid(unsafe_code)]

/// A bucket spans at most this share of the time to its deadlines when an entry is put there, as a power of two.
const SHARE: u32 = 4;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) era: u64,
    /// Lower bits in which its deadlines differ; none if they were due when added.
    shift: Option<u32>,
    /// Its deadlines without those bits.
    period: u64,
}

impl Name {
    /// The bucket for an entry that is put there after a sweep. It begins after that sweep, unless the entry was due then.
    pub(super) fn of(deadline: u64, swept: u64, era: u64) -> Self {
        if deadline <= swept {
            return Self { era, shift: None, period: 0 };
        }
        let shift = (deadline - swept).ilog2().saturating_sub(SHARE);
        Self { era, shift: Some(shift), period: deadline >> shift }
    }

    pub(super) fn may_be_due(&self, now: u64) -> bool {
        self.shift.is_none_or(|shift| self.period << shift <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The first instant of a bucket, and the nanoseconds that it spans.
    fn span(name: Name) -> (u64, u64) {
        let shift = name.shift.expect("not due when it was added");
        (name.period << shift, 1 << shift)
    }

    #[test]
    fn an_entry_moves_twelve_times_at_most_to_ever_narrower_buckets() {
        let mut most = 0;
        for deadline in
            (0..64).map(|bits| u64::MAX >> bits).chain((1..1_000).map(|n: u64| n.wrapping_mul(0x0123_4567_89ab_cdef)))
        {
            let (mut swept, mut buckets) = (0, 0);
            loop {
                let (first, span) = span(Name::of(deadline, swept, 0));
                assert!(swept < first && first <= deadline && deadline - first < span);
                assert!(span == 1 || span <= (deadline - swept) / 16);
                buckets += 1;
                if first == deadline {
                    break;
                }
                swept = first;
            }
            most = most.max(buckets);
        }
        assert_eq!(most, 1 + 12);
    }

    #[test]
    fn what_is_due_when_it_is_added_is_ripe() {
        for (deadline, swept) in [(0, 0), (7, 7), (7, 8), (0, u64::MAX)] {
            assert!(Name::of(deadline, swept, 0).may_be_due(0));
        }
    }

    #[test]
    fn there_are_no_more_buckets_than_said() {
        let last = u64::MAX >> 1;
        let mut names = HashSet::new();
        for shift in 0..=59 {
            let span = 1_u64 << shift;
            for swept in [last - (16 * span - 1), last] {
                let deadlines = (16..32).filter_map(|n| swept.checked_add(span.checked_mul(n)?));
                names.extend(deadlines.map(|deadline| Name::of(deadline, swept, 0)));
            }
        }
        names.retain(|name| !name.may_be_due(last));
        assert!((1_800..=1_920).contains(&names.len()), "{}", names.len());
    }
}
