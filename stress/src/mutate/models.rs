//! The models: which there are, built with all mutations in them, and run under one.

use super::Tried;
use super::tree::SWITCH;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A model ends by itself when it takes too long, unless it hangs. The longest of them takes six minutes.
const PATIENCE: Duration = Duration::from_secs(1_200);
/// What it says then: that tells nothing of the mutation.
const TOO_LONG: &str = "not exhausted within";

/// How a model ended.
pub(super) enum Outcome {
    Passed,
    /// With the first words of why.
    Broken(String),
    TimedOut,
}

impl Outcome {
    /// What became of `model`, unless it passed.
    pub(super) fn words(&self, model: &str) -> Option<String> {
        match self {
            Self::Passed => None,
            Self::Broken(how) => Some(format!("broke {model}: {how}")),
            Self::TimedOut => Some(format!("timed out in {model}")),
        }
    }
}

/// All models by name, and the file of `loom-tests` that each is in.
pub(super) fn known(root: &Path) -> Tried<BTreeMap<String, String>> {
    let mut known = BTreeMap::new();
    for entry in fs::read_dir(root.join("loom-tests/tests"))? {
        let path = entry?.path();
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for model in fs::read_to_string(&path)?.split("#[test]\nfn ").skip(1) {
            let name = model.split('(').next().unwrap_or_default().to_owned();
            if let Some(other) = known.insert(name.clone(), file.clone()) {
                return Err(format!("the model {name} is in {other} and in {file}").into());
            }
        }
    }
    Ok(known)
}

pub(super) struct Models<'k> {
    known: &'k BTreeMap<String, String>,
    programs: HashMap<String, PathBuf>,
}

impl<'k> Models<'k> {
    /// Builds the models of these files from the tree in `folder`.
    pub(super) fn build(folder: &Path, files: &BTreeSet<&str>, known: &'k BTreeMap<String, String>) -> Tried<Self> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--no-run", "--locked", "--profile", "model", "--package", "loom-tests"]);
        cargo.args(files.iter().flat_map(|file| ["--test", file]));
        cargo.arg("--message-format=json-render-diagnostics");
        cargo.current_dir(folder.join("tree")).env("CARGO_TARGET_DIR", folder.join("build"));
        cargo.env("RUSTFLAGS", "--cfg tollgate_loom").env("CARGO_PROFILE_MODEL_DEBUG", "0");
        let built = cargo.stderr(Stdio::inherit()).output()?;
        if !built.status.success() {
            return Err("the models do not build with the mutations in them".into());
        }
        let mut programs = HashMap::new();
        for line in String::from_utf8(built.stdout)?.lines() {
            let message: serde_json::Value = serde_json::from_str(line)?;
            if let (Some(name), Some(path)) = (message["target"]["name"].as_str(), message["executable"].as_str()) {
                programs.insert(name.to_owned(), PathBuf::from(path));
            }
        }
        Ok(Self { known, programs })
    }

    /// Runs a model under a mutation, or none.
    pub(super) fn run(&self, model: &str, mutation: Option<usize>) -> Tried<Outcome> {
        let mut command = Command::new(&self.programs[&self.known[model]]);
        command.args(["--exact", model, "--test-threads", "1"]).env("RUST_BACKTRACE", "0").env_remove(SWITCH);
        command.envs(mutation.map(|number| (SWITCH, number.to_string())));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut stdout = child.stdout.take().expect("asked for");
        let (done, ended) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            let read = stdout.read_to_end(&mut text);
            // Nobody listens when it has timed out.
            let _ = done.send(read.map(|_| text));
        });
        let text = ended.recv_timeout(PATIENCE);
        if text.is_err() {
            child.kill()?;
        }
        let status = child.wait()?;
        reader.join().expect("it only reads");
        let Ok(text) = text else { return Ok(Outcome::TimedOut) };
        let text = String::from_utf8_lossy(&text?).into_owned();
        Ok(match status.success() {
            true => Outcome::Passed,
            false if text.contains(TOO_LONG) => Outcome::TimedOut,
            false => Outcome::Broken(reason(&text)),
        })
    }
}

/// The message of the first panic: the line after the one that says where it was.
fn reason(text: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
    let line = lines.find(|line| !line.trim().is_empty()).unwrap_or("the process died");
    line.trim().chars().take(80).collect()
}
