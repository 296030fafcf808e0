//! Michael's lock-free ordered list (SPAA 2002), with replacement in one step.
//!
//! # State
//!
//! | `next` of | tag | meaning |
//! |---|---|---|
//! | node | none | alive |
//! | node | `MARK` | dead; `next` is frozen, and whoever passes may unlink the node |
//! | sentinel | `CLAIMED` | one thread is linking it; start from an older sentinel |
//! | sentinel | `READY` | linked: walks may start here |
//!
//! Nodes are ordered by `order`; nodes of equal order stand in the order of their insertion.
//!
//! # Operations and their linearization points
//!
//! - *insert*: seek past the run of equal order, then swing `prev.next` to the new node (the point). Two inserts of
//!   one key want the same `prev.next`, so one of them fails and seeks again.
//! - *remove*: mark the victim's `next` (the point), then unlink it, or leave that to the next seek.
//! - *replace*: swing the victim's `next` to the new node *and* mark it, in one compare-exchange (the point): whoever
//!   reads the dead node goes on to its replacement, so the key is never absent.
//! - *find* (readers): walks over dead nodes and writes nothing. Its point is the load that finds the node unmarked;
//!   for an absent key, a moment in the walk at which no live node had the key: an insert's seek unlinks dead nodes of
//!   its run before the insert, so a walk that is still on a dead node began before it.
//!
//! All are lock-free: a failed compare-exchange means that another one succeeded.
//!
//! # Ordering pairs
//!
//! - P1 `Link::compare_exchange` (Release) with `Link::load` (Acquire): a node's fields before any walk that meets it.
//!   Unlinking and marking republish pointers that another thread published, so they release too.
//!   Models: `map_insert_get`, `map_replace_get_never_misses`.

use super::epoch::{self, Guard};
use super::link::{Link, Tagged};
use crate::sync::{AtomicU64, Ordering};
use std::marker::PhantomData;
use std::ops::Deref;

/// The node is dead and its `next` frozen.
const MARK: usize = 1;
/// The sentinel is linked.
pub(super) const READY: usize = 2;
/// The sentinel is being linked.
pub(super) const CLAIMED: usize = 4;

/// What nodes and sentinels have in common. All zero bytes are an unborn sentinel.
#[repr(C, align(8))]
pub(super) struct Header {
    pub(super) next: Link<Header>,
    /// Written before the header is linked, never after.
    order: AtomicU64,
}

impl Header {
    pub(super) fn new(order: u64) -> Self {
        Self { next: Link::null(), order: AtomicU64::new(order) }
    }

    pub(super) fn order(&self) -> u64 {
        // Relaxed: P1 orders the write before any walk that meets the header.
        self.order.load(Ordering::Relaxed)
    }

    /// Names a sentinel's place. Only its claimant calls this, before linking it.
    pub(super) fn set_order(&self, order: u64) {
        // Relaxed: published with the link (P1).
        self.order.store(order, Ordering::Relaxed);
    }

    fn is_node(&self) -> bool {
        self.order() & 1 == 1
    }
}

/// An entry of the list.
#[repr(C)]
pub(crate) struct Node<K, V> {
    header: Header,
    pub(crate) key: K,
    pub(crate) value: V,
}

impl<K, V> Node<K, V> {
    /// The node that `header` is the first field of.
    ///
    /// # Safety
    ///
    /// `header` is not null, protected for `'g`, belongs to a list of `Node<K, V>`, and its order is odd.
    unsafe fn of<'g>(header: *mut Header) -> &'g Self {
        // SAFETY: an odd order means that this is a node's first field (invariant 4), alive by the caller's promise.
        unsafe { epoch::deref(header.cast::<Self>()) }
    }
}

/// A node that was not published: freed when dropped.
pub(crate) struct Owned<K, V>(*mut Node<K, V>);

impl<K, V> Owned<K, V> {
    pub(crate) fn new(order: u64, key: K, value: V) -> Self {
        debug_assert!(order & 1 == 1);
        Self(epoch::alloc(Node { header: Header::new(order), key, value }))
    }

    /// The key and value, for another try.
    pub(crate) fn into_parts(self) -> (K, V) {
        let node = self.0;
        std::mem::forget(self);
        // SAFETY: from `alloc`, never published (invariant 6), and `self` is gone.
        let node = unsafe { epoch::take(node) };
        (node.key, node.value)
    }

