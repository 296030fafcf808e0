//! A Treiber stack that can be sealed once it is empty.
//!
//! `head` is a pointer to the top item, null when empty, or `SEALED`, which is final: pushes are refused from then
//! on. Sealing is one compare-exchange from empty (its linearization point), so no push is ever lost in a stack that
//! is being taken away.
//!
//! An item that was popped may be pushed onto *another* stack, never onto one it was on: that, and the epoch, is what
//! makes the compare-exchange of [`Stack::pop`] safe from ABA.
//!
//! Ordering pair P2: `push` (Release) with `top` (Acquire): the item's fields; `Link::set` (Release) with `below` (Acquire):
//! that the item was taken off the stack it was on (`docs/mutations.md` has its models).

use super::cache;
use super::epoch::{self, Guard};
use super::link::{Link, Tagged};
use crate::sync::MODEL;

const SEALED: usize = 1;
/// Visits between one fetch for an item and the next, and its own: so many that memory answers meanwhile.
const AHEAD: usize = if MODEL { 1 } else { 2 };

/// An item and its link.
#[repr(align(8))]
pub(crate) struct Item<T> {
    next: Link<Item<T>>,
    pub(crate) value: T,
}

/// An item that is on no stack. It must be pushed or discarded: other threads may still read it if it was on a stack
/// before, so it cannot simply be freed when dropped.
#[must_use]
pub(crate) struct Loose<T>(*mut Item<T>);

impl<T> Loose<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(epoch::alloc(Item { next: Link::null(), value }))
    }

    pub(crate) fn value(&self) -> &T {
        // SAFETY: neither freed nor retired while it is loose.
        unsafe { &epoch::deref(self.0).value }
    }

    /// Frees the item once nobody reads it.
    pub(crate) fn discard(self, guard: &Guard) {
        // SAFETY: on no stack, so unreachable for later pins; `self` is the only owner.
        unsafe { guard.retire(self.0) }
    }
}

/// See the module.
pub(crate) struct Stack<T> {
    head: Link<Item<T>>,
}

impl<T> Stack<T> {
    pub(crate) fn new() -> Self {
        Self { head: Link::null() }
    }

    /// Puts `item` on top; gives it back if the stack is sealed.
    pub(crate) fn push(&self, item: Loose<T>) -> Result<(), Loose<T>> {
        // SAFETY: loose, so neither freed nor retired.
        let this: &Item<T> = unsafe { epoch::deref(item.0) };
        loop {
            let head = self.head.load();
            if head.has(SEALED) {
                return Err(item);
            }
            // Readers that hold the item from another stack may see this; that stack's head tells them so.
            this.next.set(head);
            if self.head.compare_exchange(head, Tagged::new(item.0, 0)) {
                return Ok(());
            }
        }
    }

    /// The top item.
    pub(crate) fn top<'g>(&self, _guard: &'g Guard) -> Option<&'g Item<T>> {
        let head = self.head.load();
        // SAFETY: loaded under the guard from a live stack (invariant 1).
        (!head.is_null()).then(|| unsafe { epoch::deref(head.ptr()) })
    }

    /// What is in two items below `top`, [`AHEAD`] apart from it and from each other, for who wants to fetch what they name; the
    /// item after those is on its way to the cache. Nothing once `top` was taken off.
    pub(crate) fn ahead<'g>(&self, top: &'g Item<T>, guard: &'g Guard) -> [Option<&'g T>; 2] {
        let further = |item| (0..AHEAD).try_fold(item, |item, _| self.below(item, top, guard));
        let next = further(top);
        let later = next.and_then(further);
        if let Some(later) = later {
            cache::fetch(later.next.load().ptr());
        }
        [next, later].map(|item| item.map(|item| &item.value))
    }

    /// The item below `item`, which is `top` or was found below it, if `top` still is on top.
    fn below<'g>(&self, item: &'g Item<T>, top: &Item<T>, _guard: &'g Guard) -> Option<&'g Item<T>> {
        // Acquire, both: P2. A link to another stack is set after the item, and so `top`, was taken off this one.
        let next = item.next.load().ptr();
        if next.is_null() || !std::ptr::eq(self.head.load().ptr(), top) {
            return None;
        }
        // Published: who pushed what is above it had seen it, and `top` was loaded with Acquire from a chain of exchanges.
        // SAFETY: of this stack, taken off after `top`, which the guard saw on it (invariant 1).
        Some(unsafe { epoch::deref(next) })
    }

    /// Takes `top` off, if it still is on top.
    pub(crate) fn pop(&self, top: &Item<T>) -> Option<Loose<T>> {
        // The pointer that was pushed, not one made from `top`: it is to free the item one day.
        let head = self.head.load();
        if !std::ptr::eq(head.ptr(), top) {
            return None;
        }
        self.head.compare_exchange(head, top.next.load()).then_some(Loose(head.ptr()))
    }

    /// Seals the stack if it is empty. True if it is sealed now.
    pub(crate) fn seal(&self) -> bool {
        let sealed = Tagged::new(std::ptr::null_mut(), SEALED);
        self.head.compare_exchange(Tagged::NULL, sealed) || self.is_sealed()
    }

    /// Whether pushes are refused. Final.
    pub(crate) fn is_sealed(&self) -> bool {
        self.head.load().has(SEALED)
    }
}

impl<T> Drop for Stack<T> {
    fn drop(&mut self) {
        let mut curr = self.head.load().ptr();
        while !curr.is_null() {
            // SAFETY: on the stack, hence not freed yet.
            let next = unsafe { epoch::deref(curr) }.next.load().ptr();
            // SAFETY: items on a stack are not retired, and access is exclusive (invariant 6).
            unsafe { epoch::dealloc(curr) };
            curr = next;
        }
    }
}

#[cfg(all(test, not(any(tollgate_loom, tollgate_shuttle))))]
mod tests {
    use super::*;

    fn push(stack: &Stack<u64>, item: Loose<u64>) {
        assert!(stack.push(item).is_ok());
    }

    #[test]
    fn who_looks_ahead_sees_items_below_the_top() {
        let (stack, guard) = (Stack::new(), epoch::pin());
        (1..=6).for_each(|value| push(&stack, Loose::new(value)));
        let mut seen = Vec::new();
        while let Some(top) = stack.top(&guard) {
            seen.push((top.value, stack.ahead(top, &guard).map(Option::<&u64>::copied)));
            stack.pop(top).expect("nobody else takes it").discard(&guard);
        }
        let ahead = [[Some(4), Some(2)], [Some(3), Some(1)], [Some(2), None], [Some(1), None], [None; 2], [None; 2]];
        assert!(seen.into_iter().eq((1..=6).rev().zip(ahead)));
    }

    #[test]
    fn who_looks_ahead_of_an_item_that_was_taken_off_sees_nothing() {
        let (first, second, guard) = (Stack::new(), Stack::new(), epoch::pin());
        (1..=6).for_each(|value| push(&first, Loose::new(value)));
        (11..=16).for_each(|value| push(&second, Loose::new(value)));
        let top = first.top(&guard).expect("it was pushed");
        let moved = first.pop(top).expect("nobody else takes it");
        assert_eq!(first.ahead(top, &guard), [None; 2]);
        push(&second, moved);
        assert_eq!((first.ahead(top, &guard), second.ahead(top, &guard)), ([None; 2], [Some(&15), Some(&13)]));
    }
}
