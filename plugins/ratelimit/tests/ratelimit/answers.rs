//! What clients are told (H7).

use super::*;

#[tokio::test]
async fn every_answer_says_what_is_left_and_a_refusal_when_to_come_again() {
    let (gateway, clock) = start("{ name: burst, rate: 2/m, algorithm: fixed_window, per: client }").await;
    let first = ask(&gateway, "192.0.2.1", &[]).await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), Some("\"burst\";q=2;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"burst\";r=1;t=60"));
    assert_eq!(first.header("retry-after"), None);
    ask(&gateway, "192.0.2.1", &[]).await.expect(200);
    clock.advance(Duration::from_millis(20_500));
    let refused = ask(&gateway, "192.0.2.1", &[]).await.expect(429);
    assert_eq!(refused.header("ratelimit"), Some("\"burst\";r=0;t=40"));
    assert_eq!(refused.header("retry-after"), Some("40"), "39.5 s, rounded up");
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let problem = refused.json();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["code"], "too_many_requests");
    assert_eq!(problem["violated-policies"], serde_json::json!(["burst"]));
    assert_eq!(Some(problem["request_id"].as_str().expect("an id")), refused.header("x-request-id"));
}

#[tokio::test]
async fn the_tightest_of_several_limits_is_told() {
    let (gateway, _clock) = start(
        "{ name: long, rate: 100/h, per: client }, { name: short, rate: 3/m, algorithm: fixed_window, per: client }",
    )
    .await;
    let answer = ask(&gateway, "192.0.2.1", &[]).await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), Some("\"long\";q=100;w=3600, \"short\";q=3;w=60"));
    assert_eq!(answer.header("ratelimit"), Some("\"short\";r=2;t=60"));
}

#[tokio::test]
async fn older_fields_by_choice_or_none() {
    for (fields, names) in [
        ("draft-03", ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]),
        ("x-ratelimit", ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]),
    ] {
        let section = format!("fields: {fields}");
        let (gateway, _clock) = start_with("{ rate: 2/m, algorithm: fixed_window, per: client }", &section).await;
        let answer = ask(&gateway, "192.0.2.1", &[]).await.expect(200);
        assert_eq!(names.map(|name| answer.header(name)), [Some("2"), Some("1"), Some("60")], "{fields}");
        assert_eq!(answer.header("ratelimit-policy"), None);
    }
    let (gateway, _clock) = start_with("{ rate: 1/m, per: client }", "fields: none").await;
    for status in [200, 429] {
        let answer = ask(&gateway, "192.0.2.1", &[]).await.expect(status);
        assert!(!answer.headers.iter().any(|(name, _)| name.to_lowercase().contains("ratelimit")), "{answer:?}");
        assert_eq!(answer.header("retry-after").is_some(), status == 429);
    }
}

#[tokio::test]
async fn a_shadow_counts_and_lets_through() {
    let (gateway, _clock) = start("{ name: trial, rate: 2/h, per: client, mode: shadow }").await;
    for _ in 0..5 {
        let answer = ask(&gateway, "192.0.2.1", &[]).await.expect(200);
        assert_eq!(answer.header("ratelimit"), None, "what does not hold is not told");
    }
    let count = async |result| {
        let labels = &[("limit", "trial"), ("result", result)];
        gateway.metric("tidegate_ratelimit_requests_total", labels).await
    };
    assert_eq!((count("allowed").await, count("shadowed").await, count("refused").await), (2.0, 3.0, 0.0));
}

#[tokio::test]
async fn a_shadow_takes_nothing_from_the_limits_that_hold() {
    let (gateway, _clock) =
        start("{ name: trial, rate: 1/h, per: client, mode: shadow }, { name: real, rate: 3/h, per: client }").await;
    assert_eq!(admitted(&gateway, 5, "192.0.2.1").await, 3);
}

#[tokio::test]
async fn an_upstream_does_not_speak_for_the_gateway() {
    let fields = tidegate_testkit::Script::reply("app").header("RateLimit", "\"theirs\";r=1;t=1");
    let app = tidegate_testkit::upstream().route("/", fields).start().await;
    let yaml = format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\nrouting: {{ routes: [{{ name: app, upstream: app, plugins: {{ \
         ratelimit: {{ limits: [{{ name: ours, rate: 5/m, per: client }}] }} }} }}] }}",
        app.target()
    );
    let gateway = builder().start(&yaml).await;
    let answer = gateway.get("/").await.expect(200);
    let told: Vec<_> = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("ratelimit")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.starts_with("\"ours\";r=4;t="), "{told:?}");
}
