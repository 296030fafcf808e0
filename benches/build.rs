//! Hands the compiler's version and flags to the reports, which have to name them.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let set = |name: &str, value: &str| println!("cargo::rustc-env={name}={}", value.trim());
    set("BENCHES_RUSTC", &version);
    // Cargo separates the flags by a control character.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().replace('\x1f', " ");
    set("BENCHES_RUSTFLAGS", &flags);
    for name in ["TARGET", "PROFILE", "OPT_LEVEL"] {
        set(&format!("BENCHES_{name}"), &env::var(name).unwrap_or_default());
    }
}
