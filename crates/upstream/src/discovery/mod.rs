//! Where targets come from, beside the configuration.

mod dns_srv;
mod docker;
mod file;
mod follow;
mod http;
mod list;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::{Discovery, DiscoveryKind, TargetConfig, UpstreamConfig};
use crate::pool::Pool;

pub(crate) use follow::{Sources, ask_first, keep_asking};

/// A source of targets, such as a registry of services.
///
/// ```
/// use tidegate_upstream::{Source, SourceError, TargetConfig};
///
/// /// Targets that another part of the program sends.
/// struct Sent(tokio::sync::mpsc::Receiver<Vec<TargetConfig>>);
///
/// #[async_trait::async_trait]
/// impl Source for Sent {
///     fn kind(&self) -> &'static str {
///         "sent"
///     }
///
///     async fn next(&mut self) -> Result<Vec<TargetConfig>, SourceError> {
///         self.0.recv().await.ok_or_else(|| SourceError::new("nobody sends any more"))
///     }
/// }
/// ```
#[async_trait]
pub trait Source: Send {
    /// What kind of source it is: a label of metrics, so always the same.
    fn kind(&self) -> &'static str;

    /// Which one it is, for logs and `/upstreams`, without a secret.
    fn name(&self) -> String {
        self.kind().to_owned()
    }

    /// Waits until there is something to say, and says who all the targets are then; the same as the last time is no
    /// harm. The first call answers at once, so does the first after an error. An empty list is taken at its word: a
    /// source that can't tell "none" from "don't know" returns an error for both, which keeps the last list.
    ///
    /// Dropped before its end when nobody wants to know any more.
    ///
    /// # Errors
    /// Why there is no answer, in a few words.
    async fn next(&mut self) -> Result<Vec<TargetConfig>, SourceError>;

    /// How long to wait before asking again, after so many errors in a row. Default: from 1s to 30s, doubling.
    fn retry_after(&self, failures: u32) -> Duration {
        crate::ttl::Schedule::RETRIES.after_failure(failures)
    }
}

/// Why a source of targets has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(String);

impl SourceError {
    /// `cause` in a few words, without a secret.
    pub fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }
}

/// For a source that is asked every so often: growing pauses, the first of them no longer than the interval.
fn retry_after(interval: Duration, failures: u32) -> Duration {
    use crate::ttl::Schedule;
    Schedule { min: interval, ..Schedule::RETRIES }.after_failure(failures)
}

/// Who lists targets in a pool of this configuration.
pub(crate) fn lists(config: &UpstreamConfig) -> Vec<Arc<str>> {
    std::iter::once("config".into()).chain(config.discovery.iter().map(|source| name(source).into())).collect()
}

/// A source of the configuration, for logs and JSON.
fn name(config: &Discovery) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match config.kind {
        DiscoveryKind::DnsSrv => format!("dns_srv {}", text(&config.name)),
        DiscoveryKind::File => format!("file {}", config.path.as_deref().unwrap_or("".as_ref()).display()),
        // What follows `?` may be a password.
        DiscoveryKind::Http => format!("http {}", text(&config.url).split('?').next().unwrap_or_default()),
        DiscoveryKind::Docker => format!("docker {}", text(&config.label)),
    }
}

/// The source that the configuration asks for.
fn source(config: &Discovery, pool: &Pool) -> Box<dyn Source> {
    match config.kind {
        DiscoveryKind::DnsSrv => Box::new(dns_srv::DnsSrv::new(config, pool)),
        DiscoveryKind::File => Box::new(file::File::new(config, pool)),
        DiscoveryKind::Http => Box::new(http::Http::new(config, pool)),
        DiscoveryKind::Docker => Box::new(docker::Docker::new(config, pool)),
    }
}
