//! One store.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::ConfigError;
use tidegate_core::config::ByteSize;

use super::DiskConfig;
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
    /// Answers on a disk as well. Default: in memory only.
    #[schemars(with = "DiskConfig")]
    pub disk: Option<DiskConfig>,
}

impl Default for ZoneConfig {
    fn default() -> Self {
        Self { memory: ByteSize::new(256 << 20), max_object: None, disk: None }
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
        let usual = (8 << 20).min(memory / 8);
        let max_object = match (self.max_object, &self.disk) {
            (None, _) => usual,
            // What is longer has the disk.
            (Some(most), Some(_)) => most.bytes().min(usual),
            (Some(most), None) => most.bytes(),
        };
        if max_object > memory / 2 {
            return Err(ConfigError::at("max_object", "at most half of the zone's memory"));
        }
        Ok(Limits { memory, max_object })
    }

    /// The longest body that is kept anywhere; 0 where the settings are wrong.
    pub(crate) fn longest(&self) -> u64 {
        let memory = self.limits().map_or(0, |limits| limits.max_object);
        memory.max(self.max_on_disk().unwrap_or(0))
    }

    /// The longest body on the disk; 0 without one.
    pub(crate) fn max_on_disk(&self) -> Result<u64, ConfigError> {
        let Some(disk) = &self.disk else { return Ok(0) };
        let most = self.max_object.map_or(disk.size.bytes() / 100, |most| most.bytes());
        if most > disk.size.bytes() / 2 {
            return Err(ConfigError::at("max_object", "at most half of the disk's `size`"));
        }
        Ok(most)
    }
}
