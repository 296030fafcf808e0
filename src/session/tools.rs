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
pub struct ToolNames(Arc<[Tool]>);

#[derive(PartialEq, Eq)]
struct Tool {
    /// What is looked for first.
    mark: u64,
    /// Here, as names would have to be fetched to be compared.
    print: Print,
    name: Box<str>,
}

impl Tools {
    /// These tools and no others.
    pub fn only<T: Into<Box<str>>>(names: impl IntoIterator<Item = T>) -> Self {
        Self::Only(ToolNames(names.into_iter().map(|name| Tool::new(name.into())).collect()))
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

impl Tool {
    fn new(name: Box<str>) -> Self {
        let print = print(&name);
        Self { mark: mark(print), print, name }
    }
}

impl ToolNames {
    /// Whether this is one of them. O(their number); compares one name as a rule, and none that is short.
    #[must_use]
    #[inline]
    pub fn contains(&self, name: &str) -> bool {
        let print = print(name);
        let mark = mark(print);
        // By selection: which tool is called, no branch can predict.
        let mut last = usize::MAX;
        for (at, tool) in self.0.iter().enumerate() {
            last = if tool.mark == mark { at } else { last };
        }
        // Where two names have the same mark or print, the last may be the other one.
        self.0.get(last).is_some_and(|last| {
            last.print == print && (name.len() <= WHOLE || *last.name == *name)
                || self.0.iter().any(|tool| *tool.name == *name)
        })
    }

    /// The names, as they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|tool| &*tool.name)
    }
}

impl fmt::Debug for ToolNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What tells most names apart: their first and last eight bytes, and their length.
type Print = [u64; 2];

/// Names of so many bytes or fewer are whole in their prints.
const WHOLE: usize = 15;

#[inline]
fn print(name: &str) -> Print {
    const BYTES: usize = size_of::<u64>();
    let bytes = name.as_bytes();
    let (first, last) = match (bytes.first_chunk::<BYTES>(), bytes.last_chunk::<BYTES>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (bytes.iter().fold(0, |ends, &byte| ends << u8::BITS | u64::from(byte)), 0),
    };
    // It takes the place of a byte, one that is in `first`, too, if the name is no longer than `WHOLE`.
    let length = bytes.len().min(u8::MAX.into()) as u64;
    [first, last & !u64::from(u8::MAX) | length]
}

/// What tells most prints apart, in one word.
#[inline]
fn mark([first, last]: Print) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    first.wrapping_mul(ODD) ^ last
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
    fn names_of_one_mark_are_told_apart() {
        // Found by trying: what their first halves make the marks differ by, their last halves make up for.
        let (known, unknown) = ("0aaaaaaa       ", "00500205+DZP\u{3fb6}");
        assert_eq!((known.len(), mark(print(known))), (WHOLE, mark(print(unknown))));
        let both = Tools::only([known, unknown]);
        assert_eq!(both.first_unauthorized(&[known, unknown]), None);
        for tools in [Tools::only([known]), Tools::only([known, known])] {
            assert_eq!(tools.first_unauthorized(&[known, unknown]), Some(1));
        }
    }

    #[test]
    fn one_byte_tells_names_apart_wherever_it_is() {
        let all = "read_file_from_disk_now";
        for name in (1..=all.len()).map(|length| &all[..length]) {
            let tools = Tools::only([name]);
            for at in 0..name.len() {
                let other = [&name[..at], "X", &name[at + 1..]].concat();
                assert_eq!(tools.first_unauthorized(&[name, &other]), Some(1), "{other:?} is not {name:?}");
            }
            assert_eq!(tools.first_unauthorized(&[&name[1..]]), Some(0));
            assert_eq!(tools.first_unauthorized(&[[name, "\0"].concat()]), Some(0));
        }
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
