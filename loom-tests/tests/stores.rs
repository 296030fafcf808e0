//! Races of the stores' operations of several steps.

use loom_tests::{Order, bounded, coarse, exhaustive};
use std::time::Duration;
use tollgate::clock::{ManualClock, Timestamp};
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore, Status, Tools};
use uuid::Uuid;

const AGENT: Uuid = Uuid::from_u128(7);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

fn sessions(config: SessionConfig) -> (SessionStore<ManualClock>, ManualClock) {
    let clock = ManualClock::new(at(100));
    (SessionStore::with_clock(config, clock.clone()).unwrap(), clock)
}

fn request() -> SessionRequest {
    SessionRequest::new(AGENT).budget(1).tools(Tools::Any).time_limit(Duration::from_secs(10))
}

/// Sweeps while another sweep, which looks at nothing, raises the time, and once more at that time. The first has to judge
/// by the time that was raised, or it puts off what is over.
fn sweep_as_time_goes_on(order: Order, clock: ManualClock, sweep: impl Fn(usize) -> u64 + Clone + Send + 'static) {
    let (one, two) = (sweep.clone(), sweep.clone());
    let later = move || {
        clock.set(at(500));
        two(0)
    };
    order.race(move || one(8), later);
    sweep(8);
}

#[test]
fn session_admit_close() {
    exhaustive(|order| {
        let (store, _) = sessions(SessionConfig::new());
        let id = store.create(request()).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let close = move || {
            two.close(&id).unwrap();
            two.get(&id).unwrap().usage.calls_made
        };
        let (admitted, at_close) = order.race(move || one.admit(&id, None, &["tool"]).is_ok(), close);
        assert_eq!(at_close, u64::from(admitted));
        assert_eq!(store.count_active(&AGENT), 0);
    });
}

#[test]
fn session_admit_close_for_agent() {
    exhaustive(|order| {
        let (store, _) = sessions(SessionConfig::new());
        let id = store.create(request()).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let close = move || {
            let closed = two.close_for_agent(&AGENT);
            let info = two.get(&id).unwrap();
            (closed, info.status, info.usage.calls_made)
        };
        let (admitted, (closed, status, calls)) = order.race(move || one.admit(&id, None, &["tool"]).is_ok(), close);
        assert_eq!((closed, status), (1, Status::Closed));
        assert_eq!(calls, u64::from(admitted), "a call was admitted after the session was seen closed");
    });
}

#[test]
fn session_admit_close_for_agent_admit() {
    exhaustive(|order| {
        let (store, _) = sessions(SessionConfig::new());
        let id = store.create(request().budget(2)).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let close = move || {
            two.close_for_agent(&AGENT);
            two.admit(&id, None, &["tool"])
        };
        let (_, after) = order.race(move || one.admit(&id, None, &["tool"]).is_ok(), close);
        assert_eq!(after, Err(SessionError::Closed));
    });
}

#[test]
fn session_close_close_for_agent_counts_it_once() {
    exhaustive(|order| {
        let (store, _) = sessions(SessionConfig::new());
        let id = store.create(request()).unwrap();
        let (one, two) = (store.clone(), store.clone());
        order.race(move || one.close(&id).is_ok(), move || two.close_for_agent(&AGENT));
        assert_eq!(store.get(&id).unwrap().status, Status::Closed);
        assert_eq!(store.stats().closed, 1);
        let again = store.create(request()).unwrap();
        assert_eq!(store.count_active(&AGENT), 1);
        assert!(store.admit(&again, None, &["tool"]).is_ok());
    });
}

