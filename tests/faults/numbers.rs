//! Zero, 2^64 - 1 and what is next to them, wherever a number is taken: a typed error or the right answer, and no overflow.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyError, BodyStore, PrunePolicy, Record, SpanStatus};
use tollgate::budget::{Limits, Meter, Status};
use tollgate::clock::{Clock, ManualClock, Timestamp};
use tollgate::deadline::{DeadlineQueue, Next};
use tollgate::error::ConfigError;
use tollgate::fifo::{FifoMap, Reason};
use tollgate::handle::{ExpandError, Grant, HandleConfig, HandleRequest, HandleStore, Payload, Query, Rows};
use tollgate::hash::RandomState;
use tollgate::map::ShardedMap;
use tollgate::posture::{Downgrade, HistoryQuery, Posture, PostureConfig, PostureMachine, TransitionRequest};
use tollgate::retention::{Ingest, MemoryTiers, RawSession, RetentionConfig, RetentionPolicy, TieredStore, sweep};
use tollgate::revocation::{RevocationConfig, RevocationSet};
use tollgate::session::{SessionConfig, SessionError, SessionRequest, SessionStore, Tools};
use tollgate::trace::{ActionTrace, TraceError, TraceQuery, TraceStore};
use uuid::Uuid;

/// A file, functions in it, and what calls them.
type Row = (&'static str, &'static [&'static str], fn());

/// Every public function that takes a number or a time, called with each of [`NUMBERS`]. One that is missing here fails a
/// test.
const TABLE: &[Row] = &[
    ("clock.rs", &["from_nanos", "from_millis", "from_secs", "saturating_add", "saturating_sub"], timestamps),
    ("clock.rs", &["saturating_since", "new", "set", "advance"], timestamps),
    ("budget/mod.rs", &["new", "with_rate", "admit", "refund", "spent_at"], meters),
    ("deadline/mod.rs", &["add", "sweep", "advance"], deadlines),
    ("map.rs", &["with_shards_and_hasher", "with_filter"], maps),
    ("fifo/mod.rs", &["builder"], fifos),
    ("fifo/builder.rs", &["max_bytes"], fifos),
    ("fifo/evict.rs", &["evict_while"], fifos),
    ("trace/mod.rs", &["new", "with_listener", "latest"], traces),
    ("trace/record.rs", &["new"], traces),
    ("session/mod.rs", &["admit_at", "sweep"], sessions),
    ("session/admission.rs", &["admit_at"], sessions),
    ("session/request.rs", &["budget", "time_limit", "rate", "capacity", "sessions_per_agent"], sessions),
    ("session/error.rs", &["retry_after"], sessions),
    ("revocation/mod.rs", &["revoke", "revoke_owned", "track", "pin_at", "check_at", "check_issued"], revocations),
    ("revocation/mod.rs", &["check_issued_at", "sweep"], revocations),
    ("revocation/config.rs", &["capacity", "grace", "max_token_life"], revocations),
    ("handle/mod.rs", &["sweep"], handles),
    ("handle/config.rs", &["capacity", "ttl", "max_entry_bytes", "max_total_bytes", "is_expired_at"], handles),
    ("handle/rows.rs", &["max_rows"], rows),
    ("body/config.rs", &["max_bytes", "compress_above", "records_per_turn", "max_age"], bodies),
    ("body/record.rs", &["log", "open", "close"], bodies),
    ("posture/config.rs", &["history", "history_share", "agents"], postures),
    ("posture/history.rs", &["limit"], postures),
    ("posture/transition.rs", &["requested_at"], postures),
    ("retention/policy.rs", &["soft_cap", "hard_cap", "max_age", "tier2_cap", "new", "age"], retention),
    ("retention/memory.rs", &["started_at", "ended_at", "new", "with_clock"], retention),
    ("retention/mod.rs", &["sweep"], retention),
];

const NUMBERS: [u64; 6] = [0, 1, 2, 1 << 63, u64::MAX - 1, u64::MAX];
const SIGNED: [i64; 5] = [i64::MIN, -1, 0, 1, i64::MAX];

fn times() -> impl Iterator<Item = Timestamp> {
    NUMBERS.into_iter().map(Timestamp::from_nanos)
}

fn durations() -> impl Iterator<Item = Duration> {
    NUMBERS.into_iter().map(Duration::from_nanos).chain([Duration::from_secs(1), Duration::MAX])
}

/// Each with each.
fn pairs<A: Copy, B: Copy>(first: impl IntoIterator<Item = A>, second: impl IntoIterator<Item = B>) -> Vec<(A, B)> {
    let second: Vec<_> = second.into_iter().collect();
    first.into_iter().flat_map(|a| second.iter().map(move |&b| (a, b))).collect()
}

#[test]
fn both_ends_of_every_number_are_an_error_or_right() {
    for (file, functions, check) in TABLE {
        check();
        println!("numbers: {file}: {}", functions.join(", "));
    }
    let functions: usize = TABLE.iter().map(|(_, functions, _)| functions.len()).sum();
    println!("numbers: {functions} functions");
}

/// The names of public functions whose parameters have one of these types, in the text of a file without its tests.
fn taking_numbers(text: &str) -> Vec<String> {
    const TYPES: [&str; 6] = ["u64", "u32", "usize", "i64", "Duration", "Timestamp"];
    let text = text.split("#[cfg(test)]").next().unwrap();
    let heads = text.split("pub fn ").skip(1).chain(text.split("pub const fn ").skip(1));
    let takes = |head: &&str| {
        // Up to the body, and less what is returned and what closures take and return.
        let parameters = head.split(['{', ';']).next().unwrap().split(") ->").next().unwrap();
        let plain = parameters.split(['(', ',']).filter(|it| !it.contains("Fn") && !it.contains("->"));
        plain
            .skip(1)
            .any(|it| TYPES.iter().any(|name| it.trim_end_matches([')', ' ', '\n']).ends_with(&format!(": {name}"))))
    };
    heads.filter(takes).map(|head| head.split(['(', '<']).next().unwrap().to_owned()).collect()
}

#[test]
fn no_public_function_that_takes_a_number_is_missing_from_the_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = 0;
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = path.strip_prefix(&source).unwrap().to_str().unwrap().replace('\\', "/");
            for name in taking_numbers(&fs::read_to_string(&path).unwrap()) {
                let listed = |row: &Row| row.0 == file && row.1.contains(&&*name);
                assert!(TABLE.iter().any(listed), "{file}: {name} is missing");
                found += 1;
            }
        }
    }
    assert!(found > 60, "{found} functions: the source was not understood");
}

