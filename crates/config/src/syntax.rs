//! What is wrong with a text that should have been YAML, and where: every fault that can be found.

use saphyr_parser::ScanError;
use tidegate_core::config::{ConfigError, ConfigPath, Segment};

use crate::limits;
use crate::parse;
use crate::source::{Fault, Place};
use crate::walk::{Oddity, Spot, Step, path_of, place, walk};

/// The text of a file; else as much of it as can be shown, and what is wrong with it.
pub(crate) fn check_bytes(bytes: Vec<u8>) -> Result<String, Box<(String, Fault)>> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let fault = Fault::of(
            place_of(text.get(..before).unwrap_or_default()),
            ConfigError::at(ConfigPath::root(), "this is not UTF-8").help("save the file as UTF-8"),
        );
        Box::new((text, fault))
    })?;
    match text.char_indices().find(|(_, c)| is_forbidden(*c)) {
        Some((at, c)) => {
            let message = format!("the control character U+{:04X} has no place in YAML", c as u32);
            let fault = Fault::of(place_of(&text[..at]), ConfigError::at(ConfigPath::root(), message));
            Err(Box::new((text, fault)))
        }
        None => Ok(text),
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}')
}

/// The place just after `before`.
fn place_of(before: &str) -> Spot {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Spot::at(line, column)
}

/// Why `error` came of reading `text`.
pub(crate) fn diagnose(text: &str, error: &serde_yaml::Error) -> Vec<Fault> {
    let mut faults = Vec::new();
    let walked = walk(text, |step| {
        faults.extend(fault_of(step));
        faults.len() < limits::FAULTS
    });
    if let Err(error) = walked {
        faults.push(syntax_fault(text, place(error.marker()), &scan_message(&error)));
    }
    if faults.is_empty() {
        faults.push(unseen_fault(text, error));
    }
    faults
}

fn fault_of(step: Step<'_>) -> Option<Fault> {
    match step {
        Step::Key { path, name, spot, earlier: Some(earlier), .. } if name != "<<" => {
            let message = format!("key `{}` is given twice, first on line {}", name.escape_debug(), earlier.line);
            Some(Fault::of(spot, ConfigError::at(path_of(path), message).about_key().help("remove one of them")))
        }
        Step::Key { path, name, spot, plain: true, .. } if !reads_as_string(name) => {
            let (message, help) = match name {
                "" => ("a key is missing before the `:`".to_owned(), "write the key".to_owned()),
                name => (format!("the key `{name}` is not a string"), format!("write it in quotes: \"{name}\"")),
            };
            Some(Fault::of(spot, ConfigError::at(parent(path), message).help(help)))
        }
        Step::Odd { spot, path, oddity } => Some(Fault::of(spot, odd(path, &oddity))),
        _ => None,
    }
}

/// How `serde_yaml` would read a plain key.
fn reads_as_string(plain: &str) -> bool {
    plain.starts_with(char::is_alphabetic) && plain.len() > 5
        || serde_yaml::from_str(plain).is_ok_and(|value: serde_yaml::Value| value.is_string())
        // A text that is no value by itself is no number either.
        || (!plain.is_empty() && serde_yaml::from_str::<serde_yaml::Value>(plain).is_err())
}

fn parent(path: &[Segment]) -> ConfigPath {
    path.split_last().map(|(_, before)| path_of(before)).unwrap_or_default()
}

fn odd(path: &[Segment], oddity: &Oddity) -> ConfigError {
    match oddity {
        Oddity::Tag(tag) => ConfigError::at(path_of(path), format!("the YAML tag `{tag}` means nothing here"))
            .help("remove it, or quote the value to mean text that begins with `!`"),
        Oddity::ComplexKey => {
            ConfigError::at(path_of(path), "a key must be a string, not a list, map or alias").help("write plain keys")
        }
        Oddity::SecondDocument => ConfigError::at(ConfigPath::root(), "a second document begins here")
            .help("one file is one document: remove the `---`, or move the rest into a file and `include` it"),
        Oddity::TooDeep => ConfigError::at(
            ConfigPath::root(),
            format!("more than {} lists and maps inside one another", limits::DEPTH),
        ),
    }
}

