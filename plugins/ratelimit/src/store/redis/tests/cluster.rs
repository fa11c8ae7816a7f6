//! A cluster: all keys of a request are on one server, whichever limits it has.

use super::*;

#[tokio::test]
async fn limits_of_a_group_are_asked_in_one_call_in_a_cluster() {
    let cluster = tidegate_testkit::redis_cluster().await;
    let redis = cluster.store(Duration::from_secs(10));
    let store = RedisStore::new(redis, "rl:", Arc::new(Shared::new(Pace::default())));
    let _background = background(&store);
    let rules = rules();
    for group in ["users", "orders", "files", "search"] {
        let store = store.group(group);
        let keys: Vec<_> = (0..rules.len()).map(|place| key(place as u64, "k")).collect();
        let asks: Vec<_> = rules.iter().zip(&keys).map(|(rule, key)| ask(rule, key, 1)).collect();
        assert!(store.take(&asks, now()).await.expect("an answer").allowed, "{group}");
        // Charges of several groups at once go to several servers.
        let (rule, key) = (&rules[8], &keys[8]);
        store.settle(Settlement { rule: rule.clone(), key: key.clone(), units: 9, policy: 0 }, now());
    }
    for group in ["users", "orders", "files", "search"] {
        let store = store.group(group);
        let told = async || store.look(&rules[8], &key(8, "k"), now()).await.expect("an answer").remaining == 90;
        tidegate_testkit::wait_until_async("it is charged", told).await;
    }
}
