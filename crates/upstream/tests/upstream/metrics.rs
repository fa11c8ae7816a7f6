//! What operators see of a pool: metrics and JSON.

use std::sync::Arc;
use std::time::Duration;

use pingora_http::RequestHeader;
use serde_json::{Value, json};
use tidegate_core::{Clock, Metrics};
use tidegate_upstream::{Client, Failure, Mirrored, NoRetry, Pool, TryOutcome, Upstreams, Why};

use crate::support::{ByHand, Does, ManualClock, config, pick, until};

struct App {
    upstreams: Upstreams,
    metrics: Metrics,
    clock: ManualClock,
}

impl App {
    fn new(yaml: &str) -> Self {
        let (metrics, clock) = (Metrics::new(), ManualClock::new());
        let upstreams = Upstreams::build(&config(yaml), None, &metrics, &Clock::new(clock.clone())).unwrap();
        Self { upstreams, metrics, clock }
    }

    fn reload(&mut self, yaml: &str) {
        let before = Some(&self.upstreams);
        self.upstreams =
            Upstreams::build(&config(yaml), before, &self.metrics, &Clock::new(self.clock.clone())).unwrap();
    }

    fn pool(&self) -> &Arc<Pool> {
        self.upstreams.get("app").unwrap()
    }

    fn text(&self) -> String {
        let families = self.metrics.registry().gather();
        tidegate_core::prometheus::TextEncoder::new().encode_to_string(&families).unwrap()
    }

