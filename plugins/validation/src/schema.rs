//! JSON Schemas, compiled when the configuration is read.

use std::io::Read;
use std::path::Path;

use jsonschema::{Draft, PatternOptions, Registry, ValidationOptions, Validator};
use serde_json::Value;
use tidegate_core::ConfigError;

use crate::config::Schema as Config;
use crate::detail::faults_of;
use crate::fault::Fault;
use crate::survey::Survey;

/// The longest file that is read.
const LARGEST: u64 = 32 * 1024 * 1024;
/// Bodies longer than this are told their first fault only: finding all of them keeps a note of each, and a body of 1 MiB
/// has room for hundreds of thousands.
const ALL_FAULTS: usize = 16 * 1024;

/// A schema to hold values against.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: Validator,
    survey: Survey,
}

impl Schema {
    /// The errors carry no path.
    pub(crate) fn build(config: &Config) -> Result<Self, ConfigError> {
        match config {
            Config::Inline(schema) => Self::compile(schema),
            Config::File(path) => Self::compile(&read(path)?).map_err(|error| about(path.display(), error)),
        }
    }

    /// A schema by itself: what it refers to is in it.
    pub(crate) fn compile(schema: &Value) -> Result<Self, ConfigError> {
        if !schema.is_object() && !schema.is_boolean() {
            return Err(ConfigError::at("", "a JSON Schema is an object, true or false"));
        }
        let validator = options().build(schema).map_err(|error| unusable(&error))?;
        Ok(Self { validator, survey: Survey::of(schema, "") })
    }

    /// The schema at this URI, which is in `registry`.
    pub(crate) fn at(uri: &str, draft: Draft, registry: &Registry<'_>, survey: Survey) -> Result<Self, ConfigError> {
        let schema = serde_json::json!({ "$ref": uri });
        let validator = options().with_draft(draft).with_registry(registry).build(&schema);
        Ok(Self { validator: validator.map_err(|error| unusable(&error))?, survey })
    }

    pub(crate) fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// What is wrong with a value that was `length` bytes long; nothing if it is as it must be.
    pub(crate) fn faults(&self, value: &Value, length: usize, most: usize) -> Vec<Fault> {
        // The quick way first: nearly all requests are as they must be.
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let mut faults = Vec::new();
        if !self.survey.can_tell_all(value) {
            // That there is one is all that can be found out at a bounded cost.
        } else if length <= ALL_FAULTS {
            self.validator.iter_errors(value).take(most).for_each(|error| faults_of(&error, &mut faults));
        } else if !self.survey.has_choices
            && let Err(error) = self.validator.validate(value)
        {
            faults_of(&error, &mut faults);
        }
        if faults.is_empty() {
            faults.push(Fault::body("it is not what it must be"));
        }
        faults.truncate(most);
        faults
    }
}

/// Nothing is fetched, formats count, and patterns are matched in linear time whatever a client sends.
fn options<'a>() -> ValidationOptions<'a> {
    jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .with_pattern_options(PatternOptions::regex())
}

/// The same error, said of something in a file.
pub(crate) fn about(what: impl std::fmt::Display, mut error: ConfigError) -> ConfigError {
    error.message = format!("{what}: {}", error.message);
    error
}

fn unusable(error: &jsonschema::ValidationError<'_>) -> ConfigError {
    let place = error.instance_path().as_str();
    let at = if place.is_empty() { String::new() } else { format!(" (at {place})") };
    let fault = ConfigError::at("", format!("not a JSON Schema that can be used: {error}{at}"));
    fault.help("it can't refer to other files or URLs, and patterns have no look-around or back-references")
}

/// A document of JSON or YAML. The error carries no path, and names the file.
pub(crate) fn read(path: &Path) -> Result<Value, ConfigError> {
    let fault = |why: &dyn std::fmt::Display| ConfigError::at("", format!("can't read {}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| fault(&error))?;
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| fault(&error))?;
    if text.len() as u64 > LARGEST {
        return Err(fault(&format_args!("it has more than {} MiB", LARGEST >> 20)));
    }
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    match is_json {
        true => serde_json::from_str(&text).map_err(|error| fault(&error)),
        false => serde_yaml::from_str(&text).map_err(|error| fault(&error)),
    }
}
