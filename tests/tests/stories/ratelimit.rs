//! Limits together with the real router: path parameters, plans, and what the other plugins do with a refusal.

use std::time::Duration;

use http::Method;
use tidegate_testkit::{Http, manual_clock, upstream};

use crate::{all_to, tidegate};

#[tokio::test]
async fn a_noisy_project_does_not_starve_another() {
    let yaml = "routing: { routes: [{ name: app, match: { path: \"/app/{project}/**\" }, reply: { body: hi }, plugins: { \
                ratelimit: { limits: [{ quota: 2/month, per: client+param.project }] } } }] }";
    let clock = manual_clock();
    let gateway = tidegate().clock(&clock).start(yaml).await;
    for (project, statuses) in [("a", [200, 200, 429]), ("b", [200, 200, 429]), ("%61", [429, 429, 429])] {
        for status in statuses {
            gateway.get(&format!("/app/{project}/x")).await.expect(status);
        }
    }
}

#[tokio::test]
async fn a_refusal_is_like_every_other_answer_by_both_versions() {
    let app = upstream().reply("/", "ok").start().await;
    let policy = "ratelimit: { limits: { all: { rate: 1/h, per: client } }, default: { use: [all] } }\n\
                  headers: { default: { security: helmet, cors: { origins: [\"https://app.example\"] } } }\n";
    for http in Http::BOTH {
        let gateway = tidegate().start(&format!("{}{policy}", all_to(&app))).await;
        let ask =
            async || gateway.request(Method::GET, "/").header("Origin", "https://app.example").by(http).send().await;
        ask().await.expect(200);
        let refused = ask().await.expect(429);
        assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.example"), "{http:?}");
        assert_eq!(refused.header("x-content-type-options"), Some("nosniff"), "{http:?}");
        assert!(refused.header("retry-after").is_some() && refused.header("x-request-id").is_some(), "{http:?}");
    }
    assert_eq!(app.requests().len(), 2, "what is refused never reaches the upstream");
}

#[tokio::test]
async fn a_connection_lives_on_after_a_refusal() {
    let clock = manual_clock();
    let yaml = "routing: { routes: [{ name: app, reply: { body: hi }, plugins: { ratelimit: { limits: [{ rate: 1/s, per: \
                client }] } } }] }";
    let gateway = tidegate().clock(&clock).start(yaml).await;
    let mut client = gateway.connect().await;
    for _ in 0..3 {
        client.get("/").await.expect(200);
        client.get("/").await.expect(429);
        clock.advance(Duration::from_secs(1));
    }
}
