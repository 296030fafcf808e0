//! Clocks that step back, jump to the end of time, and freeze.

use crate::fuse::alone;
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyStore, PrunePolicy, Record};
use tollgate::budget::{Limits, Meter};
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::handle::{HandleConfig, HandleError, HandleRequest, HandleStore};
use tollgate::posture::{HistoryQuery, Posture, PostureConfig, PostureMachine};
use tollgate::retention::{Ingest, MemoryTiers, RetentionConfig, RetentionPolicy, sweep};
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore, Tools};
use uuid::Uuid;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// Times that a broken clock may show, one after the other.
const BROKEN: [Timestamp; 7] = [
    Timestamp::from_secs(1_000),
    Timestamp::ZERO,
    Timestamp::MAX,
    Timestamp::from_secs(999),
    Timestamp::from_secs(1_000),
    Timestamp::ZERO,
    Timestamp::from_nanos(u64::MAX - 1),
];

/// Broken clocks: every sequence of four of these times. Returns how many there were.
fn broken_clocks(mut run: impl FnMut(&[Timestamp])) {
    let _alone = alone();
    let mut sequences = 0;
    for number in 0..BROKEN.len().pow(4) {
        let times = [0, 1, 2, 3].map(|digit| BROKEN[number / BROKEN.len().pow(digit) % BROKEN.len()]);
        run(&times);
        sequences += 1;
    }
    println!("clocks: {sequences} sequences of broken times");
}

#[test]
fn a_live_revocation_is_never_clear_whatever_the_clock_does() {
    broken_clocks(|times| {
        let clock = ManualClock::new(at(1_000));
        let config = RevocationConfig::new().capacity(9).grace(Duration::ZERO);
        let set = RevocationSet::with_clock(config, clock.clone()).unwrap();
        set.revoke("alone", at(2_000)).unwrap();
        set.track("alice", "tracked", at(2_000)).unwrap();
        set.revoke_principal(&"alice").unwrap();
        for &time in times {
            clock.set(time);
            set.sweep(usize::MAX);
            set.revoke("later", at(2_000)).unwrap();
            assert!(!set.check(&"later").is_clear());
            // By the clock as it is: what has not expired by it is not clear.
            if time < at(2_000) {
                for token in ["alone", "tracked", "later"] {
                    assert!(!set.check(&token).is_clear(), "{token} at {time:?} of {times:?}");
                }
                let standing = set.check_issued(&"untracked", &"alice", at(1_000));
                assert!(!standing.is_clear(), "untracked at {time:?} of {times:?}");
            }
        }
    });
}

#[test]
fn a_frozen_clock_forgets_nothing() {
    let clock = ManualClock::new(at(1_000));
    let set = RevocationSet::with_clock(RevocationConfig::new().capacity(2), clock).unwrap();
    set.revoke(1, at(1_001)).unwrap();
    set.track(7, 2, at(1_001)).unwrap();
    for _ in 0..100 {
        assert_eq!(set.sweep(usize::MAX).removed, 0);
        assert!(set.revoke(3, at(9_000)).is_err(), "full, and nothing has expired");
    }
    assert_eq!(set.check(&1), Standing::Revoked);
}

#[test]
fn a_budget_is_never_oversold_and_a_window_never_admits_more_whatever_the_clock_does() {
    broken_clocks(|times| {
        let meter = Meter::new(Limits::new(9).with_rate(2, Duration::from_secs(60)), times[0]).unwrap();
        let (mut admitted, mut last) = (0, None);
        for &time in &times[1..] {
            let calls = (0..5).filter(|_| meter.admit(1, time).is_ok()).count() as u64;
            admitted += calls;
            assert!(calls <= 2 && admitted <= 9);
            // A window of its own only for a time beyond all windows before.
            assert!(calls == 0 || last.is_none_or(|last| time > last), "{calls} at {time:?} of {times:?}");
            last = last.max(Some(time));
        }
    });
}

