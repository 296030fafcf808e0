//! What a handle can stand for.

#![forbid(unsafe_code)]

use std::sync::Arc;

/// Anything that a [`HandleStore`](super::HandleStore) can keep: it says how much memory it takes.
///
/// # Examples
///
/// ```
/// use tollgate::handle::Payload;
///
/// struct Image {
///     pixels: Box<[u8]>,
/// }
///
/// impl Payload for Image {
///     fn bytes(&self) -> u64 {
///         (size_of::<Self>() + self.pixels.len()) as u64
///     }
/// }
/// assert!(Image { pixels: [0; 64].into() }.bytes() >= 64);
/// ```
pub trait Payload: Send + Sync + 'static {
    /// What it holds in bytes, itself included. Asked once, when it is stored, and relied on from then on.
    fn bytes(&self) -> u64;

    /// How many rows it has: 1 unless it is a list.
    fn rows(&self) -> u64 {
        1
    }
}

impl Payload for Vec<u8> {
    fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.capacity()) as u64
    }
}

impl Payload for Box<[u8]> {
    fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.len()) as u64
    }
}

impl Payload for String {
    fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.capacity()) as u64
    }
}

impl Payload for Box<str> {
    fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.len()) as u64
    }
}

/// A list, of one row for each of its items.
impl<T: Payload> Payload for Vec<T> {
    fn bytes(&self) -> u64 {
        let spare = size_of::<Self>() + (self.capacity() - self.len()) * size_of::<T>();
        self.iter().fold(spare as u64, |sum, item| sum.saturating_add(item.bytes()))
    }

    fn rows(&self) -> u64 {
        self.len() as u64
    }
}

/// Counted in full wherever it is shared.
impl<T: Payload + ?Sized> Payload for Arc<T> {
    fn bytes(&self) -> u64 {
        (size_of::<Self>() as u64).saturating_add(ARC_COUNTS).saturating_add((**self).bytes())
    }

    fn rows(&self) -> u64 {
        (**self).rows()
    }
}

/// The two counts in front of what an `Arc` shares.
const ARC_COUNTS: u64 = 2 * size_of::<usize>() as u64;