fn timestamps() {
    for (number, time) in pairs(NUMBERS, times()) {
        for made in [Timestamp::from_nanos(number), Timestamp::from_millis(number), Timestamp::from_secs(number)] {
            assert!(made.as_nanos() >= number);
            assert!(made.saturating_since(time) <= Duration::from_nanos(u64::MAX));
            assert!(!format!("{made:?}").is_empty());
        }
    }
    for (time, duration) in pairs(times(), durations()) {
        assert!(time.saturating_add(duration) >= time && time.saturating_sub(duration) <= time);
        let clock = ManualClock::new(time);
        clock.advance(duration);
        assert_eq!(clock.now(), time.saturating_add(duration));
        clock.set(time);
        assert_eq!(clock.now(), time);
    }
}

fn meters() {
    for (budget, (calls, window)) in pairs(NUMBERS, pairs(NUMBERS, durations())) {
        for rated in [false, true] {
            let limits = Limits::new(budget);
            let limits = if rated { limits.with_rate(calls, window) } else { limits };
            for (made_at, now) in pairs(times(), times()) {
                let Ok(meter) = Meter::new(limits, made_at) else { continue };
                let mut spent = 0_u64;
                for asked in NUMBERS {
                    if meter.admit(asked, now).is_ok() {
                        spent = spent.checked_add(asked).expect("oversold");
                    }
                    assert!(spent <= budget);
                    assert!(!rated || meter.spent_at(now).window_calls <= calls);
                }
                assert_eq!(meter.spent_at(now).calls, spent);
                for (given_back, at) in pairs(NUMBERS, times()) {
                    meter.refund(given_back, at).unwrap();
                    spent = spent.saturating_sub(given_back);
                    assert_eq!(meter.spent_at(at).calls, spent);
                }
                assert_eq!(meter.shut(Status::Closed).unwrap().remaining, budget - spent);
            }
        }
    }
    let refused = |limits: Limits| Meter::new(limits, Timestamp::ZERO).unwrap_err();
    assert!(matches!(refused(Limits::new(1).with_rate(1, Duration::ZERO)), ConfigError::Zero { .. }));
    assert!(matches!(refused(Limits::new(1).with_rate(1, Duration::MAX)), ConfigError::TooLarge { .. }));
    let both = Limits::new(u64::MAX).with_rate(u64::MAX, Duration::from_secs(1));
    assert!(matches!(refused(both), ConfigError::TooLarge { .. }));
}