#[test]
fn session_expire_close_for_agent_leaves_it_as_it_was_told() {
    exhaustive(|order| {
        let (store, _) = sessions(SessionConfig::new());
        let id = store.create(request()).unwrap();
        let (one, two) = (store.clone(), store.clone());
        // By its caller's clock it is over.
        let late = move || one.admit_at(&id, None, &["tool"], at(111)).unwrap_err();
        let close = move || {
            two.close_for_agent(&AGENT);
            two.get(&id).unwrap().status
        };
        let (told, seen) = order.race(late, close);
        let left = store.get(&id).unwrap().status;
        assert_eq!((told == SessionError::Expired, seen), (left == Status::Expired, left), "{told}");
    });
}

#[test]
fn session_expire_expire_gives_the_place_back_once() {
    exhaustive(|order| {
        let (store, clock) = sessions(SessionConfig::new().sessions_per_agent(2));
        let id = store.create(request()).unwrap();
        clock.set(at(105));
        store.create(request()).unwrap();
        clock.set(at(111));
        let (one, two) = (store.clone(), store.clone());
        order.race(move || one.admit(&id, None, &["tool"]).is_ok(), move || two.close(&id).is_ok());
        assert_eq!(store.count_active(&AGENT), 1);
    });
}

/// Who closes it has shut it, and not given its place back yet, when the sweep takes it out.
#[test]
fn session_close_sweep_leaves_no_roster() {
    // The sweep takes it out of three tables: exhausting it takes minutes.
    bounded(|order| {
        let (store, clock) = sessions(SessionConfig::new());
        let id = store.create(request()).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let sweep = move || {
            clock.set(at(111));
            two.sweep(8)
        };
        order.race(move || one.close(&id).is_ok(), sweep);
        while store.sweep(8).more {}
        assert_eq!((store.stats().live, store.stats().agents), (0, 0), "a roster was left behind");
    });
}

#[test]
fn session_create_create_at_the_cap() {
    // Each inserts into three tables: too many steps to exhaust.
    bounded(|order| {
        let (store, _) = sessions(SessionConfig::new().sessions_per_agent(1));
        let (one, two) = (store.clone(), store.clone());
        let (first, second) = order.race(move || one.create(request()), move || two.create(request()));
        assert!(first.is_ok() ^ second.is_ok());
        let refused = first.and(second).unwrap_err();
        assert_eq!(refused, SessionError::TooManySessions { max: 1 });
        assert_eq!((store.count_active(&AGENT), store.stats().live), (1, 1));
    });
}

#[test]
fn session_create_close_for_agent_leaves_nothing_closed_behind() {
    // Each create inserts into two tables: too many steps to exhaust.
    coarse(|order| {
        let (store, _) = sessions(SessionConfig::new());
        // The time is known to the queue: a sweep has nothing to do with sessions that are not due, and learns nothing of them.
        store.sweep(0);
        store.create(request()).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let close_and_sweep = move || {
            two.close_for_agent(&AGENT);
            two.sweep(8)
        };
        order.race(move || one.create(request()).unwrap(), close_and_sweep);
        store.sweep(8);
        assert_eq!(store.stats().live, store.count_active(&AGENT), "what is closed may be swept at once");
    });
}

#[test]
fn session_create_close_for_agent_counts_what_it_closes() {
    bounded(|order| {
        // The new session is on the roster that is closed, or on another.
        let (store, _) = sessions(SessionConfig::new());
        store.create(request()).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let (_, closed) = order.race(move || one.create(request()).unwrap(), move || two.close_for_agent(&AGENT));
        assert_eq!(closed + store.count_active(&AGENT), 2);
    });
}

#[test]
fn session_close_for_agent_twice_create() {
    // Two walks of a roster beside an insert into three tables.
    coarse(|order| {
        // One of them closes the roster, and the other means the same one when the agent has a new one.
        let (store, _) = sessions(SessionConfig::new());
        store.create(request()).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let renew = move || {
            one.close_for_agent(&AGENT);
            one.create(request()).unwrap()
        };
        let (id, _) = order.race(renew, move || two.close_for_agent(&AGENT));
        let active = store.get(&id).unwrap().status == Status::Active;
        assert_eq!(store.count_active(&AGENT), u64::from(active));
    });
}

