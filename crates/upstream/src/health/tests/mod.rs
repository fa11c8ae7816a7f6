//! Checks against real sockets: what each finds, and the reason it gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_core::{Clock, Metrics};

use super::probe::probe;
use crate::config::UpstreamConfig;
use crate::target::LiveTarget;
use crate::upstreams::Upstreams;

#[path = "../../../tests/upstream/support/by_hand.rs"]
mod by_hand;
mod grpc;
mod http;
mod tcp;

/// A target, and how it is checked.
struct Subject {
    upstreams: Upstreams,
    target: Arc<LiveTarget>,
}

/// An upstream with the target `address` and `more` settings.
fn subject(address: impl std::fmt::Display, more: &str) -> Subject {
    let yaml = format!("app: {{ targets: [\"{address}\"], {more} }}");
    let config: BTreeMap<String, UpstreamConfig> = serde_yaml::from_str(&yaml).unwrap();
    let upstreams = Upstreams::build(&config, None, &Metrics::new(), &Clock::system());
    let upstreams = upstreams.unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
    let target = upstreams.get("app").unwrap().view().targets()[0].clone();
    Subject { upstreams, target }
}

impl Subject {
    async fn check(&self) -> Result<(), String> {
        let health = self.upstreams.get("app").unwrap().config.health.clone().unwrap();
        probe(&self.target, &health).await
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let patience = async {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(20), patience).await;
    waited.unwrap_or_else(|_| panic!("never happened: {what}"));
}
