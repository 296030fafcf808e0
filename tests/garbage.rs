//! What was removed is freed. In a process of its own: any other thread that is pinned, and then put aside by the scheduler,
//! would hold it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tollgate::map::ShardedMap;

/// The engine collects by the number of pins, and batches under one pin each retired more than that.
#[test]
fn batches_under_one_pin_each_leave_bounded_garbage() {
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    let (map, alive) = (ShardedMap::new(), Arc::new(AtomicUsize::new(0)));
    let mut most = 0;
    for batch in 0..2_000_u64 {
        let pinned = map.pin();
        for key in batch * 64..(batch + 1) * 64 {
            alive.fetch_add(1, Ordering::Relaxed);
            pinned.insert(key, Counted(Arc::clone(&alive)));
            pinned.remove(&key);
        }
        most = most.max(alive.load(Ordering::Relaxed));
    }
    assert!(most < 32_000, "{most} of 128,000 removed values were alive at once");
}
