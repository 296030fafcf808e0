//! An atomic pointer whose low bits carry a tag.

use crate::sync::{AtomicPtr, Ordering};

/// Bits that an eight-byte aligned pointer leaves free.
const TAG_BITS: usize = 0b111;

/// A pointer and a tag, as read from a [`Link`].
pub(crate) struct Tagged<T>(*mut T);

impl<T> Clone for Tagged<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Tagged<T> {}

impl<T> Tagged<T> {
    pub(crate) const NULL: Self = Self(std::ptr::null_mut());

    pub(crate) fn new(ptr: *mut T, tag: usize) -> Self {
        const { assert!(align_of::<T>() > TAG_BITS) };
        debug_assert!(tag <= TAG_BITS);
        Self(ptr.map_addr(|address| address | tag))
    }

    pub(crate) fn ptr(self) -> *mut T {
        self.0.map_addr(|address| address & !TAG_BITS)
    }

    pub(crate) fn tag(self) -> usize {
        self.0.addr() & TAG_BITS
    }

    pub(crate) fn has(self, bit: usize) -> bool {
        self.tag() & bit != 0
    }

    pub(crate) fn is_null(self) -> bool {
        self.ptr().is_null()
    }
}

/// An atomic [`Tagged`] pointer. All zero bytes are a null link.
#[repr(transparent)]
pub(crate) struct Link<T>(AtomicPtr<T>);

impl<T> Link<T> {
    pub(crate) fn null() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Acquire: what was written before the pointer was published is seen through it. Pairs with
    /// [`compare_exchange`](Self::compare_exchange) and [`set`](Self::set).
    pub(crate) fn load(&self) -> Tagged<T> {
        Tagged(self.0.load(Ordering::Acquire))
    }

    /// Sets a link that no other thread changes: one that none can reach yet, whose owner is published with it, or that of an
    /// item which was on a stack before.
    pub(crate) fn set(&self, to: Tagged<T>) {
        // Release: P2. Who follows the link of such an item must see that it was taken off.
        self.0.store(to.0, Ordering::Release);
    }

    /// Release: publishes what `new` points to. A failure changes nothing and publishes nothing; the caller loads
    /// again.
    pub(crate) fn compare_exchange(&self, current: Tagged<T>, new: Tagged<T>) -> bool {
        self.0.compare_exchange(current.0, new.0, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}
