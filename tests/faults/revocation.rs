//! The revocation set: ids are the user's, and so is all the code that is run with them.

use crate::fuse::{Fuse, Piece, Range, Watch};
use std::cell::Cell;
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing, WhenFull};

const CAPACITY: u64 = 6;

struct World {
    set: RevocationSet<Piece, Piece, Watch>,
    clock: ManualClock,
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// Tokens 1 (revoked by itself), 2 and 3 (tracked for 20), 4 (tracked for 21, which is revoked), at 1,000 s.
fn world(fuse: &Fuse, when_full: WhenFull, full: bool) -> World {
    let clock = ManualClock::new(at(1_000));
    let config =
        RevocationConfig::new().capacity(CAPACITY).grace(Duration::ZERO).max_token_life(Duration::from_secs(5_000));
    let set = RevocationSet::with_clock(config.when_full(when_full), fuse.watch(&clock)).unwrap();
    set.revoke(fuse.piece(1), at(2_000)).unwrap();
    set.track(fuse.piece(20), fuse.piece(2), at(4_000)).unwrap();
    set.track(fuse.piece(20), fuse.piece(3), at(4_000)).unwrap();
    set.track(fuse.piece(21), fuse.piece(4), at(4_000)).unwrap();
    set.revoke_principal(&fuse.piece(21)).unwrap();
    if full {
        set.revoke(fuse.piece(5), at(4_000)).unwrap();
        set.revoke(fuse.piece(6), at(4_000)).unwrap();
    }
    World { set, clock }
}

/// What was revoked stays revoked.
fn remembers(world: &World, fuse: &Fuse) {
    if world.set.stats().high_water < at(2_000) {
        assert_eq!(world.set.check(&fuse.piece(1)), Standing::Revoked);
    }
    if world.set.stats().high_water < at(4_000) {
        assert_eq!(world.set.check(&fuse.piece(4)), Standing::Revoked);
        assert_eq!(world.set.check_issued(&fuse.piece(99), &fuse.piece(21), at(1_000)), Standing::Revoked);
    }
}

/// Nothing is forgotten; when everything has expired, all room is free again and can be used.
fn works(world: &World, fuse: &Fuse) {
    let World { set, clock } = world;
    remembers(world, fuse);
    clock.advance(Duration::from_secs(1_000_000));
    while set.sweep(usize::MAX).removed > 0 {}
    let stats = set.stats();
    assert_eq!((stats.live, stats.cutoffs), (0, 0), "room was lost");
    let expires_at = stats.high_water.saturating_add(Duration::from_secs(100));
    for token in 100..100 + CAPACITY {
        set.track(fuse.piece(token), fuse.piece(token), expires_at).unwrap();
        assert!(set.check(&fuse.piece(token)).is_clear());
    }
    for token in 100..100 + CAPACITY {
        assert_eq!(set.revoke_principal(&fuse.piece(token)), Ok(1));
        assert_eq!(set.check(&fuse.piece(token)), Standing::Revoked);
    }
    assert_eq!(set.stats().live, CAPACITY);
    clock.advance(Duration::from_secs(1_000_000));
    while set.sweep(usize::MAX).removed > 0 {}
    assert_eq!((set.stats().live, set.stats().cutoffs), (0, 0));
}

fn operations(mut range: Range<World>) {
    let range = &mut range;
    let fuse = Fuse::default();
    let kept = |world: &World, _: bool| {
        remembers(world, &fuse);
        let stats = world.set.stats();
        assert!(stats.live <= CAPACITY && stats.cutoffs <= CAPACITY);
    };
    // Whether the last operation has returned that it is done: it is in force then. What has panicked may be.
    let done = &Cell::new(false);
    for token in [1, 2, 4, 50] {
        let revoked = |world: &World, blown: bool| {
            kept(world, blown);
            assert!(!done.take() || !world.set.check(&fuse.piece(token)).is_clear(), "revoked, and clear");
        };
        range.fire("check", |world, fuse| _ = world.set.check(&fuse.piece(token)), kept);
        range.fire(
            "check_issued",
            |world, fuse| {
                _ = world.set.check_issued(&fuse.piece(token), &fuse.piece(21), at(900));
            },
            kept,
        );
        for expires_at in [at(0), at(2_500), at(50_000)] {
            let revoke = |world: &World, fuse: &Fuse| done.set(world.set.revoke(fuse.piece(token), expires_at).is_ok());
            range.fire("revoke", revoke, revoked);
            for principal in [20, 21, 22] {
                let revoked = |world: &World, blown: bool| {
                    kept(world, blown);
                    // By the principal, if the set has coarsened.
                    let standing = world.set.check_issued(&fuse.piece(token), &fuse.piece(principal), at(1_000));
                    assert!(!done.take() || !standing.is_clear(), "revoked, and clear");
                };
                range.fire(
                    "revoke_owned",
                    |world, fuse| {
                        let owner = fuse.piece(principal);
                        done.set(world.set.revoke_owned(&owner, fuse.piece(token), expires_at).is_ok());
                    },
                    revoked,
                );
                range.fire(
                    "track",
                    |world, fuse| {
                        drop(world.set.track(fuse.piece(principal), fuse.piece(token), expires_at));
                    },
                    kept,
                );
            }
        }
    }
    for principal in [20, 21, 22] {
        let revoked = |world: &World, blown: bool| {
            kept(world, blown);
            if done.take() {
                let owner = fuse.piece(principal);
                assert_eq!(world.set.check_issued(&fuse.piece(99), &owner, at(1_000)), Standing::Revoked);
                let tracked = [2, 3].map(|token| world.set.check(&fuse.piece(token)));
                assert!(principal != 20 || tracked == [Standing::Revoked; 2], "{tracked:?}");
            }
        };
        range.fire(
            "revoke_principal",
            |world, fuse| done.set(world.set.revoke_principal(&fuse.piece(principal)).is_ok()),
            revoked,
        );
    }
    for now in [1_000, 3_500, 9_000] {
        for limit in [0, 1, usize::MAX] {
            range.fire(
                "sweep",
                |world, _| {
                    world.clock.set(at(now));
                    world.set.sweep(limit);
                },
                kept,
            );
        }
    }
    range.fire(
        "revoke, when there is something to sweep",
        |world, fuse| {
            world.clock.set(at(3_500));
            drop(world.set.revoke(fuse.piece(50), at(6_000)));
        },
        kept,
    );
    range.fire("stats", |world, _| _ = world.set.stats(), kept);
}

#[test]
fn a_revocation_set_survives_a_panic_in_every_call_of_user_code() {
    operations(Range::new("revocation", |fuse| world(fuse, WhenFull::Refuse, false), works));
}

#[test]
fn a_full_revocation_set_survives_a_panic_in_every_call_of_user_code() {
    operations(Range::new("revocation, full", |fuse| world(fuse, WhenFull::Coarsen, true), works));
}
