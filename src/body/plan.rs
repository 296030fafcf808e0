//! How a body gets in: what is there of it is held, what is not is made, and linked when there is room.

#![forbid(unsafe_code)]

use super::digest::Digest;
use super::packed::Packed;
use super::pieces::{CONTENT_BYTES, Form, Held, JOIN, JOIN_BYTES, Join, Pieces, RECORD, Refs};
use crate::map::Step;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A body that is to be stored: its parts, none of them empty unless it is, and the digests of its prefixes.
pub(super) struct Contents<'b> {
    parts: Vec<&'b [u8]>,
    /// The digest of the parts up to each, and their length.
    ends: Vec<(Digest, u64)>,
    pub(super) digest: Digest,
    pub(super) len: u64,
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
        Self { parts, ends, digest, len }
    }

    pub(super) fn parts(&self) -> u64 {
        self.parts.len() as u64
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
}

struct Fresh {
    digest: Digest,
    held: Held,
}

impl<'p> Plan<'p> {
    /// Holds what is there of `contents`, and makes what is not, which takes time that nobody else waits for.
    pub(super) fn new(pieces: &'p Pieces, contents: &Contents<'_>) -> Self {
        let mut plan = Self { pieces, held: Vec::new(), fresh: Vec::new() };
        let Contents { parts, ends, .. } = contents;
        let last = ends.len() - 1;
        if plan.hold(contents.digest, RECORD) {
            return plan;
        }
        // What goes on where another body ended finds that one's end after a step or two.
        let shared = (0..last).rev().find(|&end| plan.hold(ends[end].0, JOIN));
        let refs = |end| if end == last { RECORD } else { JOIN };
        let mut made = HashMap::new();
        if shared.is_none() {
            made.insert(ends[0].0, 0);
            plan.add_whole(ends[0].0, parts[0], refs(0));
        }
        for end in shared.unwrap_or(0) + 1..=last {
            let part = Digest::of(parts[end]);
            match made.get(&part) {
                // A part that repeats within the body.
                Some(&at) => {
                    let fresh: &mut Fresh = &mut plan.fresh[at];
                    fresh.held = fresh.held.with(JOIN);
                }
                None if plan.hold(part, JOIN) => {}
                None => {
                    made.insert(part, plan.fresh.len());
                    plan.add_whole(part, parts[end], JOIN);
                }
            }
            let (digest, len) = ends[end];
            let form = Form::Join(Arc::new(Join { prefix: ends[end - 1].0, part }));
            plan.fresh.push(Fresh { digest, held: Held { len, refs: refs(end), form } });
        }
        plan
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

    fn add_whole(&mut self, digest: Digest, bytes: &[u8], refs: Refs) {
        let form = Form::Whole(Packed::new(bytes, self.pieces.compress_above));
        self.fresh.push(Fresh { digest, held: Held { len: bytes.len() as u64, refs, form } });
    }

    /// Bytes that [`link`](Self::link) needs in hand.
    pub(super) fn needs(&self) -> u64 {
        self.fresh.iter().map(|fresh| fresh.held.weight()).sum()
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
        for Fresh { digest, held } in self.fresh.drain(..) {
            // The linearization point of the body is that of its last content.
            let done =
                map.compute(digest, |there| Step::Put(there.map_or_else(|| held.clone(), |it| it.with(held.refs))));
            if held.refs.records > 0 && done.before.is_none_or(|before| before.refs.records == 0) {
                pieces.bodies.up();
            }
            match (&held.form, done.before) {
                (Form::Whole(packed), None) => {
                    pieces.count_whole(packed, true);
                    pieces.parts_stored.add(1);
                }
                (Form::Join(_), None) => {}
                // Somebody else was faster.
                (Form::Whole(_), Some(_)) => spare += held.weight(),
                (Form::Join(join), Some(_)) => {
                    spare += held.weight();
                    unneeded.extend([(join.prefix, JOIN), (join.part, JOIN)]);
                }
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
