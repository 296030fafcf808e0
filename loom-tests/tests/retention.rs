//! Races of retention: sweeps beside each other, and beside what others do to the sessions.

use loom_tests::exhaustive;
use std::convert::Infallible;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::retention::{
    EvictionReport, Ingest, MemoryTiers, RetentionConfig, RetentionPolicy, TierError, TieredStore, sweep,
};

type Tiers = MemoryTiers<u64, ManualClock>;

const NOW: Timestamp = Timestamp::from_secs(100);

/// Sessions of ten bytes, analysed or not.
fn tiers(analyzed: &[bool]) -> Tiers {
    let tiers = Tiers::with_clock(4, ManualClock::new(NOW)).unwrap();
    for (id, &analyzed) in (1..).zip(analyzed) {
        tiers.ingest(id, Ingest::new(), [0; 10]).unwrap();
        if analyzed {
            tiers.record_analysis(&id, [0; 3]).unwrap();
        }
    }
    tiers
}

fn swept(tiers: &Tiers, soft: u64, hard: u64) -> EvictionReport<u64, Infallible> {
    let policy = RetentionPolicy::new(RetentionConfig::new().soft_cap(soft).hard_cap(hard)).unwrap();
    sweep(tiers, &policy, None, NOW)
}

#[test]
fn retention_sweep_sweep_evicts_a_session_once() {
    exhaustive(|order| {
        let tiers = tiers(&[true]);
        let (one, two) = (tiers.clone(), tiers.clone());
        let (first, second) = order.race(move || swept(&one, 5, 5), move || swept(&two, 5, 5));
        assert_eq!(first.budget_evicted.len() + second.budget_evicted.len(), 1);
        assert_eq!(first.bytes_freed + second.bytes_freed, 10);
        assert_eq!(tiers.tier1_usage_bytes(), Ok(0));
    });
}

#[test]
fn retention_sweep_sweep_loses_a_session_once() {
    exhaustive(|order| {
        let tiers = tiers(&[false]);
        let (one, two) = (tiers.clone(), tiers.clone());
        let (first, second) = order.race(move || swept(&one, 5, 5), move || swept(&two, 5, 5));
        assert_eq!(first.overflow_data_loss.len() + second.overflow_data_loss.len(), 1);
        assert_eq!(first.bytes_freed + second.bytes_freed, 10);
        assert_eq!(tiers.tier1_usage_bytes(), Ok(0));
    });
}

#[test]
fn retention_sweep_remove_gives_bytes_back_once() {
    exhaustive(|order| {
        let tiers = tiers(&[true]);
        let (one, two) = (tiers.clone(), tiers.clone());
        let (report, removed) = order.race(move || swept(&one, 5, 5), move || two.remove(&1).unwrap());
        assert_eq!(report.bytes_freed == 10, removed.evicted_at.is_some());
        assert_eq!((tiers.tier1_usage_bytes(), tiers.tier2_usage_bytes(), tiers.len()), (Ok(0), Ok(0), 0));
    });
}

#[test]
fn retention_evict_record_analysis() {
    exhaustive(|order| {
        let tiers = tiers(&[false]);
        let (one, two) = (tiers.clone(), tiers.clone());
        let (evicted, recorded) = order.race(move || one.evict_raw(&1), move || two.record_analysis(&1, [0; 3]));
        assert_eq!(evicted, Ok(Some(10)));
        let session = tiers.session(&1).unwrap().unwrap();
        assert!(session.evicted_at.is_some(), "the analysis brought the session back");
        assert_eq!(session.analyzed_at.is_some(), recorded.is_ok());
        let distilled = if recorded == Err(TierError::Evicted) { 0 } else { 3 };
        assert_eq!((tiers.tier1_usage_bytes(), tiers.tier2_usage_bytes()), (Ok(0), Ok(distilled)));
    });
}

#[test]
fn retention_ingest_ingest_of_one_id_takes_one_place() {
    exhaustive(|order| {
        let tiers = tiers(&[]);
        let (one, two) = (tiers.clone(), tiers.clone());
        let (first, second) =
            order.race(move || one.ingest(1, Ingest::new(), [0; 5]), move || two.ingest(1, Ingest::new(), [0; 5]));
        assert!(first.is_ok() ^ second.is_ok());
        assert_eq!((tiers.tier1_usage_bytes(), tiers.len()), (Ok(5), 1));
    });
}

#[test]
fn retention_sweep_remove_loses_one_at_most() {
    exhaustive(|order| {
        // One has to go, and the other may have gone by then.
        let tiers = tiers(&[false, false]);
        let (one, two) = (tiers.clone(), tiers.clone());
        let (report, _) = order.race(move || swept(&one, 5, 10), move || two.remove(&1).unwrap());
        assert!(report.overflow_data_loss.len() <= 1, "{:?}", report.overflow_data_loss);
    });
}

#[test]
fn retention_sweep_record_analysis() {
    exhaustive(|order| {
        // Analysed before the last resort, it goes like any other; after it, it is lost. It does not stay.
        let tiers = tiers(&[false]);
        let (one, two) = (tiers.clone(), tiers.clone());
        let (_, recorded) = order.race(move || swept(&one, 5, 5), move || two.record_analysis(&1, [0; 3]));
        assert!(matches!(recorded, Ok(()) | Err(TierError::Evicted)), "{recorded:?}");
        assert_eq!(tiers.tier1_usage_bytes(), Ok(0));
    });
}
