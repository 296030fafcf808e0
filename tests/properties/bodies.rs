//! `BodyStore` against a list of records with their bodies, oldest first.

use super::{OPS, config};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Duration;
use tollgate::body::{BodyConfig, BodyStore, PrunePolicy, Record, split_request};
use tollgate::clock::{Clock, ManualClock, Timestamp};

/// A body, as indices of parts.
type Body = Vec<usize>;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Of a turn, a name, and a body; none for a record without.
    Insert(u8, u8, Option<Body>),
    Get(Body),
    /// Releases the live record at this place in the order, modulo their number.
    Release(usize),
    /// Moves the clock on by so many seconds.
    Wait(u64),
    /// Prunes what is older than so many seconds.
    PruneAge(u64),
    /// Prunes down to so many hundredths of what is held.
    PruneBytes(u64),
}

/// Parts that are prefixes of others and of each other's concatenations, compressible and not, none at all among them.
fn part(index: usize) -> Vec<u8> {
    match index {
        0 => Vec::new(),
        1 => b"a".to_vec(),
        2 => b"aa".to_vec(),
        3 => b"ab".to_vec(),
        4 => vec![b'a'; 300],
        _ => (0..40_u8).map(|i| i.wrapping_mul(index as u8 | 1)).collect(),
    }
}

fn body() -> impl Strategy<Value = Body> {
    vec(0..8_usize, 0..6)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..3_u8, 0..3_u8, prop::option::weighted(0.8, body())).prop_map(|(turn, name, body)| Op::Insert(turn, name, body)),
        3 => body().prop_map(Op::Get),
        3 => any::<usize>().prop_map(Op::Release),
        1 => (1..20_u64).prop_map(Op::Wait),
        1 => (0..40_u64).prop_map(Op::PruneAge),
        1 => (0..120_u64).prop_map(Op::PruneBytes),
    ]
}

struct Entry {
    turn: u8,
    name: u8,
    at: Timestamp,
    body: Option<Vec<u8>>,
}

struct Pair {
    store: BodyStore<ManualClock>,
    clock: ManualClock,
    /// Oldest first.
    entries: Vec<Entry>,
}

impl Pair {
    fn new(max_bytes: u64) -> Self {
        let clock = ManualClock::new(Timestamp::from_secs(1_000));
        let config = BodyConfig::new().max_bytes(max_bytes).compress_above(100);
        let store = BodyStore::with_clock(config, clock.clone()).unwrap();
        Self { store, clock, entries: Vec::new() }
    }

    fn record(turn: u8, name: u8, at: Timestamp) -> Record {
        Record::log(turn.to_string(), at, "info", name.to_string())
    }

    fn same(entry: &Entry, other: &Entry) -> bool {
        (entry.turn, entry.name, entry.at, &entry.body) == (other.turn, other.name, other.at, &other.body)
    }

    fn insert(&mut self, turn: u8, name: u8, body: Option<Body>) -> Result<(), TestCaseError> {
        let at = self.clock.now();
        let parts: Option<Vec<_>> = body.map(|body| body.into_iter().map(part).collect());
        let entry = Entry { turn, name, at, body: parts.as_ref().map(|parts| parts.concat()) };
        let record = Self::record(turn, name, at);
        let slices: Option<Vec<&[u8]>> = parts.as_ref().map(|parts| parts.iter().map(Vec::as_slice).collect());
        let before = self.store.stats();
        let done = match &slices {
            Some(parts) => self.store.insert_parts(record, parts),
            None => self.store.note(record),
        };
        let after = self.store.stats();
        let Ok(receipt) = done else {
            prop_assert_eq!((before.records, before.bytes), (after.records, after.bytes));
            prop_assert_eq!(before.refused + 1, after.refused);
            return Ok(());
        };
        let is_new = !self.entries.iter().any(|other| Self::same(other, &entry));
        prop_assert_eq!(receipt.is_new, is_new);
        if is_new {
            // As many of the oldest have gone as the store says.
            let evicted = (after.evicted_for_bytes - before.evicted_for_bytes) as usize;
            prop_assert!(evicted <= self.entries.len(), "it evicted itself");
            self.entries.drain(..evicted);
            self.entries.push(entry);
        }
        Ok(())
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Insert(turn, name, body) => self.insert(turn, name, body)?,
            Op::Get(body) => {
                let whole = body.into_iter().map(part).collect::<Vec<_>>().concat();
                let is_there = self.entries.iter().any(|entry| entry.body.as_ref() == Some(&whole));
                let digest = tollgate::body::Digest::of(&whole);
                prop_assert_eq!(self.store.get(&digest).ok(), is_there.then_some(whole));
            }
            Op::Release(nth) => {
                if let Some(at) = nth.checked_rem(self.entries.len()) {
                    let entry = self.entries.remove(at);
                    let id = self.find(&entry);
                    let last = !self.entries.iter().any(|other| other.body == entry.body);
                    let freed = self.store.release(&id.unwrap()).unwrap();
                    prop_assert_eq!((freed.records, freed.bodies), (1, u64::from(last && entry.body.is_some())));
                }
            }
            Op::Wait(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Op::PruneAge(seconds) => {
                let age = Duration::from_secs(seconds);
                let cutoff = self.clock.now().saturating_sub(age);
                let before = self.entries.len();
                self.entries.retain(|entry| entry.at >= cutoff);
                let report = self.store.prune(PrunePolicy::keep_all().max_age(age));
                prop_assert_eq!(report.total().records, (before - self.entries.len()) as u64);
            }
            Op::PruneBytes(percent) => {
                let before = self.store.stats().bytes;
                let max = before * percent / 100;
                let report = self.store.prune(PrunePolicy::keep_all().max_bytes(max));
                self.entries.drain(..report.by_bytes.records as usize);
                let after = self.store.stats().bytes;
                prop_assert!(after <= max);
                prop_assert_eq!(report.total().bytes, before - after);
            }
        }
        Ok(())
    }

