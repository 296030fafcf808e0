//! Prints the public interface of a crate, an item a line, from rustdoc's JSON. Exit 2 if that cannot be read.

use std::env::args_os;
use std::path::PathBuf;
use std::process::ExitCode;

/// The compiler's own traits, which no stable program can name.
const UNSTABLE: [&str; 3] = ["core::marker::Freeze", "core::marker::StructuralPartialEq", "core::marker::UnsafeUnpin"];

fn main() -> ExitCode {
    let mut arguments = args_os().skip(1);
    let (Some(file), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        eprintln!("usage: api FILE\n\nFILE is what `cargo rustdoc -- -Z unstable-options --output-format json` wrote.");
        return ExitCode::from(2);
    };
    // What every type is given by the standard library says nothing of this crate; that a type is `Send` does.
    match public_api::Builder::from_rustdoc_json(&file).omit_blanket_impls(true).build() {
        Ok(api) => {
            let items = api.items().map(ToString::to_string);
            items.filter(|item| !UNSTABLE.iter().any(|name| item.contains(name))).for_each(|item| println!("{item}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}: {error}", file.display());
            ExitCode::from(2)
        }
    }
}
