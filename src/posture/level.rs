//! The five postures, their order and their names.

#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

/// How much an agent may do by itself. Ordered: a greater one may do more.
///
/// # Examples
///
/// ```
/// use tollgate::posture::Posture;
///
/// assert!(Posture::Pseudo < Posture::Autonomous);
/// assert_eq!(" Shared-Planning".parse(), Ok(Posture::Supervised));
/// assert_eq!(Posture::Tool.to_string(), "tool");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Posture {
    /// Level 1: a name only; it does nothing by itself. Where every emergency ends.
    Pseudo = 1,
    /// Level 2: a tool in a person's hand.
    Tool = 2,
    /// Level 3: acts, and a person looks on.
    Supervised = 3,
    /// Level 4: is given tasks, and may hand some on.
    Delegating = 4,
    /// Level 5: acts by itself.
    Autonomous = 5,
}

/// Every name that is understood. The current ones first, then older ones, each of which has always meant one level.
const NAMES: &[(&str, Posture)] = &[
    ("pseudo", Posture::Pseudo),
    ("tool", Posture::Tool),
    ("supervised", Posture::Supervised),
    ("delegating", Posture::Delegating),
    ("autonomous", Posture::Autonomous),
    ("pseudo_agent", Posture::Pseudo),
    ("pseudoagent", Posture::Pseudo),
    ("shared_planning", Posture::Supervised),
    ("continuous_insight", Posture::Delegating),
    ("delegated", Posture::Autonomous),
    ("blocked", Posture::Pseudo),
    ("human_decides", Posture::Tool),
    ("assisted", Posture::Delegating),
    ("full_autonomy", Posture::Autonomous),
];

impl Posture {
    /// All of them, lowest first.
    pub const ALL: [Self; 5] = [Self::Pseudo, Self::Tool, Self::Supervised, Self::Delegating, Self::Autonomous];

    /// Its level, 1 to 5.
    #[must_use]
    pub const fn level(self) -> u8 {
        self as u8
    }

    /// Its current name, as it goes over the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pseudo => "pseudo",
            Self::Tool => "tool",
            Self::Supervised => "supervised",
            Self::Delegating => "delegating",
            Self::Autonomous => "autonomous",
        }
    }
}

impl fmt::Display for Posture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no posture. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a posture")]
pub struct ParsePostureError;

/// Reads a name: in any case, with `-` or a space for `_`, white space around it ignored.
///
/// Current names count first. Of the older wire names those are accepted that have meant one level throughout:
/// `delegated` 5, `continuous_insight` 4, `shared_planning` 3, `pseudo_agent` 1, and before them `full_autonomy` 5,
/// `assisted` 4, `human_decides` 2, `blocked` 1. `supervised` is a current name and reads as level 3, though there was a
/// month in which it was written for level 2: whoever reads records of that month has to translate it first.
impl FromStr for Posture {
    type Err = ParsePostureError;

    fn from_str(text: &str) -> Result<Self, ParsePostureError> {
        let plain = |c: char| if matches!(c, '-' | ' ') { '_' } else { c.to_ascii_lowercase() };
        let named = |name: &str| text.trim().chars().map(plain).eq(name.chars());
        NAMES.iter().find(|(name, _)| named(name)).map(|&(_, posture)| posture).ok_or(ParsePostureError)
    }
}