#[test]
fn session_sweep_of_the_last_of_an_agent_create() {
    bounded(|order| {
        // The roster is empty, and about to be dropped, when the new session is counted in it.
        let (store, _) = sessions(SessionConfig::new());
        let old = store.create(request()).unwrap();
        store.close(&old).unwrap();
        let (one, two) = (store.clone(), store.clone());
        order.race(move || one.sweep(8), move || two.create(request()).unwrap());
        assert_eq!((store.count_active(&AGENT), store.stats().live), (1, 1));
    });
}

#[test]
fn session_sweep_sweep_gives_room_back_once() {
    bounded(|order| {
        let (store, _) = sessions(SessionConfig::new());
        // The time is known to the queue: the sweeps have one bucket to look at.
        store.sweep(0);
        let old = store.create(request()).unwrap();
        store.close(&old).unwrap();
        let (one, two) = (store.clone(), store.clone());
        let (first, second) = order.race(move || one.sweep(8).removed, move || two.sweep(8).removed);
        assert_eq!((first + second, store.stats().live), (1, 0));
    });
}

#[test]
fn session_sweep_sweep_later_leaves_nothing_behind() {
    exhaustive(|order| {
        let (store, clock) = sessions(SessionConfig::new());
        store.create(request()).unwrap();
        let swept = store.clone();
        sweep_as_time_goes_on(order, clock, move |limit| swept.sweep(limit).removed);
        assert_eq!(store.stats().live, 0);
    });
}

type Set = RevocationSet<u64, u64, ManualClock>;

/// Tokens of ten seconds, a grace of one.
fn revocations(capacity: u64) -> (Set, ManualClock) {
    let clock = ManualClock::new(at(100));
    let config = RevocationConfig::new()
        .capacity(capacity)
        .grace(Duration::from_secs(1))
        .max_token_life(Duration::from_secs(10));
    (Set::with_clock(config, clock.clone()).unwrap(), clock)
}

#[test]
fn revoke_check() {
    exhaustive(|order| {
        let (set, _) = revocations(4);
        let (one, two) = (set.clone(), set.clone());
        let revoke = move || {
            one.revoke(1, at(105)).unwrap();
            one.check(&1)
        };
        let (ours, seen) = order.race(revoke, move || two.check(&1));
        assert_eq!(ours, Standing::Revoked);
        assert!(matches!(seen, Standing::Clear | Standing::Revoked));
        assert_eq!(set.check(&1), Standing::Revoked);
    });
}

#[test]
fn revoke_sweep_check() {
    exhaustive(|order| {
        // A sweep by a clock that jumped ahead forgets the token; a check by the right time must not find it clear.
        let (set, clock) = revocations(4);
        set.revoke(1, at(105)).unwrap();
        clock.set(at(500));
        let (one, two) = (set.clone(), set.clone());
        let (_, seen) = order.race(move || one.sweep(8), move || two.check_at(&1, at(101)));
        assert_ne!(seen, Standing::Clear);
    });
}

#[test]
fn revoke_principal_track_later_check() {
    exhaustive(|order| {
        // Time goes on when the token has been revoked, so it never was one that has expired and is not.
        let (set, clock) = revocations(4);
        set.track(7, 1, at(105)).unwrap();
        let (one, two) = (set.clone(), set.clone());
        let revoke_and_go_on = move || {
            one.revoke_principal(&7).unwrap();
            clock.set(at(106));
            one.track(8, 2, at(110)).unwrap();
        };
        let (_, seen) = order.race(revoke_and_go_on, move || two.check_at(&1, at(101)));
        assert!(matches!(seen, Standing::Clear | Standing::Revoked), "{seen:?}");
    });
}

