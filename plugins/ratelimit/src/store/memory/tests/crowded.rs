//! A full store.

use super::*;
use crate::rule::Now;
use crate::store::memory::atoms::Machine;
use crate::store::memory::step::{Hold, Want};
use crate::store::memory::table::Table;

const FLOOD: u64 = 1_000_000;

#[test]
fn a_flood_of_new_keys_neither_frees_the_guilty_nor_refuses_the_innocent() {
    let clock = Turned::new();
    let store = Memory::new(Size::of(4 << 20, false), clock.clock());
    let (rule, banned, in_flight) = (fixed("10/h"), Rule::ban(), concurrency(2));
    let guilty: Vec<Key> = (0..1_000).map(|whose| key(1, whose)).collect();
    for key in &guilty {
        assert_eq!(store.burst(&rule, key, 11), 10);
        store.settle(&settlement(&banned, key, 3_600_000_000), store.now());
        assert!(store.admits(&in_flight, key));
    }
    let innocent = key(2, 1);
    for whose in 0..FLOOD {
        assert!(store.admits(&rule, &key(3, whose)), "a newcomer is refused");
        if whose % 100_000 == 0 {
            assert!(store.admits(&rule, &innocent), "an innocent is refused");
        }
    }
    for key in &guilty {
        assert!(!store.admits(&rule, key) && !store.admits(&banned, key), "a guilty one is let go");
        assert_eq!(store.left(&in_flight, key), 1, "who is in flight is not forgotten");
    }
    let counts = store.counts(store.now());
    assert!(counts.evicted > FLOOD / 2, "{counts:?}");
    assert_eq!(counts.untracked, 0, "{counts:?}");
}

#[test]
fn when_all_are_guilty_a_newcomer_passes_and_is_counted_as_untracked() {
    let clock = Turned::new();
    let store = Memory::new(Size::of(64 << 10, false), clock.clock());
    let rule = fixed("1/h");
    for whose in 0..10_000 {
        assert!(store.admits(&rule, &key(1, whose)));
    }
    let counts = store.counts(store.now());
    assert_eq!(counts.evicted, 0);
    assert_eq!(counts.untracked + counts.keys[&0], 10_000);
    let refused = (0..10_000).filter(|whose| !store.admits(&rule, &key(1, *whose))).count() as u64;
    assert_eq!(refused, counts.keys[&0], "whoever is tracked is refused");
}

#[test]
fn what_is_fresh_again_makes_room_at_no_loss() {
    let clock = Turned::new();
    let store = Memory::new(Size::of(64 << 10, false), clock.clock());
    let rule = fixed("1/m");
    for round in 0..20 {
        for whose in 0..1_000 {
            assert!(store.admits(&rule, &key(1, round * 1_000 + whose)));
            assert!(!store.admits(&rule, &key(1, round * 1_000 + whose)));
        }
        clock.pass(62);
    }
    let counts = store.counts(store.now());
    assert_eq!((counts.evicted, counts.untracked), (0, 0), "{counts:?}");
}

#[test]
fn the_fuller_of_two_stays() {
    let clock = Turned::new();
    // One set: four cells.
    let store = Memory::new(Size::of(1, false), clock.clock());
    let rule = fixed("10/h");
    let keys: Vec<Key> = (0..5).map(|whose| key(1, whose)).collect();
    for (asked, key) in (1..5).zip(&keys) {
        store.burst(&rule, key, asked);
    }
    assert!(store.admits(&rule, &keys[4]));
    let left: Vec<u64> = keys.iter().map(|key| store.left(&rule, key)).collect();
    assert_eq!(left, [10, 8, 7, 6, 9], "the least used made room");
}

#[test]
fn a_key_costs_less_than_a_hundred_bytes() {
    let clock = Turned::new();
    let store = Memory::new(Size::of(8 << 20, false), clock.clock());
    let rule = fixed("10/h");
    let bytes = store.counts(store.now()).bytes;
    assert!(bytes <= 8 << 20);
    let mut keys = 0..;
    let first = keys.find(|whose| store.admits(&rule, &key(1, *whose)) && store.table.evicted() > 0).unwrap();
    assert!(bytes as u64 / first < 80, "{} bytes a key when the first had to go", bytes as u64 / first);
    for whose in keys.take(500_000) {
        store.admits(&rule, &key(1, whose));
    }
    let held = store.counts(store.now()).keys[&0];
    assert!(bytes as u64 / held < 40, "{} bytes a key when it is full", bytes as u64 / held);
}

#[test]
fn a_cell_that_comes_to_its_first_key_hides_nobody_further_on() {
    let now = Now { steady: 100, wall: 100 };
    let one_set = Table::<Machine>::new(0).bytes();
    let table = Table::<Machine>::new(2 * one_set);
    // The home set of low tags: claimed for keys of another home, whose tags are not there yet.
    for cell in table.cells().take(4) {
        let (word, ..) = cell.read();
        assert!(cell.replace(word, word.claimed()));
    }
    let rule = fixed("10/h");
    let want = Want { rule: &rule, tag: 1, limit: 0, cost: 1, at: 0, policy: 0, glance: 0 };
    for _ in 0..2 {
        table.take(&want, Hold::Final, 0, now).unwrap();
    }
    assert_eq!(table.cells().filter(|cell| cell.tag() == 1).count(), 1, "a key has two cells");
    assert_eq!(table.state(1).amount, 2);
}

#[test]
fn a_log_without_room_for_another_entry_does_not_grow() {
    const SHARD: usize = 400;
    let clock = Turned::new();
    let store = Memory::new(Size { table: 1, logs: 64 * SHARD }, clock.clock());
    let (rule, key) = (sliding("100/h"), key(1, 1));
    for taken in 1..=100 {
        assert!(store.admits(&rule, &key), "take {taken}");
        let bytes = store.logs.bytes();
        assert!(bytes <= SHARD, "{bytes} bytes after {taken} takes");
        clock.pass(1);
    }
    assert!(!store.admits(&rule, &key), "what joined the newest entry is counted too");
}
