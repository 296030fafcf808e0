//! A bucket: one cache line of slots, each a tagged pointer to a node, and the *turn* that says which slot is next.
//!
//! # State
//!
//! | slot | meaning |
//! |---|---|
//! | 0 | the line is not settled yet: its entries are still in the table before (`raw::table`) |
//! | `FREE` and a stamp | no entry |
//! | a pointer and 15 bits of its hash | an entry |
//! | `CHAIN` and a pointer | in the last slot only: the line is full and goes on there, that slot's entry first |
//! | any of the last three, and `FROZEN` | never changes again: the table has grown, look there. An entry's says in which half |
//!
//! A slot that is settled changes by compare-exchange only, so each change of an entry is one of a slot, and a reader
//! needs nothing else. What remains is that two inserts of one key must not take two slots:
//!
//! - `turn` is a version and the index of *the* slot that the next insert may fill, or of none. It is given, with the next
//!   version, to a slot that was seen free, and moves on only when that slot was seen filled.
//! - An insert reads the turn, then looks for the key in all slots, and then exchanges what the turn's slot held for the new
//!   node (the linearization point). Had another insert filled a slot of this line meanwhile, it would have filled this one
//!   first.
//! - That the slot was filled and is free again does not fool that exchange: a removal stamps the slot with the turn's
//!   version, and a removal from the turn's own slot, seen filled still, moves the version up first. So no slot holds the
//!   same stamp twice, and a stamp below the turn's version says that the slot was free when the turn came to it, and is
//!   still.
//!
//! *Replace* and *remove* exchange the slot of the entry (their linearization points).
//!
//! # Ordering pairs
//!
//! - P1 a slot is filled (Release) and read (Acquire): a node's fields before any reader that meets it.
//! - P8 the turn moves on (Release) after its slot was seen filled, and is read (Acquire) before the slots: who has the
//!   turn sees every entry that came before it. A removal reads the turn (Acquire) after it saw (Acquire) the entry, which
//!   was inserted under the turn, so its stamp is not below that one's version, and before it looks whether the entry is
//!   still there.
//! - P9 a line is settled, or said to have moved (Release), after the slots are filled that stand for it, and both are
//!   read (Acquire) before those.
//!
//! The models that break without them: `docs/mutations.md`.

use super::epoch::{self, Guard};
use super::filter::Filter;
use super::word::{Turn, Word};
use crate::sync::{AtomicPtr, AtomicU64, MODEL, Ordering};
use std::ptr;

/// Slots of a line: with the turn, they fill 64 bytes.
pub(super) const SLOTS: usize = if MODEL { 2 } else { 7 };

/// See the module. All zero bytes are a line that is not settled.
#[repr(C, align(64))]
pub(super) struct Line<N> {
    /// Used in the first line of a chain only.
    turn: AtomicU64,
    slots: [AtomicPtr<N>; SLOTS],
}

/// A live entry, where it is.
pub(super) struct Taken<'g, N> {
    head: &'g Line<N>,
    slot: &'g AtomicPtr<N>,
    index: usize,
    word: Word<N>,
}

/// The place of the next insert, where the key was not.
pub(super) struct Open<'g, N> {
    head: &'g Line<N>,
    turn: Turn,
    slot: &'g AtomicPtr<N>,
    word: Word<N>,
    /// A slot for the one after.
    next: Option<usize>,
}

