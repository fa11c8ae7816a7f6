//! Targets that do worse than the others.

use std::time::Duration;

use super::{BAD, GOOD, NS, RATES, at, out, pool, secs, send, try_pick};

#[test]
fn a_target_with_far_fewer_good_answers_than_the_others_is_left_out_at_the_interval() {
    let (pool, clock) = pool(5, RATES);
    pool.judge_by_hand();
    for n in 1..=5 {
        (0..10).for_each(|request| send(&pool, n, if n == 4 && request % 2 == 0 { BAD } else { GOOD }));
    }
    clock.advance(secs(10) - NS);
    pool.judge_by_hand();
    assert_eq!(out(&pool, 5), [0; 0]);
    clock.advance(NS);
    pool.judge_by_hand();
    assert_eq!(out(&pool, 5), [4]);
}

#[test]
fn targets_that_get_no_requests_are_not_compared_with() {
    let (pool, clock) = pool(6, RATES);
    pool.judge_by_hand();
    // Beside one that has nothing but failures, half of them would be well within the bounds.
    let before: Vec<_> = (0..10).map(|_| try_pick(&pool, 6).unwrap()).collect();
    pool.drain(&at(6), true);
    before.into_iter().for_each(|mut picked| picked.finish(BAD));
    for n in 1..=5 {
        (0..10).for_each(|request| send(&pool, n, if n == 4 && request % 2 == 0 { BAD } else { GOOD }));
    }
    clock.advance(secs(10));
    pool.judge_by_hand();
    assert_eq!(out(&pool, 5), [4]);
}

#[test]
fn each_interval_is_looked_at_by_itself() {
    let (pool, clock) = pool(5, RATES);
    pool.judge_by_hand();
    for _ in 0..3 {
        // Nine failures are too few to be judged, also when there were as many before.
        for n in 1..=5 {
            (0..if n == 4 { 9 } else { 10 }).for_each(|_| send(&pool, n, if n == 4 { BAD } else { GOOD }));
        }
        clock.advance(secs(10));
        pool.judge_by_hand();
    }
    assert_eq!(out(&pool, 5), [0; 0]);
}

#[test]
fn a_target_whose_answers_take_far_longer_than_the_others_is_left_out_at_the_interval() {
    let (pool, clock) = pool(3, "outlier: { interval: 60s, latency: { min_requests: 10 } }");
    pool.judge_by_hand();
    for n in 1..=3 {
        for _ in 0..10 {
            let mut picked = try_pick(&pool, n).unwrap();
            clock.advance(Duration::from_millis(if n == 3 { 400 } else { 100 }));
            picked.answered();
            picked.finish(GOOD);
        }
    }
    pool.judge_by_hand();
    assert_eq!(out(&pool, 3), [0; 0]);
    clock.advance(secs(60));
    pool.judge_by_hand();
    assert_eq!(out(&pool, 3), [3]);
}
