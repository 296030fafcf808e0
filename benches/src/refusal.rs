//! Why a command's options were refused.

/// What is wrong with the options, in one line.
#[must_use]
pub fn in_a_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or("the options cannot be understood");
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