/// What [`Line::seek`] found.
pub(super) enum Spot<'g, N> {
    Taken(Taken<'g, N>),
    Open(Open<'g, N>),
    /// No slot is free, and the key is not there; this is the last slot, and what it holds.
    Full(&'g AtomicPtr<N>, Word<N>),
}

/// The table has grown: look in the lines that took the place of this one.
#[derive(Debug)]
pub(super) struct Frozen;

/// The line that a full one goes on to, by its last slot.
#[inline]
fn follow<N>(last: Word<N>, _guard: &Guard) -> Option<&Line<N>> {
    // SAFETY: read from a line that the guard protects, which owns what it goes on to (invariant 5).
    last.next().map(|next: *mut Line<N>| unsafe { epoch::deref(next) })
}

/// The words for which `is` holds, a bit for each.
#[inline]
fn mask<N>(words: &[Word<N>; SLOTS], is: impl Fn(Word<N>) -> bool) -> u32 {
    words.iter().enumerate().fold(0, |bits, (at, &word)| bits | u32::from(is(word)) << at)
}

/// The place of the entry with this tag for which `is` holds.
///
/// # Safety
///
/// The entries are protected.
#[inline]
unsafe fn first<N>(words: &[Word<N>; SLOTS], tag: usize, is: impl Fn(&N) -> bool) -> Option<usize> {
    let mut hits = mask(words, |word| word.matches(tag));
    while hits != 0 {
        let at = hits.trailing_zeros() as usize;
        // SAFETY: the caller's promise.
        if is(unsafe { epoch::deref(words[at].node()) }) {
            return Some(at);
        }
        hits &= hits - 1;
    }
    None
}

impl<N> Line<N> {
    /// A line whose entries are elsewhere.
    pub(super) fn unsettled() -> Self {
        let slots = std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        Self { turn: AtomicU64::new(Turn::UNSETTLED.0), slots }
    }

    /// A line with these entries, which must fit.
    pub(super) fn with(mut words: impl Iterator<Item = Word<N>>) -> Self {
        let slots = std::array::from_fn(|_| AtomicPtr::new(words.next().unwrap_or(Word::free(0)).0));
        debug_assert!(words.next().is_none());
        Self { turn: AtomicU64::new(Turn::new(1, Turn::NONE).0), slots }
    }

    /// Whether the entries of this line's keys are here. If so, they stay until they are frozen.
    pub(super) fn is_settled(&self) -> bool {
        // Acquire: P9.
        Turn(self.turn.load(Ordering::Acquire)) != Turn::UNSETTLED
    }

    /// Whether the entries have been copied to the table after.
    pub(super) fn has_moved(&self) -> bool {
        // Acquire: P9.
        Turn(self.turn.load(Ordering::Acquire)) == Turn::MOVED
    }

    /// Says that the entries have been copied to the table after.
    pub(super) fn set_moved(&self) {
        // Release: P9. A swap, not a store, so that it has one place among the exchanges of those who still move the turn.
        self.turn.swap(Turn::MOVED.0, Ordering::Release);
    }

    /// Opens a line that was filled.
    pub(super) fn settle(&self) {
        // An empty line's first slot is free; of another, the first insert finds one. Acquire: P1.
        let empty = Word(self.slots[0].load(Ordering::Acquire)).stamp().is_some();
        let first = Turn::new(1, if empty { 0 } else { Turn::NONE }).0;
        // Release: P9. On failure, another thread has settled the line.
        let _ = self.turn.compare_exchange(Turn::UNSETTLED.0, first, Ordering::Release, Ordering::Relaxed);
    }

    /// What the slots hold, of this line and those that it goes on to.
    fn walk<'g>(&'g self, guard: &'g Guard) -> Walk<'g, N> {
        Walk { line: self, at: 0, guard }
    }

    /// The entries. Weakly consistent, but for a line that is frozen.
    pub(super) fn words<'g>(&'g self, guard: &'g Guard) -> impl Iterator<Item = Word<N>> {
        self.walk(guard).filter(|word| word.is_entry()).map(Word::thawed)
    }

    /// The entries at one instant: that between two looks at all slots that saw the same. No slot holds a word twice while
    /// the guard lives, so none has changed in between.
    pub(super) fn snapshot(&self, guard: &Guard) -> Vec<Word<N>> {
        let look = || self.walk(guard).collect::<Vec<_>>();
        let mut before = look();
        loop {
            let mut after = look();
            if after == before {
                after.retain(|word| word.is_entry());
                return after.into_iter().map(Word::thawed).collect();
            }
            before = after;
        }
    }

    /// What the slots hold. All of them before any decision: a branch for each would be mispredicted in most lookups.
    #[inline]
    fn read(&self) -> [Word<N>; SLOTS] {
        // Acquire: P1, P8.
        std::array::from_fn(|at| Word(self.slots[at].load(Ordering::Acquire)))
    }

    /// A live entry with this tag; as a rule there is no other one. Writes nothing.
    ///
    /// # Safety
    ///
    /// The line's entries are protected by `guard` (invariant 1).
    #[inline]
    pub(super) unsafe fn look<'g>(&'g self, tag: usize, guard: &'g Guard) -> Option<&'g N> {
        let mut line = self;
        loop {
            let words = line.read();
            // The last one, by selection: which slot it is, no branch can predict. Of a null to begin with, compilers make one.
            let hit = words.iter().fold(words[0], |hit, &word| if word.matches(tag) { word } else { hit });
            if hit.matches(tag) {
                // SAFETY: a node of this line (the caller's promise).
                return Some(unsafe { epoch::deref(hit.node()) });
            }
            line = follow(words[SLOTS - 1], guard)?;
        }
    }

    /// The live entry with this tag for which `is` holds. Writes nothing.
    ///
    /// # Safety
    ///
    /// As for [`look`](Self::look).
    pub(super) unsafe fn get<'g>(&'g self, tag: usize, guard: &'g Guard, is: impl Fn(&N) -> bool) -> Option<&'g N> {
        // SAFETY: the caller's promise.
        let taken = unsafe { self.scan(tag, guard, is) }?;
        // SAFETY: a node of this line (the caller's promise).
        Some(unsafe { epoch::deref(taken.node()) })
    }

    /// The live entry with this tag for which `is` holds, where it is; `Err` if it is frozen.
    ///
    /// # Safety
    ///
    /// As for [`look`](Self::look), and the line is settled.
    #[inline]
    pub(super) unsafe fn find<'g>(
        &'g self,
        tag: usize,
        guard: &'g Guard,
        is: impl Fn(&N) -> bool,
    ) -> Result<Option<Taken<'g, N>>, Frozen> {
        // SAFETY: the caller's promise.
        unsafe { self.scan(tag, guard, is) }.map(Taken::thawed).transpose()
    }

    /// As [`find`](Self::find), frozen or not.
    ///
    /// # Safety
    ///
    /// As for [`look`](Self::look).
    #[inline]
    unsafe fn scan<'g>(&'g self, tag: usize, guard: &'g Guard, is: impl Fn(&N) -> bool) -> Option<Taken<'g, N>> {
        let (mut line, mut before) = (self, 0);
        loop {
            let words = line.read();
            // SAFETY: nodes of this line (the caller's promise).
            if let Some(at) = unsafe { first(&words, tag, &is) } {
                return Some(self.taken(line, before, at, words[at]));
            }
            line = follow(words[SLOTS - 1], guard)?;
            before += SLOTS;
        }
    }

    /// An entry of this chain: in slot `at` of a line that has `before` slots before it.
    fn taken<'g>(&'g self, line: &'g Self, before: usize, at: usize, word: Word<N>) -> Taken<'g, N> {
        Taken { head: self, slot: &line.slots[at], index: before + at, word }
    }

    /// As [`find`](Self::find), and where the entry would be inserted.
    ///
    /// # Safety
    ///
    /// As for [`find`](Self::find).
    #[inline]
    pub(super) unsafe fn seek<'g>(
        &'g self,
        tag: usize,
        guard: &'g Guard,
        is: impl Fn(&N) -> bool,
    ) -> Result<Spot<'g, N>, Frozen> {
        loop {
            // Acquire: P8.
            let turn = Turn(self.turn.load(Ordering::Acquire));
            let (mut line, mut before, mut free, mut held) = (self, 0, None, None);
            let last = loop {
                let words = line.read();
                // SAFETY: nodes of this line (the caller's promise).
                if let Some(at) = unsafe { first(&words, tag, &is) } {
                    return self.taken(line, before, at, words[at]).thawed().map(Spot::Taken);
                }
                let mut frees = mask(&words, Word::is_free);
                if let Some(at) = turn.index().checked_sub(before).filter(|&at| at < SLOTS) {
                    held = Some((&line.slots[at], words[at]));
                    frees &= !(1 << at);
                }
                if free.is_none() && frees != 0 {
                    free = Some(before + frees.trailing_zeros() as usize);
                }
                let Some(next) = follow(words[SLOTS - 1], guard) else { break words[SLOTS - 1] };
                line = next;
                before += SLOTS;
            };
            let held = held.map(|(slot, word)| (slot, word, word.stamp()));
            match (held, free) {
                _ if turn == Turn::MOVED || last.is_frozen() => return Err(Frozen),
                (Some((_, word, _)), _) if word.is_frozen() => return Err(Frozen),
                (Some((slot, word, Some(stamp))), next) if stamp < turn.version() => {
                    return Ok(Spot::Open(Open { head: self, turn, slot, word, next }));
                }
                // It was filled and freed since: the turn has moved on.
                (Some((_, _, Some(_))), _) => {}
                (_, Some(free)) => _ = self.pass(turn, free),
                (_, None) => {
                    // Here, where nothing is published yet: slots of the line that is to follow need indices, too.
                    assert!(before + 2 * SLOTS < Turn::MOST, "no hash tells so many keys apart");
                    return Ok(Spot::Full(&line.slots[SLOTS - 1], last));
                }
            }
        }
    }

    /// Moves the turn, whose slot was seen filled, to slot `index`, which was seen free, or to none. False if another
    /// thread has moved it.
    fn pass(&self, turn: Turn, index: usize) -> bool {
        // Release: P8.
        self.turn.compare_exchange(turn.0, turn.pass_to(index).0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Adds a line to a full one, whose last slot is `slot` and holds `word`. Whether or not it was this call's: look
    /// again.
    pub(super) fn extend(slot: &AtomicPtr<N>, word: Word<N>) {
        let line = epoch::alloc(Self::with(std::iter::once(word)));
        // Release: P1, of the line that it goes on to.
        if slot.compare_exchange(word.0, Word::chain(line).0, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: never published (invariant 6).
            unsafe { epoch::dealloc(line) }
        }
    }

    /// Freezes every slot, so that the line never changes again, and returns its entries, frozen. Which half of the table
    /// after each goes to is decided by `goes_up`, once, whoever asks: a user's `Hash` may answer differently next time.
    ///
    /// # Safety
    ///
    /// The line's entries are protected by `guard` (invariant 1) until it is frozen.
    pub(super) unsafe fn freeze(&self, guard: &Guard, goes_up: impl Fn(&N) -> bool) -> Vec<Word<N>> {
        let mut entries = Vec::with_capacity(SLOTS);
        let mut line = self;
        loop {
            // SAFETY: the caller's promise.
            let words = line.slots.each_ref().map(|slot| unsafe { freeze_slot(slot, &goes_up) });
            entries.extend(words.into_iter().filter(|word| word.is_entry()));
            // As it was frozen: it may have been full and gone on just before.
            let Some(next) = follow(words[SLOTS - 1], guard) else { return entries };
            line = next;
        }
    }

    /// Fills an unsettled line with these entries. Others may be at it with the same ones.
    pub(super) fn fill(&self, mut words: impl Iterator<Item = Word<N>>) {
        let (last, slots) = self.slots.split_last().expect("a line has slots");
        for slot in slots {
            fill_slot(slot, words.next().unwrap_or(Word::free(0)));
        }
        let rest: Vec<_> = words.collect();
        match *rest {
            [] => fill_slot(last, Word::free(0)),
            [word] => fill_slot(last, word),
            // Relaxed: only saves work.
            _ if !last.load(Ordering::Relaxed).is_null() => false,
            _ => {
                let line = Self::chained(&rest);
                let filled = fill_slot(last, Word::chain(line));
                if !filled {
                    // SAFETY: never published (invariant 6); it owns the lines that it goes on to.
                    unsafe { epoch::dealloc(line) }
                }
                filled
            }
        };
    }

    /// Lines with these entries, two or more.
    fn chained(words: &[Word<N>]) -> *mut Self {
        let mut from = (words.len() - 1) / (SLOTS - 1) * (SLOTS - 1);
        let mut line = epoch::alloc(Self::with(words[from..].iter().copied()));
        while from > 0 {
            from -= SLOTS - 1;
            let here = words[from..from + SLOTS - 1].iter().copied();
            line = epoch::alloc(Self::with(here.chain([Word::chain(line)])));
        }
        line
    }

    /// Whether this line goes on to another one.
    pub(super) fn is_chained(&self) -> bool {
        // Relaxed: an estimate, and nothing is read behind the pointer.
        Word(self.slots[SLOTS - 1].load(Ordering::Relaxed)).next::<Self>().is_some()
    }

    /// How many entries are in this line, without those that it goes on to.
    pub(super) fn count(&self) -> usize {
        // Relaxed: an estimate.
        self.slots.iter().filter(|slot| Word(slot.load(Ordering::Relaxed)).is_entry()).count()
    }
}

/// Freezes a slot and returns what it then holds.
///
/// # Safety
///
/// As for [`Line::freeze`].
unsafe fn freeze_slot<N>(slot: &AtomicPtr<N>, goes_up: impl Fn(&N) -> bool) -> Word<N> {
    // Acquire: P1. What is frozen is copied, and read to be copied to the right place.
    let mut word = Word(slot.load(Ordering::Acquire));
    while !word.is_frozen() {
        // SAFETY: an entry of the line, which was not frozen yet (the caller's promise).
        let upwards = word.is_entry() && goes_up(unsafe { epoch::deref(word.node()) });
        let frozen = if upwards { word.frozen_upwards() } else { word.frozen() };
        // AcqRel: P1, publishes again what another thread published; Acquire as above.
        match slot.compare_exchange(word.0, frozen.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return frozen,
            Err(now) => word = Word(now),
        }
    }
    word
}

/// Fills a slot that was never settled; false if another thread did.
fn fill_slot<N>(slot: &AtomicPtr<N>, word: Word<N>) -> bool {
    // Release: P1, published again. Failure means that another thread has put the same there.
    slot.compare_exchange(ptr::null_mut(), word.0, Ordering::Release, Ordering::Relaxed).is_ok()
}

/// See [`Line::walk`].
struct Walk<'g, N> {
    line: &'g Line<N>,
    at: usize,
    guard: &'g Guard,
}

