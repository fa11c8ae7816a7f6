//! Finding out first.

use tidegate_testkit::Http;

use super::*;

#[tokio::test]
async fn in_report_mode_everything_goes_on_as_it_comes_and_is_counted() {
    let policy = format!("{{ mode: report, max_body: 1KiB, body: {USER}, query: [{{ name: limit, type: integer }}] }}");
    let (upstream, gateway) = guarded(&policy).await;
    let mut count = 0.0;
    for http in Http::BOTH {
        let post = |path: &str| gateway.post(path).by(http).header("Content-Type", "application/json");
        let much = "x".repeat(300_000);
        let pieces = |text: &str| text.as_bytes().chunks(999).map(<[u8]>::to_vec).collect::<Vec<_>>();
        for request in [
            post("/users").body("{\"name\":1}"),
            post("/users").chunks(pieces("{\"name\":1}")),
            post("/users").body(much.clone()),
            post("/users").chunks(pieces(&much)),
            post("/users?limit=x").body("{}"),
            gateway.post("/users").by(http).body("text"),
        ] {
            request.send().await.expect(200);
        }
        let seen: Vec<usize> = upstream.wait_for(6).await.iter().map(|request| request.body.len()).collect();
        assert_eq!(seen, [10, 10, 300_000, 300_000, 2, 4]);
        upstream.forget();
        count += 1.0;
    }
    for (reason, each) in [("body", 2.0), ("too_large", 2.0), ("query", 1.0), ("media_type", 1.0)] {
        assert_eq!(failures(&gateway, "report", reason).await, count * each, "{reason}");
        assert_eq!(failures(&gateway, "enforce", reason).await, 0.0);
    }
    post(&gateway, "{\"name\":\"Anna\",\"email\":\"a@b.test\"}").await.expect(200);
    assert_eq!(failures(&gateway, "report", "body").await, count * 2.0, "what fits is not counted");
}
