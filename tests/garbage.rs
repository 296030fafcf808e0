//! What was removed is freed. In a process of its own, and one test after the other: any other thread that is pinned, and then
//! put aside by the scheduler, would hold it up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// The engine collects by the number of pins, and batches under one pin each retired more than that.
#[test]
fn batches_under_one_pin_each_leave_bounded_garbage() {
    alone(|| {
        let (map, alive) = (ShardedMap::new(), Arc::new(AtomicUsize::new(0)));
        let mut most = 0;
        for batch in 0..2_000_u64 {
            let pinned = map.pin();
            for key in batch * 64..(batch + 1) * 64 {
                pinned.insert(key, Counted::new(&alive));
                pinned.remove(&key);
            }
            most = most.max(alive.load(Ordering::Relaxed));
        }
        assert!(most < 32_000, "{most} of 128,000 removed values were alive at once");
    });
}

/// The engine finds hundreds at once.
#[cfg_attr(tollgate_sanitize, ignore = "drops all that it finds, to be seen")]
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
