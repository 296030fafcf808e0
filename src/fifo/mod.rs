//! The strict-cap, oldest-first map.
//!
//! # How the bound is kept
//!
//! - An entry's place is a number from one counter, `tail`. Before it takes a number, an insert holds a *slot*, one of
//!   `cap`: a free one, or that of the oldest entry, whose number it claims in `raw::order`.
//! - The oldest number's entry is taken out of the index (the linearization point of an eviction) *before* the number is
//!   claimed and its slot used. So the live entries never exceed the slots, at any instant, and no later number is claimed
//!   while an older one can be seen. Whoever finds an eviction half done does the rest.
//! - The victim is always the lowest number that is not dead, an insert that is still on its way included: it finds its
//!   number sealed, takes its entry out itself, and that counts as inserted and evicted. Nobody can say when that entry is
//!   linked, so its number is dead for readers from the moment at which the evictor raises `floor` past it, between sealing
//!   and claiming it. An entry goes within the call that tells of it: that of its inserter, or of who unlinks it.
//! - A removal unlinks the entry, claims the number and gives its slot back; the hole costs neither capacity nor time.
//! - Bytes are a second pool beside the slots. An entry that goes on its way in gives its bytes back when its insert goes
//!   on: who needs bytes before that takes those of the next oldest. And an insert that evicts several for their bytes has
//!   their slots in hand until it is done: others that need one before that evict for it.
//!
//! A walk reads `tail` first and ignores higher numbers: the entries below it that are alive at any later moment held
//! slots at that one, so it never collects more than `cap`.
//!
//! # Ordering pairs
//!
//! - P5 `floor` raised, or the victim unlinked, (Release) before the new entry takes its number and is linked; a reader that
//!   meets the new entry (P1) or a `tail` beyond it (Acquire) then finds the victim gone, or a floor (Acquire) above it.
//! - P6 a slot is given back (Release) after the entry is out of reach, and taken (Acquire) before the next is linked.
//!
//! The models that break without them: `docs/mutations.md`.
//!
//! # Progress
//!
//! Everything but an insert is lock-free, and so are inserts while one of the slots is not in the hands of a thread that
//! stopped in the middle of an operation: an insert that finds all `cap` slots in such hands, or so many of the bytes that
//! too few are left for it, yields until they are let go. O(1) at any cap, expected; a get writes no shared memory.
//!
//! # Memory
//!
//! Per entry: the map's node with 16 bytes more, and 8 bytes in the order. Nothing is allocated ahead for the cap.
//!
//! # Panics
//!
//! None of its own. A panic in the user's code leaves the map as it was, but for older entries that had made room by then;
//! one in the `Clone` of what is returned, as the operation leaves it. Slots and bytes in hand go back. The listener is
//! called when an operation is complete in every other respect; after a panic, in it or before, what the same operation
//! evicted goes unannounced. A `Hash` that panics while the map grows may leave an entry unseen, with its bytes, that was
//! evicted on its way in. Of `Drop`, see [`map`](crate::map#panics).

mod builder;
mod evict;
mod room;
mod stats;

pub use builder::Builder;
pub use stats::{FifoStats, Placed, Reason, TooHeavy};

use crate::hash::{RandomState, random_state};
use crate::raw::epoch::{self, Guard};
use crate::raw::node::{Node, Owned};
use crate::raw::order::{self, Order, cell_hash};
use crate::raw::table::{Place, Table};
use crate::sync::{AtomicU64, Counter, Ordering};
use crossbeam_utils::CachePadded;
use evict::Reclaim;
use room::{Held, Room};
use stats::Counts;
use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};

type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u64 + Send + Sync>;
type Listener<K, V> = Box<dyn Fn(&K, &V, Reason) + Send + Sync>;

/// A map that keeps at most `cap` entries, the newest by insertion.
///
/// # Examples
///
/// ```
/// use tollgate::fifo::FifoMap;
///
/// let map = FifoMap::builder(2).build()?;
/// for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
///     map.insert(key, value).unwrap();
/// }
/// assert_eq!(map.get("a"), None);
/// assert_eq!(map.snapshot(), [(1, "b", 2), (2, "c", 3)]);
/// assert_eq!(map.stats().evicted(), 1);
/// # Ok::<(), tollgate::error::ConfigError>(())
/// ```
pub struct FifoMap<K, V, S = RandomState> {
    table: Table<K, Entry<V>, S>,
    order: Order,
    weigher: Option<Weigher<K, V>>,
    listener: Option<Listener<K, V>>,
    /// The next number.
    tail: CachePadded<AtomicU64>,
    /// Every lower number is dead. Raised past a number that is to be claimed and whose entry is not to be published.
    floor: CachePadded<AtomicU64>,
    room: Room,
    counts: CachePadded<Counts>,
    warned: Counter,
}