fn deadlines() {
    for (swept, (deadline, limit)) in pairs(times(), pairs(times(), [0, 1, usize::MAX])) {
        for next in times().map(Next::KeepUntil).chain([Next::Drop]) {
            let queue = DeadlineQueue::new();
            queue.add((), deadline);
            queue.sweep(swept, limit, |(), _| next);
            let dropped = next == Next::Drop && deadline <= swept && deadline < Timestamp::MAX && limit > 0;
            assert_eq!(queue.is_empty(), dropped, "{deadline:?} at {swept:?}, {next:?}");
            assert!(queue.advance(Timestamp::MAX) < Timestamp::MAX, "the end of time never comes");
        }
    }
}

fn maps() {
    for shards in [0, 1, 3, usize::MAX - 1, usize::MAX] {
        for new in [ShardedMap::with_shards_and_hasher, ShardedMap::with_filter] {
            let map = new(shards, RandomState::with_seeds(1, 2, 3, 4));
            (0..100).for_each(|key| assert_eq!(map.insert(key, key), None));
            assert_eq!(map.len(), 100);
        }
    }
}

fn fifos() {
    for (cap, (max, weight)) in pairs(NUMBERS, pairs(NUMBERS, NUMBERS)) {
        let built = FifoMap::builder(cap).max_bytes(max, |_, &weight: &u64| weight).build();
        let Ok(map) = built else {
            assert!(cap == 0 || max == 0);
            continue;
        };
        for key in 0..3 {
            assert_eq!(map.insert(key, weight).is_ok(), weight <= max);
            // In place of one that weighs something else.
            for other in NUMBERS.into_iter().filter(|&other| other <= max) {
                map.insert(key, other).unwrap();
            }
            let sum: u128 = map.snapshot().iter().map(|entry| u128::from(entry.2)).sum();
            assert!(sum <= max.into() && sum == map.stats().bytes.into() && map.len() <= cap);
        }
        let live = map.len() as usize;
        assert_eq!(map.evict_while(0, |_, _| true), 0);
        assert_eq!(map.evict_while(usize::MAX, |_, _| true), live);
        assert!(map.pop_oldest(Reason::Age).is_none() && map.stats().bytes == 0);
    }
}

