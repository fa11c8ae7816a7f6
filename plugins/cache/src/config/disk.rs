//! A zone's share of a disk.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{ByteSize, Duration, Secret};

/// Answers on a disk: those too large for memory, and those that were asked for twice. They survive a restart and a crash.
/// What is damaged, half written or can't be read is as if it weren't there, and is removed.
///
/// ```yaml
/// disk:
///   path: /var/cache/tidegate
///   size: 10GiB
///   encryption: { key: "secret://env/CACHE_KEY" }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    /// A folder for this zone alone, which is made if it isn't there; the folder above it must be. Two processes can't share
    /// one. It is for its owner only (0700).
    pub path: PathBuf,
    /// How many bytes files may take, at least 1MiB. What was used least makes room for new answers. A single answer may take
    /// half of it. In memory each answer on the disk takes at most 32 bytes.
    pub size: ByteSize,
    /// Encrypts all that is stored of answers with AES-256-GCM. Default: none.
    #[serde(default)]
    #[schemars(with = "EncryptionConfig")]
    pub encryption: Option<EncryptionConfig>,
    /// How long a request waits for the disk. Then it is as if nothing were stored; an answer that has begun is cut off.
    /// Default: 2s.
    #[serde(default = "timeout")]
    pub timeout: Duration,
    /// How many threads read and write files, from 1 to 64. Default: 4.
    #[serde(default = "threads")]
    pub threads: u32,
}

/// With what answers on a disk are encrypted.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncryptionConfig {
    /// 32 random bytes, as base64 or hex: `openssl rand -base64 32`. With another key, what is stored is not found.
    pub key: Secret,
    /// Keys of before, with which answers can still be read. New ones are written with `key`.
    #[serde(default)]
    pub old_keys: Vec<Secret>,
}

fn timeout() -> Duration {
    Duration::from_secs(2)
}

fn threads() -> u32 {
    4
}
