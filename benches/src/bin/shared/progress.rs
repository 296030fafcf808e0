//! A bar on a terminal, nothing elsewhere. It is drawn between runs only, by the thread that waits for them.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::RefCell;
use std::io::{self, IsTerminal};

/// How far the whole program is.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    /// The workload that is being measured.
    subject: RefCell<String>,
}

impl Progress {
    /// The style is a constant, and the default is good enough should it ever be wrong.
    pub(crate) fn new(steps: usize) -> Self {
        let seen = io::stderr().is_terminal();
        let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
        if let Ok(style) = ProgressStyle::with_template("[{elapsed_precise}] {bar:30} {percent:>3} % {msg}") {
            bar.set_style(style);
        }
        Self { bar, subject: RefCell::default() }
    }

    pub(crate) fn subject(&self, subject: &str) {
        self.subject.replace(subject.to_owned());
        self.say("getting ready");
    }

    pub(crate) fn say(&self, what: &str) {
        self.bar.set_message(format!("{}: {what}", self.subject.borrow()));
    }

    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
