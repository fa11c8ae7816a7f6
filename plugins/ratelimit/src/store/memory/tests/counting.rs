//! Settlements, strikes, resets and counts.

use super::*;
use crate::store::memory::upkeep::Counts;

#[test]
fn what_is_settled_is_charged_or_given_back() {
    let (store, _) = store(1 << 20);
    for rule in [fixed("10/m"), bucket(10, "1/h"), sliding("10/m"), concurrency(10)] {
        let key = key(rule.fingerprint, 1);
        store.settle(&settlement(&rule, &key, 4), store.now());
        assert_eq!(store.left(&rule, &key), 6);
        store.settle(&settlement(&rule, &key, -1), store.now());
        assert_eq!(store.left(&rule, &key), 7);
        store.settle(&settlement(&rule, &key, 20), store.now());
        assert_eq!(store.left(&rule, &key), 0);
        assert!(!store.admits(&rule, &key), "a debt refuses");
        store.settle(&settlement(&rule, &key, i64::MIN), store.now());
        assert_eq!(store.left(&rule, &key), 10, "never more than there is");
    }
}

#[test]
fn giving_back_what_nobody_took_makes_no_key() {
    let (store, _) = store(1 << 20);
    for rule in [fixed("10/m"), sliding("10/m")] {
        store.settle(&settlement(&rule, &key(1, 1), -5), store.now());
        assert_eq!(store.left(&rule, &key(1, 1)), 10);
    }
    assert!(store.counts(store.now()).keys.is_empty());
}

#[test]
fn the_last_of_so_many_strikes_bans_and_the_ban_ends() {
    let (store, clock) = store(1 << 20);
    let (count, ban) = (fixed("3/10m"), Rule::ban());
    let strike = Strike {
        rule: count.clone(),
        key: key(1, 1),
        ban: ban.clone(),
        ban_key: key(2, 1),
        length: 60_000_000,
        policy: 0,
    };
    for time in 0..2 {
        assert!(!store.strike(&strike, store.now()), "strike {time}");
        assert!(store.admits(&ban, &strike.ban_key));
    }
    assert!(store.strike(&strike, store.now()));
    assert!(!store.admits(&ban, &strike.ban_key));
    assert!(!store.strike(&strike, store.now()), "strikes are counted anew");
    clock.pass(59);
    let verdict = store.look(&ask(&ban, &strike.ban_key), store.now());
    assert_eq!((verdict.allowed, verdict.retry), (false, 1_000_000));
    clock.pass(1);
    assert!(store.admits(&ban, &strike.ban_key));
}

#[test]
fn a_reset_key_is_as_good_as_never_seen() {
    let (store, _) = store(1 << 20);
    for rule in [fixed("2/h"), sliding("2/h"), Rule::ban()] {
        let key = key(1, 1);
        store.settle(&settlement(&rule, &key, 1_000_000), store.now());
        assert!(!store.admits(&rule, &key));
        assert!(store.reset(&rule, &key));
        assert!(store.admits(&rule, &key));
    }
    assert!(!store.reset(&fixed("9/h"), &key(1, 1)), "it was fresh already");
}

#[test]
fn keys_are_counted_by_policy_as_long_as_they_matter() {
    let (store, clock) = store(1 << 20);
    let rules = [(fixed("5/m"), 3), (bucket(5, "1/s"), 4), (sliding("5/m"), 5), (concurrency(2), 6)];
    for (rule, policy) in &rules {
        for whose in 0..u64::from(*policy) {
            let key = key(1, whose);
            store.take(&[Ask { policy: *policy, ..ask(rule, &key) }], store.now());
        }
    }
    let counted = |store: &Memory| store.counts(store.now()).keys.into_iter().collect::<Vec<_>>();
    assert_eq!(counted(&store), [(3, 3), (4, 4), (5, 5), (6, 6)]);
    clock.pass(10);
    assert_eq!(counted(&store), [(3, 3), (5, 5), (6, 6)], "buckets are full again");
    let same = key(1, 0);
    store.take(&[Ask { policy: 9, ..ask(&rules[0].0, &same) }], store.now());
    assert_eq!(counted(&store), [(3, 2), (5, 5), (6, 6), (9, 1)], "a policy's number may change");
    clock.pass(61);
    assert_eq!(counted(&store), [(6, 6)], "who is in flight stays");
    let Counts { evicted, untracked, bytes, .. } = store.counts(store.now());
    assert_eq!((evicted, untracked), (0, 0));
    assert!(bytes <= 1 << 20);
}

#[test]
fn a_log_that_is_over_is_dropped_and_its_memory_given_back() {
    let (store, clock) = store(1 << 20);
    let rule = sliding("100/m");
    let empty = store.counts(store.now()).bytes;
    for whose in 0..1000 {
        store.burst(&rule, &key(1, whose), 3);
    }
    assert!(store.counts(store.now()).bytes > empty);
    clock.pass(61);
    assert_eq!(store.counts(store.now()).bytes, empty);
}
