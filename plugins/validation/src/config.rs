//! The plugin's section, and what a route asks of it.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tidegate_core::config::ByteSize;

/// The section: how refusals look.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationConfig")]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The status of a request whose parts are not what they must be: 400 or 422. Default: 400.
    pub status: u16,
    /// The most faults that one answer lists, from 1 to 100. Default: 10.
    pub max_errors: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { status: 400, max_errors: 10 }
    }
}

/// What one route asks for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationPolicy")]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// What becomes of a request that doesn't pass. Default: `enforce`.
    pub mode: Mode,
    /// What the body must be. Default: not looked at.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Body")]
    pub body: Option<Body>,
    /// The longest body that is read, at most `64MiB`; a longer one is a 413. Default: `1MiB`.
    #[schemars(with = "ByteSize")]
    pub max_body: ByteSize,
    /// How deep arrays and objects of a body may be nested, from 1 to 100. Default: 32.
    pub max_depth: usize,
    /// Parameters of the query.
    pub query: Vec<Parameter>,
    /// Whether the query may have parameters that aren't listed, here or in the OpenAPI document. Default: `allow`.
    pub other_query: Other,
    /// Parameters of the path: those that the route's template captures.
    pub path: Vec<Parameter>,
    /// Header fields.
    pub headers: Vec<Parameter>,
    /// A document that says what requests must be. Default: none.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "OpenApi")]
    pub openapi: Option<OpenApi>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            body: None,
            max_body: ByteSize::mib(1),
            max_depth: 32,
            query: Vec::new(),
            other_query: Other::Allow,
            path: Vec::new(),
            headers: Vec::new(),
            openapi: None,
        }
    }
}

/// What becomes of a request that doesn't pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationMode")]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It goes on, and is counted and logged.
    Report,
}

/// What is done with what isn't listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationOther")]
#[serde(rename_all = "snake_case")]
pub enum Other {
    /// It goes on, unchecked.
    #[default]
    Allow,
    /// It is refused.
    Refuse,
}

/// What a body must be. It is always JSON that is well-formed, has no member twice and isn't nested deeper than
/// `max_depth`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationBody")]
#[serde(deny_unknown_fields, default)]
pub struct Body {
    /// The JSON Schema that it must match. Default: none, any JSON.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Schema")]
    pub json_schema: Option<Schema>,
    /// The media types that a body may have; `application/*+json` stands for all that end so. Another one is a 415.
    /// Default: `application/json`, `application/*+json`.
    pub content_types: Vec<String>,
    /// Whether POST, PUT and PATCH may come without a body. Other methods may; a body that they do have is checked like
    /// any other. Default: `refuse`.
    pub empty: Empty,
}

impl Default for Body {
    fn default() -> Self {
        let content_types = ["application/json", "application/*+json"].map(str::to_owned);
        Self { json_schema: None, content_types: content_types.into(), empty: Empty::Refuse }
    }
}

/// Whether there may be no body where one is usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationEmpty")]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// There must be one.
    #[default]
    Refuse,
    /// There may be none.
    Allow,
}

/// A JSON Schema: draft 2020-12 unless its `$schema` names another one from 4 on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationSchema")]
#[serde(rename_all = "snake_case")]
pub enum Schema {
    /// In a file, as JSON or YAML. It is read with the configuration.
    File(PathBuf),
    /// Here.
    Inline(serde_json::Value),
}

/// One parameter of the query or the path, or one header field.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationParameter")]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name. Case counts, but for header fields.
    pub name: String,
    /// Whether it must be there. A parameter of the path always is. Default: false.
    #[serde(default)]
    pub required: bool,
    /// What its text must be. Default: `string`.
    #[serde(default, rename = "type")]
    pub kind: Kind,
    /// A regular expression that the whole text must match.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    pub pattern: Option<String>,
    /// The smallest number.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "f64")]
    pub min: Option<f64>,
    /// The largest number.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "f64")]
    pub max: Option<f64>,
    /// The least characters of a text.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "usize")]
    pub min_length: Option<usize>,
    /// The most characters of a text.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "usize")]
    pub max_length: Option<usize>,
    /// The values that it may have, as texts. Default: any.
    #[serde(default, rename = "enum")]
    pub one_of: Vec<String>,
    /// A format of JSON Schema that a text must have: `email`, `uuid`, `date-time`, `date`, `ipv4`, `uri` and so on.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    pub format: Option<String>,
    /// How often it may come. Default: `once`.
    #[serde(default)]
    pub occurs: Occurs,
}

/// What the text of a parameter must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationKind")]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Any text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A number as JSON has them.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// How often a parameter may come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationOccurs")]
#[serde(rename_all = "snake_case")]
pub enum Occurs {
    /// Once: of two, nobody knows which one an upstream takes.
    #[default]
    Once,
    /// Any number of times, each of them checked.
    Often,
}

/// An OpenAPI document, of version 3.0 or 3.1. Operations are found by method and path template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "ValidationOpenApi")]
#[serde(deny_unknown_fields)]
pub struct OpenApi {
    /// The document, as JSON or YAML. It is read with the configuration; it can't refer to other files.
    pub file: PathBuf,
    /// What comes before the document's paths in the client's. Default: the path of its first server's URL.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    pub base_path: Option<String>,
    /// What becomes of requests that the document does not know: refused are unknown paths with 404, and unknown methods
    /// of a path with 405. Default: `refuse`.
    #[serde(default = "refuse")]
    pub unknown: Other,
}

fn refuse() -> Other {
    Other::Refuse
}

/// A key that stands there with nothing after it is a slip, not a key that was left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
