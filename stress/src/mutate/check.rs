//! Whether the list fits the source, and leaves no ordering out.

use super::list::{EXEMPT, Fate, SOURCES};
use super::{Tried, all, models, table};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that is wrong with the list, in words.
pub(super) fn gaps(root: &Path) -> Tried<Vec<String>> {
    let mut gaps = Vec::new();
    let known = models::known(root)?;
    let mut ids = HashSet::new();
    for it in all() {
        let id = it.mutation.id;
        if !ids.insert(id) {
            gaps.push(format!("{id}: listed twice"));
        }
        for model in it.mutation.fate.models().iter().filter(|model| !known.contains_key(**model)) {
            gaps.push(format!("{id}: there is no model {model}"));
        }
        if matches!(it.mutation.fate, Fate::Breaks([]) | Fate::Survives([], _) | Fate::Fails([], ..)) {
            gaps.push(format!("{id}: names no model"));
        }
    }
    let mut sources = Vec::new();
    collect(&root.join("src"), &mut sources)?;
    sources.sort();
    gaps.extend(missing_tests(&sources)?);
    gaps.extend(unknown_pairs(&fs::read_to_string(root.join("ARCHITECTURE.md"))?));
    let mut seen = HashSet::new();
    for path in sources {
        let file = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
        if !EXEMPT.contains(&file.as_str()) {
            gaps.extend(gaps_of(&file, &fs::read_to_string(&path)?));
        }
        seen.insert(file);
    }
    let missing = SOURCES.iter().map(|source| source.file).chain(EXEMPT.iter().copied());
    gaps.extend(missing.filter(|file| !seen.contains(*file)).map(|file| format!("there is no {file}")));
    Ok(gaps)
}

/// Says so if the page of the mutations does not show the list.
pub(super) fn stale(root: &Path) -> Tried<Option<String>> {
    let shown = fs::read_to_string(root.join(table::PAGE))?;
    let stale = shown != table::markdown(root)?;
    Ok(stale.then(|| format!("{} is not what `stress mutate --table` prints", table::PAGE)))
}

/// Tests that mutations are said to fail, and that are not there.
fn missing_tests(sources: &[PathBuf]) -> Tried<Vec<String>> {
    let texts: Vec<_> = sources.iter().map(fs::read_to_string).collect::<Result<_, _>>()?;
    let is_there = |test: &str| texts.iter().any(|text| text.contains(&format!("#[test]\n    fn {test}()")));
    let mut missing = Vec::new();
    for it in all() {
        match it.mutation.fate {
            Fate::Fails(_, _, test) if !is_there(test) => {
                missing.push(format!("{}: there is no test {test}", it.mutation.id));
            }
            _ => {}
        }
    }
    Ok(missing)
}

/// Pairs that only one of the list and the architecture's table has.
fn unknown_pairs(architecture: &str) -> Vec<String> {
    let number = |line: &str| line.strip_prefix("| P")?.split(' ').next()?.parse::<u32>().ok();
    let (shown, listed): (BTreeSet<_>, BTreeSet<_>) =
        (architecture.lines().filter_map(number).collect(), table::pairs().into_keys().collect());
    shown
        .symmetric_difference(&listed)
        .map(|pair| format!("P{pair} is not both listed and in ARCHITECTURE.md"))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Tried<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// What is wrong with the mutations of one file.
fn gaps_of(file: &str, text: &str) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut spans = Vec::new();
    let mut weakened: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for it in all().into_iter().filter(|it| it.file == file) {
        let Some(span) = it.mutation.span(text) else {
            gaps.push(format!("{}: not found in {file}, or more than once", it.mutation.id));
            continue;
        };
        weakened.entry(span.start).or_default().push(it.mutation.with);
        spans.push((span, it.mutation.id));
    }
    for (span, id) in &spans {
        let crosses = |(other, _): &&(std::ops::Range<usize>, &str)| {
            span.start < other.start && other.start < span.end && span.end < other.end
        };
        gaps.extend(spans.iter().filter(crosses).map(|(_, other)| format!("{id} and {other} overlap")));
    }
    for (at, ordering) in orderings(text) {
        let halves: &[&str] = match ordering {
            "AcqRel" => &["Ordering::Acquire", "Ordering::Release"],
            _ => &["Ordering::Relaxed"],
        };
        let weakened = weakened.get(&at).map_or(&[][..], Vec::as_slice);
        for half in halves.iter().filter(|half| !weakened.contains(half)) {
            let line = text[..at].lines().count();
            gaps.push(format!("{file}:{line}: nobody weakens {ordering} to {half}"));
        }
    }
    gaps
}

/// Where the code of a file, without its comments and tests, has an ordering that can be weakened.
fn orderings(text: &str) -> Vec<(usize, &str)> {
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or_default();
        for (place, _) in code.match_indices("Ordering::") {
            let name = code[place + "Ordering::".len()..].split(|c: char| !c.is_alphanumeric()).next();
            if let Some(name @ ("Acquire" | "Release" | "AcqRel" | "SeqCst")) = name {
                found.push((at + place, name));
            }
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordering_that_nobody_weakens_is_a_gap() {
        let text = "fn f(a: &AtomicU64) {\n    // Ordering::Acquire\n    a.load(Ordering::Relaxed);\n    \
                    a.swap(1, std::sync::atomic::Ordering::AcqRel);\n}\nmod tests {\n    Ordering::Release\n}\n";
        assert_eq!(orderings(text).into_iter().map(|(_, name)| name).collect::<Vec<_>>(), ["AcqRel"]);
        let gaps = gaps_of("src/none.rs", text);
        assert_eq!(gaps.len(), 2, "{gaps:?}");
        assert!(gaps[0].starts_with("src/none.rs:4:"), "{gaps:?}");
    }
}
