//! Another size, while requests go on.

use super::*;

fn shared(bytes: usize) -> (Arc<Memory>, Turned) {
    let (store, clock) = store(bytes);
    (Arc::new(store), clock)
}

#[test]
fn another_size_keeps_what_lives() {
    let (store, _) = shared(1 << 20);
    let rules = [fixed("5/h"), sliding("5/h"), bucket(5, "1/h"), concurrency(5)];
    for (rule, whose) in rules.iter().flat_map(|rule| (0..500).map(move |whose| (rule, whose))) {
        assert_eq!(store.burst(rule, &key(1, whose), 3), 3);
    }
    for size in [4 << 20, 2 << 20] {
        let other = store.resized(size);
        for (rule, whose) in rules.iter().flat_map(|rule| (0..500).map(move |whose| (rule, whose))) {
            assert_eq!(other.left(rule, &key(1, whose)), 2);
        }
        assert_eq!(other.size(), Size::from(size));
    }
}

#[test]
fn when_there_is_less_room_the_guilty_stay() {
    let (store, _) = shared(1 << 20);
    let rule = fixed("10/h");
    for whose in 0..5_000 {
        store.burst(&rule, &key(1, whose), if whose % 100 == 0 { 10 } else { 1 });
    }
    let other = store.resized(Size::of(16 << 10, false));
    assert!((0..50).all(|whose| !other.admits(&rule, &key(1, whose * 100))));
}

#[test]
fn requests_of_before_and_after_are_counted_together() {
    let (old, _) = shared(1 << 20);
    let (rule, key) = (concurrency(2), key(1, 1));
    assert!(old.admits(&rule, &key));
    let new = old.resized(1 << 21);
    assert!(old.admits(&rule, &key));
    assert!(!new.admits(&rule, &key));
    old.settle(&settlement(&rule, &key, -1), old.now());
    assert!(new.admits(&rule, &key));
    assert!(Arc::ptr_eq(&old.resized(1 << 22), &new.resized(1 << 22)) || old.left(&rule, &key) == 0);
}

/// A request that was inside the old store when the new one took over gives back in the old one.
#[test]
fn what_was_given_back_too_late_is_passed_on_when_the_old_store_goes() {
    let (old, _) = shared(1 << 20);
    let (rule, key) = (concurrency(2), key(1, 1));
    assert_eq!(old.burst(&rule, &key, 2), 2);
    let new = old.resized(1 << 21);
    // What `settle` does after it has found out which store counts.
    let tag = old.tag(&rule, &key);
    old.give_back(tag, 1);
    assert_eq!(new.left(&rule, &key), 0);
    drop(old);
    assert_eq!(new.left(&rule, &key), 1);
}

#[test]
fn figures_go_on_with_another_size() {
    let (old, _) = shared(64 << 10);
    for (rule, keys) in [(fixed("10/h"), 0..10_000), (fixed("1/h"), 10_000..20_000), (sliding("1/h"), 0..1_000)] {
        keys.for_each(|whose| assert!(old.admits(&rule, &key(1, whose))));
    }
    let before = old.counts(old.now());
    assert!(before.evicted > 0 && before.untracked > 0, "{before:?}");
    let after = old.resized(4 << 20).counts(old.now());
    assert_eq!((after.evicted, after.untracked), (before.evicted, before.untracked));
}
