//! What contents are called by.

#![forbid(unsafe_code)]

use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// The SHA-256 of some bytes (FIPS 180-4), printed and parsed as 64 hexadecimal digits: what `sha256sum` prints.
///
/// # Examples
///
/// ```
/// use tollgate::body::Digest;
///
/// let digest = Digest::of(b"abc");
/// let printed = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/// assert_eq!(digest.to_string(), printed);
/// assert_eq!(printed.parse(), Ok(digest));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
#[non_exhaustive]
pub struct NotADigest;

impl Digest {
    /// The digest of `bytes`. O(n).
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digests of all prefixes that end where a part does: one pass, O(n). The last is that of the whole.
    pub(super) fn of_prefixes(parts: &[&[u8]]) -> Vec<Self> {
        let mut hasher = Sha256::new();
        let prefix = |part: &&[u8]| {
            hasher.update(part);
            Self(hasher.clone().finalize().into())
        };
        parts.iter().map(prefix).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let (text, mut digest) = (text.as_bytes(), [0; 32]);
        if text.len() != 64 {
            return Err(NotADigest);
        }
        let nibble = |digit: u8| char::from(digit).to_digit(16).ok_or(NotADigest);
        for (byte, digits) in digest.iter_mut().zip(text.chunks_exact(2)) {
            // Two digits of four bits each.
            *byte = (nibble(digits[0])? << 4 | nibble(digits[1])?) as u8;
        }
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-4, examples of SHA-256: none, one and two blocks.
        let known: [(&[u8], &str); 3] = [
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
        ];
        for (bytes, printed) in known {
            assert_eq!(Digest::of(bytes).to_string(), printed);
            assert_eq!(printed.parse(), Ok(Digest::of(bytes)));
            assert_eq!(printed.to_uppercase().parse(), Ok(Digest::of(bytes)));
        }
    }

    #[test]
    fn what_is_not_a_digest_is_refused() {
        let long = "0".repeat(65);
        for text in ["", "00", &long, &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(text.parse::<Digest>(), Err(NotADigest));
        }
    }

    #[test]
    fn prefixes_have_the_digests_of_their_bytes() {
        let parts: [&[u8]; 3] = [b"one", b" and ", b"two"];
        assert_eq!(Digest::of_prefixes(&parts), [b"one".as_slice(), b"one and ", b"one and two"].map(Digest::of));
    }
}
