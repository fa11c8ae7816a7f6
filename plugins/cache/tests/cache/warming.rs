//! What is fetched before anybody asks for it.

use std::time::Duration;

use http::Method;
use tidegate_cache::Cache;
use tidegate_testkit::{
    Client, Script, TestGateway, Upstream, call, certs, gateway, manual_clock, upstream, wait_until_async,
};

async fn site() -> Upstream {
    let page = || Script::reply("page").header("Cache-Control", "max-age=3600");
    let map = "<urlset><url><loc>http://shop.example/a</loc></url><url><loc>http://shop.example/b</loc></url></urlset>";
    let index = "<sitemapindex><sitemap><loc>http://shop.example/map.xml</loc></sitemap></sitemapindex>";
    upstream()
        .route("/map.xml", Script::reply(map))
        .route("/index.xml", Script::reply(index))
        .route("/gone", Script::status(404))
        .route("/*", page())
        .start()
        .await
}

fn yaml(upstream: &Upstream, warm: &str) -> String {
    format!(
        "upstreams: {{ app: {{ targets: [\"{}\"] }} }}\ncache: {{ warm: {warm} }}\nrouting:\n  routes:\n    - name: all\n      \
         upstream: app\n      plugins: {{ cache: {{}} }}\n",
        upstream.target()
    )
}

async fn is_stored(gateway: &TestGateway, path: &str) -> bool {
    let answer = gateway.request(Method::GET, path).host("shop.example").header("Cache-Control", "only-if-cached");
    answer.send().await.status == 200
}

async fn warm(gateway: &TestGateway, query: &str) -> tidegate_testkit::Answer {
    Client::connect(gateway.admin_addr()).await.send(call(Method::POST, format!("/cache/warm?{query}"))).await
}

async fn until_done(gateway: &TestGateway) -> serde_json::Value {
    wait_until_async("the end", async || gateway.admin("/cache/warm").await.json()["running"].as_bool() == Some(false))
        .await;
    gateway.admin("/cache/warm").await.json()
}

#[tokio::test]
async fn lists_and_sitemaps_are_stored_when_the_gateway_starts() {
    let upstream = site().await;
    let config = "{ urls: [http://shop.example/list], sitemaps: [http://shop.example/index.xml] }";
    let gateway = gateway().plugin::<Cache>().start(&yaml(&upstream, config)).await;
    for path in ["/list", "/a", "/b"] {
        wait_until_async(path, async || is_stored(&gateway, path).await).await;
    }
    let asked: Vec<_> = upstream.requests().iter().map(|request| request.header("host").map(str::to_owned)).collect();
    assert!(asked.iter().all(|host| host.as_deref() == Some("shop.example")), "{asked:?}");
}

#[tokio::test]
async fn an_operator_begins_a_run_and_sees_how_far_it_has_got() {
    let upstream = site().await;
    let gateway = gateway().plugin::<Cache>().start(&yaml(&upstream, "{ on_start: false }")).await;
    assert!(!is_stored(&gateway, "/x").await);
    warm(&gateway, "url=http://shop.example/x&url=http://shop.example/gone").await.expect(200);
    let done = until_done(&gateway).await;
    assert_eq!((done["requests"].as_u64(), done["failed"].as_u64()), (Some(2), Some(1)), "{done}");
    assert!(is_stored(&gateway, "/x").await);
    warm(&gateway, "url=/x").await.expect(400);
}

#[tokio::test]
async fn one_run_at_a_time_and_no_more_requests_at_once_than_are_allowed() {
    let gate = tidegate_testkit::gate();
    let script = Script::reply("page").header("Cache-Control", "max-age=3600").wait(&gate);
    let upstream = upstream().route("/*", script).start().await;
    let gateway = gateway().plugin::<Cache>().start(&yaml(&upstream, "{ on_start: false, concurrency: 2 }")).await;
    let urls: Vec<_> = (0..6).map(|n| format!("url=http://shop.example/{n}")).collect();
    warm(&gateway, &urls.join("&")).await.expect(200);
    upstream.wait_for(2).await;
    warm(&gateway, "url=http://shop.example/other").await.expect(409);
    assert_eq!(upstream.requests().len(), 2);
    gate.open();
    let done = until_done(&gateway).await;
    assert_eq!((done["done"].as_u64(), done["failed"].as_u64()), (Some(6), Some(0)), "{done}");
}

