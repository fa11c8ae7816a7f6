//! `limits:`, `breaker:` and `adaptive:`.

use tidegate_core::config::{ConfigError, Percent};

use super::SHORTEST;
use super::faults::Faults;
use crate::config::{Adaptive, Breaker, PoolLimits, UpstreamConfig};

const LONGEST_QUEUE: u32 = 100_000;
const NONE: Percent = Percent::new(0);

pub(super) fn check(config: &UpstreamConfig) -> Vec<ConfigError> {
    let mut found = limits(&config.limits, config.adaptive.is_some());
    found.extend(config.breaker.as_ref().into_iter().flat_map(breaker));
    found.extend(config.adaptive.as_ref().into_iter().flat_map(adaptive));
    found
}

fn limits(limits: &PoolLimits, adaptive: bool) -> Vec<ConfigError> {
    let mut faults = Faults::of("limits");
    faults.at_least_one("in_flight", limits.in_flight);
    faults.at_least_one("connections", limits.connections);
    faults.at_least_one("per_target", limits.per_target);
    faults.fault(
        limits.queue > LONGEST_QUEUE,
        "queue",
        format_args!("{} requests are too many to wait", limits.queue),
        format_args!("write at most {LONGEST_QUEUE}"),
    );
    let limited = limits.in_flight.is_some() || limits.connections.is_some() || adaptive;
    let help = "set `in_flight` or `connections`, or `adaptive` beside `limits`: nothing waits without a limit";
    faults.idle(limits.queue > 0 && !limited, "queue", "without a limit of the upstream", help);
    let idle = limits.queue == 0 && limits.queue_timeout != PoolLimits::default().queue_timeout;
    faults.idle(idle, "queue_timeout", "without a queue", "say by `queue` how many may wait, or take it out");
    faults.longer_than_zero("queue_timeout", limits.queue_timeout);
    faults.found()
}

fn breaker(breaker: &Breaker) -> Vec<ConfigError> {
    let mut faults = Faults::of("breaker");
    let help = "write the share at which to open, such as 50%";
    faults.fault(breaker.error_ratio == NONE, "error_ratio", "would be open from the first request on", help);
    faults.fault(breaker.slow_ratio == NONE, "slow_ratio", "would be open from the first request on", help);
    let idle = breaker.slow.is_none() && breaker.slow_ratio != Breaker::default().slow_ratio;
    faults.idle(idle, "slow_ratio", "without `slow`", "say by `slow` what is slow, or take it out");
    if let Some(slow) = breaker.slow {
        faults.longer_than_zero("slow", slow);
    }
    faults.at_least("window", breaker.window, SHORTEST);
    faults.longer_than_zero("open", breaker.open);
    faults.at_least_one("min_requests", breaker.min_requests);
    faults.at_least_one("probes", breaker.probes);
    faults.found()
}

fn adaptive(adaptive: &Adaptive) -> Vec<ConfigError> {
    let mut faults = Faults::of("adaptive");
    let Adaptive { initial, min, max, tolerance } = *adaptive;
    faults.at_least_one("min", min);
    faults.fault(max < min, "max", format_args!("less than `min`, {min}"), "raise it, or lower `min`");
    faults.fault(
        min > 0 && max >= min && !(min..=max).contains(&initial),
        "initial",
        format_args!("{initial} is not between `min` and `max`"),
        format_args!("write a number from {min} to {max}"),
    );
    let fine = tolerance >= 1.0 && tolerance.is_finite();
    faults.within("tolerance", fine, tolerance, "write a number of at least 1, such as 1.5");
    faults.found()
}
