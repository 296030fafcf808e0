//! How a body gets in: what is there of it is held, what is not is made, and linked when there is room.

#![forbid(unsafe_code)]

use super::digest::Digest;
use super::packed::Packed;
use super::pieces::{CONTENT_BYTES, Form, Held, JOIN, JOIN_BYTES, Join, Pieces, RECORD, Refs};
use crate::map::Step;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A body that is to be stored: its parts, none of them empty unless it is, and the digests of its prefixes.
pub(super) struct Contents<'b> {
    parts: Vec<&'b [u8]>,
    /// The digest of the parts up to each, and their length.
    ends: Vec<(Digest, u64)>,
    /// Each part's own digest, once it was asked for: most parts are never asked for.
    digests: Vec<OnceCell<Digest>>,
    pub(super) digest: Digest,
    pub(super) len: u64,
    /// Parts that were made ready to be kept, by their digests.
    packed: HashMap<Digest, Packed>,
}

impl<'b> Contents<'b> {
    pub(super) fn new(parts: &[&'b [u8]]) -> Self {
        let mut parts: Vec<_> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let mut len = 0;
        let lens = parts.iter().map(|part| {
            len += part.len() as u64;
            len
        });
        let ends: Vec<_> = Digest::of_prefixes(&parts).into_iter().zip(lens).collect();
        let (digest, len) = ends[parts.len() - 1];
        let digests = vec![OnceCell::new(); parts.len()];
        Self { parts, ends, digests, digest, len, packed: HashMap::new() }
    }

    /// A part's own digest. The first part is the first prefix.
    fn part(&self, place: usize) -> Digest {
        let of = || if place == 0 { self.ends[0].0 } else { Digest::of(self.parts[place]) };
        *self.digests[place].get_or_init(of)
    }

    pub(super) fn parts(&self) -> u64 {
        self.parts.len() as u64
    }

    /// Makes ready what is not there at this moment: nothing is held meanwhile, and nobody waits.
    pub(super) fn prepare(&mut self, pieces: &Pieces) {
        for end in self.shared(pieces)..self.ends.len() {
            let part = self.part(end);
            if !self.packed.contains_key(&part) && !pieces.has(&part) {
                self.packed.insert(part, Packed::new(self.parts[end], pieces.compress_above));
            }
        }
    }

    /// How many of its parts, from the first one, are there as one content at this moment.
    fn shared(&self, pieces: &Pieces) -> usize {
        self.ends.iter().rposition(|(digest, _)| pieces.has(digest)).map_or(0, |end| end + 1)
    }

    /// What its joins take, but for those of a prefix that is there.
    pub(super) fn least_bytes(&self, pieces: &Pieces) -> u64 {
        (self.parts() - self.shared(pieces).max(1) as u64).saturating_mul(JOIN_BYTES)
    }

    /// What it takes at most, if none of it is there.
    pub(super) fn most_bytes(&self) -> u64 {
        self.len.saturating_add(self.parts().saturating_mul(CONTENT_BYTES + JOIN_BYTES))
    }
}

/// What is held for a body that is about to be stored, and what was made for it. Lets go of it when dropped.
pub(super) struct Plan<'p> {
    pieces: &'p Pieces,
    held: Vec<(Digest, Refs)>,
    /// What refers to others comes after them.
    fresh: Vec<Fresh>,
    /// Where the first one with a digest is in it.
    made: HashMap<Digest, usize>,
}

struct Fresh {
    digest: Digest,
    held: Held,
    /// Whether it is the first one with its digest, for which bytes are reserved.
    counts: bool,
}

impl<'p> Plan<'p> {
    /// Holds what is there of `contents`, and makes what is not, of what was [prepared](Contents::prepare).
    pub(super) fn new(pieces: &'p Pieces, contents: &Contents<'_>) -> Self {
        let mut plan = Self { pieces, held: Vec::new(), fresh: Vec::new(), made: HashMap::new() };
        let Contents { parts, ends, .. } = contents;
        let last = ends.len() - 1;
        if plan.hold(contents.digest, RECORD) {
            return plan;
        }
        // What goes on where another body ended finds that one's end after a step or two.
        let shared = (0..last).rev().find(|&end| plan.hold(ends[end].0, JOIN));
        let refs = |end| if end == last { RECORD } else { JOIN };
        if shared.is_none() {
            plan.add_whole(contents, ends[0].0, parts[0], refs(0));
        }
        for end in shared.unwrap_or(0) + 1..=last {
            let part = contents.part(end);
            match plan.made.get(&part).copied() {
                // A part that repeats within the body.
                Some(at) => {
                    let fresh = &mut plan.fresh[at];
                    fresh.held = fresh.held.with(JOIN);
                }
                None if plan.hold(part, JOIN) => {}
                None => plan.add_whole(contents, part, parts[end], JOIN),
            }
            let (digest, len) = ends[end];
            let form = Form::Join(Arc::new(Join { prefix: ends[end - 1].0, part }));
            plan.add(digest, Held { len, refs: refs(end), form });
        }
        plan
    }

