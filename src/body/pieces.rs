//! Contents by their digests, each stored once and counted: what nobody refers to any more is gone.
//!
//! A content is kept as it is, or as a *join*: a prefix and a part, which are contents themselves and have digests of their
//! own. A body of n parts is a chain of joins; one that goes on where another ends shares all of that one's chain. The
//! entry of a digest counts who refers to it: records, and joins.
//!
//! # The protocol
//!
//! - An entry and its counts are replaced in one exchange, and the entry goes in the exchange that takes its last reference:
//!   so a reference is only ever added to what is there, and what is referred to stays.
//! - Whoever links a join holds a reference to its prefix and its part, which become the join's with the exchange that links
//!   it. If another was faster, they are given back.
//! - Bytes are taken from the room before an entry is linked, and given back after it has gone.

#![forbid(unsafe_code)]

use super::digest::Digest;
use super::packed::Packed;
use super::stats::Freed;
use crate::budget::Bound;
use crate::error::ConfigError;
use crate::map::{ShardedMap, Step};
use crate::sync::Counter;
use std::sync::Arc;

/// What a content takes beside its bytes: its entry in the map, and the words of its allocations.
pub(super) const CONTENT_BYTES: u64 = 168;
/// What a join takes: its entry, and two digests.
pub(super) const JOIN_BYTES: u64 = 256;

/// References to a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refs {
    pub(super) records: u64,
    pub(super) joins: u64,
}

pub(super) const RECORD: Refs = Refs { records: 1, joins: 0 };
pub(super) const JOIN: Refs = Refs { records: 0, joins: 1 };

/// A content, and who refers to it. Never changed in place.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Bytes of the content.
    pub(super) len: u64,
    pub(super) refs: Refs,
    pub(super) form: Form,
}

#[derive(Clone, Debug)]
pub(super) enum Form {
    Whole(Packed),
    Join(Arc<Join>),
}

#[derive(Debug)]
pub(super) struct Join {
    pub(super) prefix: Digest,
    pub(super) part: Digest,
}

impl Held {
    pub(super) fn with(&self, more: Refs) -> Self {
        let refs = Refs { records: self.refs.records + more.records, joins: self.refs.joins + more.joins };
        Self { refs, ..self.clone() }
    }

    /// None if nobody is left.
    fn without(&self, fewer: Refs) -> Option<Self> {
        let refs = Refs { records: self.refs.records - fewer.records, joins: self.refs.joins - fewer.joins };
        (refs.records > 0 || refs.joins > 0).then(|| Self { refs, ..self.clone() })
    }

    pub(super) fn weight(&self) -> u64 {
        match &self.form {
            Form::Whole(packed) => CONTENT_BYTES + packed.len() as u64,
            Form::Join(_) => JOIN_BYTES,
        }
    }
}

/// The contents of a store, and the room that they and its records share.
pub(super) struct Pieces {
    pub(super) map: ShardedMap<Digest, Held>,
    room: Bound,
    pub(super) compress_above: usize,
    /// Contents that records refer to.
    pub(super) bodies: Counter,
    /// Contents that are kept as they are.
    pub(super) wholes: Counter,
    /// The bytes that these take.
    pub(super) stored_bytes: Counter,
    /// Parts that were stored because they were not there.
    pub(super) parts_stored: Counter,
}

impl Pieces {
    pub(super) fn new(max_bytes: u64, compress_above: usize) -> Result<Self, ConfigError> {
        Ok(Self {
            map: ShardedMap::new(),
            room: Bound::new(max_bytes),
            compress_above,
            bodies: Counter::default(),
            wholes: Counter::default(),
            stored_bytes: Counter::default(),
            parts_stored: Counter::default(),
        })
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.room.most()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.room.taken()
    }