fn traces() {
    for cap in NUMBERS {
        let stores = [TraceStore::new(cap), TraceStore::with_listener(cap, |_, _| ())];
        for store in stores {
            let Ok(store) = store else {
                assert_eq!(cap, 0);
                continue;
            };
            times().for_each(|at| _ = store.record(ActionTrace::new(format!("{at:?}"), "", "", "", at)));
            let live = store.stats().live as usize;
            assert_eq!(live as u64, cap.min(NUMBERS.len() as u64));
            assert_eq!([0, 1, usize::MAX].map(|n| store.latest(n).len()), [0, 1, live]);
            for (offset, limit) in pairs(SIGNED, SIGNED) {
                let found = store.query(&TraceQuery { offset, limit: Some(limit), ..TraceQuery::default() });
                match found {
                    Err(TraceError::NegativeOffset { given }) => assert!(given < 0 && given == offset),
                    Err(TraceError::NegativeLimit { given }) => assert!(given < 0 && given == limit),
                    Err(other) => panic!("{other}"),
                    Ok(found) => {
                        let rest = live.saturating_sub(usize::try_from(offset).unwrap());
                        assert_eq!(found.len(), rest.min(usize::try_from(limit).unwrap()));
                    }
                }
            }
        }
    }
}

fn sessions() {
    for (capacity, per_agent) in pairs(NUMBERS, NUMBERS) {
        let config = SessionConfig::new().capacity(capacity).sessions_per_agent(per_agent);
        assert_eq!(SessionStore::new(config).is_ok(), capacity > 0 && per_agent > 0);
    }
    for (now, (budget, limit)) in pairs(times(), pairs(NUMBERS, durations())) {
        for rate in [None, Some((budget, limit)), Some((u64::MAX, limit)), Some((0, limit))] {
            let config = SessionConfig::new().capacity(u64::MAX);
            let store = SessionStore::with_clock(config, ManualClock::new(now)).unwrap();
            let mut request = SessionRequest::new(Uuid::nil()).budget(budget).time_limit(limit).tools(Tools::Any);
            request.rate = rate;
            let id = match store.create(request) {
                Ok(id) => id,
                Err(error) => {
                    assert!(rate.is_some() && matches!(error, SessionError::Config(_)));
                    continue;
                }
            };
            for at in times() {
                match store.admit_at(&id, None, &[""], at) {
                    Ok(usage) => assert!(usage.calls_made <= budget && usage.calls_made > 0),
                    Err(error) => times().for_each(|at| _ = error.retry_after(at)),
                }
                _ = store.pin().admit_at(&id, None, &[""], at).is_ok();
            }
            assert_eq!(store.sweep(0).removed, 0);
            store.sweep(usize::MAX);
        }
    }
}

fn revocations() {
    for (capacity, (grace, life)) in pairs([0, 1, u64::MAX], pairs(durations(), durations())) {
        let config = RevocationConfig::new().capacity(capacity).grace(grace).max_token_life(life);
        for now in times() {
            let clock = ManualClock::new(now);
            let Ok(set) = RevocationSet::with_clock(config.clone(), clock) else {
                assert!(capacity == 0 || life.is_zero());
                continue;
            };
            for expires_at in times() {
                if set.revoke("token", expires_at).is_ok() {
                    assert!(!set.check_at(&"token", now).is_clear());
                }
                _ = set.revoke_owned(&"alice", "owned", expires_at).is_ok();
                _ = set.track("alice", "tracked", expires_at).is_ok();
                if set.revoke_principal(&"alice").is_ok() {
                    assert!(!set.check_issued(&"any", &"alice", Timestamp::ZERO).is_clear());
                }
                times().for_each(|at| _ = set.check_issued_at(&"any", &"alice", expires_at, at));
                times().for_each(|at| _ = set.pin_at(at).check(&"any"));
                assert_eq!(set.sweep(0).removed, 0);
                assert!(set.stats().live <= capacity);
            }
            set.sweep(usize::MAX);
        }
    }
}

struct Weighs(u64);

impl Payload for Weighs {
    fn bytes(&self) -> u64 {
        self.0
    }

    fn rows(&self) -> u64 {
        self.0
    }
}

