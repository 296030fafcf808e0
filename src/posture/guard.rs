//! Guards: the caller's conditions on transitions.

#![forbid(unsafe_code)]

use super::{TransitionKind, TransitionRequest};
use std::fmt;
use std::sync::Arc;

/// The name of the guard that a machine starts with.
pub const UPGRADE_APPROVAL: &str = "upgrade_approval_required";

type Predicate = dyn Fn(&TransitionRequest) -> bool + Send + Sync;

/// A condition on transitions of some kinds; one of another kind passes it.
///
/// It is called outside of any step that others could wait for: it may be slow, panic, or call the machine. A panic goes
/// to who asked for the transition, and leaves nothing behind.
///
/// # Examples
///
/// ```
/// use tollgate::posture::{Guard, Posture};
///
/// let guard = Guard::new("not_above_supervised", |request| request.to <= Posture::Supervised)
///     .failure_reason("nobody acts unsupervised here");
/// assert_eq!(guard.name(), "not_above_supervised");
/// ```
#[derive(Clone)]
pub struct Guard {
    name: Arc<str>,
    reason: Arc<str>,
    kinds: Arc<[TransitionKind]>,
    predicate: Arc<Predicate>,
}

impl Guard {
    /// A guard of upgrades that lets pass what satisfies `predicate`.
    #[must_use]
    pub fn new(
        name: impl Into<Arc<str>>,
        predicate: impl Fn(&TransitionRequest) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            reason: Arc::from("guard did not let it pass"),
            kinds: Arc::from([TransitionKind::Upgrade]),
            predicate: Arc::new(predicate),
        }
    }

    /// Guards these kinds of transitions. Emergencies and [`set_posture`](super::PostureMachine::set_posture) ask no
    /// guard.
    #[must_use]
    pub fn applies_to(mut self, kinds: impl Into<Arc<[TransitionKind]>>) -> Self {
        self.kinds = kinds.into();
        self
    }

    /// Says this in the result of what it refuses.
    #[must_use]
    pub fn failure_reason(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Upgrades need somebody who asks for them; an empty name is nobody.
    pub(super) fn upgrade_approval() -> Self {
        let named = |request: &TransitionRequest| request.requester.as_ref().is_some_and(|name| !name.is_empty());
        Self::new(UPGRADE_APPROVAL, named).failure_reason("upgrade requires approval by a requester")
    }

    pub(super) fn passes(&self, request: &TransitionRequest) -> bool {
        !self.kinds.contains(&request.kind()) || (self.predicate)(request)
    }

    /// Its name and the reason that it gives, for a result.
    pub(super) fn blocked(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.name), Arc::clone(&self.reason))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("name", &self.name).field("kinds", &self.kinds).finish_non_exhaustive()
    }
}