#[test]
fn sweep_of_the_last_of_a_cohort_check() {
    exhaustive(|order| {
        // The cohort ends with its last token, which was never revoked.
        let (set, clock) = revocations(4);
        set.track(7, 1, at(105)).unwrap();
        clock.set(at(500));
        let (one, two) = (set.clone(), set.clone());
        let (_, seen) = order.race(move || one.sweep(8), move || two.check_at(&1, at(101)));
        assert!(matches!(seen, Standing::Clear | Standing::Expired | Standing::Unknown), "{seen:?}");
    });
}

#[test]
fn retrack_sweep() {
    // If the sweep wins, all of registering is in the race: too many steps to exhaust.
    bounded(|order| {
        // The token is due by its first expiry, and revoked; whoever wins, what was re-tracked is not forgotten.
        let (set, clock) = revocations(4);
        set.track(7, 1, at(105)).unwrap();
        set.revoke(1, at(105)).unwrap();
        clock.set(at(106));
        // The time is known to the set already, so that the two race for the token alone.
        set.sweep(0);
        let (one, two) = (set.clone(), set.clone());
        let (_, swept) = order.race(move || one.track(7, 1, at(200)).unwrap(), move || two.sweep(8));
        if swept.removed == 0 {
            assert_eq!(set.check(&1), Standing::Revoked);
        }
        clock.set(at(104));
        assert_ne!(set.check(&1), Standing::Clear, "at a time at which it was revoked");
        clock.set(at(150));
        set.sweep(8);
        assert_eq!(set.stats().live, 1, "an entry that lives until 200 was forgotten at 150");
        clock.set(at(250));
        set.sweep(8);
        assert_eq!(set.stats().live, 0, "an entry that lived until 200 is there for ever");
    });
}

#[test]
fn revoke_sweep_sweep_later_leaves_nothing_behind() {
    exhaustive(|order| {
        let (set, clock) = revocations(4);
        set.revoke(1, at(105)).unwrap();
        let swept = set.clone();
        sweep_as_time_goes_on(order, clock, move |limit| swept.sweep(limit).removed);
        assert_eq!(set.stats().live, 0);
    });
}

#[test]
fn sweep_of_a_cutoff_sweep_later_leaves_nothing_behind() {
    exhaustive(|order| {
        let (set, clock) = revocations(4);
        set.revoke_principal(&7).unwrap();
        let swept = set.clone();
        sweep_as_time_goes_on(order, clock, move |limit| swept.sweep(limit).removed);
        assert_eq!(set.stats().cutoffs, 0);
    });
}

#[test]
fn revoke_full() {
    exhaustive(|order| {
        let (set, _) = revocations(1);
        let (one, two) = (set.clone(), set.clone());
        let (first, second) =
            order.race(move || one.revoke(1, at(105)).is_ok(), move || two.revoke(2, at(105)).is_ok());
        assert!(first ^ second);
        assert_eq!(set.stats().live, 1);
        assert_eq!(set.check(if first { &1 } else { &2 }), Standing::Revoked);
    });
}

#[test]
fn revoke_revoke_of_one_token_takes_one_place() {
    exhaustive(|order| {
        let (set, _) = revocations(2);
        let (one, two) = (set.clone(), set.clone());
        order.race(move || one.revoke(1, at(105)).unwrap(), move || two.revoke(1, at(104)).unwrap());
        assert_eq!((set.stats().live, set.stats().revoked), (1, 1));
    });
}

#[test]
fn revoke_principal_track() {
    // Each inserts into three tables: too many steps to exhaust.
    bounded(|order| {
        let (set, _) = revocations(4);
        let (one, two) = (set.clone(), set.clone());
        let (_, newly) = order.race(move || one.track(7, 1, at(105)).unwrap(), move || two.revoke_principal(&7));
        let expected = if newly.unwrap() == 1 { Standing::Revoked } else { Standing::Clear };
        assert_eq!(set.check(&1), expected);
        assert_eq!(set.check_issued(&1, &7, at(100)), Standing::Revoked);
    });
}