    /// Whether it holds anything that others have stored.
    pub(super) fn shares(&self) -> bool {
        !self.held.is_empty()
    }

    /// Adds references to a content, if it is there.
    fn hold(&mut self, digest: Digest, refs: Refs) -> bool {
        let pieces = self.pieces.map.pin();
        let done = pieces.compute(digest, |held| held.map_or(Step::Keep, |held| Step::Put(held.with(refs))));
        let Some(before) = done.before else { return false };
        if refs.records > 0 && before.refs.records == 0 {
            self.pieces.bodies.up();
        }
        self.held.push((digest, refs));
        true
    }

    fn add_whole(&mut self, contents: &Contents<'_>, digest: Digest, bytes: &[u8], refs: Refs) {
        // It was there a moment ago if it was not prepared.
        let packed = contents.packed.get(&digest).cloned();
        let packed = packed.unwrap_or_else(|| Packed::new(bytes, self.pieces.compress_above));
        self.add(digest, Held { len: bytes.len() as u64, refs, form: Form::Whole(packed) });
    }

    fn add(&mut self, digest: Digest, held: Held) {
        let at = self.fresh.len();
        let counts = *self.made.entry(digest).or_insert(at) == at;
        self.fresh.push(Fresh { digest, held, counts });
    }

    /// Bytes that [`link`](Self::link) needs in hand.
    pub(super) fn needs(&self) -> u64 {
        self.fresh.iter().filter(|fresh| fresh.counts).map(|fresh| fresh.held.weight()).sum()
    }

    /// Bytes that the body takes with all that it refers to. O(its parts).
    pub(super) fn footprint(&self) -> u64 {
        let pieces = self.pieces.map.pin();
        let mut pending: Vec<_> = self.held.iter().map(|&(digest, _)| digest).collect();
        let mut seen = HashSet::new();
        let mut bytes = self.needs();
        while let Some(digest) = pending.pop() {
            if !seen.insert(digest) {
                continue;
            }
            // It is there: we hold it, or what refers to it.
            let Some(held) = pieces.get(&digest) else { continue };
            bytes += held.weight();
            if let Form::Join(join) = &held.form {
                pending.extend([join.prefix, join.part]);
            }
        }
        bytes
    }

    /// Stores what was made, with [`needs`](Self::needs) bytes reserved. The body's record is then its owner.
    pub(super) fn link(mut self) {
        let pieces = self.pieces;
        let map = pieces.map.pin();
        let (mut spare, mut unneeded) = (0, Vec::new());
        for Fresh { digest, held, counts } in self.fresh.drain(..) {
            // The linearization point of the body is that of its last content.
            let done =
                map.compute(digest, |there| Step::Put(there.map_or_else(|| held.clone(), |it| it.with(held.refs))));
            if held.refs.records > 0 && done.before.is_none_or(|before| before.refs.records == 0) {
                pieces.bodies.up();
            }
            if done.before.is_none() {
                if let Form::Whole(packed) = &held.form {
                    pieces.count_whole(packed, true);
                    pieces.parts_stored.add(1);
                }
                continue;
            }
            // Somebody else was faster, or it is in the body twice.
            spare += if counts { held.weight() } else { 0 };
            if let Form::Join(join) = &held.form {
                unneeded.extend([(join.prefix, JOIN), (join.part, JOIN)]);
            }
        }
        // The record's now, or the joins'.
        self.held.clear();
        pieces.give_back(spare);
        pieces.drop_refs(unneeded);
    }
}

impl Drop for Plan<'_> {
    fn drop(&mut self) {
        self.pieces.drop_refs(std::mem::take(&mut self.held));
    }
}
