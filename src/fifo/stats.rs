//! What a [`FifoMap`](super::FifoMap) tells of itself.

use crate::sync::Counter;
use std::fmt;

/// Why an entry went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// There were as many as the cap. Also whatever an entry went for that was still on its way in.
    Capacity,
    /// They weighed as much as allowed.
    Bytes,
    /// It was too old, by the caller's judgement.
    Age,
    /// It was removed by key.
    Removed,
}

/// Where an insert put its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed {
    /// The entry's number: its place in the order. Numbers start at 0.
    pub seq: u64,
    /// Whether it replaced the value of an entry that was there, at that one's place.
    pub replaced: bool,
    /// Whether it was evicted before this call was done with it. Nobody else returns it, and the listener, if there is
    /// one, was told by this call, with the value that others had replaced it with by then.
    pub overtaken: bool,
}

/// An entry that alone weighs more than the map may hold. Nothing was stored or evicted.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry of {weight} bytes is over the {max} that the map may hold")]
pub struct TooHeavy<K, V> {
    /// The key that was refused.
    pub key: K,
    /// The value that was refused.
    pub value: V,
    /// What it weighs.
    pub weight: u64,
    /// What the map may hold.
    pub max: u64,
}

impl<K, V> fmt::Debug for TooHeavy<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TooHeavy").field("weight", &self.weight).field("max", &self.max).finish_non_exhaustive()
    }
}

/// A [`FifoMap`](super::FifoMap) in numbers. Each is exact when nothing moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FifoStats {
    /// Entries held.
    pub live: u64,
    /// Their weight.
    pub bytes: u64,
    /// Entries that may be held.
    pub cap: u64,
    /// Entries evicted because there were as many as the cap.
    pub evicted_for_capacity: u64,
    /// Entries evicted because they weighed as much as allowed.
    pub evicted_for_bytes: u64,
    /// Entries evicted for their age.
    pub evicted_for_age: u64,
    /// Entries removed by key.
    pub removed: u64,
    /// The lowest number that is alive. A record without gaps starts at 0: what is missing was evicted or removed, or given
    /// up by an insert whose key had come in, or whose number had been passed over, meanwhile.
    pub first_seq: Option<u64>,
    /// The last number handed out.
    pub last_seq: Option<u64>,
}

impl FifoStats {
    /// Entries evicted, for whatever reason.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted_for_capacity + self.evicted_for_bytes + self.evicted_for_age
    }
}

/// Counts of what went, by reason.
#[derive(Debug, Default)]
pub(super) struct Counts {
    capacity: Counter,
    bytes: Counter,
    age: Counter,
    removed: Counter,
}

impl Counts {
    pub(super) fn add(&self, reason: Reason) {
        let counter = match reason {
            Reason::Capacity => &self.capacity,
            Reason::Bytes => &self.bytes,
            Reason::Age => &self.age,
            Reason::Removed => &self.removed,
        };
        counter.add(1);
    }

    /// Entries evicted, for whatever reason.
    pub(super) fn evicted(&self) -> u64 {
        self.capacity.get() + self.bytes.get() + self.age.get()
    }

    pub(super) fn stats(
        &self,
        live: u64,
        bytes: u64,
        cap: u64,
        first_seq: Option<u64>,
        last_seq: Option<u64>,
    ) -> FifoStats {
        FifoStats {
            live,
            bytes,
            cap,
            evicted_for_capacity: self.capacity.get(),
            evicted_for_bytes: self.bytes.get(),
            evicted_for_age: self.age.get(),
            removed: self.removed.get(),
            first_seq,
            last_seq,
        }
    }
}