#[tokio::test]
async fn it_is_done_again_every_so_often_by_the_gateways_clock() {
    let upstream = site().await;
    let clock = manual_clock();
    let config = "{ urls: [http://shop.example/list], every: 2h }";
    let gateway = gateway().plugin::<Cache>().clock(&clock).start(&yaml(&upstream, config)).await;
    wait_until_async("the first", async || is_stored(&gateway, "/list").await).await;
    until_done(&gateway).await;
    // Its hour is over: the next run fetches it again.
    wait_until_async("the second", async || {
        clock.advance(Duration::from_secs(7200));
        upstream.requests().len() >= 2
    })
    .await;
}

#[tokio::test]
async fn urls_of_https_are_asked_for_by_a_listener_with_tls() {
    let (upstream, certs) = (site().await, certs());
    let leaf = certs.leaf(&["shop.example"]);
    let config = format!(
        "listeners:\n  - {{ name: plain, bind: \"127.0.0.1:0\" }}\n  - {{ name: tls, bind: \"127.0.0.1:0\", tls: {{ \
         certificates: [{}] }} }}\n{}",
        leaf.yaml(),
        yaml(&upstream, "{ urls: [\"https://shop.example/secure\"] }")
    );
    let gateway = gateway().plugin::<Cache>().start(&config).await;
    wait_until_async("the request", async || {
        let done = gateway.admin("/cache/warm").await.json();
        done["done"].as_u64() == Some(1) && done["failed"].as_u64() == Some(0)
    })
    .await;
    assert_eq!(upstream.request().header("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn what_a_url_becomes_is_explained() {
    let upstream = site().await;
    upstream.set("/cookie", Script::reply("x").header("Set-Cookie", "secret=1").header("Cache-Control", "max-age=9"));
    let gateway = gateway().plugin::<Cache>().start(&yaml(&upstream, "{ on_start: false }")).await;
    let explain = async |url: &str| {
        let asked = call(Method::POST, format!("/cache/explain?url={url}"));
        Client::connect(gateway.admin_addr()).await.send(asked).await
    };
    let first = explain("http://shop.example/a").await.expect(200).json();
    assert!(first["fields"]["cache-status"].as_str().is_some_and(|status| status.contains("stored")), "{first}");
    let second = explain("http://shop.example/a").await.expect(200).json();
    assert!(second["fields"]["cache-status"].as_str().is_some_and(|status| status.contains("hit")), "{second}");
    let cookie = explain("http://shop.example/cookie").await.expect(200);
    let status = cookie.json()["fields"]["cache-status"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(!status.contains("stored") && status.contains("detail"), "{cookie:?}");
    assert!(!cookie.text().contains("secret"), "{cookie:?}");
    explain("nothing").await.expect(400);
}

#[tokio::test]
async fn what_is_no_url_is_refused_with_its_place() {
    let upstream = site().await;
    for (config, place) in [
        ("{ urls: [\"/a\"] }", "cache.warm.urls[0]"),
        ("{ sitemaps: [ftp://a/b] }", "cache.warm.sitemaps[0]"),
        ("{ headers: [{ \"a b\": c }] }", "cache.warm.headers[0]"),
    ] {
        let refused = gateway().plugin::<Cache>().check(&yaml(&upstream, config)).expect_err(config);
        assert!(refused.contains(place), "{refused}");
    }
    let unknown = "cache: { fleet: { store: nowhere } }";
    let yaml = yaml(&upstream, "{}").replace("cache: { warm: {} }", unknown);
    let refused = gateway().plugin::<Cache>().check(&yaml).expect_err("no such store");
    assert!(refused.contains("cache.fleet.store"), "{refused}");
}
