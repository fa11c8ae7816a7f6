//! What counts against a target, and what for it.

use tidegate_upstream::{Failure, TryOutcome};

use super::{BAD, GOOD, REFUSED, is_out, out, pool, send, try_pick};

#[test]
fn the_fifth_5xx_in_a_row_leaves_a_target_out() {
    let (pool, _clock) = pool(3, "outlier: {}");
    (0..4).for_each(|_| send(&pool, 2, BAD));
    assert_eq!(out(&pool, 3), [0; 0]);
    send(&pool, 2, BAD);
    assert_eq!(out(&pool, 3), [2]);
    assert!(try_pick(&pool, 2).is_none());
}

#[test]
fn the_third_connection_that_fails_in_a_row_leaves_a_target_out() {
    for failure in [Failure::Connect, Failure::Reset, Failure::Timeout, Failure::Protocol] {
        let (pool, _clock) = pool(3, "outlier: {}");
        (0..2).for_each(|_| send(&pool, 1, TryOutcome::Failed(failure)));
        assert_eq!(out(&pool, 3), [0; 0], "{failure:?}");
        send(&pool, 1, TryOutcome::Failed(failure));
        assert_eq!(out(&pool, 3), [1], "{failure:?}");
    }
}

#[test]
fn answers_that_break_off_count_like_5xx() {
    let (pool, _clock) = pool(2, "outlier: {}");
    let break_off = || {
        let mut picked = try_pick(&pool, 1).unwrap();
        picked.answered();
        picked.finish(TryOutcome::Failed(Failure::Reset));
    };
    (0..4).for_each(|_| break_off());
    assert!(!is_out(&pool, 1));
    break_off();
    assert!(is_out(&pool, 1));
}

#[test]
fn grpc_statuses_count_as_what_they_say() {
    for (grpc, is_bad) in [(0, false), (5, false), (12, false), (2, true), (4, true), (13, true), (14, true)] {
        let (pool, _clock) = pool(2, "outlier: {}");
        let outcome = TryOutcome::Answered { status: 200, grpc: Some(grpc) };
        for _ in 0..5 {
            try_pick(&pool, 1).unwrap().finish(outcome);
        }
        assert_eq!(is_out(&pool, 1), is_bad, "{grpc}");
    }
}

#[test]
fn a_good_answer_in_between_keeps_a_target() {
    let (pool, _clock) = pool(2, "outlier: {}");
    for _ in 0..10 {
        (0..4).for_each(|_| send(&pool, 1, BAD));
        send(&pool, 1, GOOD);
        (0..2).for_each(|_| send(&pool, 1, REFUSED));
        send(&pool, 1, GOOD);
    }
    assert!(!is_out(&pool, 1));
}

#[test]
fn clients_that_leave_and_streams_that_are_refused_say_nothing() {
    let (pool, _clock) = pool(2, "outlier: {}");
    (0..4).for_each(|_| send(&pool, 1, BAD));
    for _ in 0..20 {
        send(&pool, 1, TryOutcome::Failed(Failure::RefusedStream));
        drop(try_pick(&pool, 1));
    }
    assert!(!is_out(&pool, 1));
    // Nor do they end a row.
    send(&pool, 1, BAD);
    assert!(is_out(&pool, 1));
}

#[test]
fn zero_turns_a_rule_off_and_so_does_having_no_section() {
    let (no_5xx, _clock) = pool(2, "outlier: { consecutive_5xx: 0 }");
    (0..50).for_each(|_| send(&no_5xx, 1, BAD));
    assert!(!is_out(&no_5xx, 1));
    let (no_connect, _clock) = pool(2, "outlier: { consecutive_connect: 0 }");
    (0..4).for_each(|_| send(&no_connect, 1, REFUSED));
    assert!(!is_out(&no_connect, 1));
    let (none, _clock) = pool(2, "slow_start: 1s");
    (0..50).for_each(|_| send(&none, 1, REFUSED));
    assert!(!is_out(&none, 1));
}
