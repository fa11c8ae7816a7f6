//! Where keys come from: the configuration, a file, or whoever issues the tokens.

mod flight;
mod metrics;
mod origin;
mod remote;

use std::sync::Arc;

use async_trait::async_trait;

pub(super) use metrics::SourceMetrics;
pub(super) use origin::{Origin, url};
pub(super) use remote::{First, Remote};

use super::keys::Keys;

/// Where keys come from.
#[async_trait]
pub(crate) trait KeySource: Send + Sync {
    /// The keys as they are known now; `None` if there are none yet.
    fn keys(&self) -> Option<Arc<Keys>>;

    /// Another number for other keys, so that what was found good with the old ones is looked at again; `None` if
    /// there are no keys.
    fn version(&self) -> Option<u64> {
        self.keys().map(|keys| keys.print())
    }

    /// What operators can know of it.
    fn state(&self) -> serde_json::Value {
        serde_json::json!({ "keys": self.keys().map_or(0, |keys| keys.len()) })
    }

    /// Whether [`KeySource::renew`] could find a key that is missing now.
    fn may_renew(&self) -> bool {
        true
    }

    /// Tries to have newer ones, because there are none or one is missing; returns when that is done, or not to be
    /// tried now. The error is why there still are none.
    async fn renew(&self) -> Result<(), String>;
}

/// Keys that stay what they are until the configuration is read again.
pub(super) struct Fixed(pub(super) Arc<Keys>);

#[async_trait]
impl KeySource for Fixed {
    fn keys(&self) -> Option<Arc<Keys>> {
        Some(self.0.clone())
    }

    fn version(&self) -> Option<u64> {
        Some(self.0.print())
    }

    fn may_renew(&self) -> bool {
        false
    }

    async fn renew(&self) -> Result<(), String> {
        Ok(())
    }
}
