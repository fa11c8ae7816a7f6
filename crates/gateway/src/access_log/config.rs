//! `access_log:`, the section.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Unexpected, Visitor};
use tidegate_core::ConfigError;
use tidegate_core::config::ByteSize;

/// `access_log:`: `off`, or how requests are logged.
#[derive(Debug, Clone)]
pub(crate) enum AccessLogConfig {
    /// Nothing is logged.
    Off,
    /// Every request is.
    On(OnConfig),
}

impl Default for AccessLogConfig {
    fn default() -> Self {
        Self::On(OnConfig::default())
    }
}

/// The access log: one line for each request, written when its answer has ended.
///
/// ```yaml
/// access_log: { format: json, to: { file: /var/log/tidegate/access.log }, headers: [X-Tenant] }
/// ```
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OnConfig {
    /// How a line is written: `json` or `text`. Default: `json`.
    pub(super) format: Format,
    /// Where lines go: `stdout`, or `{ file: <path> }`. A file is added to, and opened anew on SIGUSR1, so that it
    /// can be moved away. Default: `stdout`.
    pub(super) to: To,
    /// Names of query parameters and header fields whose values are logged as `***`, besides those that are
    /// always: all that look like a token, key, password, secret, signature, code or session. Letter case and
    /// punctuation don't count. Default: none.
    pub(super) redact: Vec<String>,
    /// Request header fields to log besides `User-Agent` and `Referer`, each as `header.<name>`. Default: none.
    pub(super) headers: Vec<String>,
    /// How much may wait to be written, at least 64KiB. What comes when it is full is not logged but counted, in
    /// the metric `tidegate_access_log_dropped_total`. Default: `4MiB`.
    buffer: ByteSize,
}

impl AccessLogConfig {
    /// Hides these too: where plugins look for secrets.
    pub(crate) fn redact(&mut self, names: Vec<String>) {
        if let AccessLogConfig::On(config) = self {
            config.redact.extend(names);
        }
    }
}

impl Default for OnConfig {
    fn default() -> Self {
        Self {
            format: Format::default(),
            to: To::default(),
            redact: Vec::new(),
            headers: Vec::new(),
            buffer: ByteSize::mib(4),
        }
    }
}

impl OnConfig {
    /// The buffer's size in bytes.
    pub(super) fn capacity(&self) -> Result<usize, ConfigError> {
        const LEAST: ByteSize = ByteSize::kib(64);
        const MOST: ByteSize = ByteSize::gib(1);
        if !(LEAST..=MOST).contains(&self.buffer) {
            return Err(ConfigError::at("buffer", format!("{} is not between {LEAST} and {MOST}", self.buffer)));
        }
        Ok(self.buffer.as_usize())
    }
}

/// How a line of the access log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// A JSON object.
    #[default]
    Json,
    /// `key=value` pairs with spaces between them (logfmt).
    Text,
}

/// Where the access log goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum To {
    /// The standard output.
    #[default]
    Stdout,
    /// A file, made if it isn't there, or a named pipe.
    File(PathBuf),
}

impl<'de> Deserialize<'de> for AccessLogConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OffOrMap)
    }
}

struct OffOrMap;

impl<'de> Visitor<'de> for OffOrMap {
    type Value = AccessLogConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`off` or a map")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AccessLogConfig, E> {
        match text {
            "off" => Ok(AccessLogConfig::Off),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AccessLogConfig, A::Error> {
        OnConfig::deserialize(MapAccessDeserializer::new(map)).map(AccessLogConfig::On)
    }
}

impl JsonSchema for AccessLogConfig {
    fn schema_name() -> Cow<'static, str> {
        "AccessLog".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let on = generator.subschema_for::<OnConfig>();
        json_schema!({
            "description": "The access log: `off`, or how requests are logged. On by default, as JSON to stdout.",
            "oneOf": [{ "const": "off", "description": "Nothing is logged." }, on],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::RawConfig;
    use tidegate_core::config::Value;

    fn read(value: Value) -> Result<AccessLogConfig, String> {
        RawConfig::new(value, "access_log").read().map_err(|errors| errors.to_string())
    }

    #[test]
    fn off_is_a_word_and_anything_else_a_map() {
        assert!(matches!(read(Value::from("off")), Ok(AccessLogConfig::Off)));
        let file = Value::map([("file", Value::from("/tmp/a.log"))]);
        let section = read(Value::map([("to", file), ("format", Value::from("text"))]));
        let Ok(AccessLogConfig::On(config)) = section else { panic!("{section:?}") };
        assert_eq!((config.format, config.to), (Format::Text, To::File("/tmp/a.log".into())));
        let Ok(AccessLogConfig::On(config)) = read(Value::map([("to", Value::from("stdout"))])) else { panic!() };
        assert_eq!((config.format, config.to), (Format::Json, To::Stdout));
    }

    #[test]
    fn faults_are_found_at_their_place() {
        assert_eq!(
            read(Value::from("on")).expect_err("refused"),
            "access_log: expected `off` or a map, found the string \"on\""
        );
        let faults = read(Value::map([("formt", Value::from("json")), ("to", Value::from("nowhere"))]));
        let faults = faults.expect_err("refused");
        assert!(faults.contains("access_log.formt: unknown key `formt`\nhelp: did you mean `format`?"), "{faults}");
        assert!(faults.contains("access_log.to"), "{faults}");
    }

    #[test]
    fn a_buffer_that_cannot_work_is_refused() {
        let config = |buffer| OnConfig { buffer, ..Default::default() };
        assert_eq!(config(ByteSize::kib(64)).capacity(), Ok(65_536));
        let error = config(ByteSize::kib(63)).capacity().expect_err("refused");
        assert_eq!(error.to_string(), "buffer: 63KiB is not between 64KiB and 1GiB");
        assert!(config(ByteSize::gib(2)).capacity().is_err());
    }
}
