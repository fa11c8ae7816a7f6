//! A server, and what the gateway must know of it by now: a model that counts for itself.

use rand::Rng;
use rand::rngs::SmallRng;
use tidegate_upstream::TargetConfig;

use super::SECOND;
use super::plan::{Health, Plan};

/// How a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Ten times as slow.
    Slow,
    /// Answers 500 or 503.
    Failing,
    /// Accepts connections and says nothing.
    Stalled,
    /// Refuses connections.
    Dead,
}

pub(super) struct Server {
    pub(super) address: String,
    pub(super) priority: u32,
    zone: String,
    pub(super) mood: Mood,
    /// When it died last, in nanoseconds.
    pub(super) died: u64,
    /// Whether its health checks see that it fails.
    pub(super) honest: bool,
    pub(super) listed: bool,
    /// Counts up each time it is listed anew: then nothing is known of it any more.
    pub(super) life: u32,
    pub(super) known: Known,
}

/// What is known of a server, and why it must not be used.
#[derive(Default)]
pub(super) struct Known {
    pub(super) in_flight: u32,
    pub(super) unchecked: bool,
    pub(super) unhealthy: bool,
    pub(super) draining: bool,
    /// Since when; as the gateway has it, checked against the counts below.
    pub(super) ejected: Option<u64>,
    /// When it was last no longer ejected.
    pub(super) returned: Option<u64>,
    /// Faults in a row, and whether this moment's was one too many.
    pub(super) errors: u32,
    pub(super) silences: u32,
    pub(super) due: bool,
    good_checks: u32,
    bad_checks: u32,
}

impl Known {
    pub(super) fn is_usable(&self) -> bool {
        !self.unchecked && !self.unhealthy && !self.draining && self.ejected.is_none()
    }

    /// Row C1, counted the simple way.
    pub(super) fn checked(&mut self, rule: &Health, good: bool) {
        if std::mem::take(&mut self.unchecked) {
            self.unhealthy = !good;
            return;
        }
        (self.good_checks, self.bad_checks) = match good {
            true => (self.good_checks + 1, 0),
            false => (0, self.bad_checks + 1),
        };
        if self.unhealthy && self.good_checks >= rule.healthy || !self.unhealthy && self.bad_checks >= rule.unhealthy {
            self.unhealthy = !self.unhealthy;
            (self.good_checks, self.bad_checks) = (0, 0);
        }
    }
}

/// One more in a row; whether that was the last one that it may have. Then they are counted anew.
pub(super) fn one_too_many(count: &mut u32, limit: u32) -> bool {
    *count += 1;
    let last = *count >= limit;
    if last {
        *count = 0;
    }
    last
}

impl Server {
    pub(super) fn new(number: usize, plan: &Plan, rng: &mut SmallRng) -> Self {
        Self {
            address: format!("10.0.0.{number}:80"),
            priority: number as u32 % plan.tiers,
            zone: format!("z{}", rng.random_range(0..2)),
            mood: Mood::Well,
            died: 0,
            honest: rng.random(),
            listed: false,
            life: 0,
            known: Known::default(),
        }
    }

    pub(super) fn config(&self) -> TargetConfig {
        TargetConfig {
            address: self.address.clone(),
            weight: 1,
            zone: Some(self.zone.clone()),
            priority: self.priority,
            max_in_flight: None,
        }
    }

    /// Lists it, as if for the first time, or takes it off the list.
    pub(super) fn list(&mut self, listed: bool, plan: &Plan) {
        self.listed = listed;
        self.life += 1;
        self.known = Known { unchecked: plan.health.is_some(), ..Known::default() };
    }

    pub(super) fn is_usable(&self) -> bool {
        self.listed && self.known.is_usable()
    }

    pub(super) fn passes_check(&self) -> bool {
        match self.mood {
            Mood::Well | Mood::Slow => true,
            Mood::Failing => !self.honest,
            Mood::Stalled | Mood::Dead => false,
        }
    }

    /// Something goes wrong, or gets well again.
    pub(super) fn turn(&mut self, now: u64, rng: &mut SmallRng) {
        const FAULTS: [Mood; 5] = [Mood::Dead, Mood::Dead, Mood::Stalled, Mood::Failing, Mood::Slow];
        self.mood = match self.mood {
            Mood::Well => FAULTS[rng.random_range(0..FAULTS.len())],
            _ => Mood::Well,
        };
        if self.mood == Mood::Dead {
            self.died = now;
        }
    }

    /// How long it takes to begin an answer.
    pub(super) fn time(&self, rng: &mut SmallRng) -> u64 {
        let usual = exponential(2 * SECOND, rng);
        match self.mood {
            Mood::Well => usual,
            Mood::Slow => 10 * usual,
            Mood::Failing => usual / 10,
            Mood::Stalled => 10 * SECOND,
            Mood::Dead => SECOND / 1000,
        }
    }
}

/// A time until the next of independent events that are `mean` apart.
pub(super) fn exponential(mean: u64, rng: &mut SmallRng) -> u64 {
    let draw: f64 = rng.random();
    (-(1.0 - draw).ln() * mean as f64) as u64 + 1
}
