//! What one route asks for.

use schemars::JsonSchema;
use serde::Deserialize;

/// What one route asks for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// In which zone answers are kept. Default: `main`.
    pub zone: Option<String>,
}
