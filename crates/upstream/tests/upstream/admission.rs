//! How much a pool takes at a time, as those see it who ask for a pool's targets.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Admitted, Failure, Overloaded, Pool, TryOutcome, Upstreams};
use tokio::sync::watch;

use crate::support::{ManualClock, config, pick};

const SECOND: Duration = Duration::from_secs(1);
const OK: TryOutcome = TryOutcome::Answered { status: 200, grpc: None };
const BAD: TryOutcome = TryOutcome::Answered { status: 503, grpc: None };

struct App {
    upstreams: Upstreams,
    metrics: Metrics,
    clock: ManualClock,
    stop: watch::Sender<bool>,
}

impl App {
    fn new(settings: &str) -> Self {
        let (metrics, clock) = (Metrics::new(), ManualClock::new());
        let upstreams = Upstreams::build(&app(settings), None, &metrics, &Clock::new(clock.clone())).unwrap();
        let app = Self { upstreams, metrics, clock, stop: watch::channel(false).0 };
        drop(app.upstreams.start(&app.stop.subscribe()));
        app
    }

    fn rebuild(&self, settings: &str) -> Upstreams {
        Upstreams::build(&app(settings), Some(&self.upstreams), &self.metrics, &Clock::new(self.clock.clone())).unwrap()
    }

    fn pool(&self) -> &Arc<Pool> {
        self.upstreams.get("app").unwrap()
    }

    fn admit(&self) -> Result<Admitted, Overloaded> {
        match poll(&mut Box::pin(self.pool().admit(None))) {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("it waits"),
        }
    }

    /// A request from beginning to end.
    fn request(&self, outcome: TryOutcome) {
        let _admitted = self.admit().unwrap();
        pick(self.pool()).finish(outcome);
    }

    /// One line of the metrics; `None` if it isn't there.
    fn metric(&self, line: &str) -> Option<i64> {
        let families = self.metrics.registry().gather();
        let text = tidegate_core::prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
        let line = format!("tidegate_upstream_{line} ");
        text.lines().find_map(|of| of.strip_prefix(&line)).map(|value| value.parse().unwrap())
    }

    fn breaker(&self) -> serde_json::Value {
        serde_json::to_value(self.pool().snapshot()).unwrap()["breaker"].clone()
    }
}

fn app(settings: &str) -> std::collections::BTreeMap<String, tidegate_upstream::UpstreamConfig> {
    config(&format!("app: {{ targets: [\"10.0.0.1:1\"], {settings} }}"))
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn requests_beyond_limit_and_queue_are_refused_and_counted() {
    let app = App::new("limits: { in_flight: 1, queue: 1, queue_timeout: 3s }");
    let first = app.admit().unwrap();
    let mut second = Box::pin(app.pool().admit(None));
    assert!(poll(&mut second).is_pending());
    assert_eq!(app.admit().unwrap_err(), Overloaded::Full);
    assert_eq!(app.metric(r#"refused_total{upstream="app",why="full"}"#), Some(1));
    assert_eq!(app.metric(r#"queued{upstream="app"}"#), Some(1));
    let snapshot = app.pool().snapshot();
    assert_eq!((snapshot.in_flight, snapshot.waiting, snapshot.limit), (1, 1, Some(1)));

    drop(first);
    let Poll::Ready(Ok(second)) = poll(&mut second) else { panic!("its turn") };
    assert_eq!(app.metric(r#"queued{upstream="app"}"#), Some(0));
    let mut third = Box::pin(app.pool().admit(None));
    assert!(poll(&mut third).is_pending());
    app.clock.advance(3 * SECOND);
    assert!(matches!(poll(&mut third), Poll::Ready(Err(Overloaded::QueueTimeout))));
    assert_eq!(app.metric(r#"refused_total{upstream="app",why="queue_timeout"}"#), Some(1));
    drop(second);
    assert_eq!(app.pool().snapshot().in_flight, 0);
}

const BREAKER: &str = "breaker: { min_requests: 4, open: 5s, probes: 2 }";

#[test]
fn a_breaker_opens_tries_again_and_closes() {
    let app = App::new(BREAKER);
    for outcome in [OK, BAD, TryOutcome::Failed(Failure::Timeout)] {
        app.request(outcome);
    }
    assert_eq!(app.breaker(), serde_json::json!({ "state": "closed" }));
    app.request(BAD);
    assert_eq!(app.breaker(), serde_json::json!({ "state": "open", "open_for_ms": 5_000 }));
    assert_eq!(app.metric(r#"breaker_open{upstream="app"}"#), Some(1));
    app.clock.advance(2 * SECOND);
    let refused = app.admit().unwrap_err();
    assert_eq!(refused, Overloaded::BreakerOpen { retry_in: 3 * SECOND });
    assert_eq!((refused.as_str(), refused.retry_after()), ("breaker_open", 3));
    assert_eq!(app.metric(r#"refused_total{upstream="app",why="breaker_open"}"#), Some(1));

    app.clock.advance(3 * SECOND);
    app.request(OK);
    assert_eq!(app.metric(r#"breaker_open{upstream="app"}"#), Some(2));
    app.request(OK);
    assert_eq!(app.metric(r#"breaker_open{upstream="app"}"#), Some(0));
}

#[test]
fn a_probe_that_fails_opens_the_breaker_again() {
    let app = App::new(BREAKER);
    (0..4).for_each(|_| app.request(BAD));
    app.clock.advance(5 * SECOND);
    app.request(OK);
    app.request(BAD);
    assert_eq!(app.breaker()["state"], "open");
    app.clock.advance(5 * SECOND);
    (0..2).for_each(|_| app.request(OK));
    assert_eq!(app.breaker()["state"], "closed");
}

#[test]
fn a_probe_whose_client_leaves_makes_room_for_another() {
    let app = App::new(BREAKER);
    (0..4).for_each(|_| app.request(BAD));
    app.clock.advance(5 * SECOND);
    for _ in 0..10 {
        let _admitted = app.admit().unwrap();
        drop(pick(app.pool()));
    }
    // Nor does one that found no target.
    (0..10).for_each(|_| drop(app.admit().unwrap()));
    let _both = (app.admit().unwrap(), app.admit().unwrap());
    assert!(matches!(app.admit(), Err(Overloaded::BreakerOpen { .. })));
}

#[test]
fn an_adaptive_limit_begins_where_it_is_told_and_is_shown() {
    let app = App::new("adaptive: { initial: 6 }, limits: { in_flight: 100 }");
    let _inside: Vec<_> = (0..6).map(|_| app.admit().unwrap()).collect();
    assert_eq!(app.admit().unwrap_err(), Overloaded::Full);
    assert_eq!(app.metric(r#"limit{upstream="app"}"#), Some(6));
}

#[test]
fn a_reload_keeps_an_open_breaker_open() {
    let app = App::new(BREAKER);
    (0..4).for_each(|_| app.request(BAD));
    let after = app.rebuild(&format!("{BREAKER}, slow_start: 10s"));
    assert_eq!(after.get("app").unwrap().snapshot().breaker.unwrap().state, "open");
}

#[test]
fn a_configuration_that_never_comes_into_use_shows_nothing() {
    let app = App::new(BREAKER);
    (0..4).for_each(|_| app.request(BAD));
    let refused = app.rebuild("slow_start: 10s");
    drop(refused);
    assert_eq!(app.metric(r#"breaker_open{upstream="app"}"#), Some(1));
    // One that does takes the place.
    let used = app.rebuild("slow_start: 10s");
    drop(used.start(&app.stop.subscribe()));
    assert_eq!(app.metric(r#"breaker_open{upstream="app"}"#), None);
}
