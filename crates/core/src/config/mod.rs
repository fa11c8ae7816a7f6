//! What configuration is made of: paths, errors that carry a path, unread subtrees, quantities with units and secrets.
//!
//! The file itself is read by `tidegate-config`, which hands out [`RawConfig`]s. A plugin rarely meets one: it
//! declares plain serde structs, and [`RawConfig::read`] fills them and reports every fault at once.
//!
//! ```
//! use tidegate_core::config::{Duration, RawConfig, Value};
//!
//! #[derive(Debug, serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Health {
//!     path: String,
//!     interval: Duration,
//! }
//!
//! let value = Value::map([("path", Value::from("/health")), ("intervall", Value::from("30s"))]);
//! let errors = RawConfig::new(value, "upstreams.users.health").read::<Health>().unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "upstreams.users.health.intervall: unknown key `intervall`\n\
//!      help: did you mean `interval`? valid keys: path, interval",
//! );
//! ```

mod de;
mod error;
mod method;
mod path;
mod raw;
mod redact;
mod secret;
mod units;
mod value;

pub use error::{ConfigError, ConfigErrors};
pub use method::{METHODS, MethodError, parse_method};
pub use path::{ConfigPath, Segment};
pub use raw::RawConfig;
pub use redact::Redactions;
pub use secret::Secret;
pub use units::{ByteSize, Duration, Percent, Rate, UnitError};
pub use value::{DuplicateKey, Interpolated, Map, Value};
