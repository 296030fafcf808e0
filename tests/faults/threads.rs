//! Threads that die: while pinned, in the middle of an operation, with others at work.

use crate::fuse::{Fuse, alone, collect_until};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::deadline::{DeadlineQueue, Next};
use tollgate::fifo::FifoMap;
use tollgate::map::{ShardedMap, Step};
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};

/// Operations of each thread.
const ROUNDS: u64 = 2_000;

/// Dies without a message.
fn die() -> ! {
    resume_unwind(Box::new("dead"))
}

/// Runs `work` in a thread that is to die in it.
fn dying(work: impl FnOnce() + Send) {
    assert!(thread::scope(|scope| scope.spawn(work).join()).is_err(), "the thread was to die");
}

/// It was dropped in the middle of somebody else's operation, whose caller got the panic, and took the garbage that was to
/// be freed with it with it.
#[test]
fn a_drop_that_panics_reaches_nobody_who_collects_and_takes_nothing_with_it() {
    struct Bomb(Arc<AtomicU64>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            die();
        }
    }

    let _alone = alone();
    let dropped = Arc::new(AtomicU64::new(0));
    let bomb = || Bomb(Arc::clone(&dropped));
    let (bombs, other) = (ShardedMap::new(), ShardedMap::new());
    for key in 0..ROUNDS {
        bombs.pin().insert(key, bomb());
        assert!(bombs.pin().remove(&key).is_some());
        // Collects every now and then.
        other.insert(key, key);
        assert_eq!(other.get(&key), Some(key));
    }
    collect_until(|| dropped.load(Ordering::Relaxed) == ROUNDS);
    assert_eq!(dropped.load(Ordering::Relaxed), ROUNDS);

    // A structure goes as a whole, and so it does while a panic is on its way.
    (0..100).for_each(|key| _ = bombs.pin().insert(key, bomb()).is_some());
    let queue = DeadlineQueue::new();
    (0..100).for_each(|deadline| queue.add(bomb(), Timestamp::from_nanos(deadline % 3)));
    drop(bombs);
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _queue = queue;
        die();
    }));
    assert!(unwound.is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), ROUNDS + 200);
}

#[test]
fn a_thread_that_dies_while_it_is_pinned_holds_nobody_up() {
    let _alone = alone();
    let fuse = Fuse::default();
    let map = ShardedMap::new();
    (0..100).for_each(|key| _ = map.pin().insert(key, fuse.piece(key)).is_some());
    for key in 0..100 {
        dying(|| {
            let pinned = map.pin();
            let removed = pinned.remove(&key).map(|piece| piece.id());
            assert_eq!(removed, Some(key));
            die();
        });
    }
    assert!(map.is_empty());
    fuse.assert_burnt_out();
}

#[test]
fn threads_that_die_in_compute_lose_no_step_of_the_others() {
    let _alone = alone();
    let map = ShardedMap::new();
    map.insert((), 0);
    let count = |die_at: Option<u64>| {
        let mut calls = 0;
        map.pin().compute((), |value| {
            calls += 1;
            if Some(calls) == die_at {
                die();
            }
            Step::Put(value.copied().unwrap_or(0) + 1)
        });
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..ROUNDS).for_each(|_| count(None)));
        }
        (0..100).for_each(|_| dying(|| count(Some(1))));
    });
    assert_eq!(map.get(&()), Some(2 * ROUNDS));
}

#[test]
fn threads_that_die_in_a_listener_cost_no_capacity() {
    const CAP: u64 = 8;
    const DEADLY: u64 = 1 << 32;
    let _alone = alone();
    let killed = |killer: &u64| *killer == DEADLY && thread::current().name() == Some("killed");
    let map = FifoMap::builder(CAP)
        .listener(move |_, killer, _| {
            if killed(killer) {
                die()
            }
        })
        .build()
        .unwrap();
    let watch = || assert!(map.snapshot().len() as u64 <= CAP && map.len() <= CAP);
    thread::scope(|scope| {
        for thread in 1..3 {
            let (map, watch) = (&map, &watch);
            scope.spawn(move || {
                for key in 0..ROUNDS {
                    map.insert(thread << 40 | key, DEADLY).unwrap();
                    watch();
                }
            });
        }
        for key in 0..100 {
            let map = &map;
            let work = move || {
                // Evicts sooner or later, and hears of it.
                for more in 0.. {
                    map.insert(key << 20 | more, DEADLY).unwrap();
                }
            };
            let thread = thread::Builder::new().name("killed".into()).spawn_scoped(scope, work).unwrap();
            assert!(thread.join().is_err());
            watch();
        }
    });
    assert_eq!((map.len(), map.snapshot().len() as u64), (CAP, CAP));
}

