//! What was removed is freed. In a process of its own, and one test after the other: any other thread that is pinned, and then
//! put aside by the scheduler, would hold it up.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use tollgate::fifo::FifoMap;
use tollgate::map::ShardedMap;

/// Counts itself as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(alive))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn alone(test: impl FnOnce()) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    test();
}

/// Whatever the engine collects by: the number of pins, or what each has retired.
#[test]
fn as_many_removals_under_a_pin_as_one_likes_leave_bounded_garbage() {
    alone(|| {
        for batch in [1, 3, 8, 31, 64, 500] {
            let (map, alive) = (ShardedMap::new(), Arc::new(AtomicUsize::new(0)));
            let mut most = 0;
            for first in (0..100_000_u64).step_by(batch) {
                let pinned = map.pin();
                for key in first..first + batch as u64 {
                    pinned.insert(key, Counted::new(&alive));
                    pinned.remove(&key);
                }
                most = most.max(alive.load(Ordering::Relaxed));
            }
            assert!(most < 32_000, "{batch} at a time: {most} of 100,000 removed values were alive at once");
        }
    });
}

#[test]
fn what_is_evicted_under_the_pin_of_another_map_is_bounded_garbage() {
    alone(|| {
        let (outer, alive) = (ShardedMap::<u64, u64>::new(), Arc::new(AtomicUsize::new(0)));
        let map = FifoMap::builder(100).build().unwrap();
        let mut most = 0;
        for first in (0..100_000_u64).step_by(64) {
            let _pinned = outer.pin();
            assert!((first..first + 64).all(|key| map.insert(key, Counted::new(&alive)).is_ok()));
            most = most.max(alive.load(Ordering::Relaxed));
        }
        assert!(most < 32_000, "{most} of 100,000 values were alive at once in a map of 100");
    });
}

/// An operation amid which others' values are dropped may hold what their `Drop` waits for.
#[test]
fn a_value_that_inserts_when_it_is_dropped_may_belong_to_a_map_whose_keys_are_compared_by_another() {
    static NAMES: LazyLock<ShardedMap<u64, u64>> = LazyLock::new(ShardedMap::new);

    #[derive(Clone, Debug)]
    struct Name(u64);

    impl PartialEq for Name {
        fn eq(&self, other: &Self) -> bool {
            NAMES.get(&self.0) == NAMES.get(&other.0)
        }
    }

    impl Eq for Name {}

    impl Hash for Name {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    type Map = FifoMap<Name, Echo>;

    /// Its weight, and where it comes up once more.
    struct Echo(u64, Weak<Map>);

    impl Drop for Echo {
        fn drop(&mut self) {
            if let Some(map) = self.1.upgrade() {
                let _ = map.insert(Name(self.0 % 8), Echo(self.0, Weak::new()));
            }
        }
    }

    alone(|| {
        (0..8).for_each(|name| _ = NAMES.insert(name, name));
        let map: Arc<Map> = Arc::new(FifoMap::builder(8).max_bytes(100, |_, echo: &Echo| echo.0).build().unwrap());
        for round in 0..3_000 {
            let echo = Echo(10 + round * 7 % 60, Arc::downgrade(&map));
            assert!(map.insert(Name(round % 8), echo).is_ok());
        }
        assert!(map.len() <= 8);
    });
}

/// The engine finds hundreds at once.
#[cfg_attr(tollgate_sanitize, ignore = "all that is found is dropped at once, to be seen")]
#[test]
fn an_insert_drops_about_as_many_values_as_it_evicts() {
    alone(|| {
        const CAP: u64 = 100;
        let (map, alive) = (FifoMap::builder(CAP).build().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (mut in_all, mut at_once) = (0, 0);
        for key in 0..20_000 {
            let before = alive.load(Ordering::Relaxed);
            assert!(map.insert(key, Counted::new(&alive)).is_ok());
            let dropped = before + 1 - alive.load(Ordering::Relaxed);
            in_all += dropped;
            if dropped > 3 {
                at_once += dropped;
            }
        }
        assert!(in_all > 15_000 && at_once < in_all / 4, "{at_once} of {in_all} were dropped with others");
    });
}