    /// One line of the metrics; `None` if it isn't there.
    fn metric(&self, line: &str) -> Option<f64> {
        let line = format!("tidegate_upstream_{line} ");
        self.text().lines().find_map(|of| of.strip_prefix(&line)).map(|value| value.parse().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::to_value(self.pool().snapshot()).unwrap()
    }
}

const ONE: &str = "app: { targets: [\"10.0.0.1:1\"] }";

fn answered(status: u16, grpc: Option<u16>) -> TryOutcome {
    TryOutcome::Answered { status, grpc }
}

#[test]
fn every_try_is_counted_by_what_became_of_it() {
    let app = App::new(ONE);
    let outcomes = [
        ("answered", answered(404, None)),
        ("server_error", answered(502, None)),
        ("server_error", answered(200, Some(14))),
        ("connect", TryOutcome::Failed(Failure::Connect)),
        ("reset", TryOutcome::Failed(Failure::Reset)),
        ("timeout", TryOutcome::Failed(Failure::Timeout)),
        ("refused_stream", TryOutcome::Failed(Failure::RefusedStream)),
        ("protocol", TryOutcome::Failed(Failure::Protocol)),
        ("abandoned", TryOutcome::Abandoned),
    ];
    for (_, outcome) in outcomes {
        pick(app.pool()).finish(outcome);
    }
    drop(pick(app.pool()));
    for (label, expected) in outcomes.map(|(label, _)| {
        let also_dropped = usize::from(label == "abandoned");
        (label, outcomes.iter().filter(|(of, _)| *of == label).count() + also_dropped)
    }) {
        let line = format!(r#"requests_total{{outcome="{label}",target="10.0.0.1:1",upstream="app"}}"#);
        assert_eq!(app.metric(&line), Some(expected as f64), "{label}");
    }
    assert_eq!(app.json()["targets"][0]["tries"], json!({ "total": 10, "failed": 7 }));
}

#[test]
fn times_and_connections_are_counted() {
    let app = App::new(ONE);
    let mut first = pick(app.pool());
    assert_eq!(app.metric(r#"in_flight{target="10.0.0.1:1",upstream="app"}"#), Some(1.0));
    app.clock.advance(Duration::from_millis(20));
    first.connected(false);
    app.clock.advance(Duration::from_millis(60));
    first.answered();
    first.answered();
    first.finish(answered(200, None));
    first.finish(TryOutcome::Abandoned);
    drop(first);
    let mut second = pick(app.pool());
    second.connected(true);
    second.finish(answered(200, None));
    drop(second);

    let target = r#"{target="10.0.0.1:1",upstream="app"}"#;
    assert_eq!(app.metric(&format!("in_flight{target}")), Some(0.0));
    assert_eq!(app.metric(&format!("connect_seconds_count{target}")), Some(1.0));
    assert_eq!(app.metric(&format!("connect_seconds_sum{target}")), Some(0.02));
    assert_eq!(app.metric(&format!("first_byte_seconds_count{target}")), Some(1.0));
    assert_eq!(app.metric(&format!("first_byte_seconds_sum{target}")), Some(0.08));
    assert_eq!(app.metric(r#"connections_total{kind="new",upstream="app"}"#), Some(1.0));
    assert_eq!(app.metric(r#"connections_total{kind="reused",upstream="app"}"#), Some(1.0));
    assert_eq!(app.metric(r#"requests_total{outcome="abandoned",target="10.0.0.1:1",upstream="app"}"#), Some(0.0));
}

#[test]
fn retries_hedges_and_copies_are_counted_by_their_reason() {
    let app = App::new(ONE);
    let pool = app.pool();
    let why = [
        ("connect", Why::Failed(Failure::Connect)),
        ("refused_stream", Why::Failed(Failure::RefusedStream)),
        ("reset", Why::Failed(Failure::Reset)),
        ("timeout", Why::Failed(Failure::Timeout)),
        ("protocol", Why::Failed(Failure::Protocol)),
        ("status", Why::Status(503)),
        ("grpc", Why::Grpc(14)),
    ];
    let why_not = [
        ("not_asked", NoRetry::NotAsked),
        ("exhausted", NoRetry::Exhausted),
        ("not_idempotent", NoRetry::NotIdempotent),
        ("body_gone", NoRetry::BodyGone),
        ("over_budget", NoRetry::OverBudget),
    ];
    why.iter().for_each(|(_, why)| pool.count_retry(*why));
    why_not.iter().for_each(|(_, why)| pool.count_no_retry(*why));
    [true, true, false].into_iter().for_each(|second| pool.count_hedge(second));
    [Mirrored::Ok, Mirrored::Failed, Mirrored::Dropped].into_iter().for_each(|result| pool.count_mirror(result));

    for (label, _) in why {
        assert_eq!(app.metric(&format!(r#"retries_total{{reason="{label}",upstream="app"}}"#)), Some(1.0), "{label}");
    }
    for (label, why) in why_not {
        assert_eq!(why.as_str(), label);
        let line = format!(r#"retries_refused_total{{upstream="app",why="{label}"}}"#);
        assert_eq!(app.metric(&line), Some(1.0), "{label}");
    }
    assert_eq!(app.metric(r#"hedges_total{upstream="app",winner="second"}"#), Some(2.0));
    assert_eq!(app.metric(r#"hedges_total{upstream="app",winner="first"}"#), Some(1.0));
    for result in ["ok", "failed", "dropped"] {
        assert_eq!(app.metric(&format!(r#"mirrored_total{{result="{result}",upstream="app"}}"#)), Some(1.0));
    }
}

#[test]
fn a_target_that_is_taken_out_shows() {
    let app = App::new("app: { targets: [\"10.0.0.1:1\", \"10.0.0.2:1\"] }");
    let usable = r#"usable{target="10.0.0.1:1",upstream="app"}"#;
    let taken_out = r#"taken_out_total{reason="draining",target="10.0.0.1:1",upstream="app"}"#;
    assert_eq!((app.metric(usable), app.metric(taken_out)), (Some(1.0), Some(0.0)));
    assert!(app.pool().drain("10.0.0.1:1", true));
    assert_eq!((app.metric(usable), app.metric(taken_out)), (Some(0.0), Some(1.0)));
    assert_eq!(app.metric(r#"usable{target="10.0.0.2:1",upstream="app"}"#), Some(1.0));
    let address = &app.json()["targets"][0]["addresses"][0];
    assert_eq!(*address, json!({ "address": "10.0.0.1:1", "usable": false, "out": ["draining"], "in_flight": 0 }));
    assert!(app.pool().drain("10.0.0.1:1", false));
    assert_eq!((app.metric(usable), app.metric(taken_out)), (Some(1.0), Some(1.0)));
}

#[test]
fn a_targets_series_go_with_it_but_not_before_its_last_request() {
    let mut app = App::new("app: { targets: [\"10.0.0.1:1\", \"10.0.0.2:1\"] }");
    let mut last = pick(app.pool());
    pick(app.pool()).finish(answered(200, None));
    app.reload("app: { targets: [\"10.0.0.2:1\"] }");
    assert_eq!(app.metric(r#"in_flight{target="10.0.0.1:1",upstream="app"}"#), Some(1.0));
    last.finish(answered(200, None));
    assert_eq!(app.metric(r#"requests_total{outcome="answered",target="10.0.0.1:1",upstream="app"}"#), Some(1.0));
    drop(last);
    assert!(!app.text().contains("10.0.0.1:1"), "{}", app.text());
    // What both configurations have goes on.
    assert_eq!(app.metric(r#"requests_total{outcome="answered",target="10.0.0.2:1",upstream="app"}"#), Some(1.0));
}

#[test]
fn an_upstreams_series_go_with_it() {
    let mut app = App::new(ONE);
    pick(app.pool()).finish(answered(200, None));
    app.reload("other: { targets: [\"10.0.0.1:1\"] }");
    assert!(!app.text().contains(r#"upstream="app""#), "{}", app.text());
    assert!(app.text().contains(r#"upstream="other""#));
}

#[test]
fn the_snapshot_tells_how_targets_do() {
    let app = App::new(
        "app:
           targets:
             - { address: \"10.0.0.1:1\", weight: 2, zone: a }
             - { address: \"10.0.0.2:1\", priority: 1 }
           lb: peak_ewma
           outlier: { consecutive_connect: 1, base_ejection: 30s, max_ejected: 100% }
           health: { assume_healthy: true }
        ",
    );
    app.pool().check_by_hand("10.0.0.2:1", false);
    app.clock.advance(Duration::from_secs(7));
    let mut picked = pick(app.pool());
    app.clock.advance(Duration::from_millis(12));
    picked.answered();
    picked.finish(answered(200, None));
    pick(app.pool()).finish(TryOutcome::Failed(Failure::Connect));
    app.clock.advance(Duration::from_secs(10));
    let json = app.json();
    let [first, second] = [&json["targets"][0], &json["targets"][1]];
    assert_eq!((&first["weight"], &first["zone"], &first["priority"]), (&json!(2), &json!("a"), &json!(0)));
    let address = &first["addresses"][0];
    assert_eq!((&address["out"], &address["ejections"]), (&json!(["ejected"]), &json!(1)));
    assert_eq!(address["ejected_for_ms"], 20_000);
    assert!(address["expected_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{address}");
    assert_eq!(second["priority"], 1);
    let check = &second["addresses"][0]["check"];
    assert_eq!((&check["ok"], &check["seconds_ago"]), (&json!(false), &json!(17)));
    assert_eq!((&check["passed"], &check["failed"]), (&json!(0), &json!(1)));
    assert!(check["failure"].is_string(), "{check}");
    assert_eq!(second["addresses"][0]["usable"], true, "one failed check is not enough");
}

#[tokio::test]
async fn open_connections_are_counted_while_they_are_open() {
    let server = ByHand::start(Does::body("hello")).await;
    let app = App::new(&format!("app: {{ targets: [\"{}\"] }}", server.address));
    let open = format!(r#"open_connections{{target="{}",upstream="app"}}"#, server.address);
    assert_eq!(app.metric(&open), Some(0.0));
    let picked = pick(app.pool());
    let head = Box::new(RequestHeader::build("GET", b"/", None).unwrap());
    let answer = Client::new().send(&picked.peer(), head, None, Duration::from_secs(20)).await.unwrap();
    assert_eq!(app.metric(&open), Some(1.0));
    drop(answer);
    until("it is closed", || app.metric(&open) == Some(0.0)).await;
}
