//! Targets that come from elsewhere: followed as they come and go, kept while their source fails.

mod dns_srv;
mod docker;
mod file;
mod http;
mod lists;
mod operator;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Pool, Source, SourceError, TargetConfig, Upstreams};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::support::{ManualClock, config, pick, until};

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

/// A gateway's upstreams, over reloads.
struct Running {
    upstreams: Upstreams,
    clock: ManualClock,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    async fn start(yaml: &str) -> Self {
        let (clock, metrics) = (ManualClock::new(), Metrics::new());
        let upstreams = build(yaml, None, &metrics, &clock);
        let mut running = Self { upstreams, clock, metrics, stop: watch::channel(false).0, tasks: Vec::new() };
        running.begin().await;
        running
    }

    async fn reload(&mut self, yaml: &str) {
        self.upstreams = build(yaml, Some(&self.upstreams), &self.metrics, &self.clock);
        self.begin().await;
    }

    async fn begin(&mut self) {
        self.upstreams.prepare(LONG).await;
        self.tasks.extend(self.upstreams.start(&self.stop.subscribe()).into_iter().map(tokio::spawn));
    }

    fn pool(&self) -> &Arc<Pool> {
        self.upstreams.get("app").unwrap()
    }

    /// The addresses that requests go to.
    fn serves(&self) -> BTreeSet<String> {
        if !self.pool().is_ready() {
            return BTreeSet::new();
        }
        (0..64).map(|_| pick(self.pool()).address().to_owned()).collect()
    }

    async fn until_it_serves(&self, addresses: &[&str]) {
        let wanted: BTreeSet<String> = addresses.iter().map(|address| (*address).to_owned()).collect();
        until(&format!("requests go to {addresses:?}"), || self.serves() == wanted).await;
    }

    #[track_caller]
    fn assert_serves(&self, addresses: &[&str]) {
        assert_eq!(self.serves(), addresses.iter().map(|address| (*address).to_owned()).collect());
    }

    /// How often the source has answered or failed.
    fn counted(&self, what: &str, source: &str) -> u64 {
        let families = self.metrics.registry().gather();
        let family = families.iter().find(|of| of.name() == format!("tidegate_upstream_discovery_{what}_total"));
        let series = family.into_iter().flat_map(|family| family.get_metric());
        let mut of_source = series.filter(|series| series.get_label().iter().any(|label| label.value() == source));
        of_source.next().map_or(0, |series| series.get_counter().get_value() as u64)
    }

    /// The targets that are counted.
    fn with_series(&self) -> BTreeSet<String> {
        let families = self.metrics.registry().gather();
        let labels = families.iter().flat_map(|family| family.get_metric()).flat_map(|series| series.get_label());
        labels.filter(|label| label.name() == "target").map(|label| label.value().to_owned()).collect()
    }

    /// Targets that the test sends, beside the others.
    fn feed(&mut self) -> mpsc::UnboundedSender<Result<Vec<TargetConfig>, SourceError>> {
        let (send, said) = mpsc::unbounded_channel();
        self.tasks.push(tokio::spawn(self.pool().feed(Box::new(Sent(said)), self.stop.subscribe())));
        send
    }
}

fn build(yaml: &str, before: Option<&Upstreams>, metrics: &Metrics, clock: &ManualClock) -> Upstreams {
    Upstreams::build(&config(yaml), before, metrics, &Clock::new(clock.clone())).unwrap()
}

/// A source that an embedder wrote.
struct Sent(mpsc::UnboundedReceiver<Result<Vec<TargetConfig>, SourceError>>);

#[async_trait::async_trait]
impl Source for Sent {
    fn kind(&self) -> &'static str {
        "sent"
    }

    async fn next(&mut self) -> Result<Vec<TargetConfig>, SourceError> {
        match self.0.recv().await {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }
}

fn targets(addresses: &[&str]) -> Vec<TargetConfig> {
    let target = |address: &&str| TargetConfig { address: (*address).to_owned(), weight: 1, ..TargetConfig::default() };
    addresses.iter().map(target).collect()
}
