//! Cohorts: agents that can be taken down at one instant.

#![forbid(unsafe_code)]

use super::{Downgrade, Posture};
use crate::budget::{Bound, Status};
use crate::clock::Timestamp;
use crate::hash::random_state;
use crate::map::ShardedMap;
use crate::sync::MODEL;
use std::sync::Arc;

/// Agents that share a fate. Every agent is in that of everyone, in that of its principal if it has one, and in that of
/// the unknown until it has seen, once it was known, that nobody had taken those down.
pub(super) struct Cohort {
    /// Whose agents they are, if they are a principal's.
    pub(super) principal: Option<Arc<str>>,
    /// Shut when the cohort is taken down: the one instant for all. Counts the members of a principal's cohort.
    pub(super) members: Bound,
    /// There before that is shut.
    order: ShardedMap<(), Arc<Order>>,
}

/// What a cohort was taken down for, and the cohort that its agents are in from then on: the next order that covers them
/// finds them there, entered or not.
pub(super) struct Order {
    pub(super) downgrade: Downgrade,
    pub(super) at: Timestamp,
    pub(super) next: Arc<Cohort>,
}

/// What holds for all agents, and for those that are not known. Replaced as a whole.
#[derive(Clone)]
pub(super) struct Everyone {
    pub(super) all: Arc<Cohort>,
    pub(super) unknown: Arc<Cohort>,
    /// Whether unknown agents are at level 1 in place of the default.
    pub(super) lowered: bool,
    /// Whether they stay there until they are released, or the default is restored.
    pub(super) latched: bool,
}

impl Cohort {
    pub(super) fn new(principal: Option<Arc<str>>) -> Arc<Self> {
        let order = ShardedMap::with_shards_and_hasher(1, random_state());
        Arc::new(Self { principal, members: Bound::new(u64::MAX), order })
    }

    /// Whether it was taken down.
    pub(super) fn is_down(&self) -> bool {
        self.members.status() == Status::Closed
    }

    /// Takes it down. False if that was done, or begun, on another order: then it is down on that one.
    pub(super) fn take_down(&self, order: &Arc<Order>) -> bool {
        let mine = self.order.pin().try_insert((), Arc::clone(order)).is_ok();
        // Whoever comes second finishes what the first has begun.
        let _ = self.members.shut(Status::Closed);
        mine
    }

    /// What it was taken down for. Asked of one that is.
    pub(super) fn order(&self) -> Arc<Order> {
        self.order.get(&()).expect("there before the cohort is shut")
    }
}

impl Drop for Cohort {
    fn drop(&mut self) {
        if MODEL && self.principal.is_some() {
            // A checker does not see the `Arc` around it, which has this come after what all owners did. One that was given
            // up may be taken down by whoever still holds it: the shut is the last of that.
            let _ = self.members.shut(Status::Closed);
        }
        // To the collector: however many cohorts follow one another, none is dropped from within the drop of another.
        self.order.pin().remove(&());
    }
}

impl Everyone {
    pub(super) fn new() -> Self {
        Self { all: Cohort::new(None), unknown: Cohort::new(None), lowered: false, latched: false }
    }

    /// The posture of unknown agents.
    pub(super) fn posture(&self, default: Posture) -> Posture {
        if self.lowered { Posture::Pseudo } else { default }
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;

    #[test]
    fn cohorts_that_follow_one_another_are_dropped_one_after_the_other() {
        let first = Cohort::new(None);
        let mut last = Arc::clone(&first);
        for _ in 0..if cfg!(miri) { 100 } else { 10_000 } {
            let next = Cohort::new(None);
            let order = Order { downgrade: Downgrade::new("stop"), at: Timestamp::ZERO, next: Arc::clone(&next) };
            assert!(last.take_down(&Arc::new(order)));
            last = next;
        }
        let end = Arc::downgrade(&last);
        drop((first, last));
        while end.strong_count() > 0 {
            ShardedMap::<(), ()>::new().pin().flush();
        }
    }
}
