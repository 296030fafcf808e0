//! Cap: what an insert costs in full FIFO maps of a thousand to a million entries.

use crate::curve::{Curve, Point};
use crate::shared::machine;
use crate::shared::text::grouped;
use crate::stage::{Line, Stage};
use benches::Hasher;
use benches::contender::hashbrown_parking_lot::Locked;
use benches::contender::limit::Private;
use benches::plain::Fifo;
use benches::workload::Job;
use benches::workload::fifo::{self, Payload};
use parking_lot::Mutex;
use tollgate::fifo::FifoMap;

pub(crate) const CAPS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Name, whether on all cores, and who makes it.
type Column = (&'static str, bool, fn(usize, usize) -> Box<dyn Job>);

type Own = FifoMap<u128, Payload, Hasher>;
type Obvious = Locked<Mutex<Fifo>, Fifo>;

const COLUMNS: [Column; 5] = [
    ("tollgate, 1 thread", false, fifo::inserts::<Own>),
    ("tollgate, all cores", true, fifo::inserts::<Own>),
    ("Mutex<(HashMap, VecDeque)>, 1 thread", false, fifo::inserts::<Obvious>),
    ("Mutex<(HashMap, VecDeque)>, all cores", true, fifo::inserts::<Obvious>),
    ("floor", false, fifo::inserts::<Private<Fifo>>),
];

pub(crate) fn curve(stage: &Stage) -> Result<Curve, String> {
    let mut points = Vec::new();
    for cap in CAPS {
        stage.progress.say(&grouped(cap as u64));
        let line = |(_, is_wide, make): &Column| {
            let threads = if *is_wide { machine::cores() } else { 1 };
            Line::new(make(threads, cap), threads)
        };
        let lines: Vec<_> = COLUMNS.iter().map(line).collect();
        points.push(Point {
            place: cap as f64,
            name: grouped(cap as u64),
            figures: stage.nanos(&lines)?,
            more: Vec::new(),
        });
        stage.progress.step();
    }
    let reading = "Inserts of new keys with 200 freshly allocated bytes into a full map, so that each evicts the oldest; \
                   nanoseconds of each thread's insert. The steps are the same at every cap. What is evicted was written \
                   a whole cap ago: at 1,000 it is still in the nearest cache, at 1,000,000 (some 300 MB) it comes from \
                   memory, with its key, its index entry and the allocator's header. The floor pays the same, so compare \
                   the steps, not the figures.";
    Ok(Curve {
        id: "cap",
        title: "FIFO insert, by cap",
        grows: "cap",
        unit: "ns per insert",
        reading: reading.to_owned(),
        names: COLUMNS.iter().map(|column| column.0).collect(),
        more: Vec::new(),
        points,
    })
}
