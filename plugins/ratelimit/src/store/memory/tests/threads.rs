//! Many threads, one truth.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use super::*;

const THREADS: u64 = 8;

/// Runs `each` on all threads from the same moment on, with the thread's number.
fn on_all(each: impl Fn(u64) + Sync) {
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (start, each) = (&start, &each);
            scope.spawn(move || {
                start.wait();
                each(number);
            });
        }
    });
}

#[test]
fn of_ten_thousand_requests_exactly_as_many_as_the_limit_are_admitted() {
    for rule in [bucket(1234, "1/h"), fixed("1234/h"), sliding("1234/h"), concurrency(1234)] {
        let (store, _) = store(1 << 20);
        let (key, admitted) = (key(1, 1), AtomicU64::new(0));
        on_all(|_| {
            admitted.fetch_add(store.burst(&rule, &key, 10_000 / THREADS), Relaxed);
        });
        assert_eq!(admitted.into_inner(), 1234, "{rule:?}");
    }
}

#[test]
fn several_limits_admit_exactly_what_the_tightest_does_and_nothing_is_lost() {
    let (store, _) = store(1 << 20);
    let rules = [fixed("5000/h"), bucket(700, "1/h"), concurrency(2000), sliding("3000/h")];
    let keys: Vec<Key> = (0..4).map(|limit| key(limit, 1)).collect();
    let asks: Vec<Ask<'_>> = rules.iter().zip(&keys).map(|(rule, key)| ask(rule, key)).collect();
    let admitted = AtomicU64::new(0);
    on_all(|number| {
        let mut asks = asks.clone();
        asks.rotate_left(number as usize % 4);
        for _ in 0..10_000 / THREADS {
            admitted.fetch_add(u64::from(store.take(&asks, store.now()).allowed), Relaxed);
        }
    });
    assert_eq!(admitted.into_inner(), 700);
    let left: Vec<u64> = rules.iter().zip(&keys).map(|(rule, key)| store.left(rule, key)).collect();
    assert_eq!(left, [4300, 0, 1300, 2300]);
}

/// Half of the threads want A and B, half B and C; B is scarce. Takes of A and C are undone again and again, but
/// whoever asks for A alone is never refused because of that: A has room for everybody.
#[test]
fn nobody_is_refused_because_of_a_take_that_is_undone() {
    let (store, _) = store(1 << 20);
    let (roomy, scarce) = (concurrency(THREADS), concurrency(1));
    let keys = [key(1, 1), key(2, 1)];
    let refused_alone = AtomicU64::new(0);
    on_all(|number| {
        for _ in 0..5_000 {
            let both = [ask(&roomy, &keys[0]), ask(&scarce, &keys[1])];
            let asks = if number % 2 == 0 { &both[..] } else { &both[..1] };
            if store.take(asks, store.now()).allowed {
                for ask in asks {
                    store.settle(&settlement(ask.rule, ask.key, -1), store.now());
                }
            } else if asks.len() == 1 {
                refused_alone.fetch_add(1, Relaxed);
            }
        }
    });
    assert_eq!(refused_alone.into_inner(), 0);
    assert_eq!((store.left(&roomy, &keys[0]), store.left(&scarce, &keys[1])), (THREADS, 1), "all is given back");
}

#[test]
fn in_flight_is_never_above_the_limit_and_ends_at_zero() {
    let (store, _) = store(1 << 20);
    let (rule, key) = (concurrency(3), key(1, 1));
    let (inside, most) = (AtomicU64::new(0), AtomicU64::new(0));
    on_all(|_| {
        for _ in 0..5_000 {
            if store.admits(&rule, &key) {
                most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                inside.fetch_sub(1, Relaxed);
                store.settle(&settlement(&rule, &key, -1), store.now());
            }
        }
    });
    assert!((1..=3).contains(&most.into_inner()));
    assert_eq!(store.left(&rule, &key), 3);
}

#[test]
fn a_new_key_gets_one_counter_however_many_bring_it() {
    let (store, _) = store(1 << 20);
    let rule = fixed("3/h");
    let admitted = AtomicU64::new(0);
    on_all(|_| {
        for whose in 0..2_000 {
            admitted.fetch_add(u64::from(store.admits(&rule, &key(1, whose))), Relaxed);
        }
    });
    assert_eq!(admitted.into_inner(), 3 * 2_000);
}

/// A table of one set, in which keys push each other out all the time.
#[test]
fn keys_that_push_each_other_out_are_never_charged_for_each_other() {
    let (store, _) = store(64);
    let (rule, guilty) = (fixed("1000/h"), key(1, u64::MAX));
    let banned = Rule::ban();
    store.settle(&settlement(&rule, &guilty, 1000), store.now());
    store.settle(&settlement(&banned, &guilty, 1_000_000), store.now());
    on_all(|number| {
        for round in 0..5_000 {
            assert!(store.admits(&rule, &key(1, number * 5_000 + round)), "an innocent is refused");
            assert!(!store.admits(&rule, &guilty) && !store.admits(&banned, &guilty), "the guilty is let go");
        }
    });
    assert!(store.counts(store.now()).evicted > 0);
}

#[test]
fn exactly_one_strike_of_many_at_once_bans() {
    let (store, _) = store(1 << 20);
    let strike = Strike {
        rule: fixed("1000/h"),
        key: key(1, 1),
        ban: Rule::ban(),
        ban_key: key(2, 1),
        length: 1_000_000,
        policy: 0,
    };
    let bans = AtomicU64::new(0);
    on_all(|_| {
        for _ in 0..1_000 {
            bans.fetch_add(u64::from(store.strike(&strike, store.now())), Relaxed);
        }
    });
    assert_eq!(bans.into_inner(), THREADS);
}