fn handles() {
    for (capacity, (entry, total)) in pairs(NUMBERS, pairs(NUMBERS, NUMBERS)) {
        for ttl in durations() {
            let config = HandleConfig::new().capacity(capacity).ttl(ttl).max_entry_bytes(entry).max_total_bytes(total);
            let clock = ManualClock::new(Timestamp::MAX);
            let Ok(store) = HandleStore::<Weighs, _>::with_clock(config, clock) else {
                assert!(capacity == 0 || ttl.is_zero() || entry == 0 || total == 0);
                continue;
            };
            for (bytes, ttl) in pairs(NUMBERS, [Duration::ZERO, ttl, Duration::MAX]) {
                if let Ok(handle) = store.store(HandleRequest::new("").ttl(ttl), Weighs(bytes)) {
                    assert!(handle.expires_at > handle.created_at && !handle.is_expired_at(handle.created_at));
                    assert!(!handle.is_expired_at(Timestamp::ZERO) && store.get(&handle.id).is_ok());
                }
                assert!(store.stats().bytes <= total && store.stats().live <= capacity);
            }
            assert_eq!(store.sweep(0).removed, 0);
            store.sweep(usize::MAX);
        }
    }
}

fn rows() {
    let store = HandleStore::<Rows>::new(HandleConfig::new()).unwrap();
    for max in NUMBERS {
        let rows = Rows::new(serde_json::json!([1, 2, 3]), Grant::new().max_rows(max));
        let id = store.store(HandleRequest::new(""), rows).unwrap().id;
        for (offset, limit) in pairs(SIGNED, SIGNED) {
            match store.expand(&id, &Query { offset, limit: Some(limit), ..Query::default() }, None) {
                Err(ExpandError::NegativeOffset { given }) => assert!(given < 0 && given == offset),
                Err(ExpandError::NegativeLimit { given }) => assert!(given < 0 && given == limit),
                Err(ExpandError::TooManyRows { asked, max: granted }) => assert!(asked > granted && granted == max),
                Err(other) => panic!("{other}"),
                Ok(page) => assert!(page.rows.len() as u64 <= max.min(limit as u64)),
            }
        }
    }
}

fn bodies() {
    let at = || times().chain([Timestamp::from_secs(1)]);
    for (max, (compress, records)) in pairs(NUMBERS, pairs([0, 1, usize::MAX], [0, 1, usize::MAX])) {
        let config = BodyConfig::new().max_bytes(max).compress_above(compress).records_per_turn(records);
        for now in times() {
            let Ok(store) = BodyStore::with_clock(config.clone(), ManualClock::new(now)) else {
                assert!(max == 0 || records == 0);
                continue;
            };
            for at in at() {
                let closed = Record::close("turn", at, "", "", Duration::MAX, SpanStatus::Ok);
                for record in [Record::log("turn", at, "", ""), Record::open("turn", at, "", ""), closed] {
                    match store.insert(record, b"body") {
                        Ok(receipt) => assert_eq!(store.get(&receipt.body.unwrap()).unwrap(), b"body"),
                        Err(BodyError::TooLarge { bytes, max: most }) => assert!(bytes > most && most == max),
                        Err(BodyError::TurnFull { max }) => assert_eq!(max, records),
                        Err(other) => panic!("{other}"),
                    }
                    assert!(store.stats().bytes <= max);
                }
            }
            assert_eq!(store.render_turn("turn").is_empty(), store.stats().records == 0);
            for (age, bytes) in pairs(durations(), [u64::MAX, 1 << 63, 1, 0]) {
                store.prune(PrunePolicy::keep_all().max_age(age).max_bytes(bytes));
                assert!(store.stats().bytes <= bytes);
            }
        }
    }
}

