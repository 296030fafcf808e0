//! How entries leave a [`FifoMap`](super::FifoMap) to make room, or for their age.

use super::room::Held;
use super::{Entry, Fallen, FifoMap, Reason};
use crate::contain::contained;
use crate::raw::epoch::{self, Guard};
use crate::raw::node::Node;
use crate::raw::order;
use crate::sync::{MODEL, Ordering, relax};
use std::hash::{BuildHasher, Hash};

/// Evictions between the fetching of an entry and its own.
const AHEAD: usize = 2;

/// Asked to make room in another way before an entry is evicted; says whether it may have.
pub(super) type Reclaim<'r> = Option<&'r mut dyn FnMut() -> bool>;

impl<K, V, S> FifoMap<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Evicts the oldest entries, `limit` at most, as long as `condition` holds of the oldest one, and returns how many
    /// went. A value that is replaced while it is judged goes with its entry; at one that is on its way in or out it ends.
    /// Each step is O(1), expected.
    pub fn evict_while(&self, limit: usize, condition: impl Fn(&K, &V) -> bool) -> usize {
        let guard = epoch::pin();
        let mut fallen = Vec::new();
        let mut evicted = 0;
        while evicted < limit {
            let (seq, Some(place)) = self.order.first_place(&guard) else { break };
            let Some(hash) = place.published() else { break };
            let Some(oldest) = self.table.get(hash, &guard, |_, entry| entry.seq == seq) else {
                // It is being removed: look again if that is done.
                if self.order.first(&guard) == seq {
                    break;
                }
                continue;
            };
            if !condition(&oldest.key, &oldest.value.value) {
                break;
            }
            // Nothing stays in hand while the caller's code runs.
            evicted +=
                usize::from(self.evict(&place, Reason::Age, &mut self.room.nothing(), &guard, &mut fallen).is_some());
        }
        self.announce(fallen);
        evicted
    }

    /// Evicts the oldest entry, for `reason`, and returns it. None if there is none, or none that was not still on its way
    /// in: such a one is evicted too, and [its insert](super::Placed::overtaken) tells of it. Lock-free, expected O(1).
    pub fn pop_oldest(&self, reason: Reason) -> Option<(K, V)>
    where
        K: Clone,
        V: Clone,
    {
        let guard = epoch::pin();
        let mut fallen = Vec::new();
        let oldest = loop {
            let (seq, place) = self.order.first_place(&guard);
            // Acquire: P5.
            if seq >= self.tail.load(Ordering::Acquire) {
                break None;
            }
            let Some(place) = place.or_else(|| self.order.place(seq, &guard)) else { continue };
            let evicted = self.evict(&place, reason, &mut self.room.nothing(), &guard, &mut fallen);
            if evicted.is_some() {
                break evicted;
            }
        };
        let oldest = oldest.map(|node| (node.key.clone(), node.value.value.clone()));
        self.announce(fallen);
        oldest
    }

    /// Gets `slots` and `bytes` in hand: free ones, or those of the oldest entries. May come back with less, and with
    /// nothing at all in hand, if others have all there is.
    pub(super) fn acquire<'g>(
        &'g self,
        held: &mut Held<'_>,
        slots: u64,
        bytes: u64,
        reclaim: &mut Reclaim<'_>,
        guard: &'g Guard,
        fallen: &mut Fallen<'g, K, V>,
    ) {
        loop {
            let reason = match held.take(slots, bytes) {
                Ok(()) => return,
                Err(reason) => reason,
            };
            if let Some(more) = reclaim {
                // Nothing stays in hand while the caller's code runs.
                held.let_go();
                if more() {
                    continue;
                }
                *reclaim = None;
            }
            let (seq, place) = self.order.first_place(guard);
            // What is published was handed out. Acquire: a number below `tail` was taken with a slot in hand.
            let is_published = place.as_ref().is_some_and(|place| place.published().is_some());
            if is_published || seq < self.tail.load(Ordering::Acquire) {
                if let Some(place) = place.or_else(|| self.order.place(seq, guard)) {
                    self.evict(&place, reason, held, guard, fallen);
                }
            } else {
                // All slots or bytes are in the hands of operations on their way. One of them may be waiting for what
                // we hold.
                held.let_go();
                relax();
                return;
            }
        }
    }

    /// Evicts the lowest number that was not dead: takes its entry out of the index first, or leaves that to its inserter
    /// and makes it invisible if it is not published, and claims the number then. So nobody gets at a later number while
    /// this one can be seen, and whoever finds it half done does the rest. Returns the entry if this call took it out.
    fn evict<'g>(
        &'g self,
        place: &order::Place<'g>,
        reason: Reason,
        held: &mut Held<'_>,
        guard: &'g Guard,
        fallen: &mut Fallen<'g, K, V>,
    ) -> Option<&'g Node<K, Entry<V>>> {
        let seq = place.number();
        self.fetch_next(place, guard);
        let node = if let Some(hash) = place.seal() {
            self.unlink(hash, seq, guard)
        } else {
            // AcqRel: P5. Everything below is dead. Its entry may be linked, now or later, and must not be seen.
            self.floor.fetch_max(seq + 1, Ordering::AcqRel);
            None
        };
        held.slots += u64::from(place.claim(guard));
        // What was not published is counted by its inserter, if there is an entry at all.
        let node = node?;
        self.counts.add(reason);
        held.bytes += node.value.weight;
        self.note(fallen, node, reason);
        Some(node)
    }

    /// Begins to fetch what the next evictions read: first a line of the index, then, when that is here, its entry.
    fn fetch_next(&self, place: &order::Place<'_>, guard: &Guard) {
        if MODEL {
            return;
        }
        if let Some(hash) = place.published_after(2 * AHEAD) {
            self.table.fetch_line(hash, guard);
        }
        if let Some(hash) = place.published_after(AHEAD) {
            self.table.fetch_entry(hash, guard);
        }
    }

    /// Takes the entry of a number out of the index, if it is there.
    pub(super) fn unlink<'g>(&'g self, hash: u64, seq: u64, guard: &'g Guard) -> Option<&'g Node<K, Entry<V>>> {
        loop {
            let found = self.table.find(hash, guard, |_, entry| entry.seq == seq)?;
            let node = found.node();
            if found.remove(guard) {
                return Some(node);
            }
        }
    }

    /// Keeps what was evicted for the listener, if there is one.
    pub(super) fn note<'g>(&self, fallen: &mut Fallen<'g, K, V>, node: &'g Node<K, Entry<V>>, reason: Reason) {
        if self.listener.is_some() {
            fallen.push((node, reason));
        }
    }

    /// Tells of what was evicted, when nothing is in hand any more: this is the user's code.
    pub(super) fn announce(&self, fallen: Fallen<'_, K, V>) {
        if let Some(listen) = &self.listener {
            for (node, reason) in fallen {
                listen(&node.key, &node.value.value, reason);
            }
        }
        if self.warned.get() == 0 && self.counts.evicted() > 0 && self.warned.first() {
            let (cap, max_bytes) = (self.room.cap(), self.room.max_bytes());
            // Contained: who called has what it did to go on with.
            contained(|| tracing::warn!(cap, max_bytes, "first eviction: the oldest entries go from now on"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_only_when_there_is_no_other_way_to_make_room() {
        let map = FifoMap::builder(2).build().unwrap();
        for key in 0..2 {
            map.insert(key, key).unwrap();
        }
        map.insert_reclaiming(2, 2, || map.remove(&1).is_some()).unwrap();
        assert_eq!(map.snapshot(), [(0, 0, 0), (2, 2, 2)]);
        map.insert_reclaiming(3, 3, || map.remove(&1).is_some()).unwrap();
        assert_eq!(map.snapshot(), [(2, 2, 2), (3, 3, 3)]);
        assert_eq!((map.stats().removed, map.stats().evicted_for_capacity), (1, 1));
    }

    /// Were its slot and bytes in hand meanwhile, it would wait for them for ever.
    #[test]
    fn what_makes_room_may_insert() {
        let map = FifoMap::builder(2).max_bytes(100, |_, &weight: &u64| weight).build().unwrap();
        map.insert(0, 60).unwrap();
        let mut first = true;
        let reclaim = || std::mem::take(&mut first) && map.insert(1, 100).is_ok();
        map.insert_reclaiming(2, 50, reclaim).unwrap();
        assert_eq!(map.snapshot(), [(2, 2, 50)]);
    }

    #[test]
    fn the_oldest_is_popped_and_counted_for_its_reason() {
        let map = FifoMap::builder(9).build().unwrap();
        for key in 0..3 {
            map.insert(key, key * 10).unwrap();
        }
        assert_eq!(map.pop_oldest(Reason::Age), Some((0, 0)));
        assert_eq!(map.pop_oldest(Reason::Bytes), Some((1, 10)));
        assert_eq!((map.stats().evicted_for_age, map.stats().evicted_for_bytes, map.len()), (1, 1, 1));
        assert_eq!((map.pop_oldest(Reason::Bytes), map.pop_oldest(Reason::Bytes)), (Some((2, 20)), None));
    }
}
