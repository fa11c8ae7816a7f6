//! How long a target is left out.

use super::{BAD, GOOD, NS, RATES, REFUSED, at, eject, is_out, pool, secs, send, start, yaml};
use crate::support::{ManualClock, build_at, pick, until};

#[test]
fn a_target_comes_back_just_when_its_time_is_over_and_each_time_takes_longer() {
    let (pool, clock) = pool(2, "outlier: {}");
    for n in (1..=12).map(|n: u64| n.min(10)) {
        eject(&pool, 1);
        clock.advance(secs(n * 30) - NS);
        pool.judge_by_hand();
        assert!(is_out(&pool, 1), "{n}");
        clock.advance(NS);
        pool.judge_by_hand();
        assert!(!is_out(&pool, 1), "{n}");
    }
}

#[test]
fn a_target_that_served_for_a_while_is_forgiven() {
    let (pool, clock) = pool(2, "outlier: { base_ejection: 20s }");
    let stays_out = |seconds| {
        eject(&pool, 1);
        clock.advance(secs(seconds) - NS);
        pool.judge_by_hand();
        assert!(is_out(&pool, 1), "{seconds}");
        clock.advance(NS);
        pool.judge_by_hand();
        assert!(!is_out(&pool, 1), "{seconds}");
    };
    [20, 40, 60].into_iter().for_each(stays_out);
    clock.advance(secs(40));
    stays_out(40);
    clock.advance(secs(40));
    stays_out(20);
}

#[test]
fn one_that_is_back_has_to_fail_as_often_again() {
    let (pool, clock) = pool(2, "outlier: {}");
    (0..2).for_each(|_| send(&pool, 1, BAD));
    eject(&pool, 1);
    clock.advance(secs(30));
    pool.judge_by_hand();
    (0..2).for_each(|_| send(&pool, 1, REFUSED));
    (0..2).for_each(|_| send(&pool, 1, BAD));
    assert!(!is_out(&pool, 1));
    send(&pool, 1, BAD);
    assert!(is_out(&pool, 1));
}

#[test]
fn one_that_is_back_starts_slowly() {
    let (pool, clock) = pool(2, "outlier: {}, slow_start: 100s");
    eject(&pool, 1);
    clock.advance(secs(30));
    pool.judge_by_hand();
    let share = || (0..1_000).filter(|_| pick(&pool).address() == at(1)).count();
    clock.advance(secs(10));
    let at_first = share();
    clock.advance(secs(90));
    assert!(at_first < 250 && share() > 450, "{at_first}");
}

#[tokio::test]
async fn the_pools_task_restores_targets_and_compares_them() {
    let clock = ManualClock::new();
    let upstreams = build_at(&yaml(5, RATES), &clock);
    let pool = upstreams.get("app").unwrap();
    let _tasks = start(&upstreams);
    let while_time_goes_by = |condition: bool| {
        clock.advance(secs(1));
        condition
    };
    eject(pool, 1);
    until("it is restored", || while_time_goes_by(!is_out(pool, 1))).await;
    for n in 1..=5 {
        (0..10).for_each(|_| send(pool, n, if n == 2 { BAD } else { GOOD }));
    }
    until("it is left out", || while_time_goes_by(is_out(pool, 2))).await;
}

#[tokio::test]
async fn an_end_before_the_next_comparison_is_not_slept_through() {
    let clock = ManualClock::new();
    let rest = "outlier: { base_ejection: 1s, interval: 100000000s, latency: {} }";
    let upstreams = build_at(&yaml(2, rest), &clock);
    let pool = upstreams.get("app").unwrap();
    let sleepers = clock.sleepers();
    let _tasks = start(&upstreams);
    until("it waits for the comparison", || clock.sleepers() > sleepers).await;
    eject(pool, 1);
    let a_second_later = |condition: bool| {
        clock.advance(secs(1));
        condition
    };
    until("it is restored", || a_second_later(!is_out(pool, 1))).await;
}
