//! What a reload keeps of who is left out.

use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Pick, Upstreams};

use super::{REFUSED, eject, is_out, out, secs, start, yaml};
use crate::support::{ManualClock, build_at, config, until};

fn rebuilt(yaml: &str, before: &Upstreams, clock: &ManualClock) -> Upstreams {
    Upstreams::build(&config(yaml), Some(before), &Metrics::new(), &Clock::new(clock.clone())).unwrap()
}

#[tokio::test]
async fn a_reload_keeps_who_is_left_out_and_until_when() {
    let clock = ManualClock::new();
    let before = build_at(&yaml(2, "outlier: {}"), &clock);
    let _tasks = start(&before);
    eject(before.get("app").unwrap(), 1);
    clock.advance(secs(20));

    let after = rebuilt(&yaml(2, "outlier: {}, timeouts: { read: 1s }"), &before, &clock);
    let pool = after.get("app").unwrap();
    let _tasks_too = start(&after);
    drop(before);
    assert!(is_out(pool, 1));
    clock.advance(secs(10));
    until("its time is over", || !is_out(pool, 1)).await;
}

#[tokio::test]
async fn a_reload_that_judges_no_more_restores_whom_the_one_before_left_out() {
    let clock = ManualClock::new();
    let before = build_at(&yaml(2, "outlier: {}"), &clock);
    let old = before.get("app").unwrap().clone();
    eject(&old, 1);

    let after = rebuilt(&yaml(2, "slow_start: 1s"), &before, &clock);
    let pool = after.get("app").unwrap();
    // A configuration that is not put in force, as something else is wrong with it, changes nothing.
    assert!(is_out(&old, 1) && is_out(pool, 1));
    let _tasks = start(&after);
    assert!(!is_out(pool, 1));
    // Nor does what is still under way in the old one leave it out again.
    let mut late: Vec<_> = (0..10).map(|_| old.pick(&Pick::default()).unwrap()).collect();
    late.iter_mut().for_each(|picked| picked.finish(REFUSED));
    assert_eq!(out(pool, 2), [0; 0]);
}

#[tokio::test]
async fn after_a_reload_only_the_new_pool_judges() {
    let clock = ManualClock::new();
    let before = build_at(&yaml(2, "outlier: {}"), &clock);
    let _tasks = start(&before);
    let old = before.get("app").unwrap();
    let after = rebuilt(&yaml(2, "outlier: { consecutive_connect: 0 }"), &before, &clock);
    let _tasks_too = start(&after);
    let mut late: Vec<_> = (0..8).map(|_| old.pick(&Pick::default()).unwrap()).collect();
    late.iter_mut().for_each(|picked| picked.finish(REFUSED));
    assert_eq!(out(after.get("app").unwrap(), 2), [0; 0]);
}

#[tokio::test]
async fn whom_a_pool_left_out_that_is_gone_already_is_restored_as_well() {
    let clock = ManualClock::new();
    let before = build_at(&yaml(2, "outlier: {}"), &clock);
    eject(before.get("app").unwrap(), 1);
    let after = rebuilt(&yaml(2, "slow_start: 1s"), &before, &clock);
    drop(before);
    let _tasks = start(&after);
    assert!(!is_out(after.get("app").unwrap(), 1));
}
