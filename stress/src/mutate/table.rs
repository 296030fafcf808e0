//! The list as Markdown.

use super::Tried;
use super::list::{Fate, Mutation, SOURCES};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Where the list is shown.
pub(super) const PAGE: &str = "docs/mutations.md";

/// A table of the ordering pairs and one for each file: what is changed, in which function, and what breaks by it, or why
/// nothing does.
pub(super) fn markdown(root: &Path) -> Tried<String> {
    let all = super::all();
    let [caught, fails, harmless] = super::tally(&all);
    let mut out = format!(
        "# Mutations\n\n\
         {} changes of the source, one at a time: each ordering weakened, each listed re-check dropped. By {caught} of them\n\
         the models named here break, by {fails} that no model of two threads can tell, a test of the crate; {harmless} are harmless,\n\
         for the reason given. `stress mutate` tries them, and wrote this page (`--table`); its tests keep both true to the\n\
         source.\n\n",
        all.len(),
    );
    out += "## Ordering pairs\n\n\
            Those of `ARCHITECTURE.md`, and what breaks by them. Of P7 that is the dropped raise alone: why its orderings\n\
            by themselves do no harm is said in their rows.\n\n\
            | pair | weakened or dropped | broken by |\n|---|--:|---|\n";
    for (pair, mutations) in pairs() {
        let models: BTreeSet<_> = mutations.iter().flat_map(|mutation| breaking(&mutation.fate)).collect();
        out += &format!("| P{pair} | {} | {} |\n", mutations.len(), quoted(models));
    }
    out += "\n## All of them\n\n";
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

/// The mutations of each ordering pair, which they name at the end: `(P1)`, or `(P1, P8)`.
pub(super) fn pairs() -> BTreeMap<u32, Vec<&'static Mutation>> {
    let mut pairs: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for mutation in SOURCES.iter().flat_map(|source| source.mutations) {
        let named = mutation.what.strip_suffix(')').and_then(|what| what.rsplit_once("(P"));
        for pair in named.into_iter().flat_map(|(_, named)| named.split(", P")) {
            pairs.entry(pair.parse().expect("the number of a pair")).or_default().push(mutation);
        }
    }
    pairs
}

fn breaking(fate: &Fate) -> &'static [&'static str] {
    match fate {
        Fate::Breaks(models) => models,
        Fate::Survives(..) | Fate::Fails(..) => &[],
    }
}

fn quoted<'m>(models: impl IntoIterator<Item = &'m &'m str>) -> String {
    models.into_iter().map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ")
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
        Fate::Breaks(models) => quoted(models.iter()),
        Fate::Survives(_, why) => format!("none: {why}"),
        Fate::Fails(_, why, test) => format!("the test `{test}`, and no model: {why}"),
    }
}

/// The name of the last function that begins in `before`.
fn function(before: &str) -> &str {
    let code = before.lines().rev().map(|line| line.split("//").next().unwrap_or_default());
    let name = code.filter_map(|line| line.split("fn ").nth(1)).next().unwrap_or_default();
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}
