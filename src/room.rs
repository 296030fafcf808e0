//! Room in a store: a bound that is taken, held, given back, and swept free.

#![forbid(unsafe_code)]

use crate::budget::Bound;
use crate::clock::Timestamp;

impl Bound {
    /// Takes `n`, all or nothing, until it is known whether they are needed.
    pub(crate) fn hold(&self, n: u64) -> Option<Hold<'_>> {
        self.take(n).is_ok().then(|| Hold::of(self, n))
    }
}

/// Room that goes back when this is dropped, by a panic in the user's code too, unless it is kept.
pub(crate) struct Hold<'m>(&'m Bound, u64);

impl<'m> Hold<'m> {
    /// Of what was taken before.
    pub(crate) fn of(room: &'m Bound, n: u64) -> Self {
        Self(room, n)
    }

    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.give_back(self.1);
    }
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Entries removed, all of them over.
    pub removed: u64,
    /// Whether the limit was reached first.
    pub more: bool,
}

/// The time by which a store judges: never before its latest sweep, nor the last instant, at which nothing comes due.
#[inline]
pub(crate) fn judged_at(now: Timestamp, high_water: Timestamp) -> Timestamp {
    now.min(Timestamp::from_nanos(u64::MAX - 1)).max(high_water)
}

/// Takes one place of `room`, sweeping for it if there is none. None if sweeping frees none either.
pub(crate) fn find_room(room: &Bound, mut sweep: impl FnMut() -> Swept) -> Option<Hold<'_>> {
    loop {
        if let Some(place) = room.hold(1) {
            return Some(place);
        }
        let swept = sweep();
        if swept.removed == 0 && !swept.more {
            // What another thread's sweep removed since the last look counts too.
            return room.hold(1);
        }
    }
}
