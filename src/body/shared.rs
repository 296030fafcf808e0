//! What the handles of a store share, and the steps that its operations are made of.
//!
//! A record is in three places: in the order of insertion, where it is or is not; in its turn's list, from before that
//! until after it; and among the ids, by which a record that comes again is known. An id whose record is not in the
//! order is on its way out, and may be taken.

#![forbid(unsafe_code)]

use super::pieces::Pieces;
use super::plan::{Contents, Plan};
use super::record::{Record, RecordId, StoredRecord};
use super::stats::{BodyStats, Counts, Freed, PruneReport};
use super::{BodyConfig, BodyError, PrunePolicy, Receipt};
use crate::clock::{self, Clock, saturating_nanos};
use crate::error::ConfigError;
use crate::fifo::{FifoMap, Reason};
use crate::map::{ShardedMap, Step};
use crate::sync::{Counter, MODEL, relax};
use std::sync::Arc;
use std::time::Duration;

/// How often an insert tries again, when there was room, or something to evict for it, and others were faster.
const TRIES: u32 = if MODEL { 1 } else { 1_000 };
/// How often, and how long, an insert looks for either at least, while others have all the room in hand: they may have to wait
/// for a processor. Not without end, as this thread may be one of them: who is told of an event may insert, too.
const LOOKS: u32 = 128;
const PATIENCE: Duration = Duration::from_millis(250);

pub(super) struct Shared<C> {
    pub(super) pieces: Pieces,
    /// By ticket, in the order of insertion. Bounded by bytes, not by number.
    records: FifoMap<u64, Arc<StoredRecord>>,
    ids: ShardedMap<RecordId, u64>,
    /// Tickets, as they were drawn. Lists are replaced as a whole.
    turns: ShardedMap<Arc<str>, Arc<[u64]>>,
    /// Tells records apart, even one from itself inserted again.
    tickets: Counter,
    records_per_turn: usize,
    clock: C,
    counts: Counts,
}

impl<C: Clock> Shared<C> {
    pub(super) fn new(config: BodyConfig, clock: C) -> Result<Self, ConfigError> {
        let config = config.validated()?;
        Ok(Self {
            pieces: Pieces::new(config.max_bytes, config.compress_above)?,
            records: FifoMap::builder(u64::MAX).build()?,
            ids: ShardedMap::new(),
            turns: ShardedMap::new(),
            tickets: Counter::default(),
            records_per_turn: config.records_per_turn,
            clock,
            counts: Counts::default(),
        })
    }

    pub(super) fn insert(&self, record: Record, parts: Option<&[&[u8]]>) -> Result<Receipt, BodyError> {
        let mut contents = parts.map(Contents::new);
        let body = contents.as_ref().map(|contents| contents.digest);
        let id = RecordId::of(&record, body);
        // Looked for first, as it spares all the work; decided when the id is claimed.
        let is_new = self.find(&id).is_none() && self.insert_new(id, record, contents.as_mut())?;
        if is_new {
            self.counts.inserted.add(1);
            self.counts.offered_bytes.add(contents.as_ref().map_or(0, |contents| contents.len));
            self.counts.offered_parts.add(contents.as_ref().map_or(0, Contents::parts));
        } else {
            self.counts.duplicates.add(1);
        }
        Ok(Receipt { id, body, is_new })
    }

