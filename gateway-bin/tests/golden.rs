//! What `tidegate check --strict` says of a mistake, word for word.
//!
//! One file in `tests/golden` is one case: a configuration, and what is said of it after `---- says ----`.
//! `UPDATE_GOLDEN=1 cargo test -p tidegate-bin --test golden` writes that anew: read the difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SAYS: &str = "---- says ----\n";
const NAME: &str = "gateway.yaml";
/// What every configuration needs, at its end, so that lines keep their numbers.
const LISTENERS: &str = "\nlisteners: [{ bind: \"127.0.0.1:0\" }]\n";
/// What it needs as well, if it has none.
const ROUTING: &str = "routing: { routes: [] }\n";

#[test]
fn each_mistake_is_reported_word_for_word() {
    let cases = cases();
    assert!(cases.len() >= 12, "only {} cases: is this the right folder?", cases.len());
    let failures: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let paths = fs::read_dir(folder).expect("the folder of the cases is there");
    let mut cases: Vec<_> = paths.map(|entry| entry.expect("it can be listed").path()).collect();
    cases.sort();
    cases
}

fn run(case: &Path) -> Result<(), String> {
    let name = case.file_stem().unwrap_or_default().to_string_lossy();
    let text = fs::read_to_string(case).map_err(|error| format!("{name}: {error}"))?;
    let (input, expected) = text.split_once(SAYS).unwrap_or((&text, ""));
    let said = said_of(input);
    assert!(!said.contains("hunter2"), "{name} shows a secret:\n{said}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(case, format!("{input}{SAYS}{said}")).map_err(|error| format!("{name}: {error}"));
    }
    if expected == said {
        return Ok(());
    }
    Err(format!("== {name}\n-- expected\n{expected}-- found\n{said}"))
}

/// What the program writes to standard error, and its exit code.
fn said_of(input: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let routing = if input.contains("\nrouting:") { "" } else { ROUTING };
    fs::write(folder.path().join(NAME), format!("{input}{LISTENERS}{routing}")).expect("written");
    let mut program = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    program.args(["check", "--strict", "--config", NAME]).current_dir(folder.path());
    let output = program.output().expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    format!("{said}exit code {}\n", output.status.code().expect("an exit code"))
}
