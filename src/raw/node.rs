//! An entry of a [table](super::table), and the one who holds it until it is published.

use super::epoch;

/// An entry. In this order, so that a value can have its parts in cache lines of their own.
#[repr(C, align(8))]
pub(crate) struct Node<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
}

/// A node that was not published: freed when dropped.
pub(crate) struct Owned<K, V>(pub(super) *mut Node<K, V>);

impl<K, V> Owned<K, V> {
    pub(crate) fn new(key: K, value: V) -> Self {
        Self(epoch::alloc(Node { key, value }))
    }

    /// The key and value, for another try.
    pub(crate) fn into_parts(self) -> (K, V) {
        let node = self.publish();
        // SAFETY: from `alloc`, never published (invariant 6), and `self` is gone.
        let node = unsafe { epoch::take(node) };
        (node.key, node.value)
    }

    /// Gives the node up to the table.
    pub(super) fn publish(self) -> *mut Node<K, V> {
        let node = self.0;
        std::mem::forget(self);
        node
    }
}

impl<K, V> std::ops::Deref for Owned<K, V> {
    type Target = Node<K, V>;

    fn deref(&self) -> &Node<K, V> {
        // SAFETY: from `alloc`, and ours (invariant 6).
        unsafe { epoch::deref(self.0) }
    }
}

impl<K, V> std::ops::DerefMut for Owned<K, V> {
    fn deref_mut(&mut self) -> &mut Node<K, V> {
        // SAFETY: from `alloc`, and ours (invariant 6).
        unsafe { &mut *self.0 }
    }
}

impl<K, V> Drop for Owned<K, V> {
    fn drop(&mut self) {
        // SAFETY: from `alloc`, never published (invariant 6).
        unsafe { epoch::dealloc(self.0) }
    }
}
