//! An ideal epoch for the model checkers: the contract and nothing more.
//!
//! - A retired block is *poisoned* at the earliest moment the contract allows, when the last guard that existed at
//!   its retirement goes; borrowing a poisoned block panics. Memory is kept until the execution ends, so that the
//!   panic comes before any real fault.
//! - Retiring a block twice, or freeing a retired one, panics; a block that is never freed is a leak for loom, and stays
//!   [`alive`] under Shuttle.
//! - For loom, each block has a cell, written on allocation and read on every borrow: a publication without
//!   Release/Acquire is a causality violation. Shuttle knows no orderings, and needs none.
//! - The only happens-before edges are those an epoch gives, and it may give more or fewer. So there are two ideals, and
//!   loom's models run on both. In one, a pin learns *early*: of every retirement before it, which is why a block may be
//!   freed as soon as those go who were pinned at its retirement. In the other it learns *late*: of the retirements whose
//!   grace period is over, and no others, so that it may still find what was unlinked before it; a block is then kept
//!   for the pins that came after its retirement, too.
//! - An edge is a Release and an Acquire read-modify-write of one atomic. A pin that has nothing to learn only reads it,
//!   and a nested pin does nothing, so that pins, which commute, do not multiply the interleavings.
//!
//! It models the contract, not crossbeam-epoch's code; the bridge models cover that.

#[cfg(tollgate_loom)]
use loom as checker;
#[cfg(tollgate_shuttle)]
use shuttle as checker;

use checker::sync::atomic::{AtomicUsize, Ordering};
use checker::thread::{self, ThreadId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, MutexGuard};

// Of one execution, whose threads a checker runs one at a time.
checker::lazy_static! {
    static ref WORLD: World =
        World { retired: AtomicUsize::new(0), graced: AtomicUsize::new(0), book: Mutex::default() };
}

struct World {
    /// From a retirement to the end of the block's grace period, and to the pins that learn early.
    retired: AtomicUsize,
    /// From the end of a grace period to the pins that learn late.
    graced: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    blocks: HashMap<usize, Block>,
    guards: BTreeMap<u64, ThreadId>,
    next_guard: u64,
    next_block: u64,
    retirements: u64,
    /// Whether a grace period has ended.
    graced: bool,
    /// Whether pins learn late.
    late: bool,
}

struct Block {
    /// Blocks that die together are dropped in the order of their allocation: destructors may be steps of the model,
    /// whose every run must be alike.
    number: u64,
    state: State,
    /// Dropped when the block is freed: one that never is stays behind, and loom reports the leak.
    witness: ManuallyDrop<Arc<Witness>>,
    drop_value: unsafe fn(usize),
    free_memory: unsafe fn(usize),
}

enum State {
    Live,
    Retired(BTreeSet<u64>),
    Poisoned,
}

/// What loom watches of a block: that it is published before it is borrowed, and freed.
#[cfg(tollgate_loom)]
struct Witness {
    published: loom::cell::UnsafeCell<()>,
    _track: loom::alloc::Track<()>,
}

#[cfg(tollgate_loom)]
impl Witness {
    fn new() -> Self {
        let published = loom::cell::UnsafeCell::new(());
        published.with_mut(|_| ());
        Self { published, _track: loom::alloc::Track::new(()) }
    }

    fn look(&self) {
        self.published.with(|_| ());
    }
}

#[cfg(tollgate_shuttle)]
struct Witness;

#[cfg(tollgate_shuttle)]
impl Witness {
    fn new() -> Self {
        Self
    }

    fn look(&self) {}
}

/// A checker runs one thread at a time and switches only at its own operations, none of which happens under this lock.
fn book(world: &World) -> MutexGuard<'_, Book> {
    world.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The book, for the end of a guard: whoever learns late is told before a block is freed that waits for no other guard.
fn book_at_the_end(world: &World, guard: u64) -> MutexGuard<'_, Book> {
    loop {
        let seen = book(world);
        let dies = |block: &Block| matches!(&block.state, State::Retired(guards) if guards.iter().eq([&guard]));
        if !seen.late || !seen.blocks.values().any(dies) {
            return seen;
        }
        let retirements = seen.retirements;
        drop(seen);
        world.retired.fetch_add(1, Ordering::Acquire);
        world.graced.fetch_add(1, Ordering::Release);
        let mut book = book(world);
        book.graced = true;
        // What was retired meanwhile is not behind that edge.
        if book.retirements == retirements {
            return book;
        }
    }
}

unsafe fn drop_value<T>(address: usize) {
    // SAFETY: called once for a block of this type, at the end of its life.
    unsafe { std::ptr::drop_in_place(address as *mut T) }
}

unsafe fn free_memory<T>(address: usize) {
    // SAFETY: the memory of a box whose value was dropped before, freed once.
    drop(unsafe { Box::from_raw(address as *mut std::mem::MaybeUninit<T>) });
}

#[derive(Debug)]
pub(super) struct Guard {
    id: u64,
    _not_send: std::marker::PhantomData<*mut ()>,
}