    /// Gives the node up to the list.
    fn publish(self) -> *mut Header {
        let node = self.0;
        std::mem::forget(self);
        node.cast()
    }
}

impl<K, V> Deref for Owned<K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: not published (invariant 6).
        unsafe { &*self.0 }
    }
}

impl<K, V> Drop for Owned<K, V> {
    fn drop(&mut self) {
        // SAFETY: from `alloc`, never published (invariant 6).
        unsafe { epoch::dealloc(self.0) }
    }
}

/// A place in the list: between `prev` and `curr`, `curr` being the first node that was sought, if any.
pub(crate) struct Cursor<'g, K, V> {
    start: &'g Header,
    prev: &'g Header,
    /// `prev.next` as read, tag included.
    curr: Tagged<Header>,
    /// The node found, with its `next` as read (unmarked).
    found: Option<(&'g Node<K, V>, Tagged<Header>)>,
    guard: &'g Guard,
}

/// Walks from `start` to the first node of `order` for which `is` holds, or else to the end of the run of `order`.
/// Unlinks dead nodes on the way.
pub(super) fn seek<'g, K, V>(
    start: &'g Header,
    order: u64,
    guard: &'g Guard,
    is: &impl Fn(&K, &V) -> bool,
) -> Cursor<'g, K, V> {
    'restart: loop {
        let mut prev = start;
        let mut curr = prev.next.load();
        loop {
            if curr.is_null() {
                return Cursor { start, prev, curr, found: None, guard };
            }
            // SAFETY: loaded under the guard from a header reached under it (invariants 1, 2, 5).
            let header = unsafe { epoch::deref(curr.ptr()) };
            let next = header.next.load();
            if next.has(MARK) {
                // Keep what `prev`'s own tag says of `prev`.
                let after = Tagged::new(next.ptr(), curr.tag());
                if !prev.next.compare_exchange(curr, after) {
                    continue 'restart;
                }
                // SAFETY: just unlinked by us (invariant 3); marked headers are nodes (sentinels never are).
                unsafe { guard.retire(curr.ptr().cast::<Node<K, V>>()) };
                curr = after;
                continue;
            }
            if header.order() > order {
                return Cursor { start, prev, curr, found: None, guard };
            }
            if header.order() == order && header.is_node() {
                // SAFETY: as above, and the order is odd.
                let node = unsafe { Node::of(curr.ptr()) };
                if is(&node.key, &node.value) {
                    return Cursor { start, prev, curr, found: Some((node, next)), guard };
                }
            }
            (prev, curr) = (header, next);
        }
    }
}

/// Walks from the first link of a ready sentinel to a live node of `order` for which `is` holds. Writes nothing.
pub(super) fn find<'g, K, V>(
    mut curr: Tagged<Header>,
    order: u64,
    _guard: &'g Guard,
    is: &impl Fn(&K, &V) -> bool,
) -> Option<&'g Node<K, V>> {
    while !curr.is_null() {
        // SAFETY: loaded under the guard from a header reached under it (invariants 1, 2, 5).
        let header = unsafe { epoch::deref::<Header>(curr.ptr()) };
        let at = header.order();
        if at > order {
            return None;
        }
        let next = header.next.load();
        if at == order && !next.has(MARK) && header.is_node() {
            // SAFETY: as above, and the order is odd.
            let node = unsafe { Node::<K, V>::of(curr.ptr()) };
            if is(&node.key, &node.value) {
                return Some(node);
            }
        }
        curr = next;
    }
    None
}

/// Links a sentinel that the caller claimed, walking from an older one.
pub(super) fn link_sentinel<K, V>(sentinel: *mut Header, start: &Header, guard: &Guard) {
    // SAFETY: sentinels live as long as their table (invariant 5).
    let header: &Header = unsafe { epoch::deref(sentinel) };
    loop {
        // An even order is no node's, so this ends in front of the first greater header.
        let place = seek::<K, V>(start, header.order(), guard, &|_, _| false);
        // Only the claimant writes here until the sentinel is linked; readers see `CLAIMED` and start elsewhere.
        header.next.set(Tagged::new(place.curr.ptr(), CLAIMED));
        if place.prev.next.compare_exchange(place.curr, Tagged::new(sentinel, place.curr.tag())) {
            break;
        }
    }
    loop {
        let next = header.next.load();
        if header.next.compare_exchange(next, Tagged::new(next.ptr(), READY)) {
            return;
        }
    }
}

