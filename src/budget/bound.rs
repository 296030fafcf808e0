//! A bound on how many there are, which can be shut.
//!
//! As a [`Meter`](super::Meter) that knows no time: `{count, status}` in one word, so that nothing is counted once it is shut,
//! and what was counted then is known. In 64 bits, where a look is a load on any hardware.

#![forbid(unsafe_code)]

use super::Status;
use crate::sync::{AtomicU64, Ordering};
use std::fmt;

/// Bits of the status, below the count.
const STATUS_BITS: u32 = 2;
/// What can be counted: more than ever is, as one a nanosecond takes 146 years.
const MOST: u64 = u64::MAX >> STATUS_BITS;

/// See the module. All operations are lock-free, and looks wait-free.
pub(crate) struct Bound {
    word: AtomicU64,
    most: u64,
}

/// What was taken at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) status: Status,
    pub(crate) taken: u64,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Shut(Status),
    /// There is less left.
    Full,
}

impl Count {
    fn unpack(word: u64) -> Self {
        let status = match word & ((1 << STATUS_BITS) - 1) {
            0 => Status::Open,
            1 => Status::Expired,
            _ => Status::Closed,
        };
        Self { status, taken: word >> STATUS_BITS }
    }

    fn pack(self) -> u64 {
        self.taken << STATUS_BITS | self.status as u64
    }
}

impl Bound {
    /// Nothing taken, of `most`.
    pub(crate) fn new(most: u64) -> Self {
        let nothing = Count { status: Status::Open, taken: 0 };
        Self { word: AtomicU64::new(nothing.pack()), most }
    }

    /// How many there may be.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Takes `n`, all or nothing, and returns what is taken then.
    pub(crate) fn take(&self, n: u64) -> Result<u64, Refused> {
        let most = self.most.min(MOST);
        let before = self.update(|count| match count {
            Count { status: Status::Open, taken } if n <= most - taken => Ok(Count { taken: taken + n, ..count }),
            Count { status: Status::Open, .. } => Err(Refused::Full),
            Count { status, .. } => Err(Refused::Shut(status)),
        });
        before.map(|before| before.taken + n)
    }

    /// Gives `n` back, or what was taken if that is less. False if it was shut before: what it had counted then stands.
    pub(crate) fn give_back(&self, n: u64) -> bool {
        let before = self.update(|count| match count.status {
            Status::Open => Ok(Count { taken: count.taken.saturating_sub(n), ..count }),
            status => Err(Refused::Shut(status)),
        });
        before.is_ok()
    }

    /// Shuts it: open to expired or closed, expired to closed. Nothing is taken or given back afterwards. Returns the count
    /// before, or the present status if that is `to` or later already.
    pub(crate) fn shut(&self, to: Status) -> Result<Count, Status> {
        self.shut_if(to, |_| true)
    }

    /// As [`shut`](Self::shut), but only where nothing is taken.
    pub(crate) fn shut_if_unused(&self, to: Status) -> Result<Count, Status> {
        self.shut_if(to, |count| count.taken == 0)
    }

    fn shut_if(&self, to: Status, condition: impl Fn(Count) -> bool) -> Result<Count, Status> {
        self.update(|count| {
            let shuts = count.status < to && condition(count);
            if shuts { Ok(Count { status: to, ..count }) } else { Err(count.status) }
        })
    }

    /// What is taken, and whether it is open.
    #[inline]
    pub(crate) fn count(&self) -> Count {
        // Acquire: who sees it shut sees what was done before it was shut. Pairs with `update`.
        Count::unpack(self.word.load(Ordering::Acquire))
    }

    /// What is taken.
    pub(crate) fn taken(&self) -> u64 {
        self.count().taken
    }

    /// Whether it is open.
    #[inline]
    pub(crate) fn status(&self) -> Status {
        self.count().status
    }

    /// Whether it is open, asked by a write: whoever shuts it after this sees what was done before it. Of two threads that
    /// each write one place and then look at the other's, both may miss if they only load.
    pub(crate) fn confirm_open(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            // Release: pairs with the Acquire of `update`. Nothing is read through this.
            match self.word.compare_exchange_weak(word, word, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Count::unpack(word).status == Status::Open,
                Err(current) => word = current,
            }
        }
    }

    /// Applies a decision by compare-and-swap (the linearization point; of a refusal, the load it was decided on), and
    /// returns the count before.
    fn update<E>(&self, decide: impl Fn(Count) -> Result<Count, E>) -> Result<Count, E> {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let before = Count::unpack(word);
            let after = decide(before)?.pack();
            if after == word {
                return Ok(before);
            }
            // AcqRel: a change sees what was done before the one it follows, and shows what was done before it.
            match self.word.compare_exchange_weak(word, after, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(before),
                Err(current) => word = current,
            }
        }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("most", &self.most).field("count", &self.count()).finish()
    }
}

#[cfg(all(test, not(any(tollgate_loom, tollgate_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn all_is_taken_or_nothing() {
        let bound = Bound::new(5);
        assert_eq!((bound.take(3), bound.take(3), bound.take(2)), (Ok(3), Err(Refused::Full), Ok(5)));
        assert!(bound.give_back(1));
        assert_eq!((bound.taken(), bound.take(2), bound.take(0)), (4, Err(Refused::Full), Ok(4)));
    }

    #[test]
    fn no_more_is_given_back_than_was_taken() {
        let bound = Bound::new(5);
        bound.take(2).unwrap();
        assert!(bound.give_back(3));
        assert_eq!((bound.taken(), bound.take(6)), (0, Err(Refused::Full)));
    }

    #[test]
    fn what_was_counted_when_it_was_shut_stands() {
        let bound = Bound::new(5);
        bound.take(2).unwrap();
        assert_eq!(bound.shut(Status::Expired), Ok(Count { status: Status::Open, taken: 2 }));
        assert_eq!((bound.take(1), bound.give_back(1)), (Err(Refused::Shut(Status::Expired)), false));
        assert_eq!((bound.shut(Status::Expired), bound.confirm_open()), (Err(Status::Expired), false));
        assert_eq!(bound.shut(Status::Closed), Ok(Count { status: Status::Expired, taken: 2 }));
        assert_eq!((bound.shut(Status::Expired), bound.status()), (Err(Status::Closed), Status::Closed));
        assert_eq!(bound.taken(), 2);
    }

    #[test]
    fn what_is_in_use_is_not_shut_as_unused() {
        let bound = Bound::new(5);
        bound.take(1).unwrap();
        assert_eq!((bound.shut_if_unused(Status::Closed), bound.confirm_open()), (Err(Status::Open), true));
        bound.give_back(1);
        assert!(bound.shut_if_unused(Status::Closed).is_ok());
    }

    #[test]
    fn the_largest_bound_is_what_can_be_counted() {
        let bound = Bound::new(u64::MAX);
        assert_eq!(
            (bound.take(u64::MAX), bound.take(MOST), bound.take(1)),
            (Err(Refused::Full), Ok(MOST), Err(Refused::Full))
        );
        assert_eq!((bound.most(), bound.status(), bound.taken()), (u64::MAX, Status::Open, MOST));
    }
}