    /// Whether there are `bytes` of room at this moment.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.bytes().saturating_add(bytes) <= self.max_bytes()
    }

    /// Whether a content is there at this moment.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.map.contains_key(digest)
    }

    /// Takes `bytes` of the room, all or nothing.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        self.room.take(bytes).is_ok()
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.room.give_back(bytes);
    }

    /// Gives up a record's reference to a body.
    pub(super) fn release(&self, body: Digest) -> Freed {
        self.drop_refs(vec![(body, RECORD)])
    }

    pub(super) fn drop_refs(&self, mut pending: Vec<(Digest, Refs)>) -> Freed {
        let mut freed = Freed::default();
        let pieces = self.map.pin();
        while let Some((digest, refs)) = pending.pop() {
            // The linearization point of the last reference's end is the removal.
            let done = pieces.compute(digest, |held| match held.map(|held| held.without(refs)) {
                Some(Some(held)) => Step::Put(held),
                Some(None) => Step::Remove,
                None => Step::Keep,
            });
            let Some(before) = done.before else { continue };
            if before.refs.records > 0 && done.after.is_none_or(|after| after.refs.records == 0) {
                self.bodies.down();
                freed.bodies += 1;
            }
            if done.after.is_some() {
                continue;
            }
            freed.bytes += before.weight();
            match &before.form {
                Form::Whole(packed) => self.count_whole(packed, false),
                Form::Join(join) => pending.extend([(join.prefix, JOIN), (join.part, JOIN)]),
            }
        }
        self.give_back(freed.bytes);
        freed
    }

    pub(super) fn count_whole(&self, packed: &Packed, is_new: bool) {
        if is_new {
            self.wholes.up();
            self.stored_bytes.add(packed.len() as u64);
        } else {
            self.wholes.down();
            self.stored_bytes.sub(packed.len() as u64);
        }
    }

    /// A body that a record refers to. None if there is none, or it goes meanwhile.
    pub(super) fn read(&self, body: &Digest) -> Option<Vec<u8>> {
        let pieces = self.map.pin();
        let top = pieces.get(body).filter(|held| held.refs.records > 0)?;
        let len = usize::try_from(top.len).ok()?;
        let (mut pending, mut parts) = (vec![*body], Vec::new());
        while let Some(digest) = pending.pop() {
            let held = pieces.get(&digest)?;
            match &held.form {
                Form::Whole(packed) => parts.push((packed.clone(), held.len)),
                // The prefix comes off first.
                Form::Join(join) => pending.extend([join.part, join.prefix]),
            }
        }
        // Unpinned: of a large body the rest takes long, and nothing removed meanwhile could be freed.
        drop(pieces);
        let mut out = Vec::with_capacity(len);
        parts.iter().all(|(packed, len)| packed.append_to(&mut out, *len)).then_some(out)
    }

    /// Whether nothing at all is held: the end of every test.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.map.is_empty() && self.bytes() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Contents, Plan};
    use super::*;

    fn pieces() -> Pieces {
        Pieces::new(1 << 20, 1_024).unwrap()
    }

    fn insert(pieces: &Pieces, parts: &[&str]) -> Digest {
        let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
        let mut contents = Contents::new(&parts);
        contents.prepare(pieces);
        let plan = Plan::new(pieces, &contents);
        assert!(pieces.reserve(plan.needs()));
        plan.link();
        assert_eq!(pieces.read(&contents.digest).unwrap(), parts.concat());
        contents.digest
    }

    #[test]
    fn a_body_goes_with_its_last_reference_and_leaves_what_others_need() {
        let pieces = pieces();
        let (short, long) = (insert(&pieces, &["a", "b"]), insert(&pieces, &["a", "b", "c"]));
        assert_eq!((pieces.bodies.get(), pieces.wholes.get(), pieces.stored_bytes.get()), (2, 3, 3));
        assert_eq!(pieces.release(short).bodies, 1);
        assert_eq!((pieces.read(&short), pieces.read(&long)), (None, Some(b"abc".to_vec())));
        assert_eq!(pieces.release(long).bytes, 3 * CONTENT_BYTES + 3 + 2 * JOIN_BYTES);
        assert!(pieces.is_empty());
        assert_eq!((pieces.bodies.get(), pieces.wholes.get(), pieces.stored_bytes.get()), (0, 0, 0));
    }

    #[test]
    fn a_content_is_stored_once_however_it_is_cut() {
        let cuts: [&[&str]; 5] = [&["abab"], &["ab", "ab"], &["a", "bab"], &["a", "b", "a", "b"], &["", "abab", ""]];
        for first in cuts {
            let pieces = pieces();
            let body = insert(&pieces, first);
            let bytes = pieces.bytes();
            for again in cuts {
                assert_eq!(insert(&pieces, again), body);
                assert_eq!(pieces.bytes(), bytes, "{first:?} then {again:?}");
            }
            for _ in 0..=cuts.len() {
                pieces.release(body);
            }
            assert!(pieces.is_empty(), "{first:?}");
        }
    }

    #[test]
    fn parts_that_repeat_or_are_bodies_themselves_are_stored_once() {
        let pieces = pieces();
        // A part that is a prefix, a prefix that is a part, and a part that is a whole other body.
        let bodies = [
            insert(&pieces, &["x", "x", "xx", "x"]),
            insert(&pieces, &["y", "xxxxx", "yxxxxx"]),
            insert(&pieces, &["", ""]),
            insert(&pieces, &["xx"]),
        ];
        assert_eq!(pieces.bodies.get(), 4);
        for body in bodies {
            pieces.release(body);
        }
        assert!(pieces.is_empty());
    }

    #[test]
    fn what_was_held_for_a_body_that_is_not_stored_is_let_go() {
        let pieces = pieces();
        let body = insert(&pieces, &["a", "b"]);
        for parts in [["a", "c"], ["c", "b"], ["a", "b"]] {
            let parts = parts.map(str::as_bytes);
            drop(Plan::new(&pieces, &Contents::new(&parts)));
        }
        pieces.release(body);
        assert!(pieces.is_empty());
    }

    #[test]
    fn the_footprint_is_what_a_body_takes_when_it_is_alone() {
        let pieces = pieces();
        let parts: [&[u8]; 4] = [b"a", b"b", b"a", b"c"];
        let mut contents = Contents::new(&parts);
        contents.prepare(&pieces);
        let alone = Plan::new(&pieces, &contents).footprint();
        assert_eq!(alone, 3 * (CONTENT_BYTES + 1) + 3 * JOIN_BYTES);
        insert(&pieces, &["a", "b"]);
        assert_eq!(Plan::new(&pieces, &contents).footprint(), alone);
        assert!(alone <= contents.most_bytes());
    }
}
