//! A copy of the workspace with all mutations in it, each behind a switch.

use super::{Numbered, Tried, all};
use std::cmp::Reverse;
use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable with the number of the mutation to switch on.
pub(super) const SWITCH: &str = "MUTATION";

/// What the copy's crate begins with: what mutations leave unused is none of its faults.
const LENIENT: &str = "#![allow(warnings)]\n";

/// What it ends with: the switches.
const SWITCHES: &str = r#"
mod mutation {
    static CHOSEN: std::sync::LazyLock<Option<u32>> =
        std::sync::LazyLock::new(|| std::env::var("MUTATION").ok()?.parse().ok());

    #[inline]
    pub(crate) fn is(number: u32) -> bool {
        *CHOSEN == Some(number)
    }
}
"#;

/// Copies what git knows or would know, and removes what it does not know any more. Files that are as they should be are not
/// touched, so that nothing is built again for them.
pub(super) fn copy(root: &Path, to: &Path) -> Tried<()> {
    let listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(listed).current_dir(root).output()?;
    if !listed.status.success() {
        return Err("git does not list the files of the workspace".into());
    }
    let listed = String::from_utf8(listed.stdout)?;
    // Without those that are deleted, though git does not know it yet.
    let files: Vec<_> = listed.split_terminator('\0').filter(|file| root.join(file).exists()).collect();
    remove_others(to, &files.iter().map(|file| to.join(file)).collect())?;
    for file in files {
        let mut content = fs::read(root.join(file))?;
        let mutations: Vec<_> = all().into_iter().filter(|it| it.file == file).collect();
        if !mutations.is_empty() {
            content = mutated(&String::from_utf8(content)?, &mutations).into_bytes();
        }
        if file == "src/lib.rs" {
            content = [LENIENT.as_bytes(), &content, SWITCHES.as_bytes()].concat();
        }
        let path = to.join(file);
        if fs::read(&path).is_ok_and(|there| there == content) {
            continue;
        }
        fs::create_dir_all(path.parent().expect("below the folder"))?;
        fs::write(path, content)?;
    }
    Ok(())
}

/// Removes all files in `folder` but these.
fn remove_others(folder: &Path, wanted: &HashSet<PathBuf>) -> Tried<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The text with these mutations in it, which are found in it, and within each other or apart.
fn mutated(text: &str, mutations: &[Numbered]) -> String {
    let placed = |it: &Numbered| it.mutation.span(text).map(|span| (span, *it));
    let mut placed: Vec<_> = mutations.iter().filter_map(placed).collect();
    placed.sort_by_key(|(span, _)| (span.start, Reverse(span.end)));
    switched(text, 0..text.len(), &placed)
}

fn switched(text: &str, range: Range<usize>, mut inside: &[(Range<usize>, Numbered)]) -> String {
    let (mut out, mut at) = (String::new(), range.start);
    while let Some((span, _)) = inside.first() {
        let same = inside.partition_point(|(other, _)| other == span);
        let within = inside.partition_point(|(other, _)| other.start < span.end);
        out += &text[at..span.start];
        let mut switch = String::new();
        for (_, Numbered { number, mutation, .. }) in &inside[..same] {
            switch += &format!("if crate::mutation::is({number}) {{ {} }} else ", mutation.with);
        }
        switch += &format!("{{ {} }}", switched(text, span.clone(), &inside[same..within]));
        // Not every place for an expression takes one that ends with a brace; statements need no more.
        out += &if text[span.clone()].ends_with(';') { switch } else { format!("({switch})") };
        at = span.end;
        inside = &inside[within..];
    }
    out + &text[at..range.end]
}

#[cfg(test)]
mod tests {
    use super::super::list::{Fate, Mutation};
    use super::*;

    const fn mutation(find: &'static str, with: &'static str) -> Mutation {
        Mutation { id: "", what: "", find, with, fate: Fate::Breaks(&[]) }
    }

    #[test]
    fn mutations_of_one_place_and_within_another_have_a_switch_each() {
        static ALL: [Mutation; 3] = [mutation("f(g(1));", ""), mutation("g(«1»)", "2"), mutation("g(«1»)", "3")];
        let numbered: Vec<_> =
            (1..).zip(&ALL).map(|(number, mutation)| Numbered { number, file: "", mutation }).collect();
        let inner = "(if crate::mutation::is(2) { 2 } else if crate::mutation::is(3) { 3 } else { 1 })";
        let expected = format!("x; if crate::mutation::is(1) {{  }} else {{ f(g({inner})); }} y");
        assert_eq!(mutated("x; f(g(1)); y", &numbered), expected);
    }
}
