//! Without the store: what was chosen, at once.

use std::time::{Duration, Instant};

use tidegate_core::{Clock, Metrics};

use super::*;
use crate::metrics::LimitMetrics;
use crate::store::redis::tests::{Server, ask, client, key, rate, server};
use crate::store::redis::{Pace, Shared};

fn guarded(server: &Server, on_error: OnStoreError) -> Guarded {
    guarded_within(server, on_error, "10s")
}

fn guarded_within(server: &Server, on_error: OnStoreError, timeout: &str) -> Guarded {
    let store = RedisStore::new(client(&server.server, timeout), "rl:", Arc::new(Shared::new(Pace::default())));
    let memory = Arc::new(Memory::new(1 << 20, Clock::system()));
    let metrics = LimitMetrics::new(&Metrics::new()).expect("metrics");
    Guarded::new(store, None, on_error, Some(memory), metrics.store_lost("test"))
}

#[tokio::test]
async fn without_the_store_requests_pass_are_denied_or_counted_here() {
    let mut server = server().await;
    let rule = Rule::fixed_window(rate("10/h")).expect("a rule");
    let key = key(1, "k");
    let choices = [OnStoreError::Allow, OnStoreError::Deny, OnStoreError::Local];
    let [allow, deny, local] = choices.map(|on_error| guarded(&server, on_error));
    for guarded in [&allow, &deny, &local] {
        assert!(guarded.take(&[ask(&rule, &key, 1)]).await.expect("an answer").allowed);
    }
    server.server.kill().await;
    for turn in 0..20 {
        let passed = allow.take(&[ask(&rule, &key, 1)]).await.expect("it passes");
        assert!(passed.allowed && passed.verdicts.is_empty());
        assert!(deny.take(&[ask(&rule, &key, 1)]).await.is_none());
        assert_eq!(local.take(&[ask(&rule, &key, 1)]).await.expect("counted").allowed, turn < 10);
    }
    assert_eq!((allow.lost.allowed.get(), deny.lost.denied.get(), local.lost.local.get()), (20, 20, 20));
}

/// What was taken here is given back here, whatever the store says meanwhile; and the other way round.
#[tokio::test]
async fn what_is_in_flight_is_given_back_where_it_was_taken() {
    let mut server = server().await;
    let guarded = guarded(&server, OnStoreError::Local);
    let (rule, key) = (Rule::concurrency(2).expect("a rule"), key(1, "k"));
    let one = Settlement { rule: rule.clone(), key: key.clone(), units: -1, policy: 0 };
    let take = async || guarded.take(&[ask(&rule, &key, 1)]).await.expect("an answer").allowed;
    assert!(take().await && take().await && !take().await);
    server.server.kill().await;
    assert!(take().await && take().await && !take().await, "here as well");
    for _ in 0..2 {
        guarded.release(&one);
    }
    assert!(!take().await, "those were the store's");
    guarded.release(&one);
    assert!(take().await && !take().await);
}

/// Units of one key are alike: those that were taken here may be given back to the store, and those of the store here.
#[tokio::test]
async fn all_that_is_in_flight_is_given_back_in_whatever_order_it_ends() {
    let mut server = server().await;
    let guarded = guarded(&server, OnStoreError::Local);
    let (rule, key) = (Rule::concurrency(5).expect("a rule"), key(1, "k"));
    let units = |units| Settlement { rule: rule.clone(), key: key.clone(), units, policy: 0 };
    let take = async |units| guarded.take(&[ask(&rule, &key, units)]).await.expect("an answer").allowed;
    assert!(take(1).await);
    server.server.kill().await;
    assert!(take(5).await && !take(1).await, "here as well");
    guarded.release(&units(-5));
    guarded.release(&units(-1));
    assert!(take(5).await, "nothing is in flight");
}

/// The bound on what a dead store costs: not the timeout for each request.
#[tokio::test]
async fn a_store_known_to_be_down_is_not_waited_for() {
    let server = server().await;
    let guarded = guarded_within(&server, OnStoreError::Local, "100ms");
    let (rule, key) = (Rule::fixed_window(rate("1000000/h")).expect("a rule"), key(1, "k"));
    assert!(guarded.take(&[ask(&rule, &key, 1)]).await.expect("an answer").allowed);
    server.server.stop_answering();
    while guarded.store().is_up() {
        assert!(guarded.take(&[ask(&rule, &key, 1)]).await.expect("counted here").allowed);
    }
    let begin = Instant::now();
    for _ in 0..1000 {
        assert!(guarded.take(&[ask(&rule, &key, 1)]).await.expect("counted here").allowed);
    }
    assert!(begin.elapsed() < Duration::from_secs(30), "far less than 1000 timeouts");
    guarded.settle(Settlement { rule: rule.clone(), key: key.clone(), units: 500_000, policy: 0 });
    let left = guarded.take(&[ask(&rule, &key, 1)]).await.expect("counted here").verdicts[0].remaining;
    assert!(left < 500_000, "charged here: {left} are left");
    server.server.go_on();
    tidegate_testkit::wait_until("it is found back", || guarded.store().is_up()).await;
    // Its timeout is short: on a busy machine it may be lost once more.
    let there = async || guarded.take(&[ask(&rule, &key, 1)]).await.expect("an answer").verdicts[0].remaining > 999_000;
    tidegate_testkit::wait_until_async("counted there again", there).await;
}

#[tokio::test]
async fn a_ban_outlives_the_loss_of_the_store() {
    let mut server = server().await;
    let guarded = guarded(&server, OnStoreError::Local);
    let (ban, key) = (Rule::ban(), key(1, "client"));
    let strike = Strike {
        rule: Rule::fixed_window(rate("1/h")).expect("a rule"),
        key: key.clone(),
        ban: ban.clone(),
        ban_key: key.clone(),
        length: 3_600_000_000,
        policy: 0,
    };
    let _background = crate::store::redis::tests::background(guarded.store());
    guarded.strike(&strike);
    let banned = async || !guarded.take(&[ask(&ban, &key, 1)]).await.expect("an answer").allowed;
    tidegate_testkit::wait_until_async("it is banned", banned).await;
    server.server.kill().await;
    assert!(banned().await, "still");
}

#[test]
fn a_share_is_found_again_when_the_number_of_gateways_changes() {
    let shares = Shares::default();
    let (flights, bucket) = (
        Rule::concurrency(100).expect("a rule"),
        Rule::token_bucket(100, rate("10/s"), Duration::ZERO).expect("a rule"),
    );
    assert_eq!(shares.of(&flights, 2).shape, Shape::Concurrency { limit: 50 });
    assert_eq!(shares.of(&flights, 4).shape, Shape::Concurrency { limit: 25 });
    assert_eq!(shares.of(&flights, 4).fingerprint, flights.fingerprint);
    assert_ne!(shares.of(&bucket, 2).fingerprint, shares.of(&bucket, 4).fingerprint);
}
