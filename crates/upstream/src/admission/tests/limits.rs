//! What the configuration makes of it all.

use serde_json::json;

use super::*;

const OK: TryOutcome = TryOutcome::Answered { status: 200, grpc: None };
const BAD: TryOutcome = TryOutcome::Answered { status: 500, grpc: None };

fn limit_of(json: serde_json::Value) -> Option<u32> {
    admission(json, &HandClock::new()).limit()
}

fn enter(admission: &Admission) -> Result<Admitted, Overloaded> {
    at_once(admission.enter(None))
}

#[test]
fn the_lowest_of_the_limits_holds() {
    assert_eq!(limit_of(json!({})), None);
    assert_eq!(limit_of(json!({ "limits": { "in_flight": 7, "connections": 9 } })), Some(7));
    assert_eq!(limit_of(json!({ "limits": { "in_flight": 9, "connections": 7 } })), Some(7));
    assert_eq!(limit_of(json!({ "limits": { "in_flight": 9 }, "adaptive": { "initial": 8 } })), Some(8));
    assert_eq!(limit_of(json!({ "limits": { "in_flight": 9 }, "adaptive": { "initial": 20 } })), Some(9));
}

#[test]
fn a_connection_of_http_2_takes_many_requests() {
    let limits = json!({ "connections": 3 });
    let h2 = json!({ "max_streams": 10 });
    assert_eq!(limit_of(json!({ "limits": limits, "h2": h2, "protocol": "http1" })), Some(3));
    assert_eq!(limit_of(json!({ "limits": limits, "h2": h2, "protocol": "auto" })), Some(3));
    assert_eq!(limit_of(json!({ "limits": limits, "h2": h2, "protocol": "h2" })), Some(30));
}

#[test]
fn without_a_limit_requests_are_counted_all_the_same() {
    let admission = admission(json!({}), &HandClock::new());
    let admitted: Vec<_> = (0..5).map(|_| enter(&admission).expect("no limit")).collect();
    assert_eq!(admission.in_flight(), 5);
    drop(admitted);
    assert_eq!(admission.in_flight(), 0);
}

#[test]
fn a_request_does_not_wait_longer_than_it_has_time() {
    let clock = HandClock::new();
    let admission = admission(json!({ "limits": { "in_flight": 1, "queue": 2, "queue_timeout": "5s" } }), &clock);
    let _inside = enter(&admission).expect("room");
    let mut hurried = Box::pin(admission.enter(Some(SECOND)));
    let mut patient = Box::pin(admission.enter(Some(60 * SECOND)));
    assert!(poll(&mut hurried).is_pending() && poll(&mut patient).is_pending());
    assert_eq!(admission.waiting(), 2);
    clock.advance(SECOND);
    assert!(matches!(poll(&mut hurried), Poll::Ready(Err(Overloaded::QueueTimeout))));
    clock.advance(4 * SECOND - Duration::from_nanos(1));
    assert!(poll(&mut patient).is_pending());
    clock.advance(Duration::from_nanos(1));
    assert!(matches!(poll(&mut patient), Poll::Ready(Err(Overloaded::QueueTimeout))));
}

#[test]
fn who_waits_while_the_breaker_opens_is_refused() {
    let clock = HandClock::new();
    let limits = json!({ "in_flight": 1, "queue": 2 });
    let admission = admission(json!({ "limits": limits, "breaker": { "min_requests": 1, "open": "5s" } }), &clock);
    let inside = enter(&admission).expect("room");
    let mut waiting = [Box::pin(admission.enter(None)), Box::pin(admission.enter(None))];
    assert!(waiting.iter_mut().all(|waiting| poll(waiting).is_pending()));
    admission.ended(BAD, None, Duration::ZERO);
    drop(inside);
    for waiting in &mut waiting {
        let Poll::Ready(Err(refused)) = poll(waiting) else { panic!("let in") };
        assert_eq!(refused, Overloaded::BreakerOpen { retry_in: 5 * SECOND });
    }
    assert_eq!((admission.in_flight(), admission.waiting()), (0, 0));
    assert_eq!(admission.breaker(), Some(("open", Some(5 * SECOND))));
}

#[test]
fn a_full_upstream_takes_no_probes_place() {
    let clock = HandClock::new();
    let breaker = json!({ "min_requests": 1, "open": "1s", "probes": 1 });
    let admission = admission(json!({ "limits": { "in_flight": 1 }, "breaker": breaker }), &clock);
    let inside = enter(&admission).expect("room");
    admission.ended(BAD, None, Duration::ZERO);
    clock.advance(SECOND);
    assert_eq!(enter(&admission).expect_err("full"), Overloaded::Full);
    drop(inside);
    let _probe = enter(&admission).expect("the probe");
    admission.ended(OK, None, Duration::ZERO);
    assert_eq!(admission.breaker(), Some(("closed", None)));
}

#[test]
fn a_request_that_was_sent_before_the_breaker_opened_is_no_probe() {
    let clock = HandClock::new();
    let admission = admission(json!({ "breaker": { "min_requests": 1, "open": "1s", "probes": 1 } }), &clock);
    admission.ended(BAD, None, Duration::ZERO);
    clock.advance(SECOND);
    let _probe = enter(&admission).expect("the probe");
    clock.advance(SECOND / 2);
    // Begun before the probe was.
    admission.ended(BAD, None, SECOND);
    assert_eq!(admission.breaker(), Some(("half_open", None)));
    admission.ended(OK, None, SECOND / 4);
    assert_eq!(admission.breaker(), Some(("closed", None)));
}

#[test]
fn a_reload_that_changes_nothing_here_keeps_it_all() {
    let clock = HandClock::new();
    let before = admission(json!({ "limits": { "in_flight": 2 } }), &clock);
    let _inside = enter(&before).expect("room");
    let after = |json| Admission::of(&"app".into(), &config(json), (&clock.clock(), clock.start), Some(&before));
    let same = after(json!({ "limits": { "in_flight": 2 }, "slow_start": "10s" }));
    assert_eq!(same.in_flight(), 1);
    assert_eq!(after(json!({ "limits": { "in_flight": 3 } })).in_flight(), 0);
}

#[test]
fn retry_after_is_in_whole_seconds_and_never_zero() {
    let open = |retry_in| Overloaded::BreakerOpen { retry_in }.retry_after();
    assert_eq!((open(Duration::ZERO), open(SECOND), open(Duration::from_millis(4_001))), (1, 1, 5));
    assert_eq!((Overloaded::Full.retry_after(), Overloaded::QueueTimeout.retry_after()), (1, 1));
    assert_eq!(open(Duration::MAX), u64::MAX);
}

#[test]
fn the_labels_are_those_of_the_metric() {
    let all = [Overloaded::Full, Overloaded::QueueTimeout, Overloaded::BreakerOpen { retry_in: SECOND }];
    assert_eq!(all.map(|why| why.as_str()), crate::metrics::REFUSED);
}
