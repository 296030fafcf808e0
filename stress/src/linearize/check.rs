//! Is there an order of the calls that explains all their answers?
//!
//! Wing and Gong's search with Lowe's memo. What has taken effect is a prefix of each thread's steps, so a position in every
//! thread and the model's state say all there is to know of a search's place, and no place is visited twice.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::{Debug, Write};
use std::hash::Hash;

/// Threads that a history may have.
pub(super) const MAX_THREADS: usize = 8;
/// Steps of the search before it gives up on a history.
const PATIENCE: u64 = 4_000_000;

/// A sequential model: what a structure is between two steps.
pub(super) trait Model: Clone + Eq + Hash + Debug {
    /// Something that a call does at one instant, together with what it answered.
    type Step: Clone + Debug;

    /// Takes a step. False if it cannot be taken, or not with this answer; what is left of the state is then of no account.
    fn apply(&mut self, thread: usize, step: &Self::Step) -> bool;

    /// Whether the step changes no state whatever.
    fn is_read(step: &Self::Step) -> bool;

    /// Whether the step changes nothing but what later steps of its own call go by.
    fn is_private(step: &Self::Step) -> bool {
        Self::is_read(step)
    }

    /// The states that this one may turn into by what no answer tells of.
    fn hidden(&self) -> Vec<Self> {
        Vec::new()
    }
}

/// A step with the interval of its call. The steps of one call share it, and are taken in their order.
#[derive(Clone, Debug)]
pub(super) struct Event<S> {
    pub(super) thread: usize,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) step: S,
}

/// The search has taken all the steps it may.
#[derive(Debug)]
pub(super) struct Undecided;

/// The states in which `events` can end, up to `most` of them, from any of `starts`. None: no order explains them.
///
/// The events of a thread are in their order, and those of different threads in any.
pub(super) fn ends<M: Model>(starts: &[M], events: &[Event<M::Step>], most: usize) -> Result<HashSet<M>, Undecided> {
    let mut lanes: [Vec<&Event<M::Step>>; MAX_THREADS] = Default::default();
    events.iter().for_each(|event| lanes[event.thread].push(event));
    let mut stack: Vec<_> = starts.iter().map(|start| ([0_u16; MAX_THREADS], start.clone())).collect();
    let mut seen: HashSet<_> = stack.iter().cloned().collect();
    let mut ends = HashSet::new();
    let mut left = PATIENCE;
    while let Some((at, state)) = stack.pop() {
        left = left.checked_sub(1).ok_or(Undecided)?;
        let mut visit = |place: ([u16; MAX_THREADS], M)| {
            if seen.insert(place.clone()) {
                stack.push(place);
            }
        };
        state.hidden().into_iter().for_each(|state| visit((at, state)));
        let next = lanes.iter().zip(at).filter_map(|(lane, at)| lane.get(usize::from(at)).copied());
        let mut next: Vec<_> = next.collect();
        let Some(first_end) = next.iter().map(|event| event.end).min() else {
            ends.insert(state);
            if ends.len() == most {
                break;
            }
            continue;
        };
        next.retain(|event| event.start < first_end);
        // The one that has to take effect soonest is tried first.
        next.sort_unstable_by_key(|event| Reverse(event.end));
        let take = |event: &Event<M::Step>| {
            let mut after = state.clone();
            let mut at = at;
            at[event.thread] += 1;
            after.apply(event.thread, &event.step).then_some((at, after))
        };
        // A read that is right now need not be tried later: any order goes on as well with it here.
        match next.iter().filter(|event| M::is_read(&event.step)).find_map(|event| take(event)) {
            Some(place) => visit(place),
            None => next.into_iter().filter_map(take).for_each(visit),
        }
    }
    Ok(ends)
}

/// Whether some order explains the events.
pub(super) fn explained<M: Model>(start: &M, events: &[Event<M::Step>]) -> Result<bool, Undecided> {
    ends(std::slice::from_ref(start), events, 1).map(|ends| !ends.is_empty())
}

/// What is wrong with a history that no order explains, as short as is sound, in lines for a reader.
///
/// A call cannot just be left out: what it wrote may be what another one read. So the history is cut only at instants at
/// which no call was under way, where all the states that it can have come to are known; and of the piece that none of
/// these states explains, only steps that change no state are dropped, and calls that change none for others: if an order
/// explained the piece with one of them, the same order would explain it without.
pub(super) fn explain<M: Model>(start: &M, mut events: Vec<Event<M::Step>>) -> String {
    // Stable, and the steps of a call have one start: they stay in their order.
    events.sort_by_key(|event| event.start);
    let mut states = vec![start.clone()];
    let mut rest = &events[..];
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(until_quiet(rest));
        match ends(&states, piece, usize::MAX) {
            Ok(ends) if ends.is_empty() => return render(&states, &without_reads(&states, piece)),
            Ok(ends) => states = ends.into_iter().collect(),
            Err(Undecided) => break,
        }
        rest = after;
    }
    // Cutting takes all ends of each piece, not one of the last: that can be too much.
    render(&states, rest)
}

/// How many events there are before the first instant at which no call is under way.
fn until_quiet<S>(events: &[Event<S>]) -> usize {
    let mut last_end = 0;
    let quiet = events.iter().position(|event| {
        let quiet = last_end != 0 && last_end < event.start;
        last_end = last_end.max(event.end);
        quiet
    });
    quiet.unwrap_or(events.len())
}

