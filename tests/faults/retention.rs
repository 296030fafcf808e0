//! The tiers in memory, and the sweep over a store of the user's.

use crate::fuse::{Fuse, Piece, Range, Watch};
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::retention::{Ingest, MemoryTiers, RawSession, RetentionConfig, RetentionPolicy, TieredStore, sweep};

const CAPACITY: u64 = 5;

type Tiers = MemoryTiers<Piece, Watch>;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// Sessions 1 (raw), 2 (analysed), 3 (analysed and evicted).
fn tiers(fuse: &Fuse) -> Tiers {
    let tiers = Tiers::with_clock(CAPACITY, fuse.watch(&ManualClock::new(at(1_000)))).unwrap();
    for name in 1..=3 {
        tiers.ingest(fuse.piece(name), Ingest::new().ended_at(at(name)), vec![0; 100]).unwrap();
    }
    tiers.record_analysis(&fuse.piece(2), vec![0; 10]).unwrap();
    tiers.record_analysis(&fuse.piece(3), vec![0; 10]).unwrap();
    tiers.evict_raw(&fuse.piece(3)).unwrap();
    tiers
}

/// What is counted is what is there.
fn counted(tiers: &Tiers) -> Vec<u64> {
    let sessions = tiers.list_sessions().unwrap();
    assert_eq!(tiers.len(), sessions.len() as u64, "places are lost");
    let raw = sessions.iter().filter_map(|session| tiers.raw(&session.id).ok()).map(|raw| raw.len() as u64);
    assert_eq!(tiers.tier1_usage_bytes(), Ok(raw.sum()), "raw bytes are lost");
    let distilled = sessions.iter().filter_map(|session| tiers.distilled(&session.id).unwrap());
    assert_eq!(tiers.tier2_usage_bytes(), Ok(distilled.map(|it| it.len() as u64).sum()), "distilled bytes are lost");
    assert!(tiers.len() <= CAPACITY);
    sessions.iter().map(|session| session.id.id()).collect()
}

fn works(tiers: &Tiers, fuse: &Fuse) {
    for name in counted(tiers) {
        tiers.remove(&fuse.piece(name)).unwrap();
    }
    assert!(tiers.is_empty());
    for name in 10..10 + CAPACITY {
        tiers.ingest(fuse.piece(name), Ingest::new(), vec![1; 7]).unwrap();
    }
    assert!(tiers.ingest(fuse.piece(99), Ingest::new(), vec![1; 7]).is_err());
    tiers.record_analysis(&fuse.piece(10), vec![2; 3]).unwrap();
    tiers.set_pinned(&fuse.piece(11), true).unwrap();
    assert_eq!(tiers.evict_raw(&fuse.piece(10)), Ok(Some(7)));
    assert_eq!(tiers.evict_raw(&fuse.piece(10)), Ok(None));
    counted(tiers);
}

fn policy() -> RetentionPolicy {
    let config = RetentionConfig::new().soft_cap(50).hard_cap(60).max_age(Duration::from_secs(10)).tier2_cap(1);
    RetentionPolicy::new(config).unwrap()
}

#[test]
fn tiers_survive_a_panic_in_every_call_of_user_code() {
    let range = &mut Range::new("retention", tiers, works);
    let counted = |tiers: &Tiers, _: bool| _ = counted(tiers);
    for name in [1, 2, 3, 50] {
        range.fire(
            "ingest",
            |tiers, fuse| {
                _ = tiers.ingest(fuse.piece(name), Ingest::new(), vec![0; 9]);
            },
            counted,
        );
        range.fire(
            "record_analysis",
            |tiers, fuse| {
                _ = tiers.record_analysis(&fuse.piece(name), vec![0; 20]);
            },
            counted,
        );
        range.fire("set_pinned", |tiers, fuse| _ = tiers.set_pinned(&fuse.piece(name), true), counted);
        range.fire("raw", |tiers, fuse| drop(tiers.raw(&fuse.piece(name))), counted);
        range.fire("distilled", |tiers, fuse| drop(tiers.distilled(&fuse.piece(name))), counted);
        range.fire("remove", |tiers, fuse| drop(tiers.remove(&fuse.piece(name))), counted);
        range.fire("session", |tiers, fuse| drop(tiers.session(&fuse.piece(name))), counted);
        range.fire("evict_raw", |tiers, fuse| _ = tiers.evict_raw(&fuse.piece(name)), counted);
    }
    range.fire("list_sessions", |tiers, _| drop(tiers.list_sessions()), counted);
    range.fire(
        "sweep, without an analysis",
        |tiers, _| {
            let report = sweep(tiers, &policy(), None, at(2_000));
            assert!(report.lost_data() && report.final_usage_bytes == 0);
        },
        counted,
    );
    range.fire(
        "sweep, with an analysis",
        |tiers, fuse| {
            let mut analyze = |session: &RawSession<Piece>| {
                fuse.burn();
                tiers.record_analysis(&session.id, vec![0; 5])?;
                fuse.burn();
                Ok(())
            };
            sweep(tiers, &policy(), Some(&mut analyze), at(2_000));
        },
        counted,
    );
}

/// A store of the user's, which may panic wherever it is asked.
struct Panicking<'t>(&'t Tiers, &'t Fuse);

impl TieredStore for Panicking<'_> {
    type Id = Piece;
    type Error = std::convert::Infallible;

    fn list_sessions(&self) -> Result<Vec<RawSession<Piece>>, Self::Error> {
        self.1.burn();
        self.0.list_sessions()
    }

    fn evict_raw(&self, id: &Piece) -> Result<Option<u64>, Self::Error> {
        self.1.burn();
        self.0.evict_raw(id)
    }

    fn tier1_usage_bytes(&self) -> Result<u64, Self::Error> {
        self.1.burn();
        self.0.tier1_usage_bytes()
    }

    fn tier2_usage_bytes(&self) -> Result<u64, Self::Error> {
        self.1.burn();
        self.0.tier2_usage_bytes()
    }
}

#[test]
fn a_sweep_survives_a_panic_in_every_call_of_the_store() {
    let mut range = Range::new("retention, user's store", tiers, works);
    let operation = |tiers: &Tiers, fuse: &Fuse| {
        let store = Panicking(tiers, fuse);
        let mut analyze = |session: &RawSession<Piece>| {
            fuse.burn();
            if session.id.id() == 1 { Err("not this one".into()) } else { Ok(()) }
        };
        let report = sweep(&store, &policy(), Some(&mut analyze), at(2_000));
        assert!(report.lost_data());
    };
    range.fire("sweep", operation, |tiers, _| _ = counted(tiers));
}
