//! What a line surely does not have: a Bloom filter of its entries' tags, which a lookup asks before it reads the line.
//!
//! Eight of them share a cache line, so those of a hundred thousand entries stay in a core's own cache, where the lines are too
//! many: a lookup that finds nothing, as of a token that is not revoked, goes no further as a rule.
//!
//! # State
//!
//! | bits | meaning |
//! |---|---|
//! | 32 | *absent*: no entry of the line has a tag that stands for a bit which is set here. All clear: nothing is known |
//! | 32 | the *count* of those who announced an entry, and one from the beginning |
//!
//! - An insert *announces* its entry: it clears the entry's bits and counts itself, in one exchange, before the one that fills
//!   a slot. So no entry is ever excluded.
//! - Bits are set again by who has just filled the turn's slot: it reads the filter, then sees that the turn is where it was, then
//!   reads the slots, and *renews* the filter by an exchange. Who announced an entry before, under this turn or an earlier one, has
//!   linked it by then, and it is read, or will not: that slot is filled. Under a later turn, nobody has: who announces has
//!   seen the turn, which would be seen to have moved on. And who announces an entry afterwards counts, so the exchange fails.
//! - A filter is *opened* before its line is settled, by one exchange from zero, to what the line is filled with. Nobody
//!   announces an entry before that, and no filter is zero again.
//!
//! The count comes round after 2^32 announcements. To be fooled by that, a thread would have to stand in a renewal, or before an
//! opening, go on when its line has had exactly so many, and meanwhile keep all that anybody removed from being freed.
//!
//! # Ordering pairs
//!
//! - P13 a filter changes (Release) and is read (Acquire): who renews it sees the turns that were seen by those who announced,
//!   and a lookup that ends here has seen the removal that it owes that to.
//!
//! The models that break without them: `docs/mutations.md`.

use crate::sync::{AtomicU64, MODEL, Ordering};

/// A filter is renewed after one in so many announcements: it reads the line once more.
const RENEWAL: u64 = if MODEL { 1 } else { 8 };

const ABSENT: u64 = u32::MAX as u64;
/// One who announced an entry.
const ONE: u64 = ABSENT + 1;

/// See the module. All zero bytes are a filter that excludes nothing.
pub(super) struct Filter(AtomicU64);

/// The bits that a tag stands for: two of them, by its ten highest bits.
#[inline]
fn bits(tag: usize) -> u64 {
    1 << (tag >> 11 & 31) | 1 << (tag >> 6 & 31)
}

/// The absent bits of a line with these tags.
fn absent(tags: impl Iterator<Item = usize>) -> u64 {
    ABSENT & !tags.fold(0, |present, tag| present | bits(tag))
}

impl Filter {
    /// One that excludes nothing, until it is [opened](Self::open).
    pub(super) fn unknown() -> Self {
        Self(AtomicU64::new(0))
    }

    /// If true, the line has no entry with this tag. If not, it may have none either.
    #[inline]
    pub(super) fn excludes(&self, tag: usize) -> bool {
        // Acquire: P13.
        self.0.load(Ordering::Acquire) & bits(tag) != 0
    }

    /// Says what is in a line that was filled with entries of these tags. Others may be at it with the same ones.
    pub(super) fn open(&self, tags: impl Iterator<Item = usize>) {
        // Release: P13. On failure, another thread has opened it.
        let _ = self.0.compare_exchange(0, ONE | absent(tags), Ordering::Release, Ordering::Relaxed);
    }

    /// Says that an entry with this tag may be linked from now on. True if the filter should be renewed when it is.
    #[inline]
    pub(super) fn announce(&self, tag: usize) -> bool {
        // Relaxed: nothing is read behind it.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let next = (word & !bits(tag)).wrapping_add(ONE);
            // Release: P13.
            match self.0.compare_exchange_weak(word, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return next / ONE % RENEWAL == 0,
                Err(now) => word = now,
            }
        }
    }

    /// Excludes what `tags`, asked once the filter was read, does not have; nothing more if there are none, or if an entry was
    /// announced meanwhile.
    pub(super) fn renew<I: Iterator<Item = usize>>(&self, tags: impl FnOnce() -> Option<I>) {
        // Acquire: P13.
        let word = self.0.load(Ordering::Acquire);
        if let Some(tags) = tags() {
            let next = word & !ABSENT | absent(tags);
            // A line of the cache has eight filters: who asks the others need not wait for nothing.
            if next != word {
                // Release: P13.
                let _ = self.0.compare_exchange(word, next, Ordering::Release, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;

    /// Tags that stand for a bit each.
    const TAGS: [usize; 4] = [0, 1 << 11 | 1 << 6, 2 << 11 | 2 << 6, 3 << 11 | 3 << 6];

    /// Of [`TAGS`], those that the filter excludes.
    fn excluded(filter: &Filter) -> [bool; 4] {
        TAGS.map(|tag| filter.excludes(tag))
    }

    #[test]
    fn a_filter_excludes_nothing_until_it_is_opened_and_then_what_was_not_announced() {
        let filter = Filter::unknown();
        assert_eq!(excluded(&filter), [false; 4]);
        filter.open([TAGS[0]].into_iter());
        assert_eq!(excluded(&filter), [false, true, true, true]);
        filter.announce(TAGS[1]);
        assert_eq!(excluded(&filter), [false, false, true, true]);
    }

    #[test]
    fn a_filter_is_opened_once() {
        let filter = Filter::unknown();
        filter.open(std::iter::empty());
        filter.announce(TAGS[0]);
        filter.open(std::iter::empty());
        assert_eq!(excluded(&filter), [false, true, true, true]);
        // All clear, but not as it was at first.
        let filter = Filter::unknown();
        filter.announce(TAGS[0]);
        filter.open(std::iter::empty());
        assert_eq!(excluded(&filter), [false; 4]);
    }

    #[test]
    fn a_filter_is_due_for_renewal_once_in_so_many_announcements() {
        let filter = Filter::unknown();
        filter.open(std::iter::empty());
        let due = (0..10 * RENEWAL).filter(|_| filter.announce(TAGS[0]));
        assert_eq!(due.count(), 10);
    }

    #[test]
    fn a_renewed_filter_excludes_all_but_what_was_read() {
        let filter = Filter::unknown();
        filter.open(TAGS.into_iter());
        filter.renew(|| Some([TAGS[2]].into_iter()));
        assert_eq!(excluded(&filter), [true, true, false, true]);
    }

    #[test]
    fn a_filter_is_not_renewed_when_nothing_could_be_read_or_an_entry_was_announced_meanwhile() {
        let filter = Filter::unknown();
        filter.open(TAGS.into_iter());
        filter.renew(|| None::<std::iter::Empty<usize>>);
        assert_eq!(excluded(&filter), [false; 4]);
        filter.renew(|| {
            filter.announce(TAGS[0]);
            Some([TAGS[1]].into_iter())
        });
        assert_eq!(excluded(&filter), [false; 4]);
    }
}
