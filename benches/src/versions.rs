//! The versions of the crates that are compared, from the lock file that they were built with.

const LOCK: &str = include_str!("../../Cargo.lock");

/// The version of a crate that this package depends on; empty if it does not.
#[must_use]
pub fn of(name: &str) -> &'static str {
    let Some(benches) = packages().find(|package| field(package, "name") == Some("benches")) else { return "" };
    // The lock file names the version beside the name where there is more than one.
    let named = benches.lines().map(|line| line.trim().trim_matches([' ', ',', '"'])).find_map(|dependency| {
        let (other, version) = dependency.split_once(' ').unwrap_or((dependency, ""));
        (other == name).then_some(version)
    });
    match named {
        None => "",
        Some("") => packages()
            .find(|package| field(package, "name") == Some(name))
            .and_then(|p| field(p, "version"))
            .unwrap_or(""),
        Some(version) => version,
    }
}

fn packages() -> impl Iterator<Item = &'static str> {
    LOCK.split("[[package]]")
}

fn field(package: &'static str, name: &str) -> Option<&'static str> {
    package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
}
