//! tollgate beside the sequential floor, the obvious mutex, and a crate or two. What is fair and what not: `README.md`.

use arbiter_session::{CreateSessionRequest, DataSensitivity, SessionStore as ArbiterStore};
use benches::Hasher;
use benches::load::{each, in_batches, key, pick};
use benches::plain::{self, Fifo, Sessions};
use benches::timing;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use dashmap::{DashMap, DashSet};
use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollgate::clock::{Clock, SystemClock};
use tollgate::fifo::FifoMap;
use tollgate::map::ShardedMap;
use tollgate::revocation::{RevocationConfig, RevocationSet, Standing};
use tollgate::session::{SessionConfig, SessionRequest, SessionStore, Tools};
use uuid::Uuid;

/// Entries of the maps, and revoked tokens.
const LIVE: u64 = 100_000;
/// Operations under one pin where pins are shared.
const PINNED: u64 = 64;
/// Entries of the FIFO map.
const CAP: u64 = 10_000;
/// Of so many tokens that are asked for, one is revoked.
const ASKED: u64 = 100;
/// Sessions, a hundred for each agent.
const SESSIONS: usize = 10_000;
/// What a session may call, and is called for.
const TOOLS: [&str; 8] =
    ["read_file", "write_file", "list_dir", "search_code", "run_tests", "open_issue", "send_mail", "fetch_url"];
/// A session's budget and, per minute, its rate: never reached.
const CALLS: u64 = 10_000_000;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

type Group<'c> = BenchmarkGroup<'c, WallTime>;

/// One thread, and one that need not share.
fn alone(group: &mut Group<'_>, name: &str, mut work: impl FnMut(u64, Range<u64>) -> u64) {
    let mut next = 0;
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new(name, 1), |bencher| {
        bencher.iter_custom(|count| {
            let operations = next..next + count;
            next = operations.end;
            timing::alone(operations, &mut work)
        });
    });
}

