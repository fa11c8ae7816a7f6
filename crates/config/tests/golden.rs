//! One file in `tests/golden` is one case: a configuration, and the exact text of what is wrong with it.
//!
//! `---- file NAME ----` begins another file, which the first one may name; `---- error ----` begins the errors.
//! `UPDATE_GOLDEN=1 cargo test -p tidegate-config --test golden` writes the errors anew: read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate_config::Document;

mod gateway;

const ERROR: &str = "---- error ----\n";
const ENV: [(&str, &str); 7] = [
    ("HOST", "db.internal"),
    ("PORT", "8080"),
    ("NOT_A_PORT", "hunter2-port"),
    ("NOT_A_TIME", "10hunter2s"),
    ("NOT_A_POLICY", "hunter2-policy"),
    ("PASSWORD", "hunter2-password"),
    ("EMPTY", ""),
];

#[test]
fn each_mistake_is_reported_word_for_word() {
    let cases = cases();
    assert!(cases.len() >= 45, "only {} cases: is this the right folder?", cases.len());
    let failures: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases fail:\n\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let entries = fs::read_dir(folder).expect("the folder of the cases is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut cases: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "golden")).collect();
    cases.sort();
    cases
}

fn run(case: &Path) -> Result<(), String> {
    let name = case.file_stem().unwrap_or_default().to_string_lossy();
    let text = fs::read_to_string(case).map_err(|error| format!("{name}: {error}"))?;
    let (input, expected) = text.split_once(ERROR).unwrap_or((&text, ""));
    let errors = errors_of(input);
    assert!(!errors.contains("hunter2"), "{name} shows a secret:\n{errors}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(case, format!("{input}{ERROR}{errors}\n")).map_err(|error| format!("{name}: {error}"))?;
        return Ok(());
    }
    if expected.trim_end() == errors {
        return Ok(());
    }
    Err(format!("== {name}\n-- expected\n{expected}-- found\n{errors}\n"))
}

/// Loads the files of a case from a folder of their own, as the gateway would.
fn errors_of(input: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let main = folder.path().join("gateway.yaml");
    let mut parts = input.split("---- file ");
    fs::write(&main, parts.next().unwrap_or_default()).expect("the file can be written");
    for part in parts {
        let (name, text) = part.split_once(" ----\n").expect("a file has a name and a text");
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder can be made");
        fs::write(path, text).expect("the file can be written");
    }
    let errors = match Document::load(&main, &ENV) {
        Err(errors) => errors.to_string(),
        Ok(document) => match document.root().read::<gateway::Gateway>().and_then(|gateway| gateway.check()) {
            Err(errors) => document.render(&errors).to_string(),
            Ok(()) => "nothing is wrong".to_owned(),
        },
    };
    errors.replace(&format!("{}/", folder.path().display()), "")
}
