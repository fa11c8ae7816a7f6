//! Passwords.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::given;

/// How passwords are kept, and which are good enough (NIST SP 800-63B section 5.1.1).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "Passwords")]
#[serde(deny_unknown_fields, default)]
pub struct PasswordRules {
    /// bcrypt's cost: each more takes twice as long. From 10 to 16. Who logs in with a password that was hashed at a
    /// lower one gets a new hash. Default: 12.
    pub cost: u32,
    /// The fewest characters; at least 8. Letters are counted and hashed as they are in Unicode's NFC, however they were
    /// typed. Default: 12.
    pub min: u32,
    /// The most bytes; bcrypt looks at no more than 72, and longer ones are refused rather than cut. At most 72.
    /// Default: 72.
    pub max: u32,
    /// How many kinds of characters there must be, of lower case, upper case, digits and others. Default: 1.
    pub classes: u32,
    /// Passwords that are known to everybody.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Breached")]
    pub breached: Option<Breached>,
    /// How many passwords are hashed at a time, on threads of their own. Default: half of the machine's processors, and
    /// at least 1. At most 256.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "u32")]
    pub workers: Option<u32>,
    /// How many wait for that; beyond it, 503 with `Retry-After`. Default: 64.
    pub queue: u32,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self { cost: 12, min: 12, max: 72, classes: 1, breached: None, workers: None, queue: 64 }
    }
}

/// A list of passwords that must not be used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Breached {
    /// A file: a password on each line, or the SHA-1 of one in hexadecimal (as Have I Been Pwned has it, with or without
    /// a count behind a colon).
    pub file: PathBuf,
}
