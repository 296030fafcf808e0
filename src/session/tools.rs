//! Which tools a session may call.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

/// The tools that a session may call. An empty list allows nothing; everything is allowed only by name.
///
/// Cheap to clone: clones share the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tools {
    /// Every tool.
    Any,
    /// These and no others, by exact name.
    Only(ToolNames),
}

/// Names of tools.
///
/// # Examples
///
/// ```
/// use tollgate::session::Tools;
///
/// let Tools::Only(names) = Tools::only(["search", "read"]) else { unreachable!() };
/// assert!(names.contains("read"));
/// assert_eq!(names.iter().collect::<Vec<_>>(), ["search", "read"]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ToolNames(Arc<Names>);

#[derive(PartialEq, Eq)]
struct Names {
    /// Of each name, in one piece of memory: to compare names, one would have to fetch them.
    prints: Box<[u64]>,
    names: Box<[Box<str>]>,
}

impl Tools {
    /// These tools and no others.
    pub fn only<T: Into<Box<str>>>(names: impl IntoIterator<Item = T>) -> Self {
        let names: Box<[Box<str>]> = names.into_iter().map(Into::into).collect();
        let prints = names.iter().map(|name| print(name)).collect();
        Self::Only(ToolNames(Arc::new(Names { prints, names })))
    }

    /// The place of the first name that is not allowed. O(names x tools).
    #[inline]
    pub(super) fn first_unauthorized<T: AsRef<str>>(&self, names: &[T]) -> Option<usize> {
        match self {
            Self::Any => None,
            Self::Only(tools) => names.iter().position(|name| !tools.contains(name.as_ref())),
        }
    }
}

impl ToolNames {
    /// Whether this is one of them. O(their number); compares one name as a rule.
    #[must_use]
    #[inline]
    pub fn contains(&self, name: &str) -> bool {
        let Names { prints, names } = &*self.0;
        let print = print(name);
        // By selection: which tool is called, no branch can predict.
        let mut last = usize::MAX;
        for (at, &known) in prints.iter().enumerate() {
            last = if known == print { at } else { last };
        }
        // Where two names have the same print, the last may be the other one.
        names.get(last).is_some_and(|last| **last == *name || names.iter().any(|known| **known == *name))
    }

    /// The names, as they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(|name| &**name)
    }
}

impl fmt::Debug for ToolNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A number that tells most names apart: of their length, their first and their last eight bytes.
#[inline]
fn print(name: &str) -> u64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes = name.as_bytes();
    let ends = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first).rotate_left(29) ^ u64::from_le_bytes(*last),
        _ => bytes.iter().fold(0, |ends, &byte| ends << u8::BITS | u64::from(byte)),
    };
    (ends ^ bytes.len() as u64).wrapping_mul(SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_print_are_told_apart() {
        // The same length, first and last eight bytes.
        let (known, unknown) = ("read_file_a_from_disk", "read_file_b_from_disk");
        assert_eq!(print(known), print(unknown));
        let tools = Tools::only([known]);
        assert_eq!(tools.first_unauthorized(&[known]), None);
        assert_eq!(tools.first_unauthorized(&[known, unknown]), Some(1));
        let both = Tools::only([known, unknown]);
        assert_eq!(both.first_unauthorized(&[unknown, known]), None);
    }

    #[test]
    fn names_are_compared_whole_whatever_their_length() {
        let names = ["", "a", "ab", "1234567", "12345678", "123456789", "1234567890123456", "12345678901234567"];
        let tools = Tools::only(names);
        assert_eq!(tools.first_unauthorized(&names), None);
        for (place, name) in names.iter().enumerate() {
            let others = Tools::only(names.iter().copied().filter(|other| other != name));
            assert_eq!(others.first_unauthorized(&names), Some(place), "{name:?}");
        }
    }
}
