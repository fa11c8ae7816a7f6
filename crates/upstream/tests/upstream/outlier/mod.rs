//! Targets that fail the requests they are sent are left out for a while.

mod compare;
mod counts;
mod reload;
mod share;
mod time;

use std::sync::Arc;
use std::time::Duration;

use tidegate_upstream::{Failure, Picked, Pool, TryOutcome, Upstreams};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{ManualClock, build_at, pick};

const GOOD: TryOutcome = TryOutcome::Answered { status: 200, grpc: None };
const BAD: TryOutcome = TryOutcome::Answered { status: 503, grpc: None };
const REFUSED: TryOutcome = TryOutcome::Failed(Failure::Connect);

const NS: Duration = Duration::from_nanos(1);

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// `10.0.0.1:80` and so on.
fn at(n: usize) -> String {
    format!("10.0.0.{n}:80")
}

fn yaml(targets: usize, rest: &str) -> String {
    let targets: Vec<_> = (1..=targets).map(|n| format!("{:?}", at(n))).collect();
    format!("app: {{ targets: [{}], {rest} }}", targets.join(", "))
}

/// A pool of so many targets, on a clock of its own.
fn pool(targets: usize, rest: &str) -> (Arc<Pool>, ManualClock) {
    let clock = ManualClock::new();
    let upstreams = build_at(&yaml(targets, rest), &clock);
    (upstreams.get("app").unwrap().clone(), clock)
}

/// The target of that number, if requests go there.
fn try_pick(pool: &Arc<Pool>, n: usize) -> Option<Picked> {
    (0..100).map(|_| pick(pool)).find(|picked| picked.address() == at(n))
}

/// A try on the target of that number.
fn send(pool: &Arc<Pool>, n: usize, outcome: TryOutcome) {
    let mut picked = try_pick(pool, n).unwrap_or_else(|| panic!("{} gets no requests", at(n)));
    if matches!(outcome, TryOutcome::Answered { .. }) {
        picked.answered();
    }
    picked.finish(outcome);
}

/// Has it fail until it is left out.
fn eject(pool: &Arc<Pool>, n: usize) {
    (0..3).for_each(|_| send(pool, n, REFUSED));
    assert!(is_out(pool, n), "{} is left out", at(n));
}

fn is_out(pool: &Arc<Pool>, n: usize) -> bool {
    let out = pool.seen(&at(n)).unwrap().ejected;
    assert!(out || pool.seen(&at(n)).unwrap().draining || try_pick(pool, n).is_some());
    out
}

fn out(pool: &Arc<Pool>, targets: usize) -> Vec<usize> {
    (1..=targets).filter(|n| is_out(pool, *n)).collect()
}

const RATES: &str = "outlier: { consecutive_5xx: 0, success_rate: { min_requests: 10 } }";

/// The tasks of the pools, ended with this.
fn start(upstreams: &Upstreams) -> (watch::Sender<bool>, JoinSet<()>) {
    let (stop, stopped) = watch::channel(false);
    (stop, upstreams.start(&stopped).into_iter().collect())
}
