//! Values that are left out, and values that are forgotten.

use serde::{Deserialize, Deserializer};

/// A key that stands there with nothing after it is a slip, not a key that was left out.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