    /// False if another thread has inserted the same record meanwhile.
    fn insert_new(
        &self,
        id: RecordId,
        mut record: Record,
        mut contents: Option<&mut Contents<'_>>,
    ) -> Result<bool, BodyError> {
        record.shrink();
        let ticket = self.tickets.next();
        // Before anything is evicted for a record that is refused.
        if !self.enter_turn(&record.turn, ticket) {
            return self.refuse(BodyError::TurnFull { max: self.records_per_turn });
        }
        let plan = match self.make_room(record.weight(), contents.as_deref_mut()) {
            Ok(plan) => plan,
            Err(error) => {
                self.leave_turn(&record.turn, ticket);
                return self.refuse(error);
            }
        };
        if let Some(plan) = plan {
            plan.link();
        }
        let (body, body_len) = contents.map_or((None, 0), |contents| (Some(contents.digest), contents.len));
        let stored = Arc::new(StoredRecord { id, record, body, body_len, ticket });
        match self.records.insert(ticket, Arc::clone(&stored)) {
            Ok(placed) if placed.overtaken => {
                // Evicted already, when there was nothing older: what follows is ours.
                self.depart(&stored);
                self.counts.for_bytes.add(1);
                return Ok(true);
            }
            Ok(_) => {}
            Err(_) => unreachable!("an order without a byte limit refuses no weight"),
        }
        // One that comes too late goes again, unless it has gone already: then it was a record like any other.
        let is_twin = !self.claim(&stored) && self.records.remove(&ticket).is_some();
        if is_twin {
            self.depart(&stored);
        }
        Ok(!is_twin)
    }

