//! What is fetched before anybody asks for it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::{Duration, Secret};

/// `warm:` of the section: requests that the gateway sends to itself, so that the first client finds a stored answer.
/// They go through a listener and the whole chain, as a client's would, from the gateway's own address.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WarmConfig {
    /// URLs, with scheme and host as clients write them.
    pub urls: Vec<String>,
    /// Sitemaps (sitemaps.org), by their URLs: all that they list, and the sitemaps that they list. Asked for through the
    /// gateway, too.
    pub sitemaps: Vec<String>,
    /// What was asked for most in the last run.
    pub top: Option<TopConfig>,
    /// Whether to begin when the gateway starts, and when a reload changes this. Default: true.
    pub on_start: bool,
    /// And again so often. Default: never.
    pub every: Option<Duration>,
    /// How many requests at a time. Default: 8.
    pub concurrency: NonZeroU16,
    /// How long one may take. Default: 30s.
    pub timeout: Duration,
    /// Fields of the requests, such as `Accept-Encoding` for the variant that most clients want, or a token for routes
    /// that want one. Several sets: each URL is asked for with each.
    pub headers: Vec<BTreeMap<String, Secret>>,
}

/// `warm.top`: URLs that were asked for most, noted in a file while the gateway runs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopConfig {
    /// Where they are noted: one a line, the most wanted first.
    pub file: PathBuf,
    /// How many. Default: 500.
    #[serde(default = "most")]
    pub count: NonZeroU16,
}

fn most() -> NonZeroU16 {
    const { NonZeroU16::new(500).unwrap() }
}

impl Default for WarmConfig {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            sitemaps: Vec::new(),
            top: None,
            on_start: true,
            every: None,
            concurrency: const { NonZeroU16::new(8).unwrap() },
            timeout: Duration::from_secs(30),
            headers: Vec::new(),
        }
    }
}
