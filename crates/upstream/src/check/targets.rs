//! `targets:`: weights, tiers, zones, limits.

use tidegate_core::config::{ConfigError, ConfigPath};

use super::faults::Faults;
use crate::config::{TargetConfig, UpstreamConfig};

const LARGEST_WEIGHT: u32 = 256;
const LAST_TIER: u32 = 15;
const MOST_TARGETS: usize = 10_000;

pub(super) fn check(config: &UpstreamConfig) -> Vec<ConfigError> {
    let at = ConfigPath::root().key("targets");
    if config.targets.is_empty() && config.discovery.is_empty() {
        let help = "list at least one, such as \"10.0.0.1:3000\", or say by `discovery` where they come from";
        return vec![ConfigError::at(at, "no targets").help(help)];
    }
    if config.targets.len() > MOST_TARGETS {
        return vec![ConfigError::at(at, format!("more than {MOST_TARGETS} targets")).help("make several upstreams")];
    }
    config.targets.iter().enumerate().flat_map(|(index, one)| target(one, at.index(index))).collect()
}

/// What is wrong with one target, at `at`, but for its address.
fn target(target: &TargetConfig, at: ConfigPath) -> Vec<ConfigError> {
    let mut faults = Faults::of(at);
    let TargetConfig { weight, priority, .. } = *target;
    faults.fault(
        !(1..=LARGEST_WEIGHT).contains(&weight),
        "weight",
        format_args!("a weight of {weight} is not possible"),
        format_args!("write a weight from 1 to {LARGEST_WEIGHT}, or take the target out"),
    );
    faults.fault(
        priority > LAST_TIER,
        "priority",
        format_args!("there is no tier {priority}"),
        format_args!("write a priority from 0 to {LAST_TIER}; the lowest serves first"),
    );
    let nowhere = target.zone.as_deref().is_some_and(str::is_empty);
    faults.fault(nowhere, "zone", "a zone has a name", "leave it out if the target is in none");
    faults.at_least_one("max_in_flight", target.max_in_flight);
    faults.found()
}

impl TargetConfig {
    /// Whether it is a unix socket, which has neither a port nor a name.
    pub(super) fn is_socket(&self) -> bool {
        self.address.starts_with("unix:")
    }
}
