//! Pools in which the tests decide who is ill and what time it is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod choosing;
mod loads;
mod properties;
mod returning;
mod serving;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tidegate_core::{Clock, Metrics, TimeSource};

use crate::pick::{NoTarget, Pick, Picked, TargetId};
use crate::pool::Pool;
use crate::state::Reason;
use crate::target::LiveTarget;
use crate::upstreams::Upstreams;

/// Stands still until it is turned.
#[derive(Clone)]
struct HandClock {
    start: (Instant, SystemTime),
    passed: Arc<AtomicU64>,
}

impl HandClock {
    fn new() -> Self {
        Self { start: (Instant::now(), SystemTime::now()), passed: Arc::default() }
    }

    fn advance(&self, by: Duration) {
        self.passed.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }

    fn passed(&self) -> Duration {
        Duration::from_nanos(self.passed.load(Ordering::Relaxed))
    }
}

impl TimeSource for HandClock {
    fn now(&self) -> Instant {
        self.start.0 + self.passed()
    }

    fn wall(&self) -> SystemTime {
        self.start.1 + self.passed()
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

/// A pool of targets on one host, told apart by their ports.
struct Bed {
    pool: Arc<Pool>,
    clock: HandClock,
}

impl Bed {
    /// `yaml` is what is set beside the targets. Each of these is a port, or `port, weight: 2`.
    fn new(yaml: &str, targets: &[&str]) -> Self {
        let clock = HandClock::new();
        let target = |target: &&str| match target.split_once(',') {
            Some((port, rest)) => format!("{{ address: \"10.0.0.1:{port}\", {rest} }}"),
            None => format!("\"10.0.0.1:{target}\""),
        };
        let targets = targets.iter().map(target).collect::<Vec<_>>().join(", ");
        let yaml = format!("{{ app: {{ targets: [{targets}], {yaml} }} }}");
        let config = serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        let pools = Upstreams::build(&config, None, &Metrics::new(), &Clock::new(clock.clone()));
        Self { pool: pools.unwrap().get("app").unwrap().clone(), clock }
    }

    /// So many targets of which nothing else is said.
    fn alike(yaml: &str, count: u16) -> Self {
        let targets: Vec<_> = (1..=count).map(|port| port.to_string()).collect();
        Self::new(yaml, &targets.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn target(&self, port: u16) -> Arc<LiveTarget> {
        let view = self.pool.view();
        view.targets().iter().find(|target| port_of(&target.address) == port).unwrap().clone()
    }

    fn mark(&self, port: u16, reason: Reason, on: bool) {
        assert!(self.pool.mark(&self.target(port), reason, on, "test"), "{port} was so already");
    }

    fn fell_ill(&self, ports: impl IntoIterator<Item = u16>) {
        ports.into_iter().for_each(|port| self.mark(port, Reason::Unhealthy, true));
    }

    fn recovered(&self, ports: impl IntoIterator<Item = u16>) {
        ports.into_iter().for_each(|port| self.mark(port, Reason::Unhealthy, false));
    }

    fn pick(&self) -> Picked {
        self.pool.pick(&Pick::default()).unwrap()
    }

    fn refusal(&self) -> NoTarget {
        self.pool.pick(&Pick::default()).unwrap_err()
    }

    fn pick_untried(&self, tried: &[TargetId]) -> Picked {
        self.pool.pick(&Pick { tried, ..Pick::default() }).unwrap()
    }

    /// How many of `picks` each port got.
    fn shares(&self, picks: usize) -> BTreeMap<u16, usize> {
        let mut shares = BTreeMap::new();
        for _ in 0..picks {
            *shares.entry(port_of(self.pick().address())).or_default() += 1;
        }
        shares
    }

    /// Who serves, in order.
    fn serving(&self) -> Vec<u16> {
        let view = self.pool.view();
        let mut ports: Vec<_> = view.serving().map(|target| port_of(&target.address)).collect();
        ports.sort_unstable();
        ports
    }
}

fn port_of(address: &str) -> u16 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

const ALGORITHMS: [&str; 5] = ["round_robin", "random", "least_request", "peak_ewma", "consistent_hash"];
