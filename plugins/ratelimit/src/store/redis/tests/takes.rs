//! Many gateways at once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::*;

/// So many takes by so many gateways at once: how many were admitted.
async fn admitted(server: &Server, gateways: usize, takes: usize, rule: &Rule) -> u64 {
    let admitted = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for gateway in 0..gateways {
        let store = RedisStore::new(client(&server.server, "10s"), "rl:", Arc::new(Shared::new(Pace::default())));
        // 100 at a time each.
        for _ in 0..100 {
            let (store, rule, admitted) = (store.clone(), rule.clone(), admitted.clone());
            tasks.spawn(async move {
                let key = key(1, "shared");
                for _ in 0..takes / gateways / 100 {
                    let taken = store.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer");
                    admitted.fetch_add(u64::from(taken.allowed), Relaxed);
                }
                gateway
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
    admitted.load(Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_and_four_gateways_admit_exactly_the_limit() {
    let server = server().await;
    for gateways in [2, 4] {
        let per_hour = Rule::token_bucket(1000, rate("1/h"), Duration::ZERO).expect("a rule");
        let windows = [Rule::fixed_window(rate("1000/h")), Rule::sliding_window(rate("1000/h"))];
        for rule in windows.into_iter().map(|rule| rule.expect("a rule")).chain([per_hour]) {
            let () = server.ask(&["FLUSHALL"]).await;
            assert_eq!(admitted(&server, gateways, 10_000, &rule).await, 1000, "{gateways} of {rule:?}");
        }
    }
}

#[tokio::test]
async fn a_look_takes_nothing_and_a_reset_forgets() {
    let server = server().await;
    let store = server.gateway();
    let (rule, key) = (Rule::fixed_window(rate("2/h")).expect("a rule"), key(1, "k"));
    assert!(!store.reset(&rule, &key).await.expect("an answer"));
    for left in [1, 0] {
        assert_eq!(store.take(&[ask(&rule, &key, 1)], now()).await.expect("an answer").verdicts[0].remaining, left);
    }
    let look = store.look(&rule, &key, now()).await.expect("an answer");
    assert!(!look.allowed && look.retry > 0);
    assert!(store.reset(&rule, &key).await.expect("an answer"));
    assert_eq!(store.look(&rule, &key, now()).await.expect("an answer").remaining, 2);
}

#[tokio::test]
async fn charges_arrive_and_strikes_ban() {
    let server = server().await;
    let store = server.gateway();
    let _background = background(&store);
    let (rule, key) = (Rule::fixed_window(rate("10/h")).expect("a rule"), key(1, "k"));
    for group in ["a", "b"] {
        let store = store.group(group);
        store.settle(Settlement { rule: rule.clone(), key: key.clone(), units: 7, policy: 0 }, now());
        store.settle(Settlement { rule: rule.clone(), key: key.clone(), units: -3, policy: 0 }, now());
        let counted = async || store.look(&rule, &key, now()).await.expect("an answer").remaining == 6;
        tidegate_testkit::wait_until_async("both are counted", counted).await;
    }
    let ban = Rule::ban();
    let strike =
        Strike { rule, key: key.clone(), ban: ban.clone(), ban_key: key.clone(), length: 60_000_000, policy: 0 };
    for _ in 0..10 {
        assert!(store.look(&ban, &key, now()).await.expect("an answer").allowed);
        store.strike(&strike);
    }
    let banned = async || !store.look(&ban, &key, now()).await.expect("an answer").allowed;
    tidegate_testkit::wait_until_async("it is banned", banned).await;
    tidegate_testkit::wait_until("the ban is counted", || store.tally().bans.load(Relaxed) == 1).await;
    let look = store.look(&ban, &key, now()).await.expect("an answer");
    assert!((1..=60_000_000).contains(&look.retry), "{look:?}");
    assert_eq!(store.look(&strike.rule, &key, now()).await.expect("an answer").remaining, 10, "the count begins again");
}

/// Nobody waits for a queue that is full.
#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted() {
    let server = server().await;
    let store = server.gateway();
    let (rule, key) = (Rule::fixed_window(rate("10/h")).expect("a rule"), key(1, "k"));
    for _ in 0..10_000 {
        store.settle(Settlement { rule: rule.clone(), key: key.clone(), units: 1, policy: 0 }, now());
    }
    assert_eq!(store.tally().dropped.load(Relaxed), 10_000 - 8192);
}