#[test]
fn revoke_principal_revoke_principal_counts_once() {
    // Each replaces the principal's entry: too many steps to exhaust.
    bounded(|order| {
        let (set, _) = revocations(4);
        // The cutoff is there already, so that the two race for the cohort alone.
        set.revoke_principal(&7).unwrap();
        set.track(7, 1, at(105)).unwrap();
        let (one, two) = (set.clone(), set.clone());
        let revoke = |set: Set| move || (set.revoke_principal(&7).unwrap(), set.check(&1));
        let ((first, seen), (second, also_seen)) = order.race(revoke(one), revoke(two));
        assert_eq!(first + second, 1);
        assert_eq!((seen, also_seen), (Standing::Revoked, Standing::Revoked), "returned before it was revoked");
        assert_eq!((set.check(&1), set.stats().cutoffs), (Standing::Revoked, 1));
    });
}

#[test]
fn revoke_track_of_one_token() {
    // Each inserts into three tables: too many steps to exhaust.
    bounded(|order| {
        let (set, _) = revocations(4);
        let (one, two) = (set.clone(), set.clone());
        order.race(move || one.revoke(1, at(105)).unwrap(), move || two.track(7, 1, at(105)).unwrap());
        assert_eq!((set.check(&1), set.stats().live), (Standing::Revoked, 1));
        assert_eq!(set.revoke_principal(&7), Ok(0), "a token that is revoked is in no cohort");
    });
}

#[test]
fn sweep_of_the_last_of_a_cohort_track() {
    bounded(|order| {
        // The cohort ends with its last token, just when another one joins it.
        let (set, clock) = revocations(4);
        set.track(7, 1, at(105)).unwrap();
        clock.set(at(120));
        let (one, two) = (set.clone(), set.clone());
        order.race(move || one.sweep(8), move || two.track(7, 2, at(200)).unwrap());
        assert_eq!((set.revoke_principal(&7), set.check(&2)), (Ok(1), Standing::Revoked));
    });
}

#[test]
fn sweep_of_a_cutoff_check_issued() {
    exhaustive(|order| {
        // A sweep by a clock that jumped ahead drops the cutoff; a check by the right time must not find it clear.
        let (set, clock) = revocations(4);
        set.revoke_principal(&7).unwrap();
        // Known, so that it is the cutoff alone that is missed.
        set.track(7, 1, at(600)).unwrap();
        clock.set(at(500));
        let (one, two) = (set.clone(), set.clone());
        let check = move || two.check_issued_at(&1, &7, at(100), at(101));
        let (_, seen) = order.race(move || one.sweep(8), check);
        assert_ne!(seen, Standing::Clear);
    });
}

#[test]
fn sweep_of_a_cutoff_revoke_principal_leaves_nothing_behind() {
    coarse(|order| {
        // The cutoff may be over before the call that set it has revoked what is tracked, which stays.
        let (set, clock) = revocations(4);
        set.track(7, 1, at(130)).unwrap();
        let (one, two, later) = (set.clone(), set.clone(), clock.clone());
        let sweep = move || {
            later.set(at(120));
            one.sweep(8)
        };
        order.race(sweep, move || two.revoke_principal(&7).unwrap());
        clock.set(at(140));
        set.sweep(8);
        let stats = set.stats();
        assert_eq!((stats.live, stats.cutoffs, stats.principals), (0, 0, 0));
    });
}

#[test]
fn sweep_of_a_cutoff_revoke_principal() {
    bounded(|order| {
        // The cutoff has ended when it is set again.
        let (set, clock) = revocations(4);
        set.revoke_principal(&7).unwrap();
        clock.set(at(111));
        let (one, two) = (set.clone(), set.clone());
        order.race(move || one.sweep(8), move || two.revoke_principal(&7).unwrap());
        assert_eq!((set.check_issued(&1, &7, at(111)), set.stats().cutoffs), (Standing::Revoked, 1));
    });
}
