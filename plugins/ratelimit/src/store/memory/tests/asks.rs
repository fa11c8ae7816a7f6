//! What one request may ask.

use super::*;

#[test]
fn all_limits_are_taken_or_none() {
    let (store, _) = store(1 << 20);
    let rules = [bucket(10, "1/s"), fixed("3/m"), sliding("5/m"), concurrency(4)];
    let keys: Vec<Key> = (0..4).map(|limit| key(limit, 7)).collect();
    let asks: Vec<Ask<'_>> = rules.iter().zip(&keys).map(|(rule, key)| ask(rule, key)).collect();
    for left in [2, 1, 0] {
        let taken = store.take(&asks, store.now());
        assert!(taken.allowed);
        assert_eq!(taken.verdicts[1].remaining, left);
    }
    let before: Vec<u64> = rules.iter().zip(&keys).map(|(rule, key)| store.left(rule, key)).collect();
    assert_eq!(before, [7, 0, 2, 1]);
    let taken = store.take(&asks, store.now());
    assert!(!taken.allowed);
    let said: Vec<bool> = taken.verdicts.iter().map(|verdict| verdict.allowed).collect();
    assert_eq!(said, [true, false, true, true], "only the one that refused says so");
    assert!(taken.verdicts[1].retry > 0);
    let after: Vec<u64> = rules.iter().zip(&keys).map(|(rule, key)| store.left(rule, key)).collect();
    assert_eq!(after, before, "a refused request takes nothing");
}

#[test]
fn a_log_that_refuses_undoes_the_cells_and_the_other_logs() {
    let (store, _) = store(1 << 20);
    let (cell, wide, narrow) = (fixed("10/m"), sliding("10/m"), sliding("1/m"));
    let keys: Vec<Key> = (0..3).map(|limit| key(limit, 1)).collect();
    let asks = [ask(&cell, &keys[0]), ask(&wide, &keys[1]), ask(&narrow, &keys[2])];
    assert!(store.take(&asks, store.now()).allowed);
    assert!(!store.take(&asks, store.now()).allowed);
    assert_eq!((store.left(&cell, &keys[0]), store.left(&wide, &keys[1])), (9, 9));
    assert_eq!(store.burst(&cell, &keys[0], 20), 9, "nothing stays pending");
}

#[test]
fn a_shadow_never_stands_in_the_way_and_counts_only_what_is_let_through() {
    let (store, _) = store(1 << 20);
    let (shadow, real) = (fixed("1/m"), fixed("3/m"));
    let (of_shadow, of_real) = (key(1, 1), key(2, 1));
    let asks = [Ask { shadow: true, ..ask(&shadow, &of_shadow) }, ask(&real, &of_real)];
    let said: Vec<(bool, bool)> = (0..4)
        .map(|_| store.take(&asks, store.now()))
        .map(|taken| (taken.allowed, taken.verdicts[0].allowed))
        .collect();
    assert_eq!(said, [(true, true), (true, false), (true, false), (false, false)]);
    let (wide, used_up) = (fixed("9/m"), key(3, 1));
    let asks = [Ask { shadow: true, ..ask(&wide, &used_up) }, ask(&real, &of_real)];
    assert!(!store.take(&asks, store.now()).allowed);
    assert_eq!(store.left(&wide, &used_up), 9, "a refused request is not counted by its shadow");
    assert!(store.take(&[Ask { shadow: true, ..ask(&shadow, &of_shadow) }], store.now()).allowed);
}

#[test]
fn a_shadow_log_alone_lets_through() {
    let (store, _) = store(1 << 20);
    let (rule, key) = (sliding("1/m"), key(1, 1));
    let asks = [Ask { shadow: true, ..ask(&rule, &key) }];
    let said: Vec<_> =
        (0..2).map(|_| store.take(&asks, store.now())).map(|t| (t.allowed, t.verdicts[0].allowed)).collect();
    assert_eq!(said, [(true, true), (true, false)]);
}

#[test]
fn no_asks_are_allowed() {
    let (store, _) = store(1 << 20);
    let taken = store.take(&[], store.now());
    assert!(taken.allowed && taken.verdicts.is_empty());
}

#[test]
fn a_limit_asked_twice_in_one_request_counts_twice_and_never_hangs() {
    let (store, _) = store(1 << 20);
    let (rule, key) = (fixed("3/m"), key(1, 1));
    let asks = [ask(&rule, &key), ask(&rule, &key)];
    assert!(store.take(&asks, store.now()).allowed);
    assert_eq!(store.left(&rule, &key), 1);
    assert!(!store.take(&asks, store.now()).allowed);
    assert_eq!(store.left(&rule, &key), 1);
}

#[test]
fn ten_limits_at_once() {
    let (store, _) = store(1 << 20);
    let rules: Vec<Rule> = (0..10).map(|n| fixed(&format!("{}/m", 20 - n))).collect();
    let keys: Vec<Key> = (0..10).map(|limit| key(limit, 1)).collect();
    let asks: Vec<Ask<'_>> = rules.iter().zip(&keys).map(|(rule, key)| ask(rule, key)).collect();
    let admitted = (0..30).filter(|_| store.take(&asks, store.now()).allowed).count();
    assert_eq!(admitted, 11);
    assert_eq!(store.left(&rules[0], &keys[0]), 9);
}

#[test]
fn a_look_takes_nothing_and_makes_no_key() {
    let (store, _) = store(1 << 20);
    let (rule, key) = (fixed("1/m"), key(1, 1));
    for _ in 0..3 {
        assert!(store.take(&[Ask { cost: 0, ..ask(&rule, &key) }], store.now()).allowed);
        assert!(store.look(&ask(&rule, &key), store.now()).allowed);
    }
    assert!(store.counts(store.now()).keys.is_empty());
    assert!(store.admits(&rule, &key));
    assert!(!store.take(&[Ask { cost: 0, ..ask(&rule, &key) }], store.now()).allowed);
    assert!(!store.look(&ask(&rule, &key), store.now()).allowed);
}

#[test]
fn keys_rules_and_limits_do_not_share_counters() {
    let (store, _) = store(1 << 20);
    let (one, other) = (fixed("1/m"), fixed("1/h"));
    assert!(store.admits(&one, &key(1, 1)));
    assert!(store.admits(&other, &key(1, 1)));
    assert!(store.admits(&one, &key(2, 1)));
    assert!(store.admits(&one, &key(1, 2)));
    assert!(!store.admits(&one, &key(1, 1)));
}
