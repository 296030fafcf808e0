//! The list as Markdown.

use super::Tried;
use super::list::{Fate, Mutation, SOURCES};
use std::fs;
use std::path::Path;

/// Where the list is shown.
pub(super) const PAGE: &str = "docs/mutations.md";

/// A table for each file: what is changed, in which function, and what breaks by it, or why nothing does.
pub(super) fn markdown(root: &Path) -> Tried<String> {
    let all = super::all();
    let caught = all.iter().filter(|it| matches!(it.mutation.fate, Fate::Breaks(_))).count();
    let mut out = format!(
        "# Mutations\n\n\
         {} changes of the source, one at a time: each ordering weakened, each listed re-check dropped. By {caught} of them\n\
         the models named here break; {} are harmless, for the reason given. `stress mutate` tries them, and wrote this page\n\
         (`--table`); its tests keep both true to the source. P1 to P9 are the pairs of `ARCHITECTURE.md`.\n\n",
        all.len(),
        all.len() - caught,
    );
    for source in SOURCES {
        let text = fs::read_to_string(root.join(source.file))?;
        out += &format!("### `{}`\n\n| in | mutation | broken by |\n|---|---|---|\n", source.file);
        for mutation in source.mutations {
            let span = mutation.span(&text).ok_or_else(|| format!("{} is not in {}", mutation.id, source.file))?;
            let place = function(&text[..span.start]);
            out += &format!("| `{place}` | {} | {} |\n", change(mutation, &text[span]), fate(&mutation.fate));
        }
        out.push('\n');
    }
    // One line break at the end, not two.
    out.pop();
    Ok(out)
}

/// An ordering and what becomes of it, before what it is for.
fn change(mutation: &Mutation, was: &str) -> String {
    match (was.strip_prefix("Ordering::"), mutation.with.strip_prefix("Ordering::")) {
        (Some(was), Some(with)) => format!("{was} → {with}: {}", mutation.what),
        _ => mutation.what.to_owned(),
    }
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Breaks(models) => models.iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", "),
        Fate::Survives(_, why) => format!("none: {why}"),
    }
}

/// The name of the last function that begins in `before`.
fn function(before: &str) -> &str {
    let code = before.lines().rev().map(|line| line.split("//").next().unwrap_or_default());
    let name = code.filter_map(|line| line.split("fn ").nth(1)).next().unwrap_or_default();
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}
