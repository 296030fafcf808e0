//! Configuration errors: what a constructor refuses, and why.

/// A configuration value that cannot be honoured, refused before anything is built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit that must let something through is zero.
    #[error("{what} must be positive")]
    Zero {
        /// The option's name.
        what: &'static str,
    },
    /// A limit is larger than can be counted exactly.
    #[error("{what} is {given}, more than the {max} that can be counted exactly")]
    TooLarge {
        /// The option's name.
        what: &'static str,
        /// The value asked for.
        given: u128,
        /// The largest value that is accepted.
        max: u128,
    },
    /// A limit is below another one that it must not be below.
    #[error("{what} is {given}, less than {other}, which is {min}")]
    Below {
        /// The option's name.
        what: &'static str,
        /// The value asked for.
        given: u64,
        /// The other option's name.
        other: &'static str,
        /// The other option's value.
        min: u64,
    },
}

/// Refuses zero.
pub(crate) fn positive(what: &'static str, value: u64) -> Result<u64, ConfigError> {
    if value == 0 { Err(ConfigError::Zero { what }) } else { Ok(value) }
}