/// Found by `serde_yaml` alone: the limits, and what YAML 1.1 and 1.2 see differently.
fn unseen_fault(text: &str, error: &serde_yaml::Error) -> Fault {
    let mut message = error.to_string();
    let place = error.location().map(|at| Spot::at(at.line(), at.column()));
    if let Some(at) = message.rfind(" at line ") {
        message.truncate(at);
    }
    // It names the path of a custom error its own way.
    let message = message.rsplit_once(": ").map_or(message.as_str(), |(_, last)| last);
    if message == parse::MERGES_ONLY_MAPS || message.contains("alias") || message.starts_with("more than") {
        let place = place.map_or(Place::Nowhere, Place::At);
        return Fault { place, error: ConfigError::at(ConfigPath::root(), message) };
    }
    if message.contains("repetition limit") {
        let error = ConfigError::at(ConfigPath::root(), "the aliases of this file write out to too many values");
        return Fault { place: Place::Nowhere, error };
    }
    syntax_fault(text, place.unwrap_or(Spot::at(1, 1)), message)
}

fn scan_message(error: &ScanError) -> String {
    let info = error.info().trim_start_matches("while parsing node, ").trim_start_matches("simple key expected ");
    // YAML's own quotes are of another time.
    match info.split_once('`') {
        Some((before, quoted)) => format!("{before}`{}", quoted.replacen('\'', "`", 1)),
        None => info.to_owned(),
    }
}

/// A syntax error, with a remedy where the line shows a well-known slip.
fn syntax_fault(text: &str, spot: Spot, message: &str) -> Fault {
    let lines: Vec<&str> = text.lines().collect();
    let spot = if message.contains("tab") { first_tab(&lines, spot).unwrap_or(spot) } else { spot };
    let line = lines.get(spot.within(&lines).line - 1).copied().unwrap_or_default();
    let mut error = ConfigError::at(ConfigPath::root(), format!("this is not YAML: {}", message.to_lowercase()));
    error.help = remedy(line, message).map(Into::into);
    Fault::of(spot, error)
}

/// The tab in the indentation that the parser stumbled over, perhaps some lines on.
fn first_tab(lines: &[&str], from: Spot) -> Option<Spot> {
    lines.iter().enumerate().skip(from.line - 1).find_map(|(at, line)| {
        let indent = line.chars().take_while(|c| c.is_whitespace());
        Some(Spot::at(at + 1, indent.collect::<Vec<_>>().iter().position(|c| *c == '\t')? + 1))
    })
}

fn remedy(line: &str, message: &str) -> Option<&'static str> {
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let value = line.split_once(": ").map_or(line.trim_start().trim_start_matches("- "), |(_, value)| value).trim();
    if indent.contains('\t') || message.contains("tab") {
        Some("indent with spaces, not with tabs")
    } else if message.contains("anchor") || value.starts_with(['*', '&']) {
        Some("to mean text that begins with `*` or `&`, write it in quotes")
    } else if line.contains("${") && line.contains(['{', '[']) {
        Some("inside of {…} and […], write \"${…}\" in quotes")
    } else if value.starts_with(['@', '`', '%']) {
        Some("to mean text that begins with this character, write it in quotes")
    } else if value.starts_with('"') && value.contains('\\') {
        Some("write a regular expression or a path with `\\` in single quotes")
    } else if message.contains("mapping values") || value.contains(": ") {
        Some("text that contains `: ` must be in quotes; a key and its value go on a line of their own")
    } else if message.contains("quoted scalar") {
        Some("a quote that opens here, or above, is not closed")
    } else if message.contains("flow") || message.contains("invalid indentation") {
        Some("a `{`, `[` or quote above is not closed, or this line is not indented as the ones above")
    } else if message.contains("expected key") || message.contains("block") {
        Some("this line must be indented as the ones it belongs to")
    } else {
        None
    }
}
