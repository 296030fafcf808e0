//! The room in a [`FifoMap`](super::FifoMap): slots and bytes, in the pool or in the hands of an operation.

use super::Reason;
use crate::raw::epoch::Guard;
use crate::raw::order;
use crate::sync::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// What is taken: at least what the live entries need, never more than there is.
pub(super) struct Room {
    cap: u64,
    /// None if bytes are not bounded.
    max_bytes: Option<u64>,
    slots: CachePadded<AtomicU64>,
    bytes: CachePadded<AtomicU64>,
}

/// What an operation has in hand. Goes back to the pool when dropped, by a panic in the user's code too.
pub(super) struct Held<'r> {
    pub(super) slots: u64,
    pub(super) bytes: u64,
    /// A number for which a slot was given, and that no entry has yet.
    pub(super) number: Option<(order::Place<'r>, &'r Guard)>,
    room: &'r Room,
}

impl Room {
    pub(super) fn new(cap: u64, max_bytes: Option<u64>) -> Self {
        let counter = || CachePadded::new(AtomicU64::new(0));
        Self { cap, max_bytes, slots: counter(), bytes: counter() }
    }

    pub(super) fn cap(&self) -> u64 {
        self.cap
    }

    pub(super) fn max_bytes(&self) -> Option<u64> {
        self.max_bytes
    }

    pub(super) fn nothing(&self) -> Held<'_> {
        Held { slots: 0, bytes: 0, number: None, room: self }
    }

    pub(super) fn slots_taken(&self) -> u64 {
        // Relaxed: a count; the bound holds of every value it ever has.
        self.slots.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_taken(&self) -> u64 {
        // Relaxed: as above.
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Held<'_> {
    /// Tops up to `slots` and `bytes` from the pool, slots first. Says what there is too little of.
    pub(super) fn take(&mut self, slots: u64, bytes: u64) -> Result<(), Reason> {
        if self.slots < slots {
            if !take(&self.room.slots, slots - self.slots, self.room.cap) {
                return Err(Reason::Capacity);
            }
            self.slots = slots;
        }
        if self.bytes < bytes {
            if !take(&self.room.bytes, bytes - self.bytes, self.room.max_bytes.unwrap_or(u64::MAX)) {
                return Err(Reason::Bytes);
            }
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Gives slots and bytes back.
    pub(super) fn let_go(&mut self) {
        // Release: P6.
        if self.slots > 0 {
            self.room.slots.fetch_sub(self.slots, Ordering::Release);
        }
        if self.bytes > 0 {
            self.room.bytes.fetch_sub(self.bytes, Ordering::Release);
        }
        (self.slots, self.bytes) = (0, 0);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some((number, guard)) = self.number.take() {
            // Unless an evictor was faster, and has the slot.
            self.slots += u64::from(number.claim(guard));
        }
        self.let_go();
    }
}

/// Takes `want` of what is left below `max`.
fn take(pool: &AtomicU64, want: u64, max: u64) -> bool {
    // Acquire: P6.
    let taken = pool
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, |used| used.checked_add(want).filter(|&sum| sum <= max));
    taken.is_ok()
}
