//! Passwords.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use tidegate_core::config::ByteSize;

use super::given;

/// How passwords are kept, and which are good enough (NIST SP 800-63B section 5.1.1).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "Passwords")]
#[serde(deny_unknown_fields, default)]
pub struct PasswordRules {
    /// How new passwords are hashed: `bcrypt`, or `argon2id`, which takes memory too. Hashes of both kinds are good
    /// whatever is said here; who logs in with a password that was hashed by the other, or for less, gets a new hash.
    /// Default: `bcrypt`.
    pub algorithm: PasswordAlgorithm,
    /// bcrypt's cost: each more takes twice as long. From 10 to 16. Default: 12.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "u32")]
    pub cost: Option<u32>,
    /// What a hash of `argon2id` costs.
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Argon2id")]
    pub argon2id: Option<Argon2id>,
    /// The fewest characters; at least 8. Letters are counted and hashed as they are in Unicode's NFC, however they were
    /// typed. Default: 12.
    pub min: u32,
    /// The most bytes; bcrypt looks at no more than 72, and longer ones are refused rather than cut. At most 72.
    /// Default: 72.
    pub max: u32,
    /// How many kinds of characters there must be, of lower case, upper case, digits and others. Default: 1.
    pub classes: u32,
    /// The least that a password must score by zxcvbn, which knows words, names, dates and keyboards: from 1 (a thousand
    /// guesses) to 4 (ten thousand million). Its first 72 bytes are looked at. Default: 0, and it isn't asked.
    pub min_score: u8,
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
        Self {
            algorithm: PasswordAlgorithm::Bcrypt,
            cost: None,
            argon2id: None,
            min: 12,
            max: 72,
            classes: 1,
            min_score: 0,
            breached: None,
            workers: None,
            queue: 64,
        }
    }
}

/// How passwords are hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PasswordAlgorithm {
    /// bcrypt, `$2b$`.
    #[default]
    Bcrypt,
    /// Argon2id (RFC 9106), `$argon2id$`.
    Argon2id,
}

/// What a hash of `argon2id` costs. The default is OWASP's; weaker than its choices is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Argon2id {
    /// Memory, for each password that is hashed at a time. From `7MiB` to `256MiB`. Default: `19MiB`.
    #[schemars(with = "ByteSize")]
    pub memory: ByteSize,
    /// How often it is gone through. From 1 to 16. Default: 2.
    pub passes: u32,
    /// How many parts it has; they are gone through one after the other here. From 1 to 4. Default: 1.
    pub lanes: u32,
}

impl Default for Argon2id {
    fn default() -> Self {
        Self { memory: ByteSize::mib(19), passes: 2, lanes: 1 }
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