    fn find(&self, entry: &Entry) -> Option<tollgate::body::RecordId> {
        let digest = entry.body.as_deref().map(tollgate::body::Digest::of);
        let turn = self.store.get_turn(&entry.turn.to_string());
        let wanted = Self::record(entry.turn, entry.name, entry.at);
        turn.iter().find(|stored| stored.record == wanted && stored.body == digest).map(|stored| stored.id)
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let stats = self.store.stats();
        prop_assert!(stats.bytes <= stats.max_bytes);
        prop_assert_eq!(stats.records, self.entries.len() as u64);
        let bodies: HashSet<_> = self.entries.iter().filter_map(|entry| entry.body.as_ref()).collect();
        prop_assert_eq!(stats.bodies, bodies.len() as u64);
        for body in bodies {
            prop_assert_eq!(&self.store.get(&tollgate::body::Digest::of(body)).unwrap(), body);
        }
        for turn in 0..3_u8 {
            let expected = self.entries.iter().filter(|entry| entry.turn == turn);
            let mut expected: Vec<_> = expected.map(|entry| (entry.at, entry.name.to_string())).collect();
            // Stable: by time, then by insertion.
            expected.sort_by_key(|(at, _)| *at);
            let seen = self.store.get_turn(&turn.to_string());
            prop_assert_eq!(seen.len(), expected.len());
            for (stored, (at, name)) in seen.iter().zip(expected) {
                prop_assert_eq!(&stored.record, &Self::record(turn, name.parse().unwrap(), at));
            }
        }
        let gone = stats.evicted_for_bytes + stats.evicted_for_age + stats.released;
        prop_assert_eq!(stats.inserted, stats.records + gone);
        if stats.records == 0 {
            prop_assert_eq!((stats.bytes, stats.parts, stats.stored_bytes), (0, 0, 0));
        }
        Ok(())
    }
}

pub(crate) fn agrees(max_bytes: u64, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(max_bytes);
    for op in ops {
        pair.apply(op)?;
        pair.compare()?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_body_store_holds_what_a_list_of_records_holds(
        max_bytes in prop_oneof![1_000..6_000_u64, Just(1 << 20)], ops in vec(op(), 0..=OPS)
    ) {
        agrees(max_bytes, ops)?;
    }

    #[test]
    fn a_request_is_the_parts_that_it_is_cut_into(body in "[\\[\\]{}:, \"a-z0-9é\\\\]{0,200}", cut in 0..200_usize) {
        let request = format!("{{\"messages\":[{body},{{\"role\":\"user\"}}],\"tools\":[{body}]}}");
        let cut = (0..=cut.min(request.len())).rev().find(|&cut| request.is_char_boundary(cut)).unwrap_or(0);
        for text in [&*body, &*request, &request[cut..]] {
            prop_assert_eq!(split_request(text.as_bytes()).concat(), text.as_bytes());
        }
    }

    #[test]
    fn a_conversation_that_goes_on_is_cut_where_it_was_cut_before(
        texts in vec("[a-z\"\\\\ {}\\[\\]]{0,90}", 1..9), space in "[ \n]{0,3}"
    ) {
        let messages: Vec<_> = texts.iter().map(|text| serde_json::json!({"role": "user", "content": text})).collect();
        let body = |n: usize| {
            let list: Vec<_> = messages[..n].iter().map(|message| message.to_string()).collect();
            format!("{{\"model\":\"m\",{space}\"messages\":{space}[{}]}}", list.join(&format!(",{space}")))
        };
        let whole = body(messages.len());
        let longest = split_request(whole.as_bytes());
        for n in 1..messages.len() {
            let shorter = body(n);
            let parts = split_request(shorter.as_bytes());
            // All but what follows the last cut.
            prop_assert_eq!(&parts[..parts.len() - 1], &longest[..parts.len() - 1]);
        }
    }
}