    /// Plans a body, if there is one, and takes the room for what is new of it and for its record.
    fn make_room(&self, weight: u64, mut contents: Option<&mut Contents<'_>>) -> Result<Option<Plan<'_>>, BodyError> {
        let max = self.pieces.max_bytes();
        let least = contents.as_deref().map_or(0, |contents| contents.least_bytes(&self.pieces)).saturating_add(weight);
        if least > max {
            return Err(BodyError::TooLarge { bytes: least, max });
        }
        let most = contents.as_deref().map_or(0, Contents::most_bytes).saturating_add(weight);
        let mut tries = TRIES;
        loop {
            // Again for each try: of what was there the time before, some may have gone.
            if let Some(contents) = contents.as_deref_mut() {
                contents.prepare(&self.pieces);
            }
            let plan = contents.as_deref().map(|contents| Plan::new(&self.pieces, contents));
            let needs = weight + plan.as_ref().map_or(0, Plan::needs);
            // What fits in any case, or without an eviction, need not be looked at closely.
            if most > max || plan.as_ref().is_some_and(Plan::shares) && !self.pieces.has_room(needs) {
                let bytes = weight + plan.as_ref().map_or(0, Plan::footprint);
                if bytes > max {
                    return Err(BodyError::TooLarge { bytes, max });
                }
            }
            if self.reserve(needs) {
                return Ok(plan);
            }
            // The rest is in the hands of inserts that will be done in a moment. They may need what this one holds.
            drop(plan);
            tries -= 1;
            let may_go = || self.pieces.has_room(needs) || self.records.stats().first_seq.is_some();
            if tries == 0 || !wait_until(may_go) {
                return Err(BodyError::NoRoom { bytes: needs, max });
            }
        }
    }

    fn refuse<T>(&self, error: BodyError) -> Result<T, BodyError> {
        if self.counts.refused.first() {
            tracing::warn!(max_bytes = self.pieces.max_bytes(), %error, "body store refuses an insert");
        }
        Err(error)
    }

    /// Takes `bytes` of the room, evicting the oldest records for them.
    fn reserve(&self, bytes: u64) -> bool {
        while !self.pieces.reserve(bytes) {
            let Some((_, oldest)) = self.records.pop_oldest(Reason::Bytes) else {
                // What others let go of since the last look counts too.
                return self.pieces.reserve(bytes);
            };
            self.depart(&oldest);
            self.counts.for_bytes.add(1);
        }
        true
    }

    /// Puts a record on its turn's list. False if that is full.
    fn enter_turn(&self, turn: &Arc<str>, ticket: u64) -> bool {
        let turns = self.turns.pin();
        let done = turns.compute(Arc::clone(turn), |list| match list {
            Some(list) if list.len() >= self.records_per_turn => Step::Keep,
            Some(list) => Step::Put(list.iter().copied().chain([ticket]).collect()),
            None => Step::Put([ticket].into()),
        });
        done.after.is_some_and(|list| list.last() == Some(&ticket))
    }

    /// Takes a record off its turn's list.
    fn leave_turn(&self, turn: &Arc<str>, ticket: u64) {
        let left = |list: &Arc<[u64]>| -> Arc<[u64]> { list.iter().copied().filter(|&it| it != ticket).collect() };
        self.turns.pin().compute(Arc::clone(turn), |list| match list.map(left) {
            None => Step::Keep,
            Some(left) if left.is_empty() => Step::Remove,
            Some(left) => Step::Put(left),
        });
    }

    /// Whether a record is still on its turn's list, which is exchanged for an equal one: whoever takes the record off it
    /// afterwards has seen what this thread did before.
    fn is_in_turn(&self, stored: &StoredRecord) -> bool {
        let turns = self.turns.pin();
        let done = turns.compute(Arc::clone(&stored.record.turn), |list| match list {
            Some(list) if list.contains(&stored.ticket) => Step::Put(Arc::clone(list)),
            _ => Step::Keep,
        });
        done.before.is_some_and(|list| list.contains(&stored.ticket))
    }

    /// Claims its id for a record that is in the order. False if another record has it.
    fn claim(&self, stored: &StoredRecord) -> bool {
        let (ids, id, ticket) = (self.ids.pin(), stored.id, stored.ticket);
        while let Err(exists) = ids.try_insert(id, ticket) {
            let other = *exists.current;
            if self.records.get(&other).is_some() {
                return false;
            }
            // On its way out: done in its stead.
            ids.remove_if(&id, |&current| current == other);
        }
        // Whoever takes the record out looks for its id, and must find it, or be found here. A look at the order would not
        // do, as each of the two might miss the other; of two exchanges of one list, one sees the other.
        if !self.is_in_turn(stored) {
            ids.remove_if(&id, |&current| current == ticket);
        }
        true
    }

    /// Does what is left to do for a record that this call took out of the order.
    fn depart(&self, stored: &StoredRecord) -> Freed {
        // Off the list first: see `claim`.
        self.leave_turn(&stored.record.turn, stored.ticket);
        self.ids.pin().remove_if(&stored.id, |&ticket| ticket == stored.ticket);
        let mut freed = stored.body.map_or_else(Freed::default, |body| self.pieces.release(body));
        let weight = stored.record.weight();
        self.pieces.give_back(weight);
        freed.records = 1;
        freed.bytes += weight;
        freed
    }

    pub(super) fn find(&self, id: &RecordId) -> Option<Arc<StoredRecord>> {
        self.records.get(&self.ids.get(id)?)
    }

    pub(super) fn turn(&self, turn: &str) -> Vec<Arc<StoredRecord>> {
        let Some(tickets) = self.turns.get(turn) else { return Vec::new() };
        let mut records: Vec<_> = tickets.iter().filter_map(|ticket| self.records.get(ticket)).collect();
        records.sort_by_key(|stored| (stored.record.at, stored.ticket));
        // One that is being inserted twice at this moment is there twice.
        let mut seen = std::collections::HashSet::new();
        records.retain(|stored| seen.insert(stored.id));
        records
    }

    pub(super) fn release(&self, id: &RecordId) -> Option<Freed> {
        let stored = self.records.remove(&self.ids.get(id)?)?;
        self.counts.released.add(1);
        Some(self.depart(&stored))
    }

    pub(super) fn prune(&self, policy: PrunePolicy) -> PruneReport {
        let mut report = PruneReport::default();
        if let Some(age) = policy.max_age {
            let cutoff = self.clock.now().saturating_sub(age);
            let is_old = |stored: &Arc<StoredRecord>| stored.record.at < cutoff;
            let old = self.records.entries(|&ticket, stored| is_old(stored).then_some(ticket));
            for ticket in old.into_iter().filter_map(|(_, old)| old) {
                if let Some(stored) = self.records.remove(&ticket) {
                    report.by_age += self.depart(&stored);
                    self.counts.for_age.add(1);
                }
            }
        }
        if let Some(max) = policy.max_bytes {
            // No more than are there now: what comes meanwhile is for the next time.
            for _ in 0..self.records.len() {
                if self.pieces.bytes() <= max {
                    break;
                }
                let Some((_, oldest)) = self.records.pop_oldest(Reason::Bytes) else { break };
                report.by_bytes += self.depart(&oldest);
                self.counts.for_bytes.add(1);
            }
        }
        report
    }

    /// Ids and turns that are known.
    #[cfg(any(test, feature = "loom", feature = "shuttle"))]
    pub(super) fn indexed(&self) -> u64 {
        self.ids.len() + self.turns.len()
    }

    pub(super) fn stats(&self) -> BodyStats {
        let (pieces, counts) = (&self.pieces, &self.counts);
        BodyStats {
            records: self.records.len(),
            bodies: pieces.bodies.get(),
            parts: pieces.wholes.get(),
            bytes: pieces.bytes(),
            max_bytes: pieces.max_bytes(),
            stored_bytes: pieces.stored_bytes.get(),
            offered_bytes: counts.offered_bytes.get(),
            offered_parts: counts.offered_parts.get(),
            stored_parts: pieces.parts_stored.get(),
            inserted: counts.inserted.get(),
            duplicates: counts.duplicates.get(),
            evicted_for_bytes: counts.for_bytes.get(),
            evicted_for_age: counts.for_age.get(),
            released: counts.released.get(),
            refused: counts.refused.get(),
        }
    }
}

/// Looks until it is so, and yields before each look. False if it was not for long.
fn wait_until(mut is_so: impl FnMut() -> bool) -> bool {
    let begun = clock::monotonic();
    let mut looks = 0;
    loop {
        relax();
        if is_so() {
            return true;
        }
        looks += 1;
        if looks >= LOOKS && clock::monotonic().saturating_sub(begun) >= saturating_nanos(PATIENCE) {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    fn record(name: u64) -> Record {
        Record::log((name % 3).to_string(), Timestamp::from_secs(name), "info", "")
    }

    fn shared(max_bytes: u64) -> Shared<ManualClock> {
        Shared::new(BodyConfig::new().max_bytes(max_bytes), ManualClock::new(Timestamp::ZERO)).unwrap()
    }

    fn assert_empty(shared: &Shared<ManualClock>) {
        shared.prune(PrunePolicy::keep_all().max_bytes(0));
        assert_eq!((shared.records.len(), shared.indexed()), (0, 0));
        assert_eq!(shared.pieces.bytes(), 0);
    }

    #[test]
    fn a_record_that_goes_leaves_no_id_and_no_turn_behind() {
        let shared = shared(1 << 20);
        let ids: Vec<_> = (0..9).map(|name| shared.insert(record(name), Some(&[b"text"])).unwrap().id).collect();
        for id in &ids[..5] {
            shared.release(id).unwrap();
        }
        assert_eq!(shared.indexed(), 4 + 3);
        assert_empty(&shared);
    }

    #[test]
    fn nor_does_one_that_is_evicted_while_it_comes_in_again() {
        // Room for two or three of a few records, which all threads insert.
        let shared = shared(2_100);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let shared = &shared;
                scope.spawn(move || {
                    for i in 0..2_000 {
                        // One that finds no room because others hold it is refused.
                        let _ = shared.insert(record((thread + i) % 5), Some(&[b"text"]));
                    }
                });
            }
        });
        assert_empty(&shared);
    }

    #[test]
    fn what_others_have_in_hand_is_waited_for() {
        let mut looks = 0;
        let done = wait_until(|| {
            looks += 1;
            looks == LOOKS
        });
        assert!(done && looks == LOOKS, "however long they took");
    }

    #[test]
    fn but_not_without_end() {
        let shared = shared(10_000);
        assert!(shared.pieces.reserve(9_900));
        let refused = shared.insert(record(1), Some(&[b"text"]));
        assert!(matches!(refused, Err(BodyError::NoRoom { bytes: 101.., max: 10_000 })), "{refused:?}");
        shared.pieces.give_back(9_900);
        shared.insert(record(1), Some(&[b"text"])).unwrap();
        assert_eq!((shared.records.len(), shared.counts.refused.get()), (1, 1));
        assert_empty(&shared);
    }
}
