//! All sessions on one clock: what happens when.

use crate::recording::Recording;
use std::collections::BTreeMap;
use std::ops::Range;

/// What happens at one instant: first the starts, then the turns, then the ends. Sessions are positions in the input.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    pub(crate) at_ms: u64,
    /// In the order of the input.
    pub(crate) starts: Vec<usize>,
    pub(crate) groups: Vec<Group>,
    pub(crate) ends: Vec<usize>,
}

/// The turns of one session at one instant. One thread takes them all, so that they stay in order.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) session: usize,
    pub(crate) turns: Range<usize>,
}

/// The instants at which something happens, in order.
pub(crate) fn ticks(recordings: &[Recording]) -> Vec<Tick> {
    let mut ticks = BTreeMap::new();
    for (session, recording) in recordings.iter().enumerate() {
        at(&mut ticks, recording.start_ms).starts.push(session);
        let mut end_ms = recording.start_ms;
        let mut from = 0;
        for turns in recording.turns.chunk_by(|one, next| one.at_ms == next.at_ms) {
            end_ms = turns[0].at_ms; // a chunk is never empty
            let group = Group { session, turns: from..from + turns.len() };
            from = group.turns.end;
            at(&mut ticks, end_ms).groups.push(group);
        }
        at(&mut ticks, end_ms).ends.push(session);
    }
    ticks.into_values().collect()
}

fn at(ticks: &mut BTreeMap<u64, Tick>, at_ms: u64) -> &mut Tick {
    ticks.entry(at_ms).or_insert_with(|| Tick { at_ms, ..Tick::default() })
}

/// A small deterministic generator (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Puts `items` in another order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            self.0 = self.0.wrapping_add(1);
            // The remainder is below `last + 1`, a usize.
            items.swap(last, (mix(self.0) % (last as u64 + 1)) as usize);
        }
    }
}

/// Spreads a number over 64 bits; different numbers stay different.
pub(crate) fn mix(number: u64) -> u64 {
    let z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
