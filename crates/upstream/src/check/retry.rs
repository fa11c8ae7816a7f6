//! `retry:`, `hedge:` and `mirror:`.

use tidegate_core::config::{ConfigError, Percent};

use super::faults::Faults;
use crate::config::{Hedge, Mirror, Retry, RetryOn, UpstreamConfig};

const MOST_ATTEMPTS: u32 = 10;
const NONE: Percent = Percent::new(0);

pub(super) fn check(config: &UpstreamConfig) -> Vec<ConfigError> {
    let mut found = retry(&config.retry);
    found.extend(config.hedge.as_ref().into_iter().flat_map(hedge));
    found.extend(config.mirror.as_ref().into_iter().flat_map(mirror));
    found
}

fn retry(retry: &Retry) -> Vec<ConfigError> {
    let mut faults = Faults::of("retry");
    if retry.attempts == 0 {
        unused(retry, &mut faults);
        return faults.found();
    }
    faults.fault(
        retry.attempts > MOST_ATTEMPTS,
        "attempts",
        format_args!("{} attempts are too many", retry.attempts),
        format_args!("write at most {MOST_ATTEMPTS}"),
    );
    reasons(retry, &mut faults);
    faults.fault(
        retry.backoff.max < retry.backoff.base,
        "backoff.max",
        format_args!("shorter than `base`, {}", retry.backoff.base),
        "raise it, or lower `base`",
    );
    faults.fault(
        retry.budget.share == NONE && retry.budget.min == 0,
        "budget",
        "no retry would ever be allowed",
        "give it a share or a minimum, or write `attempts: 0`",
    );
    faults.found()
}

/// What is said about retries that never come.
fn unused(retry: &Retry, faults: &mut Faults) {
    let usual = Retry::default();
    for (key, set) in [
        ("on", retry.on != usual.on),
        ("idempotent_only", !retry.idempotent_only),
        ("per_try_timeout", retry.per_try_timeout.is_some()),
        ("backoff", retry.backoff != usual.backoff),
        ("budget", retry.budget != usual.budget),
    ] {
        faults.idle(set, key, "with `attempts: 0`", "take it out, or allow an attempt");
    }
}

fn reasons(retry: &Retry, faults: &mut Faults) {
    faults.fault(retry.on.is_empty(), "on", "no reason to try again", "name one, or write `attempts: 0`");
    for (index, on) in retry.on.iter().enumerate() {
        if retry.on.iter().take(index).any(|before| before == on) {
            let at = faults.place("on").index(index);
            faults.fault_at(at, "is listed twice", "list it once");
        }
    }
    let called = retry.on.iter().position(|on| matches!(on, RetryOn::Grpc(_)));
    if let Some(index) = called.filter(|_| retry.idempotent_only) {
        let help = "say `idempotent_only: false` if calls may be repeated, or take it out";
        faults.fault_at(faults.place("on").index(index), "gRPC is always POST, which is not idempotent", help);
    }
    let Some(timeout) = retry.per_try_timeout else { return };
    faults.longer_than_zero("per_try_timeout", timeout);
    let help = "add `timeout` to `on`, so that what is given up is tried again";
    faults.idle(!retry.on.contains(&RetryOn::Timeout), "per_try_timeout", "while `timeout` is not in `on`", help);
}

fn hedge(hedge: &Hedge) -> Vec<ConfigError> {
    let mut faults = Faults::of("hedge");
    faults.fault(
        hedge.percentile == NONE,
        "percentile",
        "every request would be sent twice",
        "write how many answers are to be waited for, such as 95%",
    );
    faults.fault(
        hedge.max_delay < hedge.min_delay,
        "max_delay",
        format_args!("shorter than `min_delay`, {}", hedge.min_delay),
        "raise it, or lower `min_delay`",
    );
    faults.longer_than_zero("max_delay", hedge.max_delay);
    faults.fault(
        hedge.max_share == NONE,
        "max_share",
        "nothing would be sent twice",
        "write a share, or take out `hedge`",
    );
    faults.found()
}

/// But for the upstream itself: see who knows all of them.
fn mirror(mirror: &Mirror) -> Vec<ConfigError> {
    let mut faults = Faults::of("mirror");
    faults.fault(mirror.share == NONE, "share", "nothing would be copied", "write a share, or take out `mirror`");
    faults.at_least_one("max_in_flight", mirror.max_in_flight);
    faults.longer_than_zero("timeout", mirror.timeout);
    faults.found()
}
