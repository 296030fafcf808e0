//! Entries: what a get and an insert cost in maps of a thousand to ten million.

use crate::curve::{Curve, Point};
use crate::shared::clock;
use crate::shared::heap;
use crate::shared::stats::Spread;
use crate::shared::text::{grouped, nanos, short};
use crate::stage::{Line, Stage};
use benches::Hasher;
use benches::contender::limit::Private;
use benches::load::{each, in_batches, key};
use benches::plain::Table;
use benches::workload::Job;
use benches::workload::map::{Fill, Put, Store, get_hit};
use std::time::Duration;
use tollgate::map::ShardedMap;

const SIZES: [u64; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
const NAMES: [&str; 4] = ["tollgate", "scc::HashIndex", "dashmap", "floor"];
/// A size is filled so often, and at least so many entries are inserted in all.
const FILLS: u64 = 3;
const INSERTS: u64 = 200_000;

type Own = ShardedMap<u128, u64, Hasher>;
type Index = scc::HashIndex<u128, u64, Hasher>;
type Shards = dashmap::DashMap<u128, u64, Hasher>;
type Floor = Private<Table<u128, u64>>;
/// Sets a map with so many entries up, for so many threads.
type Make = fn(u64, usize) -> Box<dyn Job>;

/// What filling an empty map costs.
struct Filled {
    /// Nanoseconds for an insert, on average.
    average: f64,
    /// Nanoseconds of the worst insert.
    worst: f64,
}

fn fill<S>(live: u64) -> Filled
where
    S: Store<u128>,
    for<'a> S::Pin<'a>: Put<u128>,
{
    let empty = || S::filled(Fill { threads: 1, live: 0, own: false });
    let (mut time, mut inserts) = (Duration::ZERO, 0);
    while inserts < INSERTS.max(live) {
        let store = empty();
        let start = clock::now();
        in_batches(0..live, S::PER_PIN, |batch| {
            let mut pin = store.pin(0);
            each(batch, |n| {
                pin.put(key(0, n), 1);
                0
            })
        });
        time += start.elapsed();
        inserts += live;
    }
    // Once more, with a look at each: the reads of the clock would slow the others down.
    let store = empty();
    let mut worst = Duration::ZERO;
    in_batches(0..live, S::PER_PIN, |batch| {
        let mut pin = store.pin(0);
        each(batch, |n| {
            let start = clock::now();
            pin.put(key(0, n), 1);
            worst = worst.max(start.elapsed());
            0
        })
    });
    Filled { average: time.as_nanos() as f64 / inserts as f64, worst: worst.as_nanos() as f64 }
}

/// Gets, one thread.
pub(crate) fn get(stage: &Stage) -> Result<Curve, String> {
    let makers: [Make; 4] = [get_hit::<Own>, get_hit::<Index>, get_hit::<Shards>, get_hit::<Floor>];
    let mut points = Vec::new();
    for live in SIZES {
        stage.progress.say(&grouped(live));
        let before = heap::in_use();
        let own = makers[0](live, 1);
        let bytes = heap::in_use().zip(before).map(|(after, before)| after.saturating_sub(before));
        let others = makers[1..].iter().map(|make| make(live, 1));
        let lines: Vec<_> = [own].into_iter().chain(others).map(|job| Line::new(job, 1)).collect();
        let size = bytes.map_or(String::new(), |bytes| format!("{} MiB", short(bytes as f64 / f64::from(1 << 20))));
        points.push(Point { place: live as f64, name: grouped(live), figures: stage.nanos(&lines)?, more: vec![size] });
        stage.progress.step();
    }
    let reading = "Uniform hits, one thread, a pin for each 64 where there are pins. The work is the same at every size: \
                   what grows is the share of it that waits for memory. So the curves bend where the map outgrows a \
                   cache (compare its size with the machine's), and again where the pages that it touches outgrow the \
                   TLB. The floor bends at the same places; how much steeper another curve is says how many dependent \
                   misses its lookup has.";
    Ok(Curve {
        id: "entries-get",
        title: "Map get, by entries",
        grows: "entries",
        unit: "ns per get",
        reading: reading.to_owned(),
        names: NAMES.to_vec(),
        more: vec!["tollgate's heap"],
        points,
    })
}

/// Inserts into an empty map, one thread.
pub(crate) fn insert(stage: &Stage) -> Result<Curve, String> {
    let fills: [fn(u64) -> Filled; 4] = [fill::<Own>, fill::<Index>, fill::<Shards>, fill::<Floor>];
    let mut points = Vec::new();
    for live in SIZES {
        stage.progress.say(&grouped(live));
        let mut averages = vec![Vec::new(); fills.len()];
        let mut worsts = vec![f64::INFINITY; fills.len()];
        for _ in 0..FILLS {
            for ((fill, averages), worst) in fills.iter().zip(&mut averages).zip(&mut worsts) {
                // The work does not depend on the thread, but the pool's are warm.
                let fill = *fill;
                let run = stage.pool.run(1, move |_| fill(live))?;
                for filled in run.results {
                    averages.push(filled.average);
                    *worst = worst.min(filled.worst);
                }
            }
        }
        points.push(Point {
            place: live as f64,
            name: grouped(live),
            figures: averages.iter().map(|averages| Spread::of(averages)).collect(),
            more: worsts.into_iter().map(nanos).collect(),
        });
        stage.progress.step();
    }
    let reading = "An empty map is filled by one thread; the average over all inserts, growth of the table included. The \
                   last columns are the worst single insert, the least of three fills, so that what the machine did to \
                   one of them does not count: a table that copies itself at once when it grows shows there, at ten \
                   times the size ten times as long; one that grows in steps does not.";
    Ok(Curve {
        id: "entries-insert",
        title: "Map insert, by entries",
        grows: "entries",
        unit: "ns per insert",
        reading: reading.to_owned(),
        names: NAMES.to_vec(),
        more: vec!["worst: tollgate", "worst: scc::HashIndex", "worst: dashmap", "worst: floor"],
        points,
    })
}

/// Steps of progress of each of the two.
pub(crate) const STEPS: usize = SIZES.len();
