//! All sessions on one clock: what happens when.

use crate::recording::{MAX_MILLIS, Recording};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use tollgate::clock::Timestamp;

/// What happens at one instant: first the starts, then the turns, then the ends. Sessions are positions in the input.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    pub(crate) at_ms: u64,
    /// In the order of the input.
    pub(crate) starts: Vec<usize>,
    pub(crate) groups: Vec<Group>,
    pub(crate) ends: Vec<usize>,
}

/// Copies that are replayed at once, and when. On the next day all tokens of this one have expired.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day {
    pub(crate) first_copy: u64,
    pub(crate) copies: u64,
    offset_ms: u64,
}

impl Day {
    /// The instant of a recorded time on this day.
    pub(crate) fn at(&self, at_ms: u64) -> Timestamp {
        Timestamp::from_millis(at_ms.saturating_add(self.offset_ms))
    }
}

/// The days that it takes to replay all `copies`, `at_once` on each, for tokens that are remembered for `life` from their
/// issue; none if time does not suffice.
pub(crate) fn days(ticks: &[Tick], copies: u64, at_once: u64, life: Duration) -> Option<Vec<Day>> {
    let first = ticks.first().map_or(0, |tick| tick.at_ms);
    let last = ticks.last().map_or(0, |tick| tick.at_ms);
    let day_ms = u64::try_from(life.as_millis()).ok().and_then(|life| life.checked_add(last - first + 1));
    let day = |number: u64| {
        let first_copy = number * at_once;
        let offset_ms = if number == 0 { 0 } else { day_ms?.checked_mul(number)? };
        let ends = last.checked_add(offset_ms)?;
        let copies = at_once.min(copies - first_copy);
        (ends <= MAX_MILLIS).then_some(Day { first_copy, copies, offset_ms })
    };
    (0..copies.div_ceil(at_once)).map(day).collect()
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
