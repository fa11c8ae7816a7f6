//! What a stored answer is worth to a request (RFC 9111 section 4, RFC 5861).

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use tidegate_core::cache::Use;

use crate::control::{Asks, Says, older_than};
use crate::store::Head;

/// What it is worth, and how old it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// [`Use::Stale`] with `refresh`: if nobody else is having a new one fetched.
    pub(crate) worth: Use,
    pub(crate) age: Duration,
    /// For how many seconds it is fresh yet.
    pub(crate) ttl: i64,
    /// Why the upstream is asked, if it is (RFC 9211 section 2.2).
    pub(crate) forwarded: &'static str,
}

/// Judges. `expired_at` is when a soft purge has ended its time; `shared`, whether the answer may be anybody's.
pub(crate) fn judge(
    head: &Head,
    asks: &Asks,
    expired_at: Option<SystemTime>,
    shared: bool,
    now: SystemTime,
) -> Judgement {
    // The mark of a purge may be a little ahead of the clock: it is over all the same.
    let fresh_until = expired_at.map_or(head.fresh_until, |at| at.min(head.fresh_until).min(now));
    let age = now.duration_since(head.born).unwrap_or_default();
    let left = fresh_until.duration_since(now).unwrap_or_default();
    let over = now.duration_since(fresh_until).unwrap_or_default();
    let is_fresh = !left.is_zero();
    let unwanted = asks.no_cache
        // Who says how old it may be wants none that is stale, but for `max-stale` (RFC 9111 section 5.2.1.1).
        || (!is_fresh && asks.max_age.is_some() && asks.max_stale.is_none())
        || asks.max_age.is_some_and(|most| older_than(age, most))
        || asks.min_fresh.is_some_and(|least| left < Duration::from_secs(u64::from(least)));
    let within = |seconds: u32| seconds > 0 && !older_than(over, seconds);
    let worth = match (unwanted, is_fresh) {
        (false, true) => Use::Fresh,
        (false, false) if within(head.while_revalidate) => Use::Stale { refresh: true },
        (false, false) if takes_stale(head, asks.max_stale, over, shared) => Use::Stale { refresh: false },
        // Who says `no-cache` wants nothing stored that has not been confirmed. Who only wants a newer one is better off
        // with this one than with an error (RFC 5861 section 4: "regardless of other freshness information").
        _ => {
            let allowed = within(head.if_error) || takes_stale(head, asks.stale_if_error, over, shared);
            Use::Expired { if_error: !asks.no_cache && allowed }
        }
    };
    let forwarded = if is_fresh { "request" } else { "stale" };
    Judgement { worth, age, ttl: seconds_until(fresh_until, now), forwarded }
}

/// Whether the client takes it although it is over by so much, and the answer lets it (RFC 9111 section 4.2.4).
fn takes_stale(head: &Head, most: Option<u32>, over: Duration, shared: bool) -> bool {
    most.is_some_and(|most| !older_than(over, most)) && !Says::of(&head.headers).forbids_stale(shared)
}

/// How many whole seconds are left; below zero, how many it is over.
pub(crate) fn seconds_until(time: SystemTime, now: SystemTime) -> i64 {
    match time.duration_since(now) {
        Ok(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        Err(over) => i64::try_from(over.duration().as_secs()).map_or(i64::MIN, |over| -over),
    }
}
