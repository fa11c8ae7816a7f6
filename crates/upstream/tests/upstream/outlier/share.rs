//! How many targets are left out at a time, and who never is.

use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{NoTarget, Pick, TargetConfig, Upstreams};

use super::{REFUSED, at, eject, is_out, out, pool, secs, send, try_pick, yaml};
use crate::support::{ManualClock, config, pick};

#[test]
fn no_more_than_the_share_is_left_out() {
    for (targets, share, most) in
        [(4, "50%", 2), (5, "50%", 2), (4, "25%", 1), (4, "0%", 1), (4, "100%", 3), (2, "0%", 1)]
    {
        let (pool, _clock) = pool(targets, &format!("outlier: {{ max_ejected: {share} }}"));
        (1..=most).for_each(|n| eject(&pool, n));
        for n in most + 1..=targets {
            (0..20).for_each(|_| send(&pool, n, REFUSED));
        }
        assert_eq!(out(&pool, targets), (1..=most).collect::<Vec<_>>(), "{share} of {targets}");
    }
}

#[test]
fn the_only_target_is_never_left_out() {
    let (pool, _clock) = pool(1, "outlier: { max_ejected: 100% }");
    (0..100).for_each(|_| send(&pool, 1, REFUSED));
    assert!(!is_out(&pool, 1));
}

#[test]
fn many_threads_that_fail_everywhere_always_leave_a_target() {
    for _ in 0..20 {
        let (pool, _clock) = pool(4, "outlier: { max_ejected: 100%, consecutive_connect: 1 }");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        pool.pick(&Pick::default()).expect("a target is left").finish(REFUSED);
                    }
                });
            }
        });
        assert_eq!(out(&pool, 4).len(), 3);
    }
}

#[test]
fn when_no_other_is_usable_one_that_was_left_out_comes_back_at_once() {
    let (pool, _clock) = pool(3, "outlier: { max_ejected: 100% }");
    eject(&pool, 1);
    eject(&pool, 2);
    pool.drain(&at(3), true);
    assert_eq!(pick(&pool).address(), at(1), "the one whose time ends first");
    assert_eq!(out(&pool, 3), [2]);
    // It is the last that is usable now.
    (0..20).for_each(|_| send(&pool, 1, REFUSED));
    assert_eq!(out(&pool, 3), [2]);
}

#[test]
fn when_others_are_gone_no_more_than_the_share_stays_out() {
    let (pool, _clock) = pool(4, "outlier: {}");
    eject(&pool, 1);
    eject(&pool, 2);
    let left = [1, 2, 3].map(|n| TargetConfig { address: at(n), weight: 1, ..Default::default() });
    pool.set_targets(left.to_vec()).unwrap();
    assert_eq!(out(&pool, 3), [2]);
}

#[test]
fn being_left_out_and_being_drained_are_two_things() {
    let (pool, clock) = pool(3, "outlier: {}");
    eject(&pool, 1);
    pool.drain(&at(1), true);
    clock.advance(secs(30));
    pool.judge_by_hand();
    assert!(!pool.seen(&at(1)).unwrap().ejected);
    assert!(try_pick(&pool, 1).is_none());
    pool.drain(&at(1), false);
    assert!(try_pick(&pool, 1).is_some());
}

#[test]
fn what_was_sent_before_a_target_was_left_out_can_not_leave_it_out_twice() {
    let (pool, clock) = pool(4, "outlier: { max_ejected: 100% }");
    let before: Vec<_> = (0..50).map(|_| try_pick(&pool, 1).unwrap()).collect();
    eject(&pool, 1);
    before.into_iter().for_each(|mut picked| picked.finish(REFUSED));
    clock.advance(secs(30));
    pool.judge_by_hand();
    assert!(!is_out(&pool, 1));
}

#[test]
fn a_target_that_gets_no_requests_anyway_takes_nobodys_place() {
    let (pool, _clock) = pool(3, "outlier: {}");
    let before: Vec<_> = (0..50).map(|_| try_pick(&pool, 1).unwrap()).collect();
    pool.drain(&at(1), true);
    before.into_iter().for_each(|mut picked| picked.finish(REFUSED));
    assert!(!is_out(&pool, 1));
    eject(&pool, 2);
}

#[test]
fn one_that_is_no_longer_listed_is_not_said_to_be_left_out() {
    let (metrics, clock) = (Metrics::new(), Clock::new(ManualClock::new()));
    let upstreams = Upstreams::build(&config(&yaml(3, "outlier: {}")), None, &metrics, &clock).unwrap();
    let pool = upstreams.get("app").unwrap();
    let mut gone: Vec<_> = (0..3).map(|_| try_pick(pool, 1).unwrap()).collect();
    let left = [2, 3].map(|n| TargetConfig { address: at(n), weight: 1, ..Default::default() });
    pool.set_targets(left.to_vec()).unwrap();
    gone.iter_mut().for_each(|picked| picked.finish(REFUSED));
    assert_eq!(times_taken_out(&metrics), 0);
    eject(pool, 2);
    assert_eq!(times_taken_out(&metrics), 1);
}

/// As the metrics tell.
fn times_taken_out(metrics: &Metrics) -> u64 {
    let families = metrics.registry().gather();
    let family = families.iter().filter(|family| family.name().ends_with("_taken_out_total"));
    family.flat_map(|family| family.get_metric()).map(|series| series.get_counter().get_value() as u64).sum()
}

#[test]
fn a_pool_with_nobody_usable_says_so() {
    let (pool, _clock) = pool(2, "outlier: {}");
    eject(&pool, 1);
    pool.drain(&at(1), true);
    pool.drain(&at(2), true);
    assert_eq!(pool.pick(&Pick::default()).unwrap_err(), NoTarget::Unusable);
}
