//! Texts that the configuration names, and where in them a fault is.

use std::io::Read;
use std::path::Path;

use cedar_policy::ffi::DetailedError;
use tidegate_core::ConfigError;

/// The longest file that is read.
const LARGEST: u64 = 32 * 1024 * 1024;

/// The text of a file. The error carries no path.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let fault = |why: &dyn std::fmt::Display| ConfigError::at("", format!("can't read {}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| fault(&error))?;
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| fault(&error))?;
    match text.len() as u64 > LARGEST {
        true => Err(fault(&format_args!("it has more than {} MiB", LARGEST >> 20))),
        false => Ok(text),
    }
}

/// What Cedar says of a text, one error each. The errors carry no path: the file is named in them, with line and column.
pub(super) fn faults(source: &str, text: &str, error: &DetailedError) -> Vec<ConfigError> {
    std::iter::once(error).chain(&error.related).map(|error| fault(source, text, error)).collect()
}

fn fault(source: &str, text: &str, error: &DetailedError) -> ConfigError {
    let place = error.source_locations.first().map(|label| place(text, label.loc.start)).unwrap_or_default();
    let label = error.source_locations.first().and_then(|label| label.label.as_deref());
    let label = label.filter(|label| !error.message.contains(label)).map(|label| format!(" ({label})"));
    let fault = ConfigError::at("", format!("{source}{place}: {}{}", error.message, label.unwrap_or_default()));
    match &error.help {
        Some(help) => fault.help(help),
        None => fault,
    }
}

/// `:line:column`, both counted from 1.
fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset.min(text.len())).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(":{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_1() {
        assert_eq!(place("ab\ncd", 0), ":1:1");
        assert_eq!(place("ab\ncé d", 7), ":2:4");
        assert_eq!(place("ab", 99), ":1:3");
    }
}
