//! Sliding windows, whose logs grow.

use super::*;

#[test]
fn a_sliding_window_is_exact_to_the_microsecond() {
    let (store, clock) = store(1 << 20);
    let (rule, key) = (sliding("2/10s"), key(1, 1));
    assert!(store.admits(&rule, &key));
    clock.pass(6);
    assert!(store.admits(&rule, &key));
    clock.pass(3);
    let taken = store.take(&[ask(&rule, &key)], store.now());
    assert_eq!((taken.allowed, taken.verdicts[0].retry), (false, 1_000_000));
    clock.pass(1);
    assert!(store.admits(&rule, &key));
    assert!(!store.admits(&rule, &key));
}

#[test]
fn logs_stay_within_their_bytes_and_the_guilty_stay_counted() {
    let (store, clock) = store(1 << 20);
    let rule = sliding("10/h");
    let guilty: Vec<Key> = (0..100).map(|whose| key(1, 1_000_000 + whose)).collect();
    for key in &guilty {
        assert_eq!(store.burst(&rule, key, 20), 10);
    }
    for whose in 0..20_000 {
        assert!(store.admits(&rule, &key(1, whose)), "an innocent is refused");
    }
    let counts = store.counts(store.now());
    assert!(counts.evicted > 0 && counts.untracked == 0, "{counts:?}");
    assert!(counts.bytes <= 1 << 20, "{counts:?}");
    assert!(guilty.iter().all(|key| !store.admits(&rule, key)), "a guilty one is let go");
    clock.pass(3601);
    assert_eq!(store.counts(store.now()).keys.values().sum::<u64>(), 0);
}

#[test]
fn without_room_a_known_key_is_still_never_over_admitted() {
    let (store, clock) = store(1 << 20);
    let rule = sliding("1000/h");
    // All of the logs' bytes for guilty keys; each has more entries as time goes on.
    let keys: Vec<Key> = (0..200).map(|whose| key(1, whose)).collect();
    let mut admitted = vec![0; keys.len()];
    for _ in 0..300 {
        clock.pass(1);
        for (key, admitted) in keys.iter().zip(&mut admitted) {
            *admitted += store.burst(&rule, key, 4);
        }
    }
    let counts = store.counts(store.now());
    assert!(counts.bytes <= 1 << 20, "{counts:?}");
    let known = admitted.iter().filter(|admitted| **admitted <= 1000).count();
    assert!(known > 0, "some are known");
}
