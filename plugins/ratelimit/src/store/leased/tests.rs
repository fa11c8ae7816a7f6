//! On a real server: how many too many, how many round trips, and that nothing is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::*;
use crate::store::Settlement;
use crate::store::redis::tests::{Server, ask, background, client, key, now, rate, server};
use crate::store::redis::{Pace, Shared};

/// For leases that run out while the test runs.
const LENGTH: Duration = Duration::from_secs(1);
/// For those that don't, however busy the machine.
const LONG: Duration = Duration::from_secs(60);

fn leased(server: &Server, percent: u8, length: Duration) -> Leased {
    let store = RedisStore::new(client(&server.server, "10s"), "rl:", Arc::new(Shared::new(Pace::default())));
    Leased::new(store, Lease { batch: Percent::new(percent), length })
}

/// So many takes at once by each of them, 50 at a time: how many were admitted.
async fn admitted(gateways: &[Arc<Leased>], takes: usize, rule: &Rule) -> u64 {
    let admitted = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for gateway in gateways {
        for _ in 0..50 {
            let (gateway, rule, admitted) = (gateway.clone(), rule.clone(), admitted.clone());
            tasks.spawn(async move {
                let key = key(1, "shared");
                for _ in 0..takes / 50 {
                    let taken = gateway.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer");
                    admitted.fetch_add(u64::from(taken.allowed), Relaxed);
                }
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
    admitted.load(Relaxed)
}

fn bucket(capacity: u64, refill: &str) -> Rule {
    Rule::token_bucket(capacity, rate(refill), std::time::Duration::ZERO).expect("a rule")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_admit_the_limit_less_what_they_hold_and_never_more() {
    let server = server().await;
    for count in [2, 4] {
        for rule in [Rule::fixed_window(rate("2000/h")).expect("a rule"), bucket(2000, "1/h")] {
            let () = server.ask(&["FLUSHALL"]).await;
            let gateways: Vec<_> = (0..count).map(|_| Arc::new(leased(&server, 1, LONG))).collect();
            let admitted = admitted(&gateways, 10_000 / count as usize, &rule).await;
            // Nothing comes back within an hour: what was granted before the span is nothing.
            assert!(admitted <= 2000, "{admitted} by {count} of {rule:?}");
            assert!(admitted >= 2000 - count * 20, "{admitted} by {count} of {rule:?}");
        }
    }
}

/// A bucket that refills: in each span no more than the limit and one batch for each gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_refills_is_within_the_bound_over_every_span() {
    let server = server().await;
    let rule = bucket(100, "500/s");
    let (count, batch) = (4, 10);
    let gateways: Vec<_> = (0..count).map(|_| Arc::new(leased(&server, 10, LENGTH))).collect();
    let mut events = Vec::new();
    let begin = Instant::now();
    let key = key(1, "shared");
    // On a slow machine it takes longer to use it to the limit.
    while begin.elapsed().as_millis() < 1500 || events.len() <= 300 {
        assert!(begin.elapsed() < tidegate_testkit::DEADLINE, "{} were admitted", events.len());
        for gateway in &gateways {
            let asked = begin.elapsed();
            if gateway.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").allowed {
                // Admitted between these two.
                events.push((asked, begin.elapsed()));
            }
        }
    }
    // Every span from one event to a later one: counted as short as it may have been, allowed as long.
    for (first, (_, from)) in events.iter().enumerate().step_by(7) {
        for (last, (to, until)) in events.iter().enumerate().skip(first).step_by(7) {
            let span = until.as_secs_f64() - events[first].0.as_secs_f64();
            let most = 100.0 + 500.0 * span + f64::from(count * batch);
            assert!((last - first) as f64 <= most, "{} from {from:?} to {to:?}, not {most}", last - first);
        }
    }
}

#[tokio::test]
async fn most_requests_cost_no_round_trip() {
    let server = server().await;
    let gateway = leased(&server, 1, LONG);
    let (rule, other) = (Rule::fixed_window(rate("100000/h")).expect("a rule"), bucket(50_000, "1/h"));
    let (a, b) = (key(1, "a"), key(2, "b"));
    for left in (0..2000).rev() {
        let taken = gateway.take(&[ask(&rule, &a, 1), ask(&other, &b, 1)], now()).await.expect("an answer");
        assert!(taken.allowed);
        assert_eq!(taken.verdicts[0].remaining, 98_000 + left, "what is left is told to the unit");
    }
    let calls = server.server.calls("evalsha").await;
    // 1 + 1,000 tokens of the one, 1 + 500 of the other.
    assert!((2..=10).contains(&calls), "{calls} calls for 2,000 requests");
}

#[tokio::test]
async fn what_is_not_spent_goes_back() {
    let server = server().await;
    let gateway = leased(&server, 50, Duration::from_millis(50));
    let _background = background(&gateway.store);
    let (rule, key) = (Rule::fixed_window(rate("100/h")).expect("a rule"), key(1, "k"));
    assert!(gateway.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").allowed);
    let back = async || gateway.store.look(&rule, &key, now()).await.expect("an answer").remaining == 99;
    tidegate_testkit::wait_until_async("all but one have gone back", back).await;
    assert!(gateway.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").allowed, "and can be had again");
}

/// In a bucket what was leased has drained meanwhile: giving all of it back would make room that was never there.
#[tokio::test]
async fn what_has_drained_is_not_given_back() {
    let server = server().await;
    let gateway = leased(&server, 50, Duration::from_secs(60));
    let (rule, key) = (bucket(1000, "1000/s"), key(1, "k"));
    assert!(gateway.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").allowed);
    let empty = async || gateway.store.look(&rule, &key, now()).await.expect("an answer").remaining == 1000;
    tidegate_testkit::wait_until_async("the lease has drained", empty).await;
    let begin = Instant::now();
    gateway.store.settle(Settlement { rule: rule.clone(), key: key.clone(), units: 60_000, policy: 0 }, now());
    gateway.leases().give_all_back();
    let _background = background(&gateway.store);
    let told = async || gateway.store.look(&rule, &key, now()).await.expect("an answer").remaining == 0;
    tidegate_testkit::wait_until_async("both are told", told).await;
    let left = gateway.store.look(&rule, &key, now()).await.expect("an answer").reset;
    // The lease of 500 was half a second of draining.
    let least = 60_000_000 - u64::try_from(begin.elapsed().as_micros()).expect("small");
    assert!(left >= least, "{left} are left to drain, and not {least}");
}

#[tokio::test]
async fn what_was_leased_of_a_window_that_is_over_is_not_given_back() {
    let server = server().await;
    let gateway = leased(&server, 50, Duration::from_secs(60));
    let (rule, key) = (Rule::fixed_window(rate("100/h")).expect("a rule"), key(1, "k"));
    assert!(gateway.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").allowed);
    // Another window begins.
    assert!(gateway.store.reset(&rule, &key).await.expect("an answer"));
    assert!(gateway.store.take(&[ask(&rule, &key, 60)], now()).await.expect("an answer").allowed);
    gateway.leases().give_all_back();
    gateway.store.settle(Settlement { rule: rule.clone(), key: key.clone(), units: 1, policy: 0 }, now());
    let _background = background(&gateway.store);
    let told = async || gateway.store.look(&rule, &key, now()).await.expect("an answer").remaining == 39;
    tidegate_testkit::wait_until_async("nothing but the one unit was told", told).await;
}

#[tokio::test]
async fn a_lease_ends_with_its_window() {
    let server = server().await;
    let gateway = leased(&server, 50, Duration::from_secs(60));
    let (rule, key) = (Rule::fixed_window(rate("10/200ms")).expect("a rule"), key(1, "k"));
    assert!(gateway.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").allowed);
    let over = async || gateway.store.look(&rule, &key, now()).await.expect("an answer").remaining == 10;
    tidegate_testkit::wait_until_async("the window is over", over).await;
    let before = server.server.calls("evalsha").await;
    assert!(gateway.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").allowed);
    assert_eq!(server.server.calls("evalsha").await, before + 1, "of the new window, not of the old one's lease");
}

/// The proof's second step: of one key a gateway holds one batch at most, however many requests ask at once.
#[tokio::test]
async fn no_more_than_one_batch_of_a_key_is_held() {
    let server = server().await;
    let gateway = Arc::new(leased(&server, 10, Duration::from_secs(60)));
    let rule = Rule::fixed_window(rate("1000/h")).expect("a rule");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (gateway, rule) = (gateway.clone(), rule.clone());
        tasks.spawn(
            async move { gateway.take(&[ask(&rule, &key(1, "k"), 1)], now()).await.expect("an answer").allowed },
        );
    }
    while let Some(allowed) = tasks.join_next().await {
        assert!(allowed.expect("no panic"));
    }
    let left = gateway.store.look(&rule, &key(1, "k"), now()).await.expect("an answer").remaining;
    assert!((850..=950).contains(&left), "50 are spent and at most 100 held, but {left} are left");
}

#[tokio::test]
async fn a_refusal_is_remembered_and_not_asked_for_again() {
    let server = server().await;
    let gateway = leased(&server, 1, LONG);
    let (rule, other) = (Rule::fixed_window(rate("2/h")).expect("a rule"), bucket(1000, "1/h"));
    let (a, b) = (key(1, "a"), key(2, "b"));
    for _ in 0..2 {
        assert!(gateway.take(&[ask(&rule, &a, 1), ask(&other, &b, 1)], now()).await.expect("an answer").allowed);
    }
    let calls = async || server.server.calls("evalsha").await;
    let first = gateway.take(&[ask(&rule, &a, 1), ask(&other, &b, 1)], now()).await.expect("an answer");
    assert!(!first.allowed && !first.verdicts[0].allowed && first.verdicts[1].allowed, "{first:?}");
    let before = calls().await;
    for _ in 0..100 {
        let again = gateway.take(&[ask(&rule, &a, 1), ask(&other, &b, 1)], now()).await.expect("an answer");
        assert!(!again.allowed && !again.verdicts[0].allowed && again.verdicts[1].allowed, "{again:?}");
        assert!(again.verdicts[0].retry > 3_500_000_000 && again.verdicts[0].retry <= first.verdicts[0].retry);
    }
    assert_eq!(calls().await, before, "what is remembered is not too old");
    assert_eq!(gateway.take(&[ask(&other, &b, 1)], now()).await.expect("an answer").verdicts[0].remaining, 997);
    assert!(gateway.reset(&rule, &a).await.expect("an answer"));
    assert!(gateway.take(&[ask(&rule, &a, 1)], now()).await.expect("an answer").allowed, "a reset is seen at once");
}

/// All or nothing, with a limit that can't be leased, and one that only counts.
#[tokio::test]
async fn limits_of_other_kinds_are_asked_in_the_same_call() {
    let server = server().await;
    let gateway = leased(&server, 10, LONG);
    let (window, sliding) =
        (Rule::fixed_window(rate("100/h")).expect("a rule"), Rule::sliding_window(rate("3/h")).expect("a rule"));
    let (a, b, c) = (key(1, "a"), key(2, "b"), key(3, "c"));
    let shadow = Rule::fixed_window(rate("1/h")).expect("a rule");
    for turn in 0..5 {
        let asks = [ask(&window, &a, 1), ask(&sliding, &b, 1), Ask { shadow: true, ..ask(&shadow, &c, 1) }];
        let taken = gateway.take(&asks, now()).await.expect("an answer");
        assert_eq!(taken.allowed, turn < 3, "{turn}: {taken:?}");
        assert_eq!(taken.verdicts[1].allowed, turn < 3);
        assert_eq!(taken.verdicts[2].allowed, turn < 1);
    }
    let last = gateway.take(&[ask(&window, &a, 1)], now()).await.expect("an answer");
    assert_eq!(last.verdicts[0].remaining, 96, "refusals took nothing");
}

#[tokio::test]
async fn a_store_that_is_lost_costs_no_tokens() {
    let mut server = server().await;
    let gateway = leased(&server, 10, Duration::from_secs(60));
    let (window, sliding) =
        (Rule::fixed_window(rate("100/h")).expect("a rule"), Rule::sliding_window(rate("3/h")).expect("a rule"));
    let (a, b) = (key(1, "a"), key(2, "b"));
    assert!(gateway.take(&[ask(&window, &a, 1)], now()).await.expect("an answer").allowed);
    server.server.kill().await;
    gateway.take(&[ask(&window, &a, 1), ask(&sliding, &b, 1)], now()).await.expect_err("it is lost");
    gateway.take(&[ask(&window, &a, 11)], now()).await.expect_err("it is lost");
    for _ in 0..10 {
        assert!(gateway.take(&[ask(&window, &a, 1)], now()).await.expect("of the lease").allowed);
    }
    gateway.take(&[ask(&window, &a, 1)], now()).await.expect_err("it is spent");
}

/// A limit whose neighbour is always asked is leased as any other, and none of it is lost.
#[tokio::test]
async fn what_is_held_is_spent_when_the_store_is_asked_anyway() {
    let server = server().await;
    let gateway = leased(&server, 10, Duration::from_secs(60));
    let (window, sliding) =
        (Rule::fixed_window(rate("100/h")).expect("a rule"), Rule::sliding_window(rate("1000/h")).expect("a rule"));
    let (a, b) = (key(1, "a"), key(2, "b"));
    for turn in 0..110 {
        let taken = gateway.take(&[ask(&window, &a, 1), ask(&sliding, &b, 1)], now()).await.expect("an answer");
        assert_eq!(taken.allowed, turn < 100, "{turn}: {taken:?}");
        assert_eq!(taken.verdicts[0].remaining, 99u64.saturating_sub(turn));
    }
}

#[tokio::test]
async fn what_was_held_is_put_back_if_the_store_refuses_the_rest() {
    let server = server().await;
    let gateway = leased(&server, 10, Duration::from_secs(60));
    let (window, sliding) =
        (Rule::fixed_window(rate("100/h")).expect("a rule"), Rule::sliding_window(rate("1/h")).expect("a rule"));
    let (a, b) = (key(1, "a"), key(2, "b"));
    for turn in 0..50 {
        let taken = gateway.take(&[ask(&window, &a, 1), ask(&sliding, &b, 1)], now()).await.expect("an answer");
        assert_eq!(taken.allowed, turn < 1);
        assert_eq!(taken.verdicts[0].remaining, 99);
    }
    let before = server.server.calls("evalsha").await;
    for _ in 0..10 {
        assert!(gateway.take(&[ask(&window, &a, 1)], now()).await.expect("an answer").allowed);
    }
    assert_eq!(server.server.calls("evalsha").await, before, "all of the lease is there still");
}

#[tokio::test]
async fn a_client_that_is_not_banned_is_asked_about_once_for_each_lease() {
    let server = server().await;
    let gateway = leased(&server, 10, Duration::from_secs(60));
    let (window, ban) = (Rule::fixed_window(rate("1000/h")).expect("a rule"), Rule::ban());
    let (a, client) = (key(1, "a"), key(2, "client"));
    for turn in 0..1001 {
        let taken = gateway.take(&[ask(&window, &a, 1), ask(&ban, &client, 1)], now()).await.expect("an answer");
        assert_eq!(taken.allowed, turn < 1000, "{turn}: {taken:?}");
        assert!(taken.verdicts[1].allowed);
    }
    let calls = server.server.calls("evalsha").await;
    assert!(calls <= 15, "{calls} calls for 1,000 requests");
}

fn strike(ban: &Rule, client: &Key) -> crate::store::Strike {
    let rule = Rule::fixed_window(rate("1/h")).expect("a rule");
    let length = 3_600_000_000;
    crate::store::Strike { rule, key: key(9, "count"), ban: ban.clone(), ban_key: client.clone(), length, policy: 0 }
}

#[tokio::test]
async fn a_ban_by_this_gateway_is_seen_at_once_and_by_others_when_a_lease_is_over() {
    let server = server().await;
    let (here, soon) = (leased(&server, 10, Duration::from_secs(60)), leased(&server, 10, Duration::from_millis(50)));
    let (ban, client) = (Rule::ban(), key(2, "client"));
    for gateway in [&here, &soon] {
        assert!(gateway.take(&[ask(&ban, &client, 1)], now()).await.expect("an answer").allowed);
    }
    let _background = background(&here.store);
    here.store.strike(&strike(&ban, &client));
    // Asked between the strike and its ban, perhaps.
    here.take(&[ask(&ban, &client, 1)], now()).await.expect("an answer");
    tidegate_testkit::wait_until("it is banned", || here.store.tally().bans.load(Relaxed) == 1).await;
    let verdict = here.take(&[ask(&ban, &client, 1)], now()).await.expect("an answer").verdicts[0];
    assert!(!verdict.allowed && verdict.retry > 3_500_000_000, "{verdict:?}");
    let seen = async || !soon.take(&[ask(&ban, &client, 1)], now()).await.expect("an answer").allowed;
    tidegate_testkit::wait_until_async("the other sees it", seen).await;
    assert!(here.reset(&ban, &client).await.expect("an answer"));
    assert!(here.take(&[ask(&ban, &client, 1)], now()).await.expect("an answer").allowed, "lifted at once");
}

/// What is remembered of a limit must not hide that its client is banned.
#[tokio::test]
async fn a_banned_client_is_told_so_whatever_its_limits_have_refused() {
    let server = server().await;
    let (gateway, other) = (leased(&server, 10, Duration::from_secs(60)), leased(&server, 10, LENGTH));
    let (window, ban) = (Rule::fixed_window(rate("1/h")).expect("a rule"), Rule::ban());
    let (a, client) = (key(1, "a"), key(2, "client"));
    assert!(gateway.take(&[ask(&window, &a, 1)], now()).await.expect("an answer").allowed);
    assert!(!gateway.take(&[ask(&window, &a, 1)], now()).await.expect("an answer").allowed, "and remembered");
    let _background = background(&other.store);
    other.store.strike(&strike(&ban, &client));
    tidegate_testkit::wait_until("it is banned", || other.store.tally().bans.load(Relaxed) == 1).await;
    for _ in 0..3 {
        let taken = gateway.take(&[ask(&window, &a, 1), ask(&ban, &client, 1)], now()).await.expect("an answer");
        assert!(!taken.allowed && !taken.verdicts[1].allowed, "{taken:?}");
    }
}
