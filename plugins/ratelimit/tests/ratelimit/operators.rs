//! What operators see and do.

use tidegate_testkit::{Client, call};

use super::*;

#[tokio::test]
async fn the_top_offenders_are_listed_and_secrets_are_not() {
    let (gateway, _clock) = start("{ name: a, rate: 1/h, per: client }, { name: b, rate: 2/h, per: api_key }").await;
    assert_eq!(admitted(&gateway, 6, "192.0.2.7").await, 1);
    assert_eq!(admitted(&gateway, 3, "192.0.2.8").await, 1);
    for client in 10..15 {
        ask(&gateway, &format!("192.0.2.{client}"), &[("x-api-key", "hunter2-secret")]).await;
    }
    let text = gateway.admin("/ratelimit/top").await.expect(200).text();
    assert!(!text.contains("hunter2"), "{text}");
    let top: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let offenders = top["offenders"].as_array().expect("a list");
    assert_eq!(offenders[0]["key"], "client=192.0.2.7", "{text}");
    assert_eq!(offenders[0]["refused"], 5, "{text}");
    assert_eq!(offenders[0]["limit"], "a", "{text}");
    assert_eq!(offenders[0]["route"], "app", "{text}");
}

#[tokio::test]
async fn one_key_is_looked_up_and_reset() {
    let (gateway, _clock) = start("{ name: a, rate: 3/h, algorithm: fixed_window, per: client }").await;
    assert_eq!(admitted(&gateway, 5, "192.0.2.7").await, 3);
    let path = "/ratelimit/key?route=app&limit=a&client=192.0.2.7";
    let seen = gateway.admin(path).await.expect(200).json();
    assert_eq!(seen["remaining"], 0, "{seen}");
    assert_eq!(seen["quota"], 3, "{seen}");
    assert_eq!(
        gateway.admin("/ratelimit/key?route=app&limit=a&client=192.0.2.8").await.expect(200).json()["remaining"],
        3
    );
    let mut admin = Client::connect(gateway.admin_addr()).await;
    admin.send(call(Method::DELETE, path)).await.expect(200);
    assert_eq!(admitted(&gateway, 5, "192.0.2.7").await, 3);
    for (path, status) in [
        ("/ratelimit/key?route=none&limit=a&client=192.0.2.7", 404),
        ("/ratelimit/key?route=app&limit=none&client=192.0.2.7", 404),
        ("/ratelimit/key?route=app&limit=a", 400),
        ("/ratelimit/key?route=app&limit=a&client=nobody", 400),
    ] {
        gateway.admin(path).await.expect(status);
    }
}

#[tokio::test]
async fn a_claim_that_is_no_text_is_looked_up_as_json_and_a_plan_by_what_was_used() {
    let limits = "{ name: org, rate: 5/h, per: claim.org }, { name: plan, per: identity, plans: { free: 10/h, pro:                   1000/h }, plan: claim.plan, otherwise: free }";
    let (gateway, _clock) = start(limits).await;
    let claims = &[("x-user", "anna"), ("x-claims", r#"{"org":42,"plan":"pro"}"#)];
    ask(&gateway, "192.0.2.7", claims).await.expect(200);
    let org = gateway.admin("/ratelimit/key?route=app&limit=org&claim.org=json:42").await.expect(200).json();
    assert_eq!(org["remaining"], 4, "{org}");
    let plan = gateway.admin("/ratelimit/key?route=app&limit=plan&identity=who:anna").await.expect(200).json();
    assert_eq!((&plan["quota"], &plan["remaining"]), (&1000.into(), &999.into()), "{plan}");
}

#[tokio::test]
async fn a_ban_is_looked_up_and_lifted() {
    let section = "ban: { status: [401], count: 1, window: 1m, for: 1h }";
    let (gateway, _clock) = start_with("{ rate: 1000/s, per: client }", section).await;
    ask(&gateway, "192.0.2.1", &[("x-user", "nobody")]).await.expect(401);
    ask(&gateway, "192.0.2.1", &[]).await.expect(403);
    assert_eq!(gateway.admin("/ratelimit/ban?client=192.0.2.1").await.expect(200).json()["banned"], true);
    assert_eq!(gateway.admin("/ratelimit/ban?client=192.0.2.2").await.expect(200).json()["banned"], false);
    let mut admin = Client::connect(gateway.admin_addr()).await;
    admin.send(call(Method::DELETE, "/ratelimit/ban?client=192.0.2.1")).await.expect(200);
    ask(&gateway, "192.0.2.1", &[]).await.expect(200);
}

#[tokio::test]
async fn what_is_counted_is_counted_by_limit_and_never_by_key() {
    let (gateway, _clock) = start("{ name: a, rate: 2/h, per: client }").await;
    for client in 1..=50 {
        admitted(&gateway, 3, &format!("192.0.2.{client}")).await;
    }
    let count = async |result| {
        let labels = &[("route", "app"), ("limit", "a"), ("result", result)];
        gateway.metric("tidegate_ratelimit_requests_total", labels).await
    };
    assert_eq!((count("allowed").await, count("refused").await), (100.0, 50.0));
    let metrics = gateway.metrics_text().await;
    assert!(!metrics.contains("192.0.2."), "{metrics}");
    assert_eq!(gateway.metric("http_requests_total", &[("status_code", "429")]).await, 50.0);
}