fn postures() {
    for (history, (share, agents)) in pairs(NUMBERS, pairs(NUMBERS, [0, 1, u64::MAX])) {
        let config = PostureConfig::new().history(history).history_share(share).agents(agents);
        for now in times() {
            let Ok(machine) = PostureMachine::with_clock(config.clone(), ManualClock::new(now)) else {
                assert_eq!(agents, 0);
                continue;
            };
            for agent in ["a", "b"] {
                for (posture, at) in pairs(Posture::ALL, times()) {
                    let request = TransitionRequest::new(agent, posture, posture).requested_at(at);
                    _ = machine.transition(&request).is_ok();
                    _ = machine.set_posture(agent, posture).is_ok();
                }
                let _ = machine.emergency_downgrade(agent, &Downgrade::new(""));
                assert_eq!(machine.get_posture(agent), Posture::Pseudo);
                assert!(machine.stats().records <= history && machine.stats().agents <= agents);
                let all = machine.history(&HistoryQuery::new()).len();
                assert_eq!(all as u64, machine.stats().records);
                let asked = [0, 1, usize::MAX].map(|limit| machine.history(&HistoryQuery::new().limit(limit)).len());
                assert_eq!(asked, [0, all.min(1), all]);
            }
        }
    }
}

/// A store of the user's with two sessions, which answers with these numbers whatever it is asked.
struct Says {
    held: u64,
    freed: u64,
}

impl TieredStore for Says {
    type Id = u8;
    type Error = Infallible;

    fn list_sessions(&self) -> Result<Vec<RawSession<u8>>, Infallible> {
        Ok([1, 2].map(|id| RawSession::new(id, self.held)).to_vec())
    }

    fn evict_raw(&self, _: &u8) -> Result<Option<u64>, Infallible> {
        Ok(Some(self.freed))
    }

    fn tier1_usage_bytes(&self) -> Result<u64, Infallible> {
        Ok(self.held)
    }

    fn tier2_usage_bytes(&self) -> Result<u64, Infallible> {
        Ok(self.held)
    }
}

fn stores_of_users() {
    for (held, (freed, hard)) in pairs(NUMBERS, pairs(NUMBERS, NUMBERS)) {
        let config = RetentionConfig::new().soft_cap(hard).hard_cap(hard).tier2_cap(1).largest_first(true);
        let Ok(policy) = RetentionPolicy::new(config) else { continue };
        let report = sweep(&Says { held, freed }, &policy, None, Timestamp::MAX);
        assert_eq!((report.final_usage_bytes, report.over_hard_cap), (held, held > hard));
        assert_eq!(report.bytes_freed, if held > hard { freed.saturating_mul(2) } else { 0 });
        assert_eq!((report.lost_data(), report.tier2_over_cap), (held > hard, held > 1));
    }
}

fn retention() {
    stores_of_users();
    for (soft, (hard, age)) in pairs(NUMBERS, pairs(NUMBERS, durations())) {
        for tier2 in [0, 1, u64::MAX] {
            let config = RetentionConfig::new().soft_cap(soft).hard_cap(hard).max_age(age).tier2_cap(tier2);
            let Ok(policy) = RetentionPolicy::new(config) else {
                assert!(hard == 0 || tier2 == 0 || age.is_zero() || hard < soft);
                continue;
            };
            for (now, began) in pairs(times(), times()) {
                let known = Ingest::new().started_at(began).ended_at(began);
                let tiers = MemoryTiers::with_clock(2, ManualClock::new(now)).unwrap();
                tiers.ingest(1, known, vec![0; 3]).unwrap();
                tiers.ingest(2, known, vec![0; 3]).unwrap();
                tiers.record_analysis(&1, vec![0; 3]).unwrap();
                let report = sweep(&tiers, &policy, None, now);
                assert!(report.final_usage_bytes <= hard);
                assert_eq!(tiers.tier1_usage_bytes(), Ok(report.final_usage_bytes));
                let aged = now.saturating_since(began) > age;
                assert_eq!(report.backstop_evicted, if aged { vec![1] } else { vec![] });
                assert_eq!(RawSession::new(1, u64::MAX).age(now), None);
            }
        }
    }
    assert!(MemoryTiers::<u64>::new(0).is_err() && MemoryTiers::<u64>::new(u64::MAX).is_ok());
}