#[test]
fn what_a_sweeper_that_dies_was_about_to_visit_is_visited_by_another() {
    let _alone = alone();
    let (queue, visited) = (DeadlineQueue::new(), AtomicU64::new(0));
    (0..ROUNDS).for_each(|key| queue.add(key, Timestamp::from_nanos(key % 7)));
    let sweep = |die_at: u64| {
        let mut calls = 0;
        while !queue.is_empty() {
            queue.sweep(Timestamp::from_nanos(10), 16, |_, _| {
                calls += 1;
                if calls == die_at {
                    die();
                }
                Next::Drop
            });
        }
        visited.fetch_add(calls, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        scope.spawn(|| sweep(u64::MAX));
        // One that finds nothing left does not get to it.
        (0..20).for_each(|death| _ = scope.spawn(move || sweep(death + 1)).join());
    });
    assert!(queue.is_empty());
}

#[test]
fn no_revocation_is_forgotten_when_threads_die_in_the_set() {
    let _alone = alone();
    let fuse = Fuse::default();
    let clock = ManualClock::new(Timestamp::from_secs(1_000));
    let set = RevocationSet::with_clock(RevocationConfig::new().capacity(2 * ROUNDS), clock).unwrap();
    let expires_at = Timestamp::from_secs(5_000);
    let check = |token: u64| assert_eq!(set.check(&token), Standing::Revoked);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (set, check) = (&set, &check);
            scope.spawn(move || {
                for token in (0..ROUNDS / 2).map(|token| token << 1 | thread) {
                    set.revoke(token, expires_at).unwrap();
                    check(token);
                }
            });
        }
        for token in 0..100 {
            let set = &set;
            // With a check pinned, between two revocations.
            dying(move || {
                let _pinned = set.pin();
                set.revoke(1_000_000 + token, expires_at).unwrap();
                set.track(token, 2_000_000 + token, expires_at).unwrap();
                die();
            });
            check(1_000_000 + token);
        }
    });
    (0..ROUNDS).for_each(check);
    assert_eq!(set.stats().live, ROUNDS + 200);
    fuse.assert_burnt_out();
}

/// Runs an ignored test of this file in a process of its own: what it does cannot be made good.
fn in_a_process_of_its_own(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", test]);
    command
}

#[test]
fn a_leaked_pin_stops_reclamation_and_nothing_else() {
    let status = in_a_process_of_its_own("threads::leaks_a_pin").stdout(std::process::Stdio::null()).status().unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "in a process of its own, by the test above"]
fn leaks_a_pin() {
    let fuse = Fuse::default();
    let map = ShardedMap::new();
    thread::scope(|scope| scope.spawn(|| std::mem::forget(map.pin())).join().unwrap());
    for key in 0..ROUNDS {
        map.pin().insert(key, fuse.piece(key));
        assert_eq!(map.pin().get(&key).map(|piece| piece.id()), Some(key));
        assert!(map.pin().remove(&key).is_some());
    }
    assert!(map.is_empty());
    assert!(catch_unwind(AssertUnwindSafe(|| fuse.assert_burnt_out())).is_err(), "reclamation went on");
}

/// Allocation failure aborts, as it does in the standard library: no code runs that could see a structure half changed.
#[test]
#[cfg(all(target_os = "linux", not(any(miri, tollgate_sanitize))))]
fn an_allocation_that_fails_aborts() {
    use std::os::unix::process::ExitStatusExt;

    let child = in_a_process_of_its_own("threads::runs_out_of_memory");
    let limited = Command::new("sh")
        .args(["-c", r#"ulimit -c 0; ulimit -v 400000; exec "$0" "$@""#])
        .arg(child.get_program())
        .args(child.get_args())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&limited.stderr);
    assert!(told.contains("memory allocation of"), "{told}");
    assert_eq!(limited.status.signal(), Some(6), "{told}");
}

#[test]
#[ignore = "in a process of its own, by the test above"]
fn runs_out_of_memory() {
    let map = FifoMap::builder(u64::MAX).build().unwrap();
    for key in 0..400_000_u64 {
        // An entry's block is 1 KiB: more than there is.
        map.insert(key, [key; 128]).unwrap();
    }
}
