//! Requests that are sent again.

use std::sync::Arc;
use std::time::Duration;

use tidegate_upstream::{Failure, NoRetry, Pool, Tried, TryOutcome, Why};

use crate::support::{ManualClock, build_at, pick};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pool(rest: &str) -> (Arc<Pool>, ManualClock) {
    let clock = ManualClock::new();
    let upstreams = build_at(&format!("app: {{ targets: [\"10.0.0.1:80\", \"10.0.0.2:80\"], {rest} }}"), &clock);
    (upstreams.get("app").unwrap().clone(), clock)
}

/// A GET after its first try.
fn get(why: Why) -> Tried {
    Tried { why, retry: 1, sent: true, idempotent: true, replayable: true }
}

fn refused(pool: &Pool, tried: Tried) -> Option<NoRetry> {
    pool.retry(&tried).err()
}

const RESET: Why = Why::Failed(Failure::Reset);

#[test]
fn by_default_a_request_is_tried_twice_again_if_nothing_was_sent_or_it_is_idempotent() {
    let (pool, _clock) = pool("protocol: http1");
    assert_eq!(refused(&pool, get(RESET)), None);
    assert_eq!(refused(&pool, Tried { retry: 2, ..get(RESET) }), None);
    assert_eq!(refused(&pool, Tried { retry: 3, ..get(RESET) }), Some(NoRetry::Exhausted));
    assert_eq!(refused(&pool, Tried { idempotent: false, ..get(RESET) }), Some(NoRetry::NotIdempotent));
    let not_sent = Tried { idempotent: false, sent: false, ..get(Why::Failed(Failure::Connect)) };
    assert_eq!(refused(&pool, not_sent), None);
    let refused_stream = Tried { idempotent: false, ..get(Why::Failed(Failure::RefusedStream)) };
    assert_eq!(refused(&pool, refused_stream), None);
    assert_eq!(refused(&pool, Tried { replayable: false, ..get(RESET) }), Some(NoRetry::BodyGone));
    for why in [Why::Failed(Failure::Timeout), Why::Status(503), Why::Grpc(14)] {
        assert_eq!(refused(&pool, get(why)), Some(NoRetry::NotAsked), "{why:?}");
    }
}

#[test]
fn statuses_are_retried_on_as_configured() {
    let (pool, _clock) = pool("retry: { on: [502, 503, grpc.unavailable], idempotent_only: false }");
    assert_eq!([500, 502, 503, 504, 14].map(|status| pool.retries_on(status)), [false, true, true, false, false]);
    assert_eq!([0, 13, 14, 503].map(|code| pool.retries_on_grpc(code)), [false, false, true, false]);
    assert_eq!(refused(&pool, get(Why::Status(503))), None);
    assert_eq!(refused(&pool, get(Why::Grpc(14))), None);
    assert_eq!(refused(&pool, get(RESET)), Some(NoRetry::NotAsked));
}

#[test]
fn with_no_attempts_nothing_is_retried() {
    let (pool, _clock) = pool("retry: { attempts: 0 }");
    let not_sent = Tried { sent: false, ..get(Why::Failed(Failure::Connect)) };
    assert_eq!(refused(&pool, not_sent), Some(NoRetry::NotAsked));
}

#[test]
fn the_time_of_a_try_is_that_of_the_configuration() {
    assert_eq!(pool("retry: {}").0.per_try_timeout(), None);
    assert_eq!(pool("retry: { on: [timeout], per_try_timeout: 250ms }").0.per_try_timeout(), Some(ms(250)));
}

#[test]
fn retries_wait_a_random_while_that_doubles() {
    let (pool, _clock) = pool("retry: { attempts: 10, backoff: { base: 100ms, max: 1s } }");
    for (retry, most) in [(1, 100), (2, 200), (4, 800), (5, 1_000), (10, 1_000)] {
        let waits: Vec<_> = (0..200).map(|_| pool.retry(&Tried { retry, ..get(RESET) }).unwrap().after).collect();
        assert!(waits.iter().all(|wait| *wait <= ms(most)), "{retry}");
        // By chance once in 10^24 runs.
        assert!(waits.iter().any(|wait| *wait > ms(most) * 3 / 4), "{retry}");
        assert!(waits.iter().any(|wait| *wait < ms(most) / 4), "{retry}");
    }
}

#[tokio::test]
async fn no_more_retries_are_under_way_than_a_share_of_the_requests_and_a_few() {
    let (pool, _clock) = pool("retry: { budget: { share: 20%, min: 3 } }");
    let mut requests = Vec::new();
    for (in_flight, most) in [(0, 3), (15, 3), (20, 4), (50, 10)] {
        while requests.len() < in_flight {
            requests.push(pool.admit(None).await.unwrap());
        }
        let retries: Vec<_> = std::iter::from_fn(|| pool.retry(&get(RESET)).ok()).collect();
        assert_eq!(retries.len(), most, "{in_flight} in flight");
        assert_eq!(refused(&pool, get(RESET)), Some(NoRetry::OverBudget));
    }
}

#[test]
fn requests_are_hedged_only_if_configured() {
    let (pool, _clock) = pool("retry: {}");
    assert_eq!(pool.hedge_after(), None);
    assert!(!pool.may_hedge());
}

#[test]
fn a_hedge_waits_as_long_as_most_answers_take() {
    let (pool, clock) = pool("hedge: { percentile: 90%, max_delay: 2s }");
    let answer = |took| {
        let mut picked = pick(&pool);
        clock.advance(took);
        picked.answered();
        picked.finish(TryOutcome::Answered { status: 200, grpc: None });
    };
    (0..99).for_each(|n| answer(if n % 20 == 0 { ms(900) } else { ms(40) }));
    assert_eq!(pool.hedge_after(), Some(ms(2_000)));
    answer(ms(40));
    let after = pool.hedge_after().unwrap();
    assert!(after >= ms(40) && after <= ms(45), "{after:?}");
}

#[test]
fn no_more_than_a_share_of_the_requests_is_sent_twice() {
    let (pool, _clock) = pool("hedge: { max_share: 5% }");
    let sent_twice = (0..1_000).filter(|_| pool.hedge_after().is_some() && pool.may_hedge());
    assert_eq!(sent_twice.count(), 50);
}
