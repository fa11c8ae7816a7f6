//! What a seed decides before its hour begins: the upstream's settings.

use rand::Rng;
use rand::rngs::SmallRng;

/// The settings, and those of them that the rules need.
pub(super) struct Plan {
    pub(super) yaml: String,
    pub(super) algorithm: &'static str,
    /// How many tiers the servers are in.
    pub(super) tiers: u32,
    pub(super) panic_threshold: Option<u32>,
    pub(super) health: Option<Health>,
    pub(super) outlier: Option<Outlier>,
    pub(super) attempts: u32,
    pub(super) budget: Budget,
    /// The most requests in flight, unless the upstream finds its own limit.
    pub(super) in_flight: Option<u32>,
    pub(super) queue: u32,
    pub(super) breaker: bool,
    pub(super) adaptive: bool,
    pub(super) per_target: Option<u32>,
}

pub(super) struct Health {
    pub(super) healthy: u32,
    pub(super) unhealthy: u32,
}

pub(super) struct Outlier {
    pub(super) consecutive_5xx: u32,
    pub(super) consecutive_connect: u32,
}

pub(super) struct Budget {
    pub(super) percent: u32,
    pub(super) min: u32,
}

pub(super) const CHECK_INTERVAL: u64 = 10;
pub(super) const QUEUE_TIMEOUT: u64 = 5;
pub(super) const BASE_EJECTION: u64 = 30;
pub(super) const MAX_EJECTION: u64 = 120;
pub(super) const BREAKER_OPEN: u64 = 5;

const ALGORITHMS: [&str; 4] = ["round_robin", "least_request", "peak_ewma", "random"];

/// Its table is dear to fill in a debug build, and is filled anew whenever somebody comes or goes.
const HASHING: u64 = 25;

impl Plan {
    pub(super) fn new(seed: u64, rng: &mut SmallRng) -> Self {
        let algorithm = match seed % HASHING {
            0 => "consistent_hash",
            _ => ALGORITHMS[(seed % 4) as usize],
        };
        let tiers = if rng.random_ratio(1, 3) { 2 } else { 1 };
        // What is usable in a panic is not said tier by tier.
        let panic_threshold = (tiers == 1 && rng.random_ratio(1, 4)).then_some(50);
        let health = rng
            .random_ratio(3, 4)
            .then(|| Health { healthy: rng.random_range(1..=3), unhealthy: rng.random_range(1..=4) });
        let outlier = (health.is_none() || rng.random_ratio(1, 2)).then(|| Outlier {
            consecutive_5xx: rng.random_range(3..=6),
            consecutive_connect: rng.random_range(2..=4),
        });
        let adaptive = rng.random_ratio(1, 8);
        let in_flight = (!adaptive && rng.random_ratio(1, 3)).then(|| rng.random_range(4..=20));
        let mut plan = Self {
            yaml: String::new(),
            algorithm,
            tiers,
            panic_threshold,
            health,
            outlier,
            attempts: rng.random_range(0..=3),
            budget: Budget { percent: rng.random_range(1..=40), min: rng.random_range(0..=3) },
            in_flight,
            queue: if in_flight.is_some() { rng.random_range(0..=10) } else { 0 },
            breaker: rng.random_ratio(1, 4),
            adaptive,
            per_target: rng.random_ratio(1, 4).then(|| rng.random_range(2..=8)),
        };
        plan.yaml = plan.write(rng.random_ratio(1, 3), rng.random_ratio(1, 4));
        plan
    }

    fn write(&self, slow_start: bool, zones: bool) -> String {
        let panic = self.panic_threshold.unwrap_or(0);
        let zones = if zones { ", zone_aware: { local: z0 }" } else { "" };
        let mut parts = vec![
            // The simulation lists others in its place.
            "targets: [{ address: \"10.9.9.9:80\", zone: z0 }]".to_owned(),
            format!("lb: {{ algorithm: {}, panic_threshold: {panic}%{zones} }}", self.algorithm),
            match self.attempts {
                0 => "retry: { attempts: 0 }".to_owned(),
                attempts => format!(
                    "retry: {{ attempts: {attempts}, on: [connect, reset, timeout, 503], \
                     budget: {{ share: {}%, min: {} }} }}",
                    self.budget.percent, self.budget.min
                ),
            },
        ];
        if let Some(Health { healthy, unhealthy }) = &self.health {
            parts
                .push(format!("health: {{ interval: {CHECK_INTERVAL}s, healthy: {healthy}, unhealthy: {unhealthy} }}"));
        }
        if let Some(Outlier { consecutive_5xx, consecutive_connect }) = &self.outlier {
            parts.push(format!(
                "outlier: {{ consecutive_5xx: {consecutive_5xx}, consecutive_connect: {consecutive_connect}, \
                 base_ejection: {BASE_EJECTION}s, max_ejection: {MAX_EJECTION}s }}"
            ));
        }
        parts.extend(slow_start.then(|| "slow_start: 30s".to_owned()));
        parts.extend(self.breaker.then(|| format!("breaker: {{ min_requests: 5, open: {BREAKER_OPEN}s }}")));
        parts.extend(self.adaptive.then(|| "adaptive: {}".to_owned()));
        let mut limits = Vec::new();
        limits.extend(self.in_flight.map(|most| format!("in_flight: {most}")));
        limits.extend((self.queue > 0).then(|| format!("queue: {}, queue_timeout: {QUEUE_TIMEOUT}s", self.queue)));
        limits.extend(self.per_target.map(|most| format!("per_target: {most}")));
        if !limits.is_empty() {
            parts.push(format!("limits: {{ {} }}", limits.join(", ")));
        }
        format!("app: {{ {} }}", parts.join(", "))
    }
}