/// One thread, then two, each time on what `build` makes for so many. An iteration is one operation of each thread.
fn shared<W: Fn(u64, Range<u64>) -> u64 + Sync>(group: &mut Group<'_>, name: &str, build: impl Fn(u64) -> W) {
    alone(group, name, build(1));
    let threads = 2;
    let work = build(threads);
    let mut next = 0;
    group.throughput(Throughput::Elements(threads));
    group.bench_function(BenchmarkId::new(name, threads), |bencher| {
        bencher.iter_custom(|count| {
            let operations = next..next + count;
            next = operations.end;
            timing::together(threads, &operations, &work)
        });
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keys that are there at first, in equal parts by thread.
fn keys(threads: u64) -> impl Iterator<Item = u128> {
    (0..threads).flat_map(move |thread| (0..LIVE / threads).map(move |number| key(thread, number)))
}

fn pairs(threads: u64) -> impl Iterator<Item = (u128, u64)> {
    keys(threads).map(|key| (key, 1))
}

fn tollgate_map(threads: u64) -> ShardedMap<u128, u64> {
    let map = ShardedMap::with_hasher(Hasher::new());
    for (key, value) in pairs(threads) {
        map.insert(key, value);
    }
    map
}

fn map_get(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("map_get");
    let asked = |thread, operation| key(0, pick(thread, operation, LIVE));
    alone(&mut group, "harness", |t, ops| each(ops, |n| black_box(asked(t, n)) as u64));
    let map: HashMap<_, _, Hasher> = pairs(1).collect();
    alone(&mut group, "floor", |t, ops| each(ops, |n| map[&asked(t, n)]));
    shared(&mut group, "mutex", |_| {
        let map = Mutex::new(pairs(1).collect::<HashMap<_, _, Hasher>>());
        move |t, ops| each(ops, |n| lock(&map)[&asked(t, n)])
    });
    shared(&mut group, "dashmap", |_| {
        let map: DashMap<_, _, Hasher> = pairs(1).collect();
        move |t, ops| each(ops, |n| *map.get(&asked(t, n)).expect("there"))
    });
    shared(&mut group, "papaya_pin64", |_| {
        let map: papaya::HashMap<_, _, Hasher> = pairs(1).collect();
        move |t, ops| {
            in_batches(ops, PINNED, |batch| {
                let pinned = map.pin();
                each(batch, |n| *pinned.get(&asked(t, n)).expect("there"))
            })
        }
    });
    shared(&mut group, "tollgate_pin64", |_| {
        let map = tollgate_map(1);
        move |t, ops| {
            in_batches(ops, PINNED, |batch| {
                let pinned = map.pin();
                each(batch, |n| *pinned.get(&asked(t, n)).expect("there"))
            })
        }
    });
    shared(&mut group, "tollgate_pin_each", |_| {
        let map = tollgate_map(1);
        move |t, ops| each(ops, |n| map.get(&asked(t, n)).expect("there"))
    });
}

/// An operation inserts a key and removes the thread's oldest one, as two calls.
fn map_churn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("map_churn");
    let mut map: HashMap<_, _, Hasher> = pairs(1).collect();
    alone(&mut group, "floor", |t, ops| {
        each(ops, |n| {
            map.insert(key(t, n + LIVE), 1);
            map.remove(&key(t, n)).expect("there")
        })
    });
    shared(&mut group, "mutex", |threads| {
        let map = Mutex::new(pairs(threads).collect::<HashMap<_, _, Hasher>>());
        move |t, ops| {
            each(ops, |n| {
                lock(&map).insert(key(t, n + LIVE / threads), 1);
                lock(&map).remove(&key(t, n)).expect("there")
            })
        }
    });
    shared(&mut group, "dashmap", |threads| {
        let map: DashMap<_, _, Hasher> = pairs(threads).collect();
        move |t, ops| {
            each(ops, |n| {
                map.insert(key(t, n + LIVE / threads), 1);
                map.remove(&key(t, n)).expect("there").1
            })
        }
    });
    shared(&mut group, "papaya", |threads| {
        let map: papaya::HashMap<_, _, Hasher> = pairs(threads).collect();
        move |t, ops| {
            each(ops, |n| {
                map.pin().insert(key(t, n + LIVE / threads), 1);
                *map.pin().remove(&key(t, n)).expect("there")
            })
        }
    });
    shared(&mut group, "tollgate", |threads| {
        let map = tollgate_map(threads);
        move |t, ops| {
            each(ops, |n| {
                map.insert(key(t, n + LIVE / threads), 1);
                map.remove(&key(t, n)).expect("there")
            })
        }
    });
}

/// The map is full from the start, and every key is new.
fn fifo_insert_at_cap(criterion: &mut Criterion) {
    /// The thread that fills the map.
    const FILLER: u64 = u64::MAX;
    let mut group = criterion.benchmark_group("fifo_insert_at_cap");
    let payload = |operation: u64| [operation as u8; 200];
    let full = || {
        let mut map = Fifo::new(CAP as usize);
        (0..CAP).for_each(|n| assert!(map.insert(key(FILLER, n), payload(n))));
        map
    };
    let mut map = full();
    alone(&mut group, "floor", |t, ops| each(ops, |n| map.insert(key(t, n), payload(n)).into()));
    shared(&mut group, "mutex", |_| {
        let map = Mutex::new(full());
        move |t, ops| each(ops, |n| lock(&map).insert(key(t, n), payload(n)).into())
    });
    shared(&mut group, "tollgate", |_| {
        let map = FifoMap::builder(CAP).hasher(Hasher::new()).build().expect("a cap");
        let insert = move |t, n| map.insert(key(t, n), payload(n)).map_or(0, |placed| placed.seq);
        each(0..CAP, |n| insert(FILLER, n));
        move |t, ops| each(ops, |n| insert(t, n))
    });
}

/// Only tollgate looks at expiry.
fn revocation_check(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("revocation_check");
    let asked = |thread, operation| key(0, pick(thread, operation, LIVE * ASKED));
    let set: HashSet<_, Hasher> = keys(1).collect();
    alone(&mut group, "floor", |t, ops| each(ops, |n| set.contains(&asked(t, n)).into()));
    shared(&mut group, "mutex", |_| {
        let set = Mutex::new(keys(1).collect::<HashSet<_, Hasher>>());
        move |t, ops| each(ops, |n| lock(&set).contains(&asked(t, n)).into())
    });
    shared(&mut group, "dashmap", |_| {
        let set: DashSet<_, Hasher> = keys(1).collect();
        move |t, ops| each(ops, |n| set.contains(&asked(t, n)).into())
    });
    shared(&mut group, "papaya", |_| {
        let set: papaya::HashSet<_, Hasher> = keys(1).collect();
        move |t, ops| each(ops, |n| set.pin().contains(&asked(t, n)).into())
    });
    shared(&mut group, "tollgate", |_| {
        let set = RevocationSet::<u128, u64>::new(RevocationConfig::new()).expect("a capacity");
        let now = SystemClock.now();
        for token in keys(1) {
            set.revoke(token, now.saturating_add(HOUR)).expect("room");
        }
        move |t, ops| each(ops, |n| (set.check_at(&asked(t, n), now) == Standing::Revoked).into())
    });
}

fn plain_sessions(agents: &[Uuid]) -> (Sessions, Vec<(Uuid, Uuid)>) {
    let now = SystemClock.now();
    let session = |agent| plain::Session {
        agent,
        tools: TOOLS.map(Into::into).into(),
        closed: false,
        expires_after: now.saturating_add(HOUR),
        budget: CALLS,
        rate: CALLS,
        window: MINUTE,
        calls: 0,
        window_calls: 0,
        window_start: now,
    };
    let sessions: Sessions = agents.iter().map(|&agent| (Uuid::new_v4(), session(agent))).collect();
    let ids = sessions.iter().map(|(id, session)| (*id, session.agent)).collect();
    (sessions, ids)
}

/// One call of one tool: lookup, owner, closed, expiry, budget, tool and rate, and the clock.
fn session_admission(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session_admission");
    let owners: Vec<_> = (0..SESSIONS / 100).map(|_| Uuid::new_v4()).collect();
    let agents: Vec<_> = owners.iter().copied().cycle().take(SESSIONS).collect();
    let asked = |thread, operation| {
        let place = pick(thread, operation, (SESSIONS * TOOLS.len()) as u64) as usize;
        (place / TOOLS.len(), [TOOLS[place % TOOLS.len()]])
    };
    let (mut sessions, ids) = plain_sessions(&agents);
    alone(&mut group, "floor", |t, ops| {
        each(ops, |n| {
            let (place, tools) = asked(t, n);
            let (id, agent) = &ids[place];
            plain::admit(&mut sessions, id, agent, &tools, SystemClock.now()).expect("admitted").calls_remaining
        })
    });
    shared(&mut group, "mutex", |_| {
        let (sessions, ids) = plain_sessions(&agents);
        let sessions = Mutex::new(sessions);
        move |t, ops| {
            each(ops, |n| {
                let (place, tools) = asked(t, n);
                let (id, agent) = &ids[place];
                let now = SystemClock.now();
                plain::admit(&mut lock(&sessions), id, agent, &tools, now).expect("admitted").calls_remaining
            })
        }
    });
    shared(&mut group, "arbiter_session", |_| {
        let store = ArbiterStore::new();
        let runtime = current_thread();
        let create = |&agent| (runtime.block_on(store.create(arbiter_request(agent))).session_id, agent);
        let ids: Vec<_> = agents.iter().map(create).collect();
        move |t, ops| {
            let calls = async {
                let mut sum = 0u64;
                for n in ops {
                    let (place, [tool]) = asked(t, n);
                    let (id, agent) = ids[place];
                    sum += store.use_session(id, tool, Some(agent)).await.expect("admitted").calls_made;
                }
                sum
            };
            current_thread().block_on(calls)
        }
    });
    shared(&mut group, "tollgate", |_| {
        let store = SessionStore::new(SessionConfig::new()).expect("a capacity");
        let request = |agent| {
            SessionRequest::new(agent).budget(CALLS).rate(CALLS, MINUTE).time_limit(HOUR).tools(Tools::only(TOOLS))
        };
        let ids: Vec<_> = agents.iter().map(|&agent| (store.create(request(agent)).expect("room"), agent)).collect();
        move |t, ops| {
            each(ops, |n| {
                let (place, tools) = asked(t, n);
                let (id, agent) = &ids[place];
                store.admit(id, Some(agent), &tools).expect("admitted").calls_remaining
            })
        }
    });
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers")
}

fn arbiter_request(agent: Uuid) -> CreateSessionRequest {
    CreateSessionRequest {
        agent_id: agent,
        delegation_chain_snapshot: Vec::new(),
        declared_intent: String::new(),
        authorized_tools: TOOLS.map(Into::into).into(),
        authorized_credentials: Vec::new(),
        time_limit: chrono::Duration::hours(1),
        call_budget: CALLS,
        rate_limit_per_minute: Some(CALLS),
        rate_limit_window_secs: 60,
        data_sensitivity_ceiling: DataSensitivity::Public,
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10)
        .nresamples(10_000)
        .configure_from_args();
    for group in [map_get, map_churn, fifo_insert_at_cap, revocation_check, session_admission] {
        group(&mut criterion);
    }
    criterion.final_summary();
}
