//! What unsafe requests make invalid, on whatever route they come (RFC 9111 section 4.4).

use http::Method;
use tidegate_testkit::{Answer, Script, manual_clock, upstream};

use crate::tidegate;

fn is_hit(answer: &Answer) -> bool {
    answer.headers.all("cache-status").any(|told| told.contains("; hit"))
}

/// GET by one route, with a cache; everything else of the same by another, without.
#[tokio::test]
async fn an_unsafe_request_makes_invalid_what_another_route_has_stored() {
    for theirs in ["", "cache: off", "cache: { zone: other }"] {
        let clock = manual_clock();
        let app = upstream().route("/*", Script::reply("x").header("Cache-Control", "max-age=60")).start().await;
        let yaml = format!(
            "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
             cache: {{ zones: {{ main: {{}}, other: {{}} }} }}\n\
             routing:\n  routes:\n    \
             - {{ name: read, match: {{ path: \"/**\", methods: [GET] }}, upstream: app, \
             plugins: {{ cache: {{ key: {{ query: {{ deny: [utm] }} }} }} }} }}\n    \
             - {{ name: write, match: {{ path: \"/**\" }}, upstream: app, plugins: {{ {theirs} }} }}\n",
            app.target()
        );
        let gateway = tidegate().clock(&clock).start(&yaml).await;
        let get = async |path: &str| is_hit(&gateway.get(path).await.expect(200));
        let long = format!("/{}", "a".repeat(9_000));
        for path in ["/a?b", "/other", &long] {
            assert!(!get(path).await && get(path).await, "{theirs}: {path}");
            gateway.request(Method::POST, path).send().await.expect(200);
            assert!(!get(path).await && get(path).await, "{theirs}: {path}");
        }
        // That the key leaves out a parameter does not mean that nothing is stored of it.
        gateway.request(Method::DELETE, "/a?b&utm=1").send().await.expect(200);
        assert!(!get("/a?b").await && get("/other").await, "{theirs}");
        // What nobody asked for leaves no mark, and what failed has changed nothing.
        gateway.request(Method::POST, "/never").send().await.expect(200);
        app.set("/*", Script::status(500));
        gateway.request(Method::POST, "/other").send().await.expect(500);
        assert!(get("/other").await, "{theirs}");
        let counted = gateway.metric("tidegate_cache_invalidated_total", &[("zone", "main")]).await;
        assert_eq!(counted, 4.0, "{theirs}");
    }
}