fn without_reads<M: Model>(states: &[M], events: &[Event<M::Step>]) -> Vec<Event<M::Step>> {
    let mut left = events.to_vec();
    let mut at = 0;
    while at < left.len() {
        let call = |event: &Event<M::Step>| (event.thread, event.start) == (left[at].thread, left[at].start);
        let is_private = left.iter().filter(|event| call(event)).all(|event| M::is_private(&event.step));
        let without: Vec<_> = left.iter().filter(|event| !call(event)).cloned().collect();
        if is_private && is_rejected(states, &without) {
            left = without;
        } else {
            at += 1;
        }
    }
    // Of the calls that are left, such as a walk, steps that do not matter.
    let mut at = 0;
    while at < left.len() {
        let event = left.remove(at);
        if !M::is_read(&event.step) || !is_rejected(states, &left) {
            left.insert(at, event);
            at += 1;
        }
    }
    left
}

fn is_rejected<M: Model>(states: &[M], events: &[Event<M::Step>]) -> bool {
    ends(states, events, 1).is_ok_and(|ends: HashSet<M>| ends.is_empty())
}

fn render<M: Model>(states: &[M], events: &[Event<M::Step>]) -> String {
    let mut text = String::from("no order explains these answers");
    for state in states.iter().take(4) {
        write!(text, "\n    from   {state:?}").expect("a string takes it");
    }
    if states.len() > 4 {
        write!(text, "\n    or from {} other states", states.len() - 4).expect("a string takes it");
    }
    text + &lines(events)
}

/// A line for each event.
pub(super) fn lines<S: Debug>(events: &[Event<S>]) -> String {
    let line = |Event { thread, start, end, step }: &Event<S>| {
        format!("\n    thread {thread}  {start:>6} to {end:<6}  {step:?}")
    };
    events.iter().map(line).collect()
}

/// Whether some order explains steps by thread, start and end.
#[cfg(test)]
pub(super) fn holds<M: Model>(start: &M, steps: Vec<(usize, u64, u64, M::Step)>) -> bool {
    explained(start, &history(steps)).expect("short enough to be decided")
}

#[cfg(test)]
fn history<S>(steps: Vec<(usize, u64, u64, S)>) -> Vec<Event<S>> {
    steps.into_iter().map(|(thread, start, end, step)| Event { thread, start, end, step }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that is set, added to, or read.
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Register(u64);

    #[derive(Clone, Debug)]
    enum Step {
        Set(u64),
        /// What was there before.
        Add(u64, u64),
        Get(u64),
    }

    use Step::{Add, Get, Set};

    impl Model for Register {
        type Step = Step;

        fn apply(&mut self, _: usize, step: &Step) -> bool {
            match *step {
                Set(value) => self.0 = value,
                Add(value, before) => {
                    self.0 += value;
                    return self.0 == before + value;
                }
                Get(seen) => return self.0 == seen,
            }
            true
        }

        fn is_read(step: &Step) -> bool {
            matches!(step, Get(_))
        }
    }

    #[test]
    fn accepts_what_some_order_explains() {
        // The read began before the write ended, and may be on either side of it.
        for seen in [0, 7] {
            assert!(holds(&Register(0), vec![(0, 0, 3, Set(7)), (1, 1, 2, Get(seen))]));
        }
        // Three that overlap, and only one of six orders will do.
        let adds = vec![(0, 0, 9, Add(1, 6)), (1, 1, 8, Add(2, 4)), (2, 2, 7, Add(4, 0)), (2, 10, 11, Get(7))];
        assert!(holds(&Register(0), adds));
    }

    #[test]
    fn rejects_a_stale_read_and_a_lost_update() {
        assert!(!holds(&Register(0), vec![(0, 0, 1, Set(7)), (1, 2, 3, Get(0))]));
        assert!(!holds(&Register(0), vec![(0, 0, 3, Add(1, 0)), (1, 1, 2, Add(1, 0))]));
    }

    #[test]
    fn rejects_reads_that_see_writes_in_different_orders() {
        let writes = vec![(0, 0, 9, Set(1)), (1, 0, 9, Set(2))];
        let reads = vec![(2, 1, 2, Get(1)), (2, 3, 4, Get(2)), (3, 5, 6, Get(1))];
        assert!(!holds(&Register(0), [writes, reads].concat()));
    }

    #[test]
    fn takes_the_steps_of_one_call_in_their_order() {
        let steps = |first, second| vec![(0, 0, 1, first), (0, 0, 1, second)];
        assert!(holds(&Register(0), steps(Set(1), Get(1))));
        assert!(!holds(&Register(0), steps(Get(1), Set(1))));
    }

    #[test]
    fn says_when_it_has_searched_for_too_long() {
        // None of 64 writes that overlap has written what is read at last.
        let lane = |thread| (0..8).map(move |i| (thread, 0, 99, Set((8 * thread + i) as u64)));
        let writes = (0..MAX_THREADS).flat_map(lane);
        let events = history(writes.chain([(0, 100, 101, Get(1_000))]).collect());
        assert!(explained(&Register(0), &events).is_err());
    }

    #[test]
    fn explains_with_the_piece_that_is_wrong_and_without_reads_that_are_not() {
        let before = vec![(0, 0, 3, Set(1)), (1, 1, 2, Set(2))];
        let wrong = vec![(0, 4, 9, Add(8, 1)), (1, 5, 6, Get(9)), (1, 7, 8, Get(2))];
        let after = vec![(0, 10, 11, Get(9))];
        let text = explain(&Register(0), history([before, wrong, after].concat()));
        assert!(text.contains("Register(1)") && text.contains("Register(2)"), "{text}");
        assert!(!text.contains("Set") && !text.contains("10 to 11"), "{text}");
        assert!(text.contains("Add(8, 1)") && text.contains("Get(2)"), "{text}");
    }
}