struct Entry<V> {
    seq: u64,
    weight: u64,
    value: V,
}

/// What an operation has evicted and not announced yet.
type Fallen<'g, K, V> = Vec<(&'g Node<K, Entry<V>>, Reason)>;

impl<K, V> FifoMap<K, V> {
    /// Starts a map of `cap` entries at most, with random seeds.
    #[must_use]
    pub fn builder(cap: u64) -> Builder<K, V> {
        Builder { cap, max_bytes: None, weigher: None, listener: None, hasher: random_state() }
    }
}

impl<K, V, S> FifoMap<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Inserts at the back, or replaces the value in place: an entry that is there keeps its number, unless its new weight
    /// makes it the one that has to go, and it comes in at the back. Evicts the oldest
    /// if there is no room. O(1), expected; see the module for progress.
    ///
    /// Linearized where the entry is linked; the eviction before that, where the victim is unlinked or the floor raised.
    ///
    /// # Errors
    ///
    /// [`TooHeavy`] gives key and value back if they alone weigh more than the map may hold.
    pub fn insert(&self, key: K, value: V) -> Result<Placed, TooHeavy<K, V>> {
        self.insert_or(key, value, None)
    }

    /// As [`insert`](Self::insert), but before an entry is evicted to make room, `reclaim` is asked to make it in another
    /// way. It says whether it may have, by removing entries that are worth less for instance, and is then asked again
    /// as long as there is no room; once it says that it cannot, the oldest entries go, and it is not asked any more.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    pub fn insert_reclaiming(
        &self,
        key: K,
        value: V,
        mut reclaim: impl FnMut() -> bool,
    ) -> Result<Placed, TooHeavy<K, V>> {
        self.insert_or(key, value, Some(&mut reclaim))
    }

    fn insert_or(&self, key: K, value: V, reclaim: Reclaim<'_>) -> Result<Placed, TooHeavy<K, V>> {
        let weight = self.weigher.as_ref().map_or(0, |weigh| weigh(&key, &value));
        if let Some(max) = self.room.max_bytes().filter(|&max| weight > max) {
            return Err(TooHeavy { key, value, weight, max });
        }
        let guard = epoch::pin();
        let mut fallen = Vec::new();
        let hash = self.hash(&key);
        // On its way to the cache while the entry is made.
        self.table.fetch_line(hash, &guard);
        // Its number is not known yet. The rest is on its way to memory while its place is looked for.
        let node = Owned::new(key, Entry { seq: 0, weight, value });
        let placed = self.place(node, hash, reclaim, &guard, &mut fallen);
        self.announce(fallen);
        Ok(placed)
    }

    /// The value of `key`. Lock-free, expected O(1); writes no shared memory.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let guard = epoch::pin();
        let found = self.table.get(self.hash(key), &guard, |k, entry| k.borrow() == key && self.alive(entry));
        found.map(|node| node.value.value.clone())
    }

    /// Removes `key` and returns its value. Its place is free at once. Lock-free, expected O(1).
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let guard = epoch::pin();
        let hash = self.hash(key);
        let found = self.table.get(hash, &guard, |k, entry| k.borrow() == key && self.alive(entry))?;
        let seq = found.value.seq;
        // Out of the index first, as by an eviction. The entry is whoever's that unlinks it, the slot the claimant's.
        let removed = self.unlink(hash, seq, &guard)?;
        let mut held = self.room.nothing();
        if let Some(place) = self.order.place(seq, &guard) {
            held.slots += u64::from(place.claim(&guard));
        }
        held.bytes += removed.value.weight;
        self.counts.add(Reason::Removed);
        // Nothing stays in hand while the caller's code runs.
        drop(held);
        Some(removed.value.value.clone())
    }

    /// The entries with their numbers, oldest first; never more than the cap. O(n log n), weakly consistent: of values
    /// that are replaced meanwhile it may show one from before and another from after.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(u64, K, V)>
    where
        K: Clone,
        V: Clone,
    {
        let entries = self.entries(|key, value| (key.clone(), value.clone()));
        entries.into_iter().map(|(seq, (key, value))| (seq, key, value)).collect()
    }

    /// What `take` makes of the entries, with their numbers, oldest first.
    pub(crate) fn entries<T>(&self, take: impl Fn(&K, &V) -> T) -> Vec<(u64, T)> {
        let guard = epoch::pin();
        // Acquire: P5. Numbers from here on are too new for this walk.
        let end = self.tail.load(Ordering::Acquire);
        let seen = self.table.iter(&guard).filter(|node| node.value.seq < end && self.alive(&node.value));
        let mut entries: Vec<_> = seen.map(|node| (node.value.seq, take(&node.key, &node.value.value))).collect();
        entries.sort_unstable_by_key(|&(seq, _)| seq);
        entries
    }

    /// Slots taken: the live entries, and those of inserts and removals on their way. Never more than the cap.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.room.slots_taken()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that the map keeps at most.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.room.cap()
    }

    /// What the map holds and what it dropped, by reason. Lock-free.
    #[must_use]
    pub fn stats(&self) -> FifoStats {
        let tail = self.tail.load(Ordering::Acquire);
        let first = self.order.first(&epoch::pin());
        let bytes = self.room.bytes_taken();
        self.counts.stats(self.len(), bytes, self.cap(), (first < tail).then_some(first), tail.checked_sub(1))
    }

    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        cell_hash(self.table.hash(key))
    }

    fn alive(&self, entry: &Entry<V>) -> bool {
        // Acquire: P5.
        entry.seq >= self.floor.load(Ordering::Acquire)
    }

    /// Finds a place for an entry, and links it there.
    fn place<'g>(
        &'g self,
        mut node: Owned<K, Entry<V>>,
        hash: u64,
        mut reclaim: Reclaim<'_>,
        guard: &'g Guard,
        fallen: &mut Fallen<'g, K, V>,
    ) -> Placed {
        let weight = node.value.weight;
        let mut held = self.room.nothing();
        loop {
            let place = self.table.seek(hash, guard, |k, entry| *k == node.key && self.alive(entry));
            let found = place.node();
            // What is there counts towards what is needed.
            let (slots, bytes) = found.map_or((1, weight), |old| (0, weight.saturating_sub(old.value.weight)));
            let slots = slots - u64::from(held.number.is_some()).min(slots);
            if held.slots < slots || held.bytes < bytes {
                self.acquire(&mut held, slots, bytes, &mut reclaim, guard, fallen);
                // What was found may be dead by now and linked still; what was not, the exchange below would meet.
                if found.is_some() || held.slots < slots || held.bytes < bytes {
                    continue;
                }
            }
            let seq = match (found, &held.number) {
                (Some(old), _) => old.value.seq,
                (None, Some((number, _))) => number.number(),
                (None, None) => {
                    held.slots -= 1;
                    // AcqRel: P5, and P6 through the slot in hand.
                    let seq = self.tail.fetch_add(1, Ordering::AcqRel);
                    // None if it is dead, with its neighbours: whoever claimed it has the slot.
                    let Some(number) = self.order.place(seq, guard) else { continue };
                    held.number = Some((number, guard));
                    seq
                }
            };
            node.value.seq = seq;
            let done = match place {
                Place::Found(found) => found.replace(node, guard),
                Place::Vacant(vacant) => vacant.insert(node, guard),
            };
            match done {
                Ok(_) => {
                    held.bytes = held.bytes + found.map_or(0, |old| old.value.weight) - weight;
                    let replaced = found.is_some();
                    // A number that is not needed after all goes back with the rest.
                    let number = if replaced { None } else { held.number.take() };
                    let overtaken = number.is_some_and(|(n, _)| self.settle(n, hash, &mut held, guard, fallen));
                    return Placed { seq, replaced, overtaken };
                }
                Err(again) => node = again,
            }
        }
    }

    /// After an entry was linked: publishes its number. True if the entry was evicted before that.
    fn settle<'g>(
        &'g self,
        number: order::Place<'g>,
        hash: u64,
        held: &mut Held<'_>,
        guard: &'g Guard,
        fallen: &mut Fallen<'g, K, V>,
    ) -> bool {
        if !number.publish(hash) {
            // Overtaken: whoever claims the number has the slot, and left us the rest.
            if let Some(node) = self.unlink(hash, number.number(), guard) {
                self.counts.add(Reason::Capacity);
                held.bytes += node.value.weight;
                self.note(fallen, node, Reason::Capacity);
                return true;
            }
        }
        false
    }
}

impl<K, V, S> fmt::Debug for FifoMap<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FifoMap")
            .field("cap", &self.room.cap())
            .field("len", &self.room.slots_taken())
            .finish_non_exhaustive()
    }
}
