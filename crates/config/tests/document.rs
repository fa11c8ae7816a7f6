//! What a document knows besides its values: its files, and where everything stands.

use std::fs;
use std::path::Path;

use tidegate_config::{Document, Report};
use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath, Secret};

const NO_ENV: [(&str, &str); 0] = [];

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder can be made");
        fs::write(path, content).expect("a file can be written");
    }
    folder
}

fn names(files: &[std::path::PathBuf], folder: &Path) -> Vec<String> {
    let inside =
        |file: &std::path::PathBuf| file.strip_prefix(folder).expect("it is in the folder").display().to_string();
    files.iter().map(inside).collect()
}

#[test]
fn sections_are_found_by_name_and_in_order() {
    let document = Document::parse("b: {x: 1}\na: [2]\n", &NO_ENV).unwrap();
    let names: Vec<_> = document.sections().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(document.section("a").unwrap().to_string(), "[2]");
    assert!(document.section("c").is_none());
}

#[test]
fn the_include_is_no_section() {
    let folder = folder(&[("main.yaml", b"include: [more.yaml]\na: 1\n"), ("more.yaml", b"b: 2\n")]);
    let document = Document::load(&folder.path().join("main.yaml"), &NO_ENV).unwrap();
    assert_eq!(document.root().to_string(), "{a: 1, b: 2}");
}

#[test]
fn every_file_that_was_read_is_to_be_watched() {
    let main = b"include: [sub/more.yaml]\na: ${file:secret}\n";
    let more = b"include: [../third.yaml]\nb: ${file:near}\n";
    let files: [(&str, &[u8]); 5] =
        [("main.yaml", main), ("secret", b"x"), ("sub/more.yaml", more), ("sub/near", b"y"), ("third.yaml", b"c: 1\n")];
    let folder = folder(&files);
    let document = Document::load(&folder.path().join("main.yaml"), &NO_ENV).unwrap();
    let expected = ["main.yaml", "secret", "sub/more.yaml", "sub/near", "sub/../third.yaml"];
    assert_eq!(names(document.files(), folder.path()), expected);
}

#[test]
fn the_files_of_a_failure_are_to_be_watched_too() {
    let main = b"include: [more.yaml, missing.yaml]\na: ${file:no-secret}\n";
    let folder = folder(&[("main.yaml", main), ("more.yaml", b"b: [\n")]);
    let report = Document::load(&folder.path().join("main.yaml"), &NO_ENV).unwrap_err();
    assert_eq!(names(report.files(), folder.path()), ["main.yaml", "no-secret", "more.yaml", "missing.yaml"]);
    assert_eq!(report.len(), 3);
}

#[test]
fn a_path_is_located_or_what_is_around_it() {
    let document = Document::parse_as(Path::new("x.yaml"), "a:\n  - b: 1\n    c: {d: 2}\n", &NO_ENV).unwrap();
    let place = |path: &str| document.locate(&ConfigPath::from(path)).unwrap().to_string();
    assert_eq!(place("a[0].b"), "x.yaml:2:8");
    assert_eq!(place("a[0].c.d"), "x.yaml:3:12");
    assert_eq!(place("a[0].c.nope"), "x.yaml:3:5");
    assert_eq!(place("a[7]"), "x.yaml:1:1");
    assert_eq!(place("nope"), "x.yaml:1:1");
}

#[test]
fn a_missing_file_is_named() {
    let report = Document::load(Path::new("/nowhere/gateway.yaml"), &NO_ENV).unwrap_err();
    assert_eq!(report.to_string(), "/nowhere/gateway.yaml: cannot read /nowhere/gateway.yaml: no such file\n\n1 error");
    let report = Document::load(Path::new("/"), &NO_ENV).unwrap_err();
    assert!(report.to_string().contains("it is a folder"), "{report}");
}

#[test]
fn bytes_that_are_no_text_are_refused_at_their_place() {
    let folder = folder(&[("main.yaml", b"a: 1\nb: \xff\n")]);
    let report = Document::load(&folder.path().join("main.yaml"), &NO_ENV).unwrap_err();
    let finding = &report.findings()[0];
    assert_eq!(finding.message, "this is not UTF-8");
    let location = finding.location.as_ref().unwrap();
    assert_eq!((location.line, location.column), (2, 4));
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let folder = folder(&[]);
    let path = folder.path().join("main.yaml");
    fs::File::create(&path).unwrap().set_len((64 << 20) + 1).unwrap();
    let report = Document::load(&path, &NO_ENV).unwrap_err();
    assert!(report.to_string().contains("it is larger than 64MiB"), "{report}");
}

#[test]
fn errors_are_sorted_by_place_and_counted() {
    let document = Document::parse("a: 1\nb: 2\nc: 3\n", &NO_ENV).unwrap();
    let errors: ConfigErrors = ["c", "a", "b"].map(|key| ConfigError::at(key, "no")).into_iter().collect();
    let report: Report = document.render(&errors);
    let lines: Vec<_> = report.findings().iter().map(|finding| finding.location.as_ref().unwrap().line).collect();
    assert_eq!(lines, [1, 2, 3]);

    let many: ConfigErrors = (0..250).map(|_| ConfigError::at("a", "no")).collect();
    let report = document.render(&many);
    assert_eq!((report.len(), report.findings().len()), (250, 100));
    assert!(report.to_string().ends_with("the first 100 of 250 errors"));
}

/// Nothing says that `pin` is a secret but the type that it was read as.
#[test]
fn what_was_read_as_a_secret_is_in_no_later_error() {
    #[derive(Debug, serde::Deserialize)]
    struct Door {
        pin: Secret,
        colour: String,
    }
    let document = Document::parse("door: { pin: hunter2, colour: red }\n", &NO_ENV).unwrap();
    let door: Door = document.section("door").unwrap().read().unwrap();
    assert_eq!((door.pin.expose(), door.colour.as_str()), ("hunter2", "red"));
    let errors = ConfigErrors::from(vec![
        ConfigError::at("door.pin", "hunter2 is too short"),
        ConfigError::at("door.colour", "red hurts"),
    ]);
    let report = document.render(&errors).to_string();
    assert!(!report.contains("hunter2"), "{report}");
    assert!(report.contains(" 1 | door: { pin: ***, colour: red }\n"), "{report}");
}

#[test]
fn a_setting_below_a_key_that_looks_like_a_secret_is_shown() {
    let text = "password:\n  classes: 2\n  max_keys: 7\n  first: hunter2\n  pin: 4711\n";
    let document = Document::parse(text, &NO_ENV).unwrap();
    let paths = ["classes", "max_keys", "first", "pin"];
    let errors: ConfigErrors =
        paths.map(|key| ConfigError::at(format!("password.{key}"), "not `2`")).into_iter().collect();
    let report = document.render(&errors).to_string();
    for line in ["classes: 2", "max_keys: 7", "first: ***", "pin: ***", "classes: not `2`"] {
        assert!(report.contains(line), "{line}: {report}");
    }
}

#[test]
fn what_came_from_a_variable_is_in_no_error() {
    let env = [("TOKEN", "correct-horse-battery")];
    let document = Document::parse("url: https://a/?t=${TOKEN}\n", &env).unwrap();
    let errors = ConfigErrors::from(ConfigError::at("url", "https://a/?t=correct-horse-battery does not answer"));
    let report = document.render(&errors).to_string();
    assert!(!report.contains("horse"), "{report}");
    assert!(report.contains("url: https://a/?t=${TOKEN} does not answer"), "{report}");
}
