//! Whatever stands in the file, reading it ends in a value or in errors that have a place in it.

use std::path::Path;

use proptest::prelude::*;
use tidegate_config::{Document, Report};
use tidegate_core::config::{ConfigErrors, ConfigPath};

mod gateway;

const ENV: [(&str, &str); 1] = [("HOST", "db")];

/// Line and column of each finding lie in the text, and the report is of this file.
fn check(text: &str, report: &Report) -> Result<(), TestCaseError> {
    prop_assert!(!report.is_empty());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.lines().collect();
    for location in report.findings().iter().filter_map(|finding| finding.location.as_ref()) {
        prop_assert!(location.line >= 1 && location.column >= 1, "{}", location);
        prop_assert!(location.line <= lines.len().max(1), "{} of {} lines:\n{}", location, lines.len(), text);
        let width = lines.get(location.line - 1).map_or(0, |line| line.chars().count());
        prop_assert!(location.column <= width + 1, "{} in a line of {}:\n{}", location, width, text);
    }
    let shown = report.to_string();
    prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{:?}", shown);
    Ok(())
}

fn read(text: &str) -> Result<(), TestCaseError> {
    let document = match Document::parse_as(Path::new("any.yaml"), text, &ENV) {
        Err(report) => return check(text, &report),
        Ok(document) => document,
    };
    for path in ["", "routing.routes[3].name", "server", "\"\"[0]"] {
        document.locate(&ConfigPath::from(path));
    }
    let read = document.root().read::<gateway::Gateway>();
    if let Err(errors) = read.and_then(|gateway| gateway.check()) {
        check(text, &document.render(&errors))?;
    }
    let everywhere: ConfigErrors = document.root().entries().map(|(_, raw)| error_at(raw.path())).collect();
    if !everywhere.is_empty() {
        check(text, &document.render(&everywhere))?;
    }
    Ok(())
}

fn error_at(path: &ConfigPath) -> tidegate_core::config::ConfigError {
    tidegate_core::config::ConfigError::at(path, "it is so")
}

/// Pieces of YAML in an order that makes sense now and then.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "listeners:",
        "server:",
        "threads",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "\n- ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "&a ",
        "*a",
        "<<: ",
        "!t ",
        "---\n",
        "...\n",
        "# c",
        "${HOST}",
        "${X}",
        "${X:-1}",
        "$${",
        "${",
        "1",
        "-5",
        "~",
        "true",
        "ü",
        "日本",
        "\t",
        "\r\n",
        "\\e",
        "include: ",
        "any.yaml",
        "password",
        "key",
        "%",
        "@",
        "?",
        "? ",
        "0x1",
        "1.5",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "\0",
        "routing: {routes: [{name: 1}]}",
        "bind: \"0.0.0.0:80\"",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        read(&text)?;
    }

    #[test]
    fn any_yaml_is_read_or_refused(text in pieces()) {
        read(&text)?;
    }
}
