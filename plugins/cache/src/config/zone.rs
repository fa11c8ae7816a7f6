//! One store.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::ConfigError;
use tidegate_core::config::ByteSize;

use crate::store::Limits;

/// One store.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ZoneConfig {
    /// How many bytes of memory answers may take: bodies, heads, keys, and what the gateway keeps beside them. What is asked
    /// for more often stays when it is full. At least 1 MiB. Default: 256 MiB. Example: `memory: 2GiB`.
    pub memory: ByteSize,
    /// The longest body that is stored; longer ones go through without being stored. At most half of `memory` where
    /// there is no disk. Default: 8 MiB or an eighth of `memory`, whichever is less; with a disk, a hundredth of it.
    pub max_object: Option<ByteSize>,
}

impl Default for ZoneConfig {
    fn default() -> Self {
        Self { memory: ByteSize::new(256 << 20), max_object: None }
    }
}

/// With less there is nothing to choose from.
const LEAST_MEMORY: u64 = 1 << 20;

impl ZoneConfig {
    /// What is allowed in memory.
    pub(crate) fn limits(&self) -> Result<Limits, ConfigError> {
        let memory = self.memory.bytes();
        if memory < LEAST_MEMORY {
            return Err(ConfigError::at("memory", "a zone needs at least 1MiB of memory"));
        }
        let max_object = self.max_object.map_or((8 << 20).min(memory / 8), |most| most.bytes());
        if max_object > memory / 2 {
            return Err(ConfigError::at("max_object", "at most half of the zone's memory"));
        }
        Ok(Limits { memory, max_object })
    }
}