impl<'g, K, V> Cursor<'g, K, V> {
    /// The node found.
    pub(crate) fn found(&self) -> Option<&'g Node<K, V>> {
        self.found.map(|(node, _)| node)
    }

    /// Inserts `node` here. Gives it back if the place has changed.
    pub(crate) fn insert(self, node: Owned<K, V>) -> Result<&'g Node<K, V>, Owned<K, V>> {
        node.header.next.set(Tagged::new(self.curr.ptr(), 0));
        let new = Tagged::new(node.0.cast::<Header>(), self.curr.tag());
        if !self.prev.next.compare_exchange(self.curr, new) {
            return Err(node);
        }
        // SAFETY: reachable since the exchange, and the guard is older (invariant 1).
        Ok(unsafe { Node::of(node.publish()) })
    }

    /// Replaces the node found by `node`, of the same order. Gives it back if that one died first.
    pub(crate) fn replace(self, node: Owned<K, V>) -> Result<&'g Node<K, V>, Owned<K, V>> {
        let Some((old, next)) = self.found else { return Err(node) };
        node.header.next.set(Tagged::new(next.ptr(), 0));
        let new = node.0.cast::<Header>();
        if !old.header.next.compare_exchange(next, Tagged::new(new, MARK)) {
            return Err(node);
        }
        // SAFETY: reachable since the exchange, and the guard is older (invariant 1).
        let published = unsafe { Node::of(node.publish()) };
        self.unlink(old, new);
        Ok(published)
    }

    /// Removes the node found. False if it died first.
    pub(crate) fn remove(self) -> bool {
        let Some((old, next)) = self.found else { return false };
        if !old.header.next.compare_exchange(next, Tagged::new(next.ptr(), MARK)) {
            return false;
        }
        self.unlink(old, next.ptr());
        true
    }

    /// Takes the dead `old` out of the list.
    fn unlink(self, old: &Node<K, V>, after: *mut Header) {
        if self.prev.next.compare_exchange(self.curr, Tagged::new(after, self.curr.tag())) {
            // SAFETY: just unlinked by us (invariant 3).
            unsafe { self.guard.retire(self.curr.ptr().cast::<Node<K, V>>()) };
        } else {
            // The neighbourhood has changed: a walk past the place unlinks it.
            seek::<K, V>(self.start, old.header.order(), self.guard, &|_, _| false);
        }
    }
}

/// A weakly consistent walk over the live nodes: each node that lives throughout is met once, none twice.
pub(crate) struct Iter<'g, K, V> {
    curr: Tagged<Header>,
    _guard: PhantomData<(&'g Guard, &'g Node<K, V>)>,
}

impl<'g, K, V> Iter<'g, K, V> {
    pub(super) fn new(start: &Header, _guard: &'g Guard) -> Self {
        Self { curr: start.next.load(), _guard: PhantomData }
    }
}

impl<'g, K, V> Iterator for Iter<'g, K, V> {
    type Item = &'g Node<K, V>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.curr.is_null() {
            let at = self.curr.ptr();
            // SAFETY: loaded under the guard from a header reached under it (invariants 1, 2, 5).
            let header: &Header = unsafe { epoch::deref(at) };
            // One load decides whether the node lives and where to go on: were `next` read again, a replacement that
            // came in between would be met as well as what it replaced.
            let next = header.next.load();
            self.curr = next;
            if header.is_node() && !next.has(MARK) {
                // SAFETY: as above, and the order is odd.
                return Some(unsafe { Node::of(at) });
            }
        }
        None
    }
}

/// Frees every node from `start` on.
///
/// # Safety
///
/// The caller has exclusive access to the list (invariant 6), all of whose nodes are `Node<K, V>`.
pub(super) unsafe fn free<K, V>(start: &Header) {
    let mut curr = start.next.load().ptr();
    while !curr.is_null() {
        // SAFETY: linked, hence not freed yet.
        let header: &Header = unsafe { epoch::deref(curr) };
        let next = header.next.load().ptr();
        if header.is_node() {
            // SAFETY: linked nodes are not retired (invariant 3), and access is exclusive.
            unsafe { epoch::dealloc(curr.cast::<Node<K, V>>()) };
        }
        curr = next;
    }
}
