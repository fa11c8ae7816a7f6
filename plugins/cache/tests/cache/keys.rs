//! What tells one answer from another.

use http::Method;
use tidegate_testkit::upstream;

use crate::{builder, is_hit, minute, stage};

#[tokio::test]
async fn hosts_paths_and_queries_are_told_apart() {
    let stage = stage("{}", minute("x")).await;
    let distinct = [
        ("a.test", "/a"),
        ("b.test", "/a"),
        ("a.test:8080", "/a"),
        ("a.test", "/A"),
        ("a.test", "/a?"),
        ("a.test", "/a?b"),
        ("a.test", "/a/b"),
    ];
    for round in 0..2 {
        for (host, path) in distinct {
            let answer = stage.gateway.request(Method::GET, path).host(host).send().await.expect(200);
            assert_eq!(is_hit(&answer), round == 1, "{host}{path}");
        }
    }
    assert!(is_hit(&stage.gateway.request(Method::GET, "/a").host("A.TEST:80").send().await));
    assert_eq!(stage.asked(), distinct.len());
}

#[tokio::test]
async fn parameters_that_the_route_leaves_out_do_not_count() {
    let policy = "key: { query: { deny: [\"utm_*\"] }, sort_query: true }";
    let stage = stage(policy, minute("x")).await;
    for path in ["/a?b=1&c=2", "/a?c=2&b=1&utm_source=x", "/a?utm_a&b=1&c=2"] {
        stage.get(path).await.expect(200);
    }
    assert_eq!(stage.asked(), 1);
    // The upstream gets all of it.
    assert_eq!(stage.app.request().target, "/a?b=1&c=2");
    stage.get("/a?b=2&c=2").await.expect(200);
    assert_eq!(stage.asked(), 2);
}

#[tokio::test]
async fn fields_and_cookies_of_the_key_tell_answers_apart() {
    let stage = stage("key: { headers: [X-Version], cookies: [lang] }", minute("x")).await;
    let distinct = [
        vec![],
        vec![("x-version", "1")],
        vec![("x-version", "2")],
        vec![("cookie", "lang=de; other=1")],
        vec![("x-version", "1"), ("cookie", "lang=de")],
    ];
    for round in 0..2 {
        for fields in &distinct {
            assert_eq!(is_hit(&stage.ask("/a", fields).await), round == 1, "{fields:?}");
        }
    }
    assert!(is_hit(&stage.ask("/a", &[("cookie", "other=2; lang=de")]).await));
}

#[tokio::test]
async fn routes_of_one_zone_never_answer_for_one_another() {
    let clock = tidegate_testkit::manual_clock();
    let one = upstream().route("/*", minute("one")).start().await;
    let two = upstream().route("/*", minute("two")).start().await;
    let yaml = |first: &str, second: &str| {
        format!(
            "upstreams:\n  one: {{ targets: [\"{}\"] }}\n  two: {{ targets: [\"{}\"] }}\nrouting:\n  routes:\n    - name: {first}\n      \
             match: {{ path: \"/**\" }}\n      upstream: {second}\n      plugins: {{ cache: {{}} }}\n",
            one.target(),
            two.target()
        )
    };
    let gateway = builder(&clock).start(&yaml("a", "one")).await;
    assert_eq!(gateway.get("/x").await.text(), "one");
    gateway.reload(&yaml("b", "two")).await.expect("reloaded");
    assert_eq!(gateway.get("/x").await.text(), "two");
    // What was stored for the first is still there for it.
    gateway.reload(&yaml("a", "two")).await.expect("reloaded");
    assert_eq!(gateway.get("/x").await.text(), "one");
}

#[tokio::test]
async fn a_policy_that_can_not_work_is_refused_where_it_stands() {
    let clock = tidegate_testkit::manual_clock();
    for (policy, expected) in [
        ("zone: other", "unknown zone `other`"),
        ("status_header: \"a b\"", "status_header"),
        ("defualt_ttl: 1h", "did you mean `default_ttl`"),
        ("status: [206]", "status[0]"),
        ("mode: private_per_identity\nkey: { identity: true }", "key.identity"),
    ] {
        let error = builder(&clock).check(&crate::config("127.0.0.1:1", policy)).expect_err("refused");
        assert!(error.contains(expected), "{policy}: {error}");
    }
}