#[test]
fn a_session_expires_once_and_its_budget_holds_whatever_the_clock_does() {
    broken_clocks(|times| {
        let clock = ManualClock::new(at(1_000));
        let store = SessionStore::with_clock(SessionConfig::new().capacity(2), clock.clone()).unwrap();
        let request = SessionRequest::new(Uuid::nil()).budget(3).time_limit(Duration::from_secs(60)).tools(Tools::Any);
        let id = store.create(request.clone()).unwrap();
        let (mut admitted, mut over) = (0, false);
        for &time in times {
            clock.set(time);
            let done = store.admit(&id, None, &[""]);
            assert!(!over || done.is_err(), "alive again at {time:?} of {times:?}");
            admitted += u64::from(done.is_ok());
            over |= matches!(done, Err(SessionError::Expired | SessionError::NotFound));
            over |= store.sweep(usize::MAX).removed > 0;
        }
        assert!(admitted <= 3);
        assert_eq!(store.stats().expired, u64::from(over));
        // Whatever the clock says then, the store still opens sessions, up to its capacity, and closes them.
        let id = store.create(request).unwrap();
        assert!(store.admit(&id, None, &["", ""]).is_ok());
        store.close(&id).unwrap();
    });
}

#[test]
fn a_handle_expires_once_whatever_the_clock_does() {
    broken_clocks(|times| {
        let clock = ManualClock::new(at(1_000));
        let config = HandleConfig::new().capacity(2).ttl(Duration::from_secs(60));
        let store = HandleStore::<String, _>::with_clock(config, clock.clone()).unwrap();
        let id = store.store(HandleRequest::new(""), String::new()).unwrap().id;
        let mut over = false;
        for &time in times {
            clock.set(time);
            let found = store.get(&id);
            assert!(!over || found == Err(HandleError::NotFound), "there again at {time:?} of {times:?}");
            over |= found.is_err() || store.sweep(usize::MAX).removed > 0;
        }
        assert_eq!(store.stats().expired, u64::from(over));
        let handle = store.store(HandleRequest::new(""), String::new()).unwrap();
        assert!(handle.expires_at > handle.created_at && store.get(&handle.id).is_ok());
        assert!(store.stats().live <= 2);
    });
}

#[test]
fn records_of_a_posture_never_go_back_whatever_the_clock_does() {
    broken_clocks(|times| {
        let clock = ManualClock::new(at(1_000));
        let machine = PostureMachine::with_clock(PostureConfig::new().history(9), clock.clone()).unwrap();
        for &time in times {
            clock.set(time);
            machine.set_posture("a", Posture::Tool).unwrap();
        }
        let records = machine.history(&HistoryQuery::new());
        assert_eq!(records.len(), times.len());
        assert!(records.windows(2).all(|two| two[0].recorded_at <= two[1].recorded_at && two[0].seq < two[1].seq));
    });
}

#[test]
fn a_body_goes_for_its_age_only_if_it_is_older_by_the_clock_as_it_is() {
    broken_clocks(|times| {
        let clock = ManualClock::new(at(1_000));
        let store = BodyStore::with_clock(BodyConfig::new(), clock.clone()).unwrap();
        let receipt = store.insert(Record::log("turn", at(1_000), "", ""), b"body").unwrap();
        let mut is_there = true;
        for &time in times {
            clock.set(time);
            store.prune(PrunePolicy::keep_all().max_age(Duration::from_secs(60)));
            is_there &= time <= at(1_060);
            assert_eq!(store.get(&receipt.body.unwrap()).is_ok(), is_there);
        }
    });
}

#[test]
fn raw_data_that_was_not_analysed_is_not_lost_to_a_clock() {
    broken_clocks(|times| {
        let clock = ManualClock::new(at(1_000));
        let tiers = MemoryTiers::with_clock(2, clock.clone()).unwrap();
        tiers.ingest("raw", Ingest::new(), vec![0; 9]).unwrap();
        let policy = RetentionPolicy::new(RetentionConfig::new().max_age(Duration::from_secs(60))).unwrap();
        for &time in times {
            clock.set(time);
            let report = sweep(&tiers, &policy, None, time);
            assert!(report.backstop_evicted.is_empty() && !report.lost_data());
            assert!(tiers.raw(&"raw").is_ok());
        }
        // What was is evicted for its age once.
        tiers.record_analysis(&"raw", vec![0]).unwrap();
        let evicted =
            times.iter().map(|&time| sweep(&tiers, &policy, None, time).backstop_evicted.len()).sum::<usize>();
        assert_eq!(evicted, usize::from(times.iter().any(|&time| time > at(1_060))));
    });
}
