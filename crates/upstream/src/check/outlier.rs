//! `outlier:`.

use tidegate_core::config::ConfigError;

use super::SHORTEST;
use super::faults::Faults;
use crate::address::Address;
use crate::config::{Outlier, SuccessRate, TargetConfig, UpstreamConfig};

pub(super) fn check(config: &UpstreamConfig) -> Vec<ConfigError> {
    let Some(outlier) = &config.outlier else { return Vec::new() };
    let mut faults = Faults::of("outlier");
    let shares = outlier.success_rate.is_some() || outlier.latency.is_some();
    faults.fault(
        outlier.consecutive_5xx == 0 && outlier.consecutive_connect == 0 && !shares,
        "",
        "nothing would ever be left out",
        "set `consecutive_5xx`, `consecutive_connect`, `success_rate` or `latency`, or take out `outlier`",
    );
    let idle = !shares && outlier.interval != Outlier::default().interval;
    faults.idle(idle, "interval", "without `success_rate` or `latency`", "take it out, or add one of them");
    faults.at_least("interval", outlier.interval, SHORTEST);
    faults.longer_than_zero("base_ejection", outlier.base_ejection);
    faults.fault(
        outlier.max_ejection < outlier.base_ejection,
        "max_ejection",
        format_args!("shorter than `base_ejection`, {}", outlier.base_ejection),
        "raise it, or lower `base_ejection`",
    );
    rates(outlier, &mut faults);
    if let (Some(rate), Some(targets)) = (&outlier.success_rate, addresses(config)) {
        deviations(rate, targets, &mut faults);
    }
    faults.found()
}

/// How many addresses there will ever be, if the configuration knows.
fn addresses(config: &UpstreamConfig) -> Option<usize> {
    let is_name = |target: &TargetConfig| matches!(target.address.parse(), Ok(Address::Name(_)));
    let fixed = config.discovery.is_empty() && !config.targets.iter().any(is_name);
    fixed.then_some(config.targets.len())
}

/// Of `targets` one can be at most the square root of one less standard deviations below their mean (Samuelson's
/// inequality).
fn deviations(rate: &SuccessRate, targets: usize, faults: &mut Faults) {
    let fewer = u32::try_from(targets).is_ok_and(|targets| targets < rate.min_targets);
    faults.fault(
        fewer,
        "success_rate.min_targets",
        format_args!("of {targets} targets none would ever be judged"),
        "lower it, or take out `success_rate`",
    );
    let most = (targets.saturating_sub(1) as f64).sqrt();
    faults.fault(
        !fewer && targets > 1 && rate.deviations >= most,
        "success_rate.deviations",
        format_args!("of {targets} targets none can be {} deviations below the mean", rate.deviations),
        format_args!("write less than {most:.2}, or take `latency` or `consecutive_5xx`"),
    );
}

fn rates(outlier: &Outlier, faults: &mut Faults) {
    if let Some(rate) = &outlier.success_rate {
        let fine = rate.deviations > 0.0 && rate.deviations.is_finite();
        faults.within("success_rate.deviations", fine, rate.deviations, "write a number above 0, such as 1.9");
        faults.at_least_one("success_rate.min_requests", rate.min_requests);
        let few = rate.min_targets < 2;
        faults.fault(
            few,
            "success_rate.min_targets",
            "must be at least 2",
            "one target has nobody to be compared with",
        );
    }
    if let Some(latency) = &outlier.latency {
        let fine = latency.factor > 1.0 && latency.factor.is_finite();
        faults.within("latency.factor", fine, latency.factor, "write a number above 1, such as 3");
        faults.at_least_one("latency.min_requests", latency.min_requests);
    }
}