pub(super) fn pin() -> Guard {
    let world: &World = &WORLD;
    let thread = thread::current().id();
    let nested = book(world).guards.values().any(|&pinned| pinned == thread);
    let late = book(world).late;
    if !nested {
        let edge = if late { &world.graced } else { &world.retired };
        // The load is a point at which the checker may switch, so what it is for is decided after it.
        edge.load(Ordering::Acquire);
        let told = if late { book(world).graced } else { book(world).retirements > 0 };
        if told {
            edge.fetch_add(1, Ordering::Acquire);
        }
    }
    let mut book = book(world);
    let id = book.next_guard;
    book.next_guard += 1;
    for block in book.blocks.values_mut().filter(|_| late) {
        if let State::Retired(waiting) = &mut block.state {
            waiting.insert(id);
        }
    }
    book.guards.insert(id, thread);
    Guard { id, _not_send: std::marker::PhantomData }
}

impl Guard {
    pub(super) unsafe fn retire<T>(&self, block: *mut T) {
        let world: &World = &WORLD;
        world.retired.fetch_add(1, Ordering::Release);
        let mut book = book(world);
        book.retirements += 1;
        let guards = book.guards.keys().copied().collect();
        let entry = book.blocks.get_mut(&block.addr()).expect("retired what was never allocated");
        assert!(matches!(entry.state, State::Live), "double retire");
        entry.state = State::Retired(guards);
    }

    pub(super) fn flush(&self) {}

    pub(super) unsafe fn retire_large<T>(&self, block: *mut T) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.retire(block) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let world: &World = &WORLD;
        let mut dead = Vec::new();
        {
            let mut book = book_at_the_end(world, self.id);
            book.guards.remove(&self.id);
            for (&address, block) in &mut book.blocks {
                if let State::Retired(waiting) = &mut block.state {
                    waiting.remove(&self.id);
                    if waiting.is_empty() {
                        block.state = State::Poisoned;
                        // SAFETY: a block is poisoned once, and its witness is not asked afterwards.
                        unsafe { ManuallyDrop::drop(&mut block.witness) };
                        dead.push((block.number, block.drop_value, address));
                    }
                }
            }
        }
        if !dead.is_empty() {
            // Freeing comes after retiring: what a destructor reads is what the retiring thread left.
            world.retired.fetch_add(1, Ordering::Acquire);
        }
        dead.sort_unstable_by_key(|&(number, ..)| number);
        for (_, drop_value, address) in dead {
            // SAFETY: just poisoned, so nobody borrows it again, and nobody borrows it now: that is what is modelled.
            unsafe { drop_value(address) };
        }
    }
}

#[cfg_attr(
    tollgate_loom,
    expect(clippy::arc_with_non_send_sync, reason = "loom's cells are shared between its threads by design")
)]
pub(super) fn alloc<T>(value: T) -> *mut T {
    let block = Box::into_raw(Box::new(value));
    let witness = ManuallyDrop::new(Arc::new(Witness::new()));
    let number = {
        let mut book = book(&WORLD);
        book.next_block += 1;
        book.next_block
    };
    let entry =
        Block { number, state: State::Live, witness, drop_value: drop_value::<T>, free_memory: free_memory::<T> };
    book(&WORLD).blocks.insert(block.expose_provenance(), entry);
    block
}

pub(super) unsafe fn take<T>(block: *mut T) -> T {
    let mut entry = book(&WORLD).blocks.remove(&block.addr()).expect("freed what was never allocated");
    assert!(matches!(entry.state, State::Live), "freed a block that was retired");
    // SAFETY: the entry was just taken out of the book.
    unsafe { ManuallyDrop::drop(&mut entry.witness) };
    // SAFETY: nobody else can reach the block, by the caller's promise.
    *unsafe { Box::from_raw(block) }
}

pub(super) unsafe fn discard<T>(block: *mut T) {
    // SAFETY: the caller's promise.
    drop(unsafe { take(block) });
}

pub(super) fn check<T>(block: *const T) {
    let witness = {
        let book = book(&WORLD);
        // What was freed with the block that owned it is not in the book any more.
        let Some(entry) = book.blocks.get(&block.addr()) else { return };
        assert!(!matches!(entry.state, State::Poisoned), "borrowed a block whose grace period has passed");
        Arc::clone(&entry.witness)
    };
    witness.look();
}

/// From here on, in this execution, pins learn late.
#[cfg(tollgate_loom)]
pub(crate) fn learn_late() {
    book(&WORLD).late = true;
}

/// Blocks that were not freed and are not poisoned.
#[cfg(tollgate_shuttle)]
pub(crate) fn alive() -> usize {
    book(&WORLD).blocks.values().filter(|block| !matches!(block.state, State::Poisoned)).count()
}

impl Drop for World {
    fn drop(&mut self) {
        let book = self.book.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (&address, block) in &book.blocks {
            if matches!(block.state, State::Poisoned) {
                // SAFETY: the value was dropped when the block was poisoned, and the execution is over.
                unsafe { (block.free_memory)(address) };
            }
        }
    }
}
