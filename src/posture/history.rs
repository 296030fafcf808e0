//! An agent's records: an immutable list, which an append or a cut replaces by another one that shares most of it.

#![forbid(unsafe_code)]

use super::TransitionResult;
use crate::sync::MODEL;
use std::sync::Arc;

/// Records of a sealed block. An append copies none of them but once in so many.
const BLOCK: u64 = if MODEL { 2 } else { 64 };

type Record = Arc<TransitionResult>;

/// Which records are asked for.
///
/// # Examples
///
/// ```
/// use tollgate::posture::HistoryQuery;
///
/// let query = HistoryQuery::new().agent("agent-7").limit(20);
/// assert_eq!(query.limit, Some(20));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryQuery {
    /// Those of this agent. The empty name is a name.
    pub agent: Option<Arc<str>>,
    /// The newest so many of them. Zero is none.
    pub limit: Option<usize>,
}

impl HistoryQuery {
    /// All records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only this agent's.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<Arc<str>>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Only the newest so many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// Oldest to newest: the blocks, and then the links of the tail from its end. Numbers rise.
#[derive(Clone, Default)]
pub(super) struct History {
    blocks: Arc<[Arc<[Record]>]>,
    tail: Option<Arc<Link>>,
    len: u64,
}

/// A record of the tail, and those before it, fewer than there are in a block.
struct Link {
    record: Record,
    before: Option<Arc<Link>>,
    place: u64,
}

impl History {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// With one more record. O(1), but for the list of blocks, which is copied when the tail is sealed.
    pub(super) fn with(&self, record: Record) -> Self {
        let len = self.len + 1;
        let place = self.tail.as_ref().map_or(0, |link| link.place);
        if place < BLOCK {
            let tail = Some(Arc::new(Link { record, before: self.tail.clone(), place: place + 1 }));
            return Self { blocks: Arc::clone(&self.blocks), tail, len };
        }
        let sealed = self.tail().into_iter().cloned().collect();
        let blocks = self.blocks.iter().cloned().chain([sealed]).collect();
        Self { blocks, tail: Some(Arc::new(Link { record, before: None, place: 1 })), len }
    }

    /// Without the records before number `floor`. None if there are none.
    pub(super) fn cut(&self, floor: u64) -> Option<Self> {
        if self.iter().next().is_none_or(|oldest| oldest.seq >= floor) {
            return None;
        }
        let mut blocks: Vec<Arc<[Record]>> = Vec::with_capacity(self.blocks.len());
        for block in self.blocks.iter() {
            match block.partition_point(|record| record.seq < floor) {
                0 => blocks.push(Arc::clone(block)),
                all if all == block.len() => {}
                some => blocks.push(Arc::from(&block[some..])),
            }
        }
        let mut tail = self.tail();
        tail.retain(|record| record.seq >= floor);
        let len = blocks.iter().map(|block| block.len() as u64).sum::<u64>() + tail.len() as u64;
        let link = |before: Option<Arc<Link>>, record: &Record| {
            let place = before.as_ref().map_or(1, |link| link.place + 1);
            Some(Arc::new(Link { record: Arc::clone(record), before, place }))
        };
        let tail = tail.into_iter().fold(None, link);
        Some(Self { blocks: blocks.into(), tail, len })
    }

    /// The records, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.blocks.iter().flat_map(|block| block.iter()).chain(self.tail())
    }

    /// The records of the tail, oldest first.
    fn tail(&self) -> Vec<&Record> {
        let mut next = self.tail.as_ref();
        let mut records = Vec::with_capacity(next.map_or(0, |link| link.place as usize));
        while let Some(link) = next {
            records.push(&link.record);
            next = link.before.as_ref();
        }
        records.reverse();
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::posture::{Metadata, Posture, TransitionKind};

    fn record(seq: u64) -> Record {
        Arc::new(TransitionResult {
            seq,
            agent: Arc::from("agent"),
            from: Posture::Tool,
            to: Posture::Tool,
            kind: TransitionKind::Maintain,
            success: true,
            refusal: None,
            reason: Arc::from(""),
            blocked_by: None,
            requester: None,
            metadata: Metadata::default(),
            recorded_at: Timestamp::ZERO,
            requested_at: None,
        })
    }

    fn numbers(history: &History) -> Vec<u64> {
        history.iter().map(|record| record.seq).collect()
    }

    /// An append copies little, and a drop goes down no long list.
    fn assert_in_blocks(history: &History) {
        let tail = history.tail.as_ref().map_or(0, |link| link.place);
        assert!(tail <= BLOCK && tail == history.tail().len() as u64);
        assert!(history.blocks.iter().all(|block| !block.is_empty() && block.len() as u64 <= BLOCK));
        assert!(history.blocks.len() as u64 <= history.len() / BLOCK + 1, "one is cut, the others are full");
    }

    #[test]
    fn a_list_keeps_what_was_appended_and_cuts_what_is_below_the_floor() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 5] {
            // Every second number, so that floors fall between records, too.
            let all: Vec<u64> = (0..length).map(|i| 2 * i).collect();
            let history = all.iter().fold(History::default(), |history, &seq| history.with(record(seq)));
            assert_eq!((numbers(&history), history.len()), (all.clone(), length));
            assert_in_blocks(&history);
            for floor in 0..=2 * length + 1 {
                let left: Vec<u64> = all.iter().copied().filter(|&seq| seq >= floor).collect();
                let cut = history.cut(floor);
                assert_eq!(cut.is_some(), left.len() < all.len(), "something to cut");
                let cut = cut.unwrap_or_else(|| history.clone());
                assert_eq!((numbers(&cut), cut.len()), (left.clone(), left.len() as u64));
                assert_in_blocks(&cut);
                let appended = (0..BLOCK).fold(cut, |cut, i| cut.with(record(2 * length + 2 + i)));
                assert_eq!(appended.len(), left.len() as u64 + BLOCK);
                assert!(numbers(&appended).is_sorted());
                assert_in_blocks(&appended);
            }
        }
    }
}
