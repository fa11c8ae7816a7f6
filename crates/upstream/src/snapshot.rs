//! What an operator may know of a pool.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::config::{Algorithm, Protocol};
use crate::pool::Pool;
use crate::registry::{Entry, List};
use crate::state::{Reason, State};
use crate::target::LiveTarget;

/// A pool at one moment, for the admin listener.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolSnapshot {
    /// The upstream's name.
    pub name: String,
    /// How targets are chosen.
    pub lb: Algorithm,
    /// What is spoken to them.
    pub protocol: Protocol,
    /// Whether it is spoken over TLS.
    pub tls: bool,
    /// Requests that are in.
    pub in_flight: u32,
    /// Requests that wait to be let in.
    pub waiting: u32,
    /// How many requests may be in now; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// What the breaker does; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerSnapshot>,
    /// Retries under way.
    pub retries: u32,
    /// Whether so few targets are usable that all serve.
    pub panic: bool,
    /// The sources of targets that have no newer answer, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing_sources: Vec<SourceSnapshot>,
    /// The targets, in the order of the configuration and its sources.
    pub targets: Vec<TargetSnapshot>,
}

/// A breaker at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerSnapshot {
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// How long it stays open, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_for_ms: Option<u64>,
}

/// A source of targets that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceSnapshot {
    /// Its name.
    pub source: String,
    /// Why it has no newer answer.
    pub failure: String,
}

/// A target at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetSnapshot {
    /// The target as listed.
    pub target: String,
    /// Who lists it: `config`, `operator`, or a source.
    pub source: String,
    /// Its share, relative to the others'.
    pub weight: u32,
    /// Its tier.
    pub priority: u32,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Tries that are over, and those of them that failed or were answered with 5xx, since the target is known; absent
    /// for a target that has no address or no series of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<TriesSnapshot>,
    /// The addresses that requests go to at this moment; none for a name that was never resolved.
    pub addresses: Vec<AddressSnapshot>,
    /// When its name was last resolved, in seconds since 1970; absent for addresses and sockets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<u64>,
    /// Why the last resolution failed, if it did; `addresses` are then those of the last that didn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// How many tries a target had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TriesSnapshot {
    /// All that are over.
    pub total: u64,
    /// Those without an answer, or with one of 5xx.
    pub failed: u64,
}

/// One address of a target at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AddressSnapshot {
    /// `10.0.0.1:3000`, or `unix:/run/app.sock`.
    pub address: String,
    /// Whether requests may go there.
    pub usable: bool,
    /// Why not: `unchecked`, `unhealthy`, `ejected`, `draining`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<&'static str>,
    /// Requests there now.
    pub in_flight: u32,
    /// Whether its share still grows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub slow_start: bool,
    /// The last health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckSnapshot>,
    /// How often in a row it was ejected; absent for 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub ejections: u32,
    /// How long it is still ejected, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ejected_for_ms: Option<u64>,
    /// How long `peak_ewma` expects an answer to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_ms: Option<f64>,
}

/// The last health check of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckSnapshot {
    /// Whether it was good.
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How long ago it ended.
    pub seconds_ago: u64,
    /// How many were good so far.
    pub passed: u64,
    /// How many were not.
    pub failed: u64,
}

impl Pool {
    /// What the pool knows and does at this moment.
    pub fn snapshot(&self) -> PoolSnapshot {
        let registry = self.registry.lock();
        let failing = registry.lists().filter_map(|list| {
            let failure = list.failure.clone()?;
            Some(SourceSnapshot { source: list.source.to_string(), failure })
        });
        let entries = registry.lists().flat_map(|list| list.entries.iter().map(move |entry| (list, entry)));
        PoolSnapshot {
            name: self.name.to_string(),
            lb: self.config.lb.algorithm,
            protocol: self.config.protocol,
            tls: self.config.tls.is_some(),
            in_flight: self.admission.in_flight(),
            waiting: self.admission.waiting(),
            limit: self.admission.limit(),
            breaker: self
                .admission
                .breaker()
                .map(|(state, open_for)| BreakerSnapshot { state, open_for_ms: open_for.map(millis) }),
            retries: self.retries.under_way(),
            panic: self.view().panics(),
            failing_sources: failing.collect(),
            targets: entries.map(|(list, entry)| self.target_snapshot(list, entry)).collect(),
        }
    }

    fn target_snapshot(&self, list: &List, entry: &Entry) -> TargetSnapshot {
        let (spec, name) = (&entry.spec, entry.name.as_ref());
        let tries = entry.live.first().and_then(|live| live.series.tries());
        TargetSnapshot {
            target: spec.name.to_string(),
            source: list.source.to_string(),
            weight: spec.weight,
            priority: spec.priority,
            zone: spec.zone.as_deref().map(str::to_owned),
            tries: tries.map(|(total, failed)| TriesSnapshot { total, failed }),
            addresses: entry.live.iter().map(|live| self.address_snapshot(live)).collect(),
            resolved_at: name.and_then(|name| name.resolved_at).map(unix_seconds),
            failure: name.and_then(|name| name.failure.as_ref()).map(ToString::to_string),
        }
    }

    fn address_snapshot(&self, live: &LiveTarget) -> AddressSnapshot {
        let (state, now) = (&*live.state, self.now());
        let until = Duration::from_nanos(state.record.until().saturating_sub(now));
        AddressSnapshot {
            address: live.address.to_string(),
            usable: state.is_usable(),
            out: state.reasons().map(Reason::as_str).collect(),
            in_flight: state.in_flight(),
            slow_start: state.ramp_from.load(Ordering::Relaxed) != 0,
            check: check_snapshot(state, now),
            ejections: state.record.times(),
            ejected_for_ms: state.has(Reason::Ejected).then(|| millis(until)),
            expected_ms: crate::balance::expected(self, live).map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
        }
    }
}

fn check_snapshot(state: &State, now: u64) -> Option<CheckSnapshot> {
    let last = state.checks.last()?;
    Some(CheckSnapshot {
        ok: last.failure.is_none(),
        failure: last.failure,
        seconds_ago: Duration::from_nanos(now.saturating_sub(last.at)).as_secs(),
        passed: last.passed,
        failed: last.failed,
    })
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
