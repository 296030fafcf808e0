//! User code that panics at its k-th call, and values that know whether they are alive.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::hash::RandomState;
use tollgate::map::ShardedMap;

/// What a fuse panics with.
struct Blown;

/// Shared by all the user code of a structure. Everything that a structure may call counts as a call and may panic:
/// `Hash`, `Eq`, `Clone`, `Borrow`, `Debug` and `Drop` of [`Piece`], [`Seeds`], [`Watch`], and what the tests pass as
/// closures, which [`burn`](Self::burn).
#[derive(Clone, Default)]
pub(crate) struct Fuse(Arc<State>);

#[derive(Default)]
struct State {
    /// Calls until one panics, that one included; zero if none is to.
    left: AtomicU64,
    /// The number of the next value.
    next: AtomicU64,
    alive: Mutex<HashSet<u64>>,
    dropped_twice: AtomicU64,
}

impl Fuse {
    /// A call of user code.
    pub(crate) fn burn(&self) {
        let left = self.0.left.load(Ordering::Relaxed);
        self.0.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            // Not `panic!`, which would print a message for each.
            resume_unwind(Box::new(Blown));
        }
    }

    /// Runs `work`, whose k-th call of user code panics. True if it came to that, wherever the panic went.
    pub(crate) fn blows(&self, k: u64, work: impl FnOnce()) -> bool {
        self.0.left.store(k, Ordering::Relaxed);
        let done = catch_unwind(AssertUnwindSafe(work));
        let blown = self.0.left.swap(0, Ordering::Relaxed) == 0;
        if let Err(panic) = done {
            if !panic.is::<Blown>() {
                resume_unwind(panic);
            }
        }
        blown
    }

    pub(crate) fn piece(&self, name: u64) -> Piece {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.alive().insert(number);
        Piece { name: self.name(name), number }
    }

    pub(crate) fn name(&self, name: u64) -> Name {
        Name { fuse: self.clone(), name }
    }

    pub(crate) fn watch(&self, clock: &ManualClock) -> Watch {
        Watch(clock.clone(), self.clone())
    }

    fn alive(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every value was dropped, once, when the garbage is gone.
    pub(crate) fn assert_burnt_out(&self) {
        collect_until(|| self.alive().is_empty());
        assert_eq!(self.alive().len(), 0, "values leaked");
        assert_eq!(self.0.dropped_twice.load(Ordering::Relaxed), 0, "values dropped twice");
    }
}

/// Lets the collector run until it is `done`, or has had every chance: a test beside this one may be off its core, or busy
/// with a panic, while it is pinned.
pub(crate) fn collect_until(done: impl Fn() -> bool) {
    for _ in 0..50_000 {
        if done() {
            break;
        }
        ShardedMap::<u64, u64>::new().pin().flush();
        thread::yield_now();
    }
}

impl fmt::Debug for Fuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fuse")
    }
}

/// What a [`Piece`] is looked up by.
pub(crate) struct Name {
    fuse: Fuse,
    pub(crate) name: u64,
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fuse.burn();
        self.name.hash(state);
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.fuse.burn();
        self.name == other.name
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fuse.burn();
        write!(f, "{}", self.name)
    }
}

/// A key, a value, or what a closure holds.
pub(crate) struct Piece {
    name: Name,
    number: u64,
}

impl Piece {
    pub(crate) fn id(&self) -> u64 {
        self.name.name
    }

    pub(crate) fn burn(&self) {
        self.name.fuse.burn();
    }
}

impl Hash for Piece {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Piece {}

impl PartialOrd for Piece {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Piece {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.burn();
        self.id().cmp(&other.id())
    }
}

impl Clone for Piece {
    fn clone(&self) -> Self {
        self.burn();
        self.name.fuse.piece(self.id())
    }
}

impl Borrow<Name> for Piece {
    fn borrow(&self) -> &Name {
        self.burn();
        &self.name
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if !self.name.fuse.alive().remove(&self.number) {
            self.name.fuse.0.dropped_twice.fetch_add(1, Ordering::Relaxed);
        }
        self.burn();
    }
}

/// A `BuildHasher` of fixed seeds.
pub(crate) struct Seeds(pub(crate) Fuse);

impl BuildHasher for Seeds {
    type Hasher = <RandomState as BuildHasher>::Hasher;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.burn();
        RandomState::with_seeds(1, 2, 3, 4).build_hasher()
    }
}

/// A clock.
#[derive(Debug)]
pub(crate) struct Watch(ManualClock, Fuse);

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        self.1.burn();
        self.0.now()
    }
}

/// Operations of one structure, each with a panic at every call of user code.
pub(crate) struct Range<W> {
    structure: &'static str,
    make: fn(&Fuse) -> W,
    /// Asserts that the structure keeps its promises and does all that it can do.
    holds: fn(&W, &Fuse),
    operations: u64,
    panics: u64,
    /// Nobody else is pinned, so that all garbage can be freed.
    _alone: MutexGuard<'static, ()>,
}

/// One test at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W: Sync> Range<W> {
    pub(crate) fn new(structure: &'static str, make: fn(&Fuse) -> W, holds: fn(&W, &Fuse)) -> Self {
        Self { structure, make, holds, operations: 0, panics: 0, _alone: alone() }
    }

    /// A new structure.
    pub(crate) fn made(&self, fuse: &Fuse) -> W {
        (self.make)(fuse)
    }

    /// `operation`, again and again on a new structure, until no call is left that could panic. After each, `after` is told
    /// whether one did; then this thread and another one use the structure, and it leaves nothing behind.
    pub(crate) fn fire(&mut self, name: &str, operation: impl Fn(&W, &Fuse), after: impl Fn(&W, bool)) {
        for k in 1.. {
            let fuse = Fuse::default();
            let told = Told(self.structure, name, k);
            let world = (self.make)(&fuse);
            let blown = fuse.blows(k, || operation(&world, &fuse));
            after(&world, blown);
            (self.holds)(&world, &fuse);
            thread::scope(|scope| {
                scope.spawn(|| (self.holds)(&world, &fuse)).join().unwrap_or_else(|p| resume_unwind(p))
            });
            drop(world);
            fuse.assert_burnt_out();
            std::mem::forget(told);
            if !blown {
                break;
            }
            self.panics += 1;
        }
        self.operations += 1;
    }
}

impl<W> Drop for Range<W> {
    fn drop(&mut self) {
        println!("{}: {} operations, {} panics", self.structure, self.operations, self.panics);
    }
}

/// Says what was tried when an assertion fails.
struct Told<'t>(&'t str, &'t str, u64);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        eprintln!("{}: {} with a panic in call {}", self.0, self.1, self.2);
    }
}
