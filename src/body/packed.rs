//! Bytes as they are kept: as they came, or compressed where that is smaller.

#![forbid(unsafe_code)]

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use std::io::Read;
use std::sync::Arc;

/// Some bytes, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packed {
    Plain(Arc<[u8]>),
    /// By DEFLATE (RFC 1951).
    Deflated(Arc<[u8]>),
}

impl Packed {
    /// Compresses what is longer than `threshold`, and keeps that only if it is shorter than what it was made of.
    pub(super) fn new(bytes: &[u8], threshold: usize) -> Self {
        if bytes.len() > threshold {
            let mut deflated = Vec::with_capacity(bytes.len());
            let mut encoder = DeflateEncoder::new(bytes, Compression::default()).take(bytes.len() as u64);
            // Reading from memory does not fail. What fills the room to the last byte is not shorter.
            if encoder.read_to_end(&mut deflated).is_ok_and(|len| len < bytes.len()) {
                return Self::Deflated(deflated.into());
            }
        }
        Self::Plain(bytes.into())
    }

    /// Bytes that are kept.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) | Self::Deflated(bytes) => bytes.len(),
        }
    }

    /// Appends what was kept, which is `len` bytes. False, and at most `len` bytes more, if it is not.
    #[must_use]
    pub(super) fn append_to(&self, out: &mut Vec<u8>, len: u64) -> bool {
        let before = out.len();
        match self {
            Self::Plain(bytes) => out.extend_from_slice(bytes),
            Self::Deflated(bytes) => {
                if DeflateDecoder::new(&**bytes).take(len).read_to_end(out).is_err() {
                    return false;
                }
            }
        }
        (out.len() - before) as u64 == len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(packed: &Packed, len: u64) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        packed.append_to(&mut out, len).then_some(out)
    }

    #[test]
    fn what_is_longer_than_the_threshold_is_compressed_if_that_is_shorter() {
        let text = vec![b'a'; 1025];
        assert!(matches!(Packed::new(&text[..1024], 1024), Packed::Plain(_)));
        let packed = Packed::new(&text, 1024);
        assert!(matches!(packed, Packed::Deflated(_)) && packed.len() < 100);
        assert_eq!(read(&packed, 1025), Some(text));
    }

    #[test]
    fn what_does_not_get_shorter_is_kept_as_it_is() {
        // Bytes without a pattern: DEFLATE stores them, with a header.
        let noise: Vec<u8> = (0..2048_u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let noise: Vec<u8> = noise.chunks(32).flat_map(|chunk| *super::super::Digest::of(chunk).as_bytes()).collect();
        let packed = Packed::new(&noise, 1024);
        assert_eq!(packed, Packed::Plain(noise.clone().into()));
        assert_eq!(read(&packed, 2048), Some(noise));
    }

    #[test]
    fn decompression_ends_at_the_recorded_size() {
        let packed = Packed::new(&vec![0; 1 << 20], 1024);
        let mut out = Vec::new();
        assert!(packed.append_to(&mut out, 10) && out.len() == 10, "a bomb is cut off");
        assert_eq!(read(&packed, (1 << 20) + 1), None);
    }
}
