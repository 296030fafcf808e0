//! What the sweeps of the stores have in common: what one tells, and how room is swept free.

#![forbid(unsafe_code)]

use crate::budget::Meter;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Entries removed, all of them over.
    pub removed: u64,
    /// Whether the limit was reached first.
    pub more: bool,
}

/// Takes one place of `room`, sweeping for it if there is none. False if sweeping frees none either.
pub(crate) fn find_room(room: &Meter, mut sweep: impl FnMut() -> Swept) -> bool {
    while !room.take(1) {
        let swept = sweep();
        if swept.removed == 0 && !swept.more {
            // What another thread's sweep removed since the last look counts too.
            return room.take(1);
        }
    }
    true
}
