//! Why a handle was refused.

#![forbid(unsafe_code)]

/// A refused operation on a [`HandleStore`](super::HandleStore). Nothing was stored or evicted.
///
/// `Display` names neither ids nor data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// There is no such handle: it was never there, or it was evicted, removed or swept.
    #[error("handle not found")]
    NotFound,
    /// The handle's time is over. It is not there any more.
    #[error("handle has expired")]
    Expired,
    /// The entry is larger than an entry may be.
    #[error("an entry of {bytes} bytes is over the {max} that one may have")]
    TooLarge {
        /// What it would hold, in bytes.
        bytes: u64,
        /// What an entry may hold, in bytes.
        max: u64,
    },
    /// A time to live of nothing: the handle would never be alive.
    #[error("time to live must be positive")]
    ZeroTtl,
}

impl HandleError {
    /// 404 for a handle that is not there, 410 for one that has expired, 413 for an entry that is too large, 400 for a
    /// time to live of nothing.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Expired => 410,
            Self::TooLarge { .. } => 413,
            Self::ZeroTtl => 400,
        }
    }
}
