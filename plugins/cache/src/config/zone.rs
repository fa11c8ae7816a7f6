//! One store.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::ByteSize;

/// One store.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ZoneConfig {
    /// How many bytes of memory answers may take. Default: 256 MiB.
    pub memory: ByteSize,
    /// The longest answer that is stored. Default: 8 MiB in memory; with a disk, a hundredth of it.
    pub max_object: Option<ByteSize>,
}

impl Default for ZoneConfig {
    fn default() -> Self {
        Self { memory: ByteSize::new(256 << 20), max_object: None }
    }
}
