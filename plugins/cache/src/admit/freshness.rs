//! For how long an answer is fresh (RFC 9111 section 4.2), and of use after that (RFC 5861).

use std::time::{Duration, SystemTime};

use tidegate_core::fields::date;
use tidegate_core::{HeaderMap, header};

use super::Refused;
use crate::control::{Expires, Says, seconds};
use crate::rules::{Rules, Times};

/// What decides.
pub(super) struct Question<'a> {
    pub(super) rules: &'a Rules,
    pub(super) times: &'a Times,
    pub(super) says: &'a Says,
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    pub(super) shared: bool,
    pub(super) now: SystemTime,
}

/// For how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fresh {
    /// So long after it was made.
    Until(Duration),
    /// So long after it came: the operator's word.
    FromNow(Duration),
}

/// Longest that is guessed.
const LONGEST_GUESS: Duration = Duration::from_secs(86_400);

/// Decides: `no-cache`, the operator, the upstream, and what is assumed where neither says anything.
pub(super) fn of(asked: &Question<'_>) -> Result<Fresh, Refused> {
    if asked.says.no_cache {
        return Ok(Fresh::Until(Duration::ZERO));
    }
    let explicit = explicit(asked);
    let error = asked.status >= 400;
    if let Some(fixed) = asked.times.fixed.filter(|_| !error && (explicit.is_some() || is_assumed(asked))) {
        return Ok(Fresh::FromNow(fixed));
    }
    let lifetime = explicit.or_else(|| assumed(asked)).ok_or(match asked.status >= 500 {
        true => Refused::ServerError,
        false => Refused::Silent,
    })?;
    let least = asked.times.least.filter(|_| !error).unwrap_or_default();
    Ok(Fresh::Until(lifetime.max(least).min(asked.times.most.unwrap_or(Duration::MAX))))
}

/// What the upstream says: `s-maxage`, `max-age`, `Expires`, the first of them that is there (RFC 9111 section 4.2.1).
fn explicit(asked: &Question<'_>) -> Option<Duration> {
    let says = asked.says;
    let seconds = says.s_maxage.filter(|_| asked.shared).or(says.max_age);
    match (seconds, says.expires) {
        (Some(seconds), _) => Some(Duration::from_secs(u64::from(seconds))),
        (None, Expires::Past) => Some(Duration::ZERO),
        (None, Expires::At(at)) => Some(at.duration_since(made(asked)).unwrap_or_default()),
        (None, Expires::Silent) => None,
    }
}

/// When the upstream made it, by its own clock.
fn made(asked: &Question<'_>) -> SystemTime {
    asked.headers.get(header::DATE).and_then(date).unwrap_or(asked.now)
}

/// Whether anything may be assumed of an answer that says nothing (RFC 9111 section 4.2.2).
fn is_assumed(asked: &Question<'_>) -> bool {
    let says = asked.says;
    matches!(asked.status, 200 | 203 | 204 | 300 | 301 | 308) || says.public || (says.private && !asked.shared)
}

fn assumed(asked: &Question<'_>) -> Option<Duration> {
    if asked.status >= 400 && !asked.says.public {
        return asked.rules.negative(asked.status).filter(|ttl| !ttl.is_zero());
    }
    if let Some(ttl) = asked.rules.negative(asked.status) {
        return Some(ttl).filter(|ttl| !ttl.is_zero());
    }
    if !is_assumed(asked) {
        return None;
    }
    guessed(asked).or(Some(asked.times.default)).filter(|ttl| !ttl.is_zero())
}

/// A share of the time for which it has not changed.
fn guessed(asked: &Question<'_>) -> Option<Duration> {
    let share = u32::from(asked.rules.heuristic.basis_points());
    let changed = asked.headers.get(header::LAST_MODIFIED).and_then(date).filter(|_| share > 0)?;
    let unchanged = made(asked).duration_since(changed).ok()?;
    Some((unchanged / 10_000).saturating_mul(share).min(LONGEST_GUESS))
}

/// How old it was when it came: the first number of the first `Age` (RFC 9111 section 5.1). `None` where nobody says so.
pub(super) fn sent_age(headers: &HeaderMap) -> Option<Duration> {
    let first = headers.get(header::AGE)?.as_bytes().split(|byte| *byte == b',').next()?;
    seconds(first.trim_ascii()).map(|seconds| Duration::from_secs(u64::from(seconds)))
}

/// For how many seconds it may be used stale: while a new one is fetched, and when the upstream fails.
pub(super) fn stale(times: &Times, says: &Says, shared: bool) -> (u32, u32) {
    if says.forbids_stale(shared) {
        return (0, 0);
    }
    let default = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    (
        says.stale_while_revalidate.unwrap_or_else(|| default(times.while_revalidate)),
        says.stale_if_error.unwrap_or_else(|| default(times.if_error)),
    )
}