impl<N> Iterator for Walk<'_, N> {
    type Item = Word<N>;

    fn next(&mut self) -> Option<Word<N>> {
        loop {
            // Acquire: P1, and what is written in the line that it goes on to.
            let word = Word(self.line.slots.get(self.at)?.load(Ordering::Acquire));
            self.at += 1;
            let Some(next) = follow(word, self.guard) else { return Some(word) };
            (self.line, self.at) = (next, 0);
        }
    }
}

impl<N> Drop for Line<N> {
    /// Frees the lines that this one goes on to, and no nodes.
    fn drop(&mut self) {
        // Relaxed: access is exclusive. One by one, not by recursion: a chain may be long.
        let mut next = Word(self.slots[SLOTS - 1].load(Ordering::Relaxed)).next::<Self>();
        while let Some(line) = next {
            // SAFETY: the table's own (invariant 5), and access is exclusive (invariant 6).
            let line = unsafe { epoch::take(line) };
            next = Word(line.slots[SLOTS - 1].load(Ordering::Relaxed)).next();
            line.slots[SLOTS - 1].store(ptr::null_mut(), Ordering::Relaxed);
        }
    }
}

impl<N> Taken<'_, N> {
    /// Itself, if it is not frozen.
    fn thawed(self) -> Result<Self, Frozen> {
        if self.word.is_frozen() { Err(Frozen) } else { Ok(self) }
    }

    pub(super) fn node(&self) -> *mut N {
        self.word.node()
    }

    /// Puts another node, of the same key, in the place of this one. False if that is not there any more.
    pub(super) fn replace(&self, node: *mut N) -> bool {
        let word = Word::entry(node, self.word.tag());
        // Release: P1.
        self.slot.compare_exchange(self.word.0, word.0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Frees the slot. False if the node is not there any more.
    pub(super) fn remove(&self) -> bool {
        let stamp = loop {
            // Acquire: P8. The node was read before, so this is not older than the turn that it was inserted under.
            let turn = Turn(self.head.turn.load(Ordering::Acquire));
            if turn == Turn::MOVED {
                return false;
            }
            if turn.index() != self.index {
                break turn.version();
            }
            // The turn may have come back since, to a slot that others have freed: from there it must not move on. Relaxed:
            // not older than the free slot that was seen by who gave it the turn (P8).
            if self.slot.load(Ordering::Relaxed) != self.word.0 {
                return false;
            }
            if self.head.pass(turn, Turn::NONE) {
                break turn.version() + 1;
            }
        };
        // Release: P8.
        self.slot.compare_exchange(self.word.0, Word::<N>::free(stamp).0, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}

impl<N> Open<'_, N> {
    /// Fills the slot, and keeps the line's filter. False if that, or anything else in this line, was inserted before.
    pub(super) fn insert(&self, node: *mut N, tag: usize, filter: Option<&Filter>, guard: &Guard) -> bool {
        let due = filter.filter(|filter| filter.announce(tag));
        // Release: P1.
        let (from, to) = (self.word.0, Word::entry(node, tag).0);
        let done = self.slot.compare_exchange(from, to, Ordering::Release, Ordering::Relaxed).is_ok();
        if let Some(filter) = due.filter(|_| done) {
            filter.renew(|| self.has_turn().then(|| self.head.words(guard).map(Word::tag)));
        }
        if let Some(next) = self.next.filter(|_| done) {
            self.head.pass(self.turn, next);
        }
        done
    }

    /// Whether the turn still is with this slot, for all that a filter tells which was read before.
    fn has_turn(&self) -> bool {
        // Relaxed: this turn was read with Acquire before, and of those who went by a later one, a filter tells (P13).
        Turn(self.head.turn.load(Ordering::Relaxed)) == self.turn
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;
    use crate::raw::word::tag_of;

    #[test]
    fn a_line_that_is_being_frozen_has_no_place() {
        let guard = epoch::pin();
        for entries in 0..=SLOTS {
            let nodes: Vec<_> = (0..entries).map(|_| epoch::alloc(0_u64)).collect();
            let line = Line::with(nodes.iter().map(|&node| Word::entry(node, tag_of(0))));
            // SAFETY: the nodes are freed below, and the line is settled.
            let seek = || unsafe { line.seek(tag_of(0), &guard, |_| false) };
            let slot = match seek() {
                Ok(Spot::Open(open)) => open.slot,
                Ok(Spot::Full(last, _)) => last,
                _ => panic!("not frozen, and no entry is looked for"),
            };
            // The turn's slot alone, or the last one of a full line. Two free slots that are frozen could pass the turn to each
            // other until the line is frozen; and a line that went on from a frozen slot would take entries that nobody copies.
            // SAFETY: as above.
            unsafe { freeze_slot(slot, |_| true) };
            assert!(matches!(seek(), Err(Frozen)), "{entries} entries");
            for node in nodes {
                // SAFETY: never shared (invariant 6).
                unsafe { epoch::dealloc(node) }
            }
        }
    }

    /// Had it moved the turn on from the slot, which is free, two inserts of one key would both find a place.
    #[test]
    fn a_removal_that_comes_too_late_leaves_the_turn_where_it_is() {
        let (guard, tag) = (epoch::pin(), tag_of(0));
        let line = Line::with(std::iter::empty());
        let nodes: [_; 5] = std::array::from_fn(|key| epoch::alloc(key as u64));
        // SAFETY: the nodes are freed below, and the line is settled.
        let find = |key| unsafe { line.find(tag, &guard, |&node: &u64| node == key) }.unwrap().expect("it is there");
        // SAFETY: as above.
        let open = |key| match unsafe { line.seek(tag, &guard, |&node: &u64| node == key) } {
            Ok(Spot::Open(open)) => open,
            _ => panic!("neither frozen, nor there, nor full"),
        };
        let insert = |key: u64| open(key).insert(nodes[key as usize], tag, None, &guard);
        assert!(insert(0) && insert(1));
        let late = find(1);
        assert!(find(1).remove() && insert(2));
        // The turn is with the slot of what was removed.
        let first = open(3);
        // Were the turn to move on, this slot would be next.
        assert!(find(0).remove());
        assert!(!late.remove());
        assert!(insert(3));
        assert!(!first.insert(nodes[4], tag, None, &guard), "a key is there twice");
        for node in nodes {
            // SAFETY: shared with this thread alone (invariant 6).
            unsafe { epoch::dealloc(node) }
        }
    }
}
