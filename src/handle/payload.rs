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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_takes_what_it_owns_and_has_spare() {
        let text = |len: usize| "x".repeat(len);
        let mut list = Vec::with_capacity(7);
        list.extend([text(3).into_boxed_str(), text(4).into_boxed_str()]);
        let (slot, frame) = (size_of::<Box<str>>() as u64, size_of::<Vec<Box<str>>>() as u64);
        // Two that hold their texts, and room for five more.
        assert_eq!(list.bytes(), frame + 7 * slot + 3 + 4);
        let mut roomy = String::with_capacity(50);
        roomy.push('x');
        assert_eq!(roomy.bytes(), size_of::<String>() as u64 + 50);
        assert_eq!(Arc::new(roomy).bytes(), (size_of::<usize>() + size_of::<String>()) as u64 + ARC_COUNTS + 50);
    }
}
